//! Questions and approvals, and what is done with the answers.

use super::*;
use crate::agent::screen_state::Inquiry;

fn answered(play: &mut Play, question: &Question, answer: Option<Answer>) -> Reaction {
    play.on(Event::Answered(question.clone(), answer))
}

fn text(words: &str) -> Option<Answer> {
    Some(Answer::Text(words.to_owned()))
}

fn deny(why: &str) -> Option<Answer> {
    Some(Answer::Deny(why.to_owned()))
}

#[test]
fn a_text_is_the_next_prompt() {
    for (message, kind) in [
        (QUESTION, QuestionKind::Question),
        (UNCLEAR, QuestionKind::Unclear),
        (REQUEST, QuestionKind::Request),
    ] {
        let (mut play, question) = Play::asking(message);
        assert_eq!((question.kind, question.turn), (kind, 1));
        assert_eq!(question.text, message);
        let reaction = answered(&mut play, &question, text("the second"));
        assert_eq!(reaction, Reaction::Paste("the second".to_owned()));
        assert_eq!(play.on(prompted(OURS, "t2", "the second")), Reaction::Wait);
        assert_eq!(play.machine.turns(), 2);
        let end = play.on(stopped(OURS, "t2", RESULT)).into_end();
        assert_eq!(end.status, Status::Completed);
    }
}

#[test]
fn a_request_in_words_takes_a_decision_in_words() {
    for (answer, words) in [
        (Some(Answer::Allow), "Yes, you may."),
        (deny("It is locked."), "No. It is locked."),
        (deny(""), "No."),
    ] {
        let (mut play, question) = Play::asking(REQUEST);
        let reaction = answered(&mut play, &question, answer);
        assert_eq!(reaction, Reaction::Paste(words.to_owned()));
    }
}

#[test]
fn a_decision_is_no_answer_to_a_question() {
    for message in [QUESTION, UNCLEAR] {
        for answer in [Some(Answer::Allow), deny("no"), None] {
            let (mut play, question) = Play::asking(message);
            let end = answered(&mut play, &question, answer).into_end();
            assert_eq!(end.status, Status::NeedsInput);
            assert_eq!(end.pending.expect("the question").text, message);
        }
    }
}

#[test]
fn an_answer_that_nobody_waits_for_is_ignored() {
    let (_, question) = Play::asking(QUESTION);
    for mut play in [
        Play::new(plan()),
        Play::submitting(plan()),
        Play::working(plan()),
    ] {
        assert!(answered(&mut play, &question, text("late")).is_ignored());
    }
}

#[test]
fn a_question_that_somebody_answers_in_the_pane_is_answered() {
    let (mut play, question) = Play::asking(QUESTION);
    assert!(
        play.after(1_000, prompted(OURS, "t2", "the first"))
            .is_ignored()
    );
    assert_eq!(play.remaining(), Limits::default().turn);
    assert!(answered(&mut play, &question, text("the second")).is_ignored());
    assert_eq!(play.machine.turns(), 1, "it was not our prompt");
    let end = play.on(stopped(OURS, "t2", RESULT)).into_end();
    assert_eq!(end.status, Status::Completed);
}

#[test]
fn a_prompt_typed_while_an_approval_is_asked_for_is_the_turn_that_stops() {
    let mut play = Play::working(plan_with_responder());
    let question = play.on(asked(OURS, 1, "touch x")).into_question();
    assert!(play.on(prompted(OURS, "t2", "hurry up")).is_ignored());
    let reaction = answered(&mut play, &question, Some(Answer::Allow));
    assert_eq!(reaction, decide(1, Answer::Allow));
    assert!(play.on(stopped(OURS, "t1", RESULT)).is_ignored());
    let end = play.on(stopped(OURS, "t2", RESULT)).into_end();
    assert_eq!(end.status, Status::Completed);
}

