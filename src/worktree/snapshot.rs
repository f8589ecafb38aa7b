//! Takes what the agent left in a worktree and keeps it under a ref of ours.
//!
//! Owns the result of a run and the refs that keep it. Imported by no file of this module.
//!
//! Invariants: a result that is returned is complete and on the disk; a ref that held more is kept beside it; the
//! agent's files, index and branches are read only.

use std::fs;
use std::path::PathBuf;

use git2::{Commit, Oid};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::add::Worktree;
use super::admin_dir::{REMOVING, is_initializing};
use super::agent_head::AgentCommit;
use super::capture::{self, History, Source};
use super::diff::{self, DiffSummary};
use super::durable;
use super::error::Error;
use super::files::Scratch;
use super::identity::write_commit;
use super::marker::{Marker, leads_to};
use super::refs::{REF_PREFIX, create_ref, delete_ref, point_ref};
use super::repository::CommitId;

/// Said where the directory can't be found.
const GONE: &str = "the worktree's directory is gone or another one: only commits are kept";
/// How many commits of the agent are listed; all are counted.
const COMMITS_LISTED: usize = 200;

/// How to keep a snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotSpec {
    /// `refs/cx-operator/<run-id>`.
    pub ref_name: String,
    /// The message of the commit that holds what wasn't committed.
    pub message: String,
    /// Names of files at the top that, if they are empty and the base commit has none, an agent's sandbox has left.
    pub mount_points: &'static [&'static str],
}

/// In which form the agent left changes.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changes {
    /// It changed nothing.
    None,
    /// All in commits.
    Committed,
    /// All in files that it didn't commit.
    Uncommitted,
    /// Some in commits, some in files.
    Both,
    /// Nobody could look: what is known of it may not be all.
    Unknown,
}

/// What the agent left.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The commit with everything; `None` if nothing changed, and then no ref is written.
    pub result_commit: Option<CommitId>,
    /// In which form it was left.
    pub changes: Changes,
    /// Commits in HEAD that the base doesn't have, oldest first, at most 200.
    pub agent_commits: Vec<AgentCommit>,
    /// How many there are in all.
    pub agent_commit_count: usize,
    /// The difference between the base commit and the result.
    pub diff: DiffSummary,
    /// Notices about it, for people.
    pub notices: Vec<String>,
    /// The files that only the worktree has, since they can't be read or stored. Relative to it.
    pub left_out: Vec<PathBuf>,
}

/// A commit that is to be kept, and what is said of it.
struct Found<'r> {
    commit: Commit<'r>,
    /// The directory could not be looked at, nor is there an earlier snapshot of it.
    unseen: bool,
    notices: Vec<String>,
    left_out: Vec<PathBuf>,
}

impl Worktree {
    /// Stores committed, uncommitted and untracked files (respecting `.gitignore`) as one commit on top of the agent's
    /// HEAD and points the ref at it; at HEAD itself if all is committed. The agent's index and files are only read.
    /// When removal has begun, or the directory is gone, the ref that was written before stays. If the ref held
    /// something that the new result has not, that is kept as `<ref>.1`; the commits of repositories inside the
    /// worktree are kept as `<ref>.inside.1`, ….
    ///
    /// When it returns, the result is complete, and it and the ref are on the disk.
    ///
    /// # Errors
    /// [`Error::InvalidName`] for a ref outside `refs/cx-operator/`; [`Error::Unreadable`] for a device in the place of
    /// ignore rules, [`Error::Unstorable`] where the repository takes nothing, [`Error::Incomplete`] for an object that
    /// isn't there; else those of libgit2 and git.
    pub fn snapshot(&self, spec: &SnapshotSpec) -> Result<Snapshot, Error> {
        self.snapshot_unless(spec, &CancellationToken::new())
    }

    /// The same, unless it is told to stop: [`Error::Stopped`] then.
    pub(crate) fn snapshot_unless(
        &self,
        spec: &SnapshotSpec,
        stop: &CancellationToken,
    ) -> Result<Snapshot, Error> {
        let name = &spec.ref_name;
        if !name.starts_with(REF_PREFIX) || !git2::Reference::is_valid_name(name) {
            return Err(Error::InvalidName { name: name.clone() });
        }
        let repo = self.repo.open()?;
        let (head, mut notices) = self.agent_head(&repo)?;
        let earlier = repo
            .find_reference(name)
            .and_then(|found| found.peel_to_commit())
            .ok();
        let mut found = match self.find_obstacle() {
            None => self.collect(&repo, &head, spec, stop)?,
            Some(obstacle) => self.remains(&head, earlier.as_ref(), obstacle),
        };
        notices.append(&mut found.notices);
        if let Some(earlier) = earlier {
            if found.commit.id() != head.id() && is_same(&earlier, &found.commit) {
                found.commit = earlier;
            } else if !self.has(&found.commit, &earlier) {
                let why = "cx-operator: an earlier snapshot";
                let aside = self.set_aside(name, earlier.id(), why)?;
                notices.push(format!(
                    "an earlier snapshot of this run was different: it is kept as {aside}"
                ));
            }
        }
        let result = found.commit.id();
        self.keep(name, result)?;
        let base = self.spec.base;
        let changes = match (head.id() != base.0, result != head.id()) {
            _ if found.unseen => Changes::Unknown,
            (false, false) => Changes::None,
            (true, false) => Changes::Committed,
            (false, true) => Changes::Uncommitted,
            (true, true) => Changes::Both,
        };
        let mut agent_commits = self.query_agent_commits(head.id())?;
        let agent_commit_count = agent_commits.len();
        agent_commits.truncate(COMMITS_LISTED);
        Ok(Snapshot {
            result_commit: (result != base.0).then_some(CommitId(result)),
            changes,
            agent_commits,
            agent_commit_count,
            diff: diff::summarize(&self.repo, base, CommitId(result), &self.admin_dir)?,
            notices,
            left_out: found.left_out,
        })
    }

