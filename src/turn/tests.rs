//! The machine without a clock, a file or a process: every state, and every event that matters in it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::classify::{Evidence, PROBE};
use super::*;
use crate::agent::ExecutorId;
use crate::agent::conversation::Drive;
use crate::agent::report::TurnError;
use crate::agent::screen_state::{Advice, Holds, ScreenState, ShownDialog};
use crate::agent::signals::{Kind, SignalFile};
use crate::record::Status;
use crate::task::policy::{Limits, Permissions};
use crate::task::question::{Answer, Question, QuestionKind};
use crate::tmux::Key;

mod asking;
mod budget;
mod ends;
mod late;
mod probe;
mod properties;
mod requests;
mod screen;
mod stopping;
mod submit;
mod told;

const PROMPT: &str = "Rename the module.";
const OURS: &str = "019a5b2c-1f00-7abc-8def-0123456789ab";
const FOREIGN: &str = "019a5b2c-1f00-7abc-8def-ffffffffffff";
const WORKTREE: &str = "/tmp/cx-task";

const RESULT: &str = "Done. I've renamed it.\n\nSTATUS: DONE";
const QUESTION: &str = "Which name do you want?\n\nSTATUS: QUESTION";
const REQUEST: &str = "May I run `cargo update`?";
const PROGRESS: &str = "Let me check the files first.";
const UNCLEAR: &str = "";

const SUBMIT: Reaction = Reaction::Press(Key::Submit, COMPOSER);

/// Nobody to ask, approvals surfaced.
fn plan() -> Plan {
    Plan {
        prompt: PROMPT.to_owned(),
        limits: Limits::default(),
        permissions: Permissions::Ask,
        responder: false,
        probe: false,
        directory: PathBuf::from(WORKTREE),
        executor: ExecutorId::default(),
        drive: Drive::Keys,
        answer: None,
    }
}

fn plan_with_responder() -> Plan {
    Plan {
        responder: true,
        ..plan()
    }
}

/// A machine, and the time that its test has come to.
#[derive(Clone, Debug)]
struct Play {
    machine: Machine,
    now: Instant,
}

impl Play {
    fn new(plan: Plan) -> Self {
        let now = Instant::now();
        Self {
            machine: Machine::new(plan, now),
            now,
        }
    }

    /// One whose first prompt is pasted.
    fn pasted(plan: Plan) -> Self {
        let mut play = Self::new(plan);
        assert_eq!(play.on(ready()), Reaction::Paste(PROMPT.to_owned()));
        play
    }

    /// One whose first prompt is sent.
    fn submitting(plan: Plan) -> Self {
        let mut play = Self::pasted(plan);
        assert_eq!(play.on(unsent()), SUBMIT);
        play
    }

    /// One whose agent works on turn `t1`.
    fn working(plan: Plan) -> Self {
        let mut play = Self::submitting(plan);
        assert_eq!(play.on(started(OURS, "startup")), Reaction::Wait);
        assert_eq!(play.on(prompted(OURS, "t1", PROMPT)), Reaction::Wait);
        assert_eq!(play.machine.turns(), 1);
        play
    }

    /// One whose responder was asked what turn `t1` ended with.
    fn asking(message: &str) -> (Self, Question) {
        let mut play = Self::working(plan_with_responder());
        let question = play.on(stopped(OURS, "t1", message)).into_question();
        (play, question)
    }

    /// Takes an event; where a reply is to be given, the composer is ready for it.
    fn on(&mut self, event: Event) -> Reaction {
        let may_reply = matches!(event, Event::TurnStopped { .. } | Event::Answered(..));
        match self.machine.on(self.now, event) {
            Reaction::Look if may_reply => self.machine.on(self.now, ready()),
            reaction => reaction,
        }
    }

    fn after(&mut self, milliseconds: u64, event: Event) -> Reaction {
        self.now += Duration::from_millis(milliseconds);
        self.on(event)
    }

    /// What is left until the deadline.
    fn remaining(&self) -> Duration {
        let deadline = self.machine.deadline().expect("the run is not over");
        deadline.saturating_duration_since(self.now)
    }

    /// Lets the time of the deadline come.
    fn deadline(&mut self) -> Reaction {
        self.now += self.remaining();
        self.on(Event::Deadline)
    }
}

