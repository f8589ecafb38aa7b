//! Why a name, a directory or a record could not be used.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a run's name, directory or record could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither `CX_OPERATOR_STATE`, `XDG_STATE_HOME` nor `HOME` says where state goes.
    #[error(
        "find a place for the records: none of CX_OPERATOR_STATE, XDG_STATE_HOME and HOME is an absolute path"
    )]
    NoStateDirectory,
    /// The state directory's path leaves no room for a socket's name.
    #[error(
        "use {path} as the state directory: tmux's socket path would have {length} bytes, and 107 is the limit"
    )]
    StatePathTooLong {
        /// The state directory.
        path: PathBuf,
        /// The socket path's length in bytes.
        length: usize,
    },
    /// The state directory can't be made or used.
    #[error("use {path} as the state directory")]
    StateUnusable {
        /// What was refused.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// No record answers to the name.
    #[error("find a run named `{name}`")]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// Several records answer to the name.
    #[error("tell which run `{name}` is: {candidates} records match")]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// How many match.
        candidates: usize,
    },
    /// An operator owns the run.
    #[error("take over the run {name}: its operator lives")]
    Alive {
        /// The run's id.
        name: String,
    },
    /// A newer version of this program wrote the run's journal.
    #[error("understand the run {name}: a newer cx-operator wrote it")]
    Newer {
        /// The run's id.
        name: String,
    },
    /// A record is there and can't be read as one.
    #[error("read the record {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// The operating system refused.
    #[error("{what} {path}")]
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
