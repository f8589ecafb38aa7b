//! Reactions to the screen: which keys are pressed, how often, and when a dialog ends the run.

use std::time::{Duration, Instant};

use super::super::end::{blocked, composer_in_use, sign_in};
use super::super::{COMPOSER, End, Reaction};
use super::deadlines::{digestion, late};
use super::{FIRST_LOOK, Machine, Sent, State, Submission};
use crate::agent::screen_state::{Advice, Holds, ScreenState, ShownDialog};
use crate::os::time::words;
use crate::record::Status;
use crate::task::policy::Permissions;
use crate::task::question::{Question, QuestionKind};
use crate::tmux::Key;

/// The largest number of times that Enter is pressed while a sent prompt is still in the composer.
const ENTERS: u8 = 3;
/// A prompt is pasted so often at most, when dialogs take it.
const PASTES: u8 = 3;
/// The hint for ends that the screen explains.
const SEE_SCREEN: &str = "`pending` has the agent's screen";
/// A dialog is confirmed so often at most.
const CONFIRMATIONS: u8 = 2;
/// Keys that one dialog may take at most, the focus's moves included.
const KEYS: u8 = 16;
/// A dialog that looks the same so long after a key did not take the key.
const KEY_ECHO: Duration = Duration::from_secs(1);
/// An unknown dialog must be up for this long before it is believed: a screen can be caught half drawn.
const SETTLED: Duration = Duration::from_millis(700);
/// The same of a permission's dialog that a program shows while its hook decides: what was decided takes a while to show.
const HOOKED: Duration = Duration::from_secs(4);

/// A dialog that is up, since when, when a key was pressed, and when it is looked at again.
#[derive(Clone, Debug)]
pub(super) struct DialogState {
    dialog: ShownDialog,
    since: Instant,
    pressed: Option<Instant>,
    pub(super) look: Instant,
}

impl Machine {
    pub(crate) fn on_sight(&mut self, now: Instant, sight: ScreenState) -> Reaction {
        if let Some(reaction) = self.on_sight_while_stopping(now, &sight) {
            return reaction;
        }
        let ScreenState::Dialog(dialog) = sight else {
            self.dialog_state = None;
            self.awaited.looked();
            return self.on_calm_sight(now, &sight);
        };
        match &mut self.state {
            State::Asking { .. } | State::Approving { .. } | State::Consulting { .. } => {
                self.dialog_state = None;
                return Reaction::Wait;
            }
            State::Submitting(submission) => submission.covered = true,
            _ => self.cover_message(),
        }
        if let Some(question) = self.awaited.shown(&dialog) {
            return self.end(End::pending(Status::NeedsPermission, &question));
        }
        let is_hooked = self.plan.executor.has_dialog_beside_hook()
            && matches!(self.state, State::Working { .. })
            && matches!(dialog.advice, Advice::Approval { .. });
        let patience = if is_hooked { HOOKED } else { SETTLED };
        let known = self
            .dialog_state
            .take()
            .filter(|dialog_state| dialog_state.dialog.dialog_state == dialog.dialog_state);
        let dialog_state = known.unwrap_or_else(|| DialogState {
            dialog: dialog.clone(),
            since: now,
            pressed: None,
            look: now + patience,
        });
        let settled = now.duration_since(dialog_state.since) >= patience;
        let echoing = dialog_state
            .pressed
            .is_some_and(|at| now.duration_since(at) < KEY_ECHO);
        self.dialog_state = Some(dialog_state);
        let working = matches!(self.state, State::Working { .. });
        match dialog.advice {
            Advice::Wait => {
                self.dialog_state = None;
                Reaction::Wait
            }
            Advice::SignIn => self.end(sign_in(&dialog.screen, self.plan.executor)),
            Advice::Fill { number, step } if working && !echoing => {
                self.fill(now, (dialog.name, &dialog.screen), (number, step))
            }
            Advice::Fill { .. } => Reaction::Wait,
            // The transcript's words are the better source, and on their way; the title of a form that is drawn changes
            // in no other way than by a key.
            Advice::Ask(_) if self.has_typed_form() => Reaction::Wait,
            // It was seen before its answers were known.
            Advice::Ask(_) if self.is_form_answered() => Reaction::Look,
            Advice::Ask(drawn) if working && (self.form.is_some() || settled) => {
                self.on_form(now, &drawn)
            }
            Advice::Ask(_) if !settled => Reaction::Wait,
            Advice::Ask(_) => self.end(blocked(
                dialog.name,
                "the agent asks something",
                &dialog.screen,
                self.plan.executor,
            )),
            Advice::Approval {
                command,
                reason,
                allow,
            } => match self.plan.permissions {
                Permissions::Allow if working && !echoing && (settled || !is_hooked) => {
                    self.press(now, dialog.name, allow, &dialog.screen)
                }
                // The hook's event is the better source; it is on its way.
                _ if echoing || !settled => Reaction::Wait,
                _ => self.surface(command, reason),
            },
            // The agent works on beside it, and its composer is not needed yet.
            Advice::Press(_) | Advice::Leave(_) if working => Reaction::Wait,
            Advice::Press(_) if echoing => Reaction::Wait,
            Advice::Press(key) => self.press(now, dialog.name, key, &dialog.screen),
            Advice::Surface(_) | Advice::Leave(_) if !settled => Reaction::Wait,
            // Whoever opened it may close it, as long as a reply can wait.
            Advice::Leave(_) if self.turns > 0 => Reaction::Wait,
            Advice::Surface(why) | Advice::Leave(why) => self.end(blocked(
                dialog.name,
                why,
                &dialog.screen,
                self.plan.executor,
            )),
        }
    }

