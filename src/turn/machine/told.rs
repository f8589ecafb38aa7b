//! What other processes tell the agent while it works: within its turn where that is wanted, else when the turn ends, before
//! anything is made of that end.
//!
//! Within a turn a message is on its way from the moment in which it is typed or asked for until the agent is known to have it, one
//! message at a time. Where the turn ends before, it is the next prompt: the program submits by itself what was sent to it.

use std::time::Instant;

use super::super::{COMPOSER, Reaction};
use super::{FIRST_LOOK, Machine, Sent, State, Submission};
use crate::agent::conversation::Drive;
use crate::agent::screen_state::Holds;
use crate::tmux::Key;

/// How often a text is typed that a dialog took, and how often Enter is pressed while it is still in the composer.
const TRIES: u8 = 3;

/// A message of another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    id: String,
    text: String,
    /// Whether it is told within the turn.
    now: bool,
}

/// A message on its way into the turn that runs.
#[derive(Clone, Debug)]
struct Steering {
    message: Message,
    sent: Sent,
    /// Whether the composer was seen to be empty after that: the program has it.
    is_taken: bool,
    /// Whether a dialog was up since it was typed: it may have taken the text.
    covered: bool,
    /// When Enter may be pressed again.
    look: Instant,
    tries: u8,
}

/// The messages of other processes.
#[derive(Clone, Debug, Default)]
pub(super) struct Messages {
    /// Those that the agent has not been told.
    waiting: Vec<Message>,
    /// The ids of those that the prompt on its way has.
    sending: Vec<String>,
    steering: Option<Steering>,
    /// The one that an operator before was about to tell, and whether the key that submits was pressed.
    in_doubt: Option<(String, bool)>,
    /// Whether the first of those that wait may stand in the composer.
    is_typed: bool,
    /// Those that the agent was told within its turn, until someone takes note.
    told: Vec<(String, String)>,
    /// Whether that was when the turn was ending, so that the agent may have left it at that.
    is_late: bool,
}

impl Machine {
    /// Takes a message of another process.
    pub(super) fn on_message(&mut self, now: Instant, message: (String, String, bool)) -> Reaction {
        let (id, text, at_once) = message;
        let message = Message {
            id,
            text,
            now: at_once,
        };
        let is_by_keys = self.is_by_keys();
        let messages = &mut self.messages;
        match messages.in_doubt.take_if(|(id, _)| *id == message.id) {
            // The program has it, or by requests may have it.
            Some((_, is_sent)) if is_sent || !is_by_keys => {
                let mut steering = Steering::of(message, now);
                steering.is_taken = true;
                steering.sent = if is_by_keys { Sent::Yes } else { Sent::No };
                messages.steering = Some(steering);
            }
            // It may stand in the composer.
            Some(_) => {
                messages.is_typed = true;
                messages.waiting.insert(0, message);
            }
            None => messages.waiting.push(message),
        }
        match is_by_keys && self.wants_to_steer() {
            true => Reaction::Look,
            false => Reaction::Wait,
        }
    }

    fn is_by_keys(&self) -> bool {
        !self.is_without_keys()
    }

    /// Whether a message is to be told within the turn that runs, and nothing is in its way.
    fn wants_to_steer(&self) -> bool {
        let works = match &self.state {
            State::Working { turn_id, .. } => self.is_by_keys() || turn_id.is_some(),
            _ => false,
        };
        let is_calm = self.dialog_state.is_none() && !self.awaited.is_due() && self.form.is_none();
        let is_ending = self.is_stopping() || self.is_holding();
        let mut waiting = self.messages.waiting.iter();
        let waits = waiting.any(|message| message.now) && self.messages.steering.is_none();
        works && waits && is_calm && !is_ending && !self.is_one_shot()
    }

    /// Whether the composer matters in a turn: a message is to be typed there.
    pub(super) fn watches_composer(&self) -> bool {
        let is_typing = |steering: &Steering| !steering.is_taken;
        self.wants_to_steer() || self.messages.steering.as_ref().is_some_and(is_typing)
    }

