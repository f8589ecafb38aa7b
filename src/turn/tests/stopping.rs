//! Between the Stop hook of a turn and its end.

use super::*;

#[test]
fn a_stop_alone_ends_no_turn_that_the_transcript_has_under_way() {
    let mut play = Play::working(plan());
    assert_eq!(play.on(began("t1")), Reaction::Wait);
    for _again in 0..3 {
        assert_eq!(
            play.after(30_000, stopping(OURS, "t1", Some(RESULT))),
            Reaction::Wait
        );
    }
    let end = play.after(30_000, stopped(OURS, "t1", "Linted too.\n\nSTATUS: DONE"));
    assert_eq!(end.into_end().status, Status::Completed);
    assert_eq!(
        play.machine.last_message(),
        Some("Linted too.\n\nSTATUS: DONE")
    );
    assert!(!play.machine.take_unconfirmed());
}

#[test]
fn a_turn_that_never_ends_ends_at_its_deadline() {
    let mut play = Play::working(plan());
    assert_eq!(play.on(began("t1")), Reaction::Wait);
    assert_eq!(play.on(stopping(OURS, "t1", Some(RESULT))), Reaction::Wait);
    assert!(play.on(prompted(FOREIGN, "t9", "Help.")).is_ignored());
    assert!(play.machine.is_stopping());
    assert_eq!(play.remaining(), Limits::default().turn);
    assert_eq!(play.deadline().into_end().code(), "turn_timeout");
}

#[test]
fn without_a_transcript_the_stop_counts_after_a_while() {
    for lost in [false, true] {
        let mut play = Play::working(plan());
        if lost {
            assert_eq!(play.on(began("t1")), Reaction::Wait);
            assert_eq!(play.on(Event::TranscriptLost), Reaction::Wait);
        }
        assert_eq!(play.on(stopping(OURS, "t1", Some(RESULT))), Reaction::Wait);
        // As long as the screen says that hooks run, they do.
        for _minutes in 0..120 {
            assert!(play.remaining() <= Duration::from_secs(3));
            assert_eq!(play.deadline(), Reaction::Look);
            assert_eq!(play.on(at_work(Holds::Other)), Reaction::Wait);
        }
        // Between two of them it may look idle once.
        assert_eq!(play.deadline(), Reaction::Look);
        assert_eq!(play.on(ready()), Reaction::Wait);
        assert_eq!(play.on(at_work(Holds::Other)), Reaction::Wait);
        assert_eq!(play.on(ready()), Reaction::Wait);
        assert_eq!(play.on(ready()).into_end().status, Status::Completed);
        assert!(play.machine.take_unconfirmed());
        assert!(!play.machine.take_unconfirmed(), "told once");
    }
}

#[test]
fn a_silent_stop_is_no_failure() {
    let mut play = Play::working(plan());
    assert_eq!(play.on(began("t1")), Reaction::Wait);
    assert_eq!(play.on(stopping(OURS, "t1", None)), Reaction::Wait);
    assert_eq!(
        play.on(failed("t1", None)).into_end().status,
        Status::NeedsInput
    );
    let mut play = Play::working(plan());
    // A hook had the turn go on, and then it failed.
    assert_eq!(play.on(stopping(OURS, "t1", Some(RESULT))), Reaction::Wait);
    assert_eq!(play.on(failed("t1", None)).into_end().code(), "turn_failed");
}

#[test]
fn stops_of_others_announce_nothing() {
    let mut play = Play::working(plan());
    for event in [
        stopping(FOREIGN, "t1", Some(RESULT)),
        stopping(OURS, "t0", Some(RESULT)),
        Event::SubAgent {
            agent: "a".to_owned(),
            what: "stop",
        },
    ] {
        assert!(play.on(event).is_ignored());
    }
    assert_eq!(play.remaining(), Limits::default().turn);
}

#[test]
fn a_stop_of_an_earlier_turn_ends_no_later_one() {
    let mut play = Play::working(plan_with_responder());
    assert_eq!(
        play.on(stopping(OURS, "t1", Some(QUESTION))),
        Reaction::Wait
    );
    assert!(
        play.on(prompted(OURS, "t2", "typed by somebody"))
            .is_ignored()
    );
    assert_eq!(play.remaining(), Limits::default().turn);
}

#[test]
fn a_prompt_in_another_directory_ends_the_run() {
    let mut play = Play::submitting(plan());
    let elsewhere = Event::PromptSubmitted {
        session: OURS.to_owned(),
        turn_id: Some("t1".to_owned()),
        cwd: Some(PathBuf::from("/")),
        prompt: PROMPT.to_owned(),
    };
    let end = play.on(elsewhere).into_end();
    assert_eq!(end.code(), "wrong_directory");
    assert!(
        end.error
            .is_some_and(|error| error.message.contains("works in / "))
    );
}

