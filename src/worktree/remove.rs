//! Removes a worktree that is provably ours, and its branch when nothing would be lost.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::add::{
    REMOVING, WorktreeSpec, delete_branch, gitfile, is_initializing, known_path, remove_admin_dir,
};
use super::ancestry::descends;
use super::branch::{branch_ref, is_made_for};
use super::error::Error;
use super::files::{remove_tree, rename_to_new, write_atomically};
use super::guests;
use super::marker::{self, Marker, OwnedWorktree, staging_dir};
use super::repository::Repository;

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
    let path = known_path(&spec.path)?;
    let found = marker::owned(repo)?.into_iter().find(|owned| {
        owned.spec.path == path
            && owned.spec.branch == spec.branch
            && owned.spec.owner == spec.owner
    });
    let Some(owned) = found else {
        return remove_unmarked(repo, spec, what);
    };
    // Nothing but the registration was made yet, and the path may be anybody's.
    let begun = owned.admin_dir == staging_dir(repo, &spec.owner);
    let mut inside = Vec::new();
    if !begun {
        remove_directory(&owned)?;
        inside = guests::deregister_below(repo.common_dir(), &owned.spec.path)?;
    }
    let branch = match what {
        Removal::WorktreeAndBranch { snapshot_ref } if !begun => {
            remove_branch(repo, (&owned.spec, Some(&owned.admin_dir)), snapshot_ref)?
                // Somebody took the name before we came to it.
                .unwrap_or(BranchRemoval::Absent)
        }
        _ => absent(what).branch,
    };
    if branch == BranchRemoval::Absent && is_initializing(&owned.admin_dir) {
        clear_half_made_branch(repo, &owned)?;
    }
    deregister(repo, &owned)?;
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
    match fs::remove_file(&lock) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", &lock)(e)),
        _ => Ok(()),
    }
}

/// Takes the registration out of git's sight in one step, under the name that proves it to be the run's during its removal.
fn deregister(repo: &Repository, owned: &OwnedWorktree) -> Result<(), Error> {
    let staging = staging_dir(repo, &owned.spec.owner);
    if owned.admin_dir == staging || rename_to_new(&owned.admin_dir, &staging).is_err() {
        return remove_admin_dir(&owned.admin_dir);
    }
    if let Some(worktrees) = owned.admin_dir.parent() {
        // Fails, as it should, while another worktree is there.
        drop(fs::remove_dir(worktrees));
    }
    remove_admin_dir(&staging)
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
            remove_branch(repo, (spec, None), snapshot_ref)?.ok_or_else(not_owned)?
        }
    };
    Ok(Removed {
        worktree: begun,
        inside: Vec::new(),
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
        inside: Vec::new(),
        branch,
    }
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
    let registered = fs::read(owned.admin_dir.join("gitdir")).unwrap_or_default();
    let link = Path::new(OsStr::from_bytes(registered.trim_ascii_end()));
    match link.parent() {
        Some(elsewhere)
            if elsewhere != owned.spec.path
                && fs::read(link).is_ok_and(|found| found == gitfile(&owned.admin_dir)) =>
        {
            Err(Error::Replaced {
                path: elsewhere.to_owned(),
            })
        }
        _ => Ok(()),
    }
}

/// Deletes the branch if nothing would be lost; `None` if neither the marker nor its reflog proves it to be the run's.
fn remove_branch(
    repo: &Repository,
    (spec, admin_dir): (&WorktreeSpec, Option<&Path>),
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
        .any(|from| from == tip || descends(&open, from, tip).unwrap_or(false));
    if !reachable {
        return Ok(Some(BranchRemoval::KeptForItsCommits));
    }
    if repo.checkout_on(&full, admin_dir).is_some() {
        return Ok(Some(BranchRemoval::KeptInUse));
    }
    delete_branch(repo, &full, tip)?;
    Ok(Some(BranchRemoval::Removed))
}
