//! How much an agent has changed so far: a look that writes nothing and runs no program.

use std::path::Path;

/// How much differs from a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// Files.
    pub files: usize,
    /// Lines added.
    pub insertions: usize,
    /// Lines removed.
    pub deletions: usize,
}

impl Glance {
    /// Looks into a worktree, at what is committed, staged, changed and new; `None` where it can't be looked at.
    #[must_use]
    pub fn at(worktree: &Path, base: &str) -> Option<Self> {
        let repository = git2::Repository::open(worktree).ok()?;
        let base = repository.revparse_single(base).ok()?.peel_to_tree().ok()?;
        let mut options = git2::DiffOptions::new();
        options
            .include_untracked(true)
            .recurse_untracked_dirs(true)
            .show_untracked_content(true);
        let diff = repository.diff_tree_to_workdir_with_index(Some(&base), Some(&mut options));
        let stats = diff.ok()?.stats().ok()?;
        Some(Self {
            files: stats.files_changed(),
            insertions: stats.insertions(),
            deletions: stats.deletions(),
        })
    }
}
