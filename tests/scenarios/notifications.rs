//! Commands of the user's configuration that tell others of a run, and what a profile gives to one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use cx_operator::record::journal::Progress;
use cx_operator::record::{Outcome, Status};
use serde_json::Value;
use testkit::schemas;
use tokio::process::Command;

use crate::rig::{Rig, wait_for};

on_both!(
    told_of_both,
    told_of_a_detached_run,
    told_once_after_a_crash
);
on_scripted!(
    failing_commands_are_notices,
    what_a_command_leaves_in_the_background_is_waited_for,
    a_profile_is_in_the_journal,
    a_cost_ends_the_run
);

/// A configuration file with these settings among its defaults, and the variable that leads to it.
fn configure(rig: &Rig, text: &str) -> PathBuf {
    let home = rig.path("xdg");
    let directory = home.join("cx-operator");
    fs::create_dir_all(&directory).expect("made");
    fs::write(directory.join("config.toml"), text).expect("written");
    for path in [&home, &directory, &directory.join("config.toml")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("set");
    }
    rig.note_the_callers_state();
    home
}

/// Commands that append what they are told to files.
fn listening(rig: &Rig) -> PathBuf {
    let tell = |name: &str| {
        let file = rig.path(name).display().to_string();
        format!(
            "on_{name} = [\"sh\", \"-c\", \"cat >> {file}; echo >> {file}; env > {file}.env\"]\n"
        )
    };
    configure(
        rig,
        &format!("[defaults]\n{}{}", tell("waiting"), tell("finished")),
    )
}

fn with(home: &PathBuf, mut command: Command) -> Command {
    command.env("XDG_CONFIG_HOME", home);
    command
}

/// What the command of that name was told.
fn told(rig: &Rig, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(rig.path(name)).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.is_empty());
    let documents: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).expect("a document"))
        .collect();
    for document in &documents {
        schemas::check_document("notification", document);
        assert_eq!(document["event"], name);
    }
    documents
}

async fn until_told(rig: &Rig, name: &str) -> Value {
    wait_for(name, || told(rig, name).first().cloned()).await
}

fn assert_told_of_the_end(rig: &Rig, status: &str) {
    let finished = told(rig, "finished");
    assert_eq!(finished.len(), 1, "{finished:?}");
    assert_eq!(finished[0]["record"]["status"], status);
    assert!(finished[0]["record"]["run_dir"].is_string());
    let environment = fs::read_to_string(rig.path("finished.env")).expect("an environment");
    assert!(!environment.contains("_API_KEY="), "{environment}");
}

async fn told_of_both(rig: &Rig) {
    let home = listening(rig);
    let run = with(
        &home,
        rig.delegation("[[question]]", &["--wait-for-reply", "60s"]),
    )
    .spawn();
    let run = run.expect("it starts");
    let waiting = until_told(rig, "waiting").await;
    assert_eq!(waiting["question"]["kind"], "question");
    let reply = [
        "reply",
        "t",
        "--text",
        "[[say Done. All is well.\n\nSTATUS: DONE]]",
    ];
    assert!(
        rig.binary(&reply)
            .output()
            .await
            .expect("it runs")
            .status
            .success()
    );
    let output = run.wait_with_output().await.expect("it ends");
    let (outcome, exit) = rig.document(&output);
    assert_eq!(exit, 0, "{outcome:?}");
    assert_told_of_the_end(rig, "completed");
    assert_eq!(told(rig, "waiting").len(), 1);
}

async fn told_of_a_detached_run(rig: &Rig) {
    let home = listening(rig);
    let detached = with(&home, rig.delegation("[[question]]", &["--detach"]))
        .output()
        .await;
    assert!(detached.expect("it runs").status.success());
    until_told(rig, "waiting").await;
    assert!(
        rig.binary(&["abort", "t"])
            .output()
            .await
            .expect("it runs")
            .status
            .success()
    );
    let shown = rig
        .binary(&["wait", "t", "--json"])
        .output()
        .await
        .expect("it runs");
    assert_eq!(shown.status.code(), Some(9));
    assert_told_of_the_end(rig, "aborted");
    let shown = rig
        .binary(&["show", "t", "--json"])
        .output()
        .await
        .expect("it runs");
    rig.document(&shown);
}

/// The question was told by the operator that died; the end by the one that took the run over, whatever the file says by then.
async fn told_once_after_a_crash(rig: &Rig) {
    let home = listening(rig);
    let run = with(
        &home,
        rig.delegation("[[question]]", &["--wait-for-reply", "60s"]),
    )
    .spawn();
    let mut run = run.expect("it starts");
    until_told(rig, "waiting").await;
    run.start_kill().expect("killed");
    run.wait().await.expect("it ended");
    fs::write(home.join("cx-operator/config.toml"), "broken").expect("written");
    let reply = ["reply", "t", "--leave"];
    assert!(
        rig.binary(&reply)
            .output()
            .await
            .expect("it runs")
            .status
            .success()
    );
    let resumed = with(&home, rig.binary(&["resume", "t", "--json"]))
        .output()
        .await;
    let (outcome, exit) = rig.document(&resumed.expect("it runs"));
    assert_eq!(
        (outcome.status, exit),
        (Status::NeedsInput, 3),
        "{outcome:?}"
    );
    assert_told_of_the_end(rig, "needs_input");
    assert_eq!(told(rig, "waiting").len(), 1);
    let again = rig
        .binary(&["recover", "--json"])
        .output()
        .await
        .expect("it runs");
    assert!(again.status.success());
    assert_eq!(told(rig, "finished").len(), 1);
}

