//! A turn that fails is known to have failed at once.

use std::fs;
use std::time::{Duration, SystemTime};

use cx_operator::record::journal::Progress;
use cx_operator::record::{Outcome, Status};
use serde_json::Value;
use testkit::wait::on_this_machine;

use crate::rig::Rig;

on_every_version!(http_429);

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
        late < on_this_machine(Duration::from_secs(1)),
        "known {late:?} after the agent wrote it"
    );
}

/// When the transcript's line about the end of the turn was written.
fn written_at(outcome: &Outcome) -> SystemTime {
    let dir = outcome.run_dir.as_ref().expect("a record");
    let text = fs::read_to_string(dir.join("transcript.jsonl")).expect("the transcript");
    let mut lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a JSON line"));
    let end = lines.rfind(|line| {
        line["payload"]["type"] == "task_complete" || line["isApiErrorMessage"] == true
    });
    let end = end.expect("the end of the turn");
    humantime::parse_rfc3339(end["timestamp"].as_str().expect("a time")).expect("a time")
}
