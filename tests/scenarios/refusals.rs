//! What keeps a turn from beginning: a hook of the user's that refuses the prompt, an agent that ends at its start.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use cx_operator::agent::codex::trust::trusted_hash;
use cx_operator::run::{Outcome, Status};

use crate::agents::{OLDER, PINNED};
use crate::rig::{Agent, Rig, on};

on_scripted!(ended_at_its_start);

#[test]
fn a_blocked_prompt_codex_0_169() {
    on(Agent::Codex(PINNED), blocked_prompt);
}

#[test]
fn a_blocked_prompt_codex_0_150() {
    on(Agent::Codex(OLDER[0]), blocked_prompt);
}

#[test]
fn a_blocked_prompt_codex_0_130() {
    on(Agent::Codex(OLDER[1]), blocked_prompt);
}

#[test]
fn a_blocked_reply_codex_0_169() {
    on(Agent::Codex(PINNED), blocked_reply);
}

/// Trusts a hook of prompts in the user's configuration.
fn add_prompt_hook(rig: &Rig, script: &str) {
    let path = rig.path("user-prompt-hook");
    fs::write(&path, script).expect("the hook");
    let command = format!("sh {}", path.display());
    let config = rig.path("codex/config.toml");
    let key = format!("{}:user_prompt_submit:0:0", config.display());
    let hash = trusted_hash("user_prompt_submit", &command, 600);
    rig.configure(&format!(
        "\n[[hooks.UserPromptSubmit]]\nhooks = [{{ type = \"command\", command = {command:?} }}]\n\
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
    add_prompt_hook(
        rig,
        &format!("cat > /dev/null\nsleep 0.5\necho '{reason}' >&2\nexit 2\n"),
    );
    let outcome = rig.delegate(rig.task("[[say Done.]]")).await;
    assert_blocked(&outcome, &reason);
}

async fn blocked_reply(rig: &Rig) {
    let block = r#"grep -q blue && printf '{"decision":"block","reason":"no colours"}'"#;
    add_prompt_hook(rig, &format!("{block}\nexit 0\n"));
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
    task.codex.program = Some(wrapper);
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
