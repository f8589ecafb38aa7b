//! Starting a run, or taking one over, that a process of its own drives: the supervising process, which is this program again.
//!
//! What it is to do comes on its stdin, so that nobody reads it in a list of processes; on its stdout it says in lines how the
//! start goes. It outlives its caller, whatever becomes of that.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::error::{Error, io as io_error};
use crate::os::given;
use crate::record::{Failure, Outcome};
use crate::task::name::RunId;

/// What a supervising process is to do: a command line, and the brief where it has one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    arguments: Vec<Vec<u8>>,
    pub(crate) prompt: String,
}

impl Order {
    /// The order to carry out that command line, program first, with that brief.
    pub(crate) fn new(arguments: impl IntoIterator<Item = OsString>, prompt: &str) -> Self {
        let arguments = arguments.into_iter().map(OsStringExt::into_vec);
        Self {
            arguments: arguments.collect(),
            prompt: prompt.to_owned(),
        }
    }

    /// Reads the order of this process, to the end of stdin.
    pub(crate) fn read() -> io::Result<Self> {
        let mut text = Vec::new();
        io::stdin().lock().read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// The command line.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = OsString> {
        let arguments = self.arguments.iter();
        arguments.map(|argument| OsString::from_vec(argument.clone()))
    }
}

/// The document of a run that goes on without its caller.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Detached {
    /// 1.
    pub(crate) schema_version: u32,
    /// The run's id.
    pub(crate) run_id: String,
    /// The task's name.
    pub(crate) task: String,
    /// `running`, or `queued` where the run waits for others; what a run does that an earlier call with the same key began, or how
    /// one ended that was to be taken over.
    pub(crate) status: String,
    /// The run's directory, once there is one.
    pub(crate) run_dir: Option<PathBuf>,
}

/// How the start of a run went.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Start {
    /// It is under way, and nobody has to wait for it.
    UnderWay {
        /// The run's id.
        run_id: String,
        /// `running`, `queued`, or what became of the run that an earlier call with the same key began.
        status: String,
        /// Its directory, once there is one.
        run_dir: Option<PathBuf>,
    },
    /// It is over.
    Over(Box<Outcome>),
    /// There is none.
    Refused(Failure),
}

/// A line of what a supervising process says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// The id that the run has or will have.
    Named(String),
    /// The last one.
    Start(Start),
}

/// Tells the caller the id of the run that is about to begin.
pub(crate) fn say_name(run: &RunId) {
    Line::Named(run.to_string()).say();
}

/// Tells the caller how the start went.
pub(crate) fn say_start(start: Start) {
    Line::Start(start).say();
}

impl Line {
    /// One whose caller is gone is not missed.
    fn say(&self) {
        let mut line = serde_json::to_string(self).expect("it has string keys only");
        line.push('\n');
        let mut stdout = io::stdout().lock();
        let said = stdout
            .write_all(line.as_bytes())
            .and_then(|()| stdout.flush());
        if let Err(error) = said {
            tracing::info!(%error, "the caller is gone");
        }
    }
}

/// A supervising process at its start. Dropped, the process goes on.
#[derive(Debug)]
pub(crate) struct Supervising {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    /// The id of its run, once it has said it.
    pub(crate) run_id: Option<String>,
}

impl Supervising {
    /// Starts it. `task` is for lists of processes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) async fn start(order: &Order, task: &str) -> Result<Self, Error> {
        let mut child = Command::new(given::program().map_err(io_error("find this program"))?)
            .args(["supervise", task])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(io_error("start the supervising process"))?;
        let text = serde_json::to_vec(order).expect("an order has string keys only");
        if let Some(mut stdin) = child.stdin.take() {
            // One that has ended already is heard of by its silence.
            let _ended = stdin.write_all(&text).await;
        }
        let said = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
        Ok(Self {
            child,
            said,
            run_id: None,
        })
    }

    /// Its process, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for its word on the start. Nothing is lost where this is dropped before.
    ///
    /// # Errors
    /// [`Error::Io`], also where it ended without a word.
    pub(crate) async fn hear(&mut self) -> Result<Start, Error> {
        loop {
            let line = self.said.next_line().await;
            let line = line.map_err(io_error("hear of the supervising process"))?;
            match serde_json::from_str(&line.unwrap_or_default()) {
                Ok(Line::Named(run_id)) => self.run_id = Some(run_id),
                Ok(Line::Start(start)) => return Ok(start),
                Err(_) => break,
            }
        }
        let how = self.child.wait().await;
        let how = how.map_err(io_error("wait for the supervising process"))?;
        let died = io::Error::other(format!("it ended ({how}) before the agent had the prompt"));
        let what =
            "start the run in a process of its own; `cx-operator list` tells what came of it";
        Err(io_error(what)(died))
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) {
        let _how = self.child.wait().await;
    }
}
