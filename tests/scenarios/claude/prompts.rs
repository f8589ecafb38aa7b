//! Prompts that the user's own hooks block.

use std::time::{Duration, Instant};

use cx_operator::record::{Outcome, Status};

use super::add_hook;
use crate::rig::Rig;

on_every_claude!(blocked_by_its_status, blocked_by_json);
on_claude!(stopped_by_json, blocked_reply);

const EVENT: &str = "UserPromptSubmit";

fn assert_blocked(outcome: &Outcome, reason: &str) {
    let error = outcome.error.as_ref().expect("an error");
    assert_eq!(
        (outcome.status, error.code.as_str()),
        (Status::AgentFailed, "prompt_blocked"),
        "{outcome:?}"
    );
    assert!(error.message.ends_with(reason), "{}", error.message);
}

async fn blocked(rig: &Rig, script: &str, reason: &str) {
    add_hook(rig, EVENT, script);
    let since = Instant::now();
    let outcome = rig.delegate(rig.task("[[say Done.]]")).await;
    assert_blocked(&outcome, reason);
    assert!(since.elapsed() < Duration::from_secs(20));
    assert!(rig.model.requests().iter().all(|one| one.method == "HEAD"));
}

async fn blocked_by_its_status(rig: &Rig) {
    // Longer than a row of the screen.
    let reason = format!("a ticket is missing{}", ", and so on".repeat(20));
    let script = format!("cat > /dev/null\nsleep 0.5\necho '{reason}' >&2\nexit 2\n");
    blocked(rig, &script, &reason).await;
}

async fn blocked_by_json(rig: &Rig) {
    let block = r#"cat > /dev/null; printf '{"decision":"block","reason":"no tickets"}'"#;
    blocked(rig, block, "no tickets").await;
}

async fn stopped_by_json(rig: &Rig) {
    let block = r#"cat > /dev/null; printf '{"continue":false,"stopReason":"it is night"}'"#;
    blocked(rig, block, "it is night").await;
}

async fn blocked_reply(rig: &Rig) {
    let block = r#"grep -q blue && printf '{"decision":"block","reason":"no colours"}'"#;
    add_hook(rig, EVENT, &format!("{block}\nexit 0\n"));
    let mut task = rig.task("[[question]]");
    task.responders = rig.answers("[[answer]]\npattern = \".\"\nreply = \"blue\"");
    let outcome = rig.delegate(task).await;
    assert_blocked(&outcome, "no colours");
    assert_eq!(outcome.turns, 2);
}
