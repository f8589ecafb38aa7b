//! Collecting the work: snapshot, patch, numbers and transcript.

use crate::error::Error;
use crate::os::blocking::blocking;
use crate::record::journal::Step;
use crate::record::{Outcome, RunDir, Status, TRANSCRIPT};
use crate::run::context::RunContext;
use crate::worktree::Changes;
use crate::worktree::Snapshot;
use crate::worktree::SnapshotSpec;
use crate::worktree::Worktree;
use crate::worktree::diff::write_patch;
use crate::worktree::shown;
use deadline::{CollectDeadline, Refusal};
use std::path::Path;
use tokio_util::sync::CancellationToken;

pub(super) mod deadline;

/// Copies the agent's transcript into the run's directory, however long it is. Returns what people should know: that
/// it could not be kept.
pub(super) async fn keep_transcript(dir: &RunDir, path: &Path) -> Option<String> {
    if path == dir.stream() {
        return None;
    }
    let (dir, path) = (dir.clone(), path.to_owned());
    // It may be a gigabyte, and other runs have their turns in the meantime.
    let copied = blocking(move || Ok::<_, Error>(dir.keep_copy(&path, TRANSCRIPT)?)).await;
    let error = copied.err()?.message();
    Some(format!("the transcript was not kept: {error}"))
}

/// Snapshot, patch, numbers. `false` if the worktree has something that could not be collected.
pub(super) async fn take_in(
    context: &RunContext<'_>,
    worktree: &Worktree,
    outcome: &mut Outcome,
) -> Result<bool, Refusal> {
    let deadline = CollectDeadline::with(context.cancel);
    let result_ref = outcome.run_id.result_ref();
    let spec = SnapshotSpec {
        ref_name: result_ref.clone(),
        message: format!("cx-operator: {}", outcome.task),
        mount_points: context.executor.leftovers(),
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
    let snapshot = context
        .journal
        .step_to(begun, done, deadline.wait(&stop, take))
        .await?;
    // The findings of an earlier recovery are replaced.
    (outcome.patch, outcome.result_commit, outcome.result_ref) = (None, None, None);
    if let Some(result) = snapshot.result_commit {
        let path = context.dir.patch();
        let repository = worktree.repository().clone();
        let (base, to) = (worktree.spec().base, path.clone());
        let write = blocking(move || Ok(write_patch(&repository, base, result, &to)?));
        let step = Step::Patch { path: path.clone() };
        context
            .journal
            .step(step, deadline.wait(&stop, write))
            .await?;
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
            "the worktree stays at {}: only it has these files, which could not be read or stored: {}",
            path.display(),
            left_out.join(", ")
        ));
    }
    Ok(left_out.is_empty())
}

/// Says that the worktree is gone, which ends the run whatever its turns said. A requested end stays.
pub(crate) fn miss_worktree(path: &Path, outcome: &mut Outcome) {
    outcome.changes = Changes::Unknown;
    if outcome.status != Status::Aborted {
        let path = path.to_owned();
        outcome.pending = None;
        outcome.fail(Error::WorktreeGone { path }.to_failure());
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

/// Says in the record what could not be done; `false` then.
pub(super) fn note(outcome: &mut Outcome, result: Result<(), Error>) -> bool {
    match result {
        Ok(()) => true,
        Err(error) => {
            outcome.notices.push(error.message());
            false
        }
    }
}
