//! What a snapshot makes of a worktree that is not whole, and of what the agent left beside it.

use std::fs;
use std::os::unix::fs::symlink;

use cx_operator::worktree::{Error, SnapshotSpec, Worktree};

use crate::fixture::{Fixture, REF, git, snapshot, write};

#[test]
fn a_missing_directory_never_reads_as_all_deleted() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&worktree.path().join("work"), b"w\n");
    let first = snapshot(&worktree).result_commit;
    fs::remove_dir_all(worktree.path()).expect("a directory");
    let again = snapshot(&worktree);
    assert_eq!(again.result_commit, first);
    assert_eq!(again.diff.files.len(), 1);
    f.git(&["update-ref", "-d", REF]);
    let late = snapshot(&worktree);
    assert_eq!(late.result_commit, None);
    assert!(
        late.notices.iter().any(|n| n.contains("gone")),
        "{:?}",
        late.notices
    );
    symlink(f.root(), worktree.path()).expect("a link");
    assert_eq!(
        snapshot(&worktree).result_commit,
        None,
        "a link isn't followed"
    );
}

#[test]
fn a_removal_that_has_begun_keeps_the_result() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&worktree.path().join("work"), b"w\n");
    let first = snapshot(&worktree).result_commit;
    write(&worktree.admin_dir().join("cx-operator.removing"), b"");
    fs::remove_file(worktree.path().join("README")).expect("a file");
    assert_eq!(snapshot(&worktree).result_commit, first);
}

/// An operator that was killed while git wrote the files: what is missing is no work of an agent's.
#[test]
fn a_checkout_that_was_cut_short_has_no_changes() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&worktree.admin_dir().join("locked"), b"initializing");
    fs::remove_file(worktree.path().join("README")).expect("a file");
    let snapshot = snapshot(&worktree);
    assert_eq!(snapshot.result_commit, None);
    let told = |notice: &String| notice.contains("never complete");
    assert!(snapshot.notices.iter().any(told), "{:?}", snapshot.notices);
    assert!(f.remove().worktree);
}

#[test]
fn the_ref_is_ours_or_none() {
    let f = Fixture::new();
    let worktree = f.add();
    for name in [
        "refs/heads/main",
        "refs/cx-operator/../heads/main",
        "refs/cx-operator/",
    ] {
        let spec = SnapshotSpec {
            ref_name: name.into(),
            message: String::new(),
            mount_points: &[".codex"],
        };
        let error = worktree.snapshot(&spec).expect_err(name);
        assert!(matches!(error, Error::InvalidName { .. }), "{error}");
    }
}

#[test]
fn refs_that_the_agent_made_are_told_of_and_stay() {
    let f = Fixture::new();
    f.git(&["tag", "before"]);
    f.write("README", b"stashed before\n");
    f.git(&["stash", "-q"]);
    let worktree = f.add();
    let quiet = snapshot(&worktree);
    assert!(quiet.notices.is_empty(), "{:?}", quiet.notices);
    let other = Worktree::add(&f.repo(), &f.spec("other")).expect("another run's");
    git(worktree.path(), &["branch", "spare"]);
    git(worktree.path(), &["tag", "-a", "-m", "m", "v1"]);
    write(&worktree.path().join("README"), b"stashed\n");
    git(worktree.path(), &["stash", "-q"]);
    git(worktree.path(), &["switch", "-q", "-c", "topic"]);
    git(
        worktree.path(),
        &["update-ref", "refs/remotes/origin/x", "HEAD"],
    );
    let notices = snapshot(&worktree).notices;
    let told = notices.iter().find(|notice| notice.starts_with("made in"));
    let told = told.unwrap_or_else(|| panic!("{notices:?}"));
    let stash = f.git(&["rev-parse", "stash"]);
    let new = format!(": refs/heads/spare, refs/tags/v1, the stash {stash}");
    assert!(told.ends_with(&new), "{told}");
    assert!(
        notices
            .iter()
            .any(|notice| notice.contains("refs/heads/topic: it stays"))
    );
    f.remove();
    assert!(other.path().exists());
    for name in ["spare", "v1", "topic", "before", "stash"] {
        f.git(&["rev-parse", "--verify", name]);
    }
}

#[test]
fn what_the_agent_takes_from_the_repository_is_told_with_what_restores_it() {
    let f = Fixture::new();
    f.git(&["tag", "old"]);
    f.git(&["branch", "gone"]);
    f.git(&["branch", "moves"]);
    f.git(&["branch", "named"]);
    for content in ["one", "two", "three"] {
        f.write("README", content.as_bytes());
        f.git(&["stash", "push", "-q", "-m", content]);
    }
    for name in ["taken", "line\nend"] {
        let path = f.dir().join(name).display().to_string();
        f.git(&["worktree", "add", "-q", "--detach", &path]);
    }
    let [three, two] = ["stash@{0}", "stash@{1}"].map(|name| f.git(&["rev-parse", name]));
    let worktree = f.add();
    let base = f.git(&["rev-parse", "HEAD"]);
    let at = worktree.path();
    git(at, &["stash", "drop", "-q", "stash@{1}"]);
    let taken = f.dir().join("taken").display().to_string();
    git(at, &["worktree", "remove", &taken]);
    git(at, &["tag", "-d", "old"]);
    git(at, &["branch", "-q", "-D", "gone"]);
    git(at, &["branch", "-q", "-m", "named", "renamed"]);
    git(at, &["commit", "-q", "--allow-empty", "-m", "new"]);
    git(at, &["branch", "-q", "-f", "moves"]);
    let head = git(at, &["rev-parse", "HEAD"]);
    let notices = snapshot(&worktree).notices;
    let all = notices.join("\n");
    for wanted in [
        format!("refs/heads/gone, which was at {base}"),
        format!("refs/heads/named, which was at {base}"),
        format!("refs/tags/old, which was at {base}"),
        format!("refs/heads/moves from {base} to {head}"),
        "refs/heads/renamed".to_owned(),
        format!(
            "removed in the repository during the run, by the agent or by another program: the worktree {taken}\n"
        ),
        format!(
            "dropped from the stash in the repository during the run, by the agent or by another program: {two};"
        ),
    ] {
        assert!(all.contains(&wanted), "{wanted}: {all}");
    }
    assert!(!all.contains(&three), "{all}");
    f.git(&["stash", "store", &two]);
    f.git(&["update-ref", "refs/tags/old", &base]);
}

#[test]
fn the_history_of_a_repository_in_the_worktrees_place_is_kept() {
    let f = Fixture::new();
    let worktree = f.add();
    let at = worktree.path();
    fs::remove_file(at.join(".git")).expect("a link");
    git(at, &["init", "-q", "."]);
    git(at, &["add", "-A"]);
    git(at, &["commit", "-q", "-m", "own"]);
    write(&at.join("new"), b"n\n");
    let taken = snapshot(&worktree);
    let kept = format!("{REF}.inside.1");
    let said = taken.notices.iter().any(|notice| notice.ends_with(&kept));
    assert!(said && taken.left_out.is_empty(), "{:?}", taken.notices);
    assert_eq!(f.git(&["log", "-1", "--format=%s", &kept]), "own");
    assert_eq!(f.git(&["show", &format!("{REF}:new")]), "n");
}
