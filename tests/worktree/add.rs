//! Adding a worktree.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::thread;

use cx_operator::worktree::{Error, Removal, Repository, Worktree, WorktreeSpec, owned, remove};

use crate::fixture::{Fixture, REF, git, snapshot};

#[test]
fn it_is_a_worktree_as_git_makes_them() {
    let f = Fixture::new();
    f.write("link", b"");
    fs::remove_file(f.root().join("link")).expect("it is there");
    symlink("README", f.root().join("link")).expect("a link");
    f.write("run.sh", b"#!/bin/sh\n");
    fs::set_permissions(f.root().join("run.sh"), fs::Permissions::from_mode(0o755))
        .expect("a mode");
    f.commit("more kinds");
    let worktree = f.add();
    let at = |args: &[&str]| git(worktree.path(), args);
    assert_eq!(at(&["status", "--porcelain", "--ignored"]), "");
    assert_eq!(at(&["symbolic-ref", "HEAD"]), "refs/heads/cx-t");
    assert_eq!(at(&["rev-parse", "HEAD"]), f.git(&["rev-parse", "main"]));
    assert_eq!(at(&["diff-files"]), "", "the index's file times are wrong");
    assert_eq!(
        at(&["rev-parse", "--absolute-git-dir"]),
        worktree.admin_dir().to_str().expect("UTF-8")
    );
    assert!(
        f.git(&["worktree", "list", "--porcelain"])
            .contains("branch refs/heads/cx-t")
    );
    assert_eq!(f.git(&["worktree", "prune", "-v"]), "");
    let mode = fs::metadata(worktree.path())
        .expect("it exists")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(worktree.notices().is_empty());
    f.git(&["fsck", "--strict"]);
}

#[test]
fn the_marker_tells_whose_it_is() {
    let f = Fixture::new();
    let worktree = f.add();
    let text = fs::read(worktree.admin_dir().join("cx-operator.json")).expect("a marker");
    let marker: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    let spec = f.spec("t");
    assert_eq!(marker["run_id"], spec.owner.run_id);
    assert_eq!(
        marker["state_dir"],
        spec.owner.state_dir.to_str().expect("UTF-8")
    );
    assert_eq!(marker["branch"], "cx-t");
    assert_eq!(marker["path"], worktree.path().to_str().expect("UTF-8"));
    assert!(
        marker["created_at"]
            .as_str()
            .is_some_and(|t| t.ends_with('Z'))
    );
    let found = owned(&f.repo()).expect("a list");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].spec, spec);
    assert!(Worktree::open(&f.repo(), &spec).is_ok());
    let mut other = spec;
    other.owner.run_id.push('x');
    assert!(matches!(
        Worktree::open(&f.repo(), &other),
        Err(Error::NotOwned { .. })
    ));
}

#[test]
fn whatever_is_at_the_path_is_refused_and_kept() {
    let f = Fixture::new();
    let path = f.spec("t").path;
    let before = f.state();
    let refused = || {
        let error = Worktree::add(&f.repo(), &f.spec("t")).expect_err("taken");
        assert!(matches!(error, Error::PathExists { .. }), "{error}");
        assert!(fs::symlink_metadata(&path).is_ok(), "it was removed");
        assert!(f.state() == before, "a trace is left");
    };
    fs::create_dir(&path).expect("a directory");
    refused();
    fs::remove_dir(&path).expect("empty");
    fs::write(&path, "file").expect("a file");
    refused();
    fs::remove_file(&path).expect("a file");
    symlink("/nonexistent/dangling", &path).expect("a link");
    refused();
}

#[test]
fn an_existing_branch_is_refused_and_kept() {
    let f = Fixture::new();
    f.git(&["checkout", "-q", "-b", "cx-t"]);
    let before = f.state();
    let error = Worktree::add(&f.repo(), &f.spec("t")).expect_err("taken");
    assert!(
        matches!(&error, Error::BranchExists { holder: Some(at), .. } if *at == f.root()),
        "{error}"
    );
    assert!(f.state() == before);
    assert!(!f.spec("t").path.exists());
    let mut spec = f.spec("u");
    spec.branch = "-x..lock".into();
    let error = Worktree::add(&f.repo(), &spec).expect_err("no name");
    assert!(matches!(error, Error::InvalidName { .. }), "{error}");
}

