//! Each wait has a deadline, and the record names the one that passed.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use cx_operator::record::journal::Progress;
use cx_operator::record::{Outcome, Status};
use cx_operator::task::respond::Command;
use cx_operator::worktree::Changes;

use crate::rig::{Rig, until};

on_both!(startup, turn, run);
on_scripted!(startup_of_a_composer_that_never_loads, late_answer);
on_codex!(slow_answers);

fn assert_late(outcome: &Outcome, code: &str) {
    assert_eq!(
        (outcome.status, outcome.exit_code()),
        (Status::TimedOut, 6),
        "{outcome:?}"
    );
    assert_eq!(
        outcome.error.as_ref().map(|error| error.code.as_str()),
        Some(code)
    );
}

async fn startup(rig: &Rig) {
    let mut task = rig.task("x");
    task.limits.startup = Duration::from_millis(1);
    let outcome = rig.delegate(task).await;
    assert_late(&outcome, "startup_timeout");
    assert_eq!((outcome.turns, outcome.changes), (0, Changes::None));
}

async fn startup_of_a_composer_that_never_loads(rig: &Rig) {
    let mut task = rig.scripted("hang");
    task.limits.startup = Duration::from_secs(1);
    let outcome = rig.delegate(task).await;
    assert_late(&outcome, "startup_timeout");
    let pending = outcome.pending.as_ref().expect("the screen");
    assert!(
        pending.kind == "screen" && pending.text.contains("OpenAI Codex"),
        "{pending:?}"
    );
}

async fn turn(rig: &Rig) {
    let mut task = rig.task("[[sleep 60]]");
    task.limits.turn = Duration::from_secs(1);
    assert_work_is_kept(rig, task, "turn_timeout").await;
}

async fn run(rig: &Rig) {
    let mut task = rig.task("[[sleep 60]]");
    task.limits.run = Duration::from_secs(5);
    assert_work_is_kept(rig, task, "run_timeout").await;
}

async fn assert_work_is_kept(rig: &Rig, task: cx_operator::task::Task, code: &str) {
    let mut run = rig.operator.start(task);
    until(&mut run, "the agent's start", |progress| {
        matches!(progress, Progress::Launched { .. })
    })
    .await;
    fs::write(rig.worktree().join("half"), "done\n").expect("half of the work");
    let outcome = rig.outcome(run).await;
    assert_late(&outcome, code);
    assert_eq!(
        (outcome.turns, outcome.files_changed),
        (1, 1),
        "{outcome:?}"
    );
    rig.apply(&outcome);
}

/// The one who is asked takes longer than a turn may, and then longer than the run may.
async fn slow_answers(rig: &Rig) {
    let brief = "[[shell echo asked > asked; echo 'Should I use tabs or spaces?']] [[escalate]]";
    let mut task = rig.task(brief);
    (task.limits.turn, task.limits.run) = (Duration::from_secs(6), Duration::from_secs(11));
    let answers = r#"case $(cat) in *'"approval":true'*) sleep 7; echo '{"decision":"allow"}';; *) sleep 7; echo '{"reply":"Tabs."}';; esac"#;
    let limit = Duration::from_secs(30 * 60);
    task.responders = vec![Arc::new(Command::new(answers.to_owned(), limit))];
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns, outcome.replies.len()),
        (Status::Completed, 2, 2),
        "{outcome:?}"
    );
    assert!(outcome.duration_ms > 14_000, "{outcome:?}");
}

/// It is the question that the run ends with, not the time.
async fn late_answer(rig: &Rig) {
    let mut task = rig.task("[[question]]");
    task.responders = vec![Arc::new(Command::new(
        "sleep 60".to_owned(),
        Duration::from_millis(300),
    ))];
    task.limits.answer = Duration::from_millis(300);
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.exit_code(), &outcome.error),
        (Status::NeedsInput, 3, &None),
        "{outcome:?}"
    );
    let late = |text: &String| text.contains("gave no answer") && text.contains("within 300ms");
    assert!(outcome.notices.iter().any(late), "{outcome:?}");
}
