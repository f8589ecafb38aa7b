//! What is the user's counts in a run, and stays as it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cx_operator::agent::executor::TrustPolicy;
use cx_operator::record::Status;
use serde_json::json;

use super::{add_hook, assert_made, playing};
use crate::rig::Rig;

on_every_claude!(
    the_users_setup_counts_and_stays,
    credentials_are_the_users_own,
    imports_from_outside_are_not_read,
    trust_is_asked
);
on_claude!(hooks_of_the_repository, a_parents_marks);

/// A server of tools in a shell.
const SERVER: &str = r#"#!/bin/sh
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  case "$line" in
  *'"method":"initialize"'*) result='{"protocolVersion":"2025-03-26","capabilities":{"tools":{}},"serverInfo":{"name":"mine","version":"1"}}' ;;
  *'"method":"tools/list"'*) touch "$1"; result='{"tools":[{"name":"ping","description":"pings","inputSchema":{"type":"object"}}]}' ;;
  *) result='{}' ;;
  esac
  test -z "$id" || printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
done
"#;

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.is_symlink() {
                dirs.push(path.clone());
                all.insert(path, Vec::new());
            } else {
                let bytes = fs::read(&path).unwrap_or_default();
                all.insert(path, bytes);
            }
        }
    }
    all
}

/// What the program has below the directory of all its sessions' outputs that names the rig.
fn temporary(rig: &Rig) -> Vec<PathBuf> {
    let name = rig.dir().display().to_string().replace(['/', '.'], "-");
    let tops = fs::read_dir("/tmp").expect("listed").flatten();
    let tops = tops.filter(|entry| entry.file_name().to_string_lossy().starts_with("claude-"));
    let inner = tops
        .filter_map(|top| fs::read_dir(top.path()).ok())
        .flatten()
        .flatten();
    inner
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains(&name))
        .collect()
}

async fn the_users_setup_counts_and_stays(rig: &Rig) {
    let ran = rig.path("ran");
    add_hook(
        rig,
        "Stop",
        &format!("cat > /dev/null; touch '{}'", ran.display()),
    );
    rig.write("home/.claude/CLAUDE.md", "Mind the gap in memory.\n");
    rig.write(
        "home/.claude/skills/mine/SKILL.md",
        "---\nname: mine\ndescription: A skill for gaps in skills.\n---\nMind it.\n",
    );
    rig.write("server", SERVER);
    let server =
        json!({"type": "stdio", "command": "sh", "args": [rig.path("server"), rig.path("listed")]});
    let state = json!({"hasCompletedOnboarding": true, "mcpServers": {"mine": server}});
    rig.write("home/.claude.json", state.to_string());
    let home = rig.path("home");
    let before = files(&home);
    // Its server of tools is started beside the turn.
    let listed = rig.path("listed");
    let waits = format!(
        "until test -e '{}'; do sleep 0.1; done; echo done > new",
        listed.display()
    );
    let steps = json!([{"shell": waits}, {"say": "Done."}]);
    let outcome = rig.delegate(rig.task(&playing(&steps))).await;
    assert_made(&outcome, 1, &["new"]);
    assert!(ran.exists(), "the user's hook has run");
    let requests = rig.model.requests();
    let last = requests.last().expect("a request");
    let text = last.body.to_string();
    assert!(text.contains("Mind the gap in memory."));
    assert!(text.contains("A skill for gaps in skills."));
    let after = files(&home);
    let changed = after.keys().chain(before.keys());
    let changed: Vec<_> = changed
        .filter(|path| after.get(*path) != before.get(*path))
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
    assert_eq!(temporary(rig), [""; 0].map(PathBuf::from));
}

/// A dialog asks for them otherwise.
async fn imports_from_outside_are_not_read(rig: &Rig) {
    let outside = rig.path("outside.md");
    rig.write("outside.md", "Mind the gap outside.\n");
    let text = format!("Mind the gap inside.\n@{}\n", outside.display());
    rig.write("repo/CLAUDE.md", &text);
    rig.commit("memory");
    rig.note_the_callers_state();
    let outcome = rig.delegate(rig.task("[[say Done.]]")).await;
    assert_made(&outcome, 1, &[]);
    let requests = rig.model.requests();
    let last = requests.last().expect("a request").body.to_string();
    assert!(last.contains("Mind the gap inside."));
    assert!(!last.contains("Mind the gap outside."));
}

