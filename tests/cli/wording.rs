//! Every text that people and programs read, as it is: a change of one is a change of a file beside this one.
//!
//! `INSTA_UPDATE=always cargo test --test cli` takes the texts as they are now; without it nothing is written.

use std::process::Command;

use cx_operator::record::Error as RecordError;
use cx_operator::{Code, Error, tmux};
use serde_json::{Value, json};
use testkit::built;
use testkit::world::Ran;

use crate::place::Place;

const RUN: &str = "20260101-000000-one-0001";

/// The place's directories, and whatever differs from run to run, by their names.
pub(crate) fn settled(place: &Place, text: &str) -> String {
    let patterns = [
        (
            r"\b\d{8}-\d{6}-([a-z0-9-]+?)-[0-9a-f]{4}\b",
            "[DATE]-$1-[ID]",
        ),
        (r"\b\d{4}-\d\d-\d\dT[\d:]+\.\d+Z", "[MOMENT]"),
        (
            r"\b\d{4}-\d\d-\d\d [\d:]{8} [+-]\d\d:\d\d",
            "[LOCAL MOMENT]",
        ),
        (r"(?m)^\d\d:\d\d:\d\d ", "[TIME] "),
        (r"\((\d+[dhm] )?[\d.]+[mhs], ", "([TIME], "),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "[UUID]"),
        (r"\b[0-9a-f]{40}\b", "[COMMIT]"),
        (r"(Chunk ID|Wall time): [0-9a-f.]+", "$1: [N]"),
        (r#"("(?:duration_ms|disk_bytes)": )\d+"#, "${1}[NUMBER]"),
        // The age of a run whose time is fixed.
        (r"\b\d{3,}d\b", "[N]d"),
        (r"\b\d+(\.\d+)? (ms|s|kB|MB|GB|TB)\b", "[N] $2"),
        (r"/\S*/git\b", "[GIT]"),
        (r"/\S*/target/tmp/\.tmp\w+", "[ELSEWHERE]"),
    ];
    let mut text = text
        .replace(&place.dir().display().to_string(), "[PLACE]")
        .replace(&built::directory().display().to_string(), "[BUILT]");
    for (pattern, name) in patterns {
        let pattern = regex::Regex::new(pattern).expect("a valid pattern");
        text = pattern.replace_all(&text, name).into_owned();
    }
    text
}

/// Exit status, stdout and stderr of a command.
fn told(place: &Place, command: &mut Command, stdin: &str) -> String {
    let ran = Ran::of(command, stdin.as_bytes());
    let stdout = match serde_json::from_str::<Value>(&ran.stdout) {
        Ok(document) => format!("{document:#}\n"),
        Err(_) => ran.stdout,
    };
    let text = format!(
        "exit status {}\n--- stdout\n{stdout}--- stderr\n{}",
        ran.code, ran.stderr
    );
    settled(place, &text)
}

/// A place with one run on record, whose times and ids are fixed.
fn recorded() -> Place {
    let place = Place::new();
    place.record(RUN, "one", |record| {
        record["last_message"] = json!("Renamed it.\n\nSTATUS: DONE");
        record["branch"] = json!("cx-one");
        record["changes"] = json!("uncommitted");
        record["files_changed"] = json!(1);
        (record["insertions"], record["deletions"]) = (json!(2), json!(1));
        record["files"] = json!([{"path": "a.txt", "old_path": null, "status": "M", "binary": false,
            "insertions": 2, "deletions": 1}]);
        record["duration_ms"] = json!(83_000);
        record["notices"] = json!(["the base is not the newest commit"]);
    });
    place
}

#[test]
fn help_of_each_command() {
    let place = Place::new();
    let whole = place.cli(&["--help"]).stdout;
    let commands = whole.lines().skip_while(|line| !line.starts_with("Usage:"));
    let names = commands
        .take_while(|line| *line != "Options:")
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help");
    insta::assert_snapshot!("help", settled(&place, &whole));
    for name in names {
        let help = place.cli(&[name, "--help"]).stdout;
        insta::assert_snapshot!(format!("help-{name}"), settled(&place, &help));
    }
}

