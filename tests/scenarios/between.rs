//! What happens between two steps of a prompt: the look at the composer, the paste, the key that submits.

mod gate;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cx_operator::record::journal::Progress;
use cx_operator::record::{Outcome, Status};
use rustix::process::Signal;
use serde_json::json;
use tokio::process::Child;

use crate::rig::{Agent, Rig, wait_for};
use gate::{Gate, Step};

on_every_terminal!(
    the_agent_dies_before_the_paste,
    the_agent_dies_before_the_key,
);
on_both_terminals!(
    the_agent_dies_before_a_reply,
    the_agent_dies_before_it_is_told_to_leave,
    the_operator_dies_and_its_key_is_pressed,
    the_operator_dies_and_its_key_comes_too_late,
    the_operator_and_its_key_are_gone,
);
on_every_real_terminal!(
    rate_limits_are_not_shown,
    rate_limits_appear_before_a_reply,
    rate_limits_appear_after_a_turn,
    somebody_closes_a_dialog_before_its_key,
    a_list_opened_before_a_reply_is_closed_again,
    a_list_opened_before_a_reply_stays,
);

const REPLY: &str = "Spaces, and nothing else.";
const QUESTION: &str = "I see two options. Should I use tabs or spaces?";

fn program(rig: &Rig) -> PathBuf {
    rig.agent.program().expect("the rig has it")
}

/// Starts an operator that passes the gate and answers every question.
fn delegate(rig: &Rig, gate: &Gate, brief: &str) -> Child {
    delegate_to(&program(rig), rig, gate, brief)
}

fn delegate_to(program: &Path, rig: &Rig, gate: &Gate, brief: &str) -> Child {
    let answers = rig.path("answers.toml");
    let text = format!("[[answer]]\npattern = \".\"\nreply = \"{REPLY}\"\n");
    fs::write(&answers, text).expect("the answers");
    let mut command = rig.binary(&["delegate", "--task", "t", "--prompt", brief, "--json"]);
    command.arg("--answers").arg(answers);
    command.arg("--codex").arg(program);
    command.arg("--worktree-root").arg(rig.worktrees());
    command.env("PATH", gate.search_path());
    command.spawn().expect("cx-operator starts")
}

async fn outcome(rig: &Rig, child: Child) -> Outcome {
    let output = child.wait_with_output().await.expect("it ends");
    rig.document(&output).0
}

fn assert_ended(outcome: &Outcome, status: Status, code: Option<&str>, turns: u32) {
    let error = outcome.error.as_ref().map(|error| error.code.as_str());
    assert_eq!(
        (outcome.status, error, outcome.turns),
        (status, code, turns),
        "{outcome:#?}"
    );
}

/// The keys that were pressed, and on what.
fn keys(rig: &Rig, outcome: &Outcome) -> Vec<(String, String)> {
    let entries = rig.journal(outcome).into_iter();
    let pressed = entries.filter_map(|entry| match entry.progress {
        Progress::KeyPressed { key, on } => Some((on, key)),
        _ => None,
    });
    pressed.collect()
}

/// Another session on the runs' server, which must outlive everything that becomes of the run.
fn start_another_session(rig: &Rig) {
    rig.tmux(&["new-session", "-d", "-s", "other", "exec sleep 300"]);
}

fn assert_the_other_session_lives(rig: &Rig) {
    let shown = rig.tmux(&["list-panes", "-t", "=other:", "-F", "#{pane_dead}"]);
    assert_eq!(shown.trim(), "0", "the tmux server died");
    rig.tmux(&["kill-server"]);
    fs::remove_file(rig.socket()).expect("the server's socket");
}

/// Kills the agent while the operator stands before a step; its pane is dead when the step is done.
async fn kill_agent_before(rig: &Rig, gate: &Gate, step: Step) {
    gate.reached(step).await;
    start_another_session(rig);
    let run = rig.operator.store().find("t").expect("the run");
    let run = serde_json::from_value(run.name().into()).expect("an id");
    rig.signal(rig.agent_pid(&run).await, Signal::KILL);
    wait_for("the dead pane", || {
        let dead = rig.tmux(&["display-message", "-p", "-t", "=cx-t:", "#{pane_dead}"]);
        (dead.trim() == "1").then_some(())
    })
    .await;
    gate.open(step);
}

