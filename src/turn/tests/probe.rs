//! An agent whose message is unclear is asked once how the task is going.

use super::*;

const STOPPED: &str = "Voilà, avec les tests.";

fn plan_with_probe() -> Plan {
    Plan {
        probe: true,
        ..plan()
    }
}

/// A play whose agent works on the answer.
fn probing(plan: Plan) -> Play {
    let mut play = Play::working(plan);
    let reaction = play.on(stopped(OURS, "t1", STOPPED));
    assert_eq!(reaction, Reaction::Paste(PROBE.to_owned()));
    assert_eq!(play.on(prompted(OURS, "t2", PROBE)), Reaction::Wait);
    play
}

fn with_evidence(mut event: Event, known: Evidence) -> Event {
    if let Event::TurnStopped { evidence, .. } = &mut event {
        *evidence = known;
    }
    event
}

fn pending(end: &End) -> (&str, &str, Option<&str>) {
    let pending = end.pending.as_ref().expect("something waits");
    (&pending.kind, &pending.text, pending.reason.as_deref())
}

#[test]
fn done_ends_the_run_with_the_message_before() {
    for answer in [
        "STATUS: DONE",
        "**Status: done**\n",
        "`STATUS: DONE`.",
        "status: done",
        "Done.",
        "**DONE**",
        "STATUS: DONE (all tests pass)",
        "Everything is done.\n\nSTATUS: DONE",
        "STATUS: DONE\n\nThe tests pass.",
        "```\nSTATUS: DONE\n```",
    ] {
        let mut play = probing(plan_with_probe());
        let end = play.on(stopped(OURS, "t2", answer)).into_end();
        assert_eq!((end.status, end.pending), (Status::Completed, None));
        assert_eq!(play.machine.turns(), 2);
        assert_eq!(play.machine.last_message(), Some(STOPPED));
    }
}

#[test]
fn a_question_waits_with_the_message_and_its_words() {
    for (answer, reason) in [
        ("STATUS: QUESTION Tabs or spaces?", Some("Tabs or spaces?")),
        ("STATUS: QUESTION - which one?", Some("which one?")),
        ("STATUS: BLOCKED no network", Some("no network")),
        ("STATUS: QUESTION", None),
        ("question: which one?", Some("which one?")),
        ("Blocked - no network.", Some("no network.")),
        ("STATUS: QUESTION\nWhich one?", Some("Which one?")),
    ] {
        let mut play = probing(plan_with_probe());
        let end = play.on(stopped(OURS, "t2", answer)).into_end();
        assert_eq!(end.status, Status::NeedsInput, "{answer}");
        assert_eq!(pending(&end), ("question", STOPPED, reason), "{answer}");
        assert_eq!(play.machine.last_message(), Some(STOPPED));
    }
}

#[test]
fn another_answer_leaves_it_unclear() {
    let answers = [
        "Oui, c'est fini.",
        "",
        "STATUS: DONE or STATUS: BLOCKED",
        "I'd rather not say.",
        "Which task do you mean?",
        "STATUS: DONE?",
        "STATUS: UNDONE",
        "Done with the first half.",
        "Fertig.",
        "I'd say STATUS: DONE",
        PROBE,
    ];
    for answer in answers {
        let mut play = probing(plan_with_probe());
        let end = play.on(stopped(OURS, "t2", answer)).into_end();
        assert_eq!(end.status, Status::NeedsInput, "{answer}");
        assert_eq!(pending(&end), ("unclear", STOPPED, None), "{answer}");
    }
    for (answer, words) in [
        ("STATUS: DONE except the docs", "except the docs"),
        ("I can't do that.\nSTATUS: DONE", "I can't do that."),
        ("STATUS: DONE\nShould I push it?", "Should I push it?"),
    ] {
        let mut play = probing(plan_with_probe());
        let end = play.on(stopped(OURS, "t2", answer)).into_end();
        assert_eq!(pending(&end), ("unclear", STOPPED, Some(words)), "{answer}");
    }
}

#[test]
fn one_that_can_go_on_is_told_to() {
    let mut play = probing(plan_with_probe());
    let reaction = play.on(stopped(OURS, "t2", "STATUS: CONTINUE"));
    assert_eq!(reaction, Reaction::Paste(CONTINUE.to_owned()));
}

#[test]
fn one_that_goes_on_by_itself_ends_another_turn() {
    let worked = Evidence {
        worked: true,
        ..Evidence::default()
    };
    let mut play = probing(plan_with_probe());
    let end = play.on(with_evidence(stopped(OURS, "t2", RESULT), worked));
    assert_eq!(end.into_end().status, Status::Completed);
    assert_eq!(play.machine.last_message(), Some(RESULT));
    // One that only looks something up has answered.
    let mut play = probing(plan_with_probe());
    let end = play.on(with_evidence(stopped(OURS, "t2", "STATUS: DONE"), worked));
    assert_eq!(end.into_end().status, Status::Completed);
    assert_eq!(play.machine.last_message(), Some(STOPPED));
    // It is asked no second time.
    let mut play = probing(plan_with_probe());
    let end = play.on(with_evidence(stopped(OURS, "t2", "Voilà."), worked));
    assert_eq!(pending(&end.into_end()), ("unclear", "Voilà.", None));
}

