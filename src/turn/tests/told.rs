//! What another process tells the agent while it works.

use super::*;

fn message(id: &str) -> Event {
    Event::Message {
        id: id.to_owned(),
        text: format!("message {id}"),
        at_once: false,
    }
}

/// One that steers the turn.
fn word(id: &str) -> Event {
    Event::Message {
        id: id.to_owned(),
        text: format!("message {id}"),
        at_once: true,
    }
}

fn steer(id: &str) -> Reaction {
    Reaction::Steer {
        id: id.to_owned(),
        text: format!("message {id}"),
    }
}

fn told(play: &mut Play) -> Vec<String> {
    let told = play.machine.take_told();
    told.into_iter().map(|(id, _)| id).collect()
}

#[test]
fn messages_are_the_next_prompt_whatever_the_turn_ends_with() {
    for end in [RESULT, QUESTION, UNCLEAR, PROGRESS] {
        let mut play = Play::working(plan_with_responder());
        assert_eq!(play.on(message("1")), Reaction::Wait);
        assert_eq!(play.on(message("2")), Reaction::Wait);
        let prompt = "message 1\n\nmessage 2".to_owned();
        assert_eq!(
            play.on(stopped(OURS, "t1", end)),
            Reaction::Paste(prompt.clone())
        );
        assert_eq!(play.machine.sending(), ["1", "2"]);
        assert_eq!(play.on(prompted(OURS, "t2", &prompt)), Reaction::Wait);
        assert!(play.machine.sending().is_empty() && play.machine.turns() == 2);
        let end = play.on(stopped(OURS, "t2", RESULT)).into_end();
        assert_eq!(end.status, Status::Completed);
    }
}

/// One that comes while somebody is asked is told after the answer's turn.
#[test]
fn a_message_is_no_answer() {
    let (mut play, question) = Play::asking(QUESTION);
    assert_eq!(play.on(message("1")), Reaction::Wait);
    let answer = Some(Answer::Text("that one".to_owned()));
    let reaction = play.on(Event::Answered(question, answer));
    assert_eq!(reaction, Reaction::Paste("that one".to_owned()));
    assert_eq!(play.on(prompted(OURS, "t2", "that one")), Reaction::Wait);
    let reaction = play.on(stopped(OURS, "t2", RESULT));
    assert_eq!(reaction, Reaction::Paste("message 1".to_owned()));
}

#[test]
fn a_message_without_a_turn_left_is_not_told() {
    let mut plan = plan();
    plan.limits.turns = 1;
    let mut play = Play::working(plan);
    assert_eq!(play.on(message("1")), Reaction::Wait);
    let end = play.on(stopped(OURS, "t1", RESULT)).into_end();
    assert_eq!(end.status, Status::Completed);
    assert_eq!(play.machine.untold().collect::<Vec<_>>(), ["message 1"]);
}

#[test]
fn a_word_is_typed_into_an_empty_composer_and_sent_once_it_stands_there() {
    let mut play = Play::working(plan());
    assert!(!play.machine.watches_screen());
    assert_eq!(play.on(word("1")), Reaction::Look);
    assert_eq!(play.on(word("2")), Reaction::Look);
    assert!(play.machine.watches_screen());
    assert_eq!(
        play.on(at_work(Holds::Other)),
        Reaction::Wait,
        "a person types"
    );
    assert_eq!(play.on(at_work(Holds::Nothing)), steer("1"));
    assert_eq!(play.machine.text_to_type(), "message 1");
    assert_eq!(
        play.on(at_work(Holds::Nothing)),
        Reaction::Wait,
        "it is typed once"
    );
    assert_eq!(play.on(at_work(Holds::Prompt)), SUBMIT);
    assert_eq!(
        play.on(at_work(Holds::Prompt)),
        Reaction::Wait,
        "it is sent once"
    );
    assert_eq!(
        play.on(at_work(Holds::Nothing)),
        Reaction::Wait,
        "one at a time"
    );
    assert!(!play.machine.watches_screen());
    assert_eq!(play.on(prompted(OURS, "t1", "message 1")), Reaction::Wait);
    assert_eq!(
        (told(&mut play), play.machine.turns()),
        (vec!["1".to_owned()], 1)
    );
    assert_eq!(play.on(at_work(Holds::Nothing)), steer("2"));
    assert_eq!(play.on(at_work(Holds::Prompt)), SUBMIT);
    let heard = Event::Steered {
        text: "message 2".to_owned(),
    };
    assert_eq!(play.on(heard.clone()), Reaction::Wait);
    assert_eq!(told(&mut play), ["2"]);
    assert!(play.on(heard).is_ignored());
    let end = play.on(stopped(OURS, "t1", RESULT)).into_end();
    assert_eq!(end.status, Status::Completed);
}

#[test]
fn no_word_is_typed_while_a_dialog_is_up_or_a_turn_ends() {
    let mut play = Play::working(plan());
    let popup = popup("models");
    assert_eq!(play.on(popup.clone()), Reaction::Wait);
    assert_eq!(play.on(word("1")), Reaction::Wait);
    assert_eq!(play.on(popup.clone()), Reaction::Wait);
    assert_eq!(play.on(at_work(Holds::Nothing)), steer("1"));
    // It took the text.
    assert_eq!(play.on(popup.clone()), Reaction::Wait);
    assert_eq!(play.on(at_work(Holds::Nothing)), steer("1"));
    assert_eq!(play.on(at_work(Holds::Prompt)), SUBMIT);
    assert_eq!(play.on(popup), Reaction::Wait);
    assert_eq!(
        play.on(at_work(Holds::Nothing)),
        Reaction::Wait,
        "it was sent"
    );
    assert_eq!(play.on(prompted(OURS, "t1", "message 1")), Reaction::Wait);
    assert_eq!(play.on(stopping(OURS, "t1", Some(RESULT))), Reaction::Wait);
    assert_eq!(play.on(word("2")), Reaction::Wait);
    assert_eq!(play.on(at_work(Holds::Nothing)), Reaction::Wait);
    let reaction = play.on(stopped(OURS, "t1", RESULT));
    assert_eq!(reaction, Reaction::Paste("message 2".to_owned()));
}