/// One whose turn `t1` ended and left something at work.
fn lingering() -> Play {
    let mut play = Play::working(plan());
    assert_eq!(play.on(Event::LeftAtWork(true)), Reaction::Wait);
    assert_eq!(play.on(stopped(OURS, "t1", RESULT)), Reaction::Wait);
    assert!(play.machine.is_holding());
    play
}

#[test]
fn what_a_turn_left_at_work_is_waited_for() {
    let mut play = lingering();
    // An older codex names no maker in what it tells of a sub-agent.
    assert!(play.on(prompted(FOREIGN, "t9", "Help.")).is_ignored());
    assert_eq!(play.on(Event::LeftAtWork(true)), Reaction::Wait);
    let end = play.after(20_000, Event::LeftAtWork(false)).into_end();
    assert_eq!(end.status, Status::Completed);
    let mut play = Play::working(plan());
    assert_eq!(play.on(Event::LeftAtWork(false)), Reaction::Wait);
    let end = play.on(stopped(OURS, "t1", RESULT)).into_end();
    assert_eq!(end.status, Status::Completed);
}

#[test]
fn the_wait_has_an_end() {
    let mut play = lingering();
    assert_eq!(play.remaining(), Limits::default().linger);
    assert_eq!(play.deadline().into_end().status, Status::Completed);
    for linger in [Duration::ZERO, Duration::MAX] {
        let mut plan = plan();
        plan.limits.linger = linger;
        let mut play = Play::working(plan);
        assert_eq!(play.on(Event::LeftAtWork(true)), Reaction::Wait);
        let end = match play.on(stopped(OURS, "t1", RESULT)) {
            // No longer than the turn may take, which is over all the same.
            Reaction::Wait => play.deadline(),
            end => end,
        };
        assert_eq!(end.into_end().status, Status::Completed, "{linger:?}");
    }
}

#[test]
fn an_approval_of_a_sub_agent_stops_the_clock_of_the_wait() {
    let mut plan = plan_with_responder();
    plan.limits.answer = Duration::from_secs(600);
    let mut play = Play::working(plan);
    assert_eq!(play.on(Event::LeftAtWork(true)), Reaction::Wait);
    assert_eq!(play.on(stopped(OURS, "t1", RESULT)), Reaction::Wait);
    let question = play
        .after(10_000, asked(OURS, 1, "touch x"))
        .into_question();
    let answer = Event::Answered(question, Some(Answer::Allow));
    let reaction = play.after(300_000, answer);
    assert!(matches!(reaction, Reaction::Decide { .. }), "{reaction:?}");
    assert_eq!(play.remaining(), Duration::from_secs(20));
    let end = play.on(Event::LeftAtWork(false)).into_end();
    assert_eq!(end.status, Status::Completed);
}

#[test]
fn an_agent_that_goes_on_by_itself_is_followed() {
    let mut play = lingering();
    assert_eq!(play.on(began("t2")), Reaction::Wait);
    assert_eq!(play.on(Event::LeftAtWork(false)), Reaction::Wait);
    assert_eq!(play.machine.turn_id(), Some("t2"));
    let end = play.on(stopped(OURS, "t2", RESULT)).into_end();
    assert_eq!(end.status, Status::Completed);
}

#[test]
fn a_stop_alone_is_read_by_its_words() {
    let described = "The parser takes tabs, too.";
    let worked = Evidence {
        worked: true,
        ..Evidence::default()
    };
    let mut play = Play::working(plan());
    let mut confirmed = stopped(OURS, "t1", described);
    if let Event::TurnStopped { evidence, .. } = &mut confirmed {
        *evidence = worked;
    }
    assert_eq!(play.on(confirmed).into_end().status, Status::Completed);
    for (begun, message, status) in [
        (false, RESULT, Some(Status::Completed)),
        (false, described, Some(Status::NeedsInput)),
        // Whoever finds the run later waits for no transcript, and believes one that says otherwise.
        (true, RESULT, None),
    ] {
        let mut play = Play::working(plan());
        if begun {
            assert_eq!(play.on(began("t1")), Reaction::Wait);
        }
        assert_eq!(play.on(stopping(OURS, "t1", Some(message))), Reaction::Wait);
        let end = play.machine.clone().end_unconfirmed();
        assert_eq!(end.map(|end| end.status), status, "{message}");
    }
}
