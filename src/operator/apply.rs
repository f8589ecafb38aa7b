//! Brings the result of a run onto a branch of the user's, when asked to.
//!
//! Owns the choice of repository, message and check; the branch itself is `worktree`'s. Never pushes.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;

use crate::error::{Error, io as io_error};
use crate::os::blocking::blocking;
use crate::os::process::{RUN_VARIABLE, RunProcesses, end_run_processes};
use crate::os::search_path::search_path;
use crate::record::{Lock, Outcome, RunDir};
use crate::worktree::apply::{ApplySpec, Form, Prepared, Trial};
use crate::worktree::{CommitId, Repository};

use super::listing::load_record;

/// How long the first line of a message made from a brief is, in characters.
const SUBJECT: usize = 72;

/// A request to bring a result home.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ApplyRequest {
    /// The branch; `None`: the one that is checked out. One that is not there is made, where the run began.
    pub branch: Option<String>,
    /// The form.
    pub form: Form,
    /// A shell command that must succeed in a checkout of the new state before anything of the user's changes.
    pub check: Option<String>,
    /// The message of the one commit, in place of one made from the agent's or the brief.
    pub message: Option<String>,
    /// A checkout of the run's repository; `None`: the current directory if it is one, else the one that the run had.
    pub checkout: Option<PathBuf>,
}

/// What was brought where.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Applied {
    /// 1.
    pub schema_version: u32,
    /// The run's id.
    pub run_id: String,
    /// `applied`, or `nothing_to_apply`: the run changed nothing, or all of it is there.
    pub status: &'static str,
    /// `squash`, `commits` or `patch`.
    pub form: Form,
    /// The branch, without `refs/heads/`; `HEAD` where none is checked out.
    pub branch: Option<String>,
    /// Whether the branch was made.
    pub is_new_branch: bool,
    /// The commit that the result went onto.
    pub from: Option<String>,
    /// The new commits, oldest first; none for `patch`.
    pub commits: Vec<String>,
    /// The checkout whose files changed.
    pub checkout: Option<PathBuf>,
    /// The number of files that changed there.
    pub files_changed: usize,
    /// Lines added.
    pub insertions: usize,
    /// Lines removed.
    pub deletions: usize,
}

/// Brings the result of an ended run onto a branch.
///
/// # Errors
/// [`Error::Usage`] for a run without a record and a checkout of another repository; [`Error::Worktree`] for a conflict, local
/// changes, a branch that can't take it; [`Error::CheckFailed`]. After an error everything of the user's is as it was.
pub async fn apply(run: &RunDir, request: ApplyRequest) -> Result<Applied, Error> {
    let outcome = load_record(run)?;
    let Some(spec) = specify(&outcome, &request)? else {
        return Ok(nothing(&outcome, request.form));
    };
    let repository = find_repository(&outcome, request.checkout.as_deref())?;
    let (repo, form) = (repository.clone(), request.form);
    let prepared = blocking(move || Ok::<_, Error>(repo.prepare(&spec)?)).await?;
    if prepared.is_nothing() {
        return Ok(nothing(&outcome, form));
    }
    if let Some(command) = &request.check {
        check(run, command, (&repository, &prepared)).await?;
    }
    prepared.land(&repository)?;
    Ok(Applied {
        status: "applied",
        branch: Some(prepared.branch()),
        is_new_branch: prepared.is_new_branch(),
        from: Some(prepared.from().to_string()),
        commits: prepared.commits.iter().map(CommitId::to_string).collect(),
        checkout: prepared.checkout().map(Path::to_owned),
        files_changed: prepared.diff.file_count,
        insertions: prepared.diff.insertions,
        deletions: prepared.diff.deletions,
        ..nothing(&outcome, form)
    })
}

fn nothing(outcome: &Outcome, form: Form) -> Applied {
    Applied {
        schema_version: 1,
        run_id: outcome.run_id.to_string(),
        status: "nothing_to_apply",
        form,
        branch: None,
        is_new_branch: false,
        from: None,
        commits: Vec::new(),
        checkout: None,
        files_changed: 0,
        insertions: 0,
        deletions: 0,
    }
}

/// What to bring; `None` for a run that changed nothing.
fn specify(outcome: &Outcome, request: &ApplyRequest) -> Result<Option<ApplySpec>, Error> {
    let (Some(base), Some(result)) = (&outcome.base_commit, &outcome.result_commit) else {
        return Ok(None);
    };
    let (base, result): (CommitId, CommitId) = (base.parse()?, result.parse()?);
    let message = match &request.message {
        Some(message) if message.trim().is_empty() => {
            return Err(Error::Usage("--message is empty".to_owned()));
        }
        Some(message) => message.clone(),
        None => message_of(outcome),
    };
    let version = outcome.agent_version.as_deref().unwrap_or_default();
    let agent = format!("{} {version}", outcome.executor);
    Ok(Some(ApplySpec {
        base,
        result,
        base_dirty: outcome.base_dirty,
        branch: request.branch.clone(),
        form: request.form,
        message,
        trailers: vec![
            format!("Delegated-by: cx-operator ({})", agent.trim_end()),
            format!("Delegated-run: {}", outcome.run_id),
        ],
        run_id: outcome.run_id.to_string(),
    }))
}

