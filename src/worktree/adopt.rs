//! Takes back a directory of ours whose registration was removed.
//!
//! Owns the proofs that such a directory or branch is a run's. Imported by no file of this module.
//!
//! Invariant: nothing is registered without proof: the directory's `.git` file and the reflog of the branch.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::add::Worktree;
use super::admin_dir::{self, checkout_of, register};
use super::branch::{find_creation, is_made_for};
use super::error::Error;
use super::files::{known_path, read_small, rename_to_new};
use super::marker::Marker;
use super::refs::branch_ref;
use super::repository::Repository;
use super::spec::{Owner, WorktreeSpec};

/// The longest `.git` file that is read, in bytes: it has one line.
const GITFILE_LIMIT: u64 = 8192;

/// Where the `.git` file of a directory leads, whether that exists or not; `None` without such a file.
#[must_use]
pub fn linked_git_dir(path: &Path) -> Option<PathBuf> {
    let link = path.join(".git");
    let content = read_small(&link, GITFILE_LIMIT)?;
    let target = content.strip_prefix(b"gitdir: ")?.trim_ascii_end();
    Some(PathBuf::from(OsStr::from_bytes(target)))
}

impl Worktree {
    /// The specification of a run's directory that the repository doesn't know any more, since its administrative
    /// directory was removed. `None` without proof.
    ///
    /// The proof: the directory is ours and its `.git` file leads to where its registration was, and the branch of its
    /// name was made for a run, as that branch's reflog says.
    ///
    /// # Errors
    /// Those of libgit2.
    pub fn find_lost(
        repo: &Repository,
        path: &Path,
        state_dir: &Path,
    ) -> Result<Option<WorktreeSpec>, Error> {
        let path = known_path(path)?;
        let Ok(meta) = fs::symlink_metadata(&path) else {
            return Ok(None);
        };
        let ours = meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw();
        if !ours || lost_admin_dir(repo, &path).is_none() {
            return Ok(None);
        }
        let name = path.file_name().and_then(OsStr::to_str);
        let Some((branch, Ok(full))) = name.map(|name| (name.to_owned(), branch_ref(name))) else {
            return Ok(None);
        };
        let creation = find_creation(&repo.open()?, &full);
        Ok(creation.map(|(run_id, base)| WorktreeSpec {
            branch,
            path,
            base,
            owner: Owner {
                run_id,
                state_dir: state_dir.to_owned(),
            },
        }))
    }

    /// Registers such a directory again. Then it can be snapshotted and removed as any other. The index is lost with
    /// the old registration, and so is a HEAD that was not on the branch.
    ///
    /// # Errors
    /// [`Error::NotOwned`] without the proof that [`Worktree::find_lost`] needs; else [`Error::Io`].
    pub fn adopt(repo: &Repository, path: &Path, state_dir: &Path) -> Result<Self, Error> {
        let spec = Self::find_lost(repo, path, state_dir)?;
        let found = spec.and_then(|spec| Some((lost_admin_dir(repo, &spec.path)?, spec)));
        let Some((admin_dir, spec)) = found else {
            return Err(Error::NotOwned {
                path: path.to_owned(),
            });
        };
        restore(repo, &spec, &admin_dir)?;
        Self::open(repo, &spec)
    }

    /// Registers the worktree of a run again of which only the branch is left, so that what was committed there can be
    /// snapshotted and the branch removed. `None` where something is at its path, or where the branch's reflog doesn't
    /// say that it was made for this run.
    ///
    /// # Errors
    /// Those of libgit2, and [`Error::Io`].
    pub fn revive(repo: &Repository, spec: &WorktreeSpec) -> Result<Option<Self>, Error> {
        let spec = &spec.resolved()?;
        let Some(name) = spec.path.file_name() else {
            return Ok(None);
        };
        let admin_dir = repo.common_dir().join("worktrees").join(name);
        let full = branch_ref(&spec.branch)?;
        let open = repo.open()?;
        let left = open.refname_to_id(&full).is_ok() && is_made_for(&open, &full, &spec.owner);
        if !left || admin_dir.exists() || fs::symlink_metadata(&spec.path).is_ok() {
            return Ok(None);
        }
        restore(repo, spec, &admin_dir)?;
        Self::open(repo, spec).map(Some)
    }

    /// The same where it is now, if `git worktree move` took it elsewhere: its registration leads there, and it is the
    /// directory that was made for the run. The marker speaks of the new place from then on.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn follow_move(&self) -> Result<Option<Self>, Error> {
        if fs::symlink_metadata(&self.spec.path).is_ok() {
            return Ok(None);
        }
        let moved = checkout_of(&self.admin_dir).filter(|path| *path != self.spec.path);
        let marker = Marker::find(&self.admin_dir);
        let Some((path, Some(marker))) = moved.map(|path| {
            let marker = marker.and_then(|marker| marker.moved_to(&path));
            (path, marker)
        }) else {
            return Ok(None);
        };
        marker.write(&self.admin_dir)?;
        let mut found = self.clone();
        found.spec.path = path;
        Ok(Some(found))
    }
}

/// Where the registration was to which the directory leads, in this repository.
fn lost_admin_dir(repo: &Repository, path: &Path) -> Option<PathBuf> {
    linked_git_dir(path).filter(|admin_dir| {
        let worktrees = repo.common_dir().join("worktrees");
        admin_dir.parent() == Some(&worktrees) && !admin_dir.exists()
    })
}

/// Creates the administrative directory again, under its old name: the directory's `.git` file has it.
fn restore(repo: &Repository, spec: &WorktreeSpec, admin_dir: &Path) -> Result<(), Error> {
    let marker = Marker::new(spec);
    let marker = match fs::symlink_metadata(&spec.path) {
        Ok(meta) => marker.of_directory(&meta),
        Err(e) if e.kind() == ErrorKind::NotFound => marker,
        Err(e) => return Err(Error::io("read", &spec.path)(e)),
    };
    let place = |staging: &Path| {
        register(spec, staging)?;
        let parent = repo.common_dir().join("worktrees");
        fs::create_dir_all(&parent).map_err(Error::io("create", &parent))?;
        rename_to_new(staging, admin_dir).map_err(Error::io("create", admin_dir))?;
        Ok(admin_dir.to_owned())
    };
    admin_dir::create(repo, &marker, b"adopted by cx-operator", place).map(drop)
}
