//! A checkout of a result that is not on a branch yet, for a check.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Form, Prepared};
use crate::worktree::error::Error;
use crate::worktree::identity::write_commit;
use crate::worktree::repository::Repository;

/// A checkout of a commit for a check: a worktree that is gone when this is dropped.
#[derive(Debug)]
pub struct Trial {
    repo: Repository,
    path: PathBuf,
}

impl Trial {
    /// Checks the prepared result out at `path`, where nothing is, or what a trial before left.
    ///
    /// # Errors
    /// Those of git.
    pub fn new(repo: &Repository, prepared: &Prepared, path: &Path) -> Result<Self, Error> {
        let trial = Self {
            repo: repo.clone(),
            path: path.to_owned(),
        };
        trial.remove();
        let commit = match prepared.form {
            Form::Squash | Form::Commits => prepared.tip,
            Form::Patch => {
                let failed = "read the changes";
                let tree = repo.open()?.find_tree(prepared.tip).map(|tree| tree.id());
                let tree = tree.map_err(Error::git(failed))?;
                let message = "cx-operator: to check";
                write_commit(repo, tree, prepared.target.start, message)?
            }
        };
        let git = repo
            .checkout_git("worktree")
            .args(["add", "--quiet", "--detach", "--"]);
        git.args([path])
            .args([commit.to_string()])
            .query_output(Vec::new())?;
        Ok(trial)
    }

    fn remove(&self) {
        if !self.path.exists() {
            return;
        }
        let git = self
            .repo
            .checkout_git("worktree")
            .args(["remove", "--force", "--force", "--"]);
        if let Err(error) = git.args([&self.path]).query_output(Vec::new()) {
            tracing::warn!("{error}");
        }
        let _is_gone = fs::remove_dir_all(&self.path);
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.remove();
    }
}
