//! A budget ends a run: its agent is interrupted, and its work is kept.

use std::fs;

use cx_operator::agent::conversation::Drive;
use cx_operator::record::{Outcome, Status};
use cx_operator::task::Task;
use cx_operator::task::policy::{Keep, Permissions};

use crate::rig::{Agent, Rig};

on_both!(
    used_up,
    used_up_after_a_crash,
    a_result_is_one_all_the_same,
    refused_with_a_session
);
on_headless!(used_up_headless);

/// The agent answers once the file is there, and its command works on until it is ended. The scripted agent, which tells of its tokens when
/// a command has returned, would go on when its turn ends.
fn brief(rig: &Rig) -> String {
    let go = rig.path("go");
    let what = match rig.agent {
        Agent::Scripted => "[[status]]",
        _ => "[[shell sleep 60]]",
    };
    format!("[[await {}]] {what}", go.display())
}

fn permitted(mut task: Task) -> Task {
    if task.agent.executor.name().starts_with("claude") {
        task.permissions = Permissions::Allow;
    }
    task
}

/// Half of the work, then the answer that uses the budget up.
fn go(rig: &Rig) {
    fs::write(rig.worktree().join("half"), "done\n").expect("half of the work");
    fs::write(rig.path("go"), "").expect("the word");
}

fn assert_used_up(outcome: &Outcome) {
    let error = outcome.error.as_ref().expect("why");
    assert_eq!(
        (outcome.status, outcome.exit_code()),
        (Status::OverBudget, 4),
        "{outcome:?}"
    );
    assert_eq!(error.code, "over_budget");
    assert!(error.message.contains("tokens are used, of 1"), "{error:?}");
    assert_eq!(outcome.files_changed, 1, "{outcome:?}");
    assert!(outcome.result_commit.is_some());
    assert!(outcome.usage.is_some_and(|usage| usage.total_tokens >= 1));
    let budget = outcome.budget.as_ref().expect("the budget");
    assert_eq!(
        (budget.max_tokens, budget.max_cost_usd, budget.cost_usd),
        (Some(1), None, None)
    );
}

async fn used_up(rig: &Rig) {
    let mut task = permitted(rig.task(&brief(rig)));
    task.budget.tokens = Some(1);
    let run = rig.start(task).await;
    go(rig);
    let outcome = rig.outcome(run).await;
    assert_used_up(&outcome);
}

/// The order keeps the budget: whoever takes the run over holds it to that.
async fn used_up_after_a_crash(rig: &Rig) {
    let allow = rig.agent.executor().name().starts_with("claude");
    let permissions = if allow { "allow" } else { "ask" };
    let flags = ["--max-tokens", "1", "--permissions", permissions];
    let mut operator = rig.spawn_delegation(&brief(rig), &flags).await;
    operator.start_kill().expect("killed");
    operator.wait().await.expect("it ended");
    go(rig);
    let resumed = rig.binary(&["resume", "t", "--json"]).output().await;
    let (outcome, exit) = rig.document(&resumed.expect("it runs"));
    assert_eq!(exit, 4, "{outcome:?}");
    assert_used_up(&outcome);
}

/// A turn that ended with a result is not undone by what it used.
async fn a_result_is_one_all_the_same(rig: &Rig) {
    let mut task = rig.task("[[say Done. All is well.\n\nSTATUS: DONE]]");
    task.budget.tokens = Some(1);
    let outcome = rig.delegate(task).await;
    let is_told = outcome
        .notices
        .iter()
        .any(|notice| notice.contains("the budget was used up"));
    match outcome.status {
        Status::Completed => assert!(is_told, "{outcome:?}"),
        // The tokens may be told before the end of the turn is.
        status => assert_eq!(status, Status::OverBudget, "{outcome:?}"),
    }
}

async fn refused_with_a_session(rig: &Rig) {
    let mut task = rig.task("x");
    task.keep = Keep::Session;
    task.budget.tokens = Some(1);
    let outcome = rig.operator.delegate(task).await;
    let error = outcome.error.as_ref().expect("why");
    assert_eq!((outcome.exit_code(), error.code.as_str()), (2, "usage"));
    assert!(error.message.contains("--keep"), "{error:?}");
    assert_eq!(outcome.run_dir, None);
}

/// `codex exec` tells what it used only at its end, and that is said.
async fn used_up_headless(rig: &Rig) {
    let is_late = rig.agent.executor().name() == "codex-exec";
    let brief = if is_late {
        "[[shell echo new > half]]".to_owned()
    } else {
        brief(rig)
    };
    let mut task = rig.task(&brief);
    // The older Claude Code asks no hook without a terminal: nothing can be allowed.
    if !matches!(rig.agent, Agent::Print(testkit::agents::OLDER_CLAUDE)) {
        task = permitted(task);
    }
    task.budget.tokens = Some(1);
    let run = rig.start(task).await;
    if !is_late {
        go(rig);
    }
    let outcome = rig.outcome(run).await;
    assert_eq!(outcome.drive, Some(Drive::Headless));
    if !is_late {
        return assert_used_up(&outcome);
    }
    assert_eq!(
        (outcome.status, outcome.files_changed),
        (Status::Completed, 1),
        "{outcome:?}"
    );
    for word in ["only at its end", "the budget was used up"] {
        assert!(
            outcome.notices.iter().any(|notice| notice.contains(word)),
            "{outcome:?}"
        );
    }
}
