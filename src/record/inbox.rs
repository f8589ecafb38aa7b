//! Words to a run from other processes: files below its directory, each written whole.
//!
//! `question.json` is there while the run asks; `inbox/reply-<question>.json` answers, `inbox/cancel.json` ends the run. They stay
//! where they are, so that a word counts also where no operator lives at the moment that it comes. A question has one answer:
//! the first that is sent.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Error, RunDir, io_error};
use crate::agent::screen_state::AnswerOption;
use crate::os::files::{Durability, make_private_directory, write_new, write_private};
use crate::os::time::timestamp;
use crate::task::question::{Answer, Question};

/// By whom the agent is told what another process sent.
pub(crate) const MESSAGE: &str = "message";

/// The document of a question that a run asks.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
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
    /// The kinds of answer that are taken: `text`, `allow`, `deny`.
    #[serde(default)]
    pub accepts: Vec<String>,
    /// Until when an answer from another process is waited for, RFC 3339; absent where none is.
    #[serde(default)]
    pub until: Option<String>,
}

impl OpenQuestion {
    pub(crate) fn new(id: &str, question: &Question, until: Option<SystemTime>) -> Self {
        Self {
            schema_version: 1,
            id: id.to_owned(),
            kind: question.kind.as_str().to_owned(),
            turn: question.turn,
            text: question.text.clone(),
            reason: question.reason.clone(),
            options: question.options.clone(),
            accepts: question
                .kind
                .accepts()
                .iter()
                .map(|&kind| kind.to_owned())
                .collect(),
            until: until.map(timestamp),
        }
    }

    /// Whether it is that very question.
    pub(crate) fn is_about(&self, question: &Question) -> bool {
        self.turn == question.turn
            && self.kind == question.kind.as_str()
            && self.text == question.text
    }

    /// Whether it takes that answer, as far as it says what it takes.
    fn takes(&self, answer: &Answer) -> bool {
        let kind = match answer {
            Answer::Text(_) => "text",
            Answer::Allow => "allow",
            Answer::Deny(_) => "deny",
        };
        self.accepts.is_empty() || self.accepts.iter().any(|accepted| accepted == kind)
    }
}

/// What another process says to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    /// Nothing: the run ends with the question.
    Leave,
    /// An answer.
    #[serde(untagged)]
    Answer(Answer),
}

/// A message for the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) text: String,
    /// Whether it is told within the turn that runs, and not when that ends.
    pub(crate) now: bool,
}

/// The message that ends a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Abort {
    /// Why; may be empty.
    #[serde(default)]
    pub(crate) reason: String,
}

impl RunDir {
    /// The file that is made when a person begins to look at the agent's pane. It stays until the operator has taken note.
    pub(crate) fn onlookers(&self) -> PathBuf {
        self.inbox().join("onlookers")
    }

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
    /// [`Error::NotAsked`] where the run doesn't ask it (any more), [`Error::Answered`] where it has an answer,
    /// [`Error::NotAccepted`] for a kind of answer that it doesn't take, [`Error::Io`].
    pub fn send_answer(&self, question: &str, answer: &Answer) -> Result<(), Error> {
        let open = self.find_open(question)?;
        if !open.takes(answer) {
            return Err(Error::NotAccepted {
                name: self.name().to_owned(),
                question: open.id,
                accepts: open.accepts.join(", "),
            });
        }
        self.say(question, &Said::Answer(answer.clone()))
    }

    /// Leaves the question of that id without an answer, from any process: the run ends with it.
    ///
    /// # Errors
    /// As [`RunDir::send_answer`].
    pub fn leave_question(&self, question: &str) -> Result<(), Error> {
        self.find_open(question)?;
        self.say(question, &Said::Leave)
    }

    fn find_open(&self, question: &str) -> Result<OpenQuestion, Error> {
        let open = self.load_question()?;
        match open {
            Some(open) if open.id == question => Ok(open),
            open => Err(Error::NotAsked {
                name: self.name().to_owned(),
                question: question.escape_default().to_string(),
                open: open.map(|open| open.id),
            }),
        }
    }

