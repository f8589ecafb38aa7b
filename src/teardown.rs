//! The end of a run: the agent's program, its work, and everything that was made for it.
//!
//! Nothing is removed before its work is safe: where the snapshot fails, the worktree stays and the record
//! says where it is.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::agent::codex::MOUNT_POINTS;
use crate::agent::codex::launch::TrustPolicy;
use crate::agent::codex::{EXIT_COMMAND, sight};
use crate::cancel::Cancel;
use crate::delegate::blocking;
use crate::diff::{shown, write_patch};
use crate::error::Error;
use crate::journal::{Journal, Progress, Step};
use crate::process::{Exit, Process, RunProcesses, end_run_processes};
use crate::run::{Outcome, RunDir, Status};
use crate::signals;
use crate::task::Keep;
use crate::tmux::{Pane, Server};
use crate::turn::Sight;
use crate::turn::driver::Ending;
use crate::worktree::{BranchRemoval, Changes, Removal, Snapshot, SnapshotSpec, Worktree, remove};

use patience::{Patience, Refusal};

mod patience;

/// How long an agent may take to leave when asked politely.
const POLITE: Duration = Duration::from_secs(3);
/// How long its processes may take to end when told to.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// A run, as its end needs to know it: the operator that made it may be gone.
pub(crate) struct Site<'a> {
    pub(crate) dir: &'a RunDir,
    pub(crate) journal: &'a Journal,
    pub(crate) tmux: &'a Server,
    pub(crate) keep: Keep,
    pub(crate) cancel: &'a Cancel,
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
async fn end_agent(site: &Site<'_>, agent: &Agent, ending: &Ending) -> Option<String> {
    let cancel = site.cancel;
    if site.keep == Keep::Session {
        // Whoever takes the session over answers in its dialogs from now on.
        if let Err(error) = signals::pass_undecided(&site.dir.signals()) {
            tracing::warn!(%error, "the permission hooks go on waiting");
        }
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
        Ok(screen) => matches!(
            sight(&screen, ("", None), TrustPolicy::Ask),
            Sight::Dialog(_)
        ),
        Err(_) => true,
    }
}

async fn end_processes(
    site: &Site<'_>,
    root: Option<Process>,
    is_hurried: impl Fn() -> bool,
) -> Result<(), String> {
    let run = RunProcesses::of(site.dir, root);
    let ended = end_run_processes(&run, GRACE, is_hurried).await;
    ended.map_err(|left| format!("failed to {left}"))
}

