//! What the program advises, done in the state that it is said in.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use testkit::world::{Ran, names};
use testkit::{built, git};

use crate::place::Place;

const RUN: &str = "20260101-000000-one-0001";

/// A run that changed `a`, added `sub/new`, moved `old` and made a binary file; on record with its patch and its ref.
fn finished(dirty: bool) -> Place {
    let place = Place::new();
    let write =
        |name: &str, text: &[u8]| fs::write(place.repo().join(name), text).expect("written");
    fs::create_dir(place.path("repo/sub")).expect("a directory");
    write("a", b"1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    write("old", b"what moves\nstays\nas it is\n");
    write("sub/there", b"x\n");
    place.commit("base");
    let head = place.git(&["rev-parse", "HEAD"]);
    if dirty {
        write("a", b"mine\n2\n3\n4\n5\n6\n7\n8\n9\n");
        write("untracked", b"mine too\n");
        place.commit("dirty");
    }
    let base = place.git(&["rev-parse", "HEAD"]);
    let text = fs::read_to_string(place.path("repo/a")).expect("readable");
    write("a", text.replace("9\n", "nine\n").as_bytes());
    write("sub/new", b"new\n");
    write("picture", b"\0\x01\x02\xff");
    place.git(&["mv", "old", "sub/moved"]);
    place.commit("work");
    let result = place.git(&["rev-parse", "HEAD"]);
    let name = format!("refs/cx-operator/{RUN}");
    place.git(&["update-ref", &name, &result]);
    let patch = git::output(&place.repo(), &["diff", "--binary", "-M", &base, &result]);
    place.git(&["reset", "-q", "--hard", if dirty { &base } else { &head }]);
    if dirty {
        // The caller's changes are uncommitted, as they were when the run began.
        place.git(&["reset", "-q", &head]);
    }
    place.put(RUN, "patch.diff", &patch.stdout);
    let dir = place.path("state/runs").join(RUN);
    place.record(RUN, "one", |record| {
        record["patch"] = json!(dir.join("patch.diff"));
        record["run_dir"] = json!(dir);
        record["changes"] = json!("committed");
        (record["base_commit"], record["result_commit"]) = (json!(base), json!(result));
        record["result_ref"] = json!(name);
        record["repository"] = json!(place.repo());
        record["checkout"] = json!(place.repo());
        record["base_dirty"] = json!(dirty);
    });
    place
}

/// The command that the report has behind this word.
fn advised(ran: &Ran, word: &str) -> String {
    let line = ran
        .stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix(word));
    let command = line.unwrap_or_else(|| panic!("{word}: {}", ran.stdout));
    command.trim().to_owned()
}

/// Runs a line as a person's shell does, in that directory.
fn shell(place: &Place, directory: &Path, line: &str) -> Ran {
    let bin = built::directory();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command: Command = place.command("/bin/sh");
    command
        .env("PATH", format!("{}:{path}", bin.display()))
        .args(["-c", line])
        .current_dir(directory);
    Ran::of(&mut command, b"")
}

fn assert_applied(place: &Place) {
    let read = |name: &str| fs::read(place.repo().join(name)).unwrap_or_default();
    assert!(read("a").ends_with(b"8\nnine\n"));
    assert_eq!(read("sub/new"), b"new\n");
    assert_eq!(read("picture"), b"\0\x01\x02\xff");
    assert!(read("sub/moved").starts_with(b"what moves") && !place.path("repo/old").exists());
}

#[test]
fn the_work_is_taken_in_from_any_directory() {
    for directory in ["repo", "repo/sub", "home"] {
        for word in ["apply it:", "or merge:"] {
            let place = finished(false);
            let line = advised(&place.cli(&["show", "one"]), word);
            let ran = shell(&place, &place.path(directory), &line);
            assert_eq!(ran.code, 0, "{directory}: {line}: {}", ran.stderr);
            assert_applied(&place);
        }
    }
    let place = finished(true);
    let line = advised(&place.cli(&["show", "one"]), "apply it:");
    let ran = shell(&place, &place.path("repo/sub"), &line);
    assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
    assert_applied(&place);
    let untracked = fs::read(place.path("repo/untracked")).expect("it stays");
    assert_eq!(untracked, b"mine too\n");
}

/// What the documents show, where a person stands in the work tree.
#[test]
fn the_recipe_of_the_documents_works_in_a_subdirectory() {
    for (document, recipe) in [
        ("README.md", "cx-operator apply refactor-auth\n"),
        (
            "skills/cx-operator/SKILL.md",
            "cx-operator apply fix-date-parser --patch --json ",
        ),
        (
            "skills/cx-operator/references/results.md",
            "cx-operator apply iso-weeks --patch ",
        ),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
        let text = fs::read_to_string(path).expect("readable");
        assert!(text.contains(recipe), "{document}");
    }
    for recipe in [
        "cx-operator apply one",
        "cx-operator apply one --patch --json",
    ] {
        let place = finished(false);
        for (key, value) in [("user.name", "Ada"), ("user.email", "ada@example.com")] {
            place.git(&["config", key, value]);
        }
        let ran = shell(&place, &place.path("repo/sub"), recipe);
        assert_eq!(ran.code, 0, "{recipe}: {}", ran.stderr);
        assert_applied(&place);
    }
}