    /// Whether a message is on its way into the turn that runs.
    pub(super) fn is_steering(&self) -> bool {
        self.messages.steering.is_some()
    }

    /// By requests: the message that can be told now.
    pub(crate) fn steer_by_request(&mut self, now: Instant) -> Option<Reaction> {
        let may = self.plan.drive == Drive::Requests && self.wants_to_steer();
        may.then(|| self.begin_to_steer(now))
    }

    fn begin_to_steer(&mut self, now: Instant) -> Reaction {
        let waiting = &mut self.messages.waiting;
        let at = waiting.iter().position(|message| message.now);
        let message = waiting.remove(at.unwrap_or_default());
        let (id, text) = (message.id.clone(), message.text.clone());
        self.messages.steering = Some(Steering::of(message, now));
        self.messages.is_typed = false;
        Reaction::Steer { id, text }
    }

    /// By keys: the composer, while a turn runs.
    pub(super) fn on_composer_at_work(&mut self, now: Instant, holds: Holds) -> Reaction {
        let is_typed = self.has_typed_prompt(holds);
        if (is_typed || holds == Holds::Nothing) && self.wants_to_steer() {
            let steer = self.begin_to_steer(now);
            if !is_typed {
                return steer;
            }
        }
        let submit = self.plan.executor.submit_key();
        let Some(steering) = &mut self.messages.steering else {
            return Reaction::Wait;
        };
        match (steering.sent, holds) {
            (Sent::No | Sent::Perhaps, Holds::Prompt) => {
                (steering.sent, steering.look) = (Sent::Yes, now + FIRST_LOOK);
                Reaction::Press(submit, COMPOSER)
            }
            (Sent::Yes, Holds::Prompt) if now >= steering.look && steering.tries < TRIES => {
                (steering.tries, steering.look) = (steering.tries + 1, now + FIRST_LOOK);
                Reaction::Press(Key::Enter, COMPOSER)
            }
            (Sent::Yes, Holds::Nothing) => {
                steering.is_taken = true;
                Reaction::Wait
            }
            (Sent::No, Holds::Nothing) if steering.covered && steering.tries < TRIES => {
                (steering.tries, steering.covered) = (steering.tries + 1, false);
                let Message { id, text, .. } = steering.message.clone();
                Reaction::Steer { id, text }
            }
            _ => Reaction::Wait,
        }
    }

    /// A dialog is up.
    pub(super) fn cover_message(&mut self) {
        if let Some(steering) = &mut self.messages.steering {
            steering.covered = true;
        }
    }

    /// The text that is typed next or stands in the composer.
    pub(crate) fn text_to_type(&self) -> &str {
        match &self.messages.steering {
            Some(steering) if !steering.is_taken => &steering.message.text,
            None if self.messages.is_typed && self.is_within_turn() => {
                let first = self.messages.waiting.first();
                first.map_or(&self.prompt, |message| &message.text)
            }
            _ => &self.prompt,
        }
    }

    /// The program would not take the message within its turn: it is told when that ends.
    pub(super) fn on_not_steered(&mut self) -> Reaction {
        if let Some(Steering { mut message, .. }) = self.messages.steering.take() {
            message.now = false;
            self.messages.waiting.insert(0, message);
        }
        Reaction::Wait
    }

    /// The agent was told something within its turn.
    pub(super) fn on_steered(&mut self, text: &str) -> Reaction {
        match self.has_heard(text) {
            true => Reaction::Wait,
            false => Reaction::Ignore("words that were not ours, within the turn"),
        }
    }

    /// Whether the agent was told a message of ours by that text, within its turn.
    fn has_heard(&mut self, text: &str) -> bool {
        let executor = self.plan.executor;
        let is_it = |message: &Message| message.now && executor.is_prompt(text, &message.text);
        let messages = &mut self.messages;
        let heard = match &messages.steering {
            Some(steering) if is_it(&steering.message) => {
                messages.steering.take().map(|steering| steering.message)
            }
            _ => {
                let at = messages.waiting.iter().position(is_it);
                at.map(|at| messages.waiting.remove(at))
            }
        };
        let Some(Message { id, text, .. }) = heard else {
            return false;
        };
        messages.is_late = false;
        messages.told.push((id, text));
        true
    }

