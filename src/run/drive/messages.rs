//! Messages of other processes to the agent, and the prompts that they become.

use crate::agent::ExecutorId;
use crate::record::RunDir;
use crate::record::inbox::{MESSAGE, Message};
use crate::record::journal::{self, Entry, Progress};
use crate::task::question::Answer;
use crate::tmux;
use crate::turn::classify::PROBE;
use crate::turn::{CONTINUE, Event, ResumePoint};

use super::Driver;
use super::words::{as_prompts, sanitised};

impl Driver<'_> {
    /// Reads the messages that have come since. They are before whatever else is to be thought about: a turn's end among it.
    pub(super) fn read_messages(&mut self) {
        let mut events = Vec::new();
        for message in self.parts.dir.load_messages() {
            if !self.messages.insert(message.id.clone()) {
                continue;
            }
            self.acknowledge(&message);
            let text = match self.is_by_requests() {
                true => message.text,
                false => typed(self.parts.executor, message.text),
            };
            events.push(Event::Message {
                id: message.id,
                text,
                at_once: message.now,
            });
        }
        for event in events.into_iter().rev() {
            self.queue.push_front(event);
        }
    }

    fn acknowledge(&mut self, message: &Message) {
        if self.acknowledged.insert(message.id.clone()) {
            self.parts.journal.write(Progress::Taken {
                turn: self.parts.machine.turns(),
                id: message.id.clone(),
                text: message.text.clone(),
                now: message.now,
            });
        }
    }

    /// Tells the agent a message within its turn. By keys nothing is pressed before the text stands in the composer.
    pub(super) async fn steer(&mut self, id: String, text: &str) -> Result<(), tmux::Error> {
        let turn = self.parts.machine.turns();
        let name = message_name(self.parts.dir.name(), &id);
        self.parts.journal.write(Progress::Steering { turn, id });
        if let Some(conversation) = &mut self.parts.conversation {
            conversation.steer(&name, text);
        } else if let Some(pane) = self.parts.pane {
            let executor = self.parts.executor;
            let typed = executor.keystrokes(text);
            pane.paste_in_composer(&typed, executor.composer()).await?;
        }
        Ok(())
    }

    /// Writes down what the agent was told within its turn, with proof.
    pub(super) fn record_told(&mut self) {
        for (id, text) in self.parts.machine.take_told() {
            let turn = self.parts.machine.turns();
            self.parts.journal.write(Progress::Steered { turn, id });
            self.record_reply(MESSAGE, "", &text);
        }
    }

    /// Whether a prompt of that name is a message that was told within the turn.
    pub(super) fn is_message_name(&self, name: &str) -> bool {
        let beginning = message_name(self.parts.dir.name(), "");
        name.starts_with(&beginning)
    }

    /// Takes for read what an operator before has told the agent.
    pub(super) fn pass_over_messages(&mut self, resume_point: &ResumePoint) {
        let entries = journal::load(&self.parts.dir.events()).unwrap_or_default();
        let taken = entries.iter().filter_map(|entry| match &entry.progress {
            Progress::Taken { id, .. } => Some(id.clone()),
            _ => None,
        });
        self.acknowledged = taken.collect();
        self.messages = told(&entries, resume_point).map(str::to_owned).collect();
    }

    /// Says what nobody could be told any more.
    pub(super) fn tell_untold(&mut self) {
        let untold = self.parts.machine.untold();
        let untold = untold.map(|text| format!("the agent was not told: {text}"));
        for text in untold.collect::<Vec<_>>() {
            self.parts
                .journal
                .write(Progress::Notice { text: text.clone() });
            self.notices.push(text);
        }
    }

    /// Sends the next prompt.
    pub(super) async fn paste(&mut self, text: &str) -> Result<(), tmux::Error> {
        self.begin_turn(text);
        let turn = self.parts.machine.turns() + 1;
        // A headless program has it from its start.
        if self.is_by_requests() {
            self.submit(turn, text);
        } else if let Some(pane) = self.parts.pane {
            let typed = self.parts.executor.keystrokes(text);
            pane.paste_turn(turn, &typed).await?;
        }
        Ok(())
    }

    /// Writes the next prompt down.
    pub(super) fn begin_turn(&mut self, text: &str) {
        let messages = self.parts.machine.sending().to_vec();
        if text == CONTINUE {
            self.record_reply("operator", "a status, not a result", CONTINUE);
        } else if text == PROBE {
            let asked = self.parts.machine.asked().map(|asked| asked.text.clone());
            self.record_reply("operator", &asked.unwrap_or_default(), PROBE);
        } else if !messages.is_empty() {
            let said = self.parts.machine.last_message().map(str::to_owned);
            self.record_reply(MESSAGE, &said.unwrap_or_default(), text);
        }
        let turn = self.parts.machine.turns() + 1;
        self.keep_prompt(turn, text);
        self.parts.journal.write(Progress::Pasted {
            turn,
            bytes: text.len(),
            messages,
        });
    }

    /// Keeps a prompt before it is pasted: an operator that takes the run over knows by it whose prompt was submitted.
    fn keep_prompt(&self, turn: u32, text: &str) {
        let name = RunDir::prompt_name(turn);
        if let Err(error) = self.parts.dir.write(&name, text.as_bytes()) {
            tracing::warn!(%error, "the prompt can't be kept");
        }
    }
}

/// The messages that the agent was told. A prompt that was only about to be pasted is made again.
fn told<'a>(entries: &'a [Entry], resume_point: &ResumePoint) -> impl Iterator<Item = &'a str> {
    let (turns, pasted) = (resume_point.turns, resume_point.pasted);
    let told = entries
        .iter()
        .filter_map(move |entry| match &entry.progress {
            Progress::Pasted { turn, messages, .. } if *turn <= turns || pasted => {
                Some(messages.as_slice())
            }
            Progress::Steered { id, .. } => Some(std::slice::from_ref(id)),
            _ => None,
        });
    told.flatten().map(String::as_str)
}

/// The name that a message is told under within a turn.
fn message_name(run: &str, id: &str) -> String {
    format!("{run}-message-{id}")
}

/// Whether another process left a message that the agent was not told.
pub(crate) fn has_untold(dir: &RunDir, resume_point: &ResumePoint) -> bool {
    let entries = journal::load(&dir.events()).unwrap_or_default();
    let told: Vec<&str> = told(&entries, resume_point).collect();
    let messages = dir.load_messages();
    messages
        .iter()
        .any(|message| !told.contains(&message.id.as_str()))
}

/// A message as it is typed.
fn typed(executor: ExecutorId, text: String) -> String {
    match as_prompts(executor, sanitised(Answer::Text(text))) {
        Answer::Text(text) => text,
        Answer::Allow | Answer::Deny(_) => String::new(),
    }
}
