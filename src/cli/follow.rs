//! Following a run from the command line: its progress on stderr, the signals that end it, its report.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use cx_operator::cancel::Cancel;
use cx_operator::respond::{Answers, Command, Responder};
use cx_operator::run::Outcome;
use cx_operator::{Error, Run};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{print_failure, print_record, print_text, report, usage};

/// Who may answer.
#[derive(Args)]
pub(super) struct Responders {
    /// A TOML file with answers to questions and approvals (format: see the README).
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// A shell command that is given each question as JSON on stdin and prints its answer as JSON.
    #[arg(long, value_name = "COMMAND")]
    responder: Option<String>,
    /// How long the responder may take.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(super) responder_timeout: Duration,
}

impl Responders {
    pub(super) fn load(&self) -> Result<Vec<Arc<dyn Responder>>, Error> {
        let mut responders: Vec<Arc<dyn Responder>> = Vec::new();
        if let Some(path) = &self.answers {
            responders.push(Arc::new(Answers::load(path)?));
        }
        if let Some(command) = &self.responder {
            if command.trim().is_empty() {
                return Err(usage("run the responder: --responder is empty"));
            }
            responders.push(Arc::new(Command::new(
                command.clone(),
                self.responder_timeout,
            )));
        }
        Ok(responders)
    }
}

/// Parses `90s`, `15m`, `1h`, `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("it must be longer than nothing".to_owned()),
        Ok(duration) if duration > Duration::from_secs(7 * 24 * 3600) => {
            Err("a week is the limit".to_owned())
        }
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error} (write it like 90s, 15m or 1h)")),
    }
}

/// Starts a run and follows it to its end. Signals are caught before: one would end us without a teardown.
pub(super) async fn follow(start: impl FnOnce() -> Result<Run, Error>) -> Result<Outcome, Error> {
    let quiet = !io::stderr().is_terminal();
    let caught = Signals::catch();
    let mut run = start()?;
    let signals = tokio::spawn(forward_signals(caught, run.canceller()));
    while let Some(entry) = run.events().next().await {
        report::print_progress(&entry, quiet);
    }
    let outcome = run.outcome().await;
    signals.abort();
    Ok(outcome)
}

/// Prints how a run ended; the exit status tells it, too.
pub(super) fn print_outcome(outcome: &Outcome, json: bool) -> Result<ExitCode, Error> {
    // Of a run that never came to be there is nothing to report but why.
    let why = outcome.error.as_ref().filter(|_| outcome.run_dir.is_none());
    if let Some(failure) = why {
        print_failure(failure);
    }
    if json {
        print_record(outcome)?;
    } else if why.is_none() {
        print_text(&report::of(outcome))?;
    }
    Ok(ExitCode::from(outcome.exit_code()))
}

/// The signals that end a run.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// The first signal ends the run in good order, the second faster.
async fn forward_signals(caught: io::Result<Signals>, cancel: Cancel) {
    let Ok(mut caught) = caught else {
        tracing::warn!("signals can't be caught");
        return;
    };
    loop {
        let by = tokio::select! {
            _ = caught.interrupt.recv() => "SIGINT",
            _ = caught.terminate.recv() => "SIGTERM",
            _ = caught.hangup.recv() => "SIGHUP",
        };
        tracing::warn!("{by}: taking in the work and tearing down; again to hurry");
        cancel.cancel(by);
    }
}
