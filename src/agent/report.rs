//! Reports of hooks and transcripts on a turn, in words that all executors share.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::agent::screen_state::Inquiry;
use crate::policy::Request;

/// The report of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The session.
    pub session: String,
    /// The turn, where the event belongs to one.
    pub turn_id: Option<String>,
    /// The agent within the session, where it is one that the session's own agent made; the transcript is then its own.
    pub agent_id: Option<String>,
    /// The session's transcript, a file that may not be there yet.
    pub transcript: Option<PathBuf>,
    /// The working directory of the session.
    pub cwd: Option<PathBuf>,
    /// The event.
    pub event: Reported,
}

/// A call of a tool, as the hook before it tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Call {
    /// What a policy judges.
    pub request: Request,
    /// The command, or the tool and what it is about: as a permission is asked for.
    pub command: String,
    /// Whether the agent asks for leave; else it is about to do it without.
    pub asked: bool,
}

/// The line by which a hook before a tool's call forbids it. The programs have it in common.
///
/// Source: codex 0.169.0, Claude Code 2.1.332, `tests/scenarios/policies.rs`.
pub(crate) fn forbidding(message: &str) -> String {
    let event = serde_json::json!({
        "hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": message,
    });
    serde_json::json!({"hookSpecificOutput": event}).to_string()
}

/// The event that a hook reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reported {
    /// A session began.
    Session {
        /// `startup`, `resume`, `clear`, …
        source: String,
    },
    /// A prompt was submitted.
    Prompt {
        /// The whole text.
        prompt: String,
    },
    /// A permission is asked for.
    Permission {
        /// The command.
        command: String,
        /// Why, where the agent says so.
        reason: Option<String>,
    },
    /// The agent asks by a form, which its hook can answer.
    Form {
        /// The call's id, as the transcript has it too.
        call: String,
        /// Its questions.
        inquiries: Vec<Inquiry>,
    },
    /// A turn ends.
    Stop {
        /// The agent's last message.
        message: Option<String>,
    },
    /// A turn failed.
    Failure {
        /// Why.
        error: TurnError,
    },
}

/// Why a turn failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnError {
    /// The program's words.
    pub message: String,
    /// The program's name of the error, for example `usage_limit_exceeded`; by its words, where it names none or `other`.
    pub kind: Option<String>,
    /// The HTTP status behind it, where one is known.
    pub http_status: Option<u16>,
}

impl TurnError {
    /// An error of which nothing but a sentence is known.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind: None,
            http_status: None,
        }
    }

    /// A hook of the user's for prompts or for the start of a session refused the prompt, for that reason.
    #[must_use]
    pub fn blocked_prompt(reason: &str) -> Self {
        let reason = if reason.is_empty() {
            "no reason given"
        } else {
            reason
        };
        Self {
            message: format!("a hook of the user's blocked the prompt: {reason}"),
            kind: Some("prompt_blocked".to_owned()),
            http_status: None,
        }
    }

    /// A hook of the user's stopped the turn, for that reason: one that runs before a compaction, say.
    #[must_use]
    pub fn stopped_by_hook(reason: &str) -> Self {
        let reason = if reason.is_empty() {
            "no reason given"
        } else {
            reason
        };
        Self {
            message: format!("a hook of the user's stopped the turn: {reason}"),
            kind: Some("hook_stopped".to_owned()),
            http_status: None,
        }
    }
}

/// The meaning of a transcript line, as far as a run needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The first line of the file names its session; one that was forked off another has the other's line next.
    Session {
        /// The session's id.
        id: String,
        /// The session of the agent that made this one.
        parent: Option<String>,
        /// That agent's name for it.
        name: Option<String>,
        /// The version of the program.
        version: Option<String>,
    },
    /// A turn began.
    TurnStarted {
        /// The turn.
        turn_id: String,
    },
    /// A turn ended well; its Stop hook has run.
    TurnCompleted {
        /// The turn.
        turn_id: String,
        /// The agent's last message.
        message: String,
    },
    /// A turn ended without a message: an API error, a usage limit.
    TurnFailed {
        /// The turn.
        turn_id: String,
        /// The program's message, if there is one.
        error: Option<TurnError>,
    },
    /// A turn was cut short, by Esc or a denied approval.
    TurnAborted {
        /// The turn, where it is named.
        turn_id: Option<String>,
        /// Why, for example `interrupted`.
        reason: String,
    },
    /// A hook of the user's refused a prompt, for that reason; that ends the turn which the prompt would have begun.
    Refused {
        /// The hook's words.
        reason: String,
    },
    /// The agent was told something by the user within the turn.
    Steered {
        /// The text.
        text: String,
    },
    /// The tokens of the session so far.
    Tokens(Usage),
    /// The agent said something. A turn's last message counts as one from before its last call where this is not told.
    Said {
        /// The model's phase of it.
        phase: Phase,
    },
    /// The agent called a tool.
    Called {
        /// The call's id and its command, where it has one.
        command: Option<(String, String)>,
    },
    /// The agent called the tool that asks by a form.
    Inquired {
        /// The call's id.
        call: String,
        /// Its questions.
        inquiries: Vec<Inquiry>,
        /// Whether its hook asks them too, and can answer.
        is_hooked: bool,
    },
    /// A tool returned.
    Returned {
        /// The call's id.
        call: String,
        /// The process that the call left running.
        running: Option<String>,
        /// Why the call was refused.
        refused: Option<String>,
        /// The session of the sub-agent that the call made, and what it is called.
        made: Option<(String, String)>,
    },
    /// A step of a turn is done.
    Item {
        /// The program's name of the step.
        id: String,
        /// The step.
        item: Item,
    },
    /// Something ended that began in a turn.
    Ended {
        /// The id of its process, where it was a command.
        process: Option<String>,
    },
    /// A tool needed an approval and was refused: by its hook, or by the program itself where it asks nobody.
    Denied {
        /// The command, or the change in words.
        command: String,
    },
    /// A trouble that the program tries to get over: a connection that is tried again, say.
    Trouble(String),
}

