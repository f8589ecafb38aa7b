//! Taking what the agent left.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use cx_operator::worktree::diff::FileStatus;
use cx_operator::worktree::{Changes, Worktree};

use crate::fixture::{Fixture, REF, git, snapshot, write};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// The tree `git add -A` gives for the worktree as it is.
fn tree_of_git(worktree: &Worktree) -> String {
    git(worktree.path(), &["add", "-A"]);
    git(worktree.path(), &["write-tree"])
}

fn tree_of_snapshot(f: &Fixture) -> String {
    f.git(&["rev-parse", &format!("{REF}^{{tree}}")])
}

fn names(f: &Fixture) -> String {
    f.git(&["ls-tree", "-r", "--name-only", REF])
}

#[test]
fn nothing_changed_is_said_and_leaves_no_ref() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&worktree.path().join("debug.log"), b"ignored");
    write(&worktree.path().join("build/out"), b"ignored");
    let taken = snapshot(&worktree);
    assert_eq!((taken.result_commit, taken.changes), (None, Changes::None));
    assert!(
        taken.diff.files.is_empty() && taken.notices.is_empty(),
        "{taken:?}"
    );
    assert_eq!(f.git(&["for-each-ref", "refs/cx-operator"]), "");
}

#[test]
fn every_kind_of_change_is_stored_as_git_stores_it() {
    let f = Fixture::new();
    f.write("gone", b"gone\n");
    f.write("kind", b"a file\n");
    f.write("dir/inside", b"x\n");
    f.write("plain", b"a file that becomes a directory\n");
    f.commit("more");
    let worktree = f.add();
    let at = |path: &str| worktree.path().join(path);
    fs::remove_file(at("gone")).expect("a file");
    fs::remove_file(at("kind")).expect("a file");
    symlink("/etc/passwd", at("kind")).expect("a link");
    fs::remove_dir_all(at("dir")).expect("a directory");
    write(&at("dir"), b"now a file\n");
    fs::remove_file(at("plain")).expect("a file");
    write(&at("plain/inside"), b"y\n");
    set_mode(&at("README"), 0o755);
    fs::rename(at("src/lib.rs"), at("src/renamed.rs")).expect("a rename");
    write(
        &at("binary"),
        (0..=255).cycle().take(5000).collect::<Vec<u8>>(),
    );
    write(&at("empty"), b"");
    symlink("nowhere", at("dangling")).expect("a link");
    symlink("..", at("loop")).expect("a link");
    fs::write(
        worktree
            .path()
            .join(OsStr::from_bytes(b"caf\xe9 \"q\"\n\ttab")),
        "n",
    )
    .expect("a file");
    let taken = snapshot(&worktree);
    assert_eq!(taken.changes, Changes::Uncommitted);
    assert_eq!(tree_of_snapshot(&f), tree_of_git(&worktree));
    assert_eq!(
        f.git(&["show", "-s", "--format=%an <%ae>%n%cn%n%P", REF])
            .lines()
            .collect::<Vec<_>>(),
        [
            "cx-operator <cx-operator@localhost>",
            "cx-operator",
            &f.git(&["rev-parse", "main"]),
        ]
    );
    let status = |path: &str| {
        taken
            .diff
            .files
            .iter()
            .find(|c| c.path == path)
            .map(|c| (c.status, c.binary))
    };
    assert_eq!(status("binary"), Some((FileStatus::Added, true)));
    assert_eq!(status("kind"), Some((FileStatus::TypeChanged, false)));
    assert_eq!(status("README"), Some((FileStatus::Modified, false)));
    assert_eq!(status("src/renamed.rs"), Some((FileStatus::Renamed, false)));
    assert_eq!(status("gone"), Some((FileStatus::Deleted, false)));
    f.git(&["fsck", "--strict"]);
}

#[test]
fn numbers_are_those_of_git() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&worktree.path().join("README"), b"one\n2\nthree\nfour");
    fs::remove_file(worktree.path().join("src/lib.rs")).expect("a file");
    write(&worktree.path().join("new"), b"a\nb\n");
    let taken = snapshot(&worktree);
    let base = f.git(&["rev-parse", "main"]);
    let shortstat = f.git(&["diff", "--shortstat", &base, REF]);
    let ours = format!(
        "{} files changed, {} insertions(+), {} deletions(-)",
        taken.diff.files.len(),
        taken.diff.insertions,
        taken.diff.deletions
    );
    assert_eq!(shortstat.trim_start(), ours);
}

