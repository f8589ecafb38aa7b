//! Turns that fail, and agents that are stopped from outside.

use std::fs;
use std::time::{Duration, SystemTime};

use cx_operator::Run;
use cx_operator::journal::Progress;
use cx_operator::run::{Outcome, RunId, Status};
use cx_operator::worktree::Changes;
use rustix::process::Signal;
use serde_json::Value;

use crate::rig::Rig;

on_every_version!(http_429, killed_in_a_turn);
on_both!(interrupted_by_a_person, session_killed_by_a_person);

/// The record has the status, and the operator knew within a second of codex's own line about it.
async fn http_429(rig: &Rig) {
    let outcome = rig.delegate(rig.task("[[http 429]]")).await;
    assert_eq!(
        (outcome.status, outcome.exit_code(), outcome.turns),
        (Status::AgentFailed, 5, 1),
        "{outcome:?}"
    );
    let error = outcome.error.as_ref().expect("why");
    assert_eq!(error.code, "http_429", "{error:?}");
    assert!(
        error.hint.is_some() && !error.message.is_empty(),
        "{error:?}"
    );
    let told = written_at(&outcome);
    let known = rig
        .journal(&outcome)
        .into_iter()
        .find(|entry| matches!(entry.progress, Progress::TurnFailed { .. }));
    let known = humantime::parse_rfc3339(&known.expect("the failure").at).expect("a time");
    let late = known.duration_since(told).unwrap_or_default();
    assert!(
        late < Duration::from_secs(1),
        "known {late:?} after codex wrote it"
    );
}

/// When the transcript's line about the end of the turn was written.
fn written_at(outcome: &Outcome) -> SystemTime {
    let dir = outcome.run_dir.as_ref().expect("a record");
    let text = fs::read_to_string(dir.join("transcript.jsonl")).expect("the transcript");
    let mut lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a JSON line"));
    let end = lines.rfind(|line| line["payload"]["type"] == "task_complete");
    let end = end.expect("the end of the turn");
    humantime::parse_rfc3339(end["timestamp"].as_str().expect("a time")).expect("a time")
}

/// Starts a long turn, and leaves a file as the agent would.
async fn in_a_turn(rig: &Rig) -> (Run, RunId) {
    let run = rig.start(rig.task("[[sleep 60]]")).await;
    let dir = rig.operator.store().find("t").expect("the run");
    fs::write(rig.worktree().join("half"), "done\n").expect("half of the work");
    let id = serde_json::from_value(dir.name().into()).expect("an id");
    (run, id)
}

fn assert_half_is_kept(rig: &Rig, outcome: &Outcome) {
    assert_eq!(
        (outcome.turns, outcome.changes),
        (1, Changes::Uncommitted),
        "{outcome:?}"
    );
    let clone = rig.apply(outcome);
    assert_eq!(
        fs::read_to_string(clone.join("half")).expect("the file"),
        "done\n"
    );
}

async fn killed_in_a_turn(rig: &Rig) {
    let (run, id) = in_a_turn(rig).await;
    rig.signal(rig.agent_pid(&id).await, Signal::KILL);
    let outcome = rig.outcome(run).await;
    assert_eq!(
        (outcome.status, outcome.exit_code()),
        (Status::AgentDied, 5),
        "{outcome:?}"
    );
    let error = outcome.error.as_ref().expect("why");
    assert!(
        error.code == "agent_died" && error.message.contains("by signal 9"),
        "{error:?}"
    );
    assert_half_is_kept(rig, &outcome);
}

async fn interrupted_by_a_person(rig: &Rig) {
    let (run, _) = in_a_turn(rig).await;
    rig.wait_for_screen("esc to interrupt").await;
    rig.tmux(&["send-keys", "-t", "=cx-t:", "Escape"]);
    let outcome = rig.outcome(run).await;
    assert_eq!(
        (outcome.status, outcome.exit_code()),
        (Status::Aborted, 9),
        "{outcome:?}"
    );
    assert_eq!(
        outcome.error.as_ref().map(|error| error.code.as_str()),
        Some("interrupted")
    );
    assert_half_is_kept(rig, &outcome);
}

async fn session_killed_by_a_person(rig: &Rig) {
    let (run, _) = in_a_turn(rig).await;
    rig.tmux(&["kill-session", "-t", "=cx-t"]);
    let outcome = rig.outcome(run).await;
    assert_eq!(
        (outcome.status, outcome.exit_code()),
        (Status::AgentDied, 5),
        "{outcome:?}"
    );
    assert_half_is_kept(rig, &outcome);
}
