//! The end of a run: the agent's program, its work, and everything that was made for it.
//!
//! Nothing is removed before its work is safe: where the snapshot fails, the worktree stays and the record
//! says where it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::agent::codex::launch::TrustPolicy;
use crate::agent::codex::{EXIT_COMMAND, sight};
use crate::cancel::Cancel;
use crate::delegate::blocking;
use crate::diff::write_patch;
use crate::error::Error;
use crate::journal::{Journal, Step};
use crate::process::{Exit, Process, end_run_processes};
use crate::run::{Outcome, RunDir, Status};
use crate::task::Keep;
use crate::tmux::{Pane, Server};
use crate::turn::Sight;
use crate::turn::driver::Ending;
use crate::worktree::{
    BranchRemoval, Removal, Repository, Snapshot, SnapshotSpec, Worktree, remove,
};

/// How long an agent may take to leave when asked politely.
const POLITE: Duration = Duration::from_secs(3);
/// How long its processes may take to end when told to.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// A run, as its end needs to know it: the operator that made it may be gone.
pub(crate) struct Site<'a> {
    pub(crate) dir: &'a RunDir,
    pub(crate) journal: &'a Journal,
    pub(crate) repository: &'a Repository,
    pub(crate) tmux: &'a Server,
    pub(crate) keep: Keep,
}

/// A started agent.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) pane: Pane,
    pub(crate) exit: Exit,
    pub(crate) root: Option<Process>,
}

/// Ends the agent's program and all that it started; leaves it alone where the caller keeps the session. Returns
/// what people should know: that something could not be ended.
pub(crate) async fn end_agent(
    site: &Site<'_>,
    agent: &Agent,
    ending: &Ending,
    cancel: &Cancel,
) -> Option<String> {
    if site.keep == Keep::Session {
        return None;
    }
    let work = async {
        if is_idle(ending)
            && !agent.exit.has_ended()
            && !has_dialog(&agent.pane).await
            && agent.pane.submit(EXIT_COMMAND).await.is_ok()
        {
            tokio::select! {
                () = agent.exit.wait() => {}
                () = tokio::time::sleep(POLITE) => {}
                () = cancel.hurried() => {}
            }
        }
        end_processes(site, agent.root, || cancel.is_hurried()).await
    };
    let ended = site.journal.step(Step::EndAgent, work).await;
    // The caller's credentials, where the launcher was ended before it had read and removed them.
    let _gone_already = fs::remove_file(site.dir.environment());
    ended.err()
}

/// Whether a dialog is up, whose options a pasted word and its Enter would choose from; so it is taken to be where
/// the screen can't be read.
async fn has_dialog(pane: &Pane) -> bool {
    match pane.query_screen().await {
        Ok(screen) => matches!(sight(&screen, "", TrustPolicy::Ask), Sight::Dialog(_)),
        Err(_) => true,
    }
}

async fn end_processes(
    site: &Site<'_>,
    root: Option<Process>,
    is_hurried: impl Fn() -> bool,
) -> Result<(), String> {
    match end_run_processes(site.dir.name(), root, GRACE, is_hurried)
        .await
        .as_slice()
    {
        [] => Ok(()),
        left => Err(format!("{} processes outlived SIGKILL", left.len())),
    }
}

/// Ends what is left of an agent of which no pane is known: its operator is gone, or its start went wrong half way.
/// A session of that name that another run started since is left alone.
pub(crate) async fn end_orphans(site: &Site<'_>, root: Option<Process>, session: &str) {
    let work = end_processes(site, root, || false);
    if let Err(message) = site.journal.step(Step::EndAgent, work).await {
        tracing::error!(message, "the agent's processes could not be ended");
    }
    let remove = async {
        match site.tmux.query_session_of(session, site.dir.name()).await? {
            true => site.tmux.kill_session(session).await,
            false => Ok(()),
        }
    };
    if let Err(error) = site.journal.step(Step::RemoveSession, remove).await {
        tracing::error!(%error, "the session could not be ended");
    }
}

/// Whether the agent waits for a prompt, so that a word ends it.
fn is_idle(ending: &Ending) -> bool {
    let in_words = ending
        .end
        .pending
        .as_ref()
        .is_none_or(|pending| pending.kind != "dialog");
    match ending.end.status {
        Status::Completed | Status::NeedsInput | Status::TurnCap | Status::AgentFailed => in_words,
        _ => false,
    }
}

/// Copies the agent's transcript into the run's directory.
pub(crate) fn keep_transcript(dir: &RunDir, path: &Path) {
    let kept = fs::read(path)
        .map_err(|error| error.to_string())
        .and_then(|bytes| {
            dir.write("transcript.jsonl", &bytes)
                .map_err(|error| crate::error::chain(&error))
        });
    if let Err(error) = kept {
        tracing::warn!(error, path = %path.display(), "the transcript can't be kept");
    }
}

