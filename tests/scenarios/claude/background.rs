//! Commands and sub-agents that are at work when the turn of their maker ends.

use std::time::{Duration, Instant};

use cx_operator::record::{Outcome, Status};
use cx_operator::task::policy::Permissions;
use serde_json::{Value, json};
use testkit::wait::on_this_machine;

use super::{assert_made, playing};
use crate::rig::Rig;

on_every_claude!(
    command_is_waited_for,
    command_is_named,
    sub_agent_is_waited_for,
    permission_of_a_sub_agent
);
on_claude!(sub_agent_is_named, permission_of_a_sub_agent_is_surfaced);

fn left(command: &str) -> Value {
    json!({"shell": command, "extra": {"background": true}})
}

/// The step that makes a sub-agent, which plays the script `child`.
fn spawn(rig: &Rig, child: &Value) -> Value {
    rig.model.script("child", child);
    json!({"call": "Agent", "args": {
        "description": "help", "prompt": "Help. [[play child]]", "subagent_type": "general-purpose",
        "run_in_background": true,
    }})
}

fn told<'a>(outcome: &'a Outcome, of: &str) -> Vec<&'a String> {
    let notices = outcome.notices.iter();
    notices.filter(|notice| notice.contains(of)).collect()
}

/// The turn that its end begins counts, and has the last word.
async fn command_is_waited_for(rig: &Rig) {
    let steps = json!([
        left("sleep 3; echo late > late.txt"),
        {"say": "Done. It runs."},
        {"say": "Done. It has run."}
    ]);
    let outcome = rig.delegate(rig.task(&playing(&steps))).await;
    assert_made(&outcome, 1, &["late.txt"]);
    assert_eq!(outcome.last_message.as_deref(), Some("Done. It has run."));
    assert!(told(&outcome, "still").is_empty(), "{outcome:?}");
}

async fn command_is_named(rig: &Rig) {
    let steps = json!([left("sleep 50; echo late"), {"say": "Done. It runs."}]);
    let mut task = rig.task(&playing(&steps));
    task.limits.linger = Duration::from_secs(1);
    let since = Instant::now();
    let outcome = rig.delegate(task).await;
    assert_made(&outcome, 1, &[]);
    assert_eq!(
        told(&outcome, "sleep 50; echo late").len(),
        1,
        "{outcome:?}"
    );
    assert!(
        since.elapsed() < on_this_machine(Duration::from_secs(20)),
        "{outcome:?}"
    );
}

/// Its tokens are the session's.
async fn sub_agent_is_waited_for(rig: &Rig) {
    let child = json!([
        {"shell": "sleep 2; echo late > late.txt", "usage": 7_000},
        {"say": "Done too."}
    ]);
    let steps = json!([
        spawn(rig, &child),
        {"say": "Done. It is delegated."},
        {"say": "Done. All of it."}
    ]);
    rig.model.script("parent", &steps);
    let outcome = rig.delegate(rig.task("[[play parent]]")).await;
    assert_made(&outcome, 1, &["late.txt"]);
    assert!(told(&outcome, "still").is_empty(), "{outcome:?}");
    let usage = outcome.usage.expect("tokens");
    assert!(usage.input_tokens > 7_000, "{usage:?}");
}

async fn sub_agent_is_named(rig: &Rig) {
    let child = json!([{"await": "/nonexistent", "say": "Done too."}]);
    let steps = json!([spawn(rig, &child), {"say": "Done. It is delegated."}]);
    rig.model.script("parent", &steps);
    let mut task = rig.task("[[play parent]]");
    task.limits.linger = Duration::from_secs(1);
    let outcome = rig.delegate(task).await;
    assert_made(&outcome, 1, &[]);
    assert_eq!(told(&outcome, "still").len(), 1, "{outcome:?}");
}

fn asking(rig: &Rig) -> &'static str {
    let child = json!([
        {"shell": "echo late > late.txt", "escalate": "I must"},
        {"say": "Done too."}
    ]);
    let steps = json!([spawn(rig, &child), {"say": "Done. It is delegated."}]);
    rig.model.script("parent", &steps);
    "[[play parent]]"
}

async fn permission_of_a_sub_agent(rig: &Rig) {
    let mut task = rig.task(asking(rig));
    task.permissions = Permissions::Allow;
    let outcome = rig.delegate(task).await;
    assert_made(&outcome, 1, &["late.txt"]);
    assert_eq!(outcome.replies.len(), 1, "{outcome:?}");
}

async fn permission_of_a_sub_agent_is_surfaced(rig: &Rig) {
    let outcome = rig.delegate(rig.task(asking(rig))).await;
    assert_eq!(outcome.status, Status::NeedsPermission, "{outcome:?}");
    let pending = outcome.pending.expect("what it asks");
    assert_eq!(pending.text, "echo late > late.txt");
}