#[test]
fn a_failure_halfway_leaves_nothing() {
    let f = Fixture::new();
    f.write(".gitattributes", b"README filter=broken\n");
    f.commit("a filter");
    f.git(&[
        "config",
        "filter.broken.smudge",
        "echo no such luck >&2; false",
    ]);
    f.git(&["config", "filter.broken.required", "true"]);
    let before = f.state();
    let error = Worktree::add(&f.repo(), &f.spec("t")).expect_err("the filter fails");
    let Error::RolledBack { source } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(**source, Error::GitFailed { .. }), "{source}");
    assert!(source.to_string().contains("no such luck"), "{source}");
    assert!(f.state() == before, "a trace is left");
    assert!(!f.spec("t").path.exists());
}

#[test]
fn no_hook_of_the_repository_runs() {
    let f = Fixture::new();
    let hooks = f.dir().join("hooks");
    fs::create_dir(&hooks).expect("a directory");
    let trace = f.dir().join("trace");
    for name in [
        "post-checkout",
        "post-index-change",
        "reference-transaction",
        "pre-commit",
        "post-commit",
    ] {
        let hook = hooks.join(name);
        fs::write(
            &hook,
            format!("#!/bin/sh\necho {name} >> {}\n", trace.display()),
        )
        .expect("a hook");
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    f.git(&["config", "core.hooksPath", hooks.to_str().expect("UTF-8")]);
    f.git(&["checkout", "-q", "--detach"]);
    assert!(
        fs::remove_file(&trace).is_ok(),
        "the hooks of this test don't work"
    );
    let worktree = f.add();
    fs::write(worktree.path().join("README"), "changed").expect("a file");
    snapshot(&worktree);
    assert_eq!(
        git(worktree.path(), &["config", "core.hooksPath"]),
        hooks.to_str().expect("UTF-8")
    );
    f.remove();
    assert!(
        !trace.exists(),
        "{}",
        fs::read_to_string(&trace).unwrap_or_default()
    );
}

#[test]
fn submodules_stay_empty_and_are_reported() {
    let f = Fixture::new();
    let inner = f.dir().join("inner");
    git(f.dir(), &["clone", "-q", "repo", "inner"]);
    let url = inner.to_str().expect("UTF-8");
    f.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        url,
        "sub",
    ]);
    f.commit("a submodule");
    let worktree = f.add();
    assert_eq!(worktree.notices().len(), 1);
    assert!(
        fs::read_dir(worktree.path().join("sub"))
            .expect("a directory")
            .next()
            .is_none()
    );
    let nothing = snapshot(&worktree);
    assert_eq!(nothing.result_commit, None);
    git(
        worktree.path(),
        &[
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "update",
            "-q",
            "--init",
        ],
    );
    assert_eq!(
        snapshot(&worktree).result_commit,
        None,
        "a clean checkout of it is no change"
    );
    fs::write(worktree.path().join("sub/README"), "changed").expect("a file");
    let changed = snapshot(&worktree);
    let kept = format!("{REF}.inside.1");
    assert_eq!(changed.result_commit, None);
    assert_eq!(
        changed.notices,
        [format!(
            "the submodule sub has uncommitted changes: they are kept as {kept}"
        )]
    );
    assert_eq!(f.git(&["show", &format!("{kept}:README")]), "changed");
    f.remove();
}

#[test]
fn a_sparse_checkout_stays_sparse_and_loses_nothing() {
    let f = Fixture::new();
    f.write("big/huge", b"huge\n");
    f.commit("more");
    f.git(&["sparse-checkout", "set", "src"]);
    assert!(!f.root().join("big").exists());
    let worktree = f.add();
    assert!(worktree.path().join("src/lib.rs").exists());
    assert!(
        !worktree.path().join("big").exists(),
        "the worktree isn't sparse"
    );
    assert_eq!(git(worktree.path(), &["status", "--porcelain"]), "");
    assert_eq!(snapshot(&worktree).result_commit, None);
    fs::write(worktree.path().join("src/lib.rs"), "changed").expect("a file");
    git(worktree.path(), &["commit", "-q", "-a", "-m", "one"]);
    fs::write(worktree.path().join("src/new.rs"), "new").expect("a file");
    let taken = snapshot(&worktree);
    assert_eq!(taken.diff.files.len(), 2, "{:?}", taken.diff);
    assert_eq!(f.git(&["show", &format!("{REF}:big/huge")]), "huge");
    f.remove();
}

