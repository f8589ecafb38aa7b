//! What other processes tell the agent while it works: it is said when the turn ends, before anything is made of that end.

use std::time::Instant;

use super::super::Reaction;
use super::Machine;

/// The messages of other processes.
#[derive(Clone, Debug, Default)]
pub(super) struct Messages {
    /// Those that the agent has not been told: their ids and texts.
    waiting: Vec<(String, String)>,
    /// The ids of those that the prompt on its way has.
    sending: Vec<String>,
}

impl Machine {
    /// Keeps a message until the turn's end.
    pub(super) fn on_message(&mut self, id: String, text: String) -> Reaction {
        self.messages.waiting.push((id, text));
        Reaction::Wait
    }

    /// Makes the messages that wait the next prompt; `None` where there are none, or no turn is left.
    pub(super) fn pass_messages_on(&mut self, now: Instant) -> Option<Reaction> {
        let has_turn = self.turns < self.plan.limits.turns && !self.is_one_shot();
        if self.messages.waiting.is_empty() || !has_turn {
            return None;
        }
        let waiting = std::mem::take(&mut self.messages.waiting);
        let (ids, texts): (Vec<String>, Vec<String>) = waiting.into_iter().unzip();
        self.messages.sending = ids;
        self.probed = None;
        Some(self.reply_with(now, texts.join("\n\n")))
    }

    /// The prompt has proof, and the messages in it with it.
    pub(super) fn messages_arrived(&mut self) {
        self.messages.sending.clear();
    }

    /// The ids of the messages that the prompt on its way has.
    pub(crate) fn sending(&self) -> &[String] {
        &self.messages.sending
    }

    /// The messages that the agent has not been told.
    pub(crate) fn untold(&self) -> impl Iterator<Item = &str> {
        self.messages.waiting.iter().map(|(_, text)| text.as_str())
    }
}
