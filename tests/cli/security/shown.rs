//! Words of an agent, of a repository and of a parent, as each command shows them.

use std::fs;

use serde_json::{Value, json};

use testkit::built;
use testkit::world::Ran;

use crate::place::Place;

const RUN: &str = "20260101-000000-one-0001";
/// Title, clipboard, link, colour, screen, 8-bit CSI, direction, marks of direction, tags, line separator.
const HOSTILE: &str = "\u{1b}]0;t\u{7}\u{1b}]52;c;eA==\u{7}\u{1b}]8;;file:///x\u{1b}\\\u{1b}[31m\u{1b}[2J\u{9b}2J\u{90}x\u{202e}\u{2066}\u{200f}\u{e0041}\u{2028}x";
/// Whatever stands on a line of its own is ours.
const FORGED: &str = "x\nremoved: session forged (by the program)\nCOMPLETED  forged";

/// A key that no scanner finds in this file.
fn key() -> String {
    format!("sk-proj-{}", "aB3xY9kQ7mZ2".repeat(5))
}

fn words() -> String {
    format!("{HOSTILE} {} {FORGED}", key())
}

/// A record whose every text is the agent's.
fn record(text: &str) -> Value {
    json!({
        "schema_version": 1, "run_id": RUN, "task": "one", "executor": text, "agent_version": text,
        "status": "needs_permission", "session_id": text, "turns": 1, "base_commit": text, "result_commit": text,
        "result_ref": text, "branch": text, "changes": "both", "files_changed": 1, "insertions": 1, "deletions": 0,
        "patch": text, "run_dir": text, "repository": text, "worktree": text, "last_message": text,
        "pending": {"kind": text, "text": text, "reason": text}, "usage": null, "started_at": text, "duration_ms": 1,
        "error": {"code": text, "message": text, "hint": text},
        "commits": [{"id": "0123456789012345678901234567890123456789", "summary": text, "author": text, "time": text}],
        "files": [{"path": text, "status": "A", "insertions": 1, "deletions": 0, "binary": false}],
        "replies": [{"turn": 1, "by": text, "question": text, "reply": text}], "notices": [text]
    })
}

fn events(text: &str) -> Vec<Value> {
    let at = "2026-01-01T00:00:00.000Z";
    vec![
        json!({"at": at, "event": "permission_asked", "turn": 1, "command": text}),
        json!({"at": at, "event": "replied", "turn": 1, "by": text, "reply": text}),
        json!({"at": at, "event": "turn_ended", "turn": 1, "verdict": "result", "rule": text, "message": text}),
        json!({"at": at, "event": "turn_failed", "turn": 1, "message": text}),
        json!({"at": at, "event": "notice", "text": text}),
        json!({"at": at, "event": "launched", "session_id": text, "pane": text, "pid": 1, "pid_start": 1, "argv": [text]}),
        json!({"at": text, "event": "ignored", "why": text, "what": text}),
    ]
}

fn put(place: &Place, name: &str, text: &str) {
    let dir = place.path("state/runs").join(RUN);
    fs::create_dir_all(&dir).expect("a directory");
    fs::write(dir.join(name), text).expect("written");
}

/// A place with a run that says `text` wherever it can say anything.
fn place_that_says(text: &str) -> Place {
    let place = Place::new();
    put(&place, "run.json", &record(text).to_string());
    let lines: Vec<String> = events(text).iter().map(Value::to_string).collect();
    put(&place, "events.jsonl", &lines.join("\n"));
    place
}

#[track_caller]
fn assert_tame(ran: &Ran) {
    assert!(ran.is_harmless(), "{:?}\n{:?}", ran.stdout, ran.stderr);
    for c in HOSTILE.chars().filter(|c| !c.is_ascii()) {
        assert!(!ran.stdout.contains(c) && !ran.stderr.contains(c), "{c:?}");
    }
    assert!(!ran.stdout.contains(&key()) && !ran.stderr.contains(&key()));
}

