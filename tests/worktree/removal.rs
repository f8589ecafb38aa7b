//! Removing what is ours, and only that.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread;

use cx_operator::worktree::{BranchRemoval, Error, Removal, Repository, Worktree, owned, remove};

use crate::fixture::{Fixture, REF, git, snapshot, write};

const ALL: Removal<'_> = Removal::WorktreeAndBranch { snapshot_ref: REF };

#[test]
fn the_repository_is_as_it_was() {
    let f = Fixture::new();
    f.git(&["branch", "topic"]);
    f.git(&["pack-refs", "--all"]);
    f.write("README", b"stashed\n");
    f.git(&["stash", "-q"]);
    let other = f.dir().join("other");
    f.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "theirs",
        other.to_str().expect("UTF-8"),
    ]);
    f.write("README", b"uncommitted\n");
    f.write("untracked", b"u\n");
    let before = f.state();
    let worktree = f.add();
    write(&worktree.path().join("README"), b"changed\n");
    git(worktree.path(), &["commit", "-q", "-a", "-m", "one"]);
    write(&worktree.path().join("new"), b"new\n");
    snapshot(&worktree);
    let removed = f.remove();
    assert_eq!(
        (removed.worktree, removed.branch),
        (true, BranchRemoval::Removed)
    );
    let after = f.state();
    for (path, content) in &after {
        assert!(
            before.get(path) == Some(content),
            "{} changed",
            path.display()
        );
    }
    assert_eq!(after.len(), before.len());
    assert!(!f.spec("t").path.exists());
    assert_eq!(f.git(&["show", &format!("{REF}:new")]), "new");
}

#[test]
fn it_may_be_repeated() {
    let f = Fixture::new();
    f.add();
    assert!(f.remove().worktree);
    let again = f.remove();
    assert_eq!(
        (again.worktree, again.branch),
        (false, BranchRemoval::Absent)
    );
    assert!(owned(&f.repo()).expect("a list").is_empty());
    assert!(!f.root().join(".git/worktrees").exists());
}

#[test]
fn only_the_owner_removes() {
    let f = Fixture::new();
    let worktree = f.add();
    let mut run = f.spec("t");
    run.owner.run_id = "another".into();
    let mut state = f.spec("t");
    state.owner.state_dir = "/another".into();
    for spec in [run, state] {
        let error = remove(&f.repo(), &spec, ALL).expect_err("not theirs");
        assert!(matches!(error, Error::NotOwned { .. }), "{error}");
    }
    assert!(worktree.path().join("README").exists());
    fs::remove_file(worktree.admin_dir().join("cx-operator.json")).expect("a marker");
    let error = remove(&f.repo(), &f.spec("t"), ALL).expect_err("no proof");
    assert!(matches!(error, Error::NotOwned { .. }), "{error}");
    assert!(worktree.path().join("README").exists());
}

#[test]
fn the_users_worktree_of_that_name_is_left_alone() {
    let f = Fixture::new();
    let path = f.spec("t").path;
    f.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "cx-t",
        path.to_str().expect("UTF-8"),
    ]);
    let before = f.state();
    let error = remove(&f.repo(), &f.spec("t"), ALL).expect_err("not ours");
    assert!(matches!(error, Error::NotOwned { .. }), "{error}");
    assert!(f.state() == before && path.join("README").exists());
}

#[test]
fn another_directory_in_its_place_is_left_alone() {
    let f = Fixture::new();
    let worktree = f.add();
    let path = worktree.path();
    fs::rename(path, f.dir().join("moved")).expect("a rename");
    write(&path.join("precious"), b"p");
    let refused = || {
        let error = remove(&f.repo(), &f.spec("t"), ALL).expect_err("replaced");
        assert!(matches!(error, Error::Replaced { .. }), "{error}");
    };
    refused();
    assert!(path.join("precious").exists());
    fs::remove_dir_all(path).expect("a directory");
    symlink(f.root(), path).expect("a link");
    refused();
    assert!(f.root().join("README").exists());
    fs::remove_file(path).expect("a link");
    assert!(f.remove().worktree, "with nothing in the way it goes on");
}

#[test]
fn a_directory_that_resists_is_removed_and_links_are_not_followed() {
    let f = Fixture::new();
    let worktree = f.add();
    let outside = f.dir().join("outside");
    write(&outside.join("precious"), b"p");
    symlink(&outside, worktree.path().join("link")).expect("a link");
    write(&worktree.path().join("sealed/deep/file"), b"x");
    symlink(&outside, worktree.path().join("sealed/deep/link")).expect("a link");
    for dir in ["sealed/deep", "sealed"] {
        let mode = if dir == "sealed" { 0o000 } else { 0o500 };
        fs::set_permissions(worktree.path().join(dir), fs::Permissions::from_mode(mode))
            .expect("a mode");
    }
    fs::remove_file(worktree.path().join(".git")).expect("a file");
    let listed = f.git(&["worktree", "list", "--porcelain"]);
    assert!(listed.contains("locked cx-operator: run "), "{listed}");
    assert!(f.remove().worktree);
    assert!(!worktree.path().exists());
    assert!(outside.join("precious").exists());
}

