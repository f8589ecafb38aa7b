//! `cx-operator send`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::Error;
use crate::operator::listing::find_run;
use crate::operator::replying::send;

use super::reply::{load, parse};
use super::{State, print_json, print_text, safe, tell, usage};

/// Tell a working agent something more: it is the next prompt when the turn ends.
///
/// Several messages become one prompt, in their order. A run that waits for an answer takes a `reply` instead.
///
/// Example: `cx-operator send fix-date-parser --text "Keep the old function as a wrapper."`
#[derive(Args)]
pub(crate) struct Send {
    /// A run's id, its beginning, or a task's name (then the newest run of it).
    run: String,
    #[command(flatten)]
    message: Message,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Message {
    /// The message.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// A file with it; `-` means stdin.
    #[arg(long, value_name = "FILE")]
    text_file: Option<PathBuf>,
}

impl Send {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let text = match (&self.message.text, &self.message.text_file) {
            (Some(text), _) => parse(text.as_bytes())?,
            (None, Some(path)) => parse(&load(path)?)?,
            (None, None) => return Err(usage("there is no message")),
        };
        let run = find_run(&self.state.open()?, &self.run)?;
        let sent = send(&run, &text)?;
        if self.json {
            print_json(&sent)?;
        } else {
            print_text(&safe(&format!("{} has the message\n", run.name())))?;
        }
        if !sent.taken {
            let name = safe(run.name());
            tell(&format!(
                "note: nobody has read it yet: `cx-operator status {name}` tells whether it is driven"
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}