    fn say(&self, question: &str, said: &Said) -> Result<(), Error> {
        let text = serde_json::to_vec(said).expect("an answer has string keys only");
        let path = self.make_inbox()?.join(format!("reply-{question}.json"));
        loop {
            match write_new(&path, &text) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !self.clear_unreadable(question, &path)? {
                        return Err(Error::Answered {
                            name: self.name().to_owned(),
                            question: question.to_owned(),
                        });
                    }
                }
                written => return written.map_err(io_error("write", &path)),
            }
        }
    }

    /// Takes an answer away that nobody can read, as a lost power leaves one; `false` for one that counts.
    fn clear_unreadable(&self, question: &str, path: &Path) -> Result<bool, Error> {
        if self.load_answer(question).is_some() {
            return Ok(false);
        }
        let aside = path.with_extension(format!("json.unreadable-{}", std::process::id()));
        match fs::rename(path, &aside) {
            // Another sender did.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            moved => moved.map_err(io_error("rename", path))?,
        }
        // Another sender may have put a whole one in its place just before.
        let is_whole = fs::read(&aside).is_ok_and(|text| read_answer(&text).is_some());
        if is_whole {
            let _another_is_there = fs::hard_link(&aside, path);
        }
        fs::remove_file(&aside).map_err(io_error("remove", &aside))?;
        Ok(!is_whole)
    }

    /// Ends the run in good order, from any process. Where no operator lives, the next one does it. The reason, which may be
    /// empty, is in the record.
    ///
    /// # Errors
    /// [`Error::Ended`], [`Error::Io`].
    pub fn send_cancel(&self, reason: &str) -> Result<(), Error> {
        if self.is_closed() {
            let name = self.name().to_owned();
            return Err(Error::Ended { name });
        }
        let reason = reason.to_owned();
        let text = serde_json::to_vec(&Abort { reason }).expect("it has string keys only");
        let path = self.make_inbox()?.join("cancel.json");
        write_private(&path, &text, Durability::Synced).map_err(io_error("write", &path))
    }

    /// Tells the agent something, from any process: when its turn ends. Returns the message's id.
    ///
    /// # Errors
    /// [`Error::Ended`], [`Error::TakesNoMessage`] where the agent is headless, [`Error::Io`].
    pub fn send_message(&self, text: &str) -> Result<String, Error> {
        self.leave_message(text, false)
    }

    /// The same within the turn that runs; where none does any more, when it ends.
    ///
    /// # Errors
    /// As [`RunDir::send_message`].
    pub fn steer(&self, text: &str) -> Result<String, Error> {
        self.leave_message(text, true)
    }

    fn leave_message(&self, text: &str, now: bool) -> Result<String, Error> {
        let name = || self.name().to_owned();
        if self.is_closed() {
            return Err(Error::Ended { name: name() });
        }
        let order = self.load_order()?;
        let executor = order.map(|order| order.agent.executor);
        if let Some(executor) = executor.filter(|executor| executor.is_headless()) {
            return Err(Error::TakesNoMessage {
                name: name(),
                executor: executor.name(),
            });
        }
        static SENT: AtomicU64 = AtomicU64::new(0);
        let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let nanos = nanos.unwrap_or_default().as_nanos();
        let (pid, count) = (std::process::id(), SENT.fetch_add(1, Ordering::Relaxed));
        let id = format!("{nanos:020}-{pid}-{count}");
        let path = self.make_inbox()?.join(format!("send-{id}.json"));
        let text = serde_json::json!({"text": text, "now": now}).to_string();
        write_new(&path, text.as_bytes()).map_err(io_error("write", &path))?;
        Ok(id)
    }

    /// The messages for the agent, in the order in which they were sent; what can't be read as one is left out.
    pub(crate) fn load_messages(&self) -> Vec<Message> {
        #[derive(Deserialize)]
        struct Sent {
            text: String,
            #[serde(default)]
            now: bool,
        }
        let mut names: Vec<String> = fs::read_dir(self.inbox())
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        let load = |name: &String| {
            let id = name.strip_prefix("send-")?.strip_suffix(".json")?;
            let text = fs::read(self.inbox().join(name)).ok()?;
            let sent: Sent = serde_json::from_slice(&text).ok()?;
            Some(Message {
                id: id.to_owned(),
                text: sent.text,
                now: sent.now,
            })
        };
        names.iter().filter_map(load).collect()
    }

    fn make_inbox(&self) -> Result<PathBuf, Error> {
        let dir = self.inbox();
        make_private_directory(&dir).map_err(io_error("create", &dir))?;
        Ok(dir)
    }

    pub(crate) fn inbox(&self) -> PathBuf {
        self.path.join("inbox")
    }

    /// The message that ends the run, if one has come. Whatever else that file has, ends it too.
    pub(crate) fn load_abort(&self) -> Option<Abort> {
        let text = fs::read(self.inbox().join("cancel.json")).ok()?;
        Some(serde_json::from_slice(&text).unwrap_or_default())
    }

    /// What was said to a question: `Some(None)` where it is left without an answer. `None` for nothing, and for what can't be
    /// read as an answer.
    pub(crate) fn load_answer(&self, question: &str) -> Option<Option<Answer>> {
        let text = fs::read(self.inbox().join(format!("reply-{question}.json"))).ok()?;
        read_answer(&text)
    }

    pub(crate) fn write_question(&self, open: &OpenQuestion) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(open).expect("a question has string keys only");
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

fn read_answer(text: &[u8]) -> Option<Option<Answer>> {
    match serde_json::from_slice(text).ok()? {
        Said::Leave => Some(None),
        Said::Answer(answer) => Some(Some(answer)),
    }
}
