//! What to capture, and what is known about it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use git2::Tree;
use tokio_util::sync::CancellationToken;

use super::ground::Ground;
use crate::worktree::admin_dir::SEED_INDEX;
use crate::worktree::error::Error;
use crate::worktree::files::{list, read_small, write};
use crate::worktree::repository::Repository;

/// The longest `HEAD` that is believed, in bytes.
pub(in crate::worktree) const HEAD_LIMIT: u64 = 4096;
/// The longest settings of a worktree, in bytes, that count.
const SETTINGS_LIMIT: u64 = 1 << 20;

/// What to capture, and what is known about it.
pub(in crate::worktree) struct Source<'a> {
    pub(in crate::worktree) repo: &'a Repository,
    /// Absolute, free of symbolic links.
    pub(in crate::worktree) work_tree: &'a Path,
    /// The worktree's directory in the repository: its index is there, and the one that git wrote when it was made.
    pub(in crate::worktree) admin_dir: &'a Path,
    /// An empty directory, for files of ours.
    pub(in crate::worktree) scratch: &'a Path,
    /// What the agent was given.
    pub(in crate::worktree) base: &'a Tree<'a>,
    /// The agent's last commit.
    pub(in crate::worktree) head: &'a Tree<'a>,
    /// Empty files of these names are no work of anybody's.
    pub(in crate::worktree) mount_points: &'a [&'static str],
    /// Ends the capture with [`Error::Stopped`].
    pub(in crate::worktree) stop: &'a CancellationToken,
}

impl Source<'_> {
    pub(super) fn seed(&self) -> PathBuf {
        self.admin_dir.join(SEED_INDEX)
    }

    pub(super) fn agents_index(&self) -> PathBuf {
        self.admin_dir.join("index")
    }

    /// A directory that git takes for that of a worktree.
    fn git_dir(&self) -> PathBuf {
        self.scratch.join("git")
    }

    /// Makes it: with the settings of the agent's worktree, those of the branch that it is on, the other half of its
    /// index, where that is split, and nothing else of it.
    pub(super) fn make_git_dir(&self) -> Result<(), Error> {
        let dir = self.git_dir();
        fs::create_dir(&dir).map_err(Error::io("create", &dir))?;
        let head = read_small(&self.admin_dir.join("HEAD"), HEAD_LIMIT)
            .filter(|head| head.starts_with(b"ref: refs/heads/"))
            .unwrap_or_else(|| b"ref: refs/heads/none\n".to_vec());
        write(&dir.join("HEAD"), &head)?;
        let common_dir = self.repo.common_dir().as_os_str().as_bytes();
        write(&dir.join("commondir"), &[common_dir, b"\n"].concat())?;
        for path in list(self.admin_dir)? {
            if let Some(name) = path.file_name().filter(|name| is_half_of_index(name)) {
                symlink(&path, dir.join(name)).map_err(Error::io("link to", &path))?;
            }
        }
        let settings = "config.worktree";
        match read_small(&self.admin_dir.join(settings), SETTINGS_LIMIT) {
            Some(content) => write(&dir.join(settings), &content),
            None => Ok(()),
        }
    }

    /// The worktree, or a submodule in it, with an index of ours.
    pub(super) fn ground(&self, work_tree: PathBuf, index: PathBuf) -> Ground<'_> {
        Ground {
            git_dir: self.git_dir(),
            work_tree,
            index,
            stop: self.stop,
        }
    }

    /// Mount points that a sandbox left.
    pub(super) fn find_mount_points(&self) -> Vec<Vec<u8>> {
        let is_left = |name: &&&str| {
            let empty = fs::symlink_metadata(self.work_tree.join(name))
                .is_ok_and(|meta| meta.is_file() && meta.len() == 0);
            empty && self.base.get_name(name).is_none() && self.head.get_name(name).is_none()
        };
        let left = self.mount_points.iter().filter(is_left);
        left.map(|name| name.as_bytes().to_vec()).collect()
    }
}

/// Source: git 2.47, `read-cache.c`, `write_shared_index`.
fn is_half_of_index(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b"sharedindex.")
}