#[test]
fn what_is_on_record() {
    let place = recorded();
    for (name, arguments) in [
        ("list", &["list"][..]),
        ("list-json", &["list", "--json"]),
        ("show", &["show", "one"]),
        ("show-json", &["show", "one", "--json"]),
    ] {
        let told = told(&place, &mut place.operator(arguments), "");
        insta::assert_snapshot!(name, told);
    }
}

#[test]
fn the_report_of_a_run() {
    for (name, prompt) in [
        ("completed", "[[shell echo hello >hello.txt]]"),
        ("needs-input", "[[question]]"),
        ("agent-failed", "[[http 500]]"),
    ] {
        let place = Place::new();
        let mut command = place.delegate("t");
        command.arg("--no-preamble");
        let told = told(&place, &mut command, prompt);
        insta::assert_snapshot!(format!("report-{name}"), told);
        let mut command = place.delegate("u");
        command.args(["--no-preamble", "--json"]);
        let document = Ran::of(&mut command, prompt.as_bytes()).document();
        let document = settled(&place, &format!("{document:#}"));
        insta::assert_snapshot!(format!("document-{name}"), document);
    }
}

#[test]
fn doctor_on_a_machine_where_all_is_well() {
    let place = Place::new();
    let versions = regex::Regex::new(r"\b\d+\.\d+(\.\d+)*[a-z]?\b").expect("a valid pattern");
    for (name, arguments) in [
        ("doctor", &["doctor"][..]),
        ("doctor-json", &["doctor", "--json"]),
    ] {
        let mut command = place.operator(arguments);
        command.arg("--codex").arg(built::scripted_agent());
        let told = told(&place, &mut command, "");
        insta::assert_snapshot!(name, versions.replace_all(&told, "[VERSION]"));
    }
}

/// Errors that no command line brings about here, of each code that has one.
fn errors() -> Vec<Error> {
    let path = || "/the/path".into();
    let name = || "one".to_owned();
    let (what, holder) = ("branch", "a branch of that name exists".to_owned());
    let (needed_mb, available_mb) = (100, 12);
    let (verb, flag) = ("new-session", "--state-dir");
    let refused = || std::io::Error::from_raw_os_error(13);
    vec![
        Error::WorktreeGone { path: path() },
        Error::Taken {
            what,
            name: name(),
            holder,
        },
        Error::TmuxTooOld {
            version: "2.9a".to_owned(),
        },
        Error::GitMissing,
        Error::HooksMissing {
            place: "in /x".to_owned(),
        },
        Error::DiskFull {
            path: path(),
            available_mb,
            needed_mb,
            flag,
        },
        Error::Io {
            what: "read the file".to_owned(),
            source: refused(),
        },
        Error::Watch(notify::Error::io(refused())),
        RecordError::NotFound { name: name() }.into(),
        RecordError::Ambiguous {
            name: name(),
            candidates: 2,
        }
        .into(),
        RecordError::Alive { name: name() }.into(),
        RecordError::Newer { name: name() }.into(),
        RecordError::StateUnusable {
            path: path(),
            source: refused(),
        }
        .into(),
        RecordError::Io {
            what: "read",
            path: path(),
            source: refused(),
        }
        .into(),
        tmux::Error::Missing.into(),
        tmux::Error::Hung { verb }.into(),
        tmux::Error::SessionExists { name: name() }.into(),
        tmux::Error::ArgumentsTooLong { bytes: 1 << 20 }.into(),
    ]
}

#[test]
fn errors_that_no_command_line_brings_about() {
    let mut text = String::new();
    for error in errors() {
        let (code, hint) = (error.code(), error.hint());
        text += &format!("{code}\nerror: {}\nhint: {hint}\n\n", error.message());
    }
    insta::assert_snapshot!("errors", text);
}

/// What to do about each code, wherever its error comes from.
#[test]
fn hints_of_all_codes() {
    let hint = |code: &Code| format!("{code} ({}): {}\n", code.exit(), code.hint());
    let hints: String = Code::ALL.iter().map(hint).collect();
    insta::assert_snapshot!("codes", hints);
}