#[test]
fn commits_and_files_are_told_apart() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&worktree.path().join("a"), b"a\n");
    git(worktree.path(), &["add", "a"]);
    git(worktree.path(), &["commit", "-q", "-m", "first\n\nbody"]);
    git(
        worktree.path(),
        &["commit", "-q", "--allow-empty", "-m", "second"],
    );
    let committed = snapshot(&worktree);
    assert_eq!(committed.changes, Changes::Committed);
    let head = git(worktree.path(), &["rev-parse", "HEAD"]);
    assert_eq!(committed.result_commit.expect("a result").to_string(), head);
    let summaries: Vec<_> = committed
        .agent_commits
        .iter()
        .map(|c| &c.summary[..])
        .collect();
    assert_eq!(
        (summaries, committed.agent_commit_count),
        (vec!["first", "second"], 2)
    );
    assert_eq!(committed.agent_commits[0].author, "Ada <ada@example.com>");
    write(&worktree.path().join("b"), b"b\n");
    let both = snapshot(&worktree);
    assert_eq!(both.changes, Changes::Both);
    assert_eq!(f.git(&["rev-parse", &format!("{REF}^")]), head);
    assert_eq!(both.diff.files.len(), 2);
}

#[test]
fn a_head_anywhere_is_followed_and_one_nowhere_is_reported() {
    let f = Fixture::new();
    let worktree = f.add();
    git(worktree.path(), &["checkout", "-q", "-b", "other"]);
    git(
        worktree.path(),
        &["commit", "-q", "--allow-empty", "-m", "there"],
    );
    let taken = snapshot(&worktree);
    assert_eq!(taken.agent_commit_count, 1);
    assert_eq!(
        taken.notices,
        ["the agent left the branch refs/heads/other: it stays"]
    );
    git(worktree.path(), &["checkout", "-q", "--detach"]);
    git(
        worktree.path(),
        &["commit", "-q", "--allow-empty", "-m", "detached"],
    );
    assert_eq!(snapshot(&worktree).agent_commit_count, 2);
    git(worktree.path(), &["checkout", "-q", "--orphan", "fresh"]);
    let taken = snapshot(&worktree);
    assert!(
        taken
            .notices
            .iter()
            .any(|n| n.contains("HEAD has no commit")),
        "{:?}",
        taken.notices
    );
    git(worktree.path(), &["commit", "-q", "-m", "root"]);
    write(&worktree.path().join("README"), b"new\n");
    let taken = snapshot(&worktree);
    assert!(
        taken.notices.iter().any(|n| n.contains("descend")),
        "{:?}",
        taken.notices
    );
    assert_eq!(
        taken.diff.files.len(),
        1,
        "compared with the base all the same"
    );
    for garbage in ["", "ref: refs/heads/../../x", "zzz"] {
        fs::write(worktree.admin_dir().join("HEAD"), garbage).expect("a file");
        assert_eq!(snapshot(&worktree).diff.files.len(), 1, "{garbage}");
    }
}

#[test]
fn the_agents_git_file_and_index_are_not_believed() {
    let f = Fixture::new();
    let worktree = f.add();
    let elsewhere = f.dir().join("elsewhere");
    git(f.dir(), &["clone", "-q", "repo", "elsewhere"]);
    write(&worktree.path().join("README"), b"changed\n");
    git(
        worktree.path(),
        &["update-index", "--assume-unchanged", "src/lib.rs"],
    );
    write(&worktree.path().join("src/lib.rs"), b"hidden\n");
    write(&worktree.admin_dir().join("index.lock"), b"");
    write(
        &worktree.path().join(".git"),
        format!("gitdir: {}/.git\n", elsewhere.display()).as_bytes(),
    );
    let index = fs::read(worktree.admin_dir().join("index")).expect("an index");
    assert_eq!(snapshot(&worktree).diff.files.len(), 2);
    assert_eq!(
        fs::read(worktree.admin_dir().join("index")).expect("an index"),
        index
    );
    write(&worktree.admin_dir().join("index"), b"corrupt");
    write(&worktree.path().join("third"), b"3");
    let taken = snapshot(&worktree);
    assert_eq!(taken.diff.files.len(), 3);
    assert!(
        taken.notices.iter().any(|n| n.contains("index")),
        "{:?}",
        taken.notices
    );
    fs::remove_file(worktree.path().join(".git")).expect("a file");
    symlink(elsewhere.join(".git"), worktree.path().join(".git")).expect("a link");
    assert_eq!(snapshot(&worktree).diff.files.len(), 3);
    fs::write(worktree.admin_dir().join("cx-operator.index"), "corrupt").expect("a file");
    assert_eq!(
        snapshot(&worktree).diff.files.len(),
        3,
        "without the seed too"
    );
}

#[test]
fn a_change_that_keeps_size_and_time_is_seen() {
    let f = Fixture::new();
    let worktree = f.add();
    let path = worktree.path().join("README");
    let times = fs::metadata(&path)
        .and_then(|m| m.modified())
        .expect("a time");
    fs::write(&path, "eno\ntwo\nthree\n").expect("a file");
    fs::File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_modified(times))
        .expect("a time");
    assert_eq!(snapshot(&worktree).diff.files.len(), 1);
}