    fn surface(&mut self, command: String, reason: Option<String>) -> Reaction {
        let question = Question {
            kind: QuestionKind::Permission,
            text: command,
            reason,
            options: Vec::new(),
            turn: self.turns,
        };
        self.end(End::pending(Status::NeedsPermission, &question))
    }

    pub(crate) fn press(
        &mut self,
        now: Instant,
        name: &'static str,
        key: Key,
        screen: &str,
    ) -> Reaction {
        let (keys, confirmations) = self.presses.entry(name).or_default();
        *keys += 1;
        *confirmations += u8::from(key == Key::Enter);
        if *keys > KEYS || *confirmations > CONFIRMATIONS {
            return self.end(blocked(
                name,
                "it came back after it was answered",
                screen,
                self.plan.executor,
            ));
        }
        if let Some(dialog_state) = &mut self.dialog_state {
            dialog_state.pressed = Some(now);
            dialog_state.look = now + KEY_ECHO;
        }
        Reaction::Press(key, name)
    }

    fn on_calm_sight(&mut self, now: Instant, sight: &ScreenState) -> Reaction {
        if let ScreenState::Ready { holds } = sight {
            self.holds = Some(*holds);
        }
        let is_typed =
            matches!(sight, ScreenState::Ready { holds } if self.has_typed_prompt(*holds));
        match (&mut self.state, sight) {
            (
                State::Starting { .. },
                ScreenState::Ready {
                    holds: Holds::Nothing,
                },
            ) => self.paste(now),
            (State::Starting { .. }, _) if is_typed => self.await_proof(now, Sent::No),
            (State::Submitting(_), ScreenState::Ready { holds }) => self.on_composer(now, *holds),
            // The agent went on: the next approval is another one, however alike they look.
            (State::Working { .. }, ScreenState::Working { holds }) => {
                self.presses.clear();
                self.on_composer_at_work(now, *holds)
            }
            (State::Working { .. }, ScreenState::Ready { holds }) => {
                self.presses.clear();
                // Some program does not say that it works while there is a text in its composer.
                match self.is_steering() {
                    true => self.on_composer_at_work(now, *holds),
                    false => Reaction::Wait,
                }
            }
            _ => Reaction::Wait,
        }
    }

    /// The composer, after a paste.
    fn on_composer(&mut self, now: Instant, holds: Holds) -> Reaction {
        let digestion = digestion(&self.prompt);
        let State::Submitting(submission) = &mut self.state else {
            return Reaction::Wait;
        };
        let due = std::mem::take(&mut submission.due);
        match (submission.sent, holds) {
            (Sent::No | Sent::Perhaps, Holds::Prompt) => {
                submission.sent = Sent::Yes;
                submission.look = now + FIRST_LOOK + digestion;
                Reaction::Press(self.plan.executor.submit_key(), COMPOSER)
            }
            // No key has submitted it, so that the composer is empty because a dialog took the paste.
            (Sent::No, Holds::Nothing) if submission.covered && submission.pastes < PASTES => {
                submission.covered = false;
                submission.pastes += 1;
                Reaction::Paste(self.prompt.clone())
            }
            // Only at the appointed looks: right after the key the text is still there, which is not a failure.
            (Sent::Yes, Holds::Prompt) if due && submission.enters < ENTERS => {
                submission.enters += 1;
                Reaction::Press(Key::Enter, COMPOSER)
            }
            _ => Reaction::Wait,
        }
    }

    /// The end of a run whose composer did not take a prompt in time.
    pub(crate) fn no_composer(&mut self) -> Reaction {
        let limits = self.plan.limits;
        if let Some(end) = self.in_the_way() {
            return self.end(end);
        }
        if self.turns > 0 {
            let budget = words(limits.submit);
            let message = format!("the agent's composer accepted no reply within {budget}");
            return self.cut_off(late("not_submitted", message, SEE_SCREEN));
        }
        let message = format!("the agent was not ready within {}", words(limits.startup));
        let hint = if self.is_one_shot() {
            "raise --startup-timeout on a slow machine; `stderr.log` in the run's directory has what it said"
        } else {
            "`pending` has its screen; raise --startup-timeout on a slow machine"
        };
        self.end(late("startup_timeout", message, hint))
    }

    /// The end of a run whose prompt was not proven to be submitted in time.
    pub(crate) fn no_proof(&mut self) -> Reaction {
        let State::Submitting(Submission { sent, enters, .. }) = self.state else {
            return Reaction::Wait;
        };
        if let Some(end) = self.in_the_way() {
            return self.end(end);
        }
        let budget = words(self.submit_budget());
        let (message, hint) = match sent {
            _ if self.is_one_shot() => (
                format!("the agent began no turn within {budget}"),
                "`stderr.log` in the run's directory has what it said",
            ),
            _ if self.is_without_keys() => (
                format!("the agent's server did not answer the prompt within {budget}"),
                "try again, perhaps with --drive keys",
            ),
            Sent::Yes => (
                format!(
                    "no proof that the prompt was submitted within {budget} and {enters} more Enter"
                ),
                "the hooks may be off (`cx-operator doctor`), or a person typed into the pane",
            ),
            Sent::No | Sent::Perhaps => (
                format!("the prompt that was pasted did not show in the composer within {budget}"),
                SEE_SCREEN,
            ),
        };
        self.cut_off(late("not_submitted", message, hint))
    }

    /// What keeps the composer from the prompt, if that is known: a dialog, or another text.
    fn in_the_way(&mut self) -> Option<End> {
        if let Some(DialogState { dialog, .. }) = self.dialog_state.take() {
            return Some(blocked(
                dialog.name,
                "it was not closed",
                &dialog.screen,
                self.plan.executor,
            ));
        }
        (self.holds == Some(Holds::Other)).then(composer_in_use)
    }
}
