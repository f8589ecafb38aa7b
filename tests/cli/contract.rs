//! The contract of `--json`: the committed schemas, the documents of errors, and the names of what a version can do.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use testkit::built::{self, checkout};
use testkit::schemas;
use testkit::world::Ran;

use crate::place::Place;

#[test]
fn the_committed_schemas_are_those_of_the_program() {
    let place = Place::new();
    let update = std::env::var_os("INSTA_UPDATE").is_some_and(|how| how == "always");
    let listed = place.cli(&["schema"]).stdout;
    let names: BTreeSet<&str> = listed.lines().collect();
    assert!(names.len() > 15 && names.contains("run"), "{listed}");
    for name in &names {
        let ran = place.cli(&["schema", name]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{name}");
        let file = checkout().join("schema").join(format!("{name}.json"));
        if update {
            fs::write(&file, &ran.stdout).expect("written");
        }
        let committed = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            committed == ran.stdout,
            "`cx-operator schema {name}` prints another one than {file:?}; INSTA_UPDATE=always writes it"
        );
        let schema: Value = serde_json::from_str(&committed).expect("JSON");
        assert_eq!(schema["title"], *name);
        jsonschema::meta::validate(&schema).expect("a JSON Schema");
    }
    let files = fs::read_dir(checkout().join("schema")).expect("the schemas");
    for file in files {
        let file = file.expect("a file").path();
        let name = file.file_stem().expect("a name").to_string_lossy();
        assert!(names.contains(&*name), "{file:?} is the schema of nothing");
    }
}

#[test]
fn a_document_that_does_not_fit_is_found() {
    let good = json!({"schema_version": 1, "verdict": "result", "rule": "r"});
    schemas::check_document("classify", &good);
    let mut asked = json!({
        "schema_version": 1, "seq": 1, "run_id": "r", "at": "2026-01-01T00:00:00Z", "type": "question", "turn": 1,
        "id": "1-1", "kind": "question", "text": "Tabs or spaces?", "reason": null, "options": [],
    });
    schemas::check_document("event", &asked);
    asked["more"] = json!(1);
    assert!(std::panic::catch_unwind(|| schemas::check_document("event", &asked)).is_err());
    for bad in [
        json!({"schema_version": 1, "verdict": "result"}),
        json!({"schema_version": 1, "verdict": "other", "rule": "r"}),
        json!({"schema_version": 1, "verdict": "result", "rule": "r", "more": 1}),
    ] {
        let checked = std::panic::catch_unwind(|| schemas::check_document("classify", &bad));
        assert!(checked.is_err(), "{bad}");
    }
}

/// Each command with `--json` and something that it can't do.
const REFUSED: [&[&str]; 27] = [
    &["delegate", "--json"],
    &["delegate", "--task", "t", "--json", "--bogus"],
    &["delegate", "--task", "t", "--json", "--max-turns", "99"],
    &[
        "delegate",
        "--json",
        "--task",
        "t",
        "--prompt",
        "x",
        "--sandbox",
        "none",
    ],
    &["continue", "--json", "none", "--prompt", "x"],
    &["resume", "--json", "none"],
    &["status", "--json", "none"],
    &["events", "--json", "none"],
    &["events", "--json", "none", "--follow"],
    &["wait", "--json", "none"],
    &["wait", "--json"],
    &["reply", "--json", "none", "--text", "x"],
    &["reply", "--json", "none"],
    &["send", "--json", "none", "--text", "x"],
    &["abort", "--json", "none"],
    &["list", "--json", "--status", "odd"],
    &["list", "--json=yes"],
    &["show", "--json", "none"],
    &["log", "--json", "none"],
    &["apply", "--json", "none"],
    &["recover", "--json", "none"],
    &["cleanup", "--json", "--kept", "none"],
    &["prune", "--json", "--older-than", "soon"],
    &["doctor", "--json", "--executor", "nobody"],
    &["hooks", "install", "--json", "--executor", "nobody"],
    &["config", "show", "--json", "--profile", "none"],
    &["policy", "check", "none", "--json", "--", "ls"],
];

