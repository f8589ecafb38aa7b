//! What only Claude Code does, on the real program.

mod background;
mod beside;
mod failures;
mod forms;
mod modes;
mod people;
mod prompts;
mod sandbox;
mod traces;

use std::fs;

use cx_operator::record::{Outcome, Status};
use serde_json::{Value, json};

use crate::rig::Rig;

/// A brief that is a script.
fn playing(steps: &Value) -> String {
    format!("<<<steps {steps}>>>")
}

/// The lines of the session's transcript.
fn transcript(outcome: &Outcome) -> Vec<Value> {
    let dir = outcome.run_dir.as_ref().expect("the run's directory");
    let text = fs::read_to_string(dir.join("transcript.jsonl")).expect("the transcript");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect()
}

/// The run completed after so many turns, with just these files.
fn assert_made(outcome: &Outcome, turns: u32, files: &[&str]) {
    let made: Vec<&str> = outcome.files.iter().map(|file| &*file.path).collect();
    assert_eq!(
        (outcome.status, outcome.turns, made.as_slice()),
        (Status::Completed, turns, files),
        "{outcome:?}"
    );
}

/// Changes the user's settings.
fn set_up(rig: &Rig, change: impl FnOnce(&mut Value)) {
    let path = rig.path("home/.claude/settings.json");
    let text = fs::read_to_string(&path).expect("the settings");
    let mut settings = serde_json::from_str(&text).expect("JSON");
    change(&mut settings);
    fs::write(&path, settings.to_string()).expect("the settings");
}

/// Adds a hook of the user's: a shell script.
fn add_hook(rig: &Rig, event: &str, script: &str) {
    let path = rig.path(&format!("hook-{event}"));
    fs::write(&path, script).expect("the hook");
    let hook = json!({"type": "command", "command": format!("sh {}", path.display())});
    set_up(rig, |settings| {
        settings["hooks"][event] = json!([{"hooks": [hook]}]);
    });
}

/// Has nothing of the user's decide about commands.
fn without_decisions(rig: &Rig) {
    set_up(rig, |settings| *settings = json!({}));
}
