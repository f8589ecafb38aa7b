//! Approvals that the agent asks for within a turn.

use std::sync::Arc;
use std::time::Duration;

use cx_operator::agent::conversation::Drive;
use cx_operator::record::{Outcome, Status};
use cx_operator::task::policy::Permissions;
use cx_operator::task::respond::Command;
use cx_operator::worktree::Changes;

use crate::rig::Rig;

on_every_version!(denied_by_policy, allowed_by_policy);
on_both!(
    surfaced,
    allowed_by_a_file,
    denied_by_a_file,
    allowed_by_a_command,
    text_in_the_place_of_a_decision,
    undecided_by_a_command
);

const COMMAND: &str = "touch asked && echo 'STATUS: DONE'";

pub(crate) fn brief() -> String {
    format!("[[shell {COMMAND}]] [[escalate]]")
}

fn assert_pending(outcome: &Outcome) {
    assert_eq!(
        (outcome.status, outcome.exit_code()),
        (Status::NeedsPermission, 3),
        "{outcome:?}"
    );
    let pending = outcome.pending.as_ref().expect("the approval");
    assert_eq!(
        (pending.kind.as_str(), pending.text.as_str()),
        ("permission", COMMAND)
    );
    assert_eq!(pending.reason.as_deref(), Some("needs the network"));
    assert_eq!(outcome.changes, Changes::None, "nothing was run");
}

/// The turn went on to its end, with the one decision on record.
fn assert_decided(rig: &Rig, outcome: &Outcome, by: &str, reply: &str, changes: Changes) {
    // Told "no", the model says that its command failed: that reads as no result. By requests, and by Claude Code, the reason
    // is said to the turn, and the model's last word repeats it.
    let said = outcome.last_message.as_deref().unwrap_or_default();
    let is_told = said.contains("ot permitted") || said.contains("Not that.");
    let tells = outcome.drive == Some(Drive::Requests) || rig.is_claude();
    let status = match tells {
        true if reply.starts_with("deny") => {
            assert!(is_told, "the reason reached the model: {said}");
            // Told by policy, the model is told to say what it needs: that reads as no result.
            match rig.is_claude() && by == "policy" {
                true => Status::NeedsInput,
                false => Status::Completed,
            }
        }
        _ if reply.starts_with("deny") => Status::NeedsInput,
        _ => Status::Completed,
    };
    assert_eq!((outcome.status, outcome.turns), (status, 1), "{outcome:?}");
    let [decision] = outcome.replies.as_slice() else {
        panic!("one reply: {outcome:?}");
    };
    assert_eq!((decision.by.as_str(), decision.reply.as_str()), (by, reply));
    assert_eq!(decision.question, COMMAND);
    assert_eq!(outcome.changes, changes);
}

async fn surfaced(rig: &Rig) {
    assert_pending(&rig.delegate(rig.task(&brief())).await);
}

async fn denied_by_policy(rig: &Rig) {
    let mut task = rig.task(&brief());
    task.permissions = Permissions::Deny;
    task.probe = false;
    let outcome = rig.delegate(task).await;
    assert_decided(rig, &outcome, "policy", "deny", Changes::None);
}

async fn allowed_by_policy(rig: &Rig) {
    let mut task = rig.task(&brief());
    task.permissions = Permissions::Allow;
    let outcome = rig.delegate(task).await;
    assert_decided(rig, &outcome, "policy", "allow", Changes::Uncommitted);
    assert_eq!(outcome.files[0].path, "asked");
}

async fn allowed_by_a_file(rig: &Rig) {
    let mut task = rig.task(&brief());
    task.responders =
        rig.answers("[[permission]]\npattern = \"touch \\\\w+ .*\"\ndecision = \"allow\"");
    let outcome = rig.delegate(task).await;
    assert_decided(rig, &outcome, "answers", "allow", Changes::Uncommitted);
}

async fn denied_by_a_file(rig: &Rig) {
    let mut task = rig.task(&brief());
    let deny = "[[permission]]\npattern = \"touch\"\ndecision = \"deny\"\nmessage = \"Not that.\"";
    task.responders = rig.answers(deny);
    task.probe = false;
    let outcome = rig.delegate(task).await;
    assert_decided(rig, &outcome, "answers", "deny Not that.", Changes::None);
    // The model heard why, and says what it was told.
    let said = outcome.last_message.as_deref().unwrap_or_default();
    assert!(said.contains("Not that."), "{said}");
}

async fn allowed_by_a_command(rig: &Rig) {
    let mut task = rig.task(&brief());
    let answer = "grep -q '\"approval\":true' && echo '{\"decision\":\"allow\"}'";
    task.responders = vec![Arc::new(Command::new(
        answer.to_owned(),
        Duration::from_secs(20),
    ))];
    let outcome = rig.delegate(task).await;
    assert_decided(rig, &outcome, "command", "allow", Changes::Uncommitted);
}

async fn undecided_by_a_command(rig: &Rig) {
    let mut task = rig.task(&brief());
    task.responders = vec![Arc::new(Command::new(
        "echo '{}'".to_owned(),
        Duration::from_secs(20),
    ))];
    assert_pending(&rig.delegate(task).await);
}

async fn text_in_the_place_of_a_decision(rig: &Rig) {
    let mut task = rig.task(&brief());
    task.responders = vec![Arc::new(Command::new(
        r#"echo '{"reply":"Sure."}'"#.to_owned(),
        Duration::from_secs(20),
    ))];
    let outcome = rig.delegate(task).await;
    assert_pending(&outcome);
    assert!(outcome.replies.is_empty(), "{outcome:?}");
    let told = "an approval takes `allow` or `deny`";
    assert!(
        outcome.notices.iter().any(|text| text.ends_with(told)),
        "{outcome:?}"
    );
}
