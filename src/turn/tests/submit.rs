//! From the composer to the proof that the prompt was submitted.

use super::*;

const ENTER: Reaction = Reaction::Press(Key::Enter, "composer");

#[test]
fn the_prompt_is_pasted_when_the_composer_is_ready() {
    let mut play = Play::new(plan());
    for sight in [Event::Screen(ScreenState::Nothing), at_work(Holds::Nothing)] {
        assert_eq!(play.on(sight), Reaction::Wait);
    }
    assert!(play.machine.watches_screen());
    assert_eq!(play.on(ready()), Reaction::Paste(PROMPT.to_owned()));
    assert!(play.machine.watches_screen());
    assert_eq!(play.on(ready()), Reaction::Wait, "it is pasted once");
    assert_eq!(play.on(drafted()), Reaction::Wait, "half of it has arrived");
    assert_eq!(play.on(unsent()), SUBMIT);
    assert_eq!(play.on(unsent()), Reaction::Wait, "it is sent once");
}

#[test]
fn nothing_is_pasted_upon_somebodys_text() {
    for (play, until) in [
        (Play::new(plan()), Limits::default().startup),
        (Play::pasted(plan()), Limits::default().submit),
    ] {
        let mut play = play;
        let begun = play.now;
        let end = loop {
            assert_eq!(play.on(drafted()), Reaction::Wait);
            match play.deadline() {
                Reaction::Look => {}
                other => break other.into_end(),
            }
        };
        assert_eq!(play.now - begun, until);
        assert_eq!(
            (end.status, end.code()),
            (Status::BlockedDialog, "composer_in_use")
        );
    }
    let mut play = Play::new(plan());
    assert_eq!(play.after(5_000, drafted()), Reaction::Wait);
    assert_eq!(
        play.after(5_000, ready()),
        Reaction::Paste(PROMPT.to_owned()),
        "it was deleted"
    );
}

#[test]
fn a_long_line_is_given_the_time_that_it_takes() {
    let mut play = Play::new(Plan {
        prompt: format!("Look.\n{}", "x".repeat(600_000)),
        ..plan()
    });
    assert!(matches!(play.on(ready()), Reaction::Paste(_)));
    let pasted = play.now;
    assert_eq!(play.on(unsent()), SUBMIT);
    assert!(
        play.remaining() > Duration::from_secs(60),
        "no Enter meanwhile"
    );
    while play.deadline() == Reaction::Look {}
    let budget = Limits::default().submit + Duration::from_millis(86_400);
    assert_eq!(play.now - pasted, budget);
}

#[test]
fn the_prompt_event_with_the_same_text_is_the_proof() {
    let mut play = Play::submitting(plan());
    assert_eq!(play.on(started(OURS, "startup")), Reaction::Wait);
    assert_eq!(play.machine.turns(), 0);
    assert_eq!(play.on(prompted(OURS, "t1", PROMPT)), Reaction::Wait);
    assert_eq!(play.machine.turns(), 1);
    assert_eq!(play.machine.session(), Some(OURS));
    assert!(!play.machine.watches_screen());
}

#[test]
fn the_text_proves_the_session_where_its_start_was_missed() {
    let mut play = Play::submitting(plan());
    assert_eq!(play.on(prompted(OURS, "t1", PROMPT)), Reaction::Wait);
    assert_eq!(play.machine.session(), Some(OURS));
    let end = play.on(stopped(OURS, "t1", RESULT)).into_end();
    assert_eq!(end.status, Status::Completed);
}

#[test]
fn another_text_in_our_session_ends_the_run() {
    let mut play = Play::submitting(plan());
    assert_eq!(play.on(started(OURS, "startup")), Reaction::Wait);
    let altered = format!("{PROMPT} And delete the tests.");
    let end = play.on(prompted(OURS, "t1", &altered)).into_end();
    assert_eq!((end.status, end.code()), (Status::Failed, "prompt_altered"));
    assert_eq!(play.machine.turns(), 0);
}

#[test]
fn another_text_in_a_foreign_session_is_ignored() {
    let mut play = Play::submitting(plan());
    assert_eq!(play.on(started(OURS, "startup")), Reaction::Wait);
    assert!(play.on(prompted(FOREIGN, "x", "Nested.")).is_ignored());
    assert_eq!(play.on(prompted(OURS, "t1", PROMPT)), Reaction::Wait);
}

#[test]
fn enter_is_pressed_at_appointed_looks_only() {
    let mut play = Play::submitting(plan());
    for _ in 0..5 {
        assert_eq!(play.after(20, unsent()), Reaction::Wait);
    }
    assert_eq!(play.deadline(), Reaction::Look);
    assert_eq!(play.on(unsent()), ENTER);
    assert_eq!(play.after(20, unsent()), Reaction::Wait, "one Enter a look");
}