#[test]
fn ignore_rules_are_those_in_the_worktree() {
    let f = Fixture::new();
    write(&f.root().join(".git/info/exclude"), b"private\n");
    let worktree = f.add();
    let at = |path: &str| worktree.path().join(path);
    for path in [
        "a.log",
        "private",
        "build/x",
        "src/build/y",
        "target/z",
        "kept.tmp",
        "sub/only.here",
    ] {
        write(&at(path), b"content");
    }
    write(
        &at(".gitignore"),
        b"target/\n*.tmp\n!kept.tmp\nbuild/\nprivate2\n",
    );
    write(&at("sub/.gitignore"), b"*.here\n");
    snapshot(&worktree);
    assert_eq!(tree_of_snapshot(&f), tree_of_git(&worktree));
    let names = names(&f);
    assert!(
        names.contains("a.log") && names.contains("kept.tmp"),
        "{names}"
    );
    for hidden in ["private\n", "build/", "target", "only.here"] {
        assert!(!names.contains(hidden), "{hidden} in {names}");
    }
}

#[test]
fn an_ignored_file_that_is_tracked_or_staged_is_stored() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&worktree.path().join("committed.log"), b"1\n");
    write(&worktree.path().join("build/staged"), b"1\n");
    write(&worktree.path().join("plain.log"), b"1\n");
    git(worktree.path(), &["add", "-f", "committed.log"]);
    git(worktree.path(), &["commit", "-q", "-m", "forced"]);
    git(worktree.path(), &["add", "-f", "build/staged"]);
    write(&worktree.path().join("committed.log"), b"2\n");
    snapshot(&worktree);
    assert_eq!(f.git(&["show", &format!("{REF}:committed.log")]), "2");
    assert_eq!(tree_of_snapshot(&f), tree_of_git(&worktree));
}

#[test]
fn a_repository_inside_is_stored_as_files() {
    let f = Fixture::new();
    let worktree = f.add();
    let nested = worktree.path().join("vendor/nested");
    git(
        worktree.path(),
        &[
            "clone",
            "-q",
            f.root().to_str().expect("UTF-8"),
            "vendor/nested",
        ],
    );
    write(&nested.join("work"), b"in progress\n");
    write(&nested.join("x.log"), b"ignored");
    git(worktree.path(), &["init", "-q", "bare-start"]);
    write(&worktree.path().join("bare-start/file"), b"f\n");
    write(&worktree.path().join("odd/.git"), b"no repository at all");
    write(&worktree.path().join("odd/file"), b"f\n");
    let taken = snapshot(&worktree);
    let names = names(&f);
    for stored in [
        "vendor/nested/work",
        "vendor/nested/src/deep/er.rs",
        "bare-start/file",
        "odd/file",
    ] {
        assert!(names.contains(stored), "{stored} missing in {names}");
    }
    assert!(
        !names.contains("x.log") && !names.contains("/.git/"),
        "{names}"
    );
    assert_eq!(taken.notices.len(), 3, "{:?}", taken.notices);
    f.git(&["fsck", "--strict"]);
}

#[test]
fn line_endings_make_no_change_of_their_own() {
    let f = Fixture::new();
    f.write("crlf", b"a\r\nb\r\n");
    f.write("lf", b"a\nb\n");
    f.commit("both kinds");
    f.git(&["config", "core.autocrlf", "true"]);
    let worktree = f.add();
    assert_eq!(
        fs::read(worktree.path().join("lf")).expect("a file"),
        b"a\r\nb\r\n"
    );
    for path in ["crlf", "lf"] {
        // New times, same content.
        fs::write(worktree.path().join(path), b"a\r\nb\r\n").expect("a file");
    }
    assert_eq!(snapshot(&worktree).result_commit, None);
    fs::write(worktree.path().join("new"), b"x\r\n").expect("a file");
    snapshot(&worktree);
    assert_eq!(tree_of_snapshot(&f), tree_of_git(&worktree));
}

#[test]
fn modes_are_left_alone_where_they_mean_nothing() {
    let f = Fixture::new();
    f.write("run", b"#!/bin/sh\n");
    set_mode(&f.root().join("run"), 0o755);
    f.commit("executable");
    f.git(&["config", "core.fileMode", "false"]);
    let worktree = f.add();
    set_mode(&worktree.path().join("run"), 0o600);
    set_mode(&worktree.path().join("README"), 0o700);
    assert_eq!(snapshot(&worktree).result_commit, None);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let f = Fixture::new();
    let worktree = f.add();
    let secret = worktree.path().join("src/secret");
    write(&secret, b"x");
    set_mode(&secret, 0o000);
    if fs::read(&secret).is_ok() {
        // Root reads everything, and must then store it.
        assert_eq!(snapshot(&worktree).diff.files.len(), 1);
        return;
    }
    write(&worktree.path().join("src/other"), b"o");
    let taken = snapshot(&worktree);
    assert_eq!(taken.left_out, [Path::new("src/secret")]);
    assert_eq!(f.git(&["show", &format!("{REF}:src/other")]), "o");
}

#[test]
fn what_is_neither_file_nor_link_is_reported() {
    let f = Fixture::new();
    let worktree = f.add();
    let _socket =
        std::os::unix::net::UnixListener::bind(worktree.path().join("sock")).expect("a socket");
    let taken = snapshot(&worktree);
    assert_eq!(taken.result_commit, None);
    assert!(
        taken.notices.iter().any(|n| n.contains("sock")),
        "{:?}",
        taken.notices
    );
}
