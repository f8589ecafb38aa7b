//! What the screen makes a run do: which keys, how often, and when a dialog ends it.

use std::time::{Duration, Instant};

use super::super::end::{blocked, sign_in};
use super::super::{Advice, End, Permissions, Question, QuestionKind, Reaction, Sight};
use super::{Machine, State};
use crate::run::Status;
use crate::tmux::Key;

/// Enter is pressed so often at most, when a pasted prompt stands in the composer.
const ENTERS: u8 = 3;
/// A dialog is confirmed so often at most.
const CONFIRMATIONS: u8 = 2;
/// Keys that one dialog may take at most, the focus's moves included.
const KEYS: u8 = 16;
/// A dialog that looks the same so long after a key did not take the key.
const KEY_ECHO: Duration = Duration::from_secs(1);
/// What nobody knows must stand so long before it is believed: a screen can be caught half drawn.
const SETTLED: Duration = Duration::from_millis(700);
/// From a look that brought nothing to the next one.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A dialog that is up, since when, when a key was pressed, and when it is looked at again.
#[derive(Clone, Debug)]
pub(super) struct Face {
    face: String,
    since: Instant,
    pressed: Option<Instant>,
    pub(super) look: Instant,
}

impl Machine {
    pub(super) fn on_sight(&mut self, now: Instant, sight: Sight) -> Reaction {
        let Sight::Dialog(dialog) = sight else {
            self.face = None;
            return self.on_calm_sight(now, &sight);
        };
        if matches!(self.state, State::Asking { .. } | State::Approving { .. }) {
            self.face = None;
            return Reaction::Wait;
        }
        let known = self.face.take().filter(|face| face.face == dialog.face);
        let face = known.unwrap_or_else(|| Face {
            face: dialog.face.clone(),
            since: now,
            pressed: None,
            look: now + SETTLED,
        });
        let settled = now.duration_since(face.since) >= SETTLED;
        let echoing = face
            .pressed
            .is_some_and(|at| now.duration_since(at) < KEY_ECHO);
        self.face = Some(face);
        let working = matches!(self.state, State::Working { .. });
        match dialog.advice {
            Advice::Wait => {
                self.face = None;
                Reaction::Wait
            }
            Advice::SignIn => self.end(sign_in(&dialog.screen)),
            Advice::Approval {
                command,
                reason,
                allow,
            } => match self.plan.permissions {
                Permissions::Allow if working && !echoing => {
                    self.press(now, dialog.name, allow, &dialog.screen)
                }
                // The hook's event is the better source; it is on its way.
                _ if echoing || !settled => Reaction::Wait,
                _ => self.surface(command, reason),
            },
            Advice::Press(_) if !working && echoing => Reaction::Wait,
            Advice::Press(key) if !working => self.press(now, dialog.name, key, &dialog.screen),
            Advice::Press(_) | Advice::Surface(_) if !settled => Reaction::Wait,
            Advice::Press(_) => self.end(blocked(
                dialog.name,
                "it came up in the middle of a turn",
                &dialog.screen,
            )),
            Advice::Surface(why) => self.end(blocked(dialog.name, why, &dialog.screen)),
        }
    }

    fn surface(&mut self, command: String, reason: Option<String>) -> Reaction {
        let question = Question {
            kind: QuestionKind::Permission,
            text: command,
            reason,
            turn: self.turns,
        };
        self.end(End::pending(Status::NeedsPermission, &question))
    }

    fn press(&mut self, now: Instant, name: &'static str, key: Key, screen: &str) -> Reaction {
        let (keys, confirmations) = self.presses.entry(name).or_default();
        *keys += 1;
        *confirmations += u8::from(key == Key::Enter);
        if *keys > KEYS || *confirmations > CONFIRMATIONS {
            return self.end(blocked(name, "it came back after it was answered", screen));
        }
        if let Some(face) = &mut self.face {
            face.pressed = Some(now);
            face.look = now + KEY_ECHO;
        }
        Reaction::Press(key, name)
    }

    fn on_calm_sight(&mut self, now: Instant, sight: &Sight) -> Reaction {
        match (&mut self.state, sight) {
            (State::Starting { .. }, Sight::Ready { .. }) => {
                let prompt = self.prompt.clone();
                self.submit(now, prompt)
            }
            // Only at the appointed looks: right after a paste the text stands there, and that is no failure.
            (State::Submitting { due, enters, .. }, sight) => {
                let unsent = matches!(sight, Sight::Ready { holds_prompt: true });
                if std::mem::take(due) && unsent && *enters < ENTERS {
                    *enters += 1;
                    Reaction::Press(Key::Enter, "composer")
                } else {
                    Reaction::Wait
                }
            }
            // The agent went on: the next approval is another one, however alike they look.
            (State::Working { .. }, Sight::Working | Sight::Ready { .. }) => {
                self.presses.clear();
                Reaction::Wait
            }
            _ => Reaction::Wait,
        }
    }
}
