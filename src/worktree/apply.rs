//! Brings a result onto a branch of the user's, when asked to.
//!
//! Owns the one change of a user's branch and checkout that cx-operator makes. Imported by no file of this module.
//!
//! Invariants: everything is merged and committed as objects before anything of the user's is touched; a conflict, local
//! changes in the same files and a branch that has moved leave all as it was; nothing is pushed; no hook runs.

mod commits;
mod trial;

use std::fs;
use std::path::Path;

use git2::{Oid, RepositoryState};
use serde::Serialize;

use super::admin_dir::registered;
use super::diff::{self, DiffSummary};
use super::error::Error;
use super::files::Scratch;
use super::git::Git;
use super::refs::{BRANCHES, branch_ref, create_branch};
use super::repository::{CommitId, Repository};
use crate::os::given::temporary_directory;
use commits::Merging;
pub use trial::Trial;

/// In which form a result goes onto a branch.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema, serde::Deserialize))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// One commit with everything.
    #[default]
    Squash,
    /// The agent's commits, and one with what it did not commit.
    Commits,
    /// No commit: changes in the index and the files of the checkout.
    Patch,
}

/// What to bring, and where to.
#[derive(Clone, Debug)]
pub struct ApplySpec {
    /// The commit that the agent started from.
    pub base: CommitId,
    /// The commit with its work.
    pub result: CommitId,
    /// Whether the base has uncommitted changes of the user's: a new branch begins before it.
    pub base_dirty: bool,
    /// The branch, without `refs/heads/`; `None`: the one that is checked out.
    pub branch: Option<String>,
    /// The form.
    pub form: Form,
    /// The message of a commit that the agent made none for.
    pub message: String,
    /// Trailers for each commit, such as `Key: value`.
    pub trailers: Vec<String>,
    /// The run, for the reflog.
    pub run_id: String,
}

/// A result that is merged, and that no branch has yet.
#[derive(Debug)]
pub struct Prepared {
    target: Target,
    /// The commit to move the branch to, or the tree of the changes.
    tip: Oid,
    /// The new commits, oldest first.
    pub commits: Vec<CommitId>,
    /// The difference that it makes there; no files where everything is there already.
    pub diff: DiffSummary,
    form: Form,
    why: String,
}

/// Where a result goes.
#[derive(Debug)]
struct Target {
    /// The full name of the branch; `None` for the changes of a detached HEAD.
    full: Option<String>,
    /// Where it is; `None` for a new one.
    old: Option<Oid>,
    start: Oid,
    /// The checkout that has it as its HEAD.
    checkout: Option<Repository>,
    /// Whether `start` has the checkout's uncommitted changes, from which the run began.
    is_dirty: bool,
}

impl Repository {
    /// Merges a result with a branch, and makes the commits. Changes nothing but objects.
    ///
    /// # Errors
    /// [`Error::Conflict`]; [`Error::Detached`], [`Error::InvalidName`] for the branch; [`Error::Busy`] while its checkout
    /// merges or rebases; [`Error::ResultGone`]; [`Error::Rewritten`] for [`Form::Commits`] where the agent's commits don't
    /// descend from the base; else those of git.
    pub fn prepare(&self, spec: &ApplySpec) -> Result<Prepared, Error> {
        self.find_result(spec)?;
        let mut target = self.find_target(spec)?;
        if spec.form == Form::Patch && spec.base_dirty {
            target.include_dirty()?;
        }
        let merging = Merging {
            repo: target.checkout.as_ref().unwrap_or(self),
            spec,
            name: target.shown(),
        };
        let (tip, commits) = match spec.form {
            Form::Patch => (merging.tree_onto(target.start)?, Vec::new()),
            Form::Squash => merging.squash(target.start)?,
            Form::Commits => merging.replay(target.start)?,
        };
        let open = self.open()?;
        let (from, to) = (CommitId(target.start), CommitId(tip));
        let is_new = |tree: Oid| {
            let start = open.find_commit(target.start).map(|start| start.tree_id());
            start
                .map(|start| start != tree)
                .map_err(Error::git("read a commit"))
        };
        let diff = if spec.form != Form::Patch || is_new(tip)? {
            diff::summarize(self, from, to, &temporary_directory())?
        } else {
            DiffSummary::default()
        };
        Ok(Prepared {
            target,
            tip,
            commits,
            diff,
            form: spec.form,
            why: format!("cx-operator: apply {}", spec.run_id),
        })
    }

