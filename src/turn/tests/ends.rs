//! How a turn ends, and how a run does.

use super::*;

#[test]
fn a_result_completes_the_run() {
    let mut play = Play::working(plan());
    let end = play.on(stopped(OURS, "t1", RESULT)).into_end();
    assert_eq!(end.status, Status::Completed);
    assert_eq!((end.error, end.pending), (None, None));
    assert_eq!(play.machine.last_message(), Some(RESULT));
}

#[test]
fn stops_of_other_turns_and_sessions_end_nothing() {
    let mut play = Play::working(plan());
    for event in [
        stopped(FOREIGN, "t1", RESULT),
        stopped(OURS, "t0", RESULT),
        failed("t0", None),
        aborted(Some("t0")),
    ] {
        assert!(play.on(event.clone()).is_ignored(), "{event:?}");
    }
    assert_eq!(play.machine.last_message(), None);
    let unnamed = Event::TurnStopped {
        session: OURS.to_owned(),
        turn_id: None,
        message: Some(RESULT.to_owned()),
        evidence: Evidence::default(),
    };
    assert_eq!(play.on(unnamed).into_end().status, Status::Completed);
}

#[test]
fn a_turn_that_somebody_typed_is_the_one_that_stops() {
    let mut play = Play::working(plan());
    assert!(
        play.on(prompted(OURS, "t2", "and one more thing"))
            .is_ignored()
    );
    assert_eq!(play.machine.turns(), 1, "it was not our prompt");
    assert!(play.on(stopped(OURS, "t1", RESULT)).is_ignored());
    let end = play.on(stopped(OURS, "t2", RESULT)).into_end();
    assert_eq!(end.status, Status::Completed);
}

#[test]
fn what_nobody_may_answer_is_surfaced() {
    for (message, status, kind) in [
        (QUESTION, Status::NeedsInput, "question"),
        (UNCLEAR, Status::NeedsInput, "unclear"),
        (REQUEST, Status::NeedsPermission, "permission"),
    ] {
        let mut play = Play::working(plan());
        let end = play.on(stopped(OURS, "t1", message)).into_end();
        assert_eq!(end.status, status, "{message}");
        assert_eq!(end.error, None);
        let pending = end.pending.expect("a question");
        assert_eq!(
            (pending.kind.as_str(), pending.text.as_str()),
            (kind, message)
        );
    }
}

#[test]
fn a_turn_without_a_message_is_no_result() {
    let mut play = Play::working(plan());
    let silent = Event::TurnStopped {
        session: OURS.to_owned(),
        turn_id: Some("t1".to_owned()),
        message: None,
        evidence: Evidence::default(),
    };
    assert_eq!(play.on(silent).into_end().status, Status::NeedsInput);
    assert_eq!(play.machine.last_message(), None);
}

#[test]
fn an_agent_that_only_announces_is_told_to_go_on() {
    let mut play = Play::working(plan());
    for turn in 2..=8 {
        let stop = stopped(OURS, &format!("t{}", turn - 1), PROGRESS);
        assert_eq!(play.on(stop), Reaction::Paste(CONTINUE.to_owned()));
        assert_eq!(play.machine.prompt(), CONTINUE);
        let proof = prompted(OURS, &format!("t{turn}"), CONTINUE);
        assert_eq!(play.on(proof), Reaction::Wait);
        assert_eq!(play.machine.turns(), turn);
    }
    let end = play.on(stopped(OURS, "t8", PROGRESS)).into_end();
    assert_eq!((end.status, end.code()), (Status::TurnCap, "turn_cap"));
    assert_eq!(play.machine.last_message(), Some(PROGRESS));
}

#[test]
fn a_result_in_the_last_turn_is_a_result() {
    let mut limited = plan();
    limited.limits.turns = 1;
    let mut play = Play::working(limited);
    let end = play.on(stopped(OURS, "t1", RESULT)).into_end();
    assert_eq!(end.status, Status::Completed);
}

#[test]
fn a_question_in_the_last_turn_is_pending_and_not_asked() {
    let mut limited = plan_with_responder();
    limited.limits.turns = 1;
    let mut play = Play::working(limited);
    let end = play.on(stopped(OURS, "t1", QUESTION)).into_end();
    assert_eq!(end.status, Status::TurnCap);
    assert_eq!(end.pending.expect("the question").text, QUESTION);
}

