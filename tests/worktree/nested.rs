//! Repositories that the agent makes inside its worktree: their files are in the result, their commits under refs of ours.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use cx_operator::worktree::{Snapshot, Worktree};
use rustix::fs::Mode;
use testkit::wait::LIMIT;

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

/// A worktree with a submodule that is checked out, at `libs/sub`.
fn with_submodule() -> (Fixture, Worktree) {
    let allow = "protocol.file.allow=always";
    let f = Fixture::new();
    let origin = f.dir().join("origin");
    init(&origin, "fetched");
    let origin = origin.to_str().expect("UTF-8");
    f.git(&[
        "-c",
        allow,
        "submodule",
        "--quiet",
        "add",
        origin,
        "libs/sub",
    ]);
    f.commit("with a submodule");
    let worktree = f.add();
    git(
        worktree.path(),
        &["-c", allow, "submodule", "--quiet", "update", "--init"],
    );
    (f, worktree)
}

#[test]
fn the_commits_of_a_submodule_that_went_are_kept() {
    for gone in [
        &["rm", "-qf", "libs/sub"][..],
        &["submodule", "--quiet", "deinit", "-f", "libs/sub"],
    ] {
        let (f, worktree) = with_submodule();
        let sub = worktree.path().join("libs/sub");
        git(&sub, &["checkout", "-q", "-b", "work"]);
        git(&sub, &["commit", "-q", "--allow-empty", "-m", "work"]);
        git(worktree.path(), gone);
        let taken = snapshot(&worktree);
        assert_eq!(kept(&f), ["work"], "{gone:?}: {:?}", taken.notices);
        assert!(taken.left_out.is_empty(), "{:?}", taken.left_out);
    }
}

#[test]
fn a_pipe_in_the_git_directory_of_a_submodule_keeps_nobody_waiting() {
    for is_there in [true, false] {
        let (_f, worktree) = with_submodule();
        let sub = worktree.path().join("libs/sub");
        let git_dir = git(&sub, &["rev-parse", "--absolute-git-dir"]);
        let packed = Path::new(&git_dir).join("packed-refs");
        drop(fs::remove_file(&packed));
        mkfifo(&packed);
        if !is_there {
            fs::remove_dir_all(&sub).expect("a directory");
        }
        let taken = snapshot_in_time(worktree);
        let left: Vec<_> = taken.left_out.iter().collect();
        assert_eq!(left, [Path::new("libs/sub")], "{:?}", taken.notices);
    }
}

#[test]
fn the_commits_of_a_worktree_that_is_ignored_or_gone_are_kept() {
    let f = Fixture::new();
    let worktree = f.add();
    let at = worktree.path();
    for (inner, branch) in [("build/inner", "--detach"), ("gone", "--detach")] {
        git(at, &["worktree", "add", "-q", branch, inner]);
        let inner = at.join(inner);
        let subject = inner.file_name().expect("a name").to_str();
        let subject = subject.expect("UTF-8");
        git(&inner, &["commit", "-q", "--allow-empty", "-m", subject]);
    }
    git(
        at,
        &["worktree", "add", "-q", "-b", "theirs", "build/theirs"],
    );
    let theirs = at.join("build/theirs");
    git(&theirs, &["commit", "-q", "--allow-empty", "-m", "theirs"]);
    fs::remove_dir_all(at.join("gone")).expect("a directory");
    let taken = snapshot(&worktree);
    assert_eq!(kept(&f), ["gone", "inner"], "{:?}", taken.notices);
}

#[test]
fn a_git_directory_behind_a_link_is_read() {
    let f = Fixture::new();
    let worktree = f.add();
    let at = worktree.path();
    init(&at.join("front"), "linked");
    fs::create_dir(at.join("build")).expect("a directory");
    fs::rename(at.join("front/.git"), at.join("build/store")).expect("a move");
    symlink("../build/store", at.join("front/.git")).expect("a link");
    let own = f.dir().join("own");
    init(&own, "in place of the worktree's");
    fs::remove_file(at.join(".git")).expect("a file");
    let text = format!("gitdir: {}\n", own.join(".git").display());
    write(&at.join(".git"), text.as_bytes());
    let taken = snapshot(&worktree);
    assert_stored(&f, &["front/committed"], &taken);
    let wanted = ["in place of the worktree's", "linked"];
    assert_eq!(kept(&f), wanted, "{:?}", taken.notices);
}

/// Each would have its reader wait for ever.
#[test]
fn a_pipe_in_a_git_directory_keeps_nobody_waiting() {
    let f = Fixture::new();
    let worktree = f.add();
    let at = worktree.path();
    let outside = f.dir().join("pipe");
    mkfifo(&outside);
    let places = [
        "HEAD",
        "config",
        "packed-refs",
        "shallow",
        "objects/info/alternates",
        "objects/pack/pack-a.idx",
    ];
    for (number, place) in places.into_iter().enumerate() {
        let dir = at.join(format!("pipe{number}"));
        init(&dir, place);
        let place = dir.join(".git").join(place);
        drop(fs::remove_file(&place));
        mkfifo(&place);
    }
    let include = format!("[Include]\n\tpath = {}\n", outside.display());
    let linked = at.join("link");
    init(&linked, "link");
    symlink(&outside, linked.join(".git/packed-refs")).expect("a link");
    let other = at.join("other");
    init(&other, "other");
    mkfifo(&other.join(".git/objects/info/packs"));
    for name in ["include", "alternate"] {
        init(&at.join(name), name);
    }
    write(&at.join("include/.git/config"), include.as_bytes());
    let alternate = at.join("alternate/.git/objects/info/alternates");
    write(&alternate, b"../../../other/.git/objects\n");
    write(&at.join(".gitmodules"), include.as_bytes());
    let taken = snapshot_in_time(worktree);
    assert_eq!(taken.left_out.len(), 10, "{:?}", taken.notices);
    assert_stored(&f, &["pipe0/committed", "include/committed"], &taken);
}

fn snapshot_in_time(worktree: Worktree) -> Snapshot {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || drop(done.send(snapshot(&worktree))));
    ended.recv_timeout(LIMIT).expect("it ends")
}

fn mkfifo(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, Mode::RUSR | Mode::WUSR).expect("a pipe");
}
