//! The machine of an agent that is driven by requests.

use super::*;
use crate::agent::screen_state::Inquiry;

fn by_requests(responder: bool) -> Plan {
    Plan {
        drive: Drive::Requests,
        responder,
        ..plan()
    }
}

/// One whose prompt is on its way.
fn sent(responder: bool) -> Play {
    let mut play = Play::new(by_requests(responder));
    assert_eq!(play.on(started(OURS, "startup")), Reaction::Wait);
    assert_eq!(play.on(Event::Ready), Reaction::Paste(PROMPT.to_owned()));
    play
}

/// One whose agent works on turn `t1`.
fn at_work(responder: bool) -> Play {
    let mut play = sent(responder);
    assert_eq!(play.on(prompted(OURS, "t1", PROMPT)), Reaction::Wait);
    assert_eq!(play.machine.turns(), 1);
    play
}

fn requested(number: u32, command: &str) -> Event {
    Event::PermissionAsked {
        session: OURS.to_owned(),
        asker: asker(number),
        command: command.to_owned(),
        reason: None,
    }
}

fn asker(number: u32) -> Asker {
    Asker::Request(number.to_string())
}

#[test]
fn a_prompt_is_sent_once_and_no_screen_is_looked_at() {
    let mut play = sent(false);
    assert!(!play.machine.watches_screen());
    assert_eq!(play.on(Event::Ready), Reaction::Wait);
    // A person at the terminal is no reason to give up.
    assert!(play.on(prompted(OURS, "t0", "And this?")).is_ignored());
    assert_eq!(play.on(prompted(OURS, "t1", PROMPT)), Reaction::Wait);
    assert_eq!(play.machine.turns(), 1);
}

#[test]
fn a_server_that_gives_no_answer_is_named() {
    let mut play = sent(false);
    let end = loop {
        match play.deadline() {
            Reaction::Look => assert_eq!(play.on(Event::Ready), Reaction::Wait),
            other => break other.into_end(),
        }
    };
    assert_eq!(end.code(), "not_submitted");
    let message = end.error.expect("an error").message;
    assert!(message.contains("server"), "{message}");
}

#[test]
fn an_approval_without_a_responder_ends_the_run_at_once() {
    let end = at_work(false).on(requested(1, "touch x")).into_end();
    assert_eq!(end.status, Status::NeedsPermission);
    assert_eq!(end.pending.expect("the command").text, "touch x");
}

#[test]
fn an_approval_that_a_person_gives_needs_no_word() {
    let mut play = at_work(true);
    let first = play.on(requested(1, "touch x")).into_question();
    assert_eq!(play.on(requested(2, "touch y")), Reaction::Wait);
    let closed = |number| Event::PermissionClosed {
        asker: asker(number),
    };
    assert!(play.on(closed(3)) == Reaction::Wait);
    let second = play.on(closed(1)).into_question();
    assert_eq!(second.text, "touch y");
    assert!(
        play.on(Event::Answered(first, Some(Answer::Allow)))
            .is_ignored()
    );
    let decided = play.on(Event::Answered(second, Some(Answer::Allow)));
    assert!(matches!(decided, Reaction::Decide { asker: of, .. } if of == asker(2)));
    let end = play.on(stopped(OURS, "t1", RESULT)).into_end();
    assert_eq!(end.status, Status::Completed);
}

/// Nobody else decides, as hooks may by keys.
#[test]
fn an_approval_without_an_answer_ends_the_run() {
    for answer in [None, Some(Answer::Text("perhaps".to_owned()))] {
        let mut play = at_work(true);
        let question = play.on(requested(1, "touch x")).into_question();
        let end = play.on(Event::Answered(question, answer)).into_end();
        assert_eq!(end.status, Status::NeedsPermission);
    }
}

#[test]
fn a_form_is_asked_at_once_and_answered_whole() {
    let inquiry = |text: &str| Inquiry {
        text: text.to_owned(),
        options: Vec::new(),
    };
    let form = Event::Inquired {
        call: "7".to_owned(),
        inquiries: vec![inquiry("Tabs?"), inquiry("Name?")],
        is_typed: true,
    };
    let mut play = at_work(true);
    let tabs = play.on(form.clone()).into_question();
    let yes = |text: &str| Some(Answer::Text(text.to_owned()));
    let name = play.on(Event::Answered(tabs, yes("no"))).into_question();
    let filled = Reaction::Fill {
        call: "7".to_owned(),
        answers: vec!["no".to_owned(), "parser".to_owned()],
    };
    assert_eq!(play.on(Event::Answered(name, yes("parser"))), filled);
    let end = at_work(false).on(form).into_end();
    assert_eq!(end.status, Status::NeedsInput);
}
