//! The proof that a worktree is ours: a file in its administrative directory, where the agent's sandbox can't write.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::add::WorktreeSpec;
use super::error::Error;
use super::files::{read_small, write_atomically};
use super::repository::{CommitId, Repository};

/// The marker's name in the administrative directory.
const MARKER: &str = "cx-operator.json";
/// The beginning of the names of administrative directories in preparation, beside `worktrees/`.
const STAGING: &str = "cx-operator.";
/// A marker of ours has a few hundred bytes; what is larger isn't one.
const MARKER_LIMIT: u64 = 64 * 1024;

/// The run that a worktree belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The run's id, `<yyyymmdd-hhmmss>-<task>-<4 hex>`.
    pub run_id: String,
    /// The state directory that has the run's record. Absolute.
    pub state_dir: PathBuf,
}

/// A worktree with a marker of ours, of this state directory or of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedWorktree {
    /// The specification with which it was added.
    pub spec: WorktreeSpec,
    /// Its administrative directory. Absolute.
    pub admin_dir: PathBuf,
    /// When it was added, RFC 3339, UTC.
    pub created_at: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Marker {
    run_id: String,
    state_dir: PathBuf,
    branch: String,
    path: PathBuf,
    base: CommitId,
    created_at: String,
    /// The inode of the worktree's directory, known once that and the branch are made.
    directory_inode: Option<u64>,
    /// When that directory was made, where the file system knows, in milliseconds since 1970: inodes are used again.
    #[serde(default)]
    directory_born: Option<u64>,
}

/// Where the administrative directory is prepared: the name says whose it is, even while it is empty.
pub(super) fn staging_dir(repo: &Repository, owner: &Owner) -> PathBuf {
    repo.common_dir().join(format!("{STAGING}{}", owner.run_id))
}

impl Marker {
    pub(super) fn new(spec: &WorktreeSpec) -> Self {
        Self {
            run_id: spec.owner.run_id.clone(),
            state_dir: spec.owner.state_dir.clone(),
            branch: spec.branch.clone(),
            path: spec.path.clone(),
            base: spec.base,
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
        let path = admin_dir.join(MARKER);
        let meta = fs::symlink_metadata(&path).ok()?;
        if !meta.is_file() || meta.len() > MARKER_LIMIT {
            return None;
        }
        serde_json::from_slice(&fs::read(&path).ok()?).ok()
    }

    pub(super) fn remove(admin_dir: &Path) -> Result<(), Error> {
        let path = admin_dir.join(MARKER);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", &path)(e)),
            _ => Ok(()),
        }
    }

    /// Whether `name` is the marker's file.
    pub(super) fn is_at(name: &Path) -> bool {
        name.file_name().is_some_and(|n| n == MARKER)
    }

    /// Whether the directory at the marker's path is the one that was made for the run: the same inode of the same
    /// age, or a `.git`
    /// file that leads to our administrative directory (the inode isn't known yet when adding was cut short).
    pub(super) fn proves_directory(&self, meta: &fs::Metadata, admin_dir: &Path) -> bool {
        if !meta.is_dir() {
            return false;
        }
        let same = Some(meta.ino()) == self.directory_inode
            && (self.directory_born.is_none() || self.directory_born == born(meta));
        same || leads_to(&self.path, admin_dir)
    }

    /// Where the worktree is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The same for a directory that was moved, if what is there now is the one that was made.
    pub(super) fn moved_to(mut self, path: &Path) -> Option<Self> {
        let meta = fs::symlink_metadata(path).ok()?;
        let same = meta.is_dir() && Some(meta.ino()) == self.directory_inode;
        self.path = path.to_owned();
        (same && self.directory_born == born(&meta)).then_some(self)
    }

    fn spec(self) -> (WorktreeSpec, String) {
        let spec = WorktreeSpec {
            path: self.path,
            branch: self.branch,
            base: self.base,
            owner: Owner {
                run_id: self.run_id,
                state_dir: self.state_dir,
            },
        };
        (spec, self.created_at)
    }
}

/// Whether the `.git` file of a directory leads to an administrative directory of ours. The agent may have put
/// anything in its place, a pipe included.
pub(super) fn leads_to(directory: &Path, admin_dir: &Path) -> bool {
    let link = read_small(&directory.join(".git"), MARKER_LIMIT);
    link.is_some_and(|link| link == super::add::gitfile(admin_dir))
}

/// Lists the worktrees of the repository that carry our marker, in the order of their paths.
///
/// # Errors
/// [`Error::Io`] if the administrative directories can't be listed.
pub fn owned(repo: &Repository) -> Result<Vec<OwnedWorktree>, Error> {
    let mut admin_dirs = list(&repo.common_dir().join("worktrees"))?;
    let prepared = list(repo.common_dir())?.into_iter().filter(|path| {
        let name = path.file_name().map(OsStr::as_bytes);
        name.is_some_and(|name| name.starts_with(STAGING.as_bytes()))
    });
    admin_dirs.extend(prepared);
    let mut found = Vec::new();
    for admin_dir in admin_dirs {
        if let Some(marker) = Marker::find(&admin_dir) {
            let (spec, created_at) = marker.spec();
            found.push(OwnedWorktree {
                spec,
                admin_dir,
                created_at,
            });
        }
    }
    found.sort_by(|a, b| a.spec.path.cmp(&b.spec.path));
    Ok(found)
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::io("list", dir))?,
    };
    entries
        .map(|entry| Ok(entry.map_err(Error::io("list", dir))?.path()))
        .collect()
}

/// When a file was made, in milliseconds since 1970; not every file system knows.
fn born(meta: &fs::Metadata) -> Option<u64> {
    let age = meta.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(age.as_millis()).ok()
}
