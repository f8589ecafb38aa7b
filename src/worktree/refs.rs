//! Refs: listed, created, pointed elsewhere and deleted, by the git program; and those that keep results.
//!
//! Owns the names of refs and each change of one. Imported by the files of this module that read or change a ref.
//!
//! Invariants: a ref is changed under git's own lock, which is waited for; git keeps the reflogs and the rights of a
//! shared repository. No ref is deleted that has moved since it was read, but for the result of the run itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use git2::Oid;

use super::ancestry;
use super::error::Error;
use super::repository::{CommitId, Repository};

/// Where branches are.
pub(super) const BRANCHES: &str = "refs/heads/";
/// Where results are kept.
pub(super) const REF_PREFIX: &str = "refs/cx-operator/";

/// The full name of a branch.
pub(super) fn branch_ref(name: &str) -> Result<String, Error> {
    let full = format!("{BRANCHES}{name}");
    if git2::Reference::is_valid_name(&full) && !name.starts_with('-') {
        Ok(full)
    } else {
        Err(Error::InvalidName {
            name: name.to_owned(),
        })
    }
}

/// The refs at or below a name, with the objects that they point at.
pub(super) fn list_refs(repo: &Repository, name: &str) -> Result<Vec<(String, Oid)>, Error> {
    let listed = repo
        .git("for-each-ref")
        .args(["--format=%(objectname) %(refname)", name])
        .query_output(Vec::new())?;
    let listed = String::from_utf8_lossy(&listed);
    let lines = listed.lines().filter_map(|line| line.split_once(' '));
    Ok(lines
        .filter_map(|(id, name)| Some((name.to_owned(), id.parse().ok()?)))
        .collect())
}

/// Points a ref at a commit, wherever it pointed before; `why` is for its reflog.
pub(super) fn point_ref(repo: &Repository, full: &str, to: Oid, why: &str) -> Result<(), Error> {
    update(repo, why, &[full, &to.to_string()])
}

/// Creates a ref that must not exist.
pub(super) fn create_ref(repo: &Repository, full: &str, at: Oid, why: &str) -> Result<(), Error> {
    let nowhere = Oid::ZERO_SHA1.to_string();
    update(repo, why, &[full, &at.to_string(), &nowhere])
}

/// Creates a branch that must not exist, with a reflog also where the repository keeps none by itself: a bare one, or
/// one with `core.logAllRefUpdates=false`.
pub(super) fn create_branch(
    repo: &Repository,
    full: &str,
    at: Oid,
    why: &str,
) -> Result<(), Error> {
    let nowhere = Oid::ZERO_SHA1.to_string();
    let args = ["--create-reflog", full, &at.to_string(), &nowhere];
    update(repo, why, &args)
}

fn update(repo: &Repository, why: &str, args: &[&str]) -> Result<(), Error> {
    let git = repo.git("update-ref").signed().args(["-m", why]).args(args);
    git.query_output(Vec::new()).map(drop)
}

/// Deletes a ref and its reflog, whatever it points at; one that is gone is fine.
pub(super) fn delete_ref(repo: &Repository, full: &str) -> Result<(), Error> {
    repo.git("update-ref")
        .args(["-d", full])
        .query_output(Vec::new())
        .map(drop)
}

/// Deletes a branch and its reflog, if it still points at `tip`.
///
/// The program and not libgit2, which looks for the branch among the packed refs without their lock: a `git pack-refs`
/// or `git gc` next door that has read the branch and not yet written brings it back. Source: libgit2 1.9,
/// `tests/scenarios/scale/git.rs`.
pub(super) fn delete_branch(repo: &Repository, full: &str, tip: Oid) -> Result<(), Error> {
    let deleted = repo.git("update-ref").args(["-d", full, &tip.to_string()]);
    deleted.query_output(Vec::new())?;
    remove_empty_logs(repo.common_dir());
    Ok(())
}

/// Removes the directories of reflogs that a branch of ours was the first to need, as in a bare repository. Those with
/// anything in them stay.
fn remove_empty_logs(common_dir: &Path) {
    for dir in ["logs/refs/heads", "logs/refs", "logs"] {
        if fs::remove_dir(common_dir.join(dir)).is_err() {
            return;
        }
    }
}

impl Repository {
    /// The refs below `refs/cx-operator/` and the commits that they keep.
    ///
    /// # Errors
    /// Those of git.
    pub fn result_refs(&self) -> Result<BTreeMap<String, CommitId>, Error> {
        let refs = list_refs(self, REF_PREFIX)?;
        let refs = refs.into_iter().map(|(name, id)| (name, CommitId(id)));
        Ok(refs.collect())
    }

    /// Which of these commits no branch, tag or remote-tracking branch reaches. A commit that can't be read is not
    /// among them.
    ///
    /// # Errors
    /// Those of git.
    pub fn only_in_results(
        &self,
        commits: &BTreeSet<CommitId>,
    ) -> Result<BTreeSet<CommitId>, Error> {
        let unreached = ancestry::on_no_branch(self, commits.iter().map(|commit| commit.0))?;
        let unreached = unreached.into_iter().map(CommitId).collect();
        Ok(commits.intersection(&unreached).copied().collect())
    }

    /// Deletes refs below `refs/cx-operator/`, unless they moved; those that are gone are fine.
    ///
    /// # Errors
    /// [`Error::InvalidName`] for a ref that isn't below it; else those of libgit2.
    pub fn delete_result_refs(&self, refs: &BTreeMap<String, CommitId>) -> Result<(), Error> {
        if let Some(name) = refs.keys().find(|name| !name.starts_with(REF_PREFIX)) {
            return Err(Error::InvalidName { name: name.clone() });
        }
        if refs.is_empty() {
            return Ok(());
        }
        // libgit2 writes all packed refs again for each removed one.
        let input: String = refs
            .iter()
            .map(|(name, commit)| format!("delete {name} {commit}\n"))
            .collect();
        let deleted = self.git("update-ref").args(["--stdin"]);
        if deleted.query_output(input.into_bytes()).is_ok() {
            return Ok(());
        }
        // All or nothing: one that another process has deleted keeps the rest.
        let repo = self.open()?;
        for (name, commit) in refs {
            if repo.refname_to_id(name).ok() == Some(commit.0) {
                delete_ref(self, name)?;
            }
        }
        Ok(())
    }
}
