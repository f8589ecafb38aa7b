//! Dialogs that come up at a start and in a turn.

use std::fs;

use cx_operator::agent::executor::TrustPolicy;
use cx_operator::record::journal::Progress;
use cx_operator::record::{Outcome, Status};
use cx_operator::worktree::Changes;

use crate::rig::Rig;

on_both!(not_signed_in);
on_both_terminals!(trust_is_asked, untrusted_hook);
on_scripted!(known_dialogs, sign_in_on_the_screen);

fn assert_blocked<'a>(outcome: &'a Outcome, shows: &str) -> &'a str {
    assert_eq!(
        (outcome.status, outcome.exit_code()),
        (Status::BlockedDialog, 3),
        "{outcome:?}"
    );
    assert_eq!(
        outcome.error.as_ref().map(|error| error.code.as_str()),
        Some("blocked_dialog")
    );
    let pending = outcome.pending.as_ref().expect("the screen");
    assert!(
        pending.kind == "dialog" && pending.text.contains(shows),
        "{pending:?}"
    );
    assert_eq!(outcome.changes, Changes::None);
    &pending.text
}

/// Keys that were pressed on dialogs: which, and on what.
fn keys(rig: &Rig, outcome: &Outcome) -> Vec<(String, String)> {
    rig.journal(outcome)
        .into_iter()
        .filter_map(|entry| match entry.progress {
            Progress::KeyPressed { key, on } if on != "composer" => Some((on, key)),
            _ => None,
        })
        .collect()
}

async fn trust_is_asked(rig: &Rig) {
    let mut task = rig.task("x");
    task.agent.trust = TrustPolicy::Ask;
    let outcome = rig.delegate(task).await;
    assert_blocked(&outcome, "Trust this folder?");
    assert_eq!((outcome.turns, keys(rig, &outcome)), (0, Vec::new()));
}

/// A hook of the user's that they haven't reviewed stays off; ours work.
async fn untrusted_hook(rig: &Rig) {
    let ran = rig.path("ran");
    let hooks = serde_json::json!({"hooks": {"Stop": [{"hooks": [{"type": "command", "command": format!("touch '{}'", ran.display())}]}]}});
    fs::write(rig.path("codex/hooks.json"), hooks.to_string()).expect("the user's hooks");
    let outcome = rig.delegate(rig.task("Say hello.")).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 1),
        "{outcome:?}"
    );
    assert!(!ran.exists(), "the user's hook ran");
    let keys = keys(rig, &outcome);
    assert!(
        !keys.is_empty() && keys.iter().all(|(on, _)| on == "hook_review"),
        "{keys:?}"
    );
    assert_eq!(
        fs::read_to_string(rig.path("codex/hooks.json")).expect("the user's hooks"),
        hooks.to_string()
    );
}

/// Found before anything is created.
async fn not_signed_in(rig: &Rig) {
    fs::remove_file(rig.path("codex/config.toml")).expect("the configuration");
    rig.note_the_callers_state();
    let mut delegation = rig.delegation("x", &[]);
    let output = delegation.env_remove("ANTHROPIC_API_KEY").output().await;
    let (outcome, exit) = rig.document(&output.expect("cx-operator runs"));
    assert_eq!((outcome.status, exit), (Status::Failed, 7), "{outcome:?}");
    let error = outcome.error.expect("why");
    assert_eq!(error.code, "not_signed_in");
    let says = match rig.is_claude() {
        true => ["claude auth login", "ANTHROPIC_API_KEY"],
        false => ["codex login", "--with-api-key"],
    };
    let hint = error.hint.expect("what to do");
    assert!(says.iter().all(|says| hint.contains(says)), "{hint}");
    assert_eq!(outcome.run_dir, None);
    assert_eq!(rig.operator.store().load_runs().expect("the runs").len(), 0);
}

/// Each is answered by the option that changes nothing of the user's, found by its meaning.
async fn known_dialogs(rig: &Rig) {
    let script = "show directory-trust\nexpect-keys Enter\nshow update\nexpect-keys Down Enter\nshow model-offer\nexpect-keys Down Enter\n\
        show hook-review\nexpect-keys Down Down Enter\ndefault";
    let outcome = rig.delegate(rig.scripted(script)).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 1),
        "{outcome:?}"
    );
    let chosen: Vec<_> = rig
        .log("choice")
        .iter()
        .map(|line| format!("{} {}", line["dialog"], line["option"]))
        .collect();
    assert_eq!(
        chosen,
        [
            "\"directory-trust\" 1",
            "\"update\" 2",
            "\"model-offer\" 2",
            "\"hook-review\" 3"
        ]
    );
}

async fn sign_in_on_the_screen(rig: &Rig) {
    let outcome = rig.delegate(rig.scripted("show sign-in\nhang")).await;
    assert_eq!(
        (outcome.status, outcome.exit_code()),
        (Status::Failed, 7),
        "{outcome:?}"
    );
    assert_eq!(
        outcome.error.as_ref().map(|error| error.code.as_str()),
        Some("not_signed_in")
    );
    assert_eq!((keys(rig, &outcome), rig.log("key").len()), (Vec::new(), 0));
}
