//! Why tmux did not do what was asked.

use std::io;

use super::{ARGV_LIMIT, COMMAND_LIMIT};

/// Why tmux did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No `tmux` on PATH.
    #[error("find tmux on PATH")]
    Missing,
    /// The program could not be run, or the socket's lock not be taken.
    #[error("run tmux {verb}")]
    Io {
        /// The tmux command.
        verb: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// tmux answered with an error.
    #[error("run tmux {verb}: {message}")]
    Refused {
        /// The tmux command.
        verb: &'static str,
        /// What tmux said.
        message: String,
    },
    /// tmux did not answer within ten seconds.
    #[error("get an answer from tmux {verb} within {COMMAND_LIMIT:?}")]
    Hung {
        /// The tmux command.
        verb: &'static str,
    },
    /// A session of that name is there already.
    #[error("create the tmux session {name}: there is one of that name")]
    SessionExists {
        /// The session's name.
        name: String,
    },
    /// The agent's arguments exceed what tmux takes.
    #[error("start the agent with {bytes} bytes of arguments: tmux takes {ARGV_LIMIT}")]
    ArgumentsTooLong {
        /// Their length in bytes.
        bytes: usize,
    },
    /// tmux answered with something else than it was asked for.
    #[error("understand tmux {verb}: it printed {output:?}")]
    Unexpected {
        /// The tmux command.
        verb: &'static str,
        /// What it printed.
        output: String,
    },
}
