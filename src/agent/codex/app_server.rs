//! Questions to codex's own `app-server`: which hooks it sees and trusts, what it makes of its configuration.
//!
//! JSON-RPC by lines over stdio; needs no login and starts no daemon. The child lives for its questions and at most
//! [`DEADLINE`] and [`GRACE`]; its whole process group is ended before the answers are returned.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::os::chain::failed;

/// How long codex may take to answer. A first start takes 0.2 s.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// How long codex may take to end by itself once its stdin is closed. It takes 0.02 s.
pub const GRACE: Duration = Duration::from_secs(1);

/// Of what it writes to its stderr so much is read.
const COMPLAINTS: u64 = 64 * 1024;

/// Why codex could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started.
    #[error("{}", failed(format_args!("start {}", .codex.display())))]
    Start {
        /// The codex program.
        codex: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There was no answer within [`DEADLINE`].
    #[error("{} gave no answer within {} s", .codex.display(), DEADLINE.as_secs())]
    Deadline {
        /// The codex program.
        codex: PathBuf,
    },
    /// The program closed its stdout without an answer.
    #[error("{} ended without an answer", .codex.display())]
    Ended {
        /// The codex program.
        codex: PathBuf,
    },
    /// The program answered that it cannot list hooks, as versions before 0.130 may.
    #[error("{} does not list its hooks: {message}", .codex.display())]
    Refused {
        /// The codex program.
        codex: PathBuf,
        /// Its output.
        message: String,
    },
    /// The answer has another shape than the versions that are known.
    #[error("the list of hooks of {} is invalid", .codex.display())]
    Shape {
        /// The codex program.
        codex: PathBuf,
        /// Where it differs.
        source: serde_json::Error,
    },
}

/// The hooks that codex sees in one directory.
///
/// Source: codex 0.130.0, 0.150.0, 0.169.0, `hooks/list`; `tests/agent/global_hooks.rs`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HookList {
    /// In the order in which codex shows them.
    pub hooks: Vec<ListedHook>,
    /// What codex says about the configuration: a `hooks.json` that it refuses is a warning, and then no hook of it runs.
    pub warnings: Vec<String>,
    /// Errors during listing.
    #[serde(default)]
    pub errors: Vec<ListError>,
}

/// An error in one file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ListError {
    /// The file.
    pub path: PathBuf,
    /// codex's message.
    pub message: String,
}

/// One hook as codex sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedHook {
    /// `<file>:<event in snake case>:<group>:<hook>`: what trust is remembered under.
    pub key: String,
    /// The event in camel case: `userPromptSubmit`.
    pub event_name: String,
    /// The command line; hooks of other types have none.
    pub command: Option<String>,
    /// Seconds.
    pub timeout_sec: u64,
    /// Where it is configured.
    pub source_path: PathBuf,
    /// Whether it isn't switched off.
    pub enabled: bool,
    /// `sha256:` and 64 hex digits, as [`trusted_hash`](super::trust::trusted_hash) computes.
    pub current_hash: String,
    /// Whether codex runs it.
    pub trust_status: TrustStatus,
}

impl ListedHook {
    /// Whether codex runs it.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.enabled
            && matches!(
                self.trust_status,
                TrustStatus::Trusted | TrustStatus::Managed
            )
    }
}

/// Whether codex runs a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrustStatus {
    /// Runs: the user reviewed it in this form.
    Trusted,
    /// Runs: an administrator configured it.
    Managed,
    /// Doesn't run: the user has not reviewed it.
    Untrusted,
    /// Doesn't run: it is not what was reviewed.
    Modified,
    /// A state that is unknown to us; nothing is claimed about it.
    #[serde(other)]
    Unknown,
}

/// Asks codex which hooks it sees in a directory. Blocks for at most [`DEADLINE`] and [`GRACE`].
///
/// # Errors
/// As the variants of [`Error`] say; the child has ended in every case.
pub fn query_hooks(codex: &Path, codex_home: &Path, cwd: &Path) -> Result<HookList, Error> {
    let mut command = Command::new(codex);
    command.arg("app-server").env("CODEX_HOME", codex_home);
    let question = ("hooks/list", json!({"cwds": [cwd.to_string_lossy()]}));
    let asked = ask(command, codex, &[question])?;
    let answer = asked.answers.into_iter().next().flatten();
    let answer = match answer {
        Some(Ok(answer)) => answer,
        Some(Err(message)) => {
            return Err(Error::Refused {
                codex: codex.to_owned(),
                message,
            });
        }
        None => {
            return Err(Error::Ended {
                codex: codex.to_owned(),
            });
        }
    };
    serde_json::from_value(answer["data"][0].clone()).map_err(|source| Error::Shape {
        codex: codex.to_owned(),
        source,
    })
}

