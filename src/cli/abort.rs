//! `cx-operator abort`.

use std::process::ExitCode;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use crate::Error;
use crate::operator::listing::find_run;
use crate::operator::replying::abort;

use super::{State, completions, print_json, print_text, safe};

/// End runs in good order: their work is kept, and everything made for them is removed.
///
/// It returns at once; `cx-operator wait` waits for the end. A run without an operator ends when it is taken over.
///
/// Example: `cx-operator abort fix-date-parser --reason "The brief was wrong."`
#[derive(Args)]
pub(crate) struct Abort {
    /// Runs: ids, beginnings of ids, or names of tasks.
    #[arg(required = true)]
    #[arg(add = ArgValueCompleter::new(completions::runs))]
    runs: Vec<String>,
    /// Why: it is in the record.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

impl Abort {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let store = self.state.open()?;
        let find = |name: &String| find_run(&store, name);
        let runs = self.runs.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let ended = abort(&runs, &self.reason)?;
        if self.json {
            print_json(&ended)?;
        } else {
            let lines: Vec<String> = ended
                .aborted
                .iter()
                .map(|name| format!("{name} ends\n"))
                .collect();
            print_text(&safe(&lines.concat()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
