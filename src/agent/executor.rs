//! The words between an agent's module and the rooms above it: screens, forms, transcript lines, usage.

use serde::{Deserialize, Serialize};

use crate::tmux::Key;

/// What the screen means.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// Nothing to act on: blank, loading, in transition.
    Nothing,
    /// The composer takes a prompt.
    Ready {
        /// What stands in it.
        holds: Holds,
    },
    /// A turn runs.
    Working,
    /// A dialog is up.
    Dialog(DialogSight),
}

/// What stands in the composer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Nothing, or what the agent itself shows in an empty one.
    Nothing,
    /// The present prompt, whole, and nothing else.
    Prompt,
    /// Another text: somebody types, or the prompt has not arrived whole.
    Other,
}

/// A dialog, and what the agent's module advises.
#[derive(Clone, Debug, PartialEq)]
pub struct DialogSight {
    /// Which dialog, for people and for counting: `directory_trust`, `unknown`, …
    pub name: &'static str,
    /// Title, options and focus: changes when a key was taken.
    pub face: String,
    /// What to do.
    pub advice: Advice,
    /// The whole screen.
    pub screen: String,
}

/// What to do about a dialog.
#[derive(Clone, Debug, PartialEq)]
pub enum Advice {
    /// Press one key, then look again.
    Press(Key),
    /// Look again: it will go by itself.
    Wait,
    /// Nobody may answer it.
    Surface(&'static str),
    /// The same, of one that the agent's work doesn't wait for: somebody who looks on has opened it.
    Leave(&'static str),
    /// codex wants to be signed in.
    SignIn,
    /// A question of a form that nobody has answered yet, as it is drawn.
    Ask(Inquiry),
    /// A question of a form whose answers are known.
    Fill {
        /// Which one, from 1.
        number: usize,
        /// What to do.
        step: Step,
    },
    /// An approval: the policy decides.
    Approval {
        /// The command.
        command: String,
        /// Why, where it says so.
        reason: Option<String>,
        /// The key that leads to "yes".
        allow: Key,
    },
}

/// A question of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// The question.
    pub text: String,
    /// The answers that are offered, in their order.
    pub options: Vec<AnswerOption>,
}

/// A form's questions and what is answered, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    /// The questions, in their order.
    pub inquiries: &'a [Inquiry],
    /// The answers to the first of them; to all of them once they may be typed.
    pub answers: &'a [String],
}

/// The next step towards a form's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Press one key, then look again.
    Press(Key),
    /// Paste the text into the field for notes, then look again.
    Note(String),
    /// Look again: nothing is sure at the moment.
    Wait,
}

/// Whether codex may trust the repository that a task is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustPolicy {
    /// Trust it: the caller chose the repository and the commit.
    #[default]
    Accept,
    /// Leave it to the caller.
    Ask,
}

/// Why a turn failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnError {
    /// codex's words.
    pub message: String,
    /// codex's name of the error, for example `usage_limit_exceeded`; by its words, where it names none or `other`.
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

    /// A hook of the user's refused the prompt, for that reason.
    #[must_use]
    pub fn blocked_prompt(reason: &str) -> Self {
        let reason = if reason.is_empty() {
            "no reason given"
        } else {
            reason
        };
        Self {
            message: format!("a UserPromptSubmit hook blocked the prompt: {reason}"),
            kind: Some("prompt_blocked".to_owned()),
            http_status: None,
        }
    }
}

/// What a line says, as far as a run cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The first line of the file names its session; one that was forked off another has the other's line next.
    Session {
        /// The session's id.
        id: String,
        /// The session of the agent that made this one.
        parent: Option<String>,
        /// What that agent calls it.
        name: Option<String>,
        /// The version of codex.
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
        /// What the agent said last.
        message: String,
    },
    /// A turn ended without a message: an API error, a usage limit.
    TurnFailed {
        /// The turn.
        turn_id: String,
        /// What codex says of it, where it does.
        error: Option<TurnError>,
    },
    /// A turn was cut short, by Esc or a denied approval.
    TurnAborted {
        /// The turn, where it is named.
        turn_id: Option<String>,
        /// Why, for example `interrupted`.
        reason: String,
    },
    /// The tokens of the session so far.
    Tokens(Usage),
    /// The agent said something.
    Said {
        /// What its model calls it.
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
    /// Something ended that began in a turn.
    Ended {
        /// The id of its process, where it was a command.
        process: Option<String>,
    },
}

/// The tokens that a run used, as the transcript counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens sent.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// Of those sent, what the service had in its cache.
    #[serde(default)]
    pub cached_input_tokens: Option<u64>,
    /// Of those received, what the model thought with.
    #[serde(default)]
    pub reasoning_output_tokens: Option<u64>,
}

/// One of the answers that the agent offers with its question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerOption {
    /// The answer: said in reply, it is chosen.
    pub label: String,
    /// What it means, in the agent's words.
    #[serde(default)]
    pub description: String,
}

/// The part that a message plays in its turn, as the agent's model has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// It doesn't say.
    #[default]
    Unknown,
    /// Said on the way.
    Commentary,
    /// The last word.
    FinalAnswer,
}
