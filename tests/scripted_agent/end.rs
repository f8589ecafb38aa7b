//! Why the program ends.

use std::path::PathBuf;

/// The end of the program: the asked-for exit, or what went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// Somebody asked it to end: `/exit`, Ctrl-C, the script.
    #[error("exit with status {0}")]
    Exit(u8),
    /// Stdin is not a terminal; in codex's own words.
    #[error("stdin is not a terminal")]
    NotATerminal,
    /// The script cannot be parsed.
    #[error("script line {line}: {reason}")]
    Script { line: usize, reason: String },
    /// Something happened that the script did not expect.
    #[error("expected {expected}, got {got}")]
    Unexpected { expected: String, got: String },
    /// What was awaited did not come within the limit.
    #[error("waited {seconds} s for {what}")]
    Late { what: String, seconds: u64 },
    /// A dialog's option was chosen that no driver may choose.
    #[error("a driver must not choose {0}")]
    Forbidden(String),
    /// A command line value or a configuration file is not what codex would accept.
    #[error("invalid configuration: {0}")]
    Config(String),
    /// A command of the script failed.
    #[error("`{command}` ended with {status}")]
    Command { command: String, status: String },
    /// A file or process could not be used.
    #[error("could not use {path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl End {
    /// Wraps an I/O error with the path or program it concerns.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
