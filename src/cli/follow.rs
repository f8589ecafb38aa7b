//! Following a run from the command line: its progress on stderr, the signals that end it, its report.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::record::Outcome;
use crate::record::journal::Progress;
use crate::run::cancel::Cancel;
use crate::task::name::RunId;
use crate::task::respond::{Answers, Command, Recipe, Responder};
use crate::{Error, Operator, Run};
use clap::Args;

use super::asking::Person;
use super::detached::Supervisor;
use super::signals::Signals;
use super::status_line::{Pace, StatusLine};
use super::{report, tell, usage};

/// The responders.
#[derive(Args)]
pub(super) struct Responders {
    /// A TOML file with answers to questions and approvals.
    ///
    /// `[[answer]]` with `pattern` and `reply` answers a message; `[[permission]]` with `pattern`, `decision` (`allow` or
    /// `deny`) and, with `deny`, a `message` answers an approval. Patterns are regular expressions.
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// A shell command that gets each question as JSON on stdin and prints its answer as JSON.
    #[arg(long, value_name = "COMMAND")]
    responder: Option<String>,
    /// How long the responder may take. The deadlines of the turn and of the run are paused in the meantime.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(super) responder_timeout: Duration,
    /// How long a question or an approval that nobody else answers waits for a reply (`cx-operator reply`), with the deadlines
    /// of turn and run paused; 0s: not at all. The agent keeps its session [default: 30m on a terminal, where you are asked,
    /// and with --detach; else 0s].
    #[arg(long, value_name = "TIME", value_parser = wait_duration)]
    wait_for_reply: Option<Duration>,
}

impl Responders {
    /// `wait`: how long a reply is waited for where nothing is said.
    pub(super) fn load(&self, wait: Duration) -> Result<Vec<Arc<dyn Responder>>, Error> {
        let mut responders: Vec<Arc<dyn Responder>> = Vec::new();
        if let Some(path) = &self.answers {
            responders.push(Arc::new(Answers::load(path)?));
        }
        if let Some(command) = &self.responder {
            if command.trim().is_empty() {
                return Err(usage("--responder is empty"));
            }
            responders.push(Arc::new(Command::new(
                command.clone(),
                self.responder_timeout,
            )));
        }
        let limit = self.wait_for_reply.unwrap_or(wait);
        if !limit.is_zero() {
            responders.push(Arc::new(Recipe::Message { limit }));
        }
        Ok(responders)
    }
}

/// The same as [`duration`], or no time.
fn wait_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Ok(duration),
        _ => duration(text),
    }
}

/// Parses `90s`, `15m`, `1h`, `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("it must be longer than zero".to_owned()),
        Ok(duration) if duration > Duration::from_secs(7 * 24 * 3600) => {
            Err("a week is the limit".to_owned())
        }
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error} (write it like 90s, 15m or 1h)")),
    }
}

/// Who follows a run beside its caller.
#[derive(Default)]
pub(super) struct Audience<'a> {
    /// The operator that opens the agent's terminal once there is a turn.
    pub(super) shown: Option<Operator>,
    /// The side of a detached run that tells its caller of the start.
    pub(super) supervisor: Option<&'a mut Supervisor>,
    /// Whether nothing is said of the progress.
    pub(super) quiet: bool,
}

/// Starts a run and follows it to its end. Signals are caught before: one would end us without a teardown.
pub(super) async fn follow(
    start: impl FnOnce() -> Result<Run, Error>,
    mut audience: Audience<'_>,
) -> Result<Outcome, Error> {
    let essential = !io::stderr().is_terminal();
    let caught = Signals::catch();
    let mut run = start()?;
    let (mut started, mut person) = (None, Person::at_terminal());
    let signals = tokio::spawn(forward_signals(caught, run.canceller()));
    let mut pace = Pace::new(!audience.quiet && audience.supervisor.is_none());
    let mut line = StatusLine::new();
    loop {
        let entry = tokio::select! {
            entry = run.events().next() => entry,
            () = pace.next() => {
                if !person.as_ref().is_some_and(Person::is_asked) {
                    line.draw(run.directory()).await;
                }
                continue;
            }
            line = Person::line(&mut person) => {
                if let Some(person) = &mut person {
                    person.answer(&line);
                }
                continue;
            }
        };
        let Some(entry) = entry else { break };
        if !audience.quiet {
            report::print_progress(&entry, essential);
        }
        if pace.is_kept() {
            line.take_note(&entry, run.directory().as_ref());
        }
        match (&entry.progress, &audience.shown) {
            (Progress::Started { run_id, .. }, _) => started = Some(run_id.clone()),
            (Progress::Submitted { turn: 1, .. }, Some(operator)) => {
                show_terminal(operator, started.as_ref()).await;
            }
            _ => {}
        }
        if let Some(supervisor) = &mut audience.supervisor {
            supervisor.take_note(&entry, &run);
        }
        if let Some(person) = &mut person {
            person.take_note(&entry, run.directory().as_ref());
        }
    }
    drop(pace);
    let outcome = run.outcome().await;
    signals.abort();
    Ok(outcome)
}

/// Opens the agent's terminal. A run that has none goes on all the same.
async fn show_terminal(operator: &Operator, started: Option<&RunId>) {
    let Some(run) = started else { return };
    if let Err(error) = operator.open_terminal(run).await {
        tell(&format!("note: {}", error.message()));
    }
}

/// The first signal ends the run in good order, the second faster.
async fn forward_signals(caught: io::Result<Signals>, cancel: Cancel) {
    let Ok(mut caught) = caught else {
        tracing::warn!("signals can't be caught");
        return;
    };
    loop {
        let by = caught.next().await;
        tracing::warn!("{by}: collecting the work, then ending the run; a second one hurries");
        cancel.cancel(by);
    }
}