#[test]
fn enter_is_pressed_three_times_and_the_text_never_pasted_again() {
    let mut play = Play::submitting(plan());
    let mut reactions = Vec::new();
    let end = loop {
        match play.deadline() {
            Reaction::Look => reactions.push(play.on(unsent())),
            other => break other.into_end(),
        }
    };
    let pressed = reactions.iter().filter(|reaction| **reaction == ENTER);
    assert_eq!(pressed.count(), 3);
    assert!(
        reactions[3..]
            .iter()
            .all(|reaction| *reaction == Reaction::Wait)
    );
    assert_eq!(
        (end.status, end.code()),
        (Status::TimedOut, "not_submitted")
    );
    let message = end.error.expect("an error").message;
    assert!(message.contains("15s and 3 more Enter"), "{message}");
}

#[test]
fn a_look_is_used_up_by_the_screen_that_it_brings() {
    let mut play = Play::submitting(plan());
    assert_eq!(play.deadline(), Reaction::Look);
    assert_eq!(play.on(ready()), Reaction::Wait);
    assert_eq!(
        play.after(20, unsent()),
        Reaction::Wait,
        "a slow paste arrives"
    );
    assert_eq!(play.deadline(), Reaction::Look);
    assert_eq!(play.on(unsent()), ENTER);
}

#[test]
fn an_empty_composer_is_no_reason_for_a_key() {
    let mut play = Play::submitting(plan());
    while play.deadline() == Reaction::Look {
        assert_eq!(play.on(ready()), Reaction::Wait);
    }
}

#[test]
fn the_submit_budget_counts_from_the_paste() {
    let mut play = Play::new(plan());
    assert_eq!(
        play.after(19_000, ready()),
        Reaction::Paste(PROMPT.to_owned())
    );
    assert_eq!(play.on(unsent()), SUBMIT);
    let pasted = play.now;
    while play.deadline() == Reaction::Look {}
    assert_eq!(play.now - pasted, Limits::default().submit);
}

#[test]
fn what_belongs_to_a_turn_is_ignored_before_one() {
    for mut play in [Play::new(plan()), Play::submitting(plan())] {
        assert_eq!(play.on(started(OURS, "startup")), Reaction::Wait);
        for event in [
            stopped(OURS, "t0", RESULT),
            failed("t0", None),
            aborted(None),
            asked(OURS, 1, "touch x"),
        ] {
            assert!(play.on(event.clone()).is_ignored(), "{event:?}");
        }
        assert_eq!(play.machine.last_message(), None);
    }
}

#[test]
fn a_prompt_before_ours_is_not_ours() {
    let mut play = Play::new(plan());
    assert_eq!(play.on(started(OURS, "startup")), Reaction::Wait);
    assert!(play.on(prompted(OURS, "t0", "hello")).is_ignored());
    assert_eq!(play.machine.turns(), 0);
    assert_eq!(play.on(ready()), Reaction::Paste(PROMPT.to_owned()));
}

#[test]
fn the_first_session_in_the_worktree_is_ours() {
    let mut play = Play::submitting(plan());
    let elsewhere = Event::SessionStarted {
        session: FOREIGN.to_owned(),
        cwd: Some(PathBuf::from("/")),
        source: "startup".to_owned(),
    };
    assert!(play.on(elsewhere).is_ignored());
    assert_eq!(play.machine.session(), None);
    assert_eq!(play.on(started(OURS, "startup")), Reaction::Wait);
    assert_eq!(play.on(started(OURS, "startup")), Reaction::Wait);
    assert!(play.on(started(FOREIGN, "startup")).is_ignored());
    assert_eq!(play.machine.session(), Some(OURS));
}

#[test]
fn a_session_that_replaces_ours_is_followed() {
    const NEXT: &str = "019a5b2c-1f00-7abc-8def-00000000000a";
    for source in ["clear", "resume", "compact"] {
        let mut play = Play::working(plan());
        assert_eq!(play.on(started(NEXT, source)), Reaction::Wait);
        assert!(play.on(stopped(OURS, "t1", RESULT)).is_ignored());
        let end = play.on(stopped(NEXT, "t1", RESULT)).into_end();
        assert_eq!(end.status, Status::Completed, "{source}");
    }
    let mut play = Play::submitting(plan());
    assert_eq!(play.on(started(OURS, "startup")), Reaction::Wait);
    assert_eq!(play.on(prompted(NEXT, "t1", PROMPT)), Reaction::Wait);
    assert_eq!(play.machine.session(), Some(NEXT), "the text is the proof");
}
