//! The transcript of an agent that is driven by keys.

use super::Driver;
use super::sources::{Transcript, wait_for_error};
use crate::os::watch::Source;
use crate::turn::Event;

impl Driver<'_> {
    /// Follows the transcript of the session that the machine takes for the agent's.
    pub(super) async fn follow_transcript(&mut self) {
        if !self.is_by_keys() {
            return;
        }
        let Some(session) = self.parts.machine.session() else {
            return;
        };
        let Some(path) = self
            .signals
            .transcript_of(session)
            .map(std::path::Path::to_owned)
        else {
            return;
        };
        let current = self
            .transcript
            .as_ref()
            .is_some_and(|transcript| transcript.path() == path);
        if current && self.transcript_watched.is_some() {
            return;
        }
        if !current {
            let (executor, resumed) = (self.parts.executor, self.parts.resumed);
            self.transcript = Some(Transcript::of_run(path.clone(), executor, resumed));
        }
        if let (Some(dir), Some(name)) = (
            path.parent(),
            path.file_name().and_then(|name| name.to_str()),
        ) {
            match self
                .parts
                .watch
                .watch(dir, Some(name), (Source::Transcript, &self.wake))
            {
                Ok(watched) => self.transcript_watched = Some(watched),
                // It is read at every rescan all the same.
                Err(error) => tracing::debug!(%error, "the transcript can't be watched yet"),
            }
        }
        self.read_transcript().await;
    }

    pub(super) async fn read_transcript(&mut self) {
        let events = self
            .transcript
            .as_mut()
            .map(Transcript::read)
            .unwrap_or_default();
        let items = self.transcript.as_mut().map(Transcript::take_items);
        for (id, item) in items.into_iter().flatten() {
            self.take_item(id, item);
        }
        // A turn's end is written when its Stop hooks have run: a stop that is there by now came first, and a
        // turn that ended without a message is then no failed one.
        if !events.is_empty() {
            self.queue.extend(self.signals.read());
        }
        let stops = events
            .iter()
            .any(|event| matches!(event, Event::TurnStopped { .. }));
        if stops {
            self.look_for_work();
        }
        for event in events {
            let event = match event {
                Event::TurnFailed {
                    turn_id,
                    error: None,
                } if !self.is_silent(&turn_id) => {
                    let (executor, exit) = (self.parts.executor, self.parts.exit);
                    let error = match self.parts.pane {
                        Some(pane) => wait_for_error(executor, pane, exit).await,
                        None => None,
                    };
                    Event::TurnFailed { turn_id, error }
                }
                other => other,
            };
            self.queue.push_back(event);
        }
        if !stops && self.parts.machine.is_holding() {
            self.look_for_work();
        }
    }

    /// Tells the machine whether sub-agents or commands are at work that a turn began.
    pub(super) fn look_for_work(&mut self) {
        let any = self
            .transcript
            .as_mut()
            .is_some_and(Transcript::look_for_work);
        self.queue.push_back(Event::LeftAtWork(any));
    }

    /// Whether a Stop told that the turn ends without a message, be it still in the queue.
    fn is_silent(&self, turn: &str) -> bool {
        let told = |event: &Event| match event {
            Event::TurnStopping {
                turn_id, message, ..
            } => message.is_none() && turn_id.as_deref().is_none_or(|turn_id| turn_id == turn),
            _ => false,
        };
        self.parts.machine.stops_silently(turn) || self.queue.iter().any(told)
    }
}
