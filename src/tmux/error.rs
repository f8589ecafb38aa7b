//! Why tmux did not do what was asked.

use std::io;

use super::{ARGV_LIMIT, COMMAND_LIMIT};
use crate::os::chain::failed;

/// Why tmux did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No `tmux` on PATH.
    #[error("tmux is missing: no `tmux` on PATH")]
    Missing,
    /// The program could not be run, or the socket's lock not be taken.
    #[error("{}", failed(format_args!("run tmux {verb}")))]
    Io {
        /// The tmux command.
        verb: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// tmux answered with an error.
    #[error("{}", failed(format_args!("run tmux {verb}: {message}")))]
    Refused {
        /// The tmux command.
        verb: &'static str,
        /// The message of tmux.
        message: String,
    },
    /// tmux did not answer within ten seconds.
    #[error("tmux {verb} did not end within {COMMAND_LIMIT:?}")]
    Hung {
        /// The tmux command.
        verb: &'static str,
    },
    /// A session of that name is there already.
    #[error("a tmux session named {name} exists already")]
    SessionExists {
        /// The session's name.
        name: String,
    },
    /// The agent's arguments exceed what tmux takes.
    #[error("the agent's arguments have {bytes} bytes; tmux takes at most {ARGV_LIMIT}")]
    ArgumentsTooLong {
        /// Their length in bytes.
        bytes: usize,
    },
    /// tmux answered with something else than it was asked for.
    #[error("tmux {verb} printed something unexpected: {output:?}")]
    Unexpected {
        /// The tmux command.
        verb: &'static str,
        /// Its output.
        output: String,
    },
}
