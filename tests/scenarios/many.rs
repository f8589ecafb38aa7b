//! Runs beside each other.

use std::collections::BTreeSet;
use std::fs;

use cx_operator::record::Status;

use crate::rig::Rig;

on_both!(eight_at_once, one_name_twice, name_of_a_running_task);

/// Eight runs of one operator, each with its own content.
async fn eight_at_once(rig: &Rig) {
    let runs: Vec<_> = (0..8)
        .map(|number| {
            let brief =
                format!("[[shell echo {number} > number; echo 'STATUS: DONE']] task {number}");
            rig.operator
                .start(rig.task_named(&format!("n{number}"), &brief))
        })
        .collect();
    let mut sessions = BTreeSet::new();
    for (number, run) in runs.into_iter().enumerate() {
        let outcome = rig.outcome(run).await;
        assert_eq!(
            (outcome.status, outcome.turns, outcome.files_changed),
            (Status::Completed, 1, 1),
            "{outcome:?}"
        );
        assert!(
            rig.submitted_prompt(&outcome, 1)
                .ends_with(&format!("task {number}"))
        );
        let content = fs::read_to_string(rig.apply(&outcome).join("number")).expect("the file");
        assert_eq!(content, format!("{number}\n"));
        sessions.insert(outcome.session_id);
    }
    assert_eq!(sessions.len(), 8);
}

/// Of two runs of one name the first wins; the other is told who holds the name.
async fn one_name_twice(rig: &Rig) {
    let first = rig
        .operator
        .start(rig.task("[[shell echo 1 > new; echo 'STATUS: DONE']]"));
    let second = rig
        .operator
        .start(rig.task("[[shell echo 1 > new; echo 'STATUS: DONE']]"));
    let outcomes = [rig.outcome(first).await, rig.outcome(second).await];
    let (won, lost): (Vec<_>, Vec<_>) = outcomes
        .iter()
        .partition(|outcome| outcome.status == Status::Completed);
    let ([won], [lost]) = (won.as_slice(), lost.as_slice()) else {
        panic!("one wins: {outcomes:?}");
    };
    assert_eq!(won.files_changed, 1);
    assert_eq!(
        (lost.status, lost.exit_code()),
        (Status::Failed, 8),
        "{lost:?}"
    );
    let error = lost.error.as_ref().expect("why");
    assert_eq!(error.code, "name_taken", "{error:?}");
    assert!(error.message.contains(&rig.session()), "{error:?}");
}

/// A later run of the same name is refused before anything is created.
async fn name_of_a_running_task(rig: &Rig) {
    let first = rig.start(rig.task("[[sleep 60]]")).await;
    let second = rig.delegate(rig.task("x")).await;
    assert_eq!(
        (second.status, second.exit_code(), &second.run_dir),
        (Status::Failed, 8, &None),
        "{second:?}"
    );
    let error = second.error.as_ref().expect("why");
    let holder = rig.worktree().display().to_string();
    assert!(
        error.code == "name_taken" && error.message.contains(&holder),
        "{error:?}"
    );
    first.canceller().cancel("the caller");
    assert_eq!(rig.outcome(first).await.status, Status::Aborted);
}