    /// The same by a hook, which may run while the turn ends: whatever is made of the words then.
    pub(super) fn has_heard_by_hook(&mut self, text: &str) -> bool {
        let heard = self.has_heard(text);
        self.messages.is_late = heard && self.is_stopping();
        heard
    }

    /// What the agent was told within its turn since the last call: ids and texts.
    pub(crate) fn take_told(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.messages.told)
    }

    /// Makes the messages that wait the next prompt; `None` where there are none, or no turn is left.
    pub(super) fn pass_messages_on(&mut self, now: Instant) -> Option<Reaction> {
        let has_turn = self.turns < self.plan.limits.turns && !self.is_one_shot();
        let is_late = std::mem::take(&mut self.messages.is_late);
        match self.messages.steering.take() {
            Some(steering) if steering.sent == Sent::Yes && has_turn => {
                return Some(self.expect(now, steering.message));
            }
            Some(steering) => {
                // What may stand in the composer is a prompt of its own.
                self.messages.is_typed = self.is_by_keys();
                self.messages.waiting.insert(0, steering.message);
            }
            None => {}
        }
        if !has_turn {
            return None;
        }
        if self.messages.waiting.is_empty() {
            return is_late.then(|| {
                self.probed = None;
                self.go_on(now)
            });
        }
        let count = match self.messages.is_typed {
            true => 1,
            false => self.messages.waiting.len(),
        };
        let waiting = self.messages.waiting.drain(..count);
        let (ids, texts): (Vec<String>, Vec<String>) =
            waiting.map(|message| (message.id, message.text)).unzip();
        self.messages.sending = ids;
        self.probed = None;
        Some(self.reply_with(now, texts.join("\n\n")))
    }

    /// The program has a text that it submits by itself, now that its turn is over.
    fn expect(&mut self, now: Instant, message: Message) -> Reaction {
        self.messages.sending = vec![message.id];
        self.prompt = message.text;
        self.probed = None;
        self.await_proof(now, Sent::Yes)
    }

    /// Whether the composer has the next prompt already: it was typed there for the turn before.
    pub(super) fn has_typed_prompt(&self, holds: Holds) -> bool {
        self.messages.is_typed && holds == Holds::Prompt
    }

    /// Awaits the proof of a prompt that is not pasted.
    pub(super) fn await_proof(&mut self, now: Instant, sent: Sent) -> Reaction {
        self.dialog_state = None;
        self.form = None;
        self.holds = None;
        self.state = State::Submitting(Submission {
            look: now + FIRST_LOOK,
            ..self.submission(now, sent)
        });
        Reaction::Expect(self.prompt.clone())
    }

    /// The prompt has proof, and the messages in it with it.
    pub(super) fn messages_arrived(&mut self) {
        self.messages.sending.clear();
        self.messages.is_typed = false;
    }

    /// The ids of the messages that the prompt on its way has.
    pub(crate) fn sending(&self) -> &[String] {
        &self.messages.sending
    }

    /// The messages that the agent has not been told, as far as is known.
    pub(crate) fn untold(&self) -> impl Iterator<Item = &str> {
        let steering = self.messages.steering.iter();
        let messages = steering.map(|steering| &steering.message);
        let messages = messages.chain(&self.messages.waiting);
        messages.map(|message| message.text.as_str())
    }

    /// Takes note of the message that an operator before was about to tell.
    pub(super) fn doubt(&mut self, in_doubt: Option<(String, bool)>) {
        self.messages.in_doubt = in_doubt;
    }
}

impl Steering {
    fn of(message: Message, now: Instant) -> Self {
        Self {
            message,
            sent: Sent::No,
            is_taken: false,
            covered: false,
            look: now,
            tries: 0,
        }
    }
}
