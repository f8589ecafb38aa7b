//! What `delegate` finds missing, taken or unusable before anything is created.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::refusal::{Refusal, assert_refused, refusal, repository};
use testkit::built;
use testkit::world::Ran;

use crate::place::Place;

#[test]
fn places_that_are_no_repository_to_start_from() {
    let place = Place::new();
    let at = |path: &Path| {
        let mut command = place.command(built::operator());
        command.args([
            "delegate",
            "--task",
            "t",
            "--codex",
            env!("CARGO_BIN_EXE_scripted-agent"),
        ]);
        command.arg("--repo").arg(path);
        command.arg("--worktree-root").arg(place.worktrees());
        command
    };
    let nowhere = place.path("nowhere");
    assert_refused(&place, || at(&nowhere), b"brief", &repository(&["nowhere"]));
    let home = place.path("home");
    assert_refused(
        &place,
        || at(&home),
        b"brief",
        &repository(&["not in a git repository"]),
    );
    let unborn = place.path("unborn");
    let said = place
        .command("git")
        .args(["init", "-q"])
        .arg(&unborn)
        .status();
    assert!(said.expect("git runs").success());
    assert_refused(
        &place,
        || at(&unborn),
        b"brief",
        &repository(&["unborn", "no commit yet"]),
    );
    place.assert_told("places-that-are-no-repository-to-start-from");
}

#[test]
fn names_that_are_taken_are_said_to_be_and_by_whom() {
    let place = Place::new();
    let (code, exit) = ("name_taken", 8);
    place.git(&["branch", "cx-held"]);
    let words = [
        "branch cx-held",
        "a branch of that name exists",
        "cx-operator cleanup",
    ];
    assert_refused(
        &place,
        || place.delegate("held"),
        b"brief",
        &refusal(code, exit, &words),
    );
    for (task, make) in [("dir", 0), ("file", 1), ("link", 2)] {
        let path = place.path(&format!("worktrees/cx-{task}"));
        match make {
            0 => fs::create_dir(&path).expect("a directory"),
            1 => fs::write(&path, "mine").expect("a file"),
            _ => symlink("/nowhere", &path).expect("a link"),
        }
        let name = path.display().to_string();
        let words = ["worktree", name.as_str(), "the path exists already"];
        assert_refused(
            &place,
            || place.delegate(task),
            b"brief",
            &refusal(code, exit, &words),
        );
        assert!(
            fs::symlink_metadata(&path).is_ok(),
            "it is not ours to remove"
        );
    }
    place.assert_told("names-that-are-taken-are-said-to-be-and-by-whom");
}

#[test]
fn a_branch_that_is_checked_out_names_its_worktree() {
    let place = Place::new();
    let elsewhere = place.path("elsewhere");
    let path = elsewhere.display().to_string();
    place.git(&["worktree", "add", "-q", "-b", "cx-held", &path]);
    let ran = Ran::of(place.delegate("held").arg("--json"), b"brief");
    assert_eq!(ran.code, 8);
    assert!(
        ran.stderr.contains("checked out in") && ran.stderr.contains("elsewhere"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.document()["error"]["code"], "name_taken");
}

#[test]
fn agents_that_are_none() {
    let place = Place::new();
    let with = |program: &str| {
        let mut command = place.delegate("t");
        command.args(["--codex", program]);
        command
    };
    // Given twice, the last one would not count: the fixture's is left out.
    let bare = |program: &Path| {
        let mut command = place.command(built::operator());
        command.args(["delegate", "--task", "t"]);
        command.arg("--repo").arg(place.repo());
        command.arg("--worktree-root").arg(place.worktrees());
        command.arg("--codex").arg(program);
        command
    };
    assert_eq!(Ran::of(&mut with("x"), b"brief").code, 2, "once only");
    let missing = Refusal {
        code: "agent_missing",
        exit: 7,
        names: &["npm install -g @openai/codex"],
    };
    let nowhere = place.path("nowhere");
    assert_refused(&place, || bare(&nowhere), b"brief", &missing);
    let unusable = Refusal {
        code: "agent_unusable",
        exit: 7,
        names: &["hint: "],
    };
    let other = place.path("other");
    for script in [
        "#!/bin/sh\necho hello\n",
        "#!/bin/sh\nexit 3\n",
        "#!/nonexistent/sh\n",
    ] {
        fs::write(&other, script).expect("written");
        fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).expect("executable");
        assert_refused(&place, || bare(&other), b"brief", &unusable);
    }
    fs::remove_file(place.path("codex/auth.json")).expect("removed");
    let signed_out = Refusal {
        code: "not_signed_in",
        exit: 7,
        names: &["`codex login`"],
    };
    assert_refused(&place, || place.delegate("t"), b"brief", &signed_out);
    place.assert_told("agents-that-are-none");
}

#[test]
fn a_helper_that_is_missing() {
    let place = Place::new();
    let command = || {
        let mut command = place.delegate("t");
        command.env("CX_OPERATOR_HOOKS", place.path("nowhere"));
        command
    };
    let refused = Refusal {
        code: "hooks_missing",
        exit: 7,
        names: &["CX_OPERATOR_HOOKS", "nowhere"],
    };
    assert_refused(&place, command, b"brief", &refused);
    place.assert_told("a-helper-that-is-missing");
}

#[test]
fn state_directories_that_are_none() {
    let place = Place::new();
    let at = |state: &str| {
        let mut command = place.delegate("t");
        command.env("CX_OPERATOR_STATE", state);
        command
    };
    let (code, exit) = ("state_directory", 7);
    let long = format!("/tmp/{}", "a".repeat(120));
    assert_refused(
        &place,
        || at(&long),
        b"brief",
        &refusal(code, exit, &["107 is the limit", "short absolute path"]),
    );
    assert!(!Path::new(&long).exists());
    let homeless = || {
        let mut command = at("relative/state");
        command.env_remove("HOME");
        command
    };
    assert_refused(
        &place,
        homeless,
        b"brief",
        &refusal(code, exit, &["CX_OPERATOR_STATE"]),
    );
    let file = place.path("file");
    fs::write(&file, "").expect("written");
    for state in [file.clone(), file.join("below")] {
        let state = state.display().to_string();
        let ran = Ran::of(at(&state).arg("--json"), b"brief");
        assert_eq!(ran.code, 7, "{}", ran.stderr);
        assert!(
            ran.stderr.contains(&state) && ran.stderr.contains("hint: "),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.document()["error"]["code"], "state_directory");
    }
    place.assert_told("state-directories-that-are-none");
}