#[test]
fn work_that_meets_other_work_is_refused_aloud_and_whole() {
    let place = finished(false);
    let mine = "1\n2\n3\n4\n5\n6\n7\n8\nmine\n";
    fs::write(place.path("repo/a"), mine).expect("written");
    let line = advised(&place.cli(&["show", "one"]), "apply it:");
    let ran = shell(&place, &place.path("repo/sub"), &line);
    assert!(ran.code != 0 && ran.stderr.contains('a'), "{}", ran.stderr);
    assert_eq!(
        fs::read_to_string(place.path("repo/a")).expect("readable"),
        mine
    );
    assert!(!place.path("repo/sub/new").exists(), "nothing of it");
}

#[test]
fn advice_finds_the_records_that_it_speaks_of() {
    let place = finished(false);
    fs::rename(place.state(), place.path("other state")).expect("moved");
    let state = place.path("other state");
    let state = state.to_str().expect("UTF-8");
    let moved = format!("{state}/runs/{RUN}");
    place.git(&["status"]);
    let record = fs::read_to_string(format!("{moved}/run.json")).expect("readable");
    let old = place.state();
    fs::write(
        format!("{moved}/run.json"),
        record.replace(old.to_str().expect("UTF-8"), state),
    )
    .expect("written");
    let ran = place.cli(&["show", "one", "--state-dir", state]);
    let see = advised(&ran, "see it:");
    let seen = shell(&place, &place.path("home"), &see);
    assert!(
        seen.code == 0 && seen.stdout.contains("nine"),
        "{see}: {}",
        seen.stderr
    );
    let ran = place.cli(&["show", "two", "--state-dir", state]);
    let hint = ran.stderr.split('`').nth(3).expect("a command").to_owned();
    let listed = shell(&place, &place.path("home"), &hint);
    assert!(listed.stdout.contains(RUN), "{hint}: {}", ran.stderr);
    fs::remove_file(format!("{moved}/patch.diff")).expect("removed");
    let ran = place.cli(&["show", "one", "--state-dir", state]);
    assert!(!ran.stdout.contains("apply it:"), "{}", ran.stdout);
}

#[test]
fn json_is_one_document_whatever_is_wrong() {
    let place = Place::new();
    for arguments in [
        &["--json"][..],
        &["delegate", "--json"],
        &[
            "delegate",
            "--task",
            "t",
            "--turn-timeout",
            "soon",
            "--json",
        ],
        &["delegate", "--json", "--nonsense"],
        &["frobnicate", "--json"],
        &["hooks", "--json"],
        &["hooks", "install", "--json", "--codex-home", "nowhere"],
        &["list", "--json", "--limit", "x"],
        &["show", "--json"],
        &["show", "--json", "nobody"],
        &["log", "--json", "nobody"],
        &["diff", "--json", "nobody"],
        &["resume", "--json", "nobody"],
        &["recover", "--json", "nobody"],
        &["cleanup", "--json", "--kept", "nobody"],
        &["prune", "--json", "--older-than", "x"],
        &["doctor", "--json", "--state-dir", ""],
        &["attach", "--json", "nobody"],
        &["apply", "--json", "nobody"],
        &["classify", "--json", "words"],
    ] {
        let ran = place.cli(arguments);
        let document: Value = ran.document();
        assert!(ran.code != 0, "{arguments:?}");
        let error = &document["error"];
        assert!(
            error["code"].is_string() && error["message"].is_string(),
            "{arguments:?}: {document}"
        );
        assert_eq!(document["status"], "failed", "{arguments:?}");
        assert!(!ran.stderr.is_empty() && ran.is_harmless(), "{arguments:?}");
    }
}

#[test]
fn doctor_changes_nothing_and_needs_no_repository() {
    let place = Place::new();
    let mut command = place.command(built::operator());
    command.args([
        "doctor",
        "--json",
        "--codex",
        env!("CARGO_BIN_EXE_scripted-agent"),
    ]);
    let before = names(&place.path("."));
    let ran = Ran::of(command.current_dir(place.path("home")), b"");
    let document = ran.document();
    assert_eq!(
        (ran.code, &document["ready"]),
        (0, &json!(true)),
        "{document:#}"
    );
    let checks = document["checks"].as_array().expect("checks");
    let repository = checks
        .iter()
        .find(|check| check["name"] == "git repository");
    assert_eq!(
        repository.expect("checked")["level"],
        "warn",
        "{document:#}"
    );
    assert_eq!(names(&place.path(".")), before, "no state directory");
    assert!(!Path::new("/nonexistent").exists());
}
