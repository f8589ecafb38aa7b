//! What a caller can ask about a run by its id: its record, its open question; and what it can tell it, from any process.

use std::path::PathBuf;

use super::apply::{Applied, ApplyRequest, apply};
use super::status::{self, RunStatus};
use super::{Operator, listing, replying};
use crate::error::Error;
use crate::record::Outcome;
use crate::record::inbox::OpenQuestion;
use crate::task::name::RunId;
use crate::task::question::Answer;

impl Operator {
    /// The ids of all runs with the same state directory, oldest first.
    ///
    /// # Errors
    /// [`Error::Run`] where the state directory can't be listed.
    pub fn runs(&self) -> Result<Vec<RunId>, Error> {
        let runs = self.store().load_runs()?;
        Ok(runs.iter().map(|run| run.id()).collect())
    }

    /// Finds the run with that id, or the one whose id starts so, or the newest run of the task so named.
    ///
    /// # Errors
    /// [`Error::Run`] where none or several are named so, [`Error::Usage`] for a run that waits for its place.
    pub fn find(&self, name: &str) -> Result<RunId, Error> {
        Ok(listing::find_run(self.store(), name)?.id())
    }

    /// The directory of a run, with `run.json`, `events.jsonl` and `patch.diff`.
    ///
    /// # Errors
    /// [`Error::Run`] where there is no such run, as with all that follow.
    pub fn directory(&self, run: &RunId) -> Result<PathBuf, Error> {
        Ok(self.store().load(run)?.path().to_owned())
    }

    /// Returns whether an operator drives the run at this moment.
    ///
    /// # Errors
    /// [`Error::Run`].
    pub fn is_alive(&self, run: &RunId) -> Result<bool, Error> {
        Ok(self.store().load(run)?.is_alive())
    }

    /// The record of a run; `None` while it lives, or where its operator died.
    ///
    /// # Errors
    /// [`Error::Run`], also where the record can't be read.
    pub fn outcome(&self, run: &RunId) -> Result<Option<Outcome>, Error> {
        Ok(self.store().load(run)?.load_record()?)
    }

    /// Brings the result of an ended run onto a branch of the user's. Never pushes. The words of a check go to stderr.
    ///
    /// # Errors
    /// [`Error::Usage`] for a run without a record and a checkout of another repository; [`Error::Worktree`] for a conflict, local
    /// changes, a branch that can't take it; [`Error::CheckFailed`]. After an error everything of the user's is as it was.
    pub async fn apply(&self, run: &RunId, request: ApplyRequest) -> Result<Applied, Error> {
        apply(&self.store().load(run)?, request).await
    }

    /// The question that a run asks at this moment.
    ///
    /// # Errors
    /// [`Error::Run`].
    pub fn question(&self, run: &RunId) -> Result<Option<OpenQuestion>, Error> {
        Ok(self.store().load(run)?.load_question()?)
    }

    /// Answers the question of that id ([`OpenQuestion::id`]), from any process, and waits until the run has read it. Returns whether
    /// it has: where no operator lives, the next one reads it.
    ///
    /// # Errors
    /// [`Error::Run`], with the code [`StaleReply`](crate::Code::StaleReply) where the run doesn't ask it (any more) and
    /// [`RunEnded`](crate::Code::RunEnded) where it has ended; [`Error::Usage`] for an answer of another kind than it takes, and where
    /// no reply is waited for, as by [`Recipe::Message`](crate::Recipe::Message).
    pub async fn reply(&self, run: &RunId, question: &str, answer: &Answer) -> Result<bool, Error> {
        let run = self.store().load(run)?;
        let replied = replying::reply(&run, Some(question), Some(answer)).await?;
        Ok(replied.taken)
    }

    /// Leaves the question of that id without an answer, from any process: the run ends with it.
    ///
    /// # Errors
    /// As [`Operator::reply`].
    pub async fn leave(&self, run: &RunId, question: &str) -> Result<bool, Error> {
        let run = self.store().load(run)?;
        let replied = replying::reply(&run, Some(question), None).await?;
        Ok(replied.taken)
    }

    /// Tells the agent of a run something, from any process: it is its next prompt when the turn ends. Waits until the run has read it,
    /// some seconds at most; where no operator lives, the next one does. Returns the message's id.
    ///
    /// # Errors
    /// [`Error::Run`], with the code [`RunEnded`](crate::Code::RunEnded) where it has ended, and
    /// [`TakesNoMessage`](crate::Code::TakesNoMessage) for a headless agent; [`Error::Usage`] where it waits for an answer.
    pub async fn send(&self, run: &RunId, text: &str) -> Result<String, Error> {
        let run = self.store().load(run)?;
        let sent = replying::send(&run, (text, false)).await?;
        Ok(sent.message)
    }

    /// The same within the turn that runs; where that ends before, it is the next prompt.
    ///
    /// # Errors
    /// As [`Operator::send`].
    pub async fn steer(&self, run: &RunId, text: &str) -> Result<String, Error> {
        let run = self.store().load(run)?;
        let sent = replying::send(&run, (text, true)).await?;
        Ok(sent.message)
    }

    /// What a run does at this moment.
    ///
    /// # Errors
    /// [`Error::Run`], [`Error::Io`].
    pub fn status(&self, run: &RunId) -> Result<RunStatus, Error> {
        status::load_status(self.store(), run.as_str())
    }

    /// Ends a run in good order, from any process. Where no operator lives, the next one does it. The reason, which may be empty,
    /// is in the record.
    ///
    /// # Errors
    /// [`Error::Run`], with the code [`RunEnded`](crate::Code::RunEnded) where it has ended.
    pub fn abort(&self, run: &RunId, reason: &str) -> Result<(), Error> {
        let run = self.store().load(run)?;
        replying::abort(&[run], reason).map(drop)
    }
}
