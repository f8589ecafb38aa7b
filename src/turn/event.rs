//! Input and output of a [`Machine`](super::Machine).

use std::path::PathBuf;

use super::End;
use super::classify::Evidence;
use crate::agent::report::TurnError;
use crate::agent::screen_state::{Inquiry, ScreenState};
use crate::agent::signals::SignalFile;
use crate::task::question::{Answer, Question};
use crate::tmux::Key;

/// The side of the agent that waits for the decision on an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A hook, which passes without a decision; others may decide.
    Hook(SignalFile),
    /// The program itself, by the request of that id.
    Request(String),
    /// None: the program has refused it by itself.
    Nobody,
}

/// The event.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The agent takes a prompt, as its server for requests does at any time.
    Ready,
    /// The screen was read.
    Screen(ScreenState),
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
        /// The side that waits for the decision.
        asker: Asker,
        /// The command.
        command: String,
        /// Why, where it says so.
        reason: Option<String>,
    },
    /// A person decided in the agent's terminal, or the agent withdrew what it had asked.
    PermissionClosed {
        /// The side that waited.
        asker: Asker,
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
        /// The agent's last message.
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
        /// The agent's last message.
        message: Option<String>,
        /// The evidence of the turn beside it.
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
        /// Its questions, in their order; at least one.
        inquiries: Vec<Inquiry>,
        /// Whether the answers are given by a word, of a hook or a request, and not by keys.
        is_typed: bool,
    },
    /// Such a form was closed, answered or not.
    InquiryClosed {
        /// The call's id.
        call: String,
    },
    /// A person cut a turn short.
    TurnAborted {
        /// The turn, where it is named.
        turn_id: Option<String>,
        /// `interrupted`, …
        reason: String,
    },
    /// A hook got a malformed event.
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
    /// Another process tells the agent something.
    Message {
        /// The message's id.
        id: String,
        /// The text, as it is submitted.
        text: String,
        /// Whether it is told within the turn that runs.
        at_once: bool,
    },
    /// The agent was told something within its turn.
    Steered {
        /// The text.
        text: String,
    },
    /// The program did not take the message that was told within the turn.
    NotSteered,
    /// The user or the parent wants the run to end.
    Cancelled {
        /// By what: `SIGINT`, `SIGTERM`, `cancelled`.
        by: String,
    },
    /// The budget is used up, as [`Machine::note_spent`](super::Machine::note_spent) was told.
    Spent,
    /// The time of [`Machine::deadline`](super::Machine::deadline) has come.
    Deadline,
}

/// A reaction of the machine.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Reaction {
    /// Nothing.
    Wait,
    /// Nothing, and the journal says why.
    Ignore(&'static str),
    /// Paste the text, and press nothing: it is looked at first.
    Paste(String),
    /// Keep the text as the next prompt, and type nothing: the program has it, and submits it by itself.
    Expect(String),
    /// Tell the agent a message within its turn: by a request, or typed, and nothing is pressed then.
    Steer {
        /// The message's id.
        id: String,
        /// The text.
        text: String,
    },
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
        /// The side that waits.
        asker: Asker,
        /// [`Answer::Allow`] or [`Answer::Deny`]; a text leaves it to others: hooks of the user's, the agent's dialog.
        answer: Answer,
        /// The approval that was asked for in the meantime.
        next: Option<Question>,
    },
    /// Answer a form, whose answers are all there.
    Fill {
        /// The call's id.
        call: String,
        /// The answers, in the order of the questions.
        answers: Vec<String>,
    },
    /// The run is over.
    End(Box<End>),
}
