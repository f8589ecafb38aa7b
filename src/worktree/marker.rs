//! The proof that a worktree is ours: a file in its administrative directory, where the agent's sandbox can't write.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::files::{read_small, remove_file, write_atomically};
use super::spec::WorktreeSpec;

/// The marker's name in the administrative directory.
const MARKER: &str = "cx-operator.json";
/// A marker of ours has a few hundred bytes; what is larger isn't one.
const MARKER_LIMIT: u64 = 64 * 1024;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Marker {
    /// What was asked for when the worktree was added; its path is where it is now.
    #[serde(flatten)]
    pub(super) spec: WorktreeSpec,
    /// When it was added, RFC 3339, UTC.
    created_at: String,
    /// The inode of the worktree's directory, known once that and the branch are made.
    directory_inode: Option<u64>,
    /// When that directory was made, where the file system knows, in milliseconds since 1970: inodes are used again.
    directory_born: Option<u64>,
}

impl Marker {
    pub(super) fn new(spec: &WorktreeSpec) -> Self {
        Self {
            spec: spec.clone(),
            created_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            directory_inode: None,
            directory_born: None,
        }
    }

    /// Knows from now on the directory that was made.
    pub(super) fn of_directory(mut self, meta: &fs::Metadata) -> Self {
        self.directory_inode = Some(meta.ino());
        self.directory_born = born(meta);
        self
    }

    /// Adding came at least as far as making the branch.
    pub(super) fn has_branch(&self) -> bool {
        self.directory_inode.is_some()
    }

    /// Writes the marker by temp file and rename.
    pub(super) fn write(&self, admin_dir: &Path) -> Result<(), Error> {
        let path = admin_dir.join(MARKER);
        let text = serde_json::to_vec(self).map_err(|e| Error::io("write", &path)(e.into()))?;
        write_atomically(&path, &text)
    }

    /// The marker of an administrative directory; `None` if it has none, or none that is ours.
    pub(super) fn find(admin_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&read_small(&admin_dir.join(MARKER), MARKER_LIMIT)?).ok()
    }

    pub(super) fn remove(admin_dir: &Path) -> Result<(), Error> {
        remove_file(&admin_dir.join(MARKER))
    }

    /// Returns whether a path is that of a marker.
    pub(super) fn is_at(path: &Path) -> bool {
        path.file_name().is_some_and(|name| name == MARKER)
    }

    /// Returns whether the directory at the marker's path is the one that was made for the run: the same inode of the
    /// same age, or a `.git` file that leads to our administrative directory (the inode isn't known yet when adding was
    /// cut short).
    pub(super) fn proves_directory(&self, meta: &fs::Metadata, admin_dir: &Path) -> bool {
        if !meta.is_dir() {
            return false;
        }
        let same = Some(meta.ino()) == self.directory_inode
            && (self.directory_born.is_none() || self.directory_born == born(meta));
        same || leads_to(&self.spec.path, admin_dir)
    }

    /// The same for a directory that was moved, if the one at `path` is the one that was made.
    pub(super) fn moved_to(mut self, path: &Path) -> Option<Self> {
        let meta = fs::symlink_metadata(path).ok()?;
        let same = meta.is_dir() && Some(meta.ino()) == self.directory_inode;
        self.spec.path = path.to_owned();
        (same && self.directory_born == born(&meta)).then_some(self)
    }
}

/// The content of the `.git` file of a worktree.
pub(super) fn gitfile(admin_dir: &Path) -> Vec<u8> {
    [b"gitdir: ", admin_dir.as_os_str().as_bytes(), b"\n"].concat()
}

/// Returns whether the `.git` file of a directory leads to an administrative directory of ours. The agent may have put
/// anything in its place, a pipe included.
pub(super) fn leads_to(directory: &Path, admin_dir: &Path) -> bool {
    let link = read_small(&directory.join(".git"), MARKER_LIMIT);
    link.is_some_and(|link| link == gitfile(admin_dir))
}

/// When a file was made, in milliseconds since 1970; not every file system knows.
fn born(meta: &fs::Metadata) -> Option<u64> {
    let age = meta.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(age.as_millis()).ok()
}
