//! The stream of a headless program, as events: the same for a driver that follows it and for a recovery that reads it once.

use std::collections::HashSet;
use std::path::Path;

use super::Transcript;
use crate::agent::signals::Decided;
use crate::policy::Action;
use crate::turn::{Asker, Event, Machine};

/// What is known of a headless program beside its stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamState {
    /// Whether it has ended, so that the stream is whole.
    pub(crate) has_ended: bool,
    /// Whether the proof of its prompt was told.
    pub(crate) is_proven: bool,
}

/// What the stream tells since the last reading.
///
/// The first turn is the proof of the prompt: the program has no other. The end of a turn is held as long as the program runs.
pub(crate) fn stream_events(
    stream: &mut Transcript,
    machine: &Machine,
    state: StreamState,
) -> Vec<Event> {
    let read = stream.read();
    let session = stream.session().unwrap_or_default().to_owned();
    let mut events = Vec::new();
    if machine.session().is_none() && !session.is_empty() {
        events.push(Event::SessionStarted {
            session: session.clone(),
            cwd: None,
            source: "startup".to_owned(),
        });
        events.push(Event::Ready);
    }
    let mut is_proven = state.is_proven;
    for event in read {
        match &event {
            Event::TurnBegan { turn_id } if !std::mem::replace(&mut is_proven, true) => {
                events.push(Event::PromptSubmitted {
                    session: session.clone(),
                    turn_id: Some(turn_id.clone()),
                    cwd: None,
                    prompt: machine.prompt().to_owned(),
                });
            }
            Event::TurnStopped { .. } => events.push(Event::LeftAtWork(true)),
            _ => {}
        }
        events.push(event);
    }
    if state.has_ended {
        events.push(Event::LeftAtWork(false));
    }
    events
}

/// The command that an event asks an approval for.
pub(crate) fn command_of(event: &Event) -> Option<String> {
    match event {
        Event::PermissionAsked { command, .. } => Some(command.clone()),
        _ => None,
    }
}

/// The commands that the run's policy denied: nobody else is to be asked.
pub(crate) fn denied_by_policy(signals: &Path) -> impl Iterator<Item = String> {
    let decisions = Decided::list(signals).into_iter();
    let denied = decisions.filter(|(_, decided)| decided.action() == Action::Deny);
    denied.map(|(_, decided)| decided.command)
}

/// Leaves out what was refused though a hook was asked for it: the hook's event tells of that, or the policy's record.
pub(crate) fn forget_refused(events: &mut Vec<Event>, by_hooks: &HashSet<String>) {
    events.retain(|event| match event {
        Event::PermissionAsked {
            asker: Asker::Nobody,
            command,
            ..
        } => !by_hooks.contains(command),
        _ => true,
    });
}