/// A reader of a transcript's lines, which follow one another.
pub trait TranscriptReader: fmt::Debug + Send + Sync {
    /// The meaning of the next line: nothing, where it says nothing of a turn's course.
    fn read(&mut self, line: &str) -> Vec<Line>;
}

/// A reader of lines each of which has its meaning by itself.
#[cfg(feature = "scripted-agent")]
#[derive(Debug)]
pub struct EachLine(pub fn(&str) -> Option<Line>);

#[cfg(feature = "scripted-agent")]
impl TranscriptReader for EachLine {
    fn read(&mut self, line: &str) -> Vec<Line> {
        (self.0)(line).into_iter().collect()
    }
}

/// The tokens that a run used, as the transcript counts them.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens sent.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// Of those sent, what the service had in its cache.
    pub cached_input_tokens: Option<u64>,
    /// Of those sent, what the service put into its cache, where that is counted apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_input_tokens: Option<u64>,
    /// Of those received, what the model thought with.
    pub reasoning_output_tokens: Option<u64>,
}

impl Usage {
    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        self.combined(other, u64::saturating_add)
    }

    /// This one without the other, which is a part of it.
    pub(crate) fn minus(self, other: Self) -> Self {
        self.combined(other, u64::saturating_sub)
    }

    fn combined(self, other: Self, each: fn(u64, u64) -> u64) -> Self {
        let known = |own: Option<u64>, other: Option<u64>| match (own, other) {
            (None, None) => None,
            (own, other) => Some(each(own.unwrap_or_default(), other.unwrap_or_default())),
        };
        Self {
            input_tokens: each(self.input_tokens, other.input_tokens),
            output_tokens: each(self.output_tokens, other.output_tokens),
            total_tokens: each(self.total_tokens, other.total_tokens),
            cached_input_tokens: known(self.cached_input_tokens, other.cached_input_tokens),
            cache_write_input_tokens: known(
                self.cache_write_input_tokens,
                other.cache_write_input_tokens,
            ),
            reasoning_output_tokens: known(
                self.reasoning_output_tokens,
                other.reasoning_output_tokens,
            ),
        }
    }
}

/// The part that a message plays in its turn, as the agent's model has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "cli",
    derive(clap::ValueEnum),
    value(rename_all = "snake_case")
)]
pub enum Phase {
    /// It doesn't say.
    #[default]
    #[cfg_attr(feature = "cli", value(skip))]
    Unknown,
    /// Said on the way.
    Commentary,
    /// The last word.
    FinalAnswer,
}

/// A step of a turn that is done, as the journal keeps it. Texts are cut to 4,000 bytes.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Item {
    /// A command ran, or was refused.
    Command {
        /// The command.
        command: String,
        /// Its exit status; absent where it did not run or still runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
        /// How long it ran, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
        /// The program's word for how it went: `completed`, `failed`, `declined`, …
        outcome: String,
    },
    /// Files were changed with the agent's own tool.
    FileChange {
        /// The first 50 of their paths.
        paths: Vec<String>,
        /// How many there are.
        count: usize,
        /// The program's word for how it went.
        outcome: String,
    },
    /// A tool of a server was called.
    Tool {
        /// Server and tool: `files/read`.
        name: String,
        /// The program's word for how it went.
        outcome: String,
    },
    /// The agent said something.
    Message {
        /// The text.
        text: String,
    },
}

impl Item {
    /// The longest text of an item, in bytes.
    pub(crate) const LIMIT: usize = 4_000;
    /// The largest number of paths that an item lists.
    pub(crate) const PATHS: usize = 50;
}

/// At most [`Item::LIMIT`] bytes of a text.
pub(crate) fn cut(text: &str) -> String {
    match text
        .char_indices()
        .find(|(at, c)| at + c.len_utf8() > Item::LIMIT)
    {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
