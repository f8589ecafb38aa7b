//! Between the Stop hook of a turn and its end.
//!
//! Hooks of the user's run beside ours, for as long as they like, and may have the turn go on: a Stop only announces. The
//! end is what the transcript says, milliseconds after the last of them. Source: codex 0.130.0, 0.150.0 and 0.169.0
//! (`tests/scenarios/user_hooks.rs`).

use std::time::{Duration, Instant};

use super::super::classify::Evidence;
use super::super::end::unanswered;
use super::super::{End, Event, Reaction};
use super::{Machine, State};
use crate::agent::screen_state::ScreenState;

/// So long after a Stop the transcript must have told of its turn, at least of its beginning; then the screen is asked.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks at it.
const SCREEN_PACE: Duration = Duration::from_millis(500);

/// The evidence of a turn's end.
#[derive(Clone, Debug, Default)]
pub(super) struct Stopping {
    /// The turn that the transcript says is under way.
    begun: Option<String>,
    announced: Option<Announced>,
    /// Whether something is at work that a turn began: sub-agents, commands.
    at_work: bool,
    held: Option<Held>,
    /// Whether a turn's end was taken from its hook alone.
    unconfirmed: bool,
}

#[derive(Clone, Debug)]
struct Announced {
    turn_id: Option<String>,
    message: Option<String>,
    until: Instant,
    /// Whether that time has come: the screen is asked.
    due: bool,
    /// Whether the composer was idle when it was last seen.
    idle: bool,
}

/// The end of a turn that left something at work.
#[derive(Clone, Debug)]
struct Held {
    turn_id: Option<String>,
    message: Option<String>,
    evidence: Evidence,
    until: Instant,
}

impl Stopping {
    /// Takes note of what the transcript says, and of prompts: what was announced before one is past.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::TurnBegan { turn_id } => self.begun = Some(turn_id.clone()),
            Event::TranscriptLost => self.begun = None,
            Event::TurnStopped { turn_id, .. } | Event::TurnAborted { turn_id, .. } => {
                self.ended(turn_id.as_deref());
            }
            Event::TurnFailed { turn_id, .. } if self.begun.as_deref() == Some(turn_id) => {
                self.begun = None;
            }
            Event::PromptSubmitted { turn_id, .. } => {
                let same = |announced: &Announced| announced.turn_id == *turn_id;
                if !self.announced.as_ref().is_some_and(same) {
                    self.announced = None;
                }
                self.held = None;
            }
            Event::LeftAtWork(any) => self.at_work = *any,
            _ => {}
        }
    }

    fn ended(&mut self, turn_id: Option<&str>) {
        if turn_id.is_none() || self.begun.as_deref() == turn_id {
            self.begun = None;
        }
        let same = |announced: &Announced| announced.turn_id.as_deref() == turn_id;
        if turn_id.is_none() || self.announced.as_ref().is_some_and(same) {
            self.announced = None;
        }
    }

    pub(crate) fn announce(
        &mut self,
        now: Instant,
        turn_id: Option<String>,
        message: Option<String>,
    ) {
        self.announced = Some(Announced {
            turn_id,
            message,
            until: now + CONFIRMED_WITHIN,
            due: false,
            idle: false,
        });
    }

    /// When the announced end counts without the transcript's word; `None` while that says that the turn runs.
    pub(crate) fn until(&self) -> Option<Instant> {
        let announced = self.announced.as_ref()?;
        let runs = match (&self.begun, &announced.turn_id) {
            (Some(begun), Some(turn_id)) => begun == turn_id,
            (begun, _) => begun.is_some(),
        };
        (!runs).then_some(announced.until)
    }

    /// Whether the screen is to be asked now; it is, again and again.
    fn asks_screen(&mut self, now: Instant) -> bool {
        let due = self.until().is_some_and(|until| now >= until);
        if let Some(announced) = self.announced.as_mut().filter(|_| due) {
            announced.due = true;
            announced.until = now + SCREEN_PACE;
        }
        due
    }

    /// Whether a look at the screen is the second that shows an idle composer: no hook runs any more.
    fn confirms(&mut self, sight: &ScreenState) -> bool {
        let silent = self.until().is_some();
        let Some(announced) = &mut self.announced else {
            return false;
        };
        let idle = matches!(sight, ScreenState::Ready { .. });
        let before = std::mem::replace(&mut announced.idle, idle);
        silent && announced.due && before && idle
    }

    /// The turn that ends by its hook's word alone, and its message.
    fn take_unconfirmed(&mut self) -> Option<(Option<String>, Option<String>)> {
        let announced = self.announced.take()?;
        self.unconfirmed = true;
        Some((announced.turn_id, announced.message))
    }

    /// Whether the turn was announced to end without a message.
    pub(crate) fn is_silent(&self, turn_id: &str) -> bool {
        self.announced.as_ref().is_some_and(|announced| {
            announced.message.is_none()
                && announced
                    .turn_id
                    .as_deref()
                    .is_none_or(|announced| announced == turn_id)
        })
    }
}

impl Machine {
    /// Whether a turn was announced to end without a message, which is not a failure.
    pub(crate) fn stops_silently(&self, turn_id: &str) -> bool {
        self.stopping.is_silent(turn_id)
    }

