//! Each wait has a deadline, and the record names the one that passed.

use std::fs;
use std::time::Duration;

use cx_operator::journal::Progress;
use cx_operator::run::{Outcome, Status};
use cx_operator::worktree::Changes;

use crate::rig::{Rig, until};

on_both!(startup, turn, run);
on_scripted!(startup_of_a_composer_that_never_loads);

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
    assert_late(&rig.delegate(task).await, "startup_timeout");
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