/// The program submits by itself what was sent to it while it worked.
#[test]
fn a_word_that_the_turn_did_not_take_is_the_next_prompt() {
    let sent = || {
        let mut play = Play::working(plan());
        assert_eq!(play.on(word("1")), Reaction::Look);
        assert_eq!(play.on(at_work(Holds::Nothing)), steer("1"));
        play
    };
    let mut play = sent();
    assert_eq!(play.on(at_work(Holds::Prompt)), SUBMIT);
    let reaction = play.on(stopped(OURS, "t1", RESULT));
    assert_eq!(reaction, Reaction::Expect("message 1".to_owned()));
    assert_eq!(play.machine.sending(), ["1"]);
    assert_eq!(play.on(ready()), Reaction::Wait);
    assert_eq!(play.on(prompted(OURS, "t2", "message 1")), Reaction::Wait);
    assert_eq!((play.machine.turns(), told(&mut play)), (2, vec![]));
    // It had already begun when the end of the one before was read.
    let mut play = sent();
    assert_eq!(play.on(at_work(Holds::Prompt)), SUBMIT);
    assert_eq!(play.on(prompted(OURS, "t2", "message 1")), Reaction::Wait);
    assert!(play.on(stopped(OURS, "t1", RESULT)).is_ignored());
    let end = play.on(stopped(OURS, "t2", RESULT)).into_end();
    assert_eq!(end.status, Status::Completed);
    // It stands in the composer.
    let mut play = sent();
    assert_eq!(
        play.machine.on(play.now, stopped(OURS, "t1", RESULT)),
        Reaction::Look
    );
    assert_eq!(play.on(unsent()), Reaction::Expect("message 1".to_owned()));
    assert_eq!(play.on(unsent()), SUBMIT);
    // It does not.
    let mut play = sent();
    let reaction = play.on(stopped(OURS, "t1", RESULT));
    assert_eq!(reaction, Reaction::Paste("message 1".to_owned()));
}

/// What arrives while a turn ends may be in it, and never be answered.
#[test]
fn a_word_that_came_while_the_turn_ended_is_answered() {
    let mut play = Play::working(plan());
    assert_eq!(play.on(word("1")), Reaction::Look);
    assert_eq!(play.on(at_work(Holds::Nothing)), steer("1"));
    assert_eq!(play.on(at_work(Holds::Prompt)), SUBMIT);
    assert_eq!(play.on(stopping(OURS, "t1", Some(RESULT))), Reaction::Wait);
    assert_eq!(play.on(prompted(OURS, "t1", "message 1")), Reaction::Wait);
    let reaction = play.on(stopped(OURS, "t1", RESULT));
    assert_eq!(reaction, Reaction::Paste(CONTINUE.to_owned()));
}

#[test]
fn by_requests_a_word_is_told_as_soon_as_a_turn_runs() {
    let mut play = Play::new(Plan {
        drive: Drive::Requests,
        ..plan_with_responder()
    });
    assert_eq!(play.on(started(OURS, "startup")), Reaction::Wait);
    assert_eq!(play.on(word("1")), Reaction::Wait);
    let next = |play: &mut Play| play.machine.steer_by_request(play.now);
    assert_eq!(play.on(Event::Ready), Reaction::Paste(PROMPT.to_owned()));
    assert_eq!(next(&mut play), None);
    assert_eq!(play.on(prompted(OURS, "t1", PROMPT)), Reaction::Wait);
    assert_eq!(play.on(message("2")), Reaction::Wait);
    assert_eq!(next(&mut play), Some(steer("1")));
    assert_eq!(next(&mut play), None);
    assert_eq!(play.on(Event::NotSteered), Reaction::Wait);
    assert_eq!(next(&mut play), None);
    let reaction = play.on(stopped(OURS, "t1", RESULT));
    assert_eq!(
        reaction,
        Reaction::Paste("message 1\n\nmessage 2".to_owned())
    );
}

#[test]
fn the_next_operator_types_no_word_again() {
    let resumed = |is_sent| {
        let resume_point = ResumePoint {
            session: Some(OURS.to_owned()),
            turns: 1,
            turn_id: Some("t1".to_owned()),
            steering: Some(("1".to_owned(), is_sent)),
            ..ResumePoint::default()
        };
        let now = Instant::now();
        let machine = Machine::resume(plan(), resume_point, now);
        Play { machine, now }
    };
    let mut play = resumed(true);
    assert_eq!(play.on(word("1")), Reaction::Wait);
    assert_eq!(play.on(at_work(Holds::Nothing)), Reaction::Wait);
    let reaction = play.on(stopped(OURS, "t1", RESULT));
    assert_eq!(reaction, Reaction::Expect("message 1".to_owned()));
    let mut play = resumed(false);
    assert_eq!(play.on(word("1")), Reaction::Look);
    assert_eq!(play.machine.text_to_type(), "message 1");
    let mut empty = play.clone();
    assert_eq!(empty.on(at_work(Holds::Nothing)), steer("1"));
    assert_eq!(play.on(at_work(Holds::Prompt)), SUBMIT);
    // The agent has it by now.
    let mut play = resumed(true);
    assert_eq!(play.on(word("1")), Reaction::Wait);
    assert_eq!(play.on(prompted(OURS, "t1", "message 1")), Reaction::Wait);
    assert_eq!(told(&mut play), ["1"]);
}
