//! What a caller can ask about a run by its id: its record, its open question; and what it can tell it, from any process.

use std::path::PathBuf;

use super::status::{self, RunStatus};
use super::{Operator, listing};
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

    /// The question that a run asks at this moment.
    ///
    /// # Errors
    /// [`Error::Run`].
    pub fn question(&self, run: &RunId) -> Result<Option<OpenQuestion>, Error> {
        Ok(self.store().load(run)?.load_question()?)
    }

    /// Answers the question of that id ([`OpenQuestion::id`]), from any process.
    ///
    /// # Errors
    /// [`Error::Run`], with the code [`StaleReply`](crate::Code::StaleReply) where the run doesn't ask it (any more).
    pub fn answer(&self, run: &RunId, question: &str, answer: &Answer) -> Result<(), Error> {
        Ok(self.store().load(run)?.send_answer(question, answer)?)
    }

    /// Leaves the question of that id without an answer, from any process: the run ends with it.
    ///
    /// # Errors
    /// As [`Operator::answer`].
    pub fn leave(&self, run: &RunId, question: &str) -> Result<(), Error> {
        Ok(self.store().load(run)?.leave_question(question)?)
    }

    /// Tells the agent of a run something, from any process: it is its next prompt when the turn ends. Returns the message's id.
    ///
    /// # Errors
    /// [`Error::Run`], with the code [`RunEnded`](crate::Code::RunEnded) where it has ended, and
    /// [`TakesNoMessage`](crate::Code::TakesNoMessage) for a headless agent.
    pub fn send(&self, run: &RunId, text: &str) -> Result<String, Error> {
        Ok(self.store().load(run)?.send_message(text)?)
    }

    /// The same within the turn that runs; where that ends before, it is the next prompt.
    ///
    /// # Errors
    /// As [`Operator::send`].
    pub fn steer(&self, run: &RunId, text: &str) -> Result<String, Error> {
        Ok(self.store().load(run)?.steer(text)?)
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
    pub fn cancel(&self, run: &RunId, reason: &str) -> Result<(), Error> {
        Ok(self.store().load(run)?.send_cancel(reason)?)
    }
}