#[test]
fn no_command_shows_what_a_terminal_obeys_or_a_key() {
    let place = place_that_says(&words());
    for arguments in [&["show", "one"][..], &["log", "one"], &["list"]] {
        let ran = place.cli(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
        assert_tame(&ran);
        let forged = |line: &str| line.starts_with("removed:") || line.starts_with("COMPLETED");
        assert!(
            !ran.stdout.lines().any(forged),
            "{arguments:?}: {}",
            ran.stdout
        );
        let document = place.cli(&[arguments, &["--json"]].concat());
        assert_eq!(document.code, 0, "{arguments:?}: {}", document.stderr);
        assert_tame(&document);
    }
    let ran = place.cli(&["diff", "one"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert_tame(&ran);
}

#[test]
fn keys_are_counted_and_the_file_keeps_them() {
    let text = format!("Set {} and {}.", key(), key());
    let place = Place::new();
    let mut quiet = record("x");
    quiet["last_message"] = json!(text);
    quiet["pending"] = Value::Null;
    put(&place, "run.json", &quiet.to_string());
    put(&place, "events.jsonl", &events(&key())[0].to_string());
    let ran = place.cli(&["show", "one"]);
    assert!(
        ran.stdout
            .contains("Set [redacted: OpenAI key] and [redacted: OpenAI key]."),
        "{}",
        ran.stdout
    );
    assert_eq!(ran.stderr, "note: 2 key-shaped strings were redacted\n");
    let ran = place.cli(&["show", "one", "--json"]);
    assert_eq!(ran.document()["redacted"], 2);
    assert_eq!(ran.stderr, "note: 2 key-shaped strings were redacted\n");
    for arguments in [&["log", "one"][..], &["log", "one", "--json"]] {
        let ran = place.cli(arguments);
        assert!(
            ran.stdout.contains("[redacted: OpenAI key]"),
            "{}",
            ran.stdout
        );
        assert_eq!(ran.stderr, "note: 1 key-shaped string was redacted\n");
    }
    let kept = fs::read_to_string(place.path("state/runs").join(RUN).join("run.json"));
    assert!(
        kept.expect("the record").contains(&key()),
        "the record is exact"
    );
}

#[test]
fn without_a_key_nothing_is_said_of_keys() {
    let place = place_that_says("plain");
    let ran = place.cli(&["show", "one", "--json"]);
    assert_eq!(
        (ran.document()["redacted"].clone(), ran.stderr.as_str()),
        (json!(0), "")
    );
}

#[test]
fn the_diff_keeps_what_looks_like_a_key() {
    let place = Place::new();
    let patch = format!("+{}\n", key());
    put(&place, "patch.diff", &patch);
    let mut with_patch = record("x");
    with_patch["patch"] = json!(place.path("state/runs").join(RUN).join("patch.diff"));
    put(&place, "run.json", &with_patch.to_string());
    let ran = place.cli(&["diff", "one"]);
    assert_eq!((ran.code, ran.stdout, ran.stderr.as_str()), (0, patch, ""));
}

#[test]
fn words_of_the_command_line_are_made_harmless_too() {
    let place = Place::new();
    for arguments in [
        &["show", HOSTILE][..],
        &[HOSTILE],
        &["delegate", "--task", "t", "--sandbox", HOSTILE],
        &["delegate", "--task", HOSTILE, "--prompt", "p"],
        &["delegate", "--task", "t", "--prompt-file", HOSTILE],
        &[
            "delegate",
            "--task",
            "t",
            "--prompt",
            "p",
            "--answers",
            HOSTILE,
        ],
        &[
            "delegate", "--task", "t", "--prompt", "p", "--repo", HOSTILE,
        ],
        &["attach", HOSTILE],
        &["cleanup", "--kept", HOSTILE],
        &["doctor", "--repo", HOSTILE, "--codex", HOSTILE],
        &["list", "--state-dir", HOSTILE],
    ] {
        let ran = place.cli(arguments);
        assert_ne!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments:?}");
        assert_tame(&ran);
    }
    place.assert_untouched("refs/heads/main");
}

#[test]
fn names_of_a_repository_are_one_harmless_line() {
    let place = Place::new();
    // git lets a branch have these, and the file system everything.
    place.git(&["branch", "cx-\u{202e}x\u{9b}2J"]);
    let held = place.path(
        &format!("worktrees/{FORGED}\u{1b}[2J")
            .replace("/cx", "/")
            .replace("forged (by", "forged -by"),
    );
    let held = held.to_str().expect("UTF-8");
    fs::create_dir_all(place.worktrees()).expect("a directory");
    place.git(&["worktree", "add", "-q", "-b", "cx-held", held]);
    for arguments in [
        &["cleanup", "--dry-run"][..],
        &["cleanup", "--json"],
        &["cleanup"],
    ] {
        let mut command = place.command(built::operator());
        let ran = Ran::of(command.args(arguments).arg("--repo").arg(place.repo()), b"");
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stdout.contains("cx-held"), "{}", ran.stdout);
        assert_tame(&ran);
        assert!(
            !ran.stdout.lines().any(|line| line.starts_with("removed:")),
            "{}",
            ran.stdout
        );
    }
    assert!(
        place
            .git(&["branch", "--format=%(refname)"])
            .contains("cx-held")
    );
}

/// The log on stderr repeats the agent's words where all is said.
#[test]
fn the_log_is_harmless_and_has_no_keys() {
    let place = Place::new();
    let brief = format!("[[say Done. {HOSTILE} {}]]", key());
    let mut command = place.delegate("t");
    command
        .args(["-vv", "--no-preamble"])
        .env("SHELL", "/bin/sh");
    let ran = Ran::of(&mut command, brief.as_bytes());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("turn_ended") && ran.stdout.contains("COMPLETED"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stdout.contains("[redacted: OpenAI key]"),
        "{}",
        ran.stdout
    );
    assert_tame(&ran);
}
