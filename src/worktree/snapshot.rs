//! Takes what the agent left in a worktree and keeps it under a ref of ours.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use git2::{Commit, Oid};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::add::{REMOVING, Worktree, delete_ref, is_initializing};
use super::capture::{self, Captured, History, Source};
use super::error::Error;
use super::files::{Scratch, read_small};
use super::git::Git;
use super::{ancestry, durable, guests};

use super::marker::{Marker, leads_to};
use super::repository::CommitId;
use crate::worktree::diff::{self, DiffSummary};

/// Where results are kept.
pub(super) const REF_PREFIX: &str = "refs/cx-operator/";
/// The longest `HEAD` that is believed, in bytes.
pub(super) const HEAD_LIMIT: u64 = 4096;
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

/// A commit that the agent made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentCommit {
    /// Its full id.
    pub id: CommitId,
    /// The first line of its message.
    pub summary: String,
    /// The author's name and address, `Name <address>`.
    pub author: String,
    /// The author's time, RFC 3339, UTC.
    pub time: String,
}

/// The agent's work.
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

impl Worktree {
    /// Stores committed, uncommitted and untracked files (respecting `.gitignore`) as one commit on top of the agent's
    /// HEAD and points the ref at it; at HEAD itself if all is committed. The agent's index and files are only read.
    /// When removal has begun, or the directory is gone, the ref that was written before stays. If the ref held
    /// something that the new result has not, that is kept as `<ref>.1`; the commits of repositories inside the worktree
    /// are kept as `<ref>.inside.1`, ….
    ///
    /// When it returns, the result is complete, and it and the ref are on the disk.
    ///
    /// # Errors
    /// [`Error::InvalidName`] for a ref outside `refs/cx-operator/`; [`Error::Unreadable`] for a device in
    /// the place of ignore rules, [`Error::Unstorable`] where the repository takes nothing, [`Error::Incomplete`] for an object that isn't
    /// there; else those of libgit2 and git.
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
        let obstacle = self.find_obstacle();
        let repo = self.repo.open()?;
        let (mut notices, mut left_out) = (Vec::new(), Vec::new());
        let head = self.agent_head(&repo, &mut notices)?;
        let earlier = repo
            .find_reference(name)
            .and_then(|r| r.peel_to_commit())
            .ok();
        let mut unseen = false;
        let result = match (&earlier, obstacle) {
            (_, None) => {
                let captured = self.capture(&repo, &head, (spec.mount_points, stop))?;
                notices.extend(captured.notices);
                notices.extend(self.keep_histories(&repo, name, captured.histories)?);
                left_out = captured.left_out;
                commit(&repo, (&head, &spec.message), captured.tree)?
            }
            (Some(earlier), Some(_)) if !has(&repo, &head, earlier) => earlier.clone(),
            (_, Some(why)) => {
                notices.push(why.to_owned());
                unseen = why == GONE;
                head.clone()
            }
        };
        let result = match &earlier {
            Some(earlier) if result.id() != head.id() && is_same(earlier, &result) => {
                earlier.clone()
            }
            _ => result,
        };
        let lost = earlier.filter(|earlier| !has(&repo, &result, earlier));
        notices.extend(self.keep(&repo, name, (&result, lost))?);
        let changed = result.id() != self.spec.base.0;
        let (agent_commits, agent_commit_count) = self.agent_commits(&repo, head.id())?;
        let committed = head.id() != self.spec.base.0;
        let changes = match (committed, result.id() != head.id()) {
            _ if unseen => Changes::Unknown,
            (false, false) => Changes::None,
            (true, false) => Changes::Committed,
            (false, true) => Changes::Uncommitted,
            (true, true) => Changes::Both,
        };
        let result = CommitId(result.id());
        Ok(Snapshot {
            result_commit: changed.then_some(result),
            changes,
            agent_commits,
            agent_commit_count,
            diff: diff::summarize(&self.repo, (self.spec.base, result), &self.admin_dir)?,
            notices,
            left_out,
        })
    }

    /// Points the ref at the result, safely, after what it held before and the result lacks was kept elsewhere.
    fn keep(
        &self,
        repo: &git2::Repository,
        name: &str,
        (result, lost): (&Commit<'_>, Option<Commit<'_>>),
    ) -> Result<Option<String>, Error> {
        let why = "cx-operator: an earlier snapshot";
        let aside = lost
            .map(|lost| set_aside(repo, name, (lost.id(), why)))
            .transpose()?;
        if result.id() == self.spec.base.0 {
            // One that is left from an earlier snapshot would say that something changed.
            delete_ref(repo, name)?;
        } else {
            write_ref(repo, (name, "cx-operator: snapshot"), &[result.id()])?;
            durable::secure(&self.repo, name, (self.spec.base, result.id()))?;
        }
        Ok(aside.map(|aside| {
            format!("an earlier snapshot of this run was different: it is kept as {aside}")
        }))
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

    /// The agent's commit, on whatever branch; the base if HEAD leads nowhere.
    fn agent_head<'r>(
        &self,
        repo: &'r git2::Repository,
        notices: &mut Vec<String>,
    ) -> Result<Commit<'r>, Error> {
        let find_base = || {
            repo.find_commit(self.spec.base.0)
                .map_err(Error::git("read the base commit"))
        };
        let Some(head) = self.find_head(repo) else {
            notices.push("the worktree's HEAD has no commit: compared with the base commit".into());
            return find_base();
        };
        let base = self.spec.base.0;
        let descends =
            head.id() == base || ancestry::descends(repo, head.id(), base).unwrap_or(false);
        if !descends {
            notices.push("the agent's HEAD doesn't descend from the base commit".into());
        }
        let branch = format!("refs/heads/{}", self.spec.branch);
        let name = self.head_text().unwrap_or_default();
        if let Some(name) = name.strip_prefix("ref: ").filter(|name| *name != branch) {
            notices.push(format!("the agent left the branch {name}: it stays"));
        }
        let known = [name.strip_prefix("ref: ").unwrap_or(""), &branch];
        notices.extend(guests::describe(repo, &self.admin_dir, &known)?);
        let tip = repo.refname_to_id(&branch).unwrap_or(base);
        if tip != base
            && tip != head.id()
            && !ancestry::descends(repo, head.id(), tip).unwrap_or(false)
        {
            notices.push(format!(
                "{branch} has commits that aren't in the result: the branch is kept"
            ));
        }
        Ok(head)
    }

    fn find_head<'r>(&self, repo: &'r git2::Repository) -> Option<Commit<'r>> {
        // Where the worktree's registration was pruned, its branch still knows what was committed.
        let branch = || format!("ref: refs/heads/{}", self.spec.branch);
        let text = self.head_text().unwrap_or_else(branch);
        match text.strip_prefix("ref: ") {
            Some(name) => repo.find_reference(name).ok()?.peel_to_commit().ok(),
            None => repo.find_commit(Oid::from_str(&text).ok()?).ok(),
        }
    }

    fn head_text(&self) -> Option<String> {
        let text = read_small(&self.admin_dir.join("HEAD"), HEAD_LIMIT)?;
        Some(String::from_utf8(text).ok()?.trim_end().to_owned())
    }

    /// The files as a tree.
    fn capture(
        &self,
        repo: &git2::Repository,
        head: &Commit<'_>,
        (mount_points, stop): (&[&'static str], &CancellationToken),
    ) -> Result<Captured, Error> {
        let failed = "read the tree of a commit";
        let base = repo.find_commit(self.spec.base.0);
        let base = base.and_then(|base| base.tree());
        let scratch = Scratch::below(&self.admin_dir)?;
        capture::take(&Source {
            scratch: scratch.path(),
            repo: &self.repo,
            open: repo,
            work_tree: &self.spec.path,
            admin_dir: &self.admin_dir,
            base: &base.map_err(Error::git(failed))?,
            head: &head.tree().map_err(Error::git(failed))?,
            mount_points,
            stop,
        })
    }

    /// Points refs at the commits of repositories inside the worktree: `<ref>.inside.1`, …
    fn keep_histories(
        &self,
        repo: &git2::Repository,
        name: &str,
        histories: Vec<History>,
    ) -> Result<Vec<String>, Error> {
        let name = format!("{name}.inside");
        let mut notices = Vec::new();
        for History { said, tips } in histories {
            let mut refs = Vec::new();
            for tip in tips {
                let kept = set_aside(repo, &name, (tip, "cx-operator: of a repository inside"))?;
                durable::secure(&self.repo, &kept, (self.spec.base, tip))?;
                refs.push(kept);
            }
            notices.push(format!("{said} kept as {}", refs.join(", ")));
        }
        if !notices.is_empty() {
            durable::sync_all(&self.repo)?;
        }
        Ok(notices)
    }

    fn agent_commits(
        &self,
        repo: &git2::Repository,
        head: Oid,
    ) -> Result<(Vec<AgentCommit>, usize), Error> {
        let failed = "list the agent's commits";
        let made = ancestry::between(repo, head, self.spec.base.0).map_err(Error::git(failed))?;
        let listed = made.iter().take(COMMITS_LISTED);
        let listed: Result<Vec<AgentCommit>, git2::Error> = listed
            .map(|id| repo.find_commit(*id).map(|commit| describe(&commit)))
            .collect();
        Ok((listed.map_err(Error::git(failed))?, made.len()))
    }
}

/// Whether all of `earlier` is in `result`: as a commit below it, or as the same files.
fn has(repo: &git2::Repository, result: &Commit<'_>, earlier: &Commit<'_>) -> bool {
    let (result_id, id) = (result.id(), earlier.id());
    result_id == id
        || result.tree_id() == earlier.tree_id()
        || ancestry::descends(repo, result_id, id).unwrap_or(false)
}

/// Whether a commit of ours is the same snapshot, taken at another time.
fn is_same(earlier: &Commit<'_>, result: &Commit<'_>) -> bool {
    earlier.tree_id() == result.tree_id() && earlier.parent_ids().eq(result.parent_ids())
}

/// Keeps a commit that the result doesn't have: as `<ref>.1`, `<ref>.2`, … Returns the name.
fn set_aside(
    repo: &git2::Repository,
    name: &str,
    (kept, why): (Oid, &str),
) -> Result<String, Error> {
    let mut number = 1_u32;
    loop {
        let aside = format!("{name}.{number}");
        match repo.refname_to_id(&aside) {
            Ok(id) if id == kept => return Ok(aside),
            Ok(_) => number += 1,
            Err(e) if e.code() != git2::ErrorCode::NotFound => {
                return Err(Error::git("keep what the result doesn't have")(e));
            }
            Err(_) => {
                write_ref(repo, (&aside, why), &[kept, Oid::ZERO_SHA1])?;
                return Ok(aside);
            }
        }
    }
}

/// A commit of the tree on top of `head`, or `head` itself if it has that tree.
fn commit<'r>(
    repo: &'r git2::Repository,
    (head, message): (&Commit<'r>, &str),
    tree: Oid,
) -> Result<Commit<'r>, Error> {
    if tree == head.tree_id() {
        return Ok(head.clone());
    }
    let tree = repo
        .find_tree(tree)
        .map_err(Error::git("read the captured tree"))?;
    let id = write_commit(repo, (&tree, head), message)?;
    repo.find_commit(id)
        .map_err(Error::git("read the snapshot"))
}