/// The output of an `app-server`.
#[derive(Debug)]
pub(super) struct Asked {
    /// For each question the answer or the refusal, in their order; `None` where it ended before.
    pub(super) answers: Vec<Option<Result<Value, String>>>,
    /// Its stderr.
    pub(super) complaints: String,
}

/// Asks an `app-server` that `command` starts a number of questions at once: methods and their parameters.
///
/// # Errors
/// [`Error::Start`], [`Error::Deadline`]; the child has ended in every case.
pub(super) fn ask(
    mut command: Command,
    codex: &Path,
    questions: &[(&str, Value)],
) -> Result<Asked, Error> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: the npm package's program is a wrapper, and its child must end with it.
        .process_group(0)
        .spawn()
        .map_err(|source| Error::Start {
            codex: codex.to_owned(),
            source,
        })?;
    let complaints = read_complaints(&mut child);
    let answers = converse(&mut child, codex, questions);
    // Still a zombie at worst, not reaped: the group's id cannot be another's yet.
    let _has_ended = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let _status_is_not_asked = child.wait();
    Ok(Asked {
        answers: answers?,
        complaints: complaints.recv_timeout(GRACE).unwrap_or_default(),
    })
}

fn converse(
    child: &mut Child,
    codex: &Path,
    questions: &[(&str, Value)],
) -> Result<Vec<Option<Result<Value, String>>>, Error> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        unreachable!("both were requested as pipes");
    };
    let messages = read_messages(stdout);
    // The few lines fit into the pipe. Where codex has gone before reading them, the missing answers say so.
    let _codex_may_have_gone = stdin.write_all(requests(questions).as_bytes());
    let answers = wait_answers(&messages, questions.len(), codex);
    drop(stdin);
    wait_end(&messages);
    answers
}

/// The lines that greet and ask; a question's id is its place, from 1.
fn requests(questions: &[(&str, Value)]) -> String {
    let client =
        json!({"name": "cx-operator", "title": null, "version": env!("CARGO_PKG_VERSION")});
    let greeting = [
        json!({"id": 0, "method": "initialize", "params": {"clientInfo": client}}),
        json!({"method": "initialized"}),
    ];
    let asked = questions
        .iter()
        .zip(1..)
        .map(|((method, params), id)| json!({"id": id, "method": method, "params": params}));
    greeting
        .into_iter()
        .chain(asked)
        .map(|message| format!("{message}\n"))
        .collect()
}

/// Receives the messages of the child until the end of its stdout; other lines than JSON are skipped.
fn read_messages(stdout: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    // Not joined: a process that left the group could hold the pipe open.
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Ok(message) = serde_json::from_str(&line)
                && sender.send(message).is_err()
            {
                return;
            }
        }
    });
    receiver
}

/// Receives what the child writes to its stderr, at its end.
fn read_complaints(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let stderr = child.stderr.take();
    // Not joined, for the same reason.
    thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(stderr) = stderr {
            let _as_far_as_it_goes = stderr.take(COMPLAINTS).read_to_end(&mut said);
        }
        let _nobody_waits = sender.send(String::from_utf8_lossy(&said).into_owned());
    });
    receiver
}

fn wait_answers(
    messages: &Receiver<Value>,
    count: usize,
    codex: &Path,
) -> Result<Vec<Option<Result<Value, String>>>, Error> {
    let started = Instant::now();
    let mut answers = vec![None; count];
    while answers.contains(&None) {
        let left = DEADLINE.saturating_sub(started.elapsed());
        let message = match messages.recv_timeout(left) {
            Ok(message) => message,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                return Err(Error::Deadline {
                    codex: codex.to_owned(),
                });
            }
        };
        // Notifications have no id.
        let Some(id) = message["id"].as_u64() else {
            continue;
        };
        let answer = match message.get("error") {
            Some(error) => Err(error["message"]
                .as_str()
                .map_or_else(|| error.to_string(), str::to_owned)),
            None => Ok(message["result"].clone()),
        };
        match usize::try_from(id) {
            // Without a greeting nothing is answered.
            Ok(0) if answer.is_err() => answers.fill(Some(answer)),
            Ok(place) if (1..=count).contains(&place) => answers[place - 1] = Some(answer),
            _ => {}
        }
    }
    Ok(answers)
}

/// Waits until every process that holds the child's stdout has ended, [`GRACE`] at most.
fn wait_end(messages: &Receiver<Value>) {
    let started = Instant::now();
    while messages
        .recv_timeout(GRACE.saturating_sub(started.elapsed()))
        .is_ok()
    {}
}
