//! What is uncommitted in the caller's checkout as a base: as `git add -A` with a copy of the caller's index has it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use crate::fixture::{Fixture, command, git, write};

/// What git makes of the checkout.
fn tree_of_git(f: &Fixture) -> String {
    let index = f.root().join(".git/index.of-git");
    fs::copy(f.root().join(".git/index"), &index).expect("an index");
    let run = |args: &[&str]| {
        let mut git = command(&f.root(), args);
        let output = git.env("GIT_INDEX_FILE", &index).output();
        let output = output.expect("git runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    run(&["add", "-A", "--sparse"]);
    let tree = run(&["write-tree"]);
    fs::remove_file(&index).expect("it was there");
    tree
}

/// Makes a base of the checkout; returns its tree and the notices.
fn taken(f: &Fixture) -> (String, Vec<String>) {
    let repo = f.repo();
    let head = repo.resolve_base("HEAD").expect("a commit");
    let (base, notices) = repo.snapshot_dirty(head, "dirty").expect("a commit");
    (f.git(&["rev-parse", &format!("{base}^{{tree}}")]), notices)
}

fn assert_as_git(f: &Fixture) -> Vec<String> {
    let expected = tree_of_git(f);
    let before = f.state();
    let (tree, notices) = taken(f);
    let differ = || f.git(&["diff-tree", "-r", &expected, &tree]);
    assert_eq!(tree, expected, "{notices:?}\n{}", differ());
    assert!(f.state() == before, "it left a trace");
    notices
}

fn with_submodule() -> Fixture {
    let f = Fixture::new();
    git(f.dir(), &["clone", "-q", "repo", "inner"]);
    let inner = f.dir().join("inner");
    let url = inner.to_str().expect("UTF-8");
    let allow = ["-c", "protocol.file.allow=always", "submodule"];
    f.git(&[&allow[..], &["add", "-q", url, "sub"]].concat());
    f.commit("a submodule");
    f
}

#[test]
fn a_submodule_stays_one() {
    let f = with_submodule();
    f.write("sub/dirty", b"d\n");
    assert_as_git(&f);
    let sub = f.root().join("sub");
    git(&sub, &["commit", "-q", "--allow-empty", "-m", "ahead"]);
    let head = git(&sub, &["rev-parse", "HEAD"]);
    let dirty = f.repo().query_dirty().expect("an answer");
    assert_eq!((dirty.modified, dirty.untracked), (1, 0));
    assert_as_git(&f);
    let entry = f.git(&["ls-tree", &taken(&f).0, "sub"]);
    assert_eq!(entry, format!("160000 commit {head}\tsub"));
    fs::create_dir(f.root().join("libs")).expect("a directory");
    f.git(&["mv", "sub", "libs/sub"]);
    assert_as_git(&f);
    f.git(&["submodule", "deinit", "-q", "-f", "libs/sub"]);
    assert_as_git(&f);
}

#[test]
fn what_the_index_hides_is_hidden() {
    let f = Fixture::new();
    f.git(&["update-index", "--assume-unchanged", "README"]);
    f.git(&["update-index", "--skip-worktree", "src/lib.rs"]);
    f.write("README", b"a setting of my own\n");
    f.write("src/lib.rs", b"a setting of my own\n");
    f.write("seen", b"s\n");
    let notices = assert_as_git(&f);
    assert_eq!(notices, Vec::<String>::new());
    assert_eq!(
        f.git(&["show", &format!("{}:README", taken(&f).0)]),
        "one\ntwo\nthree"
    );
}

#[test]
fn what_is_staged_in_any_way_counts_as_git_counts_it() {
    let f = Fixture::new();
    f.write("x.log", b"forced\n");
    f.git(&["add", "-f", "x.log"]);
    f.git(&["rm", "-q", "--cached", "README"]);
    f.write("intended", b"i\n");
    f.git(&["add", "-N", "intended"]);
    f.git(&["update-index", "--chmod=+x", "src/lib.rs"]);
    symlink("nowhere", f.root().join("link")).expect("a link");
    assert_as_git(&f);
    f.git(&["config", "core.fileMode", "false"]);
    assert_as_git(&f);
}

#[test]
fn a_merge_that_is_not_finished_is_taken_as_the_files_are() {
    let f = Fixture::new();
    f.git(&["checkout", "-q", "-b", "other"]);
    f.write("README", b"theirs\n");
    f.commit("theirs");
    f.git(&["checkout", "-q", "main"]);
    f.write("README", b"ours\n");
    f.commit("ours");
    assert!(
        !command(&f.root(), &["merge", "-q", "other"])
            .output()
            .expect("git")
            .status
            .success()
    );
    assert_as_git(&f);
}

#[test]
fn what_git_refuses_costs_nothing_else_and_is_said() {
    let f = Fixture::new();
    f.git(&["config", "core.autocrlf", "input"]);
    f.git(&["config", "core.safecrlf", "true"]);
    f.write("crlf", b"a\r\nb\r\n");
    f.write("closed", b"c\n");
    f.write("fine", b"f\n");
    fs::set_permissions(f.root().join("closed"), fs::Permissions::from_mode(0o000))
        .expect("a mode");
    let readable = fs::read(f.root().join("closed")).is_ok();
    Command::new("mkfifo")
        .arg(f.root().join("pipe"))
        .status()
        .expect("mkfifo runs");
    git(&f.root(), &["init", "-q", "empty"]);
    write(&f.root().join("empty/inside"), b"i\n");
    git(&f.root(), &["init", "-q", "own"]);
    git(
        &f.root().join("own"),
        &["commit", "-q", "--allow-empty", "-m", "own"],
    );
    let (tree, notices) = taken(&f);
    let names = f.git(&["ls-tree", "-r", "--name-only", &tree]);
    assert!(
        names.contains("fine") && names.contains("crlf"),
        "{names}: {notices:?}"
    );
    let mut said = vec!["crlf", "pipe", "empty", "own"];
    if !readable {
        said.push("closed");
    }
    for name in said {
        let of_it = notices.iter().filter(|notice| notice.starts_with(name));
        assert_eq!(of_it.count(), 1, "{name}: {notices:?}");
    }
}
