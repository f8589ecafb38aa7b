//! What hooks of the user's refuse or allow, an agent that ends at its start, commands that outlive their turn.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cx_operator::agent::codex::trust::trusted_hash;
use cx_operator::record::{Outcome, Reply, Status};
use cx_operator::task::policy::Permissions;
use cx_operator::task::respond::Command;

use crate::rig::{Agent, Rig, on};
use testkit::agents::{OLDER, PINNED, native_codex};

on_scripted!(ended_at_its_start);
on_every_codex!(
    nothing_blocked_without_a_reason,
    blocked_by_json,
    stopped_by_json,
    stopped_at_the_start,
    blocked_prompt,
    allowed_by_a_hook,
    allowed_by_a_hook_alone,
);
on_codex!(blocked_reply, denied_by_a_hook, left_running);

const PROMPT: (&str, &str) = ("UserPromptSubmit", "user_prompt_submit");
const PERMISSION: (&str, &str) = ("PermissionRequest", "permission_request");
const ESCALATE: &str = "[[shell touch asked && echo 'STATUS: DONE']] [[escalate]]";

fn deciding(behavior: &str) -> String {
    format!(
        "cat > /dev/null\nprintf '{{\"hookSpecificOutput\":{{\"hookEventName\":\"PermissionRequest\",\"decision\":{behavior}}}}}'\n"
    )
}

#[test]
fn a_version_that_changes_before_the_start_codex_0_130() {
    on(Agent::Codex(OLDER[1]), changed_version);
}

/// Trusts a hook in the user's configuration.
fn add_hook(rig: &Rig, (event, snake): (&str, &str), script: &str) {
    let path = rig.path("user-hook");
    fs::write(&path, script).expect("the hook");
    let command = format!("sh {}", path.display());
    let config = rig.path("codex/config.toml");
    let key = format!("{}:{snake}:0:0", config.display());
    let hash = trusted_hash(snake, &command, 600);
    rig.configure(&format!(
        "\n[[hooks.{event}]]\nhooks = [{{ type = \"command\", command = {command:?} }}]\n\
         [hooks.state.{key:?}]\ntrusted_hash = {hash:?}\n"
    ));
}

fn assert_blocked(outcome: &Outcome, reason: &str) {
    let error = outcome.error.as_ref().expect("an error");
    assert_eq!(
        (outcome.status, error.code.as_str()),
        (Status::AgentFailed, "prompt_blocked"),
        "{outcome:?}"
    );
    assert!(error.message.ends_with(reason), "{}", error.message);
}

async fn blocked_prompt(rig: &Rig) {
    // Longer than a row of the screen.
    let reason = format!("a ticket is missing{}", ", and so on".repeat(20));
    add_hook(
        rig,
        PROMPT,
        &format!("cat > /dev/null\nsleep 0.5\necho '{reason}' >&2\nexit 2\n"),
    );
    let outcome = rig.delegate(rig.task("[[say Done.]]")).await;
    assert_blocked(&outcome, &reason);
}

/// With its status alone a hook blocks nothing: codex wants a reason.
async fn nothing_blocked_without_a_reason(rig: &Rig) {
    add_hook(rig, PROMPT, "cat > /dev/null\nexit 2\n");
    let outcome = rig.delegate(rig.task("[[say Done.]]")).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
}

async fn blocked_by_json(rig: &Rig) {
    let block = r#"cat > /dev/null; printf '{"decision":"block","reason":"no tickets"}'"#;
    add_hook(rig, PROMPT, &format!("{block}\n"));
    let outcome = rig.delegate(rig.task("[[say Done.]]")).await;
    assert_blocked(&outcome, "no tickets");
}

/// It stops the agent altogether.
async fn stopped_by_json(rig: &Rig) {
    let block = r#"cat > /dev/null; printf '{"continue":false,"stopReason":"it is night"}'"#;
    add_hook(rig, PROMPT, &format!("{block}\n"));
    let outcome = rig.delegate(rig.task("[[say Done.]]")).await;
    assert_blocked(&outcome, "it is night");
}

/// It stops the agent before the prompt is told to any other hook.
async fn stopped_at_the_start(rig: &Rig) {
    let block = r#"cat > /dev/null; printf '{"continue":false,"stopReason":"closed today"}'"#;
    add_hook(
        rig,
        ("SessionStart", "session_start"),
        &format!("{block}\n"),
    );
    let outcome = rig.delegate(rig.task("[[say Done.]]")).await;
    assert_blocked(&outcome, "closed today");
}

async fn blocked_reply(rig: &Rig) {
    let block = r#"grep -q blue && printf '{"decision":"block","reason":"no colours"}'"#;
    add_hook(rig, PROMPT, &format!("{block}\nexit 0\n"));
    let mut task = rig.task("[[question]]");
    task.responders = rig.answers("[[answer]]\npattern = \".\"\nreply = \"blue\"");
    let outcome = rig.delegate(task).await;
    assert_blocked(&outcome, "no colours");
    assert_eq!(outcome.turns, 2);
}

