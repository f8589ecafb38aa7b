//! What a [`Machine`](super::Machine) is told, and what it says.

use std::path::PathBuf;

use super::End;
use super::classify::Evidence;
use crate::agent::codex::transcript::TurnError;
use crate::run::AnswerOption;
use crate::signals::SignalFile;
use crate::tmux::Key;

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The screen was read.
    Screen(Sight),
    /// A session began.
    SessionStarted {
        /// Whose event it is.
        session: String,
        /// Its working directory.
        cwd: Option<PathBuf>,
        /// `startup`, `clear`, …
        source: String,
    },
    /// A prompt was really submitted.
    PromptSubmitted {
        /// Whose event it is.
        session: String,
        /// The turn that begins.
        turn_id: Option<String>,
        /// Its working directory.
        cwd: Option<PathBuf>,
        /// The whole text.
        prompt: String,
    },
    /// The agent wants an approval.
    PermissionAsked {
        /// Whose event it is.
        session: String,
        /// The hook that waits for the decision.
        signal: SignalFile,
        /// The command.
        command: String,
        /// Why, where it says so.
        reason: Option<String>,
    },
    /// The transcript says that a turn began.
    TurnBegan {
        /// The turn.
        turn_id: String,
    },
    /// The Stop hook ran. Hooks of the user's may still be at work, or have the turn go on.
    TurnStopping {
        /// Whose event it is.
        session: String,
        /// The turn.
        turn_id: Option<String>,
        /// What the agent said last.
        message: Option<String>,
    },
    /// Whether something is at work that a turn began and that outlives it: sub-agents, commands.
    LeftAtWork(bool),
    /// The transcript can't be read any more.
    TranscriptLost,
    /// An agent that the agent made reported something else than a permission it wants.
    SubAgent {
        /// Which one.
        agent: String,
        /// Of what.
        what: &'static str,
    },
    /// A turn ended by itself, all its hooks included.
    TurnStopped {
        /// Whose event it is.
        session: String,
        /// The turn.
        turn_id: Option<String>,
        /// What the agent said last.
        message: Option<String>,
        /// What was seen of the turn beside it.
        evidence: Evidence,
    },
    /// A turn failed.
    TurnFailed {
        /// The turn.
        turn_id: String,
        /// Why.
        error: Option<TurnError>,
    },
    /// The agent asks within its turn, by a form that its program shows.
    Inquired {
        /// The call's id.
        call: String,
        /// What it asks, one after the other; at least one.
        inquiries: Vec<Inquiry>,
    },
    /// Such a form was closed, answered or not.
    InquiryClosed {
        /// The call's id.
        call: String,
    },
    /// A turn was cut short by somebody.
    TurnAborted {
        /// The turn, where it is named.
        turn_id: Option<String>,
        /// `interrupted`, …
        reason: String,
    },
    /// A hook got something that is no event.
    Malformed {
        /// The file that keeps it.
        file: String,
        /// Its beginning.
        content: String,
    },
    /// The agent's program ended.
    AgentExited {
        /// Its exit status, where one is known; 128 + n after signal n.
        code: Option<i32>,
        /// The last screen.
        screen: String,
    },
    /// The responder is done with a question.
    Answered(Question, Option<Answer>),
    /// The user or the parent wants the run to end.
    Cancelled {
        /// By what: `SIGINT`, `SIGTERM`, `cancelled`.
        by: &'static str,
    },
    /// The time of [`Machine::deadline`](super::Machine::deadline) has come.
    Deadline,
}

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

/// What the responder is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// `question`, `unclear` or `permission`.
    pub kind: QuestionKind,
    /// The message, or the command.
    pub text: String,
    /// Why an approval is wanted, where the agent says so.
    pub reason: Option<String>,
    /// What the agent offers to choose from; none but where it asks by a form. Another text is an answer, too.
    pub options: Vec<AnswerOption>,
    /// The turn, from 1.
    pub turn: u32,
}

/// What kind of answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuestionKind {
    /// The agent's turn ended with a question, or it asks by a form within its turn.
    Question,
    /// The agent's turn ended with a request for permission, in words.
    Request,
    /// The agent's turn ended with something that can't be told.
    Unclear,
    /// The agent waits for an approval within its turn.
    Permission,
}

impl QuestionKind {
    /// The name in records and in a responder's JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Unclear => "unclear",
            Self::Request | Self::Permission => "permission",
        }
    }

    /// Whether that is an answer at all: a decision is none to a question, nor is a text one to an approval.
    pub(crate) fn takes(self, answer: &Answer) -> bool {
        match self {
            Self::Question | Self::Unclear => matches!(answer, Answer::Text(_)),
            Self::Request => true,
            Self::Permission => !matches!(answer, Answer::Text(_)),
        }
    }
}

/// What a responder says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The next prompt.
    Text(String),
    /// Yes, to an approval.
    Allow,
    /// No, to an approval, with a word to the agent.
    Deny(String),
}

impl Answer {
    /// As records have it: the text, `allow` or `deny …`.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Allow => "allow".to_owned(),
            Self::Deny(why) => format!("deny {why}").trim_end().to_owned(),
        }
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Reaction {
    /// Nothing.
    Wait,
    /// Nothing, and the journal says why.
    Ignore(&'static str),
    /// Paste the text, and press nothing: it is looked at first.
    Paste(String),
    /// Press one key, for that dialog.
    Press(Key, &'static str),
    /// Paste the text into the field for notes of a form.
    Note(String),
    /// Read the screen.
    Look,
    /// Ask the responder.
    Ask(Question),
    /// Let a permission hook print the decision, then ask the responder about the next.
    Decide {
        /// The hook that waits.
        hook: SignalFile,
        /// [`Answer::Allow`] or [`Answer::Deny`]; a text leaves it to others: hooks of the user's, the agent's dialog.
        answer: Answer,
        /// The approval that was asked for meanwhile.
        next: Option<Question>,
    },
    /// The run is over.
    End(Box<End>),
}