#[test]
fn a_question_that_is_cut_off_goes_on_record() {
    let mut permission = Play::working(plan_with_responder());
    let _asked = permission.on(asked(OURS, 1, "touch x")).into_question();
    let (question, _) = Play::asking(QUESTION);
    for (play, text) in [(permission, "touch x"), (question, QUESTION)] {
        for (wait, event) in [
            (
                0,
                Event::Cancelled {
                    by: "SIGTERM".to_owned(),
                },
            ),
            (65_000, Event::Deadline),
        ] {
            let late = matches!(event, Event::Deadline);
            let end = play.clone().after(wait, event).into_end();
            let unanswered = matches!(end.status, Status::NeedsInput | Status::NeedsPermission);
            assert!(end.status == Status::Aborted && !late || unanswered && late);
            assert_eq!(end.pending.expect("the question").text, text);
        }
    }
    let mut play = Play::working(plan());
    let end = play
        .on(Event::Cancelled {
            by: "SIGTERM".to_owned(),
        })
        .into_end();
    assert_eq!(end.pending, None);
}

/// A responder may be a person: the time of turn and run is stopped in the meantime.
#[test]
fn the_clocks_stand_still_while_somebody_is_asked() {
    let mut slow = plan_with_responder();
    slow.limits.answer = Duration::from_secs(10 * 3600);
    let hours = 9 * 3_600_000;
    let mut play = Play::working(slow.clone());
    let question = play
        .after(60_000, asked(OURS, 1, "touch x"))
        .into_question();
    assert!(play.remaining() > Duration::from_secs(10 * 3600));
    assert_eq!(play.after(hours, Event::Deadline), Reaction::Look);
    let reaction = answered(&mut play, &question, Some(Answer::Allow));
    assert_eq!(reaction, decide(1, Answer::Allow));
    assert_eq!(play.remaining(), Duration::from_secs(14 * 60));
    let question = play
        .after(60_000, stopped(OURS, "t1", QUESTION))
        .into_question();
    play.now += Duration::from_millis(hours);
    let reaction = answered(&mut play, &question, text("the second"));
    assert_eq!(reaction, Reaction::Paste("the second".to_owned()));
    assert_eq!(play.on(prompted(OURS, "t2", "the second")), Reaction::Wait);
    assert_eq!(play.remaining(), slow.limits.turn);
    // Two minutes of the hour are over, and 44 more.
    for turn in 3..6 {
        play.now += Duration::from_secs(14 * 60 + 40);
        let last = format!("t{}", turn - 1);
        let reaction = play.on(stopped(OURS, &last, PROGRESS));
        assert!(matches!(reaction, Reaction::Paste(_)), "{reaction:?}");
        let next = format!("t{turn}");
        assert_eq!(play.on(prompted(OURS, &next, CONTINUE)), Reaction::Wait);
    }
    assert_eq!(play.remaining(), Duration::from_secs(14 * 60));
    assert_eq!(play.deadline().into_end().code(), "run_timeout");
}

#[test]
fn an_answer_to_an_earlier_question_answers_no_later_one() {
    let mut play = Play::working(plan_with_responder());
    let approval = play.on(asked(OURS, 1, "touch x")).into_question();
    let request = play.on(stopped(OURS, "t1", REQUEST)).into_question();
    assert!(answered(&mut play, &approval, Some(Answer::Allow)).is_ignored());
    let reaction = answered(&mut play, &request, deny("no"));
    assert_eq!(reaction, Reaction::Paste("No. no".to_owned()));
}

#[test]
fn an_approval_without_a_responder_is_surfaced() {
    let mut play = Play::working(plan());
    assert_eq!(play.on(asked(OURS, 1, "touch x")), Reaction::Look);
    assert!(play.machine.watches_screen());
    let end = play.on(approval("touch …", Key::Enter)).into_end();
    assert_eq!((end.status, end.error), (Status::NeedsPermission, None));
    let pending = end.pending.expect("the command");
    assert_eq!(pending.text, "touch x");
    assert_eq!(pending.reason.as_deref(), Some("it must"));
}

