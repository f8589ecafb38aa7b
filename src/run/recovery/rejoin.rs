//! The conversation of an operator that is gone, continued by the one that takes its run over.

use super::{DeadRun, TakenOverRun};
use crate::agent::conversation::{Conversation, Drive, NoConversation};
use crate::error::{Error, io as io_error};
use crate::run::drive::{Continuation, has_turn, has_untold, prompt_name};
use crate::turn::ResumePoint;

impl DeadRun {
    /// Whether the agent is to be told more than it was, by another process: then the end of a turn is not that of the run.
    pub(super) fn is_told_more(&self) -> bool {
        let resume_point = self.journal_state.resume_point();
        self.journal_state.ended.is_none() && has_untold(&self.dir, &resume_point)
    }
}

impl TakenOverRun {
    /// The terms of the conversation, where the agent is driven by requests.
    pub(super) fn continuation(&self) -> Option<Continuation> {
        let state = &self.found.journal_state;
        let (worktree, _) = state.worktree.as_ref()?;
        let launched = state.launched.as_ref()?;
        (launched.drive == Drive::Requests).then(|| Continuation {
            socket: self.found.dir.socket(),
            options: state.order.agent.clone(),
            worktree: worktree.clone(),
            directory: launched.directory.clone().unwrap_or(worktree.clone()),
        })
    }

    /// Continues the conversation of the operator that is gone, or begins it where there was none yet. Tells too whether the
    /// agent has the prompt that was about to be sent.
    pub(super) async fn rejoin(
        &self,
        continuation: &Continuation,
        resume_point: &ResumePoint,
    ) -> Result<(Box<dyn Conversation>, bool), Error> {
        let lost = |error: NoConversation| match error {
            NoConversation::Refused(refusal) => Error::from(refusal),
            NoConversation::Unusable(why) => {
                io_error("continue the conversation")(std::io::Error::other(why))
            }
        };
        let Some(session) = &resume_point.session else {
            return Ok((self.converse_anew(continuation).await.map_err(lost)?, false));
        };
        let turn = self.found.journal_state.turn();
        let name = prompt_name(self.found.dir.name(), turn);
        let prompt = self.found.dir.load_prompt(turn).unwrap_or_default();
        let has_it = |conversation: &dyn Conversation| {
            has_turn(
                conversation,
                resume_point.turn_id.as_deref(),
                (&name, &prompt),
            )
        };
        let joined = continuation
            .rejoin(session, resume_point.pasted, has_it)
            .await;
        let joined = match joined {
            // A session without a turn is in no file, and can't be continued.
            Err(NoConversation::Unusable(_)) if resume_point.turns == 0 => {
                self.converse_anew(continuation).await
            }
            joined => joined,
        };
        let joined = joined.map_err(lost)?;
        let has_prompt = has_it(&*joined);
        Ok((joined, has_prompt))
    }

    /// Begins a conversation in which nothing was said yet.
    async fn converse_anew(
        &self,
        continuation: &Continuation,
    ) -> Result<Box<dyn Conversation>, NoConversation> {
        let task = self.found.journal_state.task.as_str();
        continuation.begin(task, &self.journal).await
    }
}
