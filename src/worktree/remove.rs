//! Removes a worktree that is provably ours, and its branch when nothing would be lost.
//!
//! Owns the order of a removal. Imported by no file of this module.
//!
//! Invariants: the marker, which is the proof, is removed last, so that a removal may be repeated; nothing is deleted
//! before the proof.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::admin_dir::{
    REMOVING, checkout_of, deregister, is_initializing, remove_admin_dir, staging_dir,
};
use super::ancestry::descends;
use super::branch::is_made_for;
use super::error::Error;
use super::files::{remove_file, remove_tree, write_atomically};
use super::marker::{Marker, leads_to};
use super::new_refs;
use super::owned::{OwnedWorktree, find_owned};
use super::refs::{branch_ref, delete_branch};
use super::repository::Repository;
use super::spec::WorktreeSpec;

/// The parts to remove with the worktree.
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

/// The outcome for the branch.
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
    /// Another checkout has it as its HEAD: it stays.
    KeptInUse,
}

/// The outcome of a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// There was something of the worktree to remove.
    pub worktree: bool,
    /// Worktrees that were made inside it, deregistered with it; their branches stay.
    pub inside: Vec<PathBuf>,
    /// The outcome for the branch.
    pub branch: BranchRemoval,
}

/// Removes the worktree's directory and registration, locked or not, and perhaps its branch. May be repeated, also
/// after it was cut short: the marker, which is the proof, is removed last. If directory and marker were removed
/// before, the branch is still removed, if its reflog says that it was made for this run.
///
/// # Errors
/// [`Error::NotOwned`] if something is at the path, or the branch exists, that nothing proves to be this owner's;
/// [`Error::Replaced`] if the directory isn't the one that was made. Nothing is deleted then.
pub fn remove(repo: &Repository, spec: &WorktreeSpec, what: Removal<'_>) -> Result<Removed, Error> {
    let spec = &spec.resolved()?;
    let Some(owned) = find_owned(repo, spec)? else {
        return remove_unmarked(repo, spec, what);
    };
    // Nothing but the registration was made yet, and the path may be anybody's.
    let begun = owned.admin_dir == staging_dir(repo, &spec.owner);
    let mut inside = Vec::new();
    if !begun {
        remove_directory(&owned)?;
        inside = new_refs::deregister_below(repo, &owned.spec.path)?;
    }
    let branch = match what {
        Removal::Worktree => BranchRemoval::Kept,
        Removal::WorktreeAndBranch { .. } if begun => BranchRemoval::Absent,
        Removal::WorktreeAndBranch { snapshot_ref } => {
            remove_branch(repo, &owned.spec, Some(&owned.admin_dir), snapshot_ref)?
                // Another process took the name before we came to it.
                .unwrap_or(BranchRemoval::Absent)
        }
    };
    if branch == BranchRemoval::Absent && is_initializing(&owned.admin_dir) {
        clear_half_made_branch(repo, &owned)?;
    }
    deregister(repo, &owned.admin_dir, &owned.spec.owner)?;
    Ok(Removed {
        worktree: true,
        inside,
        branch,
    })
}

/// Clears what is left where making the branch was cut short: its reflog, and the lock under which libgit2 writes a
/// ref, which would keep the name from the next run.
fn clear_half_made_branch(repo: &Repository, owned: &OwnedWorktree) -> Result<(), Error> {
    let full = branch_ref(&owned.spec.branch)?;
    let open = repo.open()?;
    if is_made_for(&open, &full, &owned.spec.owner) {
        open.reflog_delete(&full)
            .map_err(Error::git("delete the reflog of a half-made branch"))?;
    }
    let lock = repo.common_dir().join(format!("{full}.lock"));
    let modified = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    // The name was ours from the registration on: a lock since then was.
    if modified(&lock) < modified(&owned.admin_dir.join("locked")) {
        return Ok(());
    }
    remove_file(&lock)
}

/// Removes what a run made and no marker names any more: git pruned the registration of a directory that was
/// gone, or making it was cut short.
fn remove_unmarked(
    repo: &Repository,
    spec: &WorktreeSpec,
    what: Removal<'_>,
) -> Result<Removed, Error> {
    let path = &spec.path;
    let not_owned = || Error::NotOwned { path: path.clone() };
    if fs::symlink_metadata(path).is_ok() {
        return Err(not_owned());
    }
    let staging = staging_dir(repo, &spec.owner);
    let begun = staging.exists();
    remove_admin_dir(&staging)?;
    let branch = match what {
        Removal::Worktree => BranchRemoval::Kept,
        Removal::WorktreeAndBranch { snapshot_ref } => {
            remove_branch(repo, spec, None, snapshot_ref)?.ok_or_else(not_owned)?
        }
    };
    Ok(Removed {
        worktree: begun,
        inside: Vec::new(),
        branch,
    })
}

fn remove_directory(owned: &OwnedWorktree) -> Result<(), Error> {
    let path = &owned.spec.path;
    refuse_moved(owned)?;
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
    // Adding was cut short right after the directory was made: only an empty one is removed this way.
    fs::remove_dir(path).map_err(|_| Error::Replaced { path: path.clone() })
}

/// Refuses a worktree that was moved: without its registration the directory would be cut off.
fn refuse_moved(owned: &OwnedWorktree) -> Result<(), Error> {
    match checkout_of(&owned.admin_dir) {
        Some(elsewhere)
            if elsewhere != owned.spec.path && leads_to(&elsewhere, &owned.admin_dir) =>
        {
            Err(Error::Replaced { path: elsewhere })
        }
        _ => Ok(()),
    }
}

/// Deletes the branch if nothing would be lost; `None` if neither the marker nor its reflog proves it to be the run's.
fn remove_branch(
    repo: &Repository,
    spec: &WorktreeSpec,
    admin_dir: Option<&Path>,
    snapshot_ref: &str,
) -> Result<Option<BranchRemoval>, Error> {
    let full = branch_ref(&spec.branch)?;
    let open = repo.open()?;
    let tip = match open.refname_to_id(&full) {
        Err(e) if e.code() == git2::ErrorCode::NotFound => return Ok(Some(BranchRemoval::Absent)),
        other => other.map_err(Error::git("read the branch"))?,
    };
    let marked = admin_dir
        .and_then(Marker::find)
        .is_some_and(|m| m.has_branch());
    if !marked && !is_made_for(&open, &full, &spec.owner) {
        return Ok(None);
    }
    let kept = [Ok(spec.base.0), open.refname_to_id(snapshot_ref)];
    let reachable = kept
        .into_iter()
        .flatten()
        .any(|from| from == tip || descends(repo, from, tip).unwrap_or(false));
    if !reachable {
        return Ok(Some(BranchRemoval::KeptForItsCommits));
    }
    if repo.checkout_on(&full, admin_dir).is_some() {
        return Ok(Some(BranchRemoval::KeptInUse));
    }
    delete_branch(repo, &full, tip)?;
    Ok(Some(BranchRemoval::Removed))
}
