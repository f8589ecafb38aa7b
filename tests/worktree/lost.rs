//! What is left when a process was killed or somebody tidied up: the rest goes, and nothing that isn't ours.

use std::fs;

use cx_operator::worktree::{BranchRemoval, Error, Removal, Worktree, owned, remove};

use crate::fixture::{Fixture, REF, git, snapshot, write};

const ALL: Removal<'_> = Removal::WorktreeAndBranch { snapshot_ref: REF };

/// The directory goes as with a reboot that empties `/tmp`, and perhaps what git knows of it too.
fn wipe(f: &Fixture, worktree: &Worktree, pruned: bool) {
    fs::remove_dir_all(worktree.path()).expect("a directory");
    if pruned {
        prune(f, worktree);
        assert!(!worktree.admin_dir().exists());
    }
}

/// A worktree that is locked needs a person who unlocks it, too.
fn prune(f: &Fixture, worktree: &Worktree) {
    let _not_locked = fs::remove_file(worktree.admin_dir().join("locked"));
    f.git(&["worktree", "prune"]);
}

#[test]
fn killed_while_the_registration_is_prepared() {
    let f = Fixture::new();
    let before = f.state();
    let staging = f
        .root()
        .join(format!(".git/cx-operator.{}", f.spec("t").owner.run_id));
    for marked in [false, true] {
        let worktree = f.add();
        let marker = fs::read(worktree.admin_dir().join("cx-operator.json")).expect("a marker");
        f.remove();
        fs::create_dir(&staging).expect("a directory");
        if marked {
            write(&staging.join("cx-operator.json"), &marker);
            write(&staging.join("locked"), b"initializing");
        }
        assert_eq!(owned(&f.repo()).expect("a list").len(), usize::from(marked));
        let removed = f.remove();
        assert_eq!(
            (removed.worktree, removed.branch),
            (true, BranchRemoval::Absent)
        );
        assert!(f.state() == before && !staging.exists());
    }
}

#[test]
fn what_took_the_names_of_a_run_that_was_cut_short_is_somebody_elses() {
    let f = Fixture::new();
    let worktree = f.add();
    let marker = fs::read(worktree.admin_dir().join("cx-operator.json")).expect("a marker");
    f.remove();
    let staging = f
        .root()
        .join(format!(".git/cx-operator.{}", f.spec("t").owner.run_id));
    write(&staging.join("cx-operator.json"), &marker);
    f.git(&["branch", "cx-t"]);
    fs::create_dir(f.spec("t").path).expect("a directory");
    f.remove();
    assert!(!staging.exists() && f.spec("t").path.exists());
    assert_eq!(f.git(&["rev-parse", "cx-t"]), f.git(&["rev-parse", "main"]));
}

#[test]
fn a_wiped_directory_takes_its_registration_and_its_branch_along() {
    let f = Fixture::new();
    let before = f.state();
    for pruned in [false, true] {
        let worktree = f.add();
        wipe(&f, &worktree, pruned);
        let removed = f.remove();
        assert_eq!(
            (removed.worktree, removed.branch),
            (!pruned, BranchRemoval::Removed)
        );
        assert!(f.state() == before, "pruned: {pruned}");
    }
}

#[test]
fn the_directory_that_held_the_worktrees_may_be_gone_too() {
    let f = Fixture::new();
    let before = f.state();
    let mut spec = f.spec("t");
    for pruned in [false, true] {
        spec.path = f.dir().join("root/cx-t");
        fs::create_dir(f.dir().join("root")).expect("a directory");
        let worktree = Worktree::add(&f.repo(), &spec).expect("a worktree");
        git(
            worktree.path(),
            &["commit", "-q", "--allow-empty", "-m", "work"],
        );
        wipe(&f, &worktree, false);
        fs::remove_dir(f.dir().join("root")).expect("empty");
        let found = Worktree::open(&f.repo(), &spec).expect("by its marker");
        assert_eq!(
            snapshot(&found).agent_commit_count,
            1,
            "the branch's commits are taken in"
        );
        if pruned {
            prune(&f, &worktree);
        }
        let removed = remove(&f.repo(), &spec, ALL).expect("removal");
        assert_eq!(removed.branch, BranchRemoval::Removed);
        assert!(f.state() == before, "pruned: {pruned}");
    }
}

#[test]
fn commits_that_are_nowhere_else_keep_their_branch() {
    let f = Fixture::new();
    let worktree = f.add();
    git(
        worktree.path(),
        &["commit", "-q", "--allow-empty", "-m", "work"],
    );
    wipe(&f, &worktree, true);
    assert_eq!(f.remove().branch, BranchRemoval::KeptForItsCommits);
    assert_eq!(f.git(&["log", "-1", "--format=%s", "cx-t"]), "work");
    f.git(&["update-ref", REF, "cx-t"]);
    assert_eq!(
        f.remove().branch,
        BranchRemoval::Removed,
        "the snapshot has them"
    );
}

