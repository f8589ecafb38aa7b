//! What the agent did in git rather than in files: its index, its sparse patterns, repositories of its own.

use std::fs;
use std::os::unix::fs::symlink;

use cx_operator::worktree::{Repository, Worktree};

use crate::fixture::{Fixture, REF, git, snapshot, write};

fn names(f: &Fixture) -> String {
    f.git(&["ls-tree", "-r", "--name-only", REF])
}

#[test]
fn what_the_agent_tracks_no_more_and_ignores_is_gone() {
    let f = Fixture::new();
    f.write(".env", b"key\n");
    f.commit("a mistake");
    let worktree = f.add();
    git(
        worktree.path(),
        &["rm", "-q", "--cached", ".env", "src/lib.rs"],
    );
    write(&worktree.path().join(".gitignore"), b".env\n");
    snapshot(&worktree);
    let names = names(&f);
    assert!(
        !names.contains(".env") && names.contains("src/lib.rs"),
        "{names}"
    );
}

#[test]
fn a_mode_that_only_the_index_has_counts() {
    let f = Fixture::new();
    f.git(&["config", "core.fileMode", "false"]);
    let worktree = f.add();
    git(worktree.path(), &["add", "--chmod=+x", "README"]);
    snapshot(&worktree);
    assert!(f.git(&["ls-tree", REF, "README"]).starts_with("100755"));
}

#[test]
fn an_intent_to_add_is_a_file() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&worktree.path().join("debug.log"), b"wanted\n");
    git(worktree.path(), &["add", "-N", "-f", "debug.log"]);
    snapshot(&worktree);
    assert_eq!(f.git(&["show", &format!("{REF}:debug.log")]), "wanted");
}

#[test]
fn what_the_agent_hides_is_not_deleted() {
    for args in [
        &[
            "sparse-checkout",
            "set",
            "--cone",
            "--sparse-index",
            "src/deep",
        ][..],
        &["sparse-checkout", "set", "--no-cone", "/README"],
        &["update-index", "--skip-worktree", "src/lib.rs"],
    ] {
        let f = Fixture::new();
        f.write("docs/a/b", b"b\n");
        f.commit("more");
        let worktree = f.add();
        write(&worktree.path().join("README"), b"changed\n");
        git(worktree.path(), args);
        if args[0] == "update-index" {
            fs::remove_file(worktree.path().join("src/lib.rs")).expect("a file");
        }
        let taken = snapshot(&worktree);
        let seen: Vec<_> = taken.diff.files.iter().map(|file| &file.path[..]).collect();
        assert_eq!(seen, ["README"], "{args:?}");
    }
}

#[test]
fn a_split_index_of_the_agents_is_read() {
    let f = Fixture::new();
    let worktree = f.add();
    git(worktree.path(), &["update-index", "--split-index"]);
    write(&worktree.path().join("debug.log"), b"wanted\n");
    git(worktree.path(), &["add", "-f", "debug.log"]);
    let taken = snapshot(&worktree);
    assert_eq!(
        (taken.diff.file_count, taken.notices.len()),
        (1, 0),
        "{taken:?}"
    );
}

#[test]
fn a_repository_that_the_agent_committed_as_a_link_is_kept_whole() {
    let f = Fixture::new();
    let worktree = f.add();
    let front = worktree.path().join("front");
    git(worktree.path(), &["init", "-q", "front"]);
    write(&front.join("app"), b"app\n");
    git(&front, &["add", "-A"]);
    git(&front, &["commit", "-q", "-m", "inside"]);
    git(worktree.path(), &["add", "-A"]);
    git(worktree.path(), &["commit", "-q", "-m", "outside"]);
    write(&front.join("more"), b"more\n");
    let taken = snapshot(&worktree);
    assert_eq!(f.git(&["show", &format!("{REF}:front/app")]), "app");
    assert_eq!(f.git(&["show", &format!("{REF}:front/more")]), "more");
    let kept = format!("{REF}.inside.1");
    assert!(
        taken.notices.iter().any(|n| n.ends_with(&kept)),
        "{:?}",
        taken.notices
    );
    f.remove();
    assert_eq!(f.git(&["log", "-1", "--format=%s", &kept]), "inside");
    f.git(&["fsck", "--strict", "--no-dangling"]);
}

