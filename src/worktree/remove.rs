//! Removes a worktree that is provably ours, and its branch when nothing would be lost.

use std::fs;
use std::io::ErrorKind;

use super::add::{REMOVING, WorktreeSpec, delete_branch, real_path, remove_admin_dir};
use super::error::Error;
use super::files::{remove_tree, write_atomically};
use super::marker::{self, Marker, OwnedWorktree};
use super::repository::Repository;

/// What to remove with the worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal<'a> {
    /// The branch stays.
    Worktree,
    /// The branch too, unless it has commits that neither the base commit nor this ref (`refs/cx-operator/<run-id>`)
    /// reaches.
    WorktreeAndBranch {
        /// Where the snapshot is kept.
        snapshot_ref: &'a str,
    },
}

/// What became of the branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BranchRemoval {
    /// It is deleted, with its reflog.
    Removed,
    /// It was gone already.
    Absent,
    /// It was to stay.
    Kept,
    /// It has commits that would be lost: it stays.
    KeptForItsCommits,
}

/// What a removal did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// There was something of the worktree to remove.
    pub worktree: bool,
    /// What became of the branch.
    pub branch: BranchRemoval,
}

/// Removes the worktree's directory and registration, locked or not, and perhaps its branch. May be repeated, also
/// after it was cut short: the marker, which is the proof, goes last.
///
/// # Errors
/// [`Error::NotOwned`] if something is at the path or the branch exists, but no marker of this owner speaks of it;
/// [`Error::Replaced`] if the directory isn't the one that was made. Nothing is deleted then.
pub fn remove(repo: &Repository, spec: &WorktreeSpec, what: Removal<'_>) -> Result<Removed, Error> {
    let path = real_path(&spec.path)?;
    let found = marker::owned(repo)?.into_iter().find(|owned| {
        owned.spec.path == path
            && owned.spec.branch == spec.branch
            && owned.spec.owner == spec.owner
    });
    let Some(owned) = found else {
        let wants_branch = what != Removal::Worktree;
        let left = fs::symlink_metadata(&path).is_ok()
            || (wants_branch && repo.find_branch_holder(&spec.branch)?.is_some());
        return if left {
            Err(Error::NotOwned { path })
        } else {
            Ok(absent(what))
        };
    };
    remove_directory(&owned)?;
    let branch = match what {
        Removal::Worktree => BranchRemoval::Kept,
        Removal::WorktreeAndBranch { snapshot_ref } => remove_branch(repo, &owned, snapshot_ref)?,
    };
    remove_admin_dir(&owned.admin_dir)?;
    Ok(Removed {
        worktree: true,
        branch,
    })
}

fn absent(what: Removal<'_>) -> Removed {
    let branch = match what {
        Removal::Worktree => BranchRemoval::Kept,
        Removal::WorktreeAndBranch { .. } => BranchRemoval::Absent,
    };
    Removed {
        worktree: false,
        branch,
    }
}

fn remove_directory(owned: &OwnedWorktree) -> Result<(), Error> {
    let path = &owned.spec.path;
    let meta = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.map_err(Error::io("read", path))?,
    };
    let proven =
        Marker::find(&owned.admin_dir).is_some_and(|m| m.proves_directory(&meta, &owned.admin_dir));
    if proven {
        // From here on a snapshot would take half of the files for all.
        write_atomically(&owned.admin_dir.join(REMOVING), b"")?;
        return remove_tree(path);
    }
    // Adding was cut short right after the directory was made: only an empty one goes this way.
    fs::remove_dir(path).map_err(|_| Error::Replaced { path: path.clone() })
}

fn remove_branch(
    repo: &Repository,
    owned: &OwnedWorktree,
    snapshot_ref: &str,
) -> Result<BranchRemoval, Error> {
    let full = super::branch::branch_ref(&owned.spec.branch)?;
    let open = repo.open()?;
    let tip = match open.refname_to_id(&full) {
        Err(e) if e.code() == git2::ErrorCode::NotFound => return Ok(BranchRemoval::Absent),
        other => other.map_err(Error::git("read the branch"))?,
    };
    let kept = [Ok(owned.spec.base.0), open.refname_to_id(snapshot_ref)];
    let reachable = kept
        .into_iter()
        .flatten()
        .any(|from| from == tip || open.graph_descendant_of(from, tip).unwrap_or(false));
    if !reachable {
        return Ok(BranchRemoval::KeptForItsCommits);
    }
    delete_branch(repo, &full)?;
    Ok(BranchRemoval::Removed)
}