#[test]
fn a_responder_decides_an_approval_within_the_turn() {
    for answer in [Answer::Allow, Answer::Deny("no".to_owned())] {
        let mut play = Play::working(plan_with_responder());
        let question = play.after(1_000, asked(OURS, 1, "touch x")).into_question();
        assert_eq!(question.kind, QuestionKind::Permission);
        assert_eq!(question.text, "touch x");
        let reaction = answered(&mut play, &question, Some(answer.clone()));
        assert_eq!(reaction, decide(1, answer));
        let left = Limits::default().turn - Duration::from_secs(1);
        assert_eq!(play.remaining(), left, "the turn's budget goes on");
        assert_eq!(play.machine.turns(), 1);
        let end = play.on(stopped(OURS, "t1", RESULT)).into_end();
        assert_eq!(end.status, Status::Completed);
    }
}

fn decide(number: u32, answer: Answer) -> Reaction {
    Reaction::Decide {
        asker: Asker::Hook(signal(number)),
        answer,
        next: None,
    }
}

#[test]
fn approvals_that_are_asked_for_at_once_are_decided_in_turn() {
    let mut play = Play::working(plan_with_responder());
    let first = play.on(asked(OURS, 1, "touch x")).into_question();
    for (number, command) in [(2, "touch y"), (3, "touch z")] {
        assert_eq!(play.on(asked(OURS, number, command)), Reaction::Wait);
    }
    let mut question = first;
    for (number, following) in [(1, "touch y"), (2, "touch z")] {
        match answered(&mut play, &question, Some(Answer::Allow)) {
            Reaction::Decide {
                asker: Asker::Hook(hook),
                next,
                ..
            } => {
                assert_eq!(hook, signal(number));
                question = next.expect("another is asked for");
                assert_eq!(question.text, following);
            }
            other => panic!("a decision, not {other:?}"),
        }
    }
    let reaction = answered(&mut play, &question, deny("no"));
    assert_eq!(reaction, decide(3, Answer::Deny("no".to_owned())));
    let end = play.on(stopped(OURS, "t1", RESULT)).into_end();
    assert_eq!(end.status, Status::Completed);
}

#[test]
fn approvals_that_nobody_came_to_are_gone_with_their_turn() {
    let mut play = Play::working(plan_with_responder());
    let approval = play.on(asked(OURS, 1, "touch x")).into_question();
    assert_eq!(play.on(asked(OURS, 2, "touch y")), Reaction::Wait);
    let question = play.on(stopped(OURS, "t1", QUESTION)).into_question();
    assert!(answered(&mut play, &approval, Some(Answer::Allow)).is_ignored());
    let reaction = answered(&mut play, &question, text("the second"));
    assert_eq!(reaction, Reaction::Paste("the second".to_owned()));
}

#[test]
fn a_text_is_no_decision() {
    for answer in [text("sure"), None] {
        let mut play = Play::working(plan_with_responder());
        let question = play.on(asked(OURS, 1, "touch x")).into_question();
        let passed = answered(&mut play, &question, answer);
        assert_eq!(passed, decide(1, Answer::Text(String::new())));
        assert!(play.machine.watches_screen());
        // Where a hook of the user's decides, no dialog comes up.
        let went_on = play.clone().on(stopped(OURS, "t1", RESULT)).into_end();
        assert_eq!(went_on.status, Status::Completed);
        let end = play.on(approval("touch x", Key::Enter)).into_end();
        assert_eq!(end.status, Status::NeedsPermission);
        assert_eq!(end.pending.expect("the command").text, "touch x");
    }
}

#[test]
fn the_policy_has_answered_through_the_hook() {
    for permissions in [Permissions::Allow, Permissions::Deny] {
        for responder in [true, false] {
            let mut play = Play::working(Plan {
                permissions,
                responder,
                ..plan()
            });
            assert_eq!(play.on(asked(OURS, 1, "touch x")), Reaction::Wait);
            let end = play.on(stopped(OURS, "t1", RESULT)).into_end();
            assert_eq!(end.status, Status::Completed);
        }
    }
}