/// A repository with a submodule `sub`, and a worktree in which it is checked out.
fn with_submodule() -> (Fixture, Worktree) {
    let f = Fixture::new();
    git(f.dir(), &["clone", "-q", "repo", "inner"]);
    let inner = f.dir().join("inner");
    let url = inner.to_str().expect("UTF-8");
    let allow = ["-c", "protocol.file.allow=always", "submodule"];
    f.git(&[&allow[..], &["add", "-q", url, "sub"]].concat());
    f.commit("a submodule");
    let worktree = f.add();
    git(
        worktree.path(),
        &[&allow[..], &["update", "-q", "--init"]].concat(),
    );
    (f, worktree)
}

#[test]
fn a_submodule_that_is_ahead_stays_one_and_its_commits_are_kept() {
    let (f, worktree) = with_submodule();
    let sub = worktree.path().join("sub");
    write(&sub.join("new"), b"n\n");
    git(&sub, &["add", "-A"]);
    git(&sub, &["commit", "-q", "-m", "ahead"]);
    let head = git(&sub, &["rev-parse", "HEAD"]);
    let taken = snapshot(&worktree);
    let entry = f.git(&["ls-tree", REF, "sub"]);
    assert_eq!(
        entry,
        format!("160000 commit {head}\tsub"),
        "{:?}",
        taken.notices
    );
    f.remove();
    assert_eq!(f.git(&["rev-parse", &format!("{REF}.inside.1")]), head);
    f.git(&["fsck", "--no-dangling"]);
}

#[test]
fn a_submodule_that_moved_or_went_is_seen_as_git_sees_it() {
    let (f, worktree) = with_submodule();
    fs::create_dir(worktree.path().join("libs")).expect("a directory");
    git(worktree.path(), &["mv", "sub", "libs/sub"]);
    let taken = snapshot(&worktree);
    let names = names(&f);
    assert!(
        names.contains("libs/sub") && !names.contains("\nsub"),
        "{names}"
    );
    assert!(
        f.git(&["ls-tree", REF, "libs/sub"]).starts_with("160000"),
        "{:?}",
        taken.notices
    );
    fs::remove_dir_all(worktree.path().join("libs")).expect("a directory");
    snapshot(&worktree);
    assert!(!self::names(&f).contains("sub"));
}

#[test]
fn links_and_files_that_git_refuses_cost_nothing_else() {
    let f = Fixture::new();
    f.git(&["config", "core.autocrlf", "input"]);
    f.git(&["config", "core.safecrlf", "true"]);
    f.git(&["config", "filter.strict.clean", "false"]);
    f.git(&["config", "filter.strict.required", "true"]);
    let worktree = f.add();
    let at = |path: &str| worktree.path().join(path);
    symlink("elsewhere", at(".gitmodules")).expect("a link");
    write(&at(".gitattributes"), b"strict* filter=strict\n");
    write(&at("strict"), b"raw\n");
    write(&at("strict \"2\"\n"), b"raw\n");
    write(&at("crlf"), b"a\r\nb\r\n");
    write(&at("plain"), b"p\n");
    write(&at(".codex"), b"");
    let taken = snapshot(&worktree);
    let names = names(&f);
    for stored in ["strict", "crlf", "plain", ".gitattributes"] {
        assert!(
            names.contains(stored),
            "{stored} in {names}: {:?}",
            taken.notices
        );
    }
    assert!(
        !names.contains(".gitmodules") && !names.contains(".codex"),
        "{names}"
    );
    assert_eq!(f.git(&["cat-file", "-s", &format!("{REF}:crlf")]), "6");
    assert!(taken.left_out.is_empty(), "{:?}", taken.left_out);
    assert!(
        taken.notices.iter().any(|n| n.contains(".gitmodules")),
        "{:?}",
        taken.notices
    );
}

