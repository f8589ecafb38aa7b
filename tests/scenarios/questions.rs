//! Turns that end with something else than a result.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use cx_operator::record::Status;
use cx_operator::task::respond::Command;
use cx_operator::worktree::Changes;
use serde_json::Value;

use crate::rig::Rig;

on_every_version!(question_answered_by_a_file, question_surfaced);
on_both!(
    question_answered_by_a_command,
    responder_that_fails,
    responder_that_leaves_a_child,
    decision_in_the_place_of_a_text,
    status_then_result,
    turn_cap_of_questions,
    turn_cap_of_statuses
);

async fn question_answered_by_a_file(rig: &Rig) {
    let mut task = rig.task("[[question]]");
    task.responders = rig.answers("[[answer]]\npattern = \"tabs or spaces\"\nreply = \"Spaces.\\n[[shell echo spaces > style; echo 'STATUS: DONE']]\"");
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns, outcome.changes),
        (Status::Completed, 2, Changes::Uncommitted),
        "{outcome:?}"
    );
    let [reply] = outcome.replies.as_slice() else {
        panic!("one reply: {outcome:?}");
    };
    assert_eq!((reply.turn, reply.by.as_str()), (1, "answers"));
    assert_eq!(
        reply.question,
        "I see two options. Should I use tabs or spaces?"
    );
    assert_eq!(
        rig.submitted_prompt(&outcome, 2),
        "Spaces.\n[[shell echo spaces > style; echo 'STATUS: DONE']]"
    );
    assert_eq!(outcome.files[0].path, "style");
    rig.apply(&outcome);
}

async fn question_surfaced(rig: &Rig) {
    let output = rig
        .delegation("[[question]]", &[])
        .output()
        .await
        .expect("cx-operator runs");
    let (outcome, exit) = rig.document(&output);
    assert_eq!(
        (outcome.status, exit, outcome.turns),
        (Status::NeedsInput, 3, 1),
        "{outcome:?}"
    );
    let pending = outcome.pending.expect("a question");
    assert_eq!(
        (pending.kind.as_str(), pending.text.as_str()),
        (
            "question",
            "I see two options. Should I use tabs or spaces?"
        )
    );
}

async fn question_answered_by_a_command(rig: &Rig) {
    let asked = rig.path("asked");
    let answer = r#"{"reply":"Tabs. [[say Done. I used tabs.]]"}"#;
    let responder = format!("cat > '{}'; echo '{answer}'", asked.display());
    let output = rig
        .delegation("[[question]]", &["--responder", &responder])
        .output()
        .await
        .expect("cx-operator runs");
    let (outcome, exit) = rig.document(&output);
    assert_eq!(
        (outcome.status, exit, outcome.turns),
        (Status::Completed, 0, 2),
        "{outcome:?}"
    );
    assert_eq!(outcome.replies[0].by, "command");
    assert_eq!(outcome.last_message.as_deref(), Some("Done. I used tabs."));
    let asked: Value =
        serde_json::from_slice(&fs::read(asked).expect("it was asked")).expect("JSON");
    assert_eq!(asked["kind"], "question");
    assert_eq!(
        asked["text"],
        "I see two options. Should I use tabs or spaces?"
    );
    assert_eq!(
        (&asked["turn"], &asked["approval"], &asked["run_id"]),
        (&1.into(), &false.into(), &outcome.run_id.as_str().into())
    );
    assert_eq!(asked["worktree"], rig.worktree().display().to_string());
}

/// A responder that fails, or takes too long, leaves the question to the caller, and the record says why.
async fn responder_that_fails(rig: &Rig) {
    let mut task = rig.task("[[question]]");
    task.responders = vec![
        Arc::new(Command::new(
            "echo no >&2; exit 3".to_owned(),
            Duration::from_secs(20),
        )),
        Arc::new(Command::new(
            "sleep 60".to_owned(),
            Duration::from_millis(50),
        )),
    ];
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::NeedsInput, 1),
        "{outcome:?}"
    );
    assert!(
        outcome
            .notices
            .iter()
            .any(|text| text.contains("exit status: 3: no")),
        "{outcome:?}"
    );
    assert!(
        outcome
            .notices
            .iter()
            .any(|text| text.contains("within 50ms")),
        "{outcome:?}"
    );
}

/// What the responder leaves in the background holds its output; the answer is there all the same.
async fn responder_that_leaves_a_child(rig: &Rig) {
    let mut task = rig.task("[[question]]");
    let answer = r#"sleep 300 & echo '{"reply":"Tabs. [[say Done. I used tabs.]]"}'"#;
    task.responders = vec![Arc::new(Command::new(
        answer.to_owned(),
        Duration::from_secs(20),
    ))];
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns, outcome.replies.len()),
        (Status::Completed, 2, 1),
        "{outcome:?}"
    );
}

/// It says nothing to the agent: that is no reply, and whoever wrote the responder is told so.
async fn decision_in_the_place_of_a_text(rig: &Rig) {
    let mut task = rig.task("[[question]]");
    task.responders = vec![Arc::new(Command::new(
        r#"echo '{"decision":"allow"}'"#.to_owned(),
        Duration::from_secs(20),
    ))];
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns, outcome.replies.len()),
        (Status::NeedsInput, 1, 0),
        "{outcome:?}"
    );
    let told = "the answer `allow` of `command` was not passed on: a question takes a text";
    let is_told = |text: &String| text == told;
    assert!(outcome.notices.iter().any(is_told), "{outcome:?}");
}

async fn status_then_result(rig: &Rig) {
    let outcome = rig.delegate(rig.task("[[status]]")).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 2),
        "{outcome:?}"
    );
    assert_eq!(
        (outcome.replies.len(), outcome.replies[0].by.as_str()),
        (1, "operator")
    );
    assert_eq!(rig.submitted_prompt(&outcome, 2), outcome.replies[0].reply);
}

async fn turn_cap_of_questions(rig: &Rig) {
    let mut task = rig.task("[[question]]");
    task.limits.turns = 2;
    task.responders = rig.answers("[[answer]]\npattern = \".\"\nreply = \"[[question]] again\"");
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.exit_code(), outcome.turns),
        (Status::TurnCap, 4, 2),
        "{outcome:?}"
    );
    assert_eq!(
        outcome.pending.map(|pending| pending.kind).as_deref(),
        Some("question")
    );
    assert_eq!(
        outcome.error.map(|error| error.code).as_deref(),
        Some("turn_cap")
    );
}

async fn turn_cap_of_statuses(rig: &Rig) {
    let mut task = rig.task("[[question]]");
    task.limits.turns = 2;
    task.responders = rig.answers("[[answer]]\npattern = \".\"\nreply = \"[[status]]\"");
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns, outcome.pending),
        (Status::TurnCap, 2, None)
    );
    assert_eq!(
        outcome.last_message.as_deref(),
        Some("Let me check the files first.")
    );
}
