//! Why a name, a directory or a record could not be used.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::os::chain::failed;

/// Why a run's name, directory or record could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither `CX_OPERATOR_STATE`, `XDG_STATE_HOME` nor `HOME` names a state directory.
    #[error(
        "no state directory is known: none of CX_OPERATOR_STATE, XDG_STATE_HOME and HOME is an absolute path"
    )]
    NoStateDirectory,
    /// The state directory's path leaves no room for a socket's name.
    #[error(
        "the path of the state directory {path} is too long: tmux's socket path would have {length} bytes, and 107 is the limit"
    )]
    StatePathTooLong {
        /// The state directory.
        path: PathBuf,
        /// The socket path's length in bytes.
        length: usize,
    },
    /// The state directory can't be made or used.
    #[error("the state directory {path} can't be used")]
    StateUnusable {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// No record answers to the name.
    #[error("no run is named `{name}`")]
    NotFound {
        /// The name as given.
        name: String,
    },
    /// Several records answer to the name.
    #[error("`{name}` is ambiguous: it names {candidates} runs")]
    Ambiguous {
        /// The name as given.
        name: String,
        /// How many match.
        candidates: usize,
    },
    /// An operator owns the run.
    #[error("the operator of the run {name} is alive")]
    Alive {
        /// The run's id.
        name: String,
    },
    /// A newer version of this program wrote the run's journal.
    #[error("a newer cx-operator wrote the run {name}")]
    Newer {
        /// The run's id.
        name: String,
    },
    /// The run has ended.
    #[error("the run {name} has ended")]
    Ended {
        /// The run's id.
        name: String,
    },
    /// The run doesn't ask that question now.
    #[error("the run {name} does not ask the question {question}: {}", .open.as_ref().map_or_else(|| "it asks none now".to_owned(), |open| format!("it asks {open} now")))]
    NotAsked {
        /// The run's id.
        name: String,
        /// The question that was answered.
        question: String,
        /// The question that is open.
        open: Option<String>,
    },
    /// The question has an answer, on its way to the agent.
    #[error("the question {question} of the run {name} has an answer already")]
    Answered {
        /// The run's id.
        name: String,
        /// The question.
        question: String,
    },
    /// The question takes another kind of answer.
    #[error("the question {question} of the run {name} takes another answer: {accepts}")]
    NotAccepted {
        /// The run's id.
        name: String,
        /// The question.
        question: String,
        /// The kinds that it takes.
        accepts: String,
    },
    /// The commit that the run left is not kept any more.
    #[error("the result of the run {name} is not kept any more")]
    ResultGone {
        /// The run's id.
        name: String,
    },
    /// The agent of the run has its one prompt, and takes nothing more.
    #[error("{executor}, which runs {name}, is headless: it takes no message after its prompt")]
    TakesNoMessage {
        /// The run's id.
        name: String,
        /// The executor's name.
        executor: &'static str,
    },
    /// Nobody drives the run: its operator died.
    #[error("the operator of the run {name} died")]
    Dead {
        /// The run's id.
        name: String,
    },
    /// A record is there and can't be read as one.
    #[error("{}", failed(format_args!("read the record {}", path.display())))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The parser's message.
        #[source]
        source: serde_json::Error,
    },
    /// The operating system refused.
    #[error("{}", failed(format_args!("{what} {}", path.display())))]
    Io {
        /// The attempt, as a verb.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

pub(crate) fn io_error<'a>(
    what: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> Error + use<'a> {
    move |source| Error::Io {
        what,
        path: path.to_owned(),
        source,
    }
}
