//! What a caller keeps on purpose stays, and nothing else.

use std::fs;

use cx_operator::operator::cleanup::{Action, Scope, cleanup};
use cx_operator::record::{Outcome, Status};
use cx_operator::task::policy::Keep;

use testkit::git::git;

use crate::rig::{Rig, scope};

on_both!(branch, worktree, session);

const BRIEF: &str = "[[shell echo kept > new; echo 'STATUS: DONE']]";

async fn kept(rig: &Rig, keep: Keep) -> Outcome {
    let mut task = rig.task(BRIEF);
    task.keep = keep;
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.files_changed),
        (Status::Completed, 1),
        "{outcome:?}"
    );
    rig.apply(&outcome);
    let found = cleanup(rig.operator.store(), &scope(rig, false))
        .await
        .expect("a list");
    assert!(
        found.iter().all(|found| found.kind == "branch"),
        "cleanup touches nothing kept: {found:?}"
    );
    outcome
}

/// The kept worktree has the work; named to a cleanup, all that was kept goes.
pub(crate) async fn remove_kept(rig: &Rig, outcome: &Outcome) {
    let worktree = outcome.worktree.as_ref().expect("a worktree");
    assert_eq!(worktree, &rig.worktree());
    assert_eq!(
        fs::read_to_string(worktree.join("new")).expect("the file"),
        "kept\n"
    );
    assert_eq!(
        git(worktree, &["rev-parse", "--abbrev-ref", "HEAD"]),
        rig.session()
    );
    let store = rig.operator.store();
    let named = Scope {
        kept: Some(store.find(outcome.run_id.as_str()).expect("its record")),
        ..scope(rig, false)
    };
    let found = cleanup(store, &named).await.expect("a list");
    assert!(
        found.iter().any(|found| found.action == Action::Removed),
        "{found:?}"
    );
    assert!(!worktree.exists());
    // What the kept worktree held in the end was taken in once more.
    let record = store.find(outcome.run_id.as_str()).expect("its record");
    let record = record.load_record().expect("readable").expect("written");
    assert_eq!(record.files, outcome.files);
    rig.expect_record(record);
}

async fn branch(rig: &Rig) {
    let outcome = kept(rig, Keep::Branch).await;
    assert_eq!(
        (outcome.worktree, outcome.branch.as_deref()),
        (None, Some(&*rig.session()))
    );
    let tip = rig.git(&["rev-parse", &format!("refs/heads/{}", rig.session())]);
    assert_eq!(
        Some(tip),
        outcome.result_commit,
        "the branch is at the snapshot"
    );
    rig.git(&["branch", "-q", "-D", &rig.session()]);
}

async fn worktree(rig: &Rig) {
    let outcome = kept(rig, Keep::Worktree).await;
    assert_eq!(outcome.branch, Some(rig.session()));
    assert_eq!(rig.tmux(&["list-sessions"]), "");
    remove_kept(rig, &outcome).await;
}

async fn session(rig: &Rig) {
    let outcome = kept(rig, Keep::Session).await;
    let run = outcome.run_id.clone();
    let pid = rig.agent_pid(&run).await;
    assert!(
        rig.tmux(&["list-sessions", "-F", "#{session_name}"])
            .contains(&rig.session())
    );
    remove_kept(rig, &outcome).await;
    crate::rig::wait_for("the agent's end", || {
        fs::read(format!("/proc/{pid}/cmdline"))
            .unwrap_or_default()
            .is_empty()
            .then_some(())
    })
    .await;
}
