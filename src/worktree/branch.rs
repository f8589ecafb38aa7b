//! Who has a branch.

use std::fs;
use std::path::{Path, PathBuf};

use super::admin_dir::{checkout_of, registered};
use super::ancestry;
use super::error::Error;
use super::refs::{BRANCHES, branch_ref, list_refs, point_ref};
use super::repository::{CommitId, Repository};
use super::spec::Owner;

/// An existing branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchHolder {
    /// The branch that is there: of that name, or below it, which keeps the name as well.
    pub branch: String,
    /// The checkout that has it as its HEAD, if any.
    pub worktree: Option<PathBuf>,
}

impl Repository {
    /// Finds the branch `name` (without `refs/heads/`), or one below it (`name/…`), and the checkout that holds it;
    /// `None` if the name is free.
    ///
    /// # Errors
    /// [`Error::InvalidName`], or those of libgit2.
    pub fn find_branch_holder(&self, name: &str) -> Result<Option<BranchHolder>, Error> {
        let found = list_refs(self, &branch_ref(name)?)?.into_iter().next();
        Ok(found.map(|(full, _)| BranchHolder {
            branch: full.trim_start_matches(BRANCHES).to_owned(),
            worktree: self.checkout_on(&full, None),
        }))
    }

    /// The local branches whose names begin so.
    ///
    /// # Errors
    /// Those of git.
    pub fn branches_named(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let refs = list_refs(self, BRANCHES)?.into_iter();
        let names = refs.filter_map(|(full, _)| Some(full.strip_prefix(BRANCHES)?.to_owned()));
        Ok(names.filter(|name| name.starts_with(prefix)).collect())
    }

    /// The id of the run that the branch `name` was made for, where its reflog says so.
    ///
    /// # Errors
    /// [`Error::InvalidName`], or those of libgit2.
    pub fn find_run_of_branch(&self, name: &str) -> Result<Option<String>, Error> {
        let full = branch_ref(name)?;
        Ok(find_creation(&self.open()?, &full).map(|(run_id, _)| run_id))
    }

    /// Moves a branch of ours forward to a result, so that a kept branch has all the work. A branch that
    /// the result doesn't descend from, and one that is gone, stay as they are.
    ///
    /// # Errors
    /// [`Error::InvalidName`], else those of libgit2.
    pub fn advance_branch(&self, name: &str, result_ref: &str) -> Result<(), Error> {
        let full = branch_ref(name)?;
        let repo = self.open()?;
        let target = |name: &str| match repo.refname_to_id(name) {
            Err(e) if e.code() == git2::ErrorCode::NotFound => Ok(None),
            other => other.map(Some).map_err(Error::git("read the branch")),
        };
        let (Some(tip), Some(result)) = (target(&full)?, target(result_ref)?) else {
            return Ok(());
        };
        if !ancestry::descends(self, result, tip)? {
            return Ok(());
        }
        point_ref(self, &full, result, "cx-operator: result")
    }

    /// The directories of the linked worktrees, as git has them on record; they may be gone.
    #[must_use]
    pub fn checkouts(&self) -> Vec<PathBuf> {
        let admin_dirs = registered(self).unwrap_or_default();
        admin_dirs
            .iter()
            .filter_map(|dir| checkout_of(dir))
            .collect()
    }

    /// The checkout whose HEAD is `full`, other than that of the administrative directory `except`. One that can't be
    /// read holds nothing.
    pub(super) fn checkout_on(&self, full: &str, except: Option<&Path>) -> Option<PathBuf> {
        let wanted = format!("ref: {full}");
        let holds = |git_dir: &Path| {
            fs::read_to_string(git_dir.join("HEAD")).is_ok_and(|head| head.trim_end() == wanted)
        };
        if holds(self.common_dir()) {
            return Some(self.root().to_owned());
        }
        let admin_dirs = registered(self).unwrap_or_default();
        admin_dirs
            .iter()
            .find(|admin| Some(&***admin) != except && holds(admin))
            .and_then(|admin| checkout_of(admin))
    }
}

/// What the reflog of a branch of ours begins with, before the run's id.
const CREATED: &str = "cx-operator: created for ";

/// What the reflog of a branch that is made for a run says first.
pub(super) fn creation_message(owner: &Owner) -> String {
    format!("{CREATED}{}", owner.run_id)
}

/// The run that the branch was made for, and the commit that it was made at, as its own reflog says.
pub(super) fn find_creation(repo: &git2::Repository, full: &str) -> Option<(String, CommitId)> {
    // libgit2 makes an empty log where it finds none.
    if !repo.commondir().join("logs").join(full).exists() {
        return None;
    }
    let log = repo.reflog(full).ok()?;
    // Entries are numbered from the newest.
    let oldest = log.get(log.len().checked_sub(1)?)?;
    let message = oldest.message().ok()??;
    let run_id = message.strip_prefix(CREATED)?.to_owned();
    Some((run_id, CommitId(oldest.id_new())))
}

/// Whether the branch's own reflog says that it was made for the run.
pub(super) fn is_made_for(repo: &git2::Repository, full: &str, owner: &Owner) -> bool {
    find_creation(repo, full).is_some_and(|(run_id, _)| run_id == owner.run_id)
}
