//! Finding and asking a repository.

use std::fs;
use std::path::Path;

use cx_operator::worktree::{
    BranchRemoval, Error, Removal, Repository, Worktree, WorktreeSpec, remove,
};

use crate::fixture::{Fixture, REF, command, git, output, snapshot, write};

#[test]
fn the_main_repository_is_found_from_everywhere() {
    let f = Fixture::new();
    let linked = f.dir().join("linked");
    f.git(&[
        "worktree",
        "add",
        "-q",
        "--detach",
        linked.to_str().expect("UTF-8"),
    ]);
    for start in [
        f.root(),
        f.root().join("src/deep"),
        linked.join("src"),
        f.root().join(".git"),
    ] {
        let repo = Repository::discover(&start).expect("a repository");
        assert_eq!(repo.root(), f.root(), "from {}", start.display());
        assert_eq!(repo.common_dir(), f.root().join(".git"));
    }
}

#[test]
fn a_bare_repository_is_its_own_root_and_takes_worktrees() {
    let f = Fixture::new();
    let bare = f.dir().join("bare.git");
    git(f.dir(), &["clone", "-q", "--bare", "repo", "bare.git"]);
    let repo = Repository::discover(&bare).expect("a repository");
    assert_eq!((repo.root(), repo.common_dir()), (&*bare, &*bare));
    assert!(repo.query_dirty().expect("an answer").is_clean());
    let worktree = Worktree::add(&repo, &f.spec("t")).expect("a worktree");
    assert_eq!(git(worktree.path(), &["status", "--porcelain"]), "");
    assert_eq!(
        git(worktree.path(), &["rev-parse", "--show-toplevel"]),
        worktree.path().to_str().expect("UTF-8")
    );
}

