//! The way in which a run talks to an agent's program: by keys in its terminal, by typed requests to its server, or not at
//! all, where a headless program gets one prompt and prints what becomes of it.
//!
//! [`Conversation`] is the latter. It tells of turns in the words of [`report`](super::report), so that the rooms above see
//! the same events whichever way a run goes.

use std::fmt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use thiserror::Error;

pub use super::options::Drive;
use super::options::Options;
use super::refusal::Refusal;
use super::report::{Item, Line};
use super::screen_state::Inquiry;
use super::signals::Decision;

/// The way in which a headless program is driven.
///
/// # Errors
/// Another way is wanted: why it is not possible.
pub(crate) fn headless_drive(options: &Options) -> Result<Drive, String> {
    match options.drive {
        Drive::Auto | Drive::Headless => Ok(Drive::Headless),
        Drive::Keys | Drive::Requests => Err(format!(
            "{} is headless, and can't be driven by {}: leave --drive out",
            options.executor.name(),
            options.drive.as_str()
        )),
    }
}

/// The terms of a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The socket of the program's server.
    pub socket: &'a Path,
    /// The caller's options.
    pub options: &'a Options,
    /// The top of the worktree.
    pub worktree: &'a Path,
    /// Where in it the agent works.
    pub directory: &'a Path,
    /// The agent's environment; not known where a lost conversation is continued.
    pub environment: &'a [(String, String)],
    /// The name that the session gets in the program's own lists.
    pub name: &'a str,
    /// The session to continue; `None` for a new one.
    pub session: Option<&'a str>,
}

/// A typed conversation with an agent's program.
#[async_trait]
pub trait Conversation: fmt::Debug + Send + Sync {
    /// The session that the conversation is about.
    fn session(&self) -> &Session;

    /// The next message. Cancel-safe: nothing is lost when the future is dropped. After [`Told::Closed`] none follows.
    async fn next(&mut self) -> Told;

    /// Submits a prompt under a name that no other prompt of the session has. [`Told::Submitted`] or [`Told::Refused`] follows.
    fn submit(&mut self, name: &str, prompt: &str);

    /// Tells the agent something within the turn that runs, under such a name. [`Told::Prompt`] follows once the agent has it,
    /// [`Told::NotSteered`] where it won't.
    fn steer(&mut self, name: &str, text: &str);

    /// Answers the request for an approval. A message of a refusal reaches the agent too.
    fn decide(&mut self, request: &str, decision: &Decision);

    /// Answers a form: one text for each of its questions.
    fn answer(&mut self, call: &str, answers: &[String]);

    /// Interrupts the running turn and ends the commands that it left running.
    ///
    /// # Errors
    /// [`Lost`] where the program gives no answer.
    async fn interrupt(&mut self) -> Result<(), Lost>;
}

/// The session of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// Its transcript, a file that may not be there yet.
    pub transcript: Option<PathBuf>,
    /// The version of the program that serves it.
    pub version: Option<String>,
    /// The turns that it has had, where it was continued.
    pub turns: Vec<PastTurn>,
}

/// A turn of a continued session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastTurn {
    /// Its id.
    pub id: String,
    /// The names under which its prompts were submitted.
    pub names: Vec<String>,
    /// What it has told so far, in order; the last one ends it, if it has ended.
    pub told: Vec<Told>,
}

/// A message of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The program has the prompt that was submitted last: the proof.
    Submitted {
        /// The turn that it began.
        turn_id: String,
    },
    /// The program refused that prompt.
    Refused {
        /// Its words.
        message: String,
    },
    /// The program did not take the words for the turn that runs.
    NotSteered {
        /// Why.
        message: String,
    },
    /// Something about the course of a turn.
    Line(Line),
    /// A prompt arrived: a person's at a terminal, or one of an operator before.
    Prompt {
        /// The turn that it began or joined.
        turn_id: String,
        /// The name that it was submitted under; `None` for a person's.
        name: Option<String>,
        /// The whole text.
        text: String,
    },
    /// An approval is asked for.
    Approval {
        /// The request's id.
        request: String,
        /// The command, or the change in words.
        command: String,
        /// Why, where the agent says so.
        reason: Option<String>,
    },
    /// A form is open.
    Form {
        /// The id by which it is answered and closed.
        call: String,
        /// Its questions; at least one.
        inquiries: Vec<Inquiry>,
    },
    /// A request was answered by another client, or the program withdrew it.
    Resolved {
        /// The approval's request or the form's call.
        request: String,
    },
    /// A step of a turn is done.
    Item {
        /// The program's name of the step.
        id: String,
        /// The step.
        item: Item,
    },
    /// A trouble that the program tries to get over: a connection that is tried again, say.
    Trouble(String),
    /// Something that people should know.
    Notice(String),
    /// The connection is gone.
    Closed,
}

/// The program gave no answer, or refused a request.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Lost(pub String);

/// Why a conversation did not begin.
#[derive(Clone, Debug, Error)]
pub enum NoConversation {
    /// The server does not speak as it should. Keys may do.
    #[error("{0}")]
    Unusable(String),
    /// The program would not work on the terms of the run. Keys would not change that.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A terminal's place beside a server.
#[derive(Clone, Copy, Debug)]
pub struct Joining<'a> {
    /// The program.
    pub program: &'a Path,
    /// The server's socket.
    pub socket: &'a Path,
    /// The session that it serves.
    pub session: &'a str,
    /// A directory for all that the terminal may write about itself: nothing of it is the user's.
    pub home: &'a Path,
}

/// A terminal's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// The command line.
    pub argv: Vec<String>,
    /// The variables that differ from the server's.
    pub environment: Vec<(String, String)>,
}
