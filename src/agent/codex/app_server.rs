//! One question to codex's own `app-server`: which hooks it sees, and whether it trusts them.
//!
//! JSON-RPC by lines over stdio; needs no login and starts no daemon. The child lives for one question and at most
//! [`DEADLINE`] and [`GRACE`]; its whole process group is ended before the answer is returned.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use serde_json::{Value, json};

/// How long codex may take to answer. A first start takes 0.2 s.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// How long codex may take to end by itself once its stdin is closed. It takes 0.02 s.
pub const GRACE: Duration = Duration::from_secs(1);

/// Why codex could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started.
    #[error("start {}", .codex.display())]
    Start {
        /// The codex program.
        codex: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There was no answer within [`DEADLINE`].
    #[error("get an answer from {} within {} s", .codex.display(), DEADLINE.as_secs())]
    Deadline {
        /// The codex program.
        codex: PathBuf,
    },
    /// The program closed its stdout without an answer.
    #[error("get an answer from {}: it ended", .codex.display())]
    Ended {
        /// The codex program.
        codex: PathBuf,
    },
    /// The program answered that it cannot list hooks, as versions before 0.130 may.
    #[error("list the hooks of {}: {message}", .codex.display())]
    Refused {
        /// The codex program.
        codex: PathBuf,
        /// What it said.
        message: String,
    },
    /// The answer has another shape than the versions that are known.
    #[error("read the list of hooks of {}", .codex.display())]
    Shape {
        /// The codex program.
        codex: PathBuf,
        /// Where it differs.
        source: serde_json::Error,
    },
}

/// The hooks that codex sees in one directory.
///
/// Source: codex 0.130.0, 0.150.0, 0.169.0, `hooks/list`; `tests/global_hooks.rs`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HookList {
    /// In the order in which codex shows them.
    pub hooks: Vec<ListedHook>,
    /// What codex says about the configuration: a `hooks.json` that it refuses is a warning, and then no hook of it runs.
    pub warnings: Vec<String>,
    /// What went wrong while listing.
    #[serde(default)]
    pub errors: Vec<ListError>,
}

/// What went wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ListError {
    /// The file.
    pub path: PathBuf,
    /// What codex says.
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
    /// Runs: somebody reviewed it as it is.
    Trusted,
    /// Runs: an administrator configured it.
    Managed,
    /// Doesn't run: nobody has reviewed it.
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
    let mut child = Command::new(codex)
        .arg("app-server")
        .env("CODEX_HOME", codex_home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A group of its own: the npm package's program is a wrapper, and its child must end with it.
        .process_group(0)
        .spawn()
        .map_err(|source| Error::Start {
            codex: codex.to_owned(),
            source,
        })?;
    let answer = converse(&mut child, codex, cwd);
    // Still a zombie at worst, not reaped: the group's id cannot be another's yet.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let _ = child.wait();
    answer
}

fn converse(child: &mut Child, codex: &Path, cwd: &Path) -> Result<HookList, Error> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        unreachable!("both were requested as pipes");
    };
    let messages = read_messages(stdout);
    // The three lines fit into the pipe. Where codex has gone before reading them, the missing answer says so.
    let _ = stdin.write_all(requests(cwd).as_bytes());
    let answer = wait_answer(&messages, codex);
    drop(stdin);
    wait_end(&messages);
    answer
}

const LIST_ID: u64 = 1;

fn requests(cwd: &Path) -> String {
    let client =
        json!({"name": "cx-operator", "title": null, "version": env!("CARGO_PKG_VERSION")});
    [
        json!({"id": 0, "method": "initialize", "params": {"clientInfo": client}}),
        json!({"method": "initialized"}),
        json!({"id": LIST_ID, "method": "hooks/list", "params": {"cwds": [cwd.to_string_lossy()]}}),
    ]
    .map(|message| format!("{message}\n"))
    .concat()
}

/// Receives the messages of the child until the end of its stdout; lines that are no JSON are none.
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

fn wait_answer(messages: &Receiver<Value>, codex: &Path) -> Result<HookList, Error> {
    let codex = || codex.to_owned();
    let started = Instant::now();
    loop {
        let left = DEADLINE.saturating_sub(started.elapsed());
        let message = messages.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => Error::Deadline { codex: codex() },
            RecvTimeoutError::Disconnected => Error::Ended { codex: codex() },
        })?;
        // Notifications have no id.
        let Some(id) = message["id"].as_u64() else {
            continue;
        };
        if let Some(error) = message.get("error") {
            let said = error["message"].as_str().map(str::to_owned);
            return Err(Error::Refused {
                codex: codex(),
                message: said.unwrap_or_else(|| error.to_string()),
            });
        }
        if id == LIST_ID {
            return serde_json::from_value(message["result"]["data"][0].clone()).map_err(
                |source| Error::Shape {
                    codex: codex(),
                    source,
                },
            );
        }
    }
}

/// Waits until every process that holds the child's stdout has ended, [`GRACE`] at most.
fn wait_end(messages: &Receiver<Value>) {
    let started = Instant::now();
    while messages
        .recv_timeout(GRACE.saturating_sub(started.elapsed()))
        .is_ok()
    {}
}