#[test]
fn an_error_is_one_document_whatever_the_command() {
    let place = Place::new();
    let commands: BTreeSet<&str> = REFUSED.iter().map(|words| words[0]).collect();
    for arguments in REFUSED {
        let ran = place.cli(arguments);
        assert!(ran.code != 0, "{arguments:?}");
        let document = ran.document();
        let error = &document["error"];
        assert_eq!(document["schema_version"], 1, "{arguments:?}");
        assert_eq!(document["status"], "failed", "{arguments:?}");
        assert!(
            error["code"].is_string() && error["message"].is_string(),
            "{arguments:?}"
        );
        assert!(error["hint"].is_string(), "{arguments:?}: {document:#}");
        assert!(
            ran.stderr.contains("error: "),
            "{arguments:?}: {}",
            ran.stderr
        );
    }
    let listed = place.cli(&["capabilities"]).stdout;
    let with_json = listed.lines().filter_map(|name| name.strip_suffix(".json"));
    for command in with_json.filter(|name| !["classify", "capabilities"].contains(name)) {
        let command = command.split('.').next().expect("a name");
        assert!(commands.contains(command), "no error of {command} is tried");
    }
}

#[test]
fn an_error_without_json_prints_nothing_on_stdout() {
    let place = Place::new();
    for arguments in REFUSED {
        let plain: Vec<&str> = arguments
            .iter()
            .copied()
            .filter(|word| !word.starts_with("--json"))
            .collect();
        let ran = place.cli(&plain);
        // `list` and its like have nothing to refuse then.
        assert!(
            ran.code == 0 || ran.stdout.is_empty(),
            "{plain:?}: {}",
            ran.stdout
        );
    }
}

/// `--json` that is a value, or the agent's own, asks for nothing.
#[test]
fn a_word_of_the_agents_asks_for_no_document() {
    let place = Place::new();
    let words = [
        "delegate",
        "--task",
        "t",
        "--prompt",
        "x",
        "--repo",
        "/nonexistent",
        "--agent-arg",
        "--json",
    ];
    let ran = place.cli(&words);
    assert!(ran.code != 0 && ran.stdout.is_empty(), "{}", ran.stdout);
}

#[test]
fn a_wrapper_can_require_what_it_needs() {
    let place = Place::new();
    let ran = place.cli(&["capabilities", "--json"]);
    let document = ran.document();
    assert_eq!(document["version"], env!("CARGO_PKG_VERSION"));
    let names = document["capabilities"].as_array().expect("names");
    for name in [
        "apply",
        "apply.json",
        "delegate.detach",
        "delegate.drive.requests",
        "policy.check.worktree",
        "executor.codex",
        "executor.claude",
        "preset.read-only",
        "schema.run",
    ] {
        assert!(names.contains(&json!(name)), "{name}");
        let ran = place.cli(&["capabilities", "--supports", name]);
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
            (0, "", ""),
            "{name}"
        );
    }
    for name in ["fly", "delegate.fly", "supervise", "help", "", "delegate."] {
        let ran = place.cli(&["capabilities", "--supports", name]);
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
            (1, "", ""),
            "{name}"
        );
    }
}

/// Documents of released versions are still read, and what is made of them is as the schemas say.
#[test]
fn the_documents_of_released_versions_are_read() {
    let released = fs::read_dir(checkout().join("tests/documents")).expect("versions");
    let mut seen = 0;
    for version in released {
        let version = version.expect("a directory").path();
        for name in ["completed", "kept"] {
            let text =
                fs::read_to_string(version.join(format!("{name}-run.json"))).expect("a record");
            let record: Value = serde_json::from_str(&text).expect("JSON");
            let place = Place::new();
            place.cli(&["list"]);
            let id = record["run_id"].as_str().expect("an id");
            let directory = place.state().join("runs").join(id);
            fs::create_dir_all(&directory).expect("made");
            fs::write(directory.join("run.json"), &text).expect("written");
            let events = fs::read(version.join(format!("{name}-events.jsonl"))).expect("a journal");
            fs::write(directory.join("events.jsonl"), events).expect("written");
            for command in ["show", "status", "log", "events"] {
                // Each is held to its schema there.
                let ran = Ran::of(
                    Command::new(built::operator())
                        .args([command, id, "--json", "--state-dir"])
                        .arg(place.state()),
                    b"",
                );
                assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{command}");
                assert!(
                    ran.stdout.contains("schema_version"),
                    "{command}: {}",
                    ran.stdout
                );
            }
            let listed = place.cli(&["list", "--json"]).document();
            assert_eq!(listed["runs"][0]["run_id"], id);
            let shown = place.cli(&["show", id, "--json"]).document();
            for (field, value) in record.as_object().expect("a record") {
                assert_eq!(&shown[field], value, "{field}");
            }
            seen += 1;
        }
    }
    assert!(seen >= 2);
}
