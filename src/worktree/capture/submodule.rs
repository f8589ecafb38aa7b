//! Whether a submodule is as the base commit has it.

use std::fs;
use std::path::Path;

use git2::{Oid, RepositoryOpenFlags, StatusOptions};

/// True for an empty directory, and for a checkout of just the recorded commit. On any doubt it was touched: its files
/// are stored then, and nothing is lost.
pub(super) fn is_untouched(path: &Path, recorded: Oid) -> bool {
    let Ok(mut entries) = fs::read_dir(path) else {
        return false;
    };
    if entries.next().is_none() {
        return true;
    }
    let flags = RepositoryOpenFlags::NO_SEARCH;
    let Ok(repo) = git2::Repository::open_ext(path, flags, &[] as &[&Path]) else {
        return false;
    };
    let at_recorded = repo
        .head()
        .is_ok_and(|head| head.target() == Some(recorded));
    let mut options = StatusOptions::new();
    options.include_untracked(true).no_refresh(true);
    at_recorded
        && repo
            .statuses(Some(&mut options))
            .is_ok_and(|found| found.is_empty())
}
