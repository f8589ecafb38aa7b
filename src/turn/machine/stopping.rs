//! Between the Stop hook of a turn and its end.
//!
//! Hooks of the user's run beside ours, for as long as they like, and may have the turn go on: a Stop only announces. The
//! end is what the transcript says, milliseconds after the last of them. Source: codex 0.130.0, 0.150.0 and 0.169.0
//! (`tests/scenarios/user_hooks.rs`).

use std::time::{Duration, Instant};

use super::super::classify::Evidence;
use super::super::end::unanswered;
use super::super::{End, Event, Reaction};
use super::Machine;

/// So long after a Stop the transcript must have told of its turn, at least of its beginning.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(3);

/// What is known of a turn's end.
#[derive(Clone, Debug, Default)]
pub(super) struct Stopping {
    /// The turn that the transcript says is under way.
    begun: Option<String>,
    announced: Option<Announced>,
    /// Whether a turn's end was taken from its hook alone.
    unconfirmed: bool,
}

#[derive(Clone, Debug)]
struct Announced {
    turn_id: Option<String>,
    message: Option<String>,
    until: Instant,
}

impl Stopping {
    /// Takes note of what the transcript says, and of prompts: what was announced before one is past.
    pub(super) fn note(&mut self, event: &Event) {
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
            }
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

    pub(super) fn announce(
        &mut self,
        now: Instant,
        turn_id: Option<String>,
        message: Option<String>,
    ) {
        self.announced = Some(Announced {
            turn_id,
            message,
            until: now + CONFIRMED_WITHIN,
        });
    }

    /// When the announced end counts without the transcript's word; `None` while that says that the turn runs.
    pub(super) fn until(&self) -> Option<Instant> {
        let announced = self.announced.as_ref()?;
        let runs = match (&self.begun, &announced.turn_id) {
            (Some(begun), Some(turn_id)) => begun == turn_id,
            (begun, _) => begun.is_some(),
        };
        (!runs).then_some(announced.until)
    }

    /// The turn that ends by its hook's word alone, and its message.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(Option<String>, Option<String>)> {
        self.until().filter(|until| now >= *until)?;
        let announced = self.announced.take()?;
        self.unconfirmed = true;
        Some((announced.turn_id, announced.message))
    }

    /// Whether the turn was announced to end without a message.
    pub(super) fn is_silent(&self, turn_id: &str) -> bool {
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
    /// Whether a turn was announced to end without a message, which is no failure.
    pub(in super::super) fn stops_silently(&self, turn_id: &str) -> bool {
        self.stopping.is_silent(turn_id)
    }

    /// Whether the turn that runs is this one, and no Stop hook has told of it.
    pub(in super::super) fn is_untold(&self, turn_id: Option<&str>) -> bool {
        let running = turn_id.is_some() && self.turn_id() == turn_id;
        running && self.stopping.announced.is_none()
    }

    /// How the run ends where no more than a Stop will ever be told of its turn; `None` where none was announced, where
    /// the transcript says that the turn runs, or where the run would go on.
    pub(in super::super) fn end_unconfirmed(mut self) -> Option<End> {
        let at = self.stopping.until()?;
        let (turn_id, message) = self.stopping.take_due(at)?;
        match self.on_stop(at, turn_id.as_deref(), (message, Evidence::default())) {
            Reaction::End(end) => Some(*end),
            Reaction::Ask(question) => Some(unanswered(&question)),
            _ => None,
        }
    }

    /// Whether a turn's end was taken from its hook alone; told once.
    pub(in super::super) fn take_unconfirmed(&mut self) -> bool {
        std::mem::take(&mut self.stopping.unconfirmed)
    }
}
