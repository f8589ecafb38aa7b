//! A repository in an empty environment, and the git program to look at it from outside.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use cx_operator::worktree::{
    Owner, Removal, Removed, Repository, Snapshot, SnapshotSpec, Worktree, WorktreeSpec, remove,
};
use tempfile::TempDir;

pub(crate) const REF: &str = "refs/cx-operator/20260101-000000-t-0a1b";

pub(crate) struct Fixture {
    dir: TempDir,
}

impl Fixture {
    /// A repository with a few files in one commit.
    pub(crate) fn new() -> Self {
        let fixture = Self::empty();
        fixture.write("README", b"one\ntwo\nthree\n");
        fixture.write("src/lib.rs", b"pub fn f() {}\n");
        fixture.write("src/deep/er.rs", b"fn g() {}\n");
        fixture.write(".gitignore", b"*.log\nbuild/\n");
        fixture.commit("base");
        fixture
    }

    /// A repository without a commit.
    pub(crate) fn empty() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let fixture = Self { dir };
        fs::create_dir(fixture.root()).expect("a new directory");
        git(&fixture.root(), &["init", "-q", "-b", "main"]);
        fixture
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().canonicalize().expect("it exists")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir().join("repo")
    }

    pub(crate) fn write(&self, path: &str, content: &[u8]) {
        write(&self.root().join(path), content);
    }

    pub(crate) fn commit(&self, message: &str) {
        git(&self.root(), &["add", "-A"]);
        git(
            &self.root(),
            &["commit", "-q", "--allow-empty", "-m", message],
        );
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        git(&self.root(), args)
    }

    pub(crate) fn repo(&self) -> Repository {
        Repository::discover(&self.root()).expect("a repository")
    }

    pub(crate) fn spec(&self, task: &str) -> WorktreeSpec {
        WorktreeSpec {
            path: self.dir().join(format!("cx-{task}")),
            branch: format!("cx-{task}"),
            base: self.repo().resolve_base("HEAD").expect("a commit"),
            owner: Owner {
                run_id: format!("20260101-000000-{task}-0a1b"),
                state_dir: self.dir().join("state"),
            },
        }
    }

    pub(crate) fn add(&self) -> Worktree {
        Worktree::add(&self.repo(), &self.spec("t")).expect("a worktree")
    }

    pub(crate) fn remove(&self) -> Removed {
        let what = Removal::WorktreeAndBranch { snapshot_ref: REF };
        remove(&self.repo(), &self.spec("t"), what).expect("removal")
    }

    /// All of the repository that isn't an object or a ref of ours, and of the checkout: path → kind and content.
    pub(crate) fn state(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut state = BTreeMap::new();
        collect(&self.root(), &mut state);
        state.retain(|path, _| {
            let path = path.strip_prefix(self.root()).expect("below the root");
            !path.starts_with(".git/objects") && !path.starts_with(".git/refs/cx-operator")
        });
        state
    }
}

pub(crate) fn snapshot(worktree: &Worktree) -> Snapshot {
    worktree.snapshot(&snapshot_spec()).expect("a snapshot")
}

pub(crate) fn snapshot_spec() -> SnapshotSpec {
    SnapshotSpec {
        ref_name: REF.into(),
        message: "what the agent left".into(),
        mount_points: &[".codex"],
    }
}

pub(crate) fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
    fs::write(path, content).expect("a file");
}

/// git as it would run for a user without any configuration.
pub(crate) fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(dir)
        .args(args)
        .env("HOME", "/nonexistent")
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "Ada")
            .env(format!("GIT_{role}_EMAIL"), "ada@example.com");
    }
    command
}

pub(crate) fn output(dir: &Path, args: &[&str]) -> Output {
    command(dir, args)
        .stdin(Stdio::null())
        .output()
        .expect("git runs")
}

/// Runs git, which must succeed, and returns what it printed, trimmed.
pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    let output = output(dir, args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn collect(path: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(path).expect("a directory") {
        let path = entry.expect("an entry").path();
        let meta = fs::symlink_metadata(&path).expect("it is there");
        if meta.is_dir() {
            collect(&path, into);
        } else if meta.is_symlink() {
            let target = fs::read_link(&path).expect("a link");
            into.insert(path, target.as_os_str().as_bytes().to_vec());
        } else {
            into.insert(path.clone(), fs::read(&path).expect("a file"));
        }
    }
}