/// Its one line has left the screen.
async fn ended_at_its_start(rig: &Rig) {
    let wrapper = rig.path("dying-agent");
    let agent = env!("CARGO_BIN_EXE_scripted-agent");
    let script = format!(
        "#!/bin/sh\nfor word; do case $word in --version|--help|app-server|login|debug) exec {agent} \"$@\";; esac; done\n\
         echo 'Error: the account is unreadable'\nseq 60 | sed 's/.*//'\nexit 1\n"
    );
    fs::write(&wrapper, script).expect("a program");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("a mode");
    let mut task = rig.task("[[say Done.]]");
    task.agent.program = Some(wrapper);
    let outcome = rig.delegate(task).await;
    let error = outcome.error.as_ref().expect("an error");
    assert_eq!(
        (outcome.status, error.code.as_str()),
        (Status::AgentDied, "agent_died"),
        "{outcome:?}"
    );
    let line = "Error: the account is unreadable";
    assert!(error.message.contains(line), "{}", error.message);
}

/// A version manager's shim starts an older one than it told of; the next run finds that one.
async fn changed_version(rig: &Rig) {
    let (newer, older) = (native_codex(PINNED), native_codex(OLDER[1]));
    let (newer, older) = (
        newer.expect("the rig has it"),
        older.expect("the rig has it"),
    );
    let shim = rig.path("shim");
    let write = |asked: &Path| {
        let (asked, started) = (asked.display(), older.display());
        let script = format!(
            "#!/bin/sh\nfor word; do case $word in --version|--help|app-server|debug|login) exec {asked} \"$@\";; esac; done\n\
             exec {started} \"$@\"\n"
        );
        fs::write(&shim, script).expect("a program");
        fs::set_permissions(&shim, fs::Permissions::from_mode(0o755)).expect("a mode");
    };
    write(&newer);
    let task = |name: &str| {
        let mut task = rig.task_named(name, "[[shell touch made]]");
        task.agent.program = Some(shim.clone());
        task
    };
    let outcome = rig.delegate(task("t")).await;
    let error = outcome.error.as_ref().expect("an error");
    assert_eq!(error.code, "agent_died", "{outcome:?}");
    assert!(error.message.contains("--no-daemon"), "{}", error.message);
    let hint = error.hint.as_deref().unwrap_or_default();
    assert!(hint.contains("run the task again"), "{hint}");
    write(&older);
    let outcome = rig.delegate(task("u")).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    assert_eq!(outcome.agent_version.as_deref(), Some(OLDER[1]));
}

/// Nothing waits: the run goes on.
async fn allowed_by_a_hook(rig: &Rig) {
    add_hook(rig, PERMISSION, &deciding(r#"{"behavior":"allow"}"#));
    let outcome = rig.delegate(rig.task(ESCALATE)).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    assert_eq!(outcome.files[0].path, "asked");
    assert!(outcome.replies.is_empty(), "{outcome:?}");
}

/// The responder that is asked as well gives no answer.
async fn allowed_by_a_hook_alone(rig: &Rig) {
    add_hook(rig, PERMISSION, &deciding(r#"{"behavior":"allow"}"#));
    let mut task = rig.task(ESCALATE);
    let silent = Command::new("echo '{}'".to_owned(), Duration::from_secs(20));
    task.responders = vec![Arc::new(silent)];
    let outcome = rig.delegate(task).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    assert_eq!(outcome.files[0].path, "asked");
    assert!(outcome.replies.is_empty(), "{outcome:?}");
}

/// A denial goes before our permission, and is what is on record.
async fn denied_by_a_hook(rig: &Rig) {
    add_hook(
        rig,
        PERMISSION,
        &deciding(r#"{"behavior":"deny","message":"not here"}"#),
    );
    let mut task = rig.task(ESCALATE);
    task.permissions = Permissions::Allow;
    let outcome = rig.delegate(task).await;
    assert!(outcome.files.is_empty(), "{outcome:?}");
    if rig.is_by_requests() {
        // The server asks nobody else.
        let allowed = |reply: &Reply| reply.reply == "allow";
        assert!(!outcome.replies.iter().any(allowed), "{outcome:?}");
        return;
    }
    let [reply, ..] = outcome.replies.as_slice() else {
        panic!("a reply: {outcome:?}");
    };
    assert_eq!(
        (reply.by.as_str(), reply.reply.as_str()),
        ("hook", "deny not here")
    );
}

async fn left_running(rig: &Rig) {
    let arguments = r#"{"cmd":"sleep 50; echo late","yield_time_ms":300}"#;
    let outcome = rig
        .delegate(rig.task(&format!("[[call exec_command {arguments}]]")))
        .await;
    let named = |notice: &String| notice.contains("sleep 50; echo late");
    assert!(outcome.notices.iter().any(named), "{outcome:?}");
}
