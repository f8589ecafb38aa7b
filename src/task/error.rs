//! Why an order is invalid: its name, its prompt, or the file of its answers.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::os::chain::failed;
use crate::task::prompt::LIMIT;

/// Why a part of a task is invalid.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The name breaks a rule.
    #[error("`{name}` is invalid as a task's name: {why}")]
    Name {
        /// The name as given.
        name: String,
        /// The rule.
        why: &'static str,
    },
    /// The prompt is empty.
    #[error("the prompt is empty")]
    PromptEmpty,
    /// The prompt exceeds 1 MiB.
    #[error("the prompt has {bytes} bytes; at most {LIMIT} are allowed")]
    PromptTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The prompt is not UTF-8.
    #[error("the prompt is not UTF-8 from byte {at} on")]
    PromptNotUtf8 {
        /// Where it stops being UTF-8.
        at: usize,
    },
    /// The answers file can't be read.
    #[error("{}", failed(format_args!("read the answers file {}", path.display())))]
    AnswersUnreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The answers file is no TOML of the right shape.
    #[error("the answers file {path} is invalid: {message}")]
    AnswersInvalid {
        /// The file.
        path: PathBuf,
        /// The mistake and its place.
        message: String,
    },
    /// A pattern of the answers file is not a regular expression.
    #[error("the pattern `{pattern}` in the answers file {path} is invalid: {message}")]
    AnswersPattern {
        /// The file.
        path: PathBuf,
        /// The pattern.
        pattern: String,
        /// The mistake.
        message: String,
    },
}