#[test]
fn what_is_no_usable_repository_is_refused_by_name() {
    let f = Fixture::empty();
    let plain = Repository::discover(f.dir());
    assert!(
        matches!(plain, Err(Error::NotARepository { .. })),
        "{plain:?}"
    );
    let unborn = f.repo().resolve_base("HEAD");
    assert!(matches!(unborn, Err(Error::NoCommit { .. })), "{unborn:?}");
    for (option, word) in [
        ("--ref-format=reftable", "reftable"),
        ("--object-format=sha256", "sha256"),
    ] {
        let dir = f.dir().join(word);
        git(f.dir(), &["init", "-q", option, word]);
        git(&dir, &["commit", "-q", "--allow-empty", "-m", "x"]);
        let error = Repository::discover(&dir).expect_err(word);
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn a_partial_clone_fetches_what_the_worktree_needs() {
    let f = Fixture::new();
    f.git(&["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", f.root().display());
    git(
        f.dir(),
        &[
            "clone",
            "-q",
            "--no-checkout",
            "--filter=blob:none",
            &url,
            "partial",
        ],
    );
    let repo = Repository::discover(&f.dir().join("partial")).expect("a repository");
    let spec = f.spec("t");
    let worktree = Worktree::add(&repo, &spec).expect("a worktree");
    assert_eq!(git(worktree.path(), &["status", "--porcelain"]), "");
    write(&worktree.path().join("README"), b"changed\n");
    let taken = snapshot(&worktree);
    assert_eq!((taken.diff.insertions, taken.diff.deletions), (1, 3));
}

#[test]
fn the_end_of_a_shallow_clone_is_none_of_a_run() {
    let f = Fixture::new();
    f.write("README", b"second\n");
    f.commit("second");
    let url = format!("file://{}", f.root().display());
    git(f.dir(), &["clone", "-q", "--depth=1", &url, "shallow"]);
    let repo = Repository::discover(&f.dir().join("shallow")).expect("a repository");
    let worktree = Worktree::add(&repo, &f.spec("t")).expect("a worktree");
    write(&worktree.path().join("README"), b"third\n");
    git(worktree.path(), &["commit", "-qam", "third"]);
    write(&worktree.path().join("new"), b"n\n");
    let taken = snapshot(&worktree);
    assert_eq!((taken.agent_commit_count, &taken.notices[..]), (1, &[][..]));
    let results = repo
        .result_refs()
        .expect("an answer")
        .into_values()
        .collect();
    let only = repo.only_in_results(&results).expect("an answer");
    assert_eq!(only, results);
    let what = Removal::WorktreeAndBranch { snapshot_ref: REF };
    let removed = remove(&repo, &f.spec("t"), what).expect("removal");
    assert_eq!(removed.branch, BranchRemoval::Removed);
}

#[test]
fn a_base_may_be_any_name_of_a_commit() {
    let f = Fixture::new();
    let first = f.git(&["rev-parse", "HEAD"]);
    f.git(&["tag", "-a", "v1", "-m", "annotated"]);
    f.git(&["branch", "topic"]);
    f.write("README", b"changed\n");
    f.commit("second");
    f.commit("third");
    let repo = f.repo();
    for rev in ["v1", "topic", "HEAD~2", &first, &first[..8], "main^^"] {
        assert_eq!(
            repo.resolve_base(rev).expect(rev).to_string(),
            first,
            "{rev}"
        );
    }
    let blob = f.git(&["rev-parse", "HEAD:README"]);
    for rev in ["--all", "-q", "", "nothing", &blob, "HEAD~9"] {
        let error = repo.resolve_base(rev).expect_err(rev);
        assert!(
            matches!(&error, Error::UnknownRevision { rev: named, .. } if named == rev),
            "{error}"
        );
    }
}

#[test]
fn head_is_that_of_the_callers_checkout() {
    let f = Fixture::new();
    let linked = f.dir().join("linked");
    f.git(&[
        "worktree",
        "add",
        "-q",
        "--detach",
        linked.to_str().expect("UTF-8"),
    ]);
    git(&linked, &["commit", "-q", "--allow-empty", "-m", "there"]);
    let there = Repository::discover(&linked).expect("a repository");
    let head = there.resolve_base("HEAD").expect("a commit").to_string();
    assert_eq!(head, git(&linked, &["rev-parse", "HEAD"]));
    assert_ne!(head, f.git(&["rev-parse", "HEAD"]));
}

fn make_dirty(f: &Fixture) {
    f.write("README", b"changed\n");
    f.write("staged", b"staged\n");
    f.git(&["add", "staged"]);
    fs::remove_file(f.root().join("src/lib.rs")).expect("it is there");
    f.write("new/a", b"a");
    f.write("new/b", b"b");
    f.write("x.log", b"ignored");
    f.write("build/out", b"ignored");
}

#[test]
fn uncommitted_files_are_counted_without_a_trace() {
    let f = Fixture::new();
    assert!(f.repo().query_dirty().expect("an answer").is_clean());
    make_dirty(&f);
    let before = f.state();
    let dirty = f.repo().query_dirty().expect("an answer");
    assert_eq!((dirty.modified, dirty.untracked), (3, 1));
    assert!(f.state() == before, "the look left a trace");
}

#[test]
fn uncommitted_files_become_a_base_without_a_trace() {
    let f = Fixture::new();
    make_dirty(&f);
    let before = f.state();
    let repo = f.repo();
    let head = repo.resolve_base("HEAD").expect("a commit");
    let (base, notices) = repo.snapshot_dirty(head, "dirty").expect("a commit");
    assert_eq!(notices, Vec::<String>::new());
    let base = base.to_string();
    assert!(f.state() == before, "the snapshot left a trace");
    assert_eq!(f.git(&["rev-parse", &format!("{base}^")]), head.to_string());
    let files = f.git(&["ls-tree", "-r", "--name-only", &base]);
    assert_eq!(
        files,
        ".gitignore\nREADME\nnew/a\nnew/b\nsrc/deep/er.rs\nstaged"
    );
    assert_eq!(f.git(&["show", &format!("{base}:README")]), "changed");
    f.commit("moved on");
    let error = repo.snapshot_dirty(head, "dirty").expect_err("HEAD moved");
    assert!(matches!(error, Error::BaseIsNotHead { .. }), "{error}");
}

#[test]
fn a_branch_is_found_with_the_checkout_that_holds_it() {
    let f = Fixture::new();
    let linked = f.dir().join("linked");
    f.git(&["branch", "free"]);
    f.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "taken",
        linked.to_str().expect("UTF-8"),
    ]);
    let repo = f.repo();
    let holder = |name| repo.find_branch_holder(name).expect("an answer");
    assert_eq!(holder("absent"), None);
    assert_eq!(holder("free").expect("it exists").worktree, None);
    assert_eq!(holder("taken").expect("it exists").worktree, Some(linked));
    assert_eq!(holder("main").expect("it exists").worktree, Some(f.root()));
    assert!(matches!(
        repo.find_branch_holder("a..b"),
        Err(Error::InvalidName { .. })
    ));
}

#[test]
fn a_base_with_submodules_is_told_of() {
    let f = Fixture::new();
    assert!(f.add().notices().is_empty());
    f.write(
        ".gitmodules",
        b"[submodule \"s\"]\n\tpath = s\n\turl = ./s\n",
    );
    f.commit("more");
    let spec = WorktreeSpec {
        base: f.repo().resolve_base("main").expect("a commit"),
        ..f.spec("u")
    };
    let worktree = Worktree::add(&f.repo(), &spec).expect("a worktree");
    let notice = "submodules are not checked out in the worktree";
    assert_eq!(worktree.notices(), [notice]);
}

#[test]
fn a_path_may_have_the_end_of_a_line() {
    let f = Fixture::new();
    let top = f.dir().join("one\ntwo\n");
    let below = top.join("three\n/four");
    fs::create_dir_all(&below).expect("directories");
    git(&top, &["init", "-q"]);
    let repo = Repository::discover(&below).expect("a repository");
    assert_eq!(repo.root(), top.canonicalize().expect("it exists"));
    assert_eq!(repo.checkout(), Some(repo.root()));
    assert_eq!(repo.common_dir(), repo.root().join(".git"));
}

#[test]
fn the_callers_git_environment_leads_nowhere_else() {
    // In a process of its own: the environment belongs to all threads of one.
    if let Some(root) = std::env::var_os("WORKTREE_TEST_ROOT") {
        let dirty = Repository::discover(Path::new(&root))
            .expect("a repository")
            .query_dirty();
        assert_eq!(dirty.expect("an answer").untracked, 1);
        return;
    }
    let f = Fixture::new();
    write(&f.root().join("untracked"), b"x");
    let name = "repository::the_callers_git_environment_leads_nowhere_else";
    let status = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", name])
        .env("WORKTREE_TEST_ROOT", f.root())
        .env("GIT_DIR", "/nonexistent")
        .env("GIT_INDEX_FILE", "/nonexistent")
        .env("GIT_CONFIG_COUNT", "broken")
        .output()
        .expect("the test runs");
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(
        status.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[test]
fn another_users_repository_is_refused() {
    let f = Fixture::new();
    let chowned = std::os::unix::fs::chown(f.root().join(".git"), Some(12345), None)
        .and_then(|()| std::os::unix::fs::chown(f.root(), Some(12345), None));
    if chowned.is_err() {
        // Only root can give a file away: git must then agree that the repository is fine.
        assert!(output(&f.root(), &["status"]).status.success());
        return;
    }
    let error = Repository::discover(&f.root()).expect_err("not ours");
    assert!(matches!(error, Error::UnsafeOwnership { .. }), "{error:?}");
    assert!(
        !command(&f.root(), &["status"])
            .output()
            .expect("git runs")
            .status
            .success()
    );
}