    /// The commit with everything that is in the directory.
    fn collect<'r>(
        &self,
        repo: &'r git2::Repository,
        head: &Commit<'r>,
        spec: &SnapshotSpec,
        stop: &CancellationToken,
    ) -> Result<Found<'r>, Error> {
        let failed = "read the tree of a commit";
        let base = repo.find_commit(self.spec.base.0);
        let base = base.and_then(|base| base.tree());
        let scratch = Scratch::below(&self.admin_dir)?;
        let captured = capture::take(&Source {
            scratch: scratch.path(),
            repo: &self.repo,
            work_tree: &self.spec.path,
            admin_dir: &self.admin_dir,
            base: &base.map_err(Error::git(failed))?,
            head: &head.tree().map_err(Error::git(failed))?,
            mount_points: spec.mount_points,
            stop,
        })?;
        let mut notices = captured.notices;
        notices.extend(self.keep_histories(&spec.ref_name, captured.histories)?);
        let commit = if captured.tree == head.tree_id() {
            head.clone()
        } else {
            let id = write_commit(&self.repo, captured.tree, head.id(), &spec.message)?;
            repo.find_commit(id)
                .map_err(Error::git("read the snapshot"))?
        };
        Ok(Found {
            commit,
            unseen: false,
            notices,
            left_out: captured.left_out,
        })
    }

    /// What is kept where the directory is not to be read: the earlier snapshot, unless HEAD has all of it.
    fn remains<'r>(
        &self,
        head: &Commit<'r>,
        earlier: Option<&Commit<'r>>,
        obstacle: &str,
    ) -> Found<'r> {
        let earlier = earlier.filter(|earlier| !self.has(head, earlier));
        let notices = match earlier {
            Some(_) => Vec::new(),
            None => vec![obstacle.to_owned()],
        };
        Found {
            commit: earlier.unwrap_or(head).clone(),
            unseen: earlier.is_none() && obstacle == GONE,
            notices,
            left_out: Vec::new(),
        }
    }

    /// Points the ref at the result, safely.
    fn keep(&self, name: &str, result: Oid) -> Result<(), Error> {
        if result == self.spec.base.0 {
            return match self.repo.open()?.find_reference(name) {
                Err(e) if e.code() == git2::ErrorCode::NotFound => Ok(()),
                // It is left from an earlier snapshot, and would say that something changed.
                _ => delete_ref(&self.repo, name),
            };
        }
        point_ref(&self.repo, name, result, "cx-operator: snapshot")?;
        durable::secure(&self.repo, name, self.spec.base, result)
    }

    /// Keeps a commit that the result doesn't have: as `<ref>.1`, `<ref>.2`, … Returns the name.
    fn set_aside(&self, name: &str, kept: Oid, why: &str) -> Result<String, Error> {
        let repo = self.repo.open()?;
        let mut number = 1_u32;
        loop {
            let aside = format!("{name}.{number}");
            match repo.refname_to_id(&aside) {
                Ok(id) if id == kept => return Ok(aside),
                Ok(_) => number += 1,
                Err(_) => {
                    create_ref(&self.repo, &aside, kept, why)?;
                    return Ok(aside);
                }
            }
        }
    }

    /// Returns whether all of `earlier` is in `result`: as a commit below it, or as the same files.
    fn has(&self, result: &Commit<'_>, earlier: &Commit<'_>) -> bool {
        result.id() == earlier.id()
            || result.tree_id() == earlier.tree_id()
            || self.descends(result.id(), earlier.id())
    }

    /// Why the directory is not to be read, if so.
    fn find_obstacle(&self) -> Option<&'static str> {
        if is_initializing(&self.admin_dir) {
            // What is missing was never there to be deleted.
            return Some("the worktree was never complete: no agent has worked in it");
        }
        (!self.is_intact()).then_some(GONE)
    }

    /// Whether the directory is the one that was made for the run, and no removal has begun.
    fn is_intact(&self) -> bool {
        let path = &self.spec.path;
        let Ok(meta) = fs::symlink_metadata(path) else {
            return false;
        };
        if self.admin_dir.join(REMOVING).exists() {
            return false;
        }
        match Marker::find(&self.admin_dir) {
            Some(marker) => marker.proves_directory(&meta, &self.admin_dir),
            // Pruned by a git that missed the directory for a moment. Not proof enough to remove it, but to read it.
            None => meta.is_dir() && leads_to(path, &self.admin_dir),
        }
    }

    /// Points refs at the commits of repositories inside the worktree: `<ref>.inside.1`, …
    fn keep_histories(&self, name: &str, histories: Vec<History>) -> Result<Vec<String>, Error> {
        let name = format!("{name}.inside");
        let mut notices = Vec::new();
        for History { said, tips } in histories {
            let mut refs = Vec::new();
            for tip in tips {
                let kept = self.set_aside(&name, tip, "cx-operator: of a repository inside")?;
                durable::secure(&self.repo, &kept, self.spec.base, tip)?;
                refs.push(kept);
            }
            notices.push(format!("{said} kept as {}", refs.join(", ")));
        }
        Ok(notices)
    }
}

/// Returns whether a commit of ours is the same snapshot, taken at another time.
fn is_same(earlier: &Commit<'_>, result: &Commit<'_>) -> bool {
    earlier.tree_id() == result.tree_id() && earlier.parent_ids().eq(result.parent_ids())
}
