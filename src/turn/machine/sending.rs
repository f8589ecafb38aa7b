//! Sending a prompt, as long as the budget lasts.

use std::time::{Duration, Instant};

use super::awaited::Awaited;
use super::deadlines::digestion;
use super::{FIRST_LOOK, Machine, Sent, State, Submission};
use crate::turn::{End, Reaction};

impl Machine {
    /// Takes note that the budget is used up, and how the run ends by that. A turn that has ended with a result is a result all the
    /// same; [`Event::Spent`](crate::turn::Event::Spent) ends every other.
    pub(crate) fn note_spent(&mut self, why: &str) {
        self.spent.get_or_insert_with(|| End::over_budget(why));
    }

    /// Whether the budget is known to be used up.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent.is_some()
    }

    /// A turn that has ended, and whose end waits for what it left at work, is waited for no longer.
    pub(super) fn on_spent(&mut self, now: Instant) -> Reaction {
        if self.spent.is_some() && self.is_holding() {
            return self.release(now);
        }
        match self.spent.take() {
            Some(end) => self.cut_off(end),
            None => Reaction::Wait,
        }
    }

    /// Has the composer looked for before a reply: between two turns a dialog may have come up, whose options a
    /// paste and its Enter would choose from.
    pub(super) fn reply_with(&mut self, now: Instant, text: String) -> Reaction {
        if self.spent.is_some() {
            return self.on_spent(now);
        }
        self.dialog_state = None;
        self.awaited = Awaited::default();
        self.form = None;
        self.prompt = text;
        self.state = State::Starting {
            until: now + self.plan.limits.submit,
        };
        Reaction::Look
    }

    /// From a paste to the proof.
    pub(super) fn submit_budget(&self) -> Duration {
        self.plan.limits.submit + digestion(&self.prompt)
    }

    pub(super) fn submission(&self, now: Instant, sent: Sent) -> Submission {
        Submission {
            until: now + self.submit_budget(),
            look: now + FIRST_LOOK,
            due: false,
            sent,
            pastes: 1,
            covered: false,
            enters: 0,
        }
    }

    pub(super) fn paste(&mut self, now: Instant) -> Reaction {
        self.state = State::Submitting(self.submission(now, Sent::No));
        self.dialog_state = None;
        self.holds = None;
        Reaction::Paste(self.prompt.clone())
    }
}
