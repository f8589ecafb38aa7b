//! Repositories that the agent makes inside its worktree: their files are in the result, their commits under refs of ours.

use std::fs;
use std::path::Path;

use cx_operator::worktree::Snapshot;

use crate::fixture::{Fixture, REF, git, output, snapshot, write};

fn names(f: &Fixture) -> Vec<String> {
    let listed = f.git(&["ls-tree", "-r", "--format=%(objectmode) %(path)", REF]);
    listed.lines().map(str::to_owned).collect()
}

fn assert_stored(f: &Fixture, wanted: &[&str], taken: &Snapshot) {
    let names = names(f);
    for path in wanted {
        let entry = format!("100644 {path}");
        assert!(
            names.contains(&entry),
            "{path}: {names:?} {:?}",
            taken.notices
        );
    }
    let links = names.iter().filter(|name| name.starts_with("160000"));
    assert_eq!(links.count(), 0, "{names:?}");
}

/// The subjects of the commits that are kept beside the result.
fn kept(f: &Fixture) -> Vec<String> {
    let refs = f.git(&["for-each-ref", "--format=%(refname)", "refs/cx-operator"]);
    let inside = refs.lines().filter(|name| name.contains(".inside."));
    let subject = |name: &str| f.git(&["log", "-1", "--format=%s", name]);
    let mut kept: Vec<String> = inside.map(subject).collect();
    kept.sort();
    kept
}

/// A repository with a commit, in a new directory.
fn init(at: &Path, subject: &str) {
    fs::create_dir_all(at).expect("directories");
    git(at, &["init", "-q", "."]);
    write(&at.join("committed"), b"c\n");
    git(at, &["add", "-A"]);
    git(at, &["commit", "-q", "-m", subject]);
}

#[test]
fn files_in_any_state_are_stored_but_those_that_are_ignored() {
    let f = Fixture::new();
    let worktree = f.add();
    let front = worktree.path().join("front");
    init(&front, "inside");
    write(&front.join(".gitignore"), b"built\n");
    write(&front.join("built"), b"b\n");
    write(&front.join("debug.log"), b"ignored outside\n");
    write(&front.join("staged"), b"s\n");
    git(&front, &["add", "staged"]);
    write(&front.join("loose"), b"l\n");
    git(&front, &["stash", "push", "-q", "-u", "loose"]);
    write(&front.join("loose"), b"l\n");
    let taken = snapshot(&worktree);
    let wanted = [
        "front/committed",
        "front/staged",
        "front/loose",
        "front/.gitignore",
    ];
    assert_stored(&f, &wanted, &taken);
    let names = names(&f);
    assert!(
        !names
            .iter()
            .any(|name| name.contains("built") || name.contains("log")),
        "{names:?}"
    );
    let kept = kept(&f);
    assert!(
        kept.iter().any(|subject| subject.starts_with("WIP on ")),
        "the stash: {kept:?}"
    );
    f.remove();
    f.git(&["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn a_bare_one_is_files() {
    let f = Fixture::new();
    let worktree = f.add();
    init(&f.dir().join("other"), "other");
    git(
        worktree.path(),
        &["clone", "-q", "--bare", "../other", "srv.git"],
    );
    let taken = snapshot(&worktree);
    assert_stored(&f, &["srv.git/HEAD", "srv.git/config"], &taken);
}

#[test]
fn one_with_a_submodule_and_one_in_a_submodule_are_kept_whole() {
    let f = Fixture::new();
    init(&f.dir().join("lib"), "lib");
    let url = f.dir().join("lib").display().to_string();
    let allow = ["-c", "protocol.file.allow=always", "submodule", "-q"];
    f.git(&[&allow[..], &["add", &url, "sub"]].concat());
    f.commit("a submodule");
    let worktree = f.add();
    let front = worktree.path().join("front");
    init(&front, "front");
    git(&front, &[&allow[..], &["add", &url, "lib"]].concat());
    write(&front.join("lib/new"), b"n\n");
    git(
        worktree.path(),
        &[&allow[..], &["update", "--init"]].concat(),
    );
    let deep = worktree.path().join("sub/deep");
    init(&deep, "deep");
    write(&deep.join("loose"), b"l\n");
    let taken = snapshot(&worktree);
    let names = names(&f);
    for path in ["front/lib/new", "front/lib/committed", "front/.gitmodules"] {
        assert!(
            names.contains(&format!("100644 {path}")),
            "{path}: {names:?}"
        );
    }
    assert!(names.contains(&"160000 sub".to_owned()), "{names:?}");
    let kept = kept(&f);
    for subject in [
        "front",
        "lib",
        "deep",
        "what was not committed in a submodule",
    ] {
        assert!(
            kept.iter().any(|kept| kept == subject),
            "{subject}: {kept:?} {:?}",
            taken.notices
        );
    }
    let refs = f.git(&["for-each-ref", "--format=%(refname)", "refs/cx-operator"]);
    let stored = refs.lines().any(|name| {
        let path = format!("{name}:deep/loose");
        output(&f.root(), &["cat-file", "-e", &path])
            .status
            .success()
    });
    assert!(stored, "{:?}", taken.notices);
    assert!(taken.left_out.is_empty(), "{:?}", taken.left_out);
}

#[test]
fn a_worktree_inside_is_files_and_its_commits_stay_on_its_branch() {
    let f = Fixture::new();
    let worktree = f.add();
    git(
        worktree.path(),
        &["worktree", "add", "-q", "-b", "theirs", "inner"],
    );
    let inner = worktree.path().join("inner");
    write(&inner.join("loose"), b"l\n");
    git(&inner, &["commit", "-q", "--allow-empty", "-m", "theirs"]);
    let taken = snapshot(&worktree);
    assert_stored(&f, &["inner/loose", "inner/README"], &taken);
    assert_eq!(f.git(&["log", "-1", "--format=%s", "theirs"]), "theirs");
}

#[test]
fn a_history_that_nobody_can_copy_keeps_the_worktree() {
    let f = Fixture::new();
    let worktree = f.add();
    for (option, name) in [
        ("--ref-format=reftable", "reftable"),
        ("--object-format=sha256", "sha256"),
    ] {
        git(worktree.path(), &["init", "-q", option, name]);
        let dir = worktree.path().join(name);
        write(&dir.join("file"), b"f\n");
        git(&dir, &["add", "-A"]);
        git(&dir, &["commit", "-q", "-m", name]);
    }
    let url = format!("file://{}", f.root().display());
    git(
        worktree.path(),
        &["clone", "-q", "--depth=1", &url, "shallow"],
    );
    git(worktree.path(), &["init", "-q", "empty"]);
    write(&worktree.path().join("empty/file"), b"f\n");
    fs::create_dir_all(worktree.path().join("odd/.git")).expect("directories");
    write(&worktree.path().join("odd/file"), b"f\n");
    let taken = snapshot(&worktree);
    let wanted = [
        "reftable/file",
        "sha256/file",
        "shallow/README",
        "empty/file",
        "odd/file",
    ];
    assert_stored(&f, &wanted, &taken);
    let mut left: Vec<_> = taken
        .left_out
        .iter()
        .map(|path| path.to_string_lossy())
        .collect();
    left.sort();
    assert_eq!(left, ["reftable", "sha256"], "{:?}", taken.notices);
    let own = worktree.path().join("shallow");
    git(&own, &["commit", "-q", "--allow-empty", "-m", "own"]);
    let taken = snapshot(&worktree);
    assert_eq!(taken.left_out.len(), 3, "{:?}", taken.left_out);
}
