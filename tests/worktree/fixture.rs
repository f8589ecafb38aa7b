//! A world's repository, and what the operator's git side does to it.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cx_operator::worktree::{
    Owner, Removal, Removed, Repository, Snapshot, SnapshotSpec, Worktree, WorktreeSpec, remove,
};
use testkit::world::World;

pub(crate) use testkit::git::{command, git, output};
pub(crate) use testkit::world::write;

pub(crate) const REF: &str = "refs/cx-operator/20260101-000000-t-0a1b";

pub(crate) struct Fixture(World);

impl Deref for Fixture {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl Fixture {
    /// A repository with a few files in one commit.
    pub(crate) fn new() -> Self {
        Self(World::new(&[
            ("README", "one\ntwo\nthree\n"),
            ("src/lib.rs", "pub fn f() {}\n"),
            ("src/deep/er.rs", "fn g() {}\n"),
            (".gitignore", "*.log\nbuild/\n"),
        ]))
    }

    /// A repository without a commit.
    pub(crate) fn empty() -> Self {
        let world = World::bare();
        world.git(&["init", "-q", "-b", "main"]);
        Self(world)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.0.repo()
    }

    pub(crate) fn write(&self, path: &str, content: &[u8]) {
        write(&self.root().join(path), content);
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
