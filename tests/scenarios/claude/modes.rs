//! The plan mode.

use cx_operator::record::{Outcome, Status};
use cx_operator::task::policy::Permissions;
use serde_json::json;

use super::{assert_made, playing};
use crate::rig::Rig;

on_every_claude!(plan_is_allowed, plan_is_surfaced);
on_claude!(plan_is_denied);

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

async fn plan_is_surfaced(rig: &Rig) {
    let outcome = planned(rig, Permissions::Ask).await;
    assert_eq!(outcome.status, Status::NeedsPermission, "{outcome:?}");
    let pending = outcome.pending.as_ref().expect("the plan");
    assert!(pending.text.contains("plan"), "{pending:?}");
}
