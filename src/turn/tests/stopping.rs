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
        assert!(play.remaining() <= Duration::from_secs(3));
        assert_eq!(play.deadline().into_end().status, Status::Completed);
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
