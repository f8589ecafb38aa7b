//! What a passed deadline means in each state.

use std::time::{Duration, Instant};

use super::{FIRST_LOOK, Machine, State, Submission};
use crate::os::time::words;
use crate::record::Status;
use crate::turn::end::unanswered;
use crate::turn::{End, Reaction};

/// From a look that brought nothing to the next one.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Machine {
    pub(super) fn on_deadline(&mut self, now: Instant) -> Reaction {
        let limits = self.plan.limits;
        if now >= self.run_until && self.asking_since.is_none() {
            let message = format!("the run took longer than {}", words(limits.run));
            let hint = "raise --timeout";
            return self.end_late("run_timeout", message, hint);
        }
        if let Some(reaction) = self.on_deadline_while_stopping(now) {
            return reaction;
        }
        match &mut self.state {
            State::Starting { until } if now >= *until => self.no_composer(),
            State::Submitting(Submission { until, .. }) if now >= *until => self.no_proof(),
            State::Submitting(Submission { look, due, .. }) if now >= *look => {
                *look = now + FIRST_LOOK;
                *due = true;
                Reaction::Look
            }
            State::Asking { until, .. }
            | State::Approving { until, .. }
            | State::Consulting { until, .. }
                if now >= *until =>
            {
                let end = self.asked().map(unanswered);
                self.end(end.expect("one of these states asks"))
            }
            State::Working { until, .. } if now >= *until => {
                let hooks = if self.is_stopping() {
                    ", its Stop hooks included"
                } else {
                    ""
                };
                let message = format!("the turn took longer than {}{hooks}", words(limits.turn));
                let hint = "raise --turn-timeout";
                self.end_late("turn_timeout", message, hint)
            }
            // Due for a dialog's sake. The look may fail without an answer: the next one is appointed now.
            _ => {
                if let Some(dialog_state) = &mut self.dialog_state {
                    dialog_state.look = now + LOOK_AGAIN;
                }
                Reaction::Look
            }
        }
    }

    pub(super) fn end_late(&mut self, code: &str, message: String, hint: &str) -> Reaction {
        match self.take_probed(&message) {
            Some(question) => self.end(unanswered(&question)),
            None => self.cut_off(late(code, message, hint)),
        }
    }
}

/// How long codex may be busy with a text before it tells of it: it breaks a long line into rows in a time that grows with
/// the square of its length.
///
/// Source: codex 0.130.0 to 0.169.0 take 2.4, 8.7 and 20 s for a line of 200, 400 and 600 KB; here four times as much.
pub(super) fn digestion(text: &str) -> Duration {
    let longest = text.lines().map(str::len).max().unwrap_or_default();
    let kilobytes = u64::try_from(longest / 1000).unwrap_or(u64::MAX);
    Duration::from_micros(kilobytes.saturating_mul(kilobytes).saturating_mul(240))
}

/// The end of a wait at its deadline.
pub(super) fn late(code: &str, message: String, hint: &str) -> End {
    End::failed(Status::TimedOut, code, message, hint)
}
