//! The text of an error: its condition or its operation, and its causes.

use std::error::Error as StdError;
use std::fmt;

/// The message of an operation's error: `failed to read /etc/hosts`. Every other error states a condition.
pub(crate) fn failed(operation: impl fmt::Display) -> String {
    format!("failed to {operation}")
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // A transparent variant repeats its cause.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