/// git stores such a link where a file was, and refuses each patch that makes it.
#[test]
fn a_link_in_place_of_the_list_of_submodules_is_left_out() {
    let (f, worktree) = with_submodule();
    let at = worktree.path();
    fs::rename(at.join(".gitmodules"), at.join("list")).expect("a move");
    symlink("list", at.join(".gitmodules")).expect("a link");
    for commits in [false, true] {
        if commits {
            git(at, &["add", "-A"]);
            git(at, &["commit", "-q", "-m", "a link"]);
        }
        let taken = snapshot(&worktree);
        let tree = f.git(&["ls-tree", REF, ".gitmodules", "list"]);
        let links = tree.lines().filter(|line| line.starts_with("120000"));
        assert_eq!((links.count(), tree.lines().count()), (0, 2), "{tree}");
        let said = taken
            .notices
            .iter()
            .any(|n| n.contains(".gitmodules is a link"));
        assert!(said, "{:?}", taken.notices);
    }
}

#[test]
fn attributes_of_nobody_have_a_say_in_the_numbers() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&f.root().join(".git/info/attributes"), b"* -diff\n");
    write(&worktree.path().join("README"), b"one\n");
    let taken = snapshot(&worktree);
    assert_eq!((taken.diff.insertions, taken.diff.deletions), (0, 2));
}

#[test]
fn many_edited_renames_are_all_found() {
    let f = Fixture::new();
    let lines = |n: usize| {
        (0..20)
            .map(|line| format!("{n} {line}\n"))
            .collect::<String>()
    };
    for n in 0..300 {
        f.write(&format!("old/{n}"), lines(n).as_bytes());
    }
    f.commit("many");
    let worktree = f.add();
    fs::rename(worktree.path().join("old"), worktree.path().join("new")).expect("a rename");
    for n in 0..300 {
        let text = lines(n) + "edited\n";
        write(&worktree.path().join(format!("new/{n}")), text.as_bytes());
    }
    let diff = snapshot(&worktree).diff;
    assert_eq!(
        (diff.file_count, diff.insertions, diff.deletions),
        (300, 300, 0)
    );
}

#[test]
fn a_sparse_partial_clone_fetches_nothing_for_a_new_file() {
    let f = Fixture::new();
    f.write("big/huge", b"huge\n");
    f.commit("more");
    f.git(&["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", f.root().display());
    git(
        f.dir(),
        &[
            "clone",
            "-q",
            "--filter=blob:none",
            "--sparse",
            &url,
            "partial",
        ],
    );
    let repo = Repository::discover(&f.dir().join("partial")).expect("a repository");
    let worktree = Worktree::add(&repo, &f.spec("t")).expect("a worktree");
    // Nothing can be fetched from now on.
    fs::rename(f.root().join(".git/objects"), f.dir().join("away")).expect("a rename");
    write(&worktree.path().join("big/new"), b"n\n");
    write(&worktree.path().join("README"), b"changed\n");
    let taken = snapshot(&worktree);
    assert_eq!(taken.diff.file_count, 2, "{:?}", taken.notices);
    fs::rename(f.dir().join("away"), f.root().join(".git/objects")).expect("a rename");
}

#[test]
fn a_dirty_checkout_of_any_kind_becomes_a_base() {
    for setup in [
        &["update-index", "--split-index"][..],
        &["sparse-checkout", "set", "--cone", "--sparse-index", "src"],
    ] {
        let f = Fixture::new();
        f.write("docs/hidden", b"h\n");
        f.commit("more");
        f.git(setup);
        f.write("src/new", b"n\n");
        let repo = f.repo();
        let head = repo.resolve_base("HEAD").expect("a commit");
        let (base, notices) = repo.snapshot_dirty(head, "dirty").expect("a commit");
        assert!(notices.is_empty(), "{notices:?}");
        let seen = f.git(&[
            "diff-tree",
            "-r",
            "--name-only",
            &head.to_string(),
            &base.to_string(),
        ]);
        assert_eq!(seen, "src/new", "{setup:?}");
    }
}