async fn dies(rig: &Rig, step: Step) {
    let gate = Gate::new(rig);
    gate.close(step);
    let child = delegate(rig, &gate, "x");
    kill_agent_before(rig, &gate, step).await;
    assert_ended(
        &outcome(rig, child).await,
        Status::AgentDied,
        Some("agent_died"),
        0,
    );
    assert_the_other_session_lives(rig);
}

async fn the_agent_dies_before_the_paste(rig: &Rig) {
    dies(rig, Step::Paste).await;
}

async fn the_agent_dies_before_the_key(rig: &Rig) {
    dies(rig, Step::Send).await;
}

/// Closes the gate when the first turn runs.
async fn close_in_the_first_turn(rig: &Rig, gate: &Gate, step: Step) {
    rig.wait_for_event("the prompt's proof", |progress| {
        matches!(progress, Progress::Submitted { .. })
    })
    .await;
    gate.close(step);
    fs::write(rig.path("go"), "").expect("the word");
}

/// A brief whose first turn ends with the question when there is the word.
fn asking(rig: &Rig) -> String {
    format!("[[await {}]][[question]]", rig.path("go").display())
}

async fn the_agent_dies_before_a_reply(rig: &Rig) {
    let gate = Gate::new(rig);
    let child = delegate(rig, &gate, &asking(rig));
    close_in_the_first_turn(rig, &gate, Step::Paste).await;
    kill_agent_before(rig, &gate, Step::Paste).await;
    assert_ended(
        &outcome(rig, child).await,
        Status::AgentDied,
        Some("agent_died"),
        1,
    );
    assert_the_other_session_lives(rig);
}

/// `/exit` is pasted, too.
async fn the_agent_dies_before_it_is_told_to_leave(rig: &Rig) {
    let gate = Gate::new(rig);
    let child = delegate(
        rig,
        &gate,
        &format!("[[await {}]]", rig.path("go").display()),
    );
    close_in_the_first_turn(rig, &gate, Step::Paste).await;
    kill_agent_before(rig, &gate, Step::Paste).await;
    assert_ended(&outcome(rig, child).await, Status::Completed, None, 1);
    assert_the_other_session_lives(rig);
}

/// Kills an operator that has pasted its prompt and is about to press the key; the pid of its tmux client, which goes on.
async fn kill_operator(rig: &Rig, gate: &Gate) -> u32 {
    gate.close(Step::Send);
    let mut child = delegate(rig, gate, "[[say Done. All of it.]]");
    let client = gate.reached(Step::Send).await;
    child.start_kill().expect("it runs");
    child.wait().await.expect("it ended");
    client
}

/// Has the run brought to its end; the prompt was submitted once.
async fn assert_resumed(rig: &Rig, resumed: Child) {
    let outcome = outcome(rig, resumed).await;
    assert_ended(&outcome, Status::Completed, None, 1);
    let signals = outcome
        .run_dir
        .as_ref()
        .expect("the run's directory")
        .join("signals");
    let names = fs::read_dir(signals)
        .expect("the signals")
        .map(|entry| entry.expect("an entry").file_name());
    let prompts = names
        .filter(|name| name.to_string_lossy().starts_with("prompt-"))
        .count();
    assert_eq!(prompts, 1, "it was submitted more than once");
    if rig.agent != Agent::Scripted {
        let prompt = rig.submitted_prompt(&outcome, 1);
        let asked = rig
            .model
            .requests()
            .into_iter()
            .filter(|request| request.text == prompt);
        assert_eq!(asked.count(), 1);
    }
}

fn resume(rig: &Rig) -> Child {
    rig.binary(&["resume", "t", "--json"])
        .spawn()
        .expect("cx-operator starts")
}

async fn the_operator_dies_and_its_key_is_pressed(rig: &Rig) {
    let gate = Gate::new(rig);
    kill_operator(rig, &gate).await;
    gate.open(Step::Send);
    assert_resumed(rig, resume(rig)).await;
}