    /// Sees that base and result are still there.
    fn find_result(&self, spec: &ApplySpec) -> Result<(), Error> {
        let open = self.open()?;
        for commit in [spec.base, spec.result] {
            if open.find_commit(commit.0).is_err() {
                return Err(Error::ResultGone { commit });
            }
        }
        Ok(())
    }

    fn find_target(&self, spec: &ApplySpec) -> Result<Target, Error> {
        let full = match &spec.branch {
            Some(name) => Some(branch_ref(name.strip_prefix(BRANCHES).unwrap_or(name))?),
            None => self.branch_of_checkout()?,
        };
        let Some(full) = full else {
            let detached = || Error::Detached {
                path: self.checkout().unwrap_or(self.root()).to_owned(),
            };
            // Changes need no branch.
            if spec.form != Form::Patch || self.checkout().is_none() {
                return Err(detached());
            }
            self.refuse_busy()?;
            let head = self.resolve_base("HEAD")?.0;
            return Ok(Target {
                full: None,
                old: Some(head),
                start: head,
                checkout: Some(self.clone()),
                is_dirty: false,
            });
        };
        let old = match self.open()?.refname_to_id(&full) {
            Err(e) if e.code() == git2::ErrorCode::NotFound => None,
            other => Some(other.map_err(Error::git("read the branch"))?),
        };
        let checkout = self.checkout_for(&full)?;
        if let Some(checkout) = &checkout {
            checkout.refuse_busy()?;
        }
        self.refuse_rebased(&full)?;
        let start = match old {
            Some(old) => old,
            None if spec.base_dirty => self.resolve_base(&format!("{}^", spec.base))?.0,
            None => spec.base.0,
        };
        Ok(Target {
            start,
            full: Some(full),
            old,
            checkout,
            is_dirty: false,
        })
    }

    /// The branch that the caller's checkout is on.
    fn branch_of_checkout(&self) -> Result<Option<String>, Error> {
        if self.checkout().is_none() {
            return Ok(None);
        }
        let verb = "symbolic-ref";
        let ended = self
            .checkout_git(verb)
            .args(["--quiet", "HEAD"])
            .query_end(Vec::new())?;
        match ended.status.code() {
            Some(1) => Ok(None),
            _ => {
                let name = ended.into_output(verb)?;
                let name = String::from_utf8_lossy(&name).trim_end().to_owned();
                Ok(name.starts_with(BRANCHES).then_some(name))
            }
        }
    }