/// Ends what is left of an agent of which no pane is known: its operator is gone, or its start went wrong half way.
/// A session of that name that another run started since is left alone. The server goes with its last session, also
/// where that had gone before. Returns what could not be ended.
pub(crate) async fn end_orphans(
    site: &Site<'_>,
    root: Option<Process>,
    session: &str,
) -> Vec<String> {
    let mut left = Vec::new();
    let work = end_processes(site, root, || site.cancel.is_hurried());
    left.extend(site.journal.step(Step::EndAgent, work).await.err());
    let remove = async {
        match site.tmux.query_session_of(session, site.dir.name()).await? {
            true => site.tmux.kill_session(session).await,
            false => Ok(()),
        }
    };
    let removed = site.journal.step(Step::RemoveSession, remove).await;
    for result in [removed, site.tmux.stop_if_idle().await] {
        left.extend(
            result
                .err()
                .map(|error| format!("failed to {}", crate::error::chain(&error))),
        );
    }
    left
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

/// Copies the agent's transcript into the run's directory, however long it is. Returns what people should know: that
/// it could not be kept.
async fn keep_transcript(dir: &RunDir, path: &Path) -> Option<String> {
    let (dir, path) = (dir.clone(), path.to_owned());
    // It may be a gigabyte, and other runs have their turns meanwhile.
    let copied = blocking(move || Ok(dir.keep_copy(&path, "transcript.jsonl")?)).await;
    let error = crate::error::chain(&copied.err()?);
    Some(format!("the transcript was not kept: failed to {error}"))
}

/// Writes down how the turns ended, before anything is ended: a recovery must not take our own signal for the agent's
/// end.
pub(crate) fn announce(site: &Site<'_>, ending: &Ending) {
    site.journal.write(Progress::Ended {
        status: ending.end.status,
        error: ending.end.error.clone(),
        pending: ending.end.pending.clone(),
        last_message: ending.last_message.clone(),
    });
}

/// Ends a run whose turns are over, as was announced: the agent, its work, what was made for the run. Says whether nothing is left
/// that should be gone. Where the worktree is `None`, nobody knows of one.
pub(crate) async fn finish(
    site: &Site<'_>,
    agent: Option<&Agent>,
    (worktree, mut ending): (Option<&Worktree>, Ending),
    outcome: &mut Outcome,
) -> bool {
    let mut left = None;
    if let Some(agent) = agent {
        left = end_agent(site, agent, &ending).await;
    }
    let ended = left.is_none();
    outcome.notices.extend(left);
    outcome.usage = ending.load_usage();
    outcome.session_id = ending.session;
    outcome.turns = ending.turns;
    outcome.last_message = ending.last_message;
    outcome.replies = ending.replies;
    outcome.notices.extend(ending.notices);
    outcome.status = ending.end.status;
    outcome.error = ending.end.error;
    outcome.pending = ending.end.pending;
    outcome.branch = worktree.map(|worktree| worktree.spec().branch.clone());
    if let Some(transcript) = &ending.transcript {
        // A version manager may have started another one than it told of.
        let version = transcript.version().map(str::to_owned);
        outcome.agent_version = version.or(outcome.agent_version.take());
        let lost = keep_transcript(site.dir, transcript.path()).await;
        outcome.notices.extend(lost);
    }
    conclude(site, agent, worktree, outcome).await && ended
}

/// Takes the work in, writes the record, and removes what was made for the run.
async fn conclude(
    site: &Site<'_>,
    agent: Option<&Agent>,
    worktree: Option<&Worktree>,
    outcome: &mut Outcome,
) -> bool {
    // The caller's credentials, where the launcher never came to remove them.
    let _gone_already = fs::remove_file(site.dir.environment());
    let (mut clean, mut whole) = (true, true);
    let moved = worktree.and_then(|worktree| worktree.follow_move().ok().flatten());
    if let Some(moved) = &moved {
        let path = moved.path().display();
        outcome.notices.push(format!(
            "the worktree was moved to {path} while the run went on: its work is taken from there"
        ));
    }
    let worktree = moved.as_ref().or(worktree);
    if let Some(worktree) = worktree {
        outcome.changes = Changes::Unknown;
        let taken_in = take_in(site, worktree, outcome).await;
        // Written before anything goes, and again at the very end. A disk that has no room for it may take no more
        // lines of the journal either: then the tree is what tells how far the run came.
        let recorded = taken_in.and_then(|all| {
            whole = all;
            let written = site.dir.write_record(outcome);
            written.map_err(|error| Refusal::Failed(error.into()))
        });
        if let Err(refusal) = recorded {
            outcome.worktree = Some(worktree.path().to_owned());
            outcome.notices.push(format!(
                "nothing was removed: the work is in {}",
                worktree.path().display()
            ));
            refusal.tell(outcome);
            clean = false;
        }
    }
    let safe = clean && whole;
    clean = safe;
    if let Some(agent) = agent
        && site.keep != Keep::Session
    {
        let removed = site
            .journal
            .step(Step::RemoveSession, agent.pane.kill())
            .await;
        clean &= note(outcome, removed.map_err(Error::from));
        clean &= note(outcome, site.tmux.stop_if_idle().await.map_err(Error::from));
    }
    if let Some(worktree) = worktree.filter(|_| safe) {
        clean &= remove_worktree(site, worktree, outcome).await;
    }
    clean
}

/// Writes the record for good. A run of which nothing is left that should be gone is finished with it.
pub(crate) fn record(site: &Site<'_>, outcome: &mut Outcome, clean: bool) {
    let written = site.dir.write_record(outcome);
    site.journal.write(Progress::Recorded {
        status: outcome.status,
    });
    match written {
        Ok(()) if clean => site.dir.close(),
        Ok(()) => {}
        Err(error) => outcome
            .notices
            .push(format!("failed to {}", crate::error::chain(&error))),
    }
}

/// Snapshot, patch, numbers. `false` if the worktree has something that could not be taken in.
async fn take_in(
    site: &Site<'_>,
    worktree: &Worktree,
    outcome: &mut Outcome,
) -> Result<bool, Refusal> {
    let patience = Patience::with(site.cancel);
    let result_ref = outcome.run_id.result_ref();
    let spec = SnapshotSpec {
        ref_name: result_ref.clone(),
        message: format!("cx-operator: {}", outcome.task),
        mount_points: &MOUNT_POINTS,
    };
    let from = worktree.clone();
    let begun = Step::Snapshot {
        result_ref: result_ref.clone(),
        result_commit: None,
    };
    let kept_as = result_ref.clone();
    let done = |_, snapshot: &Snapshot| Step::Snapshot {
        result_ref: kept_as,
        result_commit: snapshot.result_commit.map(|commit| commit.to_string()),
    };
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let take = blocking(move || Ok(from.snapshot_unless(&spec, &stopped)?));
    let snapshot = site
        .journal
        .step_to((begun, done), patience.wait(&stop, take))
        .await?;
    // What an earlier recovery found stands no more.
    (outcome.patch, outcome.result_commit, outcome.result_ref) = (None, None, None);
    if let Some(result) = snapshot.result_commit {
        let path = site.dir.patch();
        let repository = worktree.repository().clone();
        let (base, to) = (worktree.spec().base, path.clone());
        let write = blocking(move || Ok(write_patch(&repository, base, result, &to)?));
        let step = Step::Patch { path: path.clone() };
        site.journal.step(step, patience.wait(&stop, write)).await?;
        outcome.patch = Some(path);
        outcome.result_commit = Some(result.to_string());
        outcome.result_ref = Some(result_ref);
    }
    let left_out: Vec<String> = snapshot.left_out.iter().map(|path| shown(path)).collect();
    describe(snapshot, outcome);
    if outcome.changes == Changes::Unknown {
        miss_worktree(worktree.path(), outcome);
    }
    if !left_out.is_empty() {
        let path = worktree.path();
        outcome.worktree = Some(path.to_owned());
        outcome.notices.push(format!(
            "the worktree stays at {}: it alone has what could not be read or stored: {}",
            path.display(),
            left_out.join(", ")
        ));
    }
    Ok(left_out.is_empty())
}

/// Says that the worktree went, which is the end of whatever the turns came to. Somebody's own end of the run stands.
pub(crate) fn miss_worktree(path: &Path, outcome: &mut Outcome) {
    outcome.changes = Changes::Unknown;
    if outcome.status != Status::Aborted {
        let path = path.to_owned();
        outcome.pending = None;
        outcome.fail(&Error::WorktreeGone { path });
    }
}

fn describe(snapshot: Snapshot, outcome: &mut Outcome) {
    outcome.changes = snapshot.changes;
    outcome.files_changed = snapshot.diff.file_count;
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
    if snapshot.diff.file_count > outcome.files.len() {
        outcome.notices.push(format!(
            "of {} files the first {} are listed; the patch has them all",
            snapshot.diff.file_count,
            outcome.files.len()
        ));
    }
    outcome.commits = snapshot.agent_commits;
    outcome.notices.extend(snapshot.notices);
}

/// Removes what the caller doesn't keep of worktree and branch, the work being taken in. Says whether that is gone.
pub(crate) async fn remove_worktree(
    site: &Site<'_>,
    worktree: &Worktree,
    outcome: &mut Outcome,
) -> bool {
    if matches!(site.keep, Keep::Worktree | Keep::Session) {
        outcome.worktree = Some(worktree.path().to_owned());
        return true;
    }
    let (repository, spec) = (worktree.repository().clone(), worktree.spec().clone());
    let branch = spec.branch.clone();
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
    let done = site.journal.step(Step::RemoveWorktree, work).await;
    for path in done.iter().flat_map(|removed| &removed.inside) {
        outcome.notices.push(format!(
            "the worktree {}, which was made inside, is deregistered with it; its branch stays",
            path.display()
        ));
    }
    match done {
        Ok(removed) if removed.branch == BranchRemoval::KeptForItsCommits => {
            outcome.notices.push(format!(
                "branch {branch} stays: it has commits that are in no snapshot"
            ));
            true
        }
        Ok(removed) if removed.branch == BranchRemoval::KeptInUse => {
            outcome
                .notices
                .push(format!("branch {branch} stays: another checkout is on it"));
            true
        }
        Ok(_) => {
            if !keep_branch {
                outcome.branch = None;
            }
            true
        }
        Err(error) => {
            let path = worktree.path();
            // It may be the branch or the registration that could not go.
            outcome.worktree = path.exists().then(|| path.to_owned());
            note(outcome, Err(error))
        }
    }
}

/// Says in the record what could not be done; `false` then.
fn note(outcome: &mut Outcome, result: Result<(), Error>) -> bool {
    match result {
        Ok(()) => true,
        Err(error) => {
            let notice = format!("failed to {}", error.message());
            outcome.notices.push(notice);
            false
        }
    }
}
