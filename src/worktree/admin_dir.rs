//! The administrative directory of a worktree: prepared, moved into its place, removed.
//!
//! Owns `worktrees/<name>` of a run and `cx-operator.<run-id>`, both in the shared git directory. Imported by the files
//! of this module that add, take back, list, read and remove worktrees; imports none of them.
//!
//! Invariants:
//!
//! * The marker comes before all else and goes last: a process killed at any point leaves nothing that only looks like
//!   somebody's worktree.
//! * git knows a worktree by `gitdir`: it is the last of its files to come and the first to go.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::files::{list, remove_file, remove_tree, rename_to_new, write, write_whole};
use super::marker::Marker;
use super::refs::branch_ref;
use super::repository::Repository;
use super::spec::{Owner, WorktreeSpec};

/// A second name of the index as git wrote it: the file times of the checkout, which the agent's git never rewrites
/// (it replaces its index by rename).
pub(super) const SEED_INDEX: &str = "cx-operator.index";
/// Says that the worktree is being removed: its files are no longer what the agent left.
pub(super) const REMOVING: &str = "cx-operator.removing";
/// By this file git knows an administrative directory for that of a worktree.
const GITDIR: &str = "gitdir";
/// What the names of administrative directories begin with that are being prepared, beside `worktrees/`.
const STAGING: &str = "cx-operator.";

/// The reason of a worktree's lock until all its files are there. git's own word for it.
pub(super) const INITIALIZING: &[u8] = b"initializing";

/// Returns whether making the worktree was cut short: not all its files are there.
pub(super) fn is_initializing(admin_dir: &Path) -> bool {
    fs::read(admin_dir.join("locked")).is_ok_and(|reason| reason == INITIALIZING)
}

/// Where the administrative directory is prepared: the name says whose it is, even while it is empty.
pub(super) fn staging_dir(repo: &Repository, owner: &Owner) -> PathBuf {
    repo.common_dir().join(format!("{STAGING}{}", owner.run_id))
}

/// The administrative directories of all linked worktrees.
pub(super) fn registered(repo: &Repository) -> Result<Vec<PathBuf>, Error> {
    list(&repo.common_dir().join("worktrees"))
}

/// Those that are being prepared, or removed.
pub(super) fn staged(repo: &Repository) -> Result<Vec<PathBuf>, Error> {
    let mut dirs = list(repo.common_dir())?;
    dirs.retain(|path| {
        let name = path.file_name().map(OsStr::as_bytes);
        name.is_some_and(|name| name.starts_with(STAGING.as_bytes()))
    });
    Ok(dirs)
}

/// The directory of the worktree, as git has it on record.
pub(super) fn checkout_of(admin_dir: &Path) -> Option<PathBuf> {
    let link = fs::read(admin_dir.join(GITDIR)).ok()?;
    let link = Path::new(OsStr::from_bytes(link.trim_ascii_end()));
    Some(link.parent()?.to_owned())
}

/// Makes an administrative directory with the marker in it, locked for a reason, and has it moved into its `place`.
///
/// Prepared under a name that says whose it is, and not in `worktrees/`, where a `git worktree prune` would take it
/// away.
pub(super) fn create(
    repo: &Repository,
    marker: &Marker,
    reason: &[u8],
    place: impl FnOnce(&Path) -> Result<PathBuf, Error>,
) -> Result<PathBuf, Error> {
    let staging = staging_dir(repo, &marker.spec.owner);
    fs::create_dir(&staging).map_err(Error::io("create", &staging))?;
    // A `git worktree prune` next door leaves a locked one alone.
    let made = write(&staging.join("locked"), reason)
        .and_then(|()| marker.write(&staging))
        .and_then(|()| place(&staging));
    if made.is_err() {
        drop(remove_tree(&staging));
    }
    made
}

/// Moves a prepared directory to `worktrees/<name>`, or to that with the first number that is free.
pub(super) fn move_to_worktrees(
    repo: &Repository,
    staging: &Path,
    name: &str,
) -> Result<PathBuf, Error> {
    let parent = repo.common_dir().join("worktrees");
    let mut admin_dir = parent.join(name);
    let mut taken = 0_u32;
    loop {
        match rename_to_new(staging, &admin_dir) {
            Ok(()) => return Ok(admin_dir),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                taken += 1;
                admin_dir = parent.join(format!("{name}{taken}"));
            }
            // Missing, or just removed with the last worktree in it.
            Err(e) if e.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(&parent).map_err(Error::io("create", &parent))?;
            }
            Err(e) => return Err(Error::io("create", &admin_dir)(e)),
        }
    }
}

/// Writes the files that make the administrative directory one of git's. Each appears whole, and the one by which git
/// knows a worktree comes last: a git of the user's that reads them in the meantime would end with an error at an empty
/// one.
///
/// Source: git 2.47, "failed to read …/commondir" of `git gc` and `git fetch` (`tests/scenarios/scale/git.rs`).
pub(super) fn register(spec: &WorktreeSpec, admin_dir: &Path) -> Result<(), Error> {
    write_whole(&admin_dir.join("commondir"), b"../..\n")?;
    let head = format!("ref: {}\n", branch_ref(&spec.branch)?);
    write_whole(&admin_dir.join("HEAD"), head.as_bytes())?;
    let link = spec.path.join(".git");
    let link = [link.as_os_str().as_bytes(), b"\n"].concat();
    write_whole(&admin_dir.join(GITDIR), &link)
}

/// Takes the registration out of git's sight in one step, under the name that proves it to be the run's while it goes.
pub(super) fn deregister(repo: &Repository, admin_dir: &Path, owner: &Owner) -> Result<(), Error> {
    let staging = staging_dir(repo, owner);
    if admin_dir == staging || rename_to_new(admin_dir, &staging).is_err() {
        return remove_admin_dir(admin_dir);
    }
    remove_if_empty(admin_dir.parent());
    remove_admin_dir(&staging)
}

/// Removes an administrative directory, the marker last, and `worktrees/` with the last of them, as git does.
pub(super) fn remove_admin_dir(admin_dir: &Path) -> Result<(), Error> {
    // Without it this is no worktree to a git that looks while the others go.
    remove_file(&admin_dir.join(GITDIR))?;
    for path in list(admin_dir)? {
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
            remove_tree(&path)?;
        } else if !Marker::is_at(&path) {
            remove_file(&path)?;
        }
    }
    Marker::remove(admin_dir)?;
    remove_tree(admin_dir)?;
    remove_if_empty(admin_dir.parent());
    Ok(())
}

fn remove_if_empty(worktrees: Option<&Path>) {
    // Fails, as it should, while another worktree is there.
    drop(worktrees.map(fs::remove_dir));
}
