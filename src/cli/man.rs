//! `cx-operator man`: the manual pages, made of the same words as `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_mangen::Man;

use super::{print_text, tell};
use crate::Error;

/// Print the manual page, or write those of all commands into a directory.
///
/// Example: `cx-operator man --dir ~/.local/share/man/man1`
#[derive(Args)]
pub(crate) struct ManPages {
    /// Write a page for each command into this directory, which must be there.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl ManPages {
    pub(crate) fn run(self, command: Command) -> Result<ExitCode, Error> {
        let Some(dir) = self.dir else {
            let mut page = Vec::new();
            Man::new(command)
                .render(&mut page)
                .expect("a vector takes all");
            print_text(&String::from_utf8_lossy(&page))?;
            return Ok(ExitCode::SUCCESS);
        };
        let what = format!("write the pages into {}", dir.display());
        let failed = |source| Error::Io { what, source };
        clap_mangen::generate_to(command, &dir).map_err(failed)?;
        tell(&format!(
            "the pages are in {}",
            super::safe(&dir.display().to_string())
        ));
        Ok(ExitCode::SUCCESS)
    }
}
