//! What another process tells the agent while it works.

use super::*;

fn message(id: &str) -> Event {
    Event::Message {
        id: id.to_owned(),
        text: format!("message {id}"),
    }
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
