//! The evidence of a run's turns in its files: for a run without an operator.

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::time::Instant;

use crate::agent::conversation::Drive;
use crate::agent::executor::Resumed;
use crate::record::{self, RunDir};
use crate::run::drive::Ending;
use crate::run::drive::recorded::{Recorded, reached};
use crate::run::drive::sources::{
    Signals, StreamState, Transcript, command_of, denied_by_policy, forget_refused, stream_events,
};
use crate::task::policy::Permissions;
use crate::task::question::{Question, QuestionKind};
use crate::turn::end::unanswered;
use crate::turn::{End, Event, Machine, Reaction, ResumePoint};

/// The known facts of a run's turns.
#[derive(Debug)]
pub(crate) struct Judgement {
    /// How they ended, where the files tell of an end.
    pub(crate) end: Option<End>,
    /// The same as an ending; without an end, that of a run whose agent is gone as well as its operator.
    pub(crate) ending: Ending,
}

/// Lets the machine read what hooks and transcript left since the resume point was written down. An exit status on file is the
/// end of a run of which they tell none.
pub(crate) fn judge(
    mut machine: Machine,
    (dir, named, resumed): (&RunDir, Option<&Path>, Option<&Resumed>),
    (resume_point, replies): (&ResumePoint, &[record::Reply]),
    is_running: bool,
) -> Judgement {
    let executor = machine.executor();
    let mut signals = Signals::new(dir.signals(), executor);
    let decided = signals.pass_over(resume_point);
    let mut by_hooks: HashSet<String> = decided.iter().cloned().collect();
    let mut recorded = Recorded::of_turn(resume_point.turns, replies, decided);
    let is_headless = machine.drive() == Drive::Headless;
    let mut events = signals.read();
    if is_headless {
        // The stream comes first, and has the rest.
        events.retain(|event| matches!(event, Event::PermissionAsked { .. }));
    }
    let mut replies = replies.to_vec();
    replies.extend(by_policy(&machine, &mut recorded, &events));
    let (mut end, transcript);
    if is_headless {
        let mut stream = Transcript::new(dir.stream(), executor);
        let state = StreamState {
            has_ended: !is_running,
            is_proven: machine.turns() > 0,
        };
        let mut lines = stream_events(&mut stream, &machine, state);
        by_hooks.extend(events.iter().filter_map(command_of));
        by_hooks.extend(denied_by_policy(&dir.signals()));
        forget_refused(&mut lines, &by_hooks);
        let at = lines
            .iter()
            .position(|event| matches!(event, Event::LeftAtWork(_)))
            .unwrap_or(lines.len());
        lines.splice(at..at, events);
        end = feed(&mut machine, &mut recorded, lines);
        transcript = Some(stream);
    } else {
        end = feed(&mut machine, &mut recorded, events);
        let path = machine
            .session()
            .and_then(|session| signals.transcript_of(session))
            .or(named);
        let mut read = path.map(|path| Transcript::of_run(path.to_owned(), executor, resumed));
        let mut lines = read.as_mut().map(Transcript::read).unwrap_or_default();
        if machine.drive() == Drive::Requests {
            prove(&machine, &mut lines);
        }
        end = end.or_else(|| feed(&mut machine, &mut recorded, lines));
        transcript = read;
    }
    // Whoever follows the run on may have it answered.
    let asked = machine.asked().cloned().or(machine.awaited());
    // A hook of the user's may have decided, or a person in the pane.
    let is_decided = |question: &Question| {
        let transcript = transcript.as_ref();
        question.kind == QuestionKind::Permission
            && transcript.is_some_and(|transcript| transcript.is_decided(&question.text))
    };
    let asked = asked.filter(|question| !is_decided(question));
    let asked = asked.as_ref().map(unanswered);
    // A Stop that no transcript contradicts is all that is known of an agent that is gone.
    let unconfirmed = machine.clone().end_unconfirmed();
    if dir.load_exit_status().is_some() && asked.is_none() {
        end = end.or(unconfirmed.clone());
    }
    if let (None, None, Some(code)) = (&end, &asked, dir.load_exit_status()) {
        let exited = Event::AgentExited {
            code: Some(code),
            screen: String::new(),
        };
        end = feed(&mut machine, &mut recorded, vec![exited]);
    }
    let ending = Ending {
        end: end
            .clone()
            .or(asked)
            .or(unconfirmed)
            .unwrap_or_else(End::operator_died),
        session: machine.session().map(str::to_owned),
        turns: machine.turns(),
        last_message: machine.last_message().map(str::to_owned),
        answer: machine.answer().cloned(),
        replies: reached(replies, &machine),
        transcript,
        notices: Vec::new(),
        conversation: None,
    };
    Judgement { end, ending }
}

/// A turn that began after a prompt was sent, in a session that takes prompts from nobody else unasked, has that prompt.
fn prove(machine: &Machine, events: &mut Vec<Event>) {
    let (known, is_submitting) = machine.under_way();
    let Some(session) = machine.session().filter(|_| is_submitting) else {
        return;
    };
    let began = |event: &Event| match event {
        Event::TurnBegan { turn_id } => (Some(turn_id) != known.as_ref()).then(|| turn_id.clone()),
        _ => None,
    };
    let Some(turn_id) = events.iter().rev().find_map(began) else {
        return;
    };
    let is_it = |event: &Event| matches!(event, Event::TurnBegan { turn_id: of } if *of == turn_id);
    let at = events.iter().position(is_it).unwrap_or_default();
    let prompt = Event::PromptSubmitted {
        session: session.to_owned(),
        turn_id: Some(turn_id),
        cwd: None,
        prompt: machine.prompt().to_owned(),
    };
    events.insert(at, prompt);
}

/// The approvals that the hooks decided with the policy, without a journal entry.
fn by_policy(machine: &Machine, recorded: &mut Recorded, events: &[Event]) -> Vec<record::Reply> {
    let reply = match machine.permissions() {
        Permissions::Allow => "allow",
        Permissions::Deny => "deny",
        Permissions::Ask => return Vec::new(),
    };
    let mut turn = machine.turns();
    let mut replies = Vec::new();
    for event in events {
        match event {
            Event::PromptSubmitted { .. } => turn += 1,
            Event::PermissionAsked { command, .. } => replies.push(record::Reply {
                turn,
                by: "policy".to_owned(),
                question: command.clone(),
                reply: reply.to_owned(),
            }),
            _ => {}
        }
    }
    replies.retain(|reply| !recorded.take(reply));
    replies
}

/// The machine's reactions are not carried out: there is no pane to type into. The replies are known.
fn feed(machine: &mut Machine, recorded: &mut Recorded, events: Vec<Event>) -> Option<End> {
    let mut queue = VecDeque::from(events);
    while let Some(event) = queue.pop_front() {
        match machine.on(Instant::now(), event) {
            Reaction::End(end) => return Some(*end),
            Reaction::Ask(question)
            | Reaction::Decide {
                next: Some(question),
                ..
            } => {
                let answer = recorded.answer_once(&question);
                queue.extend(answer.map(|answer| Event::Answered(question, Some(answer))));
            }
            _ => {}
        }
    }
    None
}
