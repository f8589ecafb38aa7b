//! `cx-operator send`.

use std::process::ExitCode;

use clap::{ArgGroup, Args};
use clap_complete::engine::ArgValueCompleter;

use crate::Error;
use crate::operator::listing::find_run;
use crate::operator::replying::send;

use super::said::{Text, tell_unread};
use super::{State, block_on, completions, print_json, print_text, safe, usage};

/// Tell a working agent something more: it is the next prompt when the turn ends, or steers the turn with --now.
///
/// Several messages become one prompt, in their order. A run that waits for an answer takes a `reply` instead, and a headless
/// agent takes nothing (`takes_no_message`).
///
/// Examples: `cx-operator send fix-date-parser --text "Keep the old function as a wrapper."`,
/// `cx-operator send fix-date-parser --now --text "Not in src/legacy."`
#[derive(Args)]
#[command(group = ArgGroup::new("said").args(["text", "text_file"]).required(true))]
pub(crate) struct Send {
    /// A run's id, its beginning, or a task's name (then the newest run of it).
    #[arg(add = ArgValueCompleter::new(completions::runs))]
    run: String,
    #[command(flatten)]
    text: Text,
    /// Tell it within the turn that runs; where none does any more, it is the next prompt all the same.
    #[arg(long)]
    now: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

impl Send {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let Some(text) = self.text.load()? else {
            return Err(usage("there is no message"));
        };
        let run = find_run(&self.state.open()?, &self.run)?;
        let sent = block_on(send(&run, (&text, self.now)))??;
        if self.json {
            print_json(&sent)?;
        } else {
            print_text(&safe(&format!("{} has the message\n", run.name())))?;
        }
        tell_unread(run.name(), sent.taken);
        Ok(ExitCode::SUCCESS)
    }
}
