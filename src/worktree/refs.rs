//! The refs that keep results, and whether anything else does.

use std::collections::{BTreeMap, BTreeSet};

use super::add::delete_ref;
use super::ancestry;
use super::error::Error;
use super::git::Git;
use super::repository::{CommitId, Repository};
use super::snapshot::REF_PREFIX;

impl Repository {
    /// The refs below `refs/cx-operator/` and the commits that they keep.
    ///
    /// # Errors
    /// Those of libgit2.
    pub fn result_refs(&self) -> Result<BTreeMap<String, CommitId>, Error> {
        let failed = "list the results";
        let repo = self.open()?;
        let refs = repo
            .references_glob(&format!("{REF_PREFIX}*"))
            .map_err(Error::git(failed))?;
        let mut found = BTreeMap::new();
        for reference in refs {
            let reference = reference.map_err(Error::git(failed))?;
            if let (Ok(name), Some(id)) = (reference.name(), reference.target()) {
                found.insert(name.to_owned(), CommitId(id));
            }
        }
        Ok(found)
    }

    /// Which of these commits no branch, tag or remote-tracking branch reaches. What can't be read is not among them.
    ///
    /// # Errors
    /// Those of libgit2.
    pub fn only_in_results(
        &self,
        commits: &BTreeSet<CommitId>,
    ) -> Result<BTreeSet<CommitId>, Error> {
        let failed = "compare the results with the branches";
        let repo = self.open()?;
        let known = commits.iter().map(|commit| commit.0);
        let known: Vec<_> = known.filter(|id| repo.find_commit(*id).is_ok()).collect();
        if known.is_empty() {
            return Ok(BTreeSet::new());
        }
        let unreached = ancestry::on_no_branch(&repo, &known).map_err(Error::git(failed))?;
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
        let deleted = Git::new(self.common_dir(), self.common_dir(), "update-ref")
            .args(["--stdin"])
            .query_output(input.into_bytes());
        if deleted.is_ok() {
            return Ok(());
        }
        // All or nothing: one that another process has deleted keeps the rest.
        let repo = self.open()?;
        for (name, commit) in refs {
            if repo.refname_to_id(name).ok() == Some(commit.0) {
                delete_ref(&repo, name)?;
            }
        }
        Ok(())
    }
}
