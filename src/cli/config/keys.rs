//! The keys of a table of settings. Each but those of the notifications is an option of `delegate`.

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue};

use super::super::Cli;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A whole number.
    Count,
    /// A number of US dollars.
    Money,
    /// A file or a directory.
    Place,
    /// A preset, or a file.
    Policy,
    /// A program on PATH, or a file.
    Program,
    /// A command with its arguments.
    Words,
}

impl Kind {
    /// What a value must be, in words.
    pub(super) fn wanted(self) -> &'static str {
        match self {
            Self::Count => "a whole number",
            Self::Money => "a number of US dollars",
            Self::Words => "an array of texts: a program and its arguments",
            _ => "a text",
        }
    }
}

/// A key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether it means something to one executor only.
    pub(super) is_bound: bool,
}

impl Key {
    /// Whether it is an option of the command line too.
    pub(super) fn is_option(&self) -> bool {
        !NOTIFICATIONS.contains(&self.name)
    }
}

pub(super) const EXECUTOR: &str = "executor";
pub(super) const ON_WAITING: &str = "on_waiting";
pub(super) const ON_FINISHED: &str = "on_finished";
pub(super) const NOTIFY_TIMEOUT: &str = "notify_timeout";

const NOTIFICATIONS: [&str; 3] = [ON_WAITING, ON_FINISHED, NOTIFY_TIMEOUT];

const fn key(name: &'static str, kind: Kind) -> Key {
    Key {
        name,
        kind,
        is_bound: false,
    }
}

/// One that is left out where another executor is chosen than the table's own.
const fn bound(name: &'static str, kind: Kind) -> Key {
    Key {
        name,
        kind,
        is_bound: true,
    }
}

/// All of them.
pub(super) const KEYS: [Key; 28] = [
    key(EXECUTOR, Kind::Text),
    bound("program", Kind::Program),
    bound("model", Kind::Text),
    bound("agent_profile", Kind::Text),
    bound("drive", Kind::Text),
    key("sandbox", Kind::Text),
    key("ask", Kind::Text),
    key("trust", Kind::Text),
    key("permissions", Kind::Text),
    key("policy", Kind::Policy),
    key("answers", Kind::Place),
    key("responder", Kind::Text),
    key("responder_timeout", Kind::Text),
    key("wait_for_reply", Kind::Text),
    key("max_turns", Kind::Count),
    key("max_tokens", Kind::Count),
    key("max_cost", Kind::Money),
    key("startup_timeout", Kind::Text),
    key("turn_timeout", Kind::Text),
    key("timeout", Kind::Text),
    key("linger", Kind::Text),
    key("queue_timeout", Kind::Text),
    key("max_parallel", Kind::Count),
    key("keep", Kind::Text),
    key("worktree_root", Kind::Place),
    key(ON_WAITING, Kind::Words),
    key(ON_FINISHED, Kind::Words),
    key(NOTIFY_TIMEOUT, Kind::Text),
];

pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether an option of `delegate` takes that value, as the command line would.
pub(super) fn check_option(key: &str, value: &str) -> Result<(), String> {
    let option = format!("--{}={value}", key.replace('_', "-"));
    let words = ["cx-operator", "delegate", "--task", "t", &option];
    match Cli::command().try_get_matches_from(words) {
        Ok(_) => Ok(()),
        Err(error) => Err(mistake(&error)),
    }
}

/// What is wrong with a value, without the command line around it.
fn mistake(error: &clap::Error) -> String {
    if let Some(ContextValue::Strings(valid)) = error.get(ContextKind::ValidValue)
        && !valid.is_empty()
    {
        return format!("it must be one of: {}", valid.join(", "));
    }
    let source = std::error::Error::source(error).map(ToString::to_string);
    source.unwrap_or_else(|| error.kind().to_string())
}