fn error(kind: Option<&str>, http_status: Option<u16>) -> Option<TurnError> {
    Some(TurnError {
        message: "no".to_owned(),
        kind: kind.map(str::to_owned),
        http_status,
    })
}

#[test]
fn a_failed_turn_names_its_cause() {
    for (error, code, hint) in [
        (error(None, Some(401)), "http_401", "codex login"),
        (error(Some("other"), Some(403)), "http_403", "codex login"),
        (error(None, Some(429)), "http_429", "wait for the limit"),
        (
            error(Some("usage_limit_exceeded"), Some(429)),
            "usage_limit",
            "wait for the limit",
        ),
        (error(None, Some(500)), "http_500", "try again later"),
        (
            error(Some("sandbox_error"), None),
            "sandbox_error",
            "transcript",
        ),
        (error(None, None), "turn_failed", "transcript"),
        (None, "turn_failed", "transcript"),
    ] {
        let mut play = Play::working(plan());
        let end = play.on(failed("t1", error)).into_end();
        assert_eq!((end.status, end.code()), (Status::AgentFailed, code));
        let said = end.error.expect("an error").hint.expect("a hint");
        assert!(said.contains(hint), "{code}: {said}");
    }
}

#[test]
fn an_interrupted_turn_ends_the_run() {
    for turn in [Some("t1"), None] {
        let mut play = Play::working(plan());
        let end = play.on(aborted(turn)).into_end();
        assert_eq!((end.status, end.code()), (Status::Aborted, "interrupted"));
    }
}

#[test]
fn a_turn_that_failed_while_its_approval_was_asked_for_ends_the_run() {
    for (event, status) in [
        (failed("t1", None), Status::AgentFailed),
        (aborted(Some("t1")), Status::Aborted),
        (stopped(OURS, "t1", RESULT), Status::Completed),
    ] {
        let mut play = Play::working(plan_with_responder());
        let _question = play.on(asked(OURS, 1, "touch x")).into_question();
        assert_eq!(play.on(event).into_end().status, status);
    }
}

/// One play in each state that is not the end.
fn every_state() -> [Play; 5] {
    let mut permission = Play::working(plan_with_responder());
    let _question = permission.on(asked(OURS, 1, "touch x")).into_question();
    [
        Play::new(plan()),
        Play::submitting(plan()),
        Play::working(plan()),
        permission,
        Play::asking(QUESTION).0,
    ]
}

