//! The other commands: `doctor`, `classify`, `hooks`, help and version.

use std::fs;

use serde_json::{Value, json};

use testkit::built;
use testkit::world::{Ran, names};

use crate::place::Place;

#[test]
fn version_and_help_answer() {
    let place = Place::new();
    let ran = place.cli(&["--version"]);
    let version = format!("cx-operator {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((ran.code, ran.stdout), (0, version));
    for command in [
        "delegate", "list", "show", "diff", "log", "attach", "cleanup", "prune", "doctor", "hooks",
        "classify",
    ] {
        assert!(place.cli(&["--help"]).stdout.contains(command));
        let ran = place.cli(&[command, "--help"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{command}");
    }
    assert_eq!(place.cli(&[]).code, 2);
    assert!(!place.state().exists(), "help makes no directory");
}

#[test]
fn an_unknown_executor_is_refused_with_the_names_of_all() {
    let place = Place::new();
    for command in [
        &["doctor"][..],
        &["delegate", "--task", "t", "--prompt", "x"],
    ] {
        let words = [command, &["--executor", "nobody"]].concat();
        let ran = place.cli(&words);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{words:?}");
        let named = "it must be one of: codex, claude, codex-exec, claude-print, scripted";
        assert!(ran.stderr.contains(named), "{}", ran.stderr);
    }
}

#[test]
fn doctor_names_each_check_and_its_fix() {
    let place = Place::new();
    let doctor = |codex: &str| {
        let mut command = place.command(built::operator());
        command.args(["doctor", "--json", "--codex", codex, "--repo"]);
        Ran::of(command.arg(place.repo()), b"")
    };
    let ran = doctor(env!("CARGO_BIN_EXE_scripted-agent"));
    let document = ran.document();
    assert_eq!(
        (ran.code, &document["ready"]),
        (0, &json!(true)),
        "{document:#}"
    );
    let name = |check: &Value| check["name"].as_str().expect("a name").to_owned();
    let checks = document["checks"].as_array().expect("checks");
    let found: Vec<String> = checks.iter().map(name).collect();
    let expected = [
        "tmux",
        "git",
        "git repository",
        "helper",
        "state directory",
        "/tmp",
        "codex",
        "codex sign-in",
    ];
    assert_eq!(found, expected);
    let ran = doctor("/nonexistent/codex");
    let document = ran.document();
    assert_eq!((ran.code, &document["ready"]), (7, &json!(false)));
    let checks = document["checks"].as_array().expect("checks");
    let failed = checks
        .iter()
        .find(|check| check["level"] == "fail")
        .expect("a failed check");
    assert_eq!(failed["name"], "codex");
    assert!(
        failed["fix"]
            .as_str()
            .expect("a way to fix it")
            .contains("npm install")
    );
}

#[test]
fn classify_reads_stdin() {
    let place = Place::new();
    let mut command = place.command(built::operator());
    let ran = Ran::of(
        command.args(["classify", "--json"]),
        b"Done.\n\nSTATUS: DONE\n",
    );
    assert_eq!(
        ran.document(),
        json!({"schema_version": 1, "verdict": "result", "rule": "trailer_done"})
    );
    let ran = Ran::of(
        place.command(built::operator()).arg("classify"),
        b"Should I use tabs?",
    );
    assert!(
        ran.code == 0 && ran.stdout.starts_with("question ("),
        "{}",
        ran.stdout
    );
    let ran = Ran::of(place.command(built::operator()).arg("classify"), b"a\xff");
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(
        ran.stderr.contains("not UTF-8 from byte 1 on"),
        "{}",
        ran.stderr
    );
}

#[test]
fn hooks_are_installed_once_and_removed_without_a_trace() {
    let place = Place::new();
    let before = names(&place.path("codex"));
    let actions = |arguments: &[&str]| -> Vec<Value> {
        let ran = place.cli(arguments);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let changes = ran.document()["changes"].clone();
        let changes = changes.as_array().expect("changes").iter();
        changes.map(|change| change["action"].clone()).collect()
    };
    assert_eq!(actions(&["hooks", "install", "--json"]), ["added"; 4]);
    let file = fs::read_to_string(place.path("codex/hooks.json")).expect("installed");
    assert_eq!(actions(&["hooks", "install", "--json"]), ["kept"; 4]);
    let again = fs::read_to_string(place.path("codex/hooks.json")).expect("installed");
    assert_eq!(file, again);
    let verify = ["hooks", "verify", "--json", "--codex", "/nonexistent/codex"];
    assert_eq!(place.cli(&verify).code, 7);
    assert_eq!(actions(&["hooks", "uninstall", "--json"]), ["removed"; 4]);
    let left = fs::read_to_string(place.path("codex/hooks.json")).unwrap_or_default();
    assert!(!left.contains("cx-"), "{left}");
    assert!(
        before
            .iter()
            .all(|name| place.path("codex").join(name).exists())
    );
    fs::write(place.path("codex/hooks.json"), "{\"hooks\": ").expect("written");
    let ran = place.cli(&["hooks", "install"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("hooks.json"), "{}", ran.stderr);
}
