//! `cx-operator send`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Error;
use crate::operator::listing::find_run;
use crate::operator::status::RunStatus;
use crate::record::journal::{self, Progress};
use crate::record::{self, RunDir};

use super::reply::{load, parse};
use super::{State, print_json, print_text, safe, tell, usage};

/// How long the run may take to read the message, before it is said that it has not.
const READ: Duration = Duration::from_secs(10);
/// Between two looks whether it has.
const PACE: Duration = Duration::from_millis(50);

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

/// The document of `send --json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Document {
    /// 1.
    schema_version: u32,
    /// The run's id.
    run_id: String,
    /// The message's id.
    message: String,
    /// Whether the run has read it.
    taken: bool,
}

impl Send {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let text = match (&self.message.text, &self.message.text_file) {
            (Some(text), _) => parse(text.as_bytes())?,
            (None, Some(path)) => parse(&load(path)?)?,
            (None, None) => return Err(usage("there is no message")),
        };
        let run = find_run(&self.state.open()?, &self.run)?;
        let question = RunStatus::load(&run)?.question;
        let asks = question.filter(|open| open.accepts.iter().any(|kind| kind == "text"));
        if let Some(open) = asks {
            let name = run.name();
            return Err(usage(format!(
                "the run {name} asks the question {}: `cx-operator reply {name}` answers it",
                open.id
            )));
        }
        let id = run.send_message(&text)?;
        let taken = is_taken(&run, &id)?;
        if self.json {
            let name = run.name();
            print_json(&Document {
                schema_version: 1,
                run_id: name.to_owned(),
                message: id,
                taken,
            })?;
        } else {
            print_text(&safe(&format!("{} has the message\n", run.name())))?;
        }
        if !taken {
            let name = safe(run.name());
            tell(&format!(
                "note: nobody has read it yet: `cx-operator status {name}` tells whether it is driven"
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Waits until the run has read the message. Not where nobody drives the run.
fn is_taken(run: &RunDir, message: &str) -> Result<bool, Error> {
    let until = Instant::now() + READ;
    loop {
        // Looked at before the journal: a living operator may write more.
        let (alive, over) = (run.is_alive(), run.is_closed());
        let entries = journal::load(&run.path().join("events.jsonl")).unwrap_or_default();
        let taken = entries
            .iter()
            .any(|entry| matches!(&entry.progress, Progress::Taken { id, .. } if id == message));
        if taken {
            return Ok(true);
        }
        if over {
            let name = run.name().to_owned();
            return Err(record::Error::Ended { name }.into());
        }
        if !alive || Instant::now() >= until {
            return Ok(false);
        }
        thread::sleep(PACE);
    }
}