/// tmux gets it when another operator has taken the run over, and has pressed its own.
async fn the_operator_dies_and_its_key_comes_too_late(rig: &Rig) {
    let gate = Gate::new(rig);
    kill_operator(rig, &gate).await;
    let resumed = resume(rig);
    rig.wait_for_event("the prompt's proof", |progress| {
        matches!(progress, Progress::Submitted { .. })
    })
    .await;
    gate.open(Step::Send);
    assert_resumed(rig, resumed).await;
}

async fn the_operator_and_its_key_are_gone(rig: &Rig) {
    let gate = Gate::new(rig);
    let client = kill_operator(rig, &gate).await;
    rig.signal(client, Signal::KILL);
    assert_resumed(rig, resume(rig)).await;
}

/// The title of the dialog that offers another model after a turn, to whom has used 90 % of a limit.
const RATE_LIMITS: &str = "Approaching rate limits";

/// A codex that shows that dialog although we turn it off.
fn talkative_codex(rig: &Rig) -> PathBuf {
    let wrapper = rig.path("wrapper");
    let script = format!(
        "#!/bin/bash\nexec '{}' \"${{@/hide_rate_limit_model_nudge=true/hide_rate_limit_model_nudge=false}}\"\n",
        program(rig).display()
    );
    fs::write(&wrapper, script).expect("a script");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("a mode");
    wrapper
}

/// The brief of somebody who has used so much, and whose first turn ends with the question when there is the word.
fn near_the_limit(rig: &Rig) -> String {
    let headers =
        json!({"x-codex-primary-used-percent": "93", "x-codex-primary-window-minutes": "300"});
    let steps = json!([
        {"await": rig.path("go"), "headers": headers, "say": QUESTION},
        {"say": "Done. All of it."}
    ]);
    format!("<<<steps {steps}>>>")
}

/// The keys that lead to "Keep current model".
const KEPT: [(&str, &str); 2] = [("rate_limits", "Down"), ("rate_limits", "Enter")];

fn owned((on, key): (&str, &str)) -> (String, String) {
    (on.to_owned(), key.to_owned())
}

/// The reply arrived, the dialog was left by "Keep current model", and that is the model.
fn assert_replied(rig: &Rig, outcome: &Outcome, dialogs: &[(&str, &str)]) {
    assert_ended(outcome, Status::Completed, None, 2);
    assert_eq!(rig.submitted_prompt(outcome, 2), REPLY);
    let keys = keys(rig, outcome);
    let on_dialogs = keys.iter().filter(|(on, _)| on != "composer");
    let on_dialogs: Vec<_> = on_dialogs.map(|(on, key)| (&**on, &**key)).collect();
    assert_eq!(on_dialogs, dialogs, "{keys:?}");
    let requests = rig.model.requests();
    let asked = requests
        .iter()
        .filter(|request| request.path.ends_with("/responses"));
    let models: Vec<_> = asked
        .map(|request| request.body["model"].as_str())
        .collect();
    let same = models.iter().all(|model| *model == Some("gpt-5.5"));
    assert!(same && models.len() >= 2, "{models:?}");
}

/// With the settings that a run is started with.
async fn rate_limits_are_not_shown(rig: &Rig) {
    let gate = Gate::new(rig);
    fs::write(rig.path("go"), "").expect("the word");
    let child = delegate(rig, &gate, &near_the_limit(rig));
    let outcome = outcome(rig, child).await;
    assert_replied(rig, &outcome, &[]);
    let log = outcome
        .run_dir
        .as_ref()
        .expect("the run's directory")
        .join("pane.log");
    let drawn = fs::read(log).expect("all that was drawn");
    assert!(!String::from_utf8_lossy(&drawn).contains("Keep current model"));
}

/// The look still showed the composer: the paste finds the dialog.
async fn rate_limits_appear_before_a_reply(rig: &Rig) {
    let gate = Gate::new(rig);
    gate.close(Step::Paste);
    let child = delegate_to(&talkative_codex(rig), rig, &gate, &near_the_limit(rig));
    gate.reached(Step::Paste).await;
    let composer = rig.tmux(&["capture-pane", "-p", "-e", "-t", "=cx-t:"]);
    gate.open(Step::Paste);
    gate.show_earlier(&composer, RATE_LIMITS);
    close_in_the_first_turn(rig, &gate, Step::Paste).await;
    gate.reached(Step::Paste).await;
    rig.wait_for_screen(RATE_LIMITS).await;
    gate.show_all();
    gate.open(Step::Paste);
    let outcome = outcome(rig, child).await;
    assert_replied(rig, &outcome, &KEPT);
}

