//! What a caller says to a run.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use clap::Args;

use crate::Error;
use crate::task::prompt::Prompt;

use super::{safe, tell, usage};

/// A text, on the command line or in a file.
#[derive(Args)]
#[group(skip)]
pub(super) struct Text {
    /// The text: the agent's next prompt, or a form's answer.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// A file with it; `-` means stdin.
    #[arg(long, value_name = "FILE")]
    text_file: Option<PathBuf>,
}

impl Text {
    /// The text, which passes the same terminal as a brief; `None` where none is given.
    pub(super) fn load(&self) -> Result<Option<String>, Error> {
        let bytes = match (&self.text, &self.text_file) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(path)) => load(path)?,
            (None, None) => return Ok(None),
        };
        Ok(Some(Prompt::parse(&bytes)?.as_str().to_owned()))
    }
}

fn load(path: &PathBuf) -> Result<Vec<u8>, Error> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        return read.map(|_| bytes).map_err(|source| Error::Io {
            what: "read the text from stdin".to_owned(),
            source,
        });
    }
    fs::read(path).map_err(|error| {
        usage(format!(
            "the text can't be read from {}: {error}",
            path.display()
        ))
    })
}

/// Says so where nobody has read what the run was told.
pub(super) fn tell_unread(run: &str, taken: bool) {
    if !taken {
        let name = safe(run);
        tell(&format!(
            "note: nobody has read it yet: `cx-operator status {name}` tells whether it is driven"
        ));
    }
}