#[test]
fn an_agent_that_is_gone_ends_the_run_in_every_state() {
    for mut play in every_state() {
        let end = play.on(exited(Some(137))).into_end();
        assert_eq!((end.status, end.code()), (Status::AgentDied, "agent_died"));
        let message = end.error.expect("an error").message;
        assert!(
            message.contains("by signal 9") && message.ends_with("one\n two"),
            "{message}"
        );
    }
    for (code, words) in [
        (Some(0), "with exit status 0"),
        (Some(128), "with exit status 128"),
        (None, "without an exit status"),
    ] {
        let mut play = Play::working(plan());
        let message = play
            .on(exited(code))
            .into_end()
            .error
            .expect("an error")
            .message;
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_cancellation_ends_the_run_in_every_state() {
    for mut play in every_state() {
        let end = play
            .on(Event::Cancelled {
                by: "SIGINT".to_owned(),
            })
            .into_end();
        assert_eq!((end.status, end.code()), (Status::Aborted, "cancelled"));
        assert!(end.error.expect("an error").message.contains("SIGINT"));
    }
}

#[test]
fn what_is_no_event_ends_the_run_in_every_state() {
    for mut play in every_state() {
        let malformed = Event::Malformed {
            file: "stop-malformed-1.json".to_owned(),
            content: "<html>".to_owned(),
        };
        let end = play.on(malformed).into_end();
        assert_eq!(
            (end.status, end.code()),
            (Status::Failed, "malformed_event")
        );
        let message = end.error.expect("an error").message;
        assert!(message.contains("stop-malformed-1.json") && message.contains("<html>"));
    }
}

#[test]
fn each_state_has_its_deadline() {
    let limits = Limits::default();
    let expected = [
        ("startup_timeout", limits.startup),
        ("not_submitted", limits.submit),
        ("turn_timeout", limits.turn),
    ];
    for (mut play, (code, limit)) in every_state().into_iter().zip(expected) {
        let begun = play.now;
        let end = loop {
            match play.deadline() {
                Reaction::Look => {}
                other => break other.into_end(),
            }
        };
        assert_eq!((end.status, end.code()), (Status::TimedOut, code));
        assert_eq!(play.now - begun, limit, "{code}");
        assert!(end.error.expect("an error").hint.is_some());
    }
}

#[test]
fn the_runs_deadline_goes_before_all_others() {
    for mut play in every_state().into_iter().take(3) {
        play.now += Limits::default().run;
        let end = play.on(Event::Deadline).into_end();
        assert_eq!((end.status, end.code()), (Status::TimedOut, "run_timeout"));
    }
    let mut limited = plan();
    limited.limits.run = Duration::from_secs(60);
    let mut play = Play::working(limited);
    assert_eq!(play.remaining(), Duration::from_secs(60));
    assert_eq!(play.deadline().into_end().code(), "run_timeout");
}

#[test]
fn limits_that_no_clock_can_keep_are_cut() {
    let endless = Limits {
        answer: Duration::MAX,
        linger: Duration::MAX,
        startup: Duration::MAX,
        submit: Duration::MAX,
        turn: Duration::MAX,
        run: Duration::MAX,
        turns: 0,
    };
    let mut play = Play::working(Plan {
        limits: endless,
        ..plan()
    });
    assert!(play.remaining() > Duration::from_secs(300 * 24 * 3600));
    let end = play.on(stopped(OURS, "t1", PROGRESS)).into_end();
    assert_eq!(end.status, Status::TurnCap);
    assert_eq!(play.machine.turns(), 1);
}

#[test]
fn a_deadline_that_is_not_due_ends_nothing() {
    for mut play in every_state() {
        assert_eq!(play.on(Event::Deadline), Reaction::Look);
        assert!(play.machine.deadline().is_some());
    }
}

#[test]
fn nothing_happens_after_the_end() {
    let mut play = Play::working(plan());
    let _end = play.on(stopped(OURS, "t1", RESULT)).into_end();
    assert_eq!(play.machine.deadline(), None);
    assert!(!play.machine.watches_screen());
    for event in [
        ready(),
        unknown("late"),
        started(OURS, "clear"),
        prompted(OURS, "t2", PROMPT),
        asked(OURS, 1, "touch x"),
        stopped(OURS, "t1", QUESTION),
        failed("t1", None),
        aborted(None),
        exited(Some(1)),
        Event::Cancelled {
            by: "SIGINT".to_owned(),
        },
        Event::Deadline,
    ] {
        assert!(play.on(event.clone()).is_ignored(), "{event:?}");
    }
    assert_eq!(play.machine.last_message(), Some(RESULT));
}

#[test]
fn an_exit_tells_the_programs_own_error_and_the_limit_behind_it() {
    let exit = |code, screen: &str| {
        let mut play = Play::new(plan());
        let end = play.on(Event::AgentExited {
            code: Some(code),
            screen: screen.to_owned(),
        });
        let error = end.into_end().error.expect("an error");
        (error.message, error.hint.expect("a hint"))
    };
    let backtrace = "   0: <unknown>\n".repeat(20);
    let died = format!(
        "WARNING: x\nError: no such key\nsee there\n\nStack backtrace:\n{backtrace}Pane is dead"
    );
    let (message, hint) = exit(1, &died);
    assert!(
        message.ends_with("its last screen:\nError: no such key\nsee there"),
        "{message}"
    );
    assert!(hint.contains("by hand"), "{hint}");
    assert!(exit(1, "gone").1.contains("pane.log"));
    for (code, screen, says) in [
        (153, "", "ulimit -f"),
        (134, "memory allocation of 8192 bytes failed", "ulimit -v"),
        (
            1,
            "Error: Resource temporarily unavailable (os error 11)",
            "ulimit -u",
        ),
        (
            2,
            "error: unexpected argument '--no-daemon' found",
            "run the task again",
        ),
    ] {
        let (_, hint) = exit(code, screen);
        assert!(hint.contains(says), "{code} {screen}: {hint}");
    }
}
