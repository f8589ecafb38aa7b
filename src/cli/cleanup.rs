//! `cx-operator cleanup`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use cx_operator::Error;
use cx_operator::cleanup::{Action, Found, cleanup};
use serde::Serialize;

use super::{State, print_json, print_text, runtime, safe};

/// End and remove what runs left whose operator died; their work is kept first. What isn't provably ours is
/// listed and left alone.
#[derive(Args)]
pub(crate) struct Cleanup {
    /// Only tell what would be done.
    #[arg(long)]
    dry_run: bool,
    /// A path in a repository to look through as well.
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    dry_run: bool,
    found: &'a [Found],
}

impl Cleanup {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let store = self.state.open()?;
        let found = runtime()?.block_on(cleanup(&store, Some(&self.repo), self.dry_run))?;
        if self.json {
            print_json(&Document {
                schema_version: 1,
                dry_run: self.dry_run,
                found: &found,
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut text = String::new();
        for item in &found {
            let verb = match item.action {
                Action::Removed => "removed",
                Action::WouldRemove => "would remove",
                Action::Left => "left alone",
            };
            text.push_str(&format!(
                "{verb}: {} {} ({})\n",
                item.kind, item.name, item.reason
            ));
        }
        if found.is_empty() {
            text.push_str("nothing to clean up\n");
        }
        print_text(&safe(&text))?;
        Ok(ExitCode::SUCCESS)
    }
}
