//! What is uncommitted in the caller's checkout: counted for a notice, or committed as a base.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::capture;
use super::error::Error;
use super::git::Git;
use super::identity::write_commit;
use super::repository::{Checkout, CommitId, Repository};

/// How long a look at the caller's checkout may take: it is for a notice.
const DIRTY_LIMIT: Duration = Duration::from_secs(60);

/// What is uncommitted in the caller's checkout, as `git status` counts: an untracked directory is one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Dirty {
    /// Tracked files that differ from HEAD, and submodules that are at another commit.
    pub modified: usize,
    /// Untracked files and directories that are not ignored.
    pub untracked: usize,
}

impl Dirty {
    /// Nothing is uncommitted.
    #[must_use]
    pub fn is_clean(self) -> bool {
        self == Self::default()
    }
}

impl Repository {
    /// Counts what is uncommitted in the caller's checkout; a bare repository is clean. Writes nothing, the index's
    /// cached file times included.
    ///
    /// # Errors
    /// Those of running git.
    pub fn query_dirty(&self) -> Result<Dirty, Error> {
        let Some(Checkout { git_dir, work_tree }) = &self.caller else {
            return Ok(Dirty::default());
        };
        refuse_pipes(work_tree)?;
        // The program and not libgit2: it compares the files on all cores, and knows sparse and split indexes.
        let output = Git::new(git_dir, work_tree, "status")
            .args(["--porcelain=v1", "-z", "--no-renames"])
            .args(["--untracked-files=normal", "--ignore-submodules=dirty"])
            .limit(DIRTY_LIMIT)
            .query_output(Vec::new())?;
        Ok(count_dirty(&output))
    }

    /// Commits the caller's uncommitted and untracked files on top of `base`, without touching their index, refs or
    /// files, and says what isn't in it. No ref holds the commit: the caller must keep it.
    ///
    /// # Errors
    /// [`Error::BaseIsNotHead`], [`Error::NoCheckout`], [`Error::Unreadable`], or those of libgit2 and git.
    pub fn snapshot_dirty(
        &self,
        base: CommitId,
        message: &str,
    ) -> Result<(CommitId, Vec<String>), Error> {
        let Some(Checkout { git_dir, work_tree }) = &self.caller else {
            return Err(Error::NoCheckout {
                path: self.root().to_owned(),
            });
        };
        if self.resolve_base("HEAD")? != base {
            return Err(Error::BaseIsNotHead {
                base: base.to_string(),
            });
        }
        let repo = self.open()?;
        let parent = repo
            .find_commit(base.0)
            .map_err(Error::git("read the base commit"))?;
        let before = parent
            .tree()
            .map_err(Error::git("read the tree of the base commit"))?;
        let (tree, notices) = capture::take_checkout(&before, git_dir, work_tree)?;
        let commit = write_commit(self, tree, base.0, message)?;
        Ok((CommitId(commit), notices))
    }
}

/// Refuses a checkout whose rules are a pipe: git would wait for a writer.
fn refuse_pipes(work_tree: &Path) -> Result<(), Error> {
    for name in [".gitignore", ".gitattributes", ".gitmodules"] {
        let path = work_tree.join(name);
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.file_type().is_fifo()) {
            let source = std::io::Error::other("it is a pipe, for which git would wait");
            return Err(Error::io("read", &path)(source));
        }
    }
    Ok(())
}

/// Counts the entries of `git status --porcelain=v1 -z --no-renames`.
fn count_dirty(output: &[u8]) -> Dirty {
    let entries = output.split(|b| *b == 0).filter(|entry| !entry.is_empty());
    let (untracked, modified): (Vec<_>, Vec<_>) =
        entries.partition(|entry| entry.starts_with(b"??"));
    Dirty {
        modified: modified.len(),
        untracked: untracked.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_entries_are_counted_by_kind() {
        let dirty = count_dirty(b" M a\0?? b\0D  c\nd\0?? e/\0");
        assert_eq!(
            dirty,
            Dirty {
                modified: 2,
                untracked: 2
            }
        );
        assert!(count_dirty(b"").is_clean());
    }
}
