//! A new run that goes on from an earlier one.

use std::fmt::Write;
use std::time::Duration;

use super::Operator;
use super::following::wait_until;
use crate::agent::ExecutorId;
use crate::agent::report::cut;
use crate::error::Error;
use crate::record::{self, Outcome, RunDir, Store};
use crate::task::Task;
use crate::task::earlier::Earlier;
use crate::task::name::RunId;
use crate::task::prompt::Prompt;
use crate::worktree::Repository;

/// How long an operator may take after its run's end is on record.
const CLOSING: Duration = Duration::from_secs(20);
/// So many files are named in a summary.
const FILES: usize = 50;

impl Operator {
    /// A task that goes on from an ended run: it starts from the run's result, with the run's own name, repository, agent, policy
    /// and what its commands may write to, and its agent goes on with the session of the run's; where that is not possible, or
    /// the task's executor is made another one, a summary of what was done is put before the brief.
    ///
    /// # Errors
    /// [`Error::Run`] with the code [`RunAlive`](crate::Code::RunAlive) or [`RunOrphaned`](crate::Code::RunOrphaned) for one that has
    /// not ended, [`ResultGone`](crate::Code::ResultGone) where its result is not kept any more; [`Error::Worktree`] for its
    /// repository.
    pub fn continuation(&self, run: &RunId, prompt: Prompt) -> Result<Task, Error> {
        continuation(self.store(), run, prompt)
    }
}

/// Waits for an operator that still tells others of the run's end.
pub(crate) async fn wait_for_close(run: &RunDir) -> Result<(), Error> {
    if run.load_record()?.is_some() {
        wait_until(run, CLOSING, || run.is_closed()).await?;
    }
    Ok(())
}

/// As [`Operator::continuation`].
pub(crate) fn continuation(store: &Store, run: &RunId, prompt: Prompt) -> Result<Task, Error> {
    let run = store.load(run)?;
    let outcome = load_ended(&run)?;
    let base = find_result(&run, &outcome)?;
    let order = run.load_order()?;
    let repository = outcome.checkout.as_ref().or(outcome.repository.as_ref());
    let gone = || record::Error::ResultGone {
        name: run.name().to_owned(),
    };
    let repository = repository.ok_or_else(gone)?.clone();
    let summary = summary(&run, &outcome);
    let mut task = Task::new(outcome.task.clone(), repository, prompt);
    task.agent.executor = ExecutorId::parse(&outcome.executor).unwrap_or_default();
    if let Some(order) = order {
        task.repository = order.repository;
        task.agent = order.agent;
        task.agent.output_schema = None;
        task.policy = order.policy;
        task.permissions = order.permissions;
        task.worktree_root = order.worktree_root;
        task.directory = order.directory;
    }
    task.base = base;
    task.earlier = Some(Earlier {
        run: run.id(),
        executor: task.agent.executor,
        session: outcome.session_id,
        summary,
    });
    Ok(task)
}

fn load_ended(run: &RunDir) -> Result<Outcome, Error> {
    let name = || run.name().to_owned();
    match run.load_record()? {
        Some(outcome) if run.is_closed() => Ok(outcome),
        _ if run.is_alive() => Err(record::Error::Alive { name: name() }.into()),
        _ => Err(record::Error::Dead { name: name() }.into()),
    }
}

/// The commit that a run left, or started from where it changed nothing.
fn find_result(run: &RunDir, outcome: &Outcome) -> Result<String, Error> {
    let gone = || record::Error::ResultGone {
        name: run.name().to_owned(),
    };
    let (Some(root), Some(base)) = (&outcome.repository, &outcome.base_commit) else {
        return Err(gone().into());
    };
    let repository = Repository::open_of_run(root, outcome.common_dir.as_deref())?;
    let Some(result) = &outcome.result_commit else {
        return Ok(base.clone());
    };
    let refs = repository.result_refs()?;
    let kept = outcome.result_ref.as_ref().and_then(|name| refs.get(name));
    match kept {
        Some(commit) if commit.to_string() == *result => Ok(result.clone()),
        _ => Err(gone().into()),
    }
}

/// What was done, for an agent that was not there.
fn summary(run: &RunDir, outcome: &Outcome) -> String {
    let mut text = format!(
        "This goes on from an earlier task in this repository, whose work is in the commit that you start from. It ended as {}.",
        outcome.status
    );
    let mut add = |title: &str, content: &str| {
        if !content.trim().is_empty() {
            let _to_a_string = write!(text, "\n\n{title}\n\n{}", quoted(content));
        }
    };
    let brief = std::fs::read_to_string(run.path().join("task.md"));
    add("Its brief was:", &cut(&brief.unwrap_or_default()));
    let said = outcome.last_message.as_deref().unwrap_or_default();
    add("The last that was reported:", &cut(said));
    let mut files: Vec<String> = outcome.files.iter().map(|file| file.path.clone()).collect();
    let more = files.len().saturating_sub(FILES);
    files.truncate(FILES);
    if more > 0 {
        files.push(format!("and {more} more"));
    }
    add("The files that it changed:", &files.join("\n"));
    if let Some(pending) = &outcome.pending {
        add("It ended with this question:", &cut(&pending.text));
    }
    text + "\n\nThe task now:"
}

fn quoted(text: &str) -> String {
    let lines = text.trim().lines().map(|line| format!("> {line}\n"));
    lines.collect::<String>().trim_end().to_owned()
}
