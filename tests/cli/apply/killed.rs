//! An `apply --check` that is killed, and another one beside it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use serde_json::Value;

use testkit::wait::wait_for;

use super::{RUN, refused, run};
use crate::place::Place;

/// Where a result is checked.
pub(super) fn check(place: &Place) -> PathBuf {
    let run = place.path("state/runs").join(RUN);
    run.join(format!("check-{RUN}"))
}

/// A check that goes on, and what it started in a session of its own.
fn checking(place: &Place) -> Child {
    let begun = place.path("begun");
    let command = format!("setsid sleep 600 & touch '{}'; sleep 600", begun.display());
    let mut apply = place.operator(&["apply", RUN, "--check", &command]);
    let child = apply.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.expect("it starts");
    wait_for("the check", || begun.exists().then_some(()));
    fs::remove_file(begun).expect("removed");
    child
}

fn kill(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("it ended");
}

/// What `cleanup` did with checks.
fn cleaned(place: &Place, arguments: &[&str]) -> Vec<String> {
    let ran = place.cli(&[&["cleanup", "--json"], arguments].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let document = ran.document();
    let found = document["found"].as_array().expect("a list").iter();
    let of_it = found.filter(|found| found["name"] == check(place).display().to_string());
    let action = |found: &Value| found["action"].as_str().expect("an action").to_owned();
    of_it.map(action).collect()
}

fn worktrees(place: &Place) -> usize {
    place.git(&["worktree", "list"]).lines().count()
}

fn place_with_a_run() -> Place {
    let place = Place::with(&[("a.txt", "a\n")]);
    run(&place, &[("b.txt", Some("b\n"))], 0);
    place
}

fn assert_gone(place: &Place) {
    assert!(!check(place).exists());
    assert_eq!(worktrees(place), 1);
    let left = place.processes();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_it_left_is_found() {
    let place = place_with_a_run();
    kill(checking(&place));
    assert_eq!(worktrees(&place), 2);
    assert_eq!(cleaned(&place, &["--dry-run"]), ["would_remove"]);
    let pruned = place.cli(&["prune", "--older-than", "0s", "--json"]);
    let why = pruned.document()["left"].to_string();
    assert!(why.contains("`cx-operator cleanup`"), "{why}");
    assert_eq!(cleaned(&place, &[]), ["removed"]);
    assert_gone(&place);
    assert!(cleaned(&place, &[]).is_empty());

    // By `recover` too, and by the next check.
    kill(checking(&place));
    assert_eq!(place.cli(&["recover"]).code, 0);
    assert_gone(&place);
    kill(checking(&place));
    let applied = place.cli(&["apply", RUN, "--check", "test -f b.txt"]);
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    assert_gone(&place);
}

/// git was killed as well: it may have made its directory, and written nothing to it.
#[test]
fn half_a_registration_is_found_by_its_name() {
    let place = place_with_a_run();
    let strange = place.path("strange").join(format!("check-{RUN}"));
    let at = strange.display().to_string();
    place.git(&["worktree", "add", "-q", "--detach", &at, "HEAD"]);
    kill(checking(&place));
    // git gave it a number, since the name was taken.
    let registration = place.repo().join(format!(".git/worktrees/check-{RUN}1"));
    fs::remove_file(registration.join("gitdir")).expect("removed");
    fs::remove_file(check(&place).join(".git")).expect("removed");
    assert_eq!(cleaned(&place, &[]), ["removed"]);
    assert!(!registration.exists() && !check(&place).exists());
    assert!(strange.join("a.txt").exists(), "it is not ours");
    place.git(&["worktree", "remove", "--force", &at]);
    assert_gone(&place);
}

#[test]
fn one_that_goes_on_is_left_alone() {
    let place = place_with_a_run();
    let first = checking(&place);
    let said = refused(&place, &["--check", "true"], "usage", 2);
    assert!(said.contains("at this moment"), "{said}");
    assert!(cleaned(&place, &[]).is_empty());
    assert_eq!(worktrees(&place), 2);
    kill(first);
    assert_eq!(cleaned(&place, &[]), ["removed"]);
    assert_gone(&place);
}