async fn delegated(rig: &Rig, home: &PathBuf, flags: &[&str]) -> (Outcome, i32) {
    let brief = "[[say Done. All is well.\n\nSTATUS: DONE]]";
    let output = with(home, rig.delegation(brief, flags)).output().await;
    rig.document(&output.expect("it runs"))
}

async fn failing_commands_are_notices(rig: &Rig) {
    for (command, word) in [
        ("[\"/nonexistent\"]", "on_finished could not be run"),
        (
            "[\"sh\", \"-c\", \"echo why >&2; exit 3\"]",
            "on_finished failed (exit status: 3)",
        ),
        (
            "[\"sh\", \"-c\", \"sleep 600 & sleep 600\"]",
            "on_finished took longer than",
        ),
        (
            "[\"sh\", \"-c\", \"sleep 600 &\"]",
            "on_finished took longer than",
        ),
    ] {
        let settings = format!("[defaults]\non_finished = {command}\nnotify_timeout = \"1s\"\n");
        let home = configure(rig, &settings);
        let (outcome, exit) = delegated(rig, &home, &[]).await;
        assert_eq!(exit, 0, "{outcome:?}");
        let is_told = outcome.notices.iter().any(|notice| notice.contains(word));
        assert!(is_told, "{word}: {:?}", outcome.notices);
        let record = rig
            .operator
            .store()
            .find("t")
            .expect("the run")
            .load_record();
        assert_eq!(
            record.expect("readable").expect("a record").notices,
            outcome.notices
        );
    }
}

async fn what_a_command_leaves_in_the_background_is_waited_for(rig: &Rig) {
    let file = rig.path("told");
    let shown = file.display();
    let command = format!("[\"sh\", \"-c\", \"(sleep 1; echo told > {shown}) &\"]");
    let home = configure(rig, &format!("[defaults]\non_finished = {command}\n"));
    let (outcome, exit) = delegated(rig, &home, &[]).await;
    assert_eq!(exit, 0, "{outcome:?}");
    let is_told = |notice: &String| notice.contains("on_finished");
    assert!(!outcome.notices.iter().any(is_told), "{outcome:?}");
    assert_eq!(fs::read_to_string(file).expect("it was told"), "told\n");
}

async fn a_profile_is_in_the_journal(rig: &Rig) {
    let text = "[defaults]\nmax_turns = 3\n[profiles.quick]\nturn_timeout = \"45s\"\nsandbox = \"read-only\"\n";
    let home = configure(rig, text);
    let flags = ["--profile", "quick", "--sandbox", "workspace-write"];
    let (outcome, _) = delegated(rig, &home, &flags).await;
    let journal = rig.journal(&outcome);
    let configured = journal.iter().find_map(|entry| match &entry.progress {
        Progress::Configured(configuration) => Some(configuration),
        _ => None,
    });
    let configured = configured.expect("what the file gave");
    assert_eq!(configured.profile.as_deref(), Some("quick"));
    let values: Vec<(&str, &str)> = configured
        .values
        .iter()
        .map(|(key, value)| (&**key, &**value))
        .collect();
    assert_eq!(values, [("max_turns", "3"), ("turn_timeout", "45s")]);
    let order = rig
        .operator
        .store()
        .find("t")
        .expect("the run")
        .load_order();
    let limits = order.expect("readable").expect("an order").limits;
    assert_eq!((limits.turns, limits.turn.as_secs()), (3, 45));
}

async fn a_cost_ends_the_run(rig: &Rig) {
    let text = "[defaults]\nmodel = \"gpt-x\"\nmax_cost = 0.000001\n[prices.\"gpt-x\"]\ninput = 1\noutput = 10\n";
    let home = configure(rig, text);
    let output = with(&home, rig.delegation("[[status]]", &[]))
        .output()
        .await;
    let (outcome, exit) = rig.document(&output.expect("it runs"));
    assert_eq!(
        (outcome.status, exit),
        (Status::OverBudget, 4),
        "{outcome:?}"
    );
    let error = outcome.error.as_ref().expect("why");
    assert!(
        error.message.contains("USD are used, of 0.000001"),
        "{error:?}"
    );
    let budget = outcome.budget.expect("the budget");
    assert!(budget.cost_usd > budget.max_cost_usd, "{budget:?}");
}