#[test]
fn filters_run_both_ways() {
    let f = Fixture::new();
    f.git(&["config", "filter.rot.clean", "tr a-z n-za-m"]);
    f.git(&["config", "filter.rot.smudge", "tr a-z n-za-m"]);
    f.write(
        ".gitattributes",
        b"*.rot filter=rot\n*.utf16 text working-tree-encoding=UTF-16LE\n",
    );
    f.write("a.rot", b"hello\n");
    f.commit("filtered");
    assert_eq!(f.git(&["show", "HEAD:a.rot"]), "uryyb");
    let worktree = f.add();
    assert_eq!(
        fs::read(worktree.path().join("a.rot")).expect("a file"),
        b"hello\n"
    );
    // New times, same content: no change.
    fs::write(worktree.path().join("a.rot"), "hello\n").expect("a file");
    assert_eq!(snapshot(&worktree).result_commit, None);
    fs::write(worktree.path().join("b\nc.rot"), "world\n").expect("a file");
    fs::write(worktree.path().join("x.utf16"), b"h\0i\0\n\0").expect("a file");
    snapshot(&worktree);
    assert_eq!(f.git(&["show", &format!("{REF}:b\nc.rot")]), "jbeyq");
    assert_eq!(f.git(&["show", &format!("{REF}:x.utf16")]), "hi");
    f.remove();
}

fn cycle(repo: &Repository, spec: &WorktreeSpec) {
    let worktree = Worktree::add(repo, spec).expect("a worktree");
    assert_eq!(git(worktree.path(), &["status", "--porcelain"]), "");
    fs::write(worktree.path().join("README"), "changed").expect("a file");
    let name = format!("refs/cx-operator/{}", spec.owner.run_id);
    let taken = worktree.snapshot(&cx_operator::worktree::SnapshotSpec {
        ref_name: name.clone(),
        message: "m".into(),
        mount_points: &[],
    });
    assert!(taken.expect("a snapshot").result_commit.is_some());
    let removed = remove(
        repo,
        spec,
        Removal::WorktreeAndBranch {
            snapshot_ref: &name,
        },
    );
    assert!(removed.expect("removal").worktree);
}

/// One of the processes of [`parallel_runs_in_one_repository_do_not_meet`].
#[test]
fn one_of_many_processes() {
    let Some(root) = std::env::var_os("WORKTREE_TEST_PROCESS_ROOT") else {
        return;
    };
    let task = std::env::var("WORKTREE_TEST_PROCESS_TASK").expect("a task");
    let repo = Repository::discover(Path::new(&root)).expect("a repository");
    let spec = WorktreeSpec {
        path: Path::new(&root).with_file_name(format!("cx-{task}")),
        branch: format!("cx-{task}"),
        base: repo.resolve_base("HEAD").expect("a commit"),
        owner: cx_operator::worktree::Owner {
            run_id: task,
            state_dir: "/state".into(),
        },
    };
    for _ in 0..3 {
        cycle(&repo, &spec);
    }
}

#[test]
fn parallel_runs_in_one_repository_do_not_meet() {
    let f = Fixture::new();
    let before = f.state();
    let processes: Vec<_> = (0..8)
        .map(|n| {
            Command::new(std::env::current_exe().expect("this test"))
                .args(["--exact", "add::one_of_many_processes"])
                .env("WORKTREE_TEST_PROCESS_ROOT", f.root())
                .env("WORKTREE_TEST_PROCESS_TASK", format!("p{n}"))
                .stdout(std::process::Stdio::piped())
                .spawn()
                .expect("the test runs")
        })
        .collect();
    thread::scope(|scope| {
        for n in 0..16 {
            let f = &f;
            scope.spawn(move || cycle(&f.repo(), &f.spec(&format!("t{n}"))));
        }
    });
    for process in processes {
        let output = process.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}"
        );
    }
    assert!(f.state() == before, "a trace is left");
    assert_eq!(
        f.git(&["for-each-ref", "refs/cx-operator"]).lines().count(),
        24
    );
}

#[test]
fn of_many_who_want_the_same_path_one_gets_it() {
    let f = Fixture::new();
    let results: Vec<_> = thread::scope(|scope| {
        let handles: Vec<_> = (0..8)
            .map(|n| {
                let mut spec = f.spec("t");
                spec.owner.run_id = format!("run-{n}");
                let repo = f.repo();
                scope.spawn(move || Worktree::add(&repo, &spec))
            })
            .collect();
        handles
            .into_iter()
            .map(|h| h.join().expect("no panic"))
            .collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for error in lost.into_iter().filter_map(Result::err) {
        assert!(
            matches!(error, Error::PathExists { .. } | Error::BranchExists { .. }),
            "{error:?}"
        );
    }
    let admin: HashSet<_> = fs::read_dir(f.root().join(".git/worktrees"))
        .expect("a directory")
        .collect::<Vec<_>>()
        .into_iter()
        .flatten()
        .map(|e| e.path())
        .collect();
    assert_eq!(admin.len(), 1, "{admin:?}");
    assert_eq!(git(&f.spec("t").path, &["status", "--porcelain"]), "");
}