#[test]
fn approvals_of_other_sessions_are_not_ours_to_give() {
    for plan in [plan(), plan_with_responder()] {
        let mut play = Play::working(plan);
        assert!(play.on(asked(FOREIGN, 1, "touch x")).is_ignored());
    }
}

#[test]
fn an_approval_asked_for_after_the_turn_is_ignored() {
    let (mut play, question) = Play::asking(QUESTION);
    assert!(play.on(asked(OURS, 1, "touch x")).is_ignored());
    let reaction = answered(&mut play, &question, text("the second"));
    assert_eq!(reaction, Reaction::Paste("the second".to_owned()));
}

#[test]
fn a_question_is_asked_within_the_turns_cap() {
    let mut play = Play::working(plan_with_responder());
    for turn in 1..8 {
        let question = play
            .on(stopped(OURS, &format!("t{turn}"), QUESTION))
            .into_question();
        assert_eq!(question.turn, turn);
        let _pasted = answered(&mut play, &question, text("go on"));
        let proof = prompted(OURS, &format!("t{}", turn + 1), "go on");
        assert_eq!(play.on(proof), Reaction::Wait);
    }
    let end = play.on(stopped(OURS, "t8", QUESTION)).into_end();
    assert_eq!(end.status, Status::TurnCap);
    assert_eq!(play.machine.turns(), 8);
}

#[test]
fn the_screen_says_nothing_while_the_responder_thinks() {
    let (mut play, question) = Play::asking(QUESTION);
    for event in [
        ready(),
        unsent(),
        unknown("?"),
        approval("touch x", Key::Enter),
        at_work(Holds::Other),
    ] {
        assert_eq!(play.after(5_000, event), Reaction::Wait);
    }
    let reaction = answered(&mut play, &question, text("the second"));
    assert_eq!(reaction, Reaction::Paste("the second".to_owned()));
}

#[test]
fn a_reply_waits_for_the_composer() {
    let (mut play, question) = Play::asking(QUESTION);
    let answer = Event::Answered(question, text("the second"));
    assert_eq!(play.machine.on(play.now, answer), Reaction::Look);
    assert_eq!(play.on(at_work(Holds::Other)), Reaction::Wait);
    assert_eq!(play.on(ready()), Reaction::Paste("the second".to_owned()));
}

#[test]
fn a_dialog_between_two_turns_takes_no_reply() {
    let (mut play, question) = Play::asking(QUESTION);
    let answer = Event::Answered(question, text("the second"));
    assert_eq!(play.machine.on(play.now, answer), Reaction::Look);
    assert_eq!(play.on(unknown("Switch the model?")), Reaction::Wait);
    let end = play.after(1_000, unknown("Switch the model?")).into_end();
    assert_eq!(end.status, Status::BlockedDialog);
}

#[test]
fn a_composer_that_never_comes_back_ends_the_run() {
    let (mut play, question) = Play::asking(QUESTION);
    let answer = Event::Answered(question, text("the second"));
    assert_eq!(play.machine.on(play.now, answer), Reaction::Look);
    let end = play.deadline().into_end();
    assert_eq!(end.status, Status::TimedOut);
    assert_eq!(end.error.expect("it says why").code, "not_submitted");
}

/// A look may have been taken before the answer came, and be told of after it.
#[test]
fn a_form_that_was_seen_before_its_answer_is_not_asked_again() {
    let inquiry = Inquiry {
        text: "Tabs?".to_owned(),
        options: Vec::new(),
    };
    let seen = || dialog("question", "Tabs?", Advice::Ask(inquiry.clone()));
    let mut play = Play::working(plan_with_responder());
    let form = Event::Inquired {
        call: "7".to_owned(),
        inquiries: vec![inquiry.clone()],
        is_typed: false,
    };
    assert_eq!(play.on(form), Reaction::Look);
    let question = play.on(seen()).into_question();
    let answer = Event::Answered(question, Some(Answer::Text("no".to_owned())));
    assert_eq!(play.machine.on(play.now, answer), Reaction::Look);
    for _ in 0..3 {
        assert_eq!(play.on(seen()), Reaction::Look);
    }
}
