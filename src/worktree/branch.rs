//! Who has a branch.

use std::fs;
use std::path::{Path, PathBuf};

use super::ancestry;
use super::error::Error;
use super::locked::until_unlocked;
use super::marker::Owner;
use super::repository::{CommitId, Repository};

/// An existing branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchHolder {
    /// The branch that is there: of that name, or below it, which keeps the name as well.
    pub branch: String,
    /// The checkout that has it as its HEAD, if any.
    pub worktree: Option<PathBuf>,
}

impl Repository {
    /// Finds the branch `name` (without `refs/heads/`), or one below it (`name/…`), and the checkout that holds it; `None`
    /// if the name is free.
    ///
    /// # Errors
    /// [`Error::InvalidName`], or those of libgit2.
    pub fn find_branch_holder(&self, name: &str) -> Result<Option<BranchHolder>, Error> {
        let full = branch_ref(name)?;
        let holder = |full: &str| BranchHolder {
            branch: full.trim_start_matches("refs/heads/").to_owned(),
            worktree: self.checkout_on(full, None),
        };
        let failed = "look for the branch";
        let open = self.open()?;
        match open.find_reference(&full) {
            Ok(_) => return Ok(Some(holder(&full))),
            Err(e) if e.code() == git2::ErrorCode::NotFound => {}
            Err(e) => return Err(Error::git(failed)(e)),
        }
        let below = open.references_glob(&format!("{full}/*"));
        let below = below.map_err(Error::git(failed))?.flatten().next();
        Ok(below.and_then(|found| Some(holder(found.name().ok()?))))
    }

    /// The local branches whose names begin so.
    ///
    /// # Errors
    /// Those of libgit2.
    pub fn branches_named(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let repo = self.open()?;
        let branches = repo
            .branches(Some(git2::BranchType::Local))
            .map_err(Error::git("list the branches"))?;
        let names = branches
            .flatten()
            .filter_map(|(branch, _)| Some(branch.name().ok()??.to_owned()));
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
        let target = |name: &str| match repo
            .find_reference(name)
            .and_then(|found| found.peel_to_commit())
        {
            Ok(commit) => Ok(Some(commit.id())),
            Err(e) if e.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(e) => Err(Error::git("read the branch")(e)),
        };
        let (Some(tip), Some(result)) = (target(&full)?, target(result_ref)?) else {
            return Ok(());
        };
        let descends = ancestry::descends(&repo, result, tip)
            .map_err(Error::git("compare the branch with the result"))?;
        if descends {
            until_unlocked(|| repo.reference(&full, result, true, "cx-operator: result"))
                .map_err(Error::git("move the branch"))?;
        }
        Ok(())
    }

    /// The directories of the linked worktrees, as git has them on record; they may be gone.
    #[must_use]
    pub fn checkouts(&self) -> Vec<PathBuf> {
        let admin_dirs = fs::read_dir(self.common_dir().join("worktrees"));
        let entries = admin_dirs.into_iter().flatten().flatten();
        entries
            .filter_map(|entry| checkout_of(&entry.path()))
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
        let admin_dirs = fs::read_dir(self.common_dir().join("worktrees")).ok()?;
        admin_dirs
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|admin| Some(&**admin) != except && holds(admin))
            .and_then(|admin| checkout_of(&admin))
    }
}

pub(super) fn checkout_of(admin_dir: &Path) -> Option<PathBuf> {
    let link = fs::read_to_string(admin_dir.join("gitdir")).ok()?;
    Some(Path::new(link.trim_end()).parent()?.to_owned())
}

/// The full name of a branch.
pub(super) fn branch_ref(name: &str) -> Result<String, Error> {
    let full = format!("refs/heads/{name}");
    if git2::Reference::is_valid_name(&full) && !name.starts_with('-') {
        Ok(full)
    } else {
        Err(Error::InvalidName {
            name: name.to_owned(),
        })
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