    /// The checkout that has the branch, found again by git; `None` for a bare repository's own HEAD.
    fn checkout_for(&self, full: &str) -> Result<Option<Repository>, Error> {
        if self.branch_of_checkout()?.as_deref() == Some(full) {
            return Ok(Some(self.clone()));
        }
        let Some(path) = self.checkout_on(full, None) else {
            return Ok(None);
        };
        match Repository::discover(&path) {
            Ok(found) if found.common_dir() == self.common_dir() => {
                Ok(found.checkout().is_some().then_some(found))
            }
            // Registered, and gone: git itself lets the branch move then.
            Err(Error::NotARepository { .. }) | Ok(_) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Refuses a checkout in the middle of something.
    fn refuse_busy(&self) -> Result<(), Error> {
        let path = self.caller_git_dir();
        let open = git2::Repository::open_bare(path).map_err(Error::git("open the checkout"))?;
        let doing = match open.state() {
            RepositoryState::Clean => return Ok(()),
            RepositoryState::Merge => "a merge",
            RepositoryState::Revert | RepositoryState::RevertSequence => "a revert",
            RepositoryState::CherryPick | RepositoryState::CherryPickSequence => "a cherry-pick",
            RepositoryState::Bisect => "a bisection",
            _ => "a rebase",
        };
        Err(Error::Busy {
            path: self.checkout().unwrap_or(path).to_owned(),
            doing,
        })
    }

    /// Refuses a branch that a checkout rebases: it will be set when that is done.
    fn refuse_rebased(&self, full: &str) -> Result<(), Error> {
        let mut git_dirs = registered(self)?;
        git_dirs.push(self.common_dir().to_owned());
        for dir in git_dirs {
            for state in ["rebase-merge", "rebase-apply"] {
                let name = fs::read_to_string(dir.join(state).join("head-name"));
                if name.is_ok_and(|name| name.trim_end() == full) {
                    let path = dir.join(state);
                    return Err(Error::Busy {
                        path,
                        doing: "a rebase",
                    });
                }
            }
        }
        Ok(())
    }

    /// A call of git as in the caller's checkout; in the repository where that is bare.
    pub(super) fn checkout_git(&self, verb: &'static str) -> Git {
        let work_tree = self.checkout().unwrap_or(self.common_dir());
        Git::new(self.caller_git_dir(), work_tree, verb)
    }
}

impl Target {
    /// Takes the files of the checkout as they are for the place that the changes go onto.
    fn include_dirty(&mut self) -> Result<(), Error> {
        if let (Some(checkout), Some(head)) = (&self.checkout, self.old) {
            let (dirty, _) = checkout.snapshot_dirty(CommitId(head), "cx-operator: to merge")?;
            (self.start, self.is_dirty) = (dirty.0, true);
        }
        Ok(())
    }

    /// The branch's name, for people.
    fn shown(&self) -> String {
        let full = self.full.as_deref().unwrap_or("HEAD");
        full.strip_prefix(BRANCHES).unwrap_or(full).to_owned()
    }
}

impl Prepared {
    /// The branch, without `refs/heads/`; `HEAD` where none is checked out.
    #[must_use]
    pub fn branch(&self) -> String {
        self.target.shown()
    }

    /// Whether the branch is to be made.
    #[must_use]
    pub fn is_new_branch(&self) -> bool {
        self.target.old.is_none()
    }

    /// Whether there is nothing to do: everything is there already.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        !self.is_new_branch() && self.diff.file_count == 0
    }

    /// The commit that the result goes onto.
    #[must_use]
    pub fn from(&self) -> CommitId {
        CommitId(self.target.start)
    }

    /// The checkout whose files change with the branch.
    #[must_use]
    pub fn checkout(&self) -> Option<&Path> {
        self.target.checkout.as_ref().and_then(Repository::checkout)
    }

    /// Moves the branch, and the files of the checkout that has it. All or nothing.
    ///
    /// # Errors
    /// [`Error::LocalChanges`]; those of git where the branch has moved since.
    pub fn land(&self, repo: &Repository) -> Result<(), Error> {
        let (old, tip) = (self.target.start.to_string(), self.tip.to_string());
        let Some(checkout) = &self.target.checkout else {
            let full = self.target.full.as_deref().unwrap_or("HEAD");
            if self.is_new_branch() {
                return create_branch(repo, full, self.tip, &self.why);
            }
            let git = repo.checkout_git("update-ref").of_caller();
            let moved = git.args(["-m", &self.why, full, &tip, &old]);
            return moved.query_output(Vec::new()).map(drop);
        };
        if self.target.is_dirty {
            return self.patch_files(checkout);
        }
        let git = match self.form {
            Form::Patch => checkout
                .checkout_git("read-tree")
                .args(["-m", "-u", &old, &tip]),
            Form::Squash | Form::Commits => checkout
                .checkout_git("merge")
                .of_caller()
                .env("GIT_REFLOG_ACTION", &self.why)
                .setting("merge.autoStash", "false")
                .setting("merge.verifySignatures", "false")
                .args(["--ff-only", "--quiet", "--no-stat", &tip]),
        };
        git.query_output(Vec::new()).map(drop).map_err(|error| {
            let path = checkout.checkout().unwrap_or(checkout.root());
            local_changes(path, error)
        })
    }
}

impl Prepared {
    /// Changes the files alone, which have changes already.
    fn patch_files(&self, checkout: &Repository) -> Result<(), Error> {
        let scratch = Scratch::below(&temporary_directory())?;
        let patch = scratch.path().join("patch.diff");
        diff::write_patch(
            checkout,
            CommitId(self.target.start),
            CommitId(self.tip),
            &patch,
        )?;
        let git = checkout
            .checkout_git("apply")
            .setting("apply.ignoreWhitespace", "no")
            .args(["--whitespace=nowarn", "--"])
            .args([&patch]);
        git.query_output(Vec::new()).map(drop)
    }
}

/// Names the files that git would have had to overwrite.
fn local_changes(path: &Path, error: Error) -> Error {
    let Error::GitFailed { stderr, .. } = &error else {
        return error;
    };
    let in_list = stderr.lines().filter_map(|line| line.strip_prefix('\t'));
    let entry = stderr.lines().filter_map(|line| {
        let line = line.strip_prefix("error: ")?;
        let entry = line
            .strip_prefix("Entry '")
            .map(|rest| rest.split('\'').next());
        let file = line.strip_prefix("Untracked working tree file '");
        entry.or(file.map(|rest| rest.split('\'').next())).flatten()
    });
    let files: Vec<String> = in_list.chain(entry).map(str::to_owned).collect();
    if files.is_empty() {
        return error;
    }
    Error::LocalChanges {
        path: path.to_owned(),
        files,
    }
}
