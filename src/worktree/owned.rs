//! Which worktrees of a repository are ours.

use std::path::PathBuf;

use super::admin_dir::{registered, staged};
use super::error::Error;
use super::marker::Marker;
use super::repository::Repository;
use super::spec::WorktreeSpec;

/// A worktree with a marker of ours, of this state directory or of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedWorktree {
    /// What was asked for when it was added.
    pub spec: WorktreeSpec,
    /// Its administrative directory. Absolute.
    pub admin_dir: PathBuf,
}

/// Lists the worktrees of the repository that carry our marker, in the order of their paths.
///
/// # Errors
/// [`Error::Io`] if the administrative directories can't be listed.
pub fn owned(repo: &Repository) -> Result<Vec<OwnedWorktree>, Error> {
    let admin_dirs = registered(repo)?.into_iter().chain(staged(repo)?);
    let mut found: Vec<OwnedWorktree> = admin_dirs
        .filter_map(|admin_dir| {
            let spec = Marker::find(&admin_dir)?.spec;
            Some(OwnedWorktree { spec, admin_dir })
        })
        .collect();
    found.sort_by(|a, b| a.spec.path.cmp(&b.spec.path));
    Ok(found)
}

/// The worktree of that path, branch and owner.
pub(super) fn find_owned(
    repo: &Repository,
    spec: &WorktreeSpec,
) -> Result<Option<OwnedWorktree>, Error> {
    let found = owned(repo)?.into_iter().find(|owned| {
        let other = &owned.spec;
        other.path == spec.path && other.branch == spec.branch && other.owner == spec.owner
    });
    Ok(found)
}
