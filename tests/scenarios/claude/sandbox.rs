//! What each pair of `--sandbox` and `--ask` lets through without a question.

use std::path::Path;

use cx_operator::agent::executor::{Ask, Sandbox};
use cx_operator::task::policy::Permissions;
use serde_json::{Value, json};

use super::{playing, set_up, without_decisions};
use crate::rig::Rig;

on_every_claude!(
    read_only_on_request,
    read_only_never,
    read_only_goes_before_what_is_allowed,
    workspace_write_on_request,
    workspace_write_never,
    full_access
);

/// The files that come to be when nobody says yes: their names are what was tried.
async fn done(rig: &Rig, sandbox: Sandbox, ask: Ask) -> Vec<&'static str> {
    without_decisions(rig);
    tried(rig, sandbox, ask).await
}

/// The same with the user's settings as they are.
async fn tried(rig: &Rig, sandbox: Sandbox, ask: Ask) -> Vec<&'static str> {
    let worktree = rig.worktree();
    let outside = rig.path("outside");
    std::fs::create_dir(&outside).expect("a directory");
    let write = |dir: &Path| json!({"call": "Write", "args": {"file_path": dir.join("write"), "content": "x\n"}});
    let bash = |command: String| json!({"call": "Bash", "args": {"command": command, "description": "a try"}});
    let python = "python3 -c 'open(\"python\", \"w\").write(\"x\")'";
    let read = json!({"call": "Read", "args": {"file_path": worktree.join("README")}});
    let edit = json!({"call": "Edit", "args": {
        "file_path": worktree.join("README"), "old_string": "two", "new_string": "2",
    }});
    let steps: Vec<Value> = vec![
        write(&worktree),
        write(&outside),
        bash("touch touch".to_owned()),
        bash(format!("touch {}", outside.join("touch").display())),
        bash(python.to_owned()),
        read,
        edit,
        json!({"say": "Done. I tried."}),
    ];
    let mut task = rig.task(&playing(&Value::from(steps)));
    task.agent.sandbox = sandbox;
    task.agent.ask = ask;
    task.permissions = Permissions::Deny;
    task.probe = false;
    let outcome = rig.delegate(task).await;
    let asked: Vec<_> = outcome
        .replies
        .iter()
        .map(|reply| &reply.question)
        .collect();
    assert_eq!(
        outcome.last_message.as_deref(),
        Some("Done. I tried."),
        "{outcome:?}"
    );
    if ask == Ask::Never {
        assert!(asked.is_empty(), "{outcome:?}");
    }
    let has = |name: &str| outcome.files.iter().any(|file| file.path == name);
    let mut done = Vec::new();
    for (name, is_done) in [
        ("write", has("write")),
        ("write outside", outside.join("write").exists()),
        ("touch", has("touch")),
        ("touch outside", outside.join("touch").exists()),
        ("python", has("python")),
        ("edit", has("README")),
    ] {
        if is_done {
            done.push(name);
        }
    }
    done
}

async fn read_only_on_request(rig: &Rig) {
    let done = done(rig, Sandbox::ReadOnly, Ask::OnRequest).await;
    assert_eq!(done, [""; 0]);
}

async fn read_only_never(rig: &Rig) {
    let done = done(rig, Sandbox::ReadOnly, Ask::Never).await;
    assert_eq!(done, [""; 0]);
}

/// Edits, whatever the user allows in general; and where a sandbox of the user's is there, commands are no less a question.
async fn read_only_goes_before_what_is_allowed(rig: &Rig) {
    set_up(rig, |settings| {
        *settings = json!({
            "permissions": {"allow": ["Edit", "Write"]},
            "sandbox": {"enabled": true, "autoAllowBashIfSandboxed": true},
        });
    });
    let done = tried(rig, Sandbox::ReadOnly, Ask::OnRequest).await;
    assert_eq!(done, [""; 0]);
}

async fn workspace_write_on_request(rig: &Rig) {
    let done = done(rig, Sandbox::WorkspaceWrite, Ask::OnRequest).await;
    assert_eq!(done, ["write", "touch", "edit"]);
}

async fn workspace_write_never(rig: &Rig) {
    let done = done(rig, Sandbox::WorkspaceWrite, Ask::Never).await;
    assert_eq!(done, ["write", "edit"]);
}

async fn full_access(rig: &Rig) {
    let done = done(rig, Sandbox::DangerFullAccess, Ask::Never).await;
    let all = [
        "write",
        "write outside",
        "touch",
        "touch outside",
        "python",
        "edit",
    ];
    assert_eq!(done, all);
}
