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
        let stats = |diff: &git2::Diff<'_>| diff.stats();
        let stats = look(worktree, base, stats)?;
        Some(Self {
            files: stats.files_changed(),
            insertions: stats.insertions(),
            deletions: stats.deletions(),
        })
    }

    /// The same as a patch, for people: it is not yet what the run's own will be.
    #[must_use]
    pub fn patch(worktree: &Path, base: &str) -> Option<Vec<u8>> {
        look(worktree, base, |diff| {
            let mut patch = Vec::new();
            diff.print(git2::DiffFormat::Patch, |_, _, line| {
                if let Ok(sign @ (b'+' | b'-' | b' ')) = u8::try_from(line.origin()) {
                    patch.push(sign);
                }
                patch.extend_from_slice(line.content());
                true
            })?;
            Ok(patch)
        })
    }
}

fn look<T>(
    worktree: &Path,
    base: &str,
    read: impl FnOnce(&git2::Diff<'_>) -> Result<T, git2::Error>,
) -> Option<T> {
    let repository = git2::Repository::open(worktree).ok()?;
    let base = repository.revparse_single(base).ok()?.peel_to_tree().ok()?;
    let mut options = git2::DiffOptions::new();
    options
        .include_untracked(true)
        .recurse_untracked_dirs(true)
        .show_untracked_content(true)
        // Whatever the user has git call the two sides.
        .old_prefix("a")
        .new_prefix("b");
    let diff = repository.diff_tree_to_workdir_with_index(Some(&base), Some(&mut options));
    read(&diff.ok()?).ok()
}
