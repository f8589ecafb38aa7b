use super::*;

const WHY: &str = "2 tokens are used, of 1";

#[test]
fn a_budget_that_is_used_up_ends_a_turn() {
    let mut play = Play::working(plan());
    assert_eq!(play.on(Event::Spent), Reaction::Wait, "nobody said so");
    play.machine.note_spent(WHY);
    let end = play.on(Event::Spent).into_end();
    assert_eq!(
        (end.status, end.code()),
        (Status::OverBudget, "over_budget")
    );
    assert!(end.error.expect("why").message.contains(WHY));
    assert_eq!(end.pending, None);
}

#[test]
fn a_result_is_one_all_the_same() {
    let mut play = Play::working(plan());
    play.machine.note_spent(WHY);
    let end = play.on(stopped(OURS, "t1", RESULT)).into_end();
    assert_eq!(end.status, Status::Completed);
    assert_eq!(play.on(Event::Spent), Reaction::Ignore("the run is over"));
}

#[test]
fn no_prompt_is_sent_without_a_budget() {
    for (plan, message) in [
        (plan(), PROGRESS),
        (plan_with_responder(), QUESTION),
        (
            Plan {
                probe: true,
                ..plan()
            },
            UNCLEAR,
        ),
    ] {
        let mut play = Play::working(plan);
        play.machine.note_spent(WHY);
        let end = play.on(stopped(OURS, "t1", message)).into_end();
        assert_eq!(end.status, Status::OverBudget, "{message}");
        assert_eq!(end.pending.is_some(), message != PROGRESS, "{message}");
    }
}

#[test]
fn a_question_that_waits_is_pending_when_the_budget_is_used_up() {
    let (mut play, _) = Play::asking(QUESTION);
    play.machine.note_spent(WHY);
    let end = play.on(Event::Spent).into_end();
    assert_eq!(end.status, Status::OverBudget);
    assert_eq!(end.pending.expect("the question").text, QUESTION);
}

#[test]
fn what_a_turn_left_at_work_is_not_waited_for() {
    for (message, status) in [(RESULT, Status::Completed), (PROGRESS, Status::OverBudget)] {
        let mut play = Play::working(plan());
        assert_eq!(play.on(Event::LeftAtWork(true)), Reaction::Wait);
        assert_eq!(play.on(stopped(OURS, "t1", message)), Reaction::Wait);
        play.machine.note_spent(WHY);
        assert_eq!(play.on(Event::Spent).into_end().status, status);
    }
}
