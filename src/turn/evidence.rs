//! What the files of a run say of its turns: for a run that nobody follows any more.

use std::collections::VecDeque;
use std::time::Instant;

use super::driver::Ending;
use super::sources::{Signals, Transcript};
use super::{End, Event, Machine, Reaction};
use crate::run::{self, RunDir};

/// Lets the machine read what hooks and transcript left; `None` where they tell of no end. An exit status on file
/// is the end of a run of which they tell none.
pub(crate) fn judge(
    mut machine: Machine,
    dir: &RunDir,
    replies: Vec<run::Reply>,
) -> (Option<End>, Ending) {
    let mut signals = Signals::new(dir.signals());
    if let Some(session) = machine.session().map(str::to_owned) {
        let turn_id = machine.turn_id().map(str::to_owned);
        signals.pass_over(&session, turn_id.as_deref());
    }
    let mut end = feed(&mut machine, signals.read());
    let path = machine
        .session()
        .and_then(|session| signals.transcript_of(session));
    let mut transcript = path.map(|path| Transcript::new(path.to_owned()));
    let lines = transcript
        .as_mut()
        .map(Transcript::read)
        .unwrap_or_default();
    end = end.or_else(|| feed(&mut machine, lines));
    if let (None, Some(code)) = (&end, dir.load_exit_status()) {
        let exited = Event::AgentExited {
            code: Some(code),
            screen: String::new(),
        };
        end = feed(&mut machine, vec![exited]);
    }
    let ending = Ending {
        end: end.clone().unwrap_or_else(End::operator_died),
        session: machine.session().map(str::to_owned),
        turns: machine.turns(),
        last_message: machine.last_message().map(str::to_owned),
        replies,
        transcript,
        notices: Vec::new(),
    };
    (end, ending)
}

/// What the machine wants to do is not done: there is nobody to type to.
fn feed(machine: &mut Machine, events: Vec<Event>) -> Option<End> {
    let mut queue = VecDeque::from(events);
    while let Some(event) = queue.pop_front() {
        if let Reaction::End(end) = machine.on(Instant::now(), event) {
            return Some(*end);
        }
    }
    None
}