#[test]
fn the_responder_is_asked_after_it() {
    let mut play = probing(Plan {
        responder: true,
        ..plan_with_probe()
    });
    let question = play.on(stopped(OURS, "t2", "STATUS: QUESTION Which?"));
    let question = question.into_question();
    assert_eq!(question.kind, QuestionKind::Question);
    assert_eq!((question.text.as_str(), question.turn), (STOPPED, 2));
    assert_eq!(question.reason.as_deref(), Some("Which?"));
    let reply = play.on(Event::Answered(question, Some(Answer::Text("A.".into()))));
    assert_eq!(reply, Reaction::Paste("A.".to_owned()));
    // The next turn that can't be told is asked about again.
    assert_eq!(play.on(prompted(OURS, "t3", "A.")), Reaction::Wait);
    let reaction = play.on(stopped(OURS, "t3", STOPPED));
    assert_eq!(reaction, Reaction::Paste(PROBE.to_owned()));
}

#[test]
fn without_a_turn_left_nothing_is_asked() {
    let mut plan = plan_with_probe();
    plan.limits.turns = 1;
    let mut play = Play::working(plan);
    let end = play.on(stopped(OURS, "t1", STOPPED)).into_end();
    assert_eq!(end.status, Status::NeedsInput);
    for message in [RESULT, QUESTION, REQUEST] {
        let mut play = Play::working(plan_with_probe());
        let _the_end = play.on(stopped(OURS, "t1", message)).into_end();
    }
}

/// What was done before stays what it is: unclear, with the failure as the reason.
#[test]
fn its_failure_is_not_the_works() {
    let mut play = probing(plan_with_probe());
    let error = TurnError::new("unexpected status 401 Unauthorized");
    let end = play.on(failed("t2", Some(error))).into_end();
    assert_eq!((end.status, &end.error), (Status::NeedsInput, &None));
    let (kind, text, reason) = pending(&end);
    assert_eq!((kind, text), ("unclear", STOPPED));
    let reason = reason.expect("a reason");
    assert!(reason.contains("401 Unauthorized"), "{reason}");
}

#[test]
fn what_ends_it_otherwise_keeps_the_message_pending() {
    let ends: [fn(&mut Play) -> Reaction; 3] = [
        |play| play.on(exited(Some(1))),
        |play| play.on(aborted(Some("t2"))),
        |play| {
            play.on(Event::Cancelled {
                by: "SIGINT".to_owned(),
            })
        },
    ];
    for end in ends {
        let mut play = probing(plan_with_probe());
        let end = end(&mut play).into_end();
        assert_eq!(pending(&end), ("unclear", STOPPED, None), "{end:?}");
    }
    // Without an answer in time the run ends as it would have without the question.
    let mut play = probing(plan_with_probe());
    let end = play.deadline().into_end();
    assert_eq!(end.status, Status::NeedsInput);
    let (kind, text, reason) = pending(&end);
    assert_eq!((kind, text), ("unclear", STOPPED));
    assert!(
        reason.is_some_and(|reason| reason.contains("took longer")),
        "{reason:?}"
    );
    // The composer takes no prompt: it never came to be asked.
    let mut play = Play::working(plan_with_probe());
    let stop = stopped(OURS, "t1", STOPPED);
    assert_eq!(play.machine.on(play.now, stop), Reaction::Look);
    let end = play.deadline().into_end();
    assert_eq!(end.code(), "not_submitted");
    assert_eq!(pending(&end), ("unclear", STOPPED, None));
}

#[test]
fn another_operator_takes_its_answer() {
    for pasted in [false, true] {
        let plan = Plan {
            prompt: PROBE.to_owned(),
            ..plan_with_probe()
        };
        let resume_point = ResumePoint {
            session: Some(OURS.to_owned()),
            turns: if pasted { 1 } else { 2 },
            turn_id: Some("t2".to_owned()),
            pasted,
            last_message: Some(STOPPED.to_owned()),
            probed: Some(STOPPED.to_owned()),
            ..ResumePoint::default()
        };
        let now = Instant::now();
        let machine = Machine::resume(plan, resume_point, now);
        let mut play = Play { machine, now };
        if pasted {
            assert_eq!(play.on(prompted(OURS, "t2", PROBE)), Reaction::Wait);
        }
        let end = play.on(stopped(OURS, "t2", "STATUS: DONE")).into_end();
        assert_eq!(end.status, Status::Completed);
        assert_eq!(play.machine.last_message(), Some(STOPPED));
    }
}