#[test]
fn a_branch_of_the_users_that_nothing_proves_ours_stays() {
    let f = Fixture::new();
    let worktree = f.add();
    wipe(&f, &worktree, true);
    f.remove();
    f.git(&["branch", "cx-t"]);
    let before = f.state();
    let error = remove(&f.repo(), &f.spec("t"), ALL).expect_err("not ours");
    assert!(matches!(error, Error::NotOwned { .. }), "{error}");
    let mut other = f.spec("t");
    other.owner.run_id = "20260101-000000-t-ffff".into();
    let error = remove(&f.repo(), &other, ALL).expect_err("not ours");
    assert!(matches!(error, Error::NotOwned { .. }), "{error}");
    assert!(f.state() == before);
}

#[test]
fn a_branch_that_somebody_works_on_stays() {
    let f = Fixture::new();
    let worktree = f.add();
    wipe(&f, &worktree, true);
    f.git(&["switch", "-q", "cx-t"]);
    assert_eq!(f.remove().branch, BranchRemoval::KeptInUse);
    assert_eq!(f.git(&["branch", "--show-current"]), "cx-t");
    f.git(&["switch", "-q", "main"]);
    assert_eq!(f.remove().branch, BranchRemoval::Removed);
}

#[test]
fn a_branch_of_a_bare_repository_is_known_too() {
    let f = Fixture::new();
    f.git(&["clone", "-q", "--bare", ".", "../bare"]);
    let bare = cx_operator::worktree::Repository::discover(&f.dir().join("bare")).expect("bare");
    let worktree = Worktree::add(&bare, &f.spec("t")).expect("a worktree");
    fs::remove_dir_all(worktree.path()).expect("a directory");
    fs::remove_dir_all(f.dir().join("bare/worktrees")).expect("as somebody tidied up");
    let removed = remove(&bare, &f.spec("t"), ALL).expect("removal");
    assert_eq!(removed.branch, BranchRemoval::Removed);
}

#[test]
fn a_directory_with_a_used_inode_is_not_the_one_that_was_made() {
    let f = Fixture::new();
    let worktree = f.add();
    let path = worktree.admin_dir().join("cx-operator.json");
    let mut marker: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).expect("a marker")).expect("JSON");
    if marker["directory_born"].is_null() {
        return; // This file system doesn't know when a file was made.
    }
    marker["directory_born"] = 1.into();
    write(&path, marker.to_string().as_bytes());
    // With our link in it there is proof enough.
    fs::remove_file(worktree.path().join(".git")).expect("a link");
    let error = remove(&f.repo(), &f.spec("t"), ALL).expect_err("another one");
    assert!(matches!(error, Error::Replaced { .. }), "{error}");
    assert!(worktree.path().join("README").exists());
}

#[test]
fn a_worktree_that_somebody_moved_keeps_its_registration() {
    let f = Fixture::new();
    let worktree = f.add();
    let moved = f.dir().join("moved");
    let moved_path = moved.to_str().expect("UTF-8");
    f.git(&[
        "worktree",
        "move",
        "-f",
        "-f",
        f.spec("t").path.to_str().expect("UTF-8"),
        moved_path,
    ]);
    let error = remove(&f.repo(), &f.spec("t"), ALL).expect_err("moved");
    assert!(
        matches!(&error, Error::Replaced { path } if *path == moved),
        "{error}"
    );
    assert!(moved.join("README").exists() && worktree.admin_dir().exists());
}

#[test]
fn a_directory_whose_registration_is_gone_is_taken_back() {
    let f = Fixture::new();
    let before = f.state();
    let worktree = f.add();
    write(&worktree.path().join("new"), b"the only copy");
    git(
        worktree.path(),
        &["commit", "-q", "--allow-empty", "-m", "work"],
    );
    fs::remove_dir_all(f.root().join(".git/worktrees")).expect("as somebody tidied up");
    let error = remove(&f.repo(), &f.spec("t"), ALL).expect_err("no marker");
    assert!(matches!(error, Error::NotOwned { .. }), "{error}");
    let found = Worktree::adopt(&f.repo(), worktree.path(), &f.dir().join("state")).expect("ours");
    assert_eq!(*found.spec(), f.spec("t"));
    git(found.path(), &["status"]);
    let taken = snapshot(&found);
    assert_eq!(taken.agent_commit_count, 1);
    assert_eq!(f.git(&["show", &format!("{REF}:new")]), "the only copy");
    assert_eq!(f.remove().branch, BranchRemoval::Removed);
    assert!(f.state() == before && !found.path().exists());
}

#[test]
fn what_only_looks_like_ours_is_not_taken_back() {
    let f = Fixture::new();
    let state = f.dir().join("state");
    let path = f.spec("t").path;
    let adopt = || Worktree::adopt(&f.repo(), &path, &state);
    let text = path.to_str().expect("UTF-8");
    f.git(&["worktree", "add", "-q", "-b", "cx-t", text]);
    assert!(matches!(adopt(), Err(Error::NotOwned { .. })), "registered");
    fs::remove_dir_all(f.root().join(".git/worktrees")).expect("a directory");
    assert!(
        matches!(adopt(), Err(Error::NotOwned { .. })),
        "the user's branch"
    );
    fs::remove_file(path.join(".git")).expect("a link");
    assert!(matches!(adopt(), Err(Error::NotOwned { .. })), "no link");
    assert!(!f.root().join(".git/worktrees").exists());
    let root = Worktree::adopt(&f.repo(), &f.root(), &state);
    assert!(
        matches!(root, Err(Error::NotOwned { .. })),
        "the main checkout"
    );
}