impl Reaction {
    fn into_end(self) -> End {
        match self {
            Reaction::End(end) => *end,
            other => panic!("an end, not {other:?}"),
        }
    }

    fn into_question(self) -> Question {
        match self {
            Reaction::Ask(question) => question,
            other => panic!("a question, not {other:?}"),
        }
    }

    fn is_ignored(&self) -> bool {
        matches!(self, Reaction::Ignore(_))
    }
}

impl End {
    fn code(&self) -> &str {
        self.error.as_ref().map_or("", |error| &error.code)
    }
}

fn started(session: &str, source: &str) -> Event {
    Event::SessionStarted {
        session: session.to_owned(),
        cwd: Some(PathBuf::from(WORKTREE)),
        source: source.to_owned(),
    }
}

fn prompted(session: &str, turn_id: &str, prompt: &str) -> Event {
    Event::PromptSubmitted {
        session: session.to_owned(),
        turn_id: Some(turn_id.to_owned()),
        cwd: Some(PathBuf::from(WORKTREE)),
        prompt: prompt.to_owned(),
    }
}

fn signal(number: u32) -> SignalFile {
    SignalFile {
        kind: Kind::Permission,
        session: Some(OURS.to_owned()),
        seq: format!("{number:020}-1"),
    }
}

fn asked(session: &str, number: u32, command: &str) -> Event {
    Event::PermissionAsked {
        session: session.to_owned(),
        asker: Asker::Hook(signal(number)),
        command: command.to_owned(),
        reason: Some("it must".to_owned()),
    }
}

fn stopped(session: &str, turn_id: &str, message: &str) -> Event {
    Event::TurnStopped {
        session: session.to_owned(),
        turn_id: Some(turn_id.to_owned()),
        message: Some(message.to_owned()),
        evidence: Evidence::default(),
    }
}

/// The Stop hook of a turn, which only announces.
fn stopping(session: &str, turn_id: &str, message: Option<&str>) -> Event {
    Event::TurnStopping {
        session: session.to_owned(),
        turn_id: Some(turn_id.to_owned()),
        message: message.map(str::to_owned),
    }
}

fn began(turn_id: &str) -> Event {
    Event::TurnBegan {
        turn_id: turn_id.to_owned(),
    }
}

fn failed(turn_id: &str, error: Option<TurnError>) -> Event {
    Event::TurnFailed {
        turn_id: turn_id.to_owned(),
        error,
    }
}

fn aborted(turn_id: Option<&str>) -> Event {
    Event::TurnAborted {
        turn_id: turn_id.map(str::to_owned),
        reason: "interrupted".to_owned(),
    }
}

fn exited(code: Option<i32>) -> Event {
    Event::AgentExited {
        code,
        screen: "one\n\n two \n".to_owned(),
    }
}

/// The composer, with the pasted prompt in it no more.
fn ready() -> Event {
    Event::Screen(ScreenState::Ready {
        holds: Holds::Nothing,
    })
}

/// The composer, with the pasted prompt still in it.
fn unsent() -> Event {
    Event::Screen(ScreenState::Ready {
        holds: Holds::Prompt,
    })
}

/// A turn that runs, and what the composer holds meanwhile.
fn at_work(holds: Holds) -> Event {
    Event::Screen(ScreenState::Working { holds })
}

/// The composer with another text.
fn drafted() -> Event {
    Event::Screen(ScreenState::Ready {
        holds: Holds::Other,
    })
}

fn dialog(name: &'static str, dialog_state: &str, advice: Advice) -> Event {
    Event::Screen(ScreenState::Dialog(ShownDialog {
        name,
        dialog_state: dialog_state.to_owned(),
        advice,
        screen: format!("{dialog_state}\n"),
    }))
}

fn approval(command: &str, allow: Key) -> Event {
    let advice = Advice::Approval {
        command: command.to_owned(),
        reason: None,
        allow,
    };
    dialog("command_approval", command, advice)
}

/// A list that a person opened.
fn popup(dialog_state: &str) -> Event {
    dialog("unknown", dialog_state, Advice::Leave("it is not known"))
}

fn unknown(dialog_state: &str) -> Event {
    dialog("unknown", dialog_state, Advice::Surface("it is not known"))
}