#[test]
fn a_branch_goes_only_if_nothing_is_lost() {
    let f = Fixture::new();
    let worktree = f.add();
    git(
        worktree.path(),
        &["commit", "-q", "--allow-empty", "-m", "work"],
    );
    git(worktree.path(), &["checkout", "-q", "--detach", "HEAD^"]);
    write(&worktree.path().join("x"), b"x");
    let taken = snapshot(&worktree);
    assert!(
        taken
            .notices
            .iter()
            .any(|n| n.contains("the branch is kept")),
        "{:?}",
        taken.notices
    );
    assert_eq!(f.remove().branch, BranchRemoval::KeptForItsCommits);
    assert_eq!(f.git(&["log", "-1", "--format=%s", "cx-t"]), "work");
}

#[test]
fn the_branch_stays_on_wish() {
    let f = Fixture::new();
    f.add();
    let removed = remove(&f.repo(), &f.spec("t"), Removal::Worktree).expect("removal");
    assert_eq!(removed.branch, BranchRemoval::Kept);
    assert_eq!(f.git(&["rev-parse", "cx-t"]), f.git(&["rev-parse", "main"]));
}

#[test]
fn what_a_killed_process_left_is_listed_and_removed() {
    let f = Fixture::new();
    let before = f.state();
    for stage in 0..5 {
        let worktree = f.add();
        // As if adding had been killed: the later steps didn't happen.
        let admin = worktree.admin_dir();
        if stage < 4 {
            for name in ["index", "cx-operator.index", "HEAD", "commondir", "gitdir"] {
                fs::remove_file(admin.join(name)).expect("a file");
            }
            write(&admin.join("locked"), b"initializing");
            fs::remove_dir_all(worktree.path()).expect("a directory");
        }
        if stage == 3 {
            write(
                &worktree.path().join(".git"),
                format!("gitdir: {}\n", admin.display()).as_bytes(),
            );
        }
        if stage < 3 {
            f.git(&["update-ref", "-d", "refs/heads/cx-t"]);
        }
        if stage == 2 {
            fs::create_dir(worktree.path()).expect("a directory");
        }
        assert_eq!(owned(&f.repo()).expect("a list").len(), 1, "stage {stage}");
        assert!(f.remove().worktree, "stage {stage}");
        assert!(
            f.state() == before && !worktree.path().exists(),
            "stage {stage}"
        );
    }
}

#[test]
fn removals_in_parallel_agree() {
    let f = Fixture::new();
    let before = f.state();
    for task in ["a", "b", "c", "d"] {
        Worktree::add(&f.repo(), &f.spec(task)).expect("a worktree");
    }
    thread::scope(|scope| {
        for task in ["a", "b", "c", "d"] {
            let f = &f;
            scope.spawn(move || remove(&f.repo(), &f.spec(task), ALL).expect("removal"));
        }
    });
    assert!(f.state() == before);
}

#[test]
fn a_bare_repository_is_as_it_was() {
    for logged in [false, true] {
        let f = Fixture::new();
        f.git(&["clone", "-q", "--bare", ".", "../bare"]);
        let bare = f.dir().join("bare");
        if logged {
            // Logs that are there stay.
            git(
                &bare,
                &["-c", "core.logAllRefUpdates=always", "branch", "kept"],
            );
        }
        let list = || {
            let mut found = std::process::Command::new("find");
            let found = found
                .current_dir(&bare)
                .args([".", "-not", "-path", "./objects/*"]);
            let found = found
                .args(["-not", "-path", "./refs/cx-operator*"])
                .output();
            let found = String::from_utf8(found.expect("find runs").stdout).expect("UTF-8");
            let mut found: Vec<String> = found.lines().map(str::to_owned).collect();
            found.sort();
            found
        };
        let before = list();
        let repo = Repository::discover(&bare).expect("a repository");
        let worktree = Worktree::add(&repo, &f.spec("t")).expect("a worktree");
        write(&worktree.path().join("new"), b"n\n");
        git(worktree.path(), &["add", "-A"]);
        git(worktree.path(), &["commit", "-q", "-m", "new"]);
        snapshot(&worktree);
        let removed = remove(&repo, &f.spec("t"), ALL).expect("removal");
        assert_eq!(removed.branch, BranchRemoval::Removed);
        assert_eq!(list(), before, "logged: {logged}");
    }
}

#[test]
fn a_branch_below_the_name_takes_it() {
    let f = Fixture::new();
    for packed in [false, true] {
        f.git(&["branch", "-f", "cx-t/below"]);
        if packed {
            f.git(&["pack-refs", "--all"]);
        }
        let before = f.state();
        let error = Worktree::add(&f.repo(), &f.spec("t")).expect_err("it is taken");
        assert!(matches!(error, Error::BranchExists { .. }), "{error}");
        assert!(f.state() == before, "packed: {packed}");
    }
}
