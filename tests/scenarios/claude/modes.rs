//! The plan mode.

use cx_operator::record::{Outcome, Status};
use cx_operator::task::policy::Permissions;
use serde_json::json;

use super::{assert_made, playing};
use crate::rig::Rig;

on_every_claude!(plan_is_allowed, plan_is_surfaced, a_written_plan_is_told);
on_claude!(plan_is_denied, a_written_plan_is_carried_out);

async fn planned(rig: &Rig, permissions: Permissions) -> Outcome {
    let steps = json!([
        {"note": "This is the plan.", "call": "ExitPlanMode", "args": {}},
        {"shell": "echo done > new"},
        {"say": "Done. As planned."}
    ]);
    let mut task = rig.task(&playing(&steps));
    task.agent.arguments = vec!["--permission-mode=plan".to_owned()];
    task.permissions = permissions;
    rig.delegate(task).await
}

async fn plan_is_allowed(rig: &Rig) {
    let outcome = planned(rig, Permissions::Allow).await;
    assert_made(&outcome, 1, &["new"]);
    let [reply] = outcome.replies.as_slice() else {
        panic!("one reply: {outcome:?}");
    };
    assert_eq!(
        (reply.by.as_str(), reply.reply.as_str()),
        ("policy", "allow")
    );
}

async fn plan_is_denied(rig: &Rig) {
    let outcome = planned(rig, Permissions::Deny).await;
    assert_eq!(outcome.replies[0].reply, "deny", "{outcome:?}");
    assert_eq!(outcome.turns, 1, "{outcome:?}");
}

const PLAN: &str = "# The plan\n\n1. Make the file `new`.\n2. Say so.\n";

/// The agent writes its plan into the file that its mode lets it write, then asks whether it may begin.
async fn written(rig: &Rig, permissions: Permissions) -> Outcome {
    let steps = json!([
        {"call": "Write", "args": {"file_path": "@plan@", "content": PLAN}},
        {"note": "This is the plan.", "call": "ExitPlanMode", "args": {}},
        {"shell": "echo done > new"},
        {"say": "Done. As planned."}
    ]);
    let mut task = rig.task(&playing(&steps));
    task.agent.arguments = vec!["--permission-mode=plan".to_owned()];
    task.permissions = permissions;
    rig.delegate(task).await
}

/// Whoever decides can read it.
async fn a_written_plan_is_told(rig: &Rig) {
    let outcome = written(rig, Permissions::Ask).await;
    assert_eq!(outcome.status, Status::NeedsPermission, "{outcome:?}");
    let pending = outcome.pending.as_ref().expect("the plan");
    assert!(
        pending.text.contains("1. Make the file `new`."),
        "{pending:?}"
    );
    assert!(outcome.files.is_empty(), "{outcome:?}");
}

async fn a_written_plan_is_carried_out(rig: &Rig) {
    let outcome = written(rig, Permissions::Allow).await;
    assert_made(&outcome, 1, &["new"]);
    let question = &outcome.replies[0].question;
    assert!(question.contains("2. Say so."), "{question}");
}

async fn plan_is_surfaced(rig: &Rig) {
    let outcome = planned(rig, Permissions::Ask).await;
    assert_eq!(outcome.status, Status::NeedsPermission, "{outcome:?}");
    let pending = outcome.pending.as_ref().expect("the plan");
    assert!(pending.text.contains("plan"), "{pending:?}");
}
