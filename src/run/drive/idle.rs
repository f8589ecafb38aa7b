//! An agent that says that it has nothing to do, in a turn of which no end was told.

use std::time::SystemTime;

use super::Driver;
use super::sources::Transcript;
use crate::agent::report::TurnError;
use crate::turn::{Event, ResumePoint};

/// So often it says so in a row before that is believed.
const LOOKS: u8 = 2;
/// The same where the transcript has nothing of the turn yet: it may be about to tell why.
const UNTOLD_LOOKS: u8 = 6;

impl Driver<'_> {
    /// Notes when the turn began that another operator followed: an agent that was interrupted in the meantime has had nothing
    /// to do since then.
    pub(super) fn take_up(&mut self, resume_point: &ResumePoint) {
        let begun = SystemTime::now().checked_sub(resume_point.turn_age);
        let begun = begun.filter(|_| resume_point.turns > 0);
        self.turn_begun = begun.map(|begun| (resume_point.turn_id.clone(), begun));
    }

    /// Notes when a turn begins, by whatever tells of it first.
    pub(super) fn note_beginning(&mut self, event: &Event) {
        let turn = match event {
            Event::PromptSubmitted { turn_id, .. } => turn_id.clone(),
            Event::TurnBegan { turn_id } => Some(turn_id.clone()),
            _ => return,
        };
        let known = self
            .turn_begun
            .as_ref()
            .and_then(|(known, _)| known.as_ref());
        if turn.is_none() || known != turn.as_ref() {
            self.turn_begun = Some((turn, SystemTime::now()));
        }
    }

    /// Takes an agent that says again and again that it has nothing to do since a moment within the turn for one that was
    /// interrupted, or whose prompt was refused: some program tells of that in no other way. Where its Stop hook has run, no end
    /// will be told by the transcript any more, and the hook's word counts once the composer is seen.
    pub(super) fn look_at_state(&mut self) {
        let machine = &self.parts.machine;
        let stops = machine.is_stopping();
        let runs = machine.is_at_work() && !machine.is_holding();
        let transcript = self.transcript.as_ref().filter(|_| runs);
        let since = transcript.and_then(|transcript| {
            let session = machine.session().unwrap_or_default();
            self.parts.executor.idle_since(transcript.path(), session)
        });
        let refused = transcript.and_then(|transcript| transcript.blocked());
        let begun = self.turn_begun.as_ref().map(|(_, begun)| *begun);
        let is_within = |since| refused.is_some() || begun.is_some_and(|begun| since > begun);
        let idle = since.is_some_and(is_within);
        self.idle_looks = if idle {
            self.idle_looks.saturating_add(1)
        } else {
            0
        };
        let is_told = stops || refused.is_some() || transcript.is_some_and(Transcript::in_turn);
        if self.idle_looks < if is_told { LOOKS } else { UNTOLD_LOOKS } {
            return;
        }
        let (turn_id, _) = machine.under_way();
        if stops {
            self.transcript.as_mut().map(Transcript::lose_turn);
            self.queue.push_back(Event::TranscriptLost);
            return;
        }
        let event = match refused {
            Some(reason) => Event::TurnFailed {
                turn_id: turn_id.unwrap_or_default(),
                error: Some(TurnError::blocked_prompt(reason)),
            },
            None => Event::TurnAborted {
                turn_id,
                reason: "interrupted".to_owned(),
            },
        };
        self.queue.push_back(event);
    }
}
