//! Words to a run from other processes: files below its directory, each written whole.
//!
//! `question.json` is there while the run asks; `inbox/reply-<question>.json` answers, `inbox/cancel.json` ends the run. They stay
//! where they are, so that a word counts also where no operator lives at the moment that it comes.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Error, RunDir, io_error};
use crate::agent::screen_state::AnswerOption;
use crate::os::files::{Durability, make_private_directory, write_private};
use crate::task::question::{Answer, Question};

/// The document of a question that a run asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OpenQuestion {
    /// The version of the format: 1.
    pub schema_version: u32,
    /// The id that an answer names, such as `2-1`. Unique within the run.
    pub id: String,
    /// `question`, `unclear` or `permission`.
    pub kind: String,
    /// The turn, from 1.
    pub turn: u32,
    /// The message, or the command.
    pub text: String,
    /// Why an approval is wanted, where the agent says so.
    pub reason: Option<String>,
    /// The answers that the agent offers.
    pub options: Vec<AnswerOption>,
}

impl RunDir {
    /// The question that the run asks at this moment.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::Io`].
    pub fn load_question(&self) -> Result<Option<OpenQuestion>, Error> {
        self.load_document("question.json")
    }

    /// Answers the question of that id, from any process.
    ///
    /// # Errors
    /// [`Error::NotAsked`] where the run doesn't ask it (any more), [`Error::Io`].
    pub fn send_answer(&self, question: &str, answer: &Answer) -> Result<(), Error> {
        let open = self.load_question()?.map(|open| open.id);
        if open.as_deref() != Some(question) {
            return Err(Error::NotAsked {
                name: self.name().to_owned(),
                question: question.escape_default().to_string(),
                open,
            });
        }
        let text = serde_json::to_vec(answer).expect("an answer has string keys only");
        self.send(&format!("reply-{question}.json"), &text)
    }

    /// Ends the run in good order, from any process. Where no operator lives, the next one does it.
    ///
    /// # Errors
    /// [`Error::Ended`], [`Error::Io`].
    pub fn send_cancel(&self) -> Result<(), Error> {
        if self.is_closed() {
            let name = self.name().to_owned();
            return Err(Error::Ended { name });
        }
        self.send("cancel.json", b"{}")
    }

    fn send(&self, name: &str, text: &[u8]) -> Result<(), Error> {
        let dir = self.inbox();
        make_private_directory(&dir).map_err(io_error("create", &dir))?;
        let path = dir.join(name);
        write_private(&path, text, Durability::Synced).map_err(io_error("write", &path))
    }

    pub(crate) fn inbox(&self) -> PathBuf {
        self.path.join("inbox")
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.inbox().join("cancel.json").exists()
    }

    /// The answer to a question; `None` for none, and for what can't be read as one.
    pub(crate) fn load_answer(&self, question: &str) -> Option<Answer> {
        let text = fs::read(self.inbox().join(format!("reply-{question}.json"))).ok()?;
        serde_json::from_slice(&text).ok()
    }

    pub(crate) fn write_question(&self, id: &str, question: &Question) -> Result<(), Error> {
        let open = OpenQuestion {
            schema_version: 1,
            id: id.to_owned(),
            kind: question.kind.as_str().to_owned(),
            turn: question.turn,
            text: question.text.clone(),
            reason: question.reason.clone(),
            options: question.options.clone(),
        };
        let text = serde_json::to_vec_pretty(&open).expect("a question has string keys only");
        self.write("question.json", &text)
    }

    pub(crate) fn remove_question(&self) {
        let path = self.path.join("question.json");
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "a question that is answered can't be removed");
        }
    }
}