/// Takes the work in, writes the record, and removes what was made for the run.
pub(crate) async fn conclude(
    site: &Site<'_>,
    agent: Option<&Agent>,
    worktree: &Worktree,
    outcome: &mut Outcome,
) {
    // The caller's credentials, where the launcher never came to remove them.
    let _gone_already = fs::remove_file(site.dir.environment());
    let safe = match take_in(site, worktree, outcome).await {
        Ok(()) => true,
        Err(error) => {
            outcome.worktree = Some(worktree.path().to_owned());
            outcome.notices.push(format!(
                "nothing was removed: the work is in {}",
                worktree.path().display()
            ));
            outcome.fail(&error);
            false
        }
    };
    // Written before anything goes, and again at the very end.
    if let Err(error) = site.dir.write_record(outcome) {
        tracing::error!(%error, "the record can't be written");
    }
    if let Some(agent) = agent
        && site.keep != Keep::Session
    {
        let removed = site
            .journal
            .step(Step::RemoveSession, agent.pane.kill())
            .await;
        note(outcome, removed.map_err(Error::from));
        note(outcome, site.tmux.stop_if_idle().await.map_err(Error::from));
    }
    if safe {
        remove_worktree(site, worktree, outcome).await;
    }
}

/// Snapshot, patch, numbers.
async fn take_in(site: &Site<'_>, worktree: &Worktree, outcome: &mut Outcome) -> Result<(), Error> {
    let result_ref = outcome.run_id.result_ref();
    let spec = SnapshotSpec {
        ref_name: result_ref.clone(),
        message: format!("cx-operator: {}", outcome.task),
    };
    let (from, step) = (
        worktree.clone(),
        Step::Snapshot {
            result_ref: result_ref.clone(),
        },
    );
    let snapshot = site
        .journal
        .step(step, blocking(move || Ok(from.snapshot(&spec)?)))
        .await?;
    if let Some(result) = snapshot.result_commit {
        let path = site.dir.patch();
        let (repository, base, to) = (site.repository.clone(), worktree.spec().base, path.clone());
        let write = blocking(move || Ok(write_patch(&repository, base, result, &to)?));
        site.journal
            .step(Step::Patch { path: path.clone() }, write)
            .await?;
        outcome.patch = Some(path);
        outcome.result_commit = Some(result.to_string());
        outcome.result_ref = Some(result_ref);
    }
    describe(snapshot, outcome);
    Ok(())
}

fn describe(snapshot: Snapshot, outcome: &mut Outcome) {
    outcome.changes = snapshot.changes;
    outcome.files_changed = snapshot.diff.files.len();
    outcome.insertions = snapshot.diff.insertions;
    outcome.deletions = snapshot.diff.deletions;
    outcome.files = snapshot.diff.files;
    if snapshot.agent_commit_count > snapshot.agent_commits.len() {
        outcome.notices.push(format!(
            "of {} commits the first {} are listed",
            snapshot.agent_commit_count,
            snapshot.agent_commits.len()
        ));
    }
    outcome.commits = snapshot.agent_commits;
    outcome.notices.extend(snapshot.notices);
}

async fn remove_worktree(site: &Site<'_>, worktree: &Worktree, outcome: &mut Outcome) {
    if matches!(site.keep, Keep::Worktree | Keep::Session) {
        outcome.worktree = Some(worktree.path().to_owned());
        return;
    }
    let (repository, spec) = (site.repository.clone(), worktree.spec().clone());
    let (keep_branch, snapshot_ref) = (site.keep == Keep::Branch, outcome.run_id.result_ref());
    let work = blocking(move || {
        let what = match keep_branch {
            true => Removal::Worktree,
            false => Removal::WorktreeAndBranch {
                snapshot_ref: &snapshot_ref,
            },
        };
        let removed = remove(&repository, &spec, what)?;
        if keep_branch {
            repository.advance_branch(&spec.branch, &snapshot_ref)?;
        }
        Ok(removed)
    });
    match site.journal.step(Step::RemoveWorktree, work).await {
        Ok(removed) if removed.branch == BranchRemoval::KeptForItsCommits => {
            outcome.notices.push(format!(
                "branch {} stays: it has commits that are in no snapshot",
                outcome.branch
            ));
        }
        Ok(_) => {}
        Err(error) => {
            outcome.worktree = Some(PathBuf::from(worktree.path()));
            note(outcome, Err(error));
        }
    }
}

fn note(outcome: &mut Outcome, result: Result<(), Error>) {
    if let Err(error) = result {
        outcome
            .notices
            .push(format!("failed to {}", error.message()));
    }
}
