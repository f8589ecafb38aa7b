//! A checkout of a result that is not on a branch yet, for a check.
//!
//! Its directory is there before all else, and goes last: whoever finds one that a killed process left finds by it what git knows of
//! it. Its name, which the caller makes unmistakable, is that of git's registration too, as long as that says nothing else.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{Form, Prepared};
use crate::worktree::admin_dir::{checkout_of, registered, remove_admin_dir};
use crate::worktree::error::Error;
use crate::worktree::files::remove_tree;
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
        Self::remove(repo, path)?;
        let trial = Self {
            repo: repo.clone(),
            path: path.to_owned(),
        };
        let made = fs::DirBuilder::new().mode(0o700).create(path);
        made.map_err(Error::io("create", path))?;
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
            .setting("worktree.useRelativePaths", "false")
            .args(["add", "--quiet", "--detach", "--"]);
        git.args([path])
            .args([commit.to_string()])
            .query_output(Vec::new())?;
        Ok(trial)
    }

    /// Removes what a trial at `path` left, its registration with it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn remove(repo: &Repository, path: &Path) -> Result<(), Error> {
        let Ok(real) = path.canonicalize() else {
            return Ok(());
        };
        for admin_dir in registered(repo)? {
            let is_of_it = match checkout_of(&admin_dir) {
                Some(checkout) => checkout == real || checkout == path,
                None => is_named(&admin_dir, path),
            };
            if is_of_it {
                remove_admin_dir(&admin_dir)?;
            }
        }
        remove_tree(path)
    }
}

/// Whether git made it for a worktree of that path, by its name; a number may be behind that.
fn is_named(admin_dir: &Path, path: &Path) -> bool {
    let [name, wanted] =
        [admin_dir, path].map(|path| path.file_name().and_then(|name| name.to_str()));
    let number = name
        .zip(wanted)
        .and_then(|(name, wanted)| name.strip_prefix(wanted));
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Err(error) = Self::remove(&self.repo, &self.path) {
            tracing::warn!("{error}");
        }
    }
}