/// As it comes: codex 0.169.0 shows it before the reply or after, when the next turn has begun.
async fn rate_limits_appear_after_a_turn(rig: &Rig) {
    let gate = Gate::new(rig);
    fs::write(rig.path("go"), "").expect("the word");
    let child = delegate_to(&talkative_codex(rig), rig, &gate, &near_the_limit(rig));
    let outcome = outcome(rig, child).await;
    let on_dialog = KEPT
        .iter()
        .filter(|key| keys(rig, &outcome).contains(&owned(**key)));
    let on_dialog: Vec<_> = on_dialog.copied().collect();
    assert_replied(rig, &outcome, &on_dialog);
}

/// … and writes something, which the dialog's Enter would submit.
async fn somebody_closes_a_dialog_before_its_key(rig: &Rig) {
    let gate = Gate::new(rig);
    let child = delegate_to(&talkative_codex(rig), rig, &gate, &near_the_limit(rig));
    close_in_the_first_turn(rig, &gate, Step::Confirm).await;
    gate.reached(Step::Confirm).await;
    rig.tmux(&["send-keys", "-t", "=cx-t:", "Escape"]);
    wait_for("the composer", || {
        (!rig.screen().contains(RATE_LIMITS)).then_some(())
    })
    .await;
    rig.tmux(&["send-keys", "-t", "=cx-t:", "-l", "mine alone"]);
    rig.wait_for_screen("mine alone").await;
    gate.open(Step::Confirm);
    let outcome = outcome(rig, child).await;
    assert_ended(&outcome, Status::BlockedDialog, Some("composer_in_use"), 1);
    let pending = outcome.pending.as_ref().expect("the screen");
    assert!(pending.text.contains("mine alone"), "{pending:?}");
    let requests = rig.model.requests();
    let theirs = requests
        .iter()
        .filter(|request| request.text.contains("mine alone"));
    assert_eq!(theirs.count(), 0, "theirs was submitted");
}

/// Has somebody open a list of the program's when the reply is about to be pasted.
async fn open_list_before_a_reply(rig: &Rig, gate: &Gate) -> Child {
    let child = delegate(rig, gate, &asking(rig));
    close_in_the_first_turn(rig, gate, Step::Paste).await;
    gate.reached(Step::Paste).await;
    rig.tmux(&["send-keys", "-t", "=cx-t:", "-l", "/model"]);
    rig.wait_for_screen("/model").await;
    // An Enter that follows closely is a newline of a paste.
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.tmux(&["send-keys", "-t", "=cx-t:", "Enter"]);
    rig.wait_for_screen(LIST).await;
    gate.open(Step::Paste);
    child
}

/// The title of what `/model` opens.
const LIST: &str = "Select Model";

async fn a_list_opened_before_a_reply_is_closed_again(rig: &Rig) {
    let gate = Gate::new(rig);
    let child = open_list_before_a_reply(rig, &gate).await;
    rig.wait_for_event("the reply's paste", |progress| {
        matches!(progress, Progress::Pasted { turn: 2, .. })
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.tmux(&["send-keys", "-t", "=cx-t:", "Escape"]);
    let outcome = outcome(rig, child).await;
    assert_replied(rig, &outcome, &[]);
}

async fn a_list_opened_before_a_reply_stays(rig: &Rig) {
    let gate = Gate::new(rig);
    let child = open_list_before_a_reply(rig, &gate).await;
    let outcome = outcome(rig, child).await;
    assert_ended(&outcome, Status::BlockedDialog, Some("blocked_dialog"), 1);
    let pending = outcome.pending.as_ref().expect("the dialog");
    assert!(pending.text.contains(LIST), "{pending:?}");
    assert_eq!(keys(rig, &outcome), [owned(("composer", "S-F12"))]);
}