/// Commits settings with a hook; returns what it makes.
fn add_settings(rig: &Rig) -> PathBuf {
    let ran = rig.path("repository-hook-ran");
    let hook = json!({"type": "command", "command": format!("touch '{}'", ran.display())});
    let settings = json!({"hooks": {"UserPromptSubmit": [{"hooks": [hook]}]}});
    rig.write("repo/.claude/settings.json", settings.to_string());
    rig.commit("settings");
    rig.note_the_callers_state();
    ran
}

async fn trust_is_asked(rig: &Rig) {
    let ran = add_settings(rig);
    let mut task = rig.task("[[say Done.]]");
    task.agent.trust = TrustPolicy::Ask;
    let outcome = rig.delegate(task).await;
    assert_eq!(outcome.status, Status::BlockedDialog, "{outcome:?}");
    let pending = outcome.pending.expect("the dialog");
    assert!(
        pending.text.contains("Accessing workspace:"),
        "{}",
        pending.text
    );
    assert!(!ran.exists(), "nothing of the repository's has run");
}

async fn hooks_of_the_repository(rig: &Rig) {
    let ran = add_settings(rig);
    let outcome = rig.delegate(rig.task("[[say Done.]]")).await;
    assert_made(&outcome, 1, &[]);
    assert!(ran.exists(), "the repository is trusted");
}

/// The operator may run in an agent: what that tells its own children is nothing to the agent of a run.
async fn a_parents_marks(rig: &Rig) {
    let marks = [
        ("CLAUDECODE", "1"),
        ("CLAUDE_CODE_CHILD_SESSION", "1"),
        ("CLAUDE_CODE_ENTRYPOINT", "parents-sdk"),
        ("CLAUDE_CODE_SESSION_ID", "parents-session"),
        ("CLAUDE_CODE_SSE_PORT", "1"),
        ("CLAUDE_CODE_TMPDIR", "/parents-tmp"),
        ("CLAUDE_CODE_SIMPLE", "parents-1"),
        ("CLAUDE_CODE_REMOTE", "parents-true"),
        ("CLAUDE_PROJECT_DIR", "/parents-project"),
        ("CLAUDE_PID", "1"),
        ("CLAUDE_ENV_FILE", "/parents-file"),
        ("CLAUDE_EFFORT", "parents-effort"),
        ("AI_AGENT", "parents-agent"),
        ("CODEX_THREAD_ID", "parents-thread"),
        ("CODEX_SANDBOX", "parents-seatbelt"),
        ("CODEX_CI", "parents-ci"),
    ];
    let steps = json!([{"shell": "env > env.txt"}, {"say": "Done."}]);
    let mut command = rig.delegation(&playing(&steps), &[]);
    command.envs(marks);
    let (outcome, _) = rig.document(&command.output().await.expect("it runs"));
    assert_made(&outcome, 1, &["env.txt"]);
    let clone = rig.apply(&outcome);
    let env = fs::read_to_string(clone.join("env.txt")).expect("the file");
    assert!(!env.contains("parents-"), "{env}");
    let state = super::transcript(&outcome);
    assert!(!state.is_empty(), "the session has a transcript");
}

/// The sign-in of an account is found where it is, and stays there.
async fn credentials_are_the_users_own(rig: &Rig) {
    let tokens = json!({"claudeAiOauth": {
        "accessToken": "no-secret", "refreshToken": "nor-this", "expiresAt": 4_102_444_800_000_u64,
        "scopes": ["user:inference", "user:profile"], "subscriptionType": "max",
    }});
    let path = rig.path("home/.claude/.credentials.json");
    fs::write(&path, tokens.to_string()).expect("the tokens");
    rig.note_the_callers_state();
    let before = files(&rig.path("home"));
    let mut task = rig.task("[[say Done. All is well.]]");
    task.environment
        .retain(|(name, _)| name != "ANTHROPIC_API_KEY");
    // It asks the service about the account, whatever the model's address is.
    let nowhere = "http://127.0.0.1:9".to_owned();
    task.environment.push(("HTTPS_PROXY".to_owned(), nowhere));
    let outcome = rig.delegate(task).await;
    assert_made(&outcome, 1, &[]);
    assert_eq!(files(&rig.path("home")), before);
    let billed = |notice: &String| notice.contains("billed by use");
    assert!(!outcome.notices.iter().any(billed), "{outcome:?}");
}
