//! The commits of a result on top of a branch, as objects that no ref has.

use git2::Oid;

use super::ApplySpec;
use crate::worktree::ancestry::{self, parse_ids};
use crate::worktree::error::Error;
use crate::worktree::identity::is_ours;
use crate::worktree::merge::{Merged, Sides, merge};
use crate::worktree::repository::{CommitId, Repository};

/// What git says where it has no name for a commit. Source: git 2.47, `ident.c`.
const UNKNOWN: &str = "identity unknown";

/// The making of a result's commits.
pub(super) struct Merging<'a> {
    pub(super) repo: &'a Repository,
    pub(super) spec: &'a ApplySpec,
    /// The branch, for people.
    pub(super) name: String,
}

impl Merging<'_> {
    pub(super) fn tree_onto(&self, ours: Oid) -> Result<Oid, Error> {
        let (base, theirs) = (self.spec.base.0, self.spec.result.0);
        self.merged(Sides { base, ours, theirs })
    }

    fn merged(&self, sides: Sides) -> Result<Oid, Error> {
        match merge(self.repo, sides)? {
            Merged::Tree(tree) => Ok(tree),
            Merged::Conflict(files) => Err(Error::Conflict {
                branch: self.name.clone(),
                files,
            }),
        }
    }

    pub(super) fn squash(&self, onto: Oid) -> Result<(Oid, Vec<CommitId>), Error> {
        let tree = self.tree_onto(onto)?;
        if tree == self.tree_of(onto)? {
            return Ok((onto, Vec::new()));
        }
        let commit = self.commit(tree, onto, None)?;
        Ok((commit, vec![CommitId(commit)]))
    }

    /// Each of the agent's commits on top of the one before, as `git cherry-pick` does; a merge as what it brought.
    pub(super) fn replay(&self, onto: Oid) -> Result<(Oid, Vec<CommitId>), Error> {
        let (base, result) = (self.spec.base.0, self.spec.result.0);
        if result != base && !ancestry::descends(self.repo, result, base)? {
            return Err(Error::Rewritten);
        }
        let listed = self
            .repo
            .git("rev-list")
            .args(["--reverse", "--first-parent", &format!("{base}..{result}")])
            .query_output(Vec::new())?;
        let (mut tip, mut before, mut commits) = (onto, base, Vec::new());
        for theirs in parse_ids(&listed)? {
            let tree = self.merged(Sides {
                base: before,
                ours: tip,
                theirs,
            })?;
            before = theirs;
            if tree != self.tree_of(tip)? {
                tip = self.commit(tree, tip, Some(theirs))?;
                commits.push(CommitId(tip));
            }
        }
        Ok((tip, commits))
    }

    fn tree_of(&self, commit: Oid) -> Result<Oid, Error> {
        let open = self.repo.open()?;
        let commit = open.find_commit(commit).map(|commit| commit.tree_id());
        commit.map_err(Error::git("read a commit"))
    }

    /// Writes a commit of the user's; of an agent's commit author, date and message stay.
    fn commit(&self, tree: Oid, parent: Oid, agents: Option<Oid>) -> Result<Oid, Error> {
        let failed = "read a commit of the agent's";
        let open = self.repo.open()?;
        let agents = agents.map(|id| open.find_commit(id)).transpose();
        let agents = agents.map_err(Error::git(failed))?;
        let agents = agents.filter(|commit| !is_ours(&commit.author()));
        let message = match &agents {
            Some(commit) => String::from_utf8_lossy(commit.message_bytes()).into_owned(),
            None => self.spec.message.clone(),
        };
        let mut git = self
            .repo
            .checkout_git("commit-tree")
            .of_caller()
            .setting("i18n.commitEncoding", "UTF-8");
        if let Some(commit) = &agents {
            let author = commit.author();
            let (seconds, minutes) = (author.when().seconds(), author.when().offset_minutes());
            let (sign, minutes) = (if minutes < 0 { '-' } else { '+' }, minutes.abs());
            let date = format!("@{seconds} {sign}{:02}{:02}", minutes / 60, minutes % 60);
            git = git
                .env(
                    "GIT_AUTHOR_NAME",
                    &*String::from_utf8_lossy(author.name_bytes()),
                )
                .env(
                    "GIT_AUTHOR_EMAIL",
                    &*String::from_utf8_lossy(author.email_bytes()),
                )
                .env("GIT_AUTHOR_DATE", date);
        }
        if self.is_signing()? {
            git = git.args(["-S"]);
        }
        let message = self.with_trailers(message)?;
        let written = git
            .args([&tree.to_string(), "-p", &parent.to_string()])
            .query_output(message);
        let id = written.map_err(|error| match &error {
            Error::GitFailed { stderr, .. } if stderr.contains(UNKNOWN) => Error::NoIdentity,
            _ => error,
        })?;
        let id = String::from_utf8_lossy(&id);
        id.trim_end()
            .parse()
            .map_err(Error::git("read the id of a commit"))
    }

    fn with_trailers(&self, message: String) -> Result<Vec<u8>, Error> {
        let mut git = self.repo.checkout_git("interpret-trailers");
        git = git.args(["--if-exists", "addIfDifferent"]);
        for trailer in &self.spec.trailers {
            git = git.args(["--trailer", trailer]);
        }
        let mut message = message.into_bytes();
        if !message.ends_with(b"\n") {
            message.push(b'\n');
        }
        git.query_output(message)
    }

    /// Whether the user signs commits.
    fn is_signing(&self) -> Result<bool, Error> {
        let git = self.repo.checkout_git("config");
        let ended = git
            .args(["--type=bool", "--get", "commit.gpgSign"])
            .query_end(Vec::new())?;
        Ok(ended.stdout.starts_with(b"true"))
    }
}
