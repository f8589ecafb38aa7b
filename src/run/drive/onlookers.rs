//! People who look at the agent's pane in a terminal of their own.
//!
//! While they do, the pane has a size that suits them, but only in states in which nothing is typed and nothing is read but whether a
//! dialog has come up. That alone is read in their size: where the screen doesn't show plainly that the agent works, the pane gets its own
//! size back and is read again. So no dialog is judged, and no key is pressed, in another size than the one whose screens are known.

use std::time::{Duration, Instant};

use super::Driver;
use super::pace::beat_after;
use crate::agent::screen_state::ScreenState;
use crate::tmux::Pane;

/// Between two looks at who is there.
const PACE: Duration = Duration::from_secs(1);
/// A screen that can't be read so often in a turn keeps its own size for the rest of it.
const MISREADINGS: u8 = 2;

/// Who looks on, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Onlookers {
    /// Whether somebody may be there.
    pub(super) any: bool,
    /// When that is looked at again; at once where nothing is said.
    due: Option<Instant>,
    /// The turn in which the screen could not be read in their size, and how often.
    misread: (u32, u8),
}

impl Driver<'_> {
    /// Takes note of a person who has begun to look on.
    pub(super) fn note_onlookers(&mut self) {
        if std::fs::remove_file(self.parts.dir.onlookers()).is_ok() {
            self.onlookers.any = true;
            self.onlookers.due = None;
        }
    }

    /// When the pane is to be fitted next, if ever.
    pub(super) fn fits_at(&self, now: Instant) -> Option<Instant> {
        let wanted = self.onlookers.any && self.may_fit();
        wanted.then(|| self.onlookers.due.unwrap_or(now))
    }

    fn may_fit(&self) -> bool {
        let machine = &self.parts.machine;
        let (turn, times) = self.onlookers.misread;
        let is_readable = turn != machine.turns() || times < MISREADINGS;
        self.is_by_keys() && machine.leaves_screen() && is_readable
    }

    /// Gives the pane the size of the terminals of those who look on, where that does no harm.
    pub(super) async fn suit_onlookers(&mut self) {
        let now = Instant::now();
        let Some(pane) = self.parts.pane else { return };
        if self.fits_at(now).is_none_or(|at| at > now) {
            return;
        }
        self.onlookers.due = Some(beat_after(now, PACE));
        match pane.fit().await {
            Ok(any) => self.onlookers.any = any,
            Err(error) => tracing::debug!(%error, "the pane can't be fitted to a terminal"),
        }
    }

    /// Whether the pane is read for one thing only at this moment: whether it shows plainly that there is nothing to do.
    pub(super) fn is_at_a_glance(&self, pane: &Pane) -> bool {
        pane.is_fitted() && self.parts.machine.leaves_screen()
    }

    /// Whether a pane that suits those who look on shows that. A screen that doesn't is read again in the pane's own size.
    pub(super) async fn is_plainly_calm(&mut self, pane: &Pane) -> bool {
        // Whoever is asked: until they answer, nothing on the screen is acted upon.
        if !self.parts.machine.is_at_work() {
            return true;
        }
        let Ok(screen) = pane.query_as_it_is().await else {
            return false;
        };
        matches!(
            self.meaning_of(&screen),
            ScreenState::Working { .. } | ScreenState::Ready { .. }
        )
    }

    /// Counts a screen that could not be read, though no dialog was up.
    pub(super) fn note_misreading(&mut self, sight: &ScreenState) {
        if matches!(sight, ScreenState::Dialog(_)) {
            return;
        }
        let turns = self.parts.machine.turns();
        let (turn, times) = &mut self.onlookers.misread;
        *times = if *turn == turns { *times + 1 } else { 1 };
        *turn = turns;
    }

    /// Gives the pane its own size back, for whoever has it after the run: a kept session, or another operator.
    pub(super) async fn put_back(&mut self) {
        let Some(pane) = self.parts.pane else { return };
        if let Err(error) = pane.put_back().await {
            tracing::debug!(%error, "the pane can't be given its own size back");
        }
    }
}
