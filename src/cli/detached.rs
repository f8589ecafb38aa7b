//! `delegate --detach` and `resume --detach`: the run goes on in a process of its own session, and the call returns once the agent has
//! the prompt.
//!
//! That process is this program again (`operator::starting`).

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;

use clap::Args;
use rustix::process::{Pid, kill_process};

use crate::error::io as io_error;
use crate::operator::starting::{Detached, Order, Start, Supervising, say_start};
use crate::operator::status::{RunStatus, load_status};
use crate::os::signal::ENDING;
use crate::record::code::Code;
use crate::record::journal::{Entry, Progress};
use crate::record::{Outcome, RunDir, Store};
use crate::task::name::RunId;
use crate::{Error, Run};

use super::refusal::print_refusal;
use super::report::print_outcome;
use super::signals::Signals;
use super::{advice, block_on, print_failure, print_json, print_text, safe, tell};

/// The name of the log of a detached run's operator, in the run's directory.
const LOG: &str = "operator.log";

/// Drive a run whose caller does not wait; started by `delegate --detach` and `resume --detach`.
#[derive(Args)]
pub(super) struct Supervise {
    /// The task's name, for lists of processes.
    #[arg(value_name = "TASK")]
    _task: String,
}

/// Starts the supervising process, and prints how the start went.
pub(super) fn start(order: &Order, (task, json): (&str, bool)) -> Result<ExitCode, Error> {
    match block_on(hear_of_start(order, task))?? {
        Start::Over(outcome) => print_outcome(&outcome, json),
        Start::Refused(failure) => {
            print_failure(&failure);
            let code: Result<Code, _> = failure.code.parse();
            print_refusal(failure);
            Ok(ExitCode::from(code.unwrap_or(Code::Io).exit()))
        }
        Start::UnderWay {
            run_id,
            status,
            run_dir,
        } => {
            if json {
                print_json(&Detached {
                    schema_version: 1,
                    run_id,
                    task: task.to_owned(),
                    status,
                    run_dir,
                })?;
            } else {
                print_text(&safe(&format!("{run_id}\n")))?;
                let wait = advice(&format!("cx-operator wait {task}"));
                tell(&format!(
                    "it goes on without this call: `{wait}` waits for it"
                ));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn hear_of_start(order: &Order, task: &str) -> Result<Start, Error> {
    // Caught before: a signal ends the start in good order.
    let mut caught = Signals::catch().map_err(io_error("catch signals"))?;
    let mut process = Supervising::start(order, task).await?;
    loop {
        tokio::select! {
            heard = process.hear() => {
                let start = heard?;
                if !matches!(start, Start::UnderWay { .. }) {
                    process.ended().await;
                }
                return Ok(start);
            }
            name = caught.next() => forward(process.id(), name),
        }
    }
}

fn forward(process: Option<u32>, name: &str) {
    let number = ENDING.iter().find(|(known, _)| *known == name);
    let pid = process.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    if let (Some((_, number)), Some(pid)) = (number, pid) {
        let _ended = kill_process(pid, *number);
    }
}

/// The supervising process's side: it says once how the start went, and has no terminal and no caller afterwards.
#[derive(Debug)]
pub(super) struct Supervisor {
    has_told: bool,
    has_log: bool,
}

impl Supervisor {
    /// Leaves the session of the caller, whose terminal may go.
    pub(super) fn begin() -> Self {
        if let Err(error) = rustix::process::setsid() {
            tracing::warn!(%error, "no session of its own");
        }
        Self {
            has_told: false,
            has_log: false,
        }
    }

    /// Follows the start of the run.
    pub(super) fn take_note(&mut self, entry: &Entry, run: &Run) {
        match entry.progress {
            Progress::Queued { .. } => self.hand_over(run, "queued"),
            Progress::Submitted { turn: 1, .. } => self.hand_over(run, "running"),
            Progress::TakenOver { follows: true, .. } if has_begun(run) => {
                self.hand_over(run, "running");
            }
            Progress::Started { .. } if self.has_told => self.log_to(run.directory().as_ref()),
            _ => {}
        }
    }

    fn hand_over(&mut self, run: &Run, status: &str) {
        if std::mem::replace(&mut self.has_told, true) {
            return;
        }
        let directory = run.directory();
        let run_dir = directory.as_ref().map(|run| run.path().to_owned());
        let (run_id, status) = (run.id().to_string(), status.to_owned());
        say_start(Start::UnderWay {
            run_id,
            status,
            run_dir,
        });
        self.log_to(directory.as_ref());
    }

    /// Says which run an earlier call with the same key began.
    pub(super) fn tell_known(&mut self, store: &Store, run: &RunId) {
        self.has_told = true;
        // It may have no directory yet.
        let status = load_status(store, run.as_str());
        say_start(Start::UnderWay {
            run_id: run.to_string(),
            status: status.map_or_else(|_| "starting".to_owned(), |status| status.status),
            run_dir: store.load(run).ok().map(|run| run.path().to_owned()),
        });
    }

    /// Says how a run ended whose start was not told.
    pub(super) fn end(self, outcome: Outcome) {
        if !self.has_told {
            say_start(Start::Over(Box::new(outcome)));
        }
    }

    /// Says why nothing was begun.
    pub(super) fn refuse(self, error: &Error) {
        say_start(Start::Refused(error.to_failure()));
    }

    /// Lets go of what the caller gave; what is said from now on is in the run's directory.
    fn log_to(&mut self, run: Option<&RunDir>) {
        if self.has_log {
            return;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        let log = run.and_then(|run| options.open(run.path().join(LOG)).ok());
        self.has_log = log.is_some();
        let nothing = OpenOptions::new().read(true).write(true).open("/dev/null");
        let released = nothing.and_then(|nothing| {
            rustix::stdio::dup2_stdin(&nothing)?;
            rustix::stdio::dup2_stdout(&nothing)?;
            rustix::stdio::dup2_stderr(log.as_ref().unwrap_or(&nothing))?;
            Ok(())
        });
        if let Err(error) = released {
            tracing::warn!(%error, "the caller's files are still open");
        }
    }
}

/// Whether the agent had the prompt from the operator before.
fn has_begun(run: &Run) -> bool {
    let status = run.directory().map(|run| RunStatus::load(&run));
    status.is_some_and(|status| status.is_ok_and(|status| status.turn > 0))
}