    /// Gives the end of a turn the message that its Stop hook told, where the transcript did not have it yet.
    pub(crate) fn complete(&self, event: &mut Event) {
        if let (
            Event::TurnStopped {
                turn_id, message, ..
            },
            Some(announced),
        ) = (event, &self.stopping.announced)
            && announced.turn_id == *turn_id
            && message.as_deref().is_none_or(str::is_empty)
        {
            message.clone_from(&announced.message);
        }
    }

    /// Whether the turn that runs is this one, and no Stop hook has told of it.
    pub(crate) fn is_untold(&self, turn_id: Option<&str>) -> bool {
        let running = turn_id.is_some() && self.turn_id() == turn_id;
        running && self.stopping.announced.is_none()
    }

    /// Whether a Stop hook has run of the turn that is under way, so that others may still.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.announced.is_some()
    }

    /// How the run ends where no more than a Stop will ever be told of its turn; `None` where none was announced, where
    /// the transcript says that the turn runs, or where the run would go on.
    pub(crate) fn end_unconfirmed(mut self) -> Option<End> {
        let at = self.stopping.until()?;
        match self.stop_unconfirmed(at)? {
            Reaction::End(end) => Some(*end),
            Reaction::Ask(question) => Some(unanswered(&question)),
            _ => None,
        }
    }

    /// Ends the turn by its hook's word alone.
    fn stop_unconfirmed(&mut self, now: Instant) -> Option<Reaction> {
        let (turn_id, message) = self.stopping.take_unconfirmed()?;
        Some(self.on_stop(now, turn_id.as_deref(), (message, Evidence::default())))
    }

    /// What a look at the screen means for a turn of which only a Stop was told.
    pub(crate) fn on_sight_while_stopping(
        &mut self,
        now: Instant,
        sight: &ScreenState,
    ) -> Option<Reaction> {
        let works = matches!(self.state, State::Working { .. });
        let ends = self.stopping.confirms(sight) && works;
        ends.then(|| self.stop_unconfirmed(now)).flatten()
    }

    /// A turn ended: what it left at work is waited for, and its end comes after that.
    pub(crate) fn on_turn_end(
        &mut self,
        now: Instant,
        turn_id: Option<String>,
        (message, evidence): (Option<String>, Evidence),
    ) -> Reaction {
        let linger = self.plan.limits.linger;
        let until = match &self.state {
            State::Working { until, .. } => (now + linger).min(*until).min(self.run_until),
            _ => now + linger,
        };
        if !self.stopping.at_work || !self.runs(turn_id.as_deref()) || until <= now {
            return self.on_stop(now, turn_id.as_deref(), (message, evidence));
        }
        self.stopping.held = Some(Held {
            turn_id,
            message,
            evidence,
            until,
        });
        Reaction::Wait
    }

    /// Whether a prompt began a turn of another session while ours works: of a sub-agent's, in codex 0.130.0.
    pub(crate) fn is_prompt_of_another(&self, event: &Event) -> bool {
        let works = matches!(
            self.state,
            State::Working { .. } | State::Approving { .. } | State::Consulting { .. }
        );
        works && matches!(event, Event::PromptSubmitted { session, .. } if !self.is_ours(session))
    }

    /// Whether a turn's end waits for what the turn left at work.
    pub(crate) fn is_holding(&self) -> bool {
        self.stopping.held.is_some()
    }

    /// The turn is over that left something at work: nothing is any more, or it was waited for long enough.
    pub(crate) fn release(&mut self, now: Instant) -> Reaction {
        match self.stopping.held.take() {
            Some(held) => self.on_stop(now, held.turn_id.as_deref(), (held.message, held.evidence)),
            None => Reaction::Wait,
        }
    }

    /// The transcript says that a turn began. After the end of another, the agent went on by itself.
    pub(crate) fn on_turn_began(&mut self, now: Instant, began: String) -> Reaction {
        let held = self.stopping.held.take();
        if let (Some(_), State::Working { turn_id, until }) = (held, &mut self.state) {
            *turn_id = Some(began);
            *until = now + self.plan.limits.turn;
        }
        Reaction::Wait
    }

    /// The reactions that are due while a turn ends.
    pub(crate) fn on_deadline_while_stopping(&mut self, now: Instant) -> Option<Reaction> {
        if !matches!(self.state, State::Working { .. }) {
            return None;
        }
        if self
            .stopping
            .held
            .as_ref()
            .is_some_and(|held| now >= held.until)
        {
            return Some(self.release(now));
        }
        let of_turn = matches!(self.state, State::Working { until, .. } if now >= until);
        (!of_turn && self.stopping.asks_screen(now)).then_some(Reaction::Look)
    }

    /// When that is.
    pub(crate) fn stopping_deadline(&self) -> Option<Instant> {
        if !matches!(self.state, State::Working { .. }) {
            return None;
        }
        let held = self.stopping.held.as_ref().map(|held| held.until);
        [held, self.stopping.until()].into_iter().flatten().min()
    }

    /// Lets the held event wait longer: a responder was asked in the meantime.
    pub(crate) fn hold_longer(&mut self, by: Duration) {
        if let Some(held) = &mut self.stopping.held {
            held.until += by;
        }
    }

    /// Whether a turn's end was taken from its hook alone; told once.
    pub(crate) fn take_unconfirmed(&mut self) -> bool {
        std::mem::take(&mut self.stopping.unconfirmed)
    }
}
