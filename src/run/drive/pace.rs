//! When a driver looks by itself, and what it sees.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::Driver;
use super::sources::Transcript;
use crate::agent::executor::Expected;
use crate::agent::screen_state::ScreenState;
use crate::os::watch::Source;
use crate::turn::Event;

/// Everything is read again so often, in case a notification was lost.
pub(super) const RESCAN: Duration = Duration::from_secs(5);
/// While a start or a paste is watched, the screen is read this often at most.
const WATCHED_SCREEN: Duration = Duration::from_millis(20);
/// While the agent works, its screen matters little: hooks and transcript say more. All runs look at the same time, since
/// one tmux client reads many screens.
///
/// Source: codex 0.130.0 draws 6 KB a second while it works and 0.169.0 1.5 KB, in many small writes: its pane has
/// always changed.
const WORKING_SCREEN: Duration = Duration::from_secs(1);

impl Driver<'_> {
    /// When the driver wakes if nothing else wakes it.
    pub(super) fn wake_at(&self, rescan: Instant) -> Instant {
        // At work the pane's log is not watched: whether it has grown is seen at the next look.
        // While somebody is asked it matters to nobody.
        let looks = self.pane_watched.is_none() && self.asking.is_none();
        let wanted = self.screen_due || looks;
        let screen = wanted.then(|| self.next_look().unwrap_or_else(Instant::now));
        let fitting = self.fits_at(Instant::now());
        [Some(rescan), self.parts.machine.deadline(), screen, fitting]
            .into_iter()
            .flatten()
            .min()
            .expect("rescan is there")
    }

    /// Whether the screen may be read again.
    pub(super) fn is_rested(&self, now: Instant) -> bool {
        self.next_look().is_none_or(|at| now >= at)
    }

    /// When the screen may be read again; `None` before it was read.
    fn next_look(&self) -> Option<Instant> {
        let read = self.screen_read?;
        Some(if self.parts.machine.watches_screen() {
            read + WATCHED_SCREEN
        } else {
            beat_after(read, WORKING_SCREEN)
        })
    }

    /// Reads the screen.
    pub(super) async fn look(&mut self) {
        self.screen_due = false;
        if self.is_by_requests() {
            // Its server takes a prompt at any time.
            self.queue.push_back(Event::Ready);
            return;
        }
        let Some(pane) = self.parts.pane else {
            return;
        };
        self.screen_read = Some(Instant::now());
        if self.parts.machine.watches_screen() {
            self.read_transcript().await;
        }
        let is_at_a_glance = self.is_at_a_glance(pane);
        if is_at_a_glance && self.is_plainly_calm(pane).await {
            return;
        }
        match pane.query_styled_screen().await {
            Ok(screen) => {
                let sight = self.meaning_of(&screen);
                if is_at_a_glance {
                    self.note_misreading(&sight);
                }
                self.queue.push_back(Event::Screen(sight));
            }
            Err(error) => tracing::debug!(%error, "the screen can't be read"),
        }
    }

    /// What a screen means at this moment.
    pub(super) fn meaning_of(&self, screen: &str) -> ScreenState {
        let machine = &self.parts.machine;
        let expected = Expected {
            prompt: machine.text_to_type(),
            form: machine.form(),
            is_stopping: machine.is_stopping(),
        };
        let executor = self.parts.executor;
        match executor.screen_state(screen, expected, self.parts.trust) {
            ScreenState::Ready { holds } if self.is_turn_unended() => {
                ScreenState::Working { holds }
            }
            sight => sight,
        }
    }

    /// Whether the turn before is not over in the agent, though its Stop hook has run.
    ///
    /// Source: codex 0.150.0 adds what is submitted between the two to the turn that ends, runs the prompt's hook,
    /// and never answers (`tests/scenarios/questions.rs`).
    fn is_turn_unended(&self) -> bool {
        let in_turn = self.transcript.as_ref().is_some_and(Transcript::in_turn);
        in_turn && self.parts.machine.turns() > 0
    }

    /// Begins or ends the watch of the pane's log.
    pub(super) fn watch_pane(&mut self) {
        let wanted = self.parts.machine.watches_screen();
        if wanted == self.pane_watched.is_some() {
            return;
        }
        self.pane_watched = None;
        if wanted {
            let (dir, pane) = (self.parts.dir.path(), (Source::Pane, &self.wake));
            match self.parts.watch.watch(dir, Some("pane.log"), pane) {
                Ok(watched) => self.pane_watched = Some(watched),
                // It is looked at as at work, and at every rescan.
                Err(error) => tracing::warn!(%error, "the pane's log can't be watched"),
            }
        }
    }
}

/// The first beat after `at`, of one every `period` in this process: all its runs have the same.
pub(super) fn beat_after(at: Instant, period: Duration) -> Instant {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    let since = at.saturating_duration_since(*FIRST);
    let beats = since.as_nanos() / period.as_nanos() + 1;
    *FIRST + period * u32::try_from(beats).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_the_same_for_all_and_later_than_its_moment() {
        let period = Duration::from_millis(500);
        let now = Instant::now() + period;
        let beat = beat_after(now, period);
        assert!(now < beat && beat <= now + period);
        let between = now + (beat - now) / 2;
        assert_eq!(beat_after(between, period), beat);
        assert_eq!(beat_after(beat, period), beat + period);
    }
}
