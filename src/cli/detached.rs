//! `delegate --detach`: the run goes on in a process of its own session, and the call returns once the agent has the prompt.
//!
//! That process is this program again. What it is to do comes on its stdin, so that nobody reads it in a list of processes; on its
//! stdout it says one line, how the start went.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use clap::Args;
use rustix::process::{Pid, kill_process};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::os::signal::ENDING;
use crate::record::journal::{Entry, Progress};
use crate::record::{Outcome, RunDir};
use crate::{Error, Run};

use super::follow::{Signals, print_outcome};
use super::{block_on, print_json, print_text, safe, tell};

/// The name of the log of a detached run's operator, in the run's directory.
const LOG: &str = "operator.log";

/// Drive a run whose caller does not wait; started by `delegate --detach`.
#[derive(Args)]
pub(super) struct Supervise {
    /// The task's name, for lists of processes.
    #[arg(value_name = "TASK")]
    _task: String,
}

/// What a supervising process is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    arguments: Vec<Vec<u8>>,
    pub(super) prompt: String,
}

/// How the start of a detached run went.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Start {
    /// It is under way.
    UnderWay {
        run_id: String,
        status: String,
        run_dir: Option<PathBuf>,
    },
    /// It is over.
    Over(Box<Outcome>),
}

/// The document of `delegate --detach --json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Document {
    /// 1.
    schema_version: u32,
    /// The run's id.
    run_id: String,
    /// The task's name.
    task: String,
    /// `running`, or `queued` where the run waits for others.
    status: String,
    /// The run's directory, once there is one.
    run_dir: Option<PathBuf>,
}

impl Order {
    /// The same call once more, in another process.
    pub(super) fn new(prompt: &str) -> Self {
        let arguments = std::env::args_os().map(|argument| argument.as_bytes().to_vec());
        Self {
            arguments: arguments.collect(),
            prompt: prompt.to_owned(),
        }
    }

    /// Reads the order of this process, to the end of stdin.
    pub(super) fn read() -> io::Result<Self> {
        let mut text = Vec::new();
        io::stdin().lock().read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// The arguments of the call.
    pub(super) fn arguments(&self) -> impl Iterator<Item = OsString> {
        let arguments = self.arguments.iter();
        arguments.map(|argument| OsString::from_vec(argument.clone()))
    }
}

/// Starts the supervising process, and prints how the start went.
pub(super) fn start(order: &Order, (task, json): (&str, bool)) -> Result<ExitCode, Error> {
    match block_on(hear_of_start(order, task))?? {
        Start::Over(outcome) => print_outcome(&outcome, json),
        Start::UnderWay {
            run_id,
            status,
            run_dir,
        } => {
            if json {
                print_json(&Document {
                    schema_version: 1,
                    run_id,
                    task: task.to_owned(),
                    status,
                    run_dir,
                })?;
            } else {
                print_text(&safe(&format!("{run_id}\n")))?;
                tell(&format!(
                    "it goes on without this call: `cx-operator wait {run_id}` waits for it"
                ));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn hear_of_start(order: &Order, task: &str) -> Result<Start, Error> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |source| Error::Io { what, source }
    };
    // Caught before: a signal ends the start in good order.
    let mut caught = Signals::catch().map_err(failed("catch signals"))?;
    let program = std::env::current_exe().map_err(failed("find this program"))?;
    let mut child = Command::new(program)
        .args(["supervise", task])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed("start the supervising process"))?;
    let text = serde_json::to_vec(order).expect("an order has string keys only");
    if let Some(mut stdin) = child.stdin.take() {
        // One that has ended already is heard of by its silence.
        let _ended = stdin.write_all(&text).await;
    }
    let mut line = String::new();
    let mut said = BufReader::new(child.stdout.take().expect("it is a pipe"));
    {
        let read = said.read_line(&mut line);
        tokio::pin!(read);
        loop {
            tokio::select! {
                read = &mut read => {
                    read.map_err(failed("hear of the supervising process"))?;
                    break;
                }
                name = caught.next() => forward(&child, name),
            }
        }
    }
    match serde_json::from_str(&line) {
        Ok(Start::UnderWay {
            run_id,
            status,
            run_dir,
        }) => Ok(Start::UnderWay {
            run_id,
            status,
            run_dir,
        }),
        Ok(over) => {
            let _ended = child.wait().await;
            Ok(over)
        }
        Err(_) => {
            let how = child
                .wait()
                .await
                .map_err(failed("wait for the supervising process"))?;
            let died =
                io::Error::other(format!("it ended ({how}) before the agent had the prompt"));
            Err(failed(
                "start the run in a process of its own; `cx-operator list` tells what came of it",
            )(died))
        }
    }
}

fn forward(child: &Child, name: &str) {
    let number = ENDING.iter().find(|(known, _)| *known == name);
    let pid = child
        .id()
        .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
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
            Progress::Started { .. } if self.has_told => self.log_to(run.directory().as_ref()),
            _ => {}
        }
    }

    fn hand_over(&mut self, run: &Run, status: &str) {
        if std::mem::replace(&mut self.has_told, true) {
            return;
        }
        let directory = run.directory();
        say(&Start::UnderWay {
            run_id: run.id().to_string(),
            status: status.to_owned(),
            run_dir: directory.as_ref().map(|run| run.path().to_owned()),
        });
        self.log_to(directory.as_ref());
    }

    /// Says how a run ended whose start was not told.
    pub(super) fn end(self, outcome: Outcome) {
        if !self.has_told {
            say(&Start::Over(Box::new(outcome)));
        }
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

fn say(start: &Start) {
    let mut line = serde_json::to_string(start).expect("it has string keys only");
    line.push('\n');
    let mut stdout = io::stdout().lock();
    let said = stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.flush());
    if let Err(error) = said {
        tracing::info!(%error, "the caller is gone");
    }
}
