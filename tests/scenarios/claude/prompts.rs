//! Prompts that the program would take for something else, and those that the user's own hooks block.

use std::time::{Duration, Instant};

use cx_operator::record::{Outcome, Status};
use testkit::wait::on_this_machine;

use super::add_hook;
use crate::rig::Rig;

on_every_claude!(
    a_farewell_is_a_brief,
    signs_that_the_terminal_cannot_show,
    blocked_by_its_status,
    blocked_by_json
);
on_claude!(stopped_by_json, blocked_reply);

/// As a reply too: alone it would end the program.
async fn a_farewell_is_a_brief(rig: &Rig) {
    let mut task = rig.task("[[question]]");
    task.responders = rig.answers("[[answer]]\npattern = \".\"\nreply = \":wq\"");
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 2),
        "{outcome:?}"
    );
    assert_eq!(rig.submitted_prompt(&outcome, 2), "Message:\n:wq");
}

/// tmux keeps 21 bytes of a cell, and of a face no colour.
async fn signs_that_the_terminal_cannot_show(rig: &Rig) {
    let family =
        "👩\u{200d}👩\u{200d}👧\u{200d}👦 👍🏽 e\u{301} 1\u{fe0f}\u{20e3} 🏳\u{fe0f}\u{200d}🌈";
    let mut task = rig.task(&format!("{family} [[say Done. All of them.]]"));
    task.preamble = false;
    let outcome = rig.delegate(task).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
}

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
    assert!(since.elapsed() < on_this_machine(Duration::from_secs(20)));
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