/// The message of the one commit: that of the agent's only commit, else the brief's first line.
fn message_of(outcome: &Outcome) -> String {
    if let [only] = &outcome.commits[..] {
        return only.summary.clone();
    }
    let brief = outcome.run_dir.as_ref().map(|dir| dir.join("task.md"));
    let brief = brief.and_then(|path| std::fs::read_to_string(path).ok());
    let brief = brief.unwrap_or_default();
    let lines = brief
        .lines()
        .map(|line| line.trim_start_matches('#').trim());
    let mut lines = lines.filter(|line| !line.is_empty());
    let Some(first) = lines.next() else {
        return outcome.task.to_string();
    };
    if first.chars().count() <= SUBJECT {
        return first.to_owned();
    }
    let cut: String = first.chars().take(SUBJECT - 1).collect();
    format!("{}…\n\n{first}", cut.trim_end())
}

/// The repository of the run, with the checkout to change.
fn find_repository(outcome: &Outcome, named: Option<&Path>) -> Result<Repository, Error> {
    let is_ours = |found: &Repository| match &outcome.common_dir {
        Some(common_dir) => found.common_dir() == common_dir,
        None => outcome.repository.as_deref() == Some(found.root()),
    };
    let gone = || gone(outcome);
    if let Some(path) = named {
        let found = Repository::discover(path)?;
        if !is_ours(&found) {
            let ran_in = outcome.repository.as_deref().ok_or_else(gone)?;
            return Err(Error::Usage(format!(
                "{} is not a checkout of {}, which the run was for",
                path.display(),
                ran_in.display()
            )));
        }
        return Ok(found);
    }
    if let Ok(found) = Repository::discover(Path::new("."))
        && is_ours(&found)
    {
        return Ok(found);
    }
    let recorded = outcome.checkout.as_ref().or(outcome.repository.as_ref());
    let recorded = recorded.ok_or_else(gone)?;
    match Repository::discover(recorded) {
        Ok(found) if is_ours(&found) => Ok(found),
        // The checkout is gone; the repository may be there.
        _ => {
            let root = outcome.repository.as_deref().ok_or_else(gone)?;
            let common_dir = outcome.common_dir.as_deref();
            Ok(Repository::open_of_run(root, common_dir)?)
        }
    }
}

/// A process group that ends with this.
struct EndOnDrop(Option<Pid>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        let _is_gone = self.0.map(|group| kill_process_group(group, Signal::KILL));
    }
}

/// Runs a command in a checkout of the new state. Its words go to stderr. Dropped, it ends the command; killed, it leaves what
/// [`clear_check`] finds.
async fn check(
    run: &RunDir,
    command: &str,
    (repository, prepared): (&Repository, &Prepared),
) -> Result<(), Error> {
    let Some(_alone) = Lock::take(&run.check_lock())? else {
        let name = run.name();
        return Err(Error::Usage(format!(
            "another `apply` checks the result of {name} at this moment: try again when it has ended"
        )));
    };
    let path = run.check();
    end_check(run).await;
    let trial = Trial::new(repository, prepared, &path)?;
    let stderr = std::io::stderr().as_fd().try_clone_to_owned();
    let failed = || io_error(format!("run the check `{command}`"));
    let mut child = tokio::process::Command::new("sh")
        .args(["-c", command])
        .current_dir(&path)
        .env("PATH", search_path())
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .env(RUN_VARIABLE, check_mark(run))
        .stdin(Stdio::null())
        .stdout(Stdio::from(stderr.map_err(failed())?))
        // So that what it started ends with it.
        .process_group(0)
        .spawn()
        .map_err(failed())?;
    let group = EndOnDrop(
        child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)),
    );
    let status = child.wait().await.map_err(failed())?;
    drop(group);
    end_check(run).await;
    drop(trial);
    if status.success() {
        return Ok(());
    }
    Err(Error::CheckFailed {
        command: command.to_owned(),
        status,
    })
}

/// What the processes of a check are found by: its place, which no other has.
fn check_mark(run: &RunDir) -> String {
    run.check().display().to_string()
}

/// Ends what a check started.
async fn end_check(run: &RunDir) {
    let mark = check_mark(run);
    let processes = RunProcesses {
        run_id: &mark,
        root: None,
        cgroup: None,
    };
    if let Err(left) = end_run_processes(&processes, Duration::ZERO, || true).await {
        tracing::warn!(%left, "what the check started is left");
    }
}

/// Removes what a check of the run left that was killed; `false` where there is nothing, or it still goes on. `dry_run`: says only whether
/// it would.
///
/// # Errors
/// [`Error::Usage`] for a run whose repository is not known, [`Error::Worktree`].
pub(super) async fn clear_check(run: &RunDir, dry_run: bool) -> Result<bool, Error> {
    if !run.check().is_dir() {
        return Ok(false);
    }
    let Some(_alone) = Lock::take(&run.check_lock())? else {
        return Ok(false);
    };
    let outcome = load_record(run)?;
    let root = outcome
        .repository
        .as_deref()
        .ok_or_else(|| gone(&outcome))?;
    let repository = Repository::open_of_run(root, outcome.common_dir.as_deref())?;
    if !dry_run {
        end_check(run).await;
        let path = run.check();
        blocking(move || Ok::<_, Error>(Trial::remove(&repository, &path)?)).await?;
    }
    Ok(true)
}

fn gone(outcome: &Outcome) -> Error {
    Error::Usage(format!("{} names no repository", outcome.run_id))
}