/// Writes a commit of ours that no ref holds. The program and not libgit2, which knows nothing of
/// `core.sharedRepository`: a directory that it makes shuts the others out.
pub(super) fn write_commit(
    repo: &git2::Repository,
    (tree, parent): (&git2::Tree<'_>, &Commit<'_>),
    message: &str,
) -> Result<Oid, Error> {
    let failed = "commit the snapshot";
    let author = operator_signature()?;
    let commit = repo
        .commit_create_buffer(&author, &author, message, tree, &[parent])
        .map_err(Error::git(failed))?;
    let written = Git::new(repo.commondir(), repo.commondir(), "hash-object")
        .args(["-t", "commit", "-w", "--stdin"])
        .query_output(commit.to_vec())?;
    let id = String::from_utf8_lossy(&written);
    Oid::from_str(id.trim_end()).map_err(Error::git(failed))
}

/// Points a ref at the first id; where a second is given, only one that is there now (zeros: none).
fn write_ref(repo: &git2::Repository, (name, why): (&str, &str), ids: &[Oid]) -> Result<(), Error> {
    let ids = ids.iter().map(Oid::to_string);
    let written = Git::new(repo.commondir(), repo.commondir(), "update-ref")
        .args(["-m", why, name])
        .args(ids)
        .query_output(Vec::new());
    written.map(drop)
}

fn describe(commit: &Commit<'_>) -> AgentCommit {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let author = commit.author();
    let seconds = u64::try_from(author.when().seconds()).unwrap_or(0);
    // What humantime can write ends with the year 9999.
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799));
    AgentCommit {
        id: CommitId(commit.id()),
        summary: lossy(commit.summary_bytes().unwrap_or_default()),
        author: format!(
            "{} <{}>",
            lossy(author.name_bytes()),
            lossy(author.email_bytes())
        ),
        time: humantime::format_rfc3339_seconds(time).to_string(),
    }
}

/// The author of all commits of ours: no identity of the user is needed.
pub(super) fn operator_signature() -> Result<git2::Signature<'static>, Error> {
    git2::Signature::now("cx-operator", "cx-operator@localhost")
        .map_err(Error::git("name the author"))
}
