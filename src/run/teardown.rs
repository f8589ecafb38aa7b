//! The end of a run: the agent's program, its work, and everything that was made for it.
//!
//! Nothing is removed before its work is safe: where the snapshot fails, the worktree stays and the record
//! says where it is.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use crate::agent::conversation::Drive;
use crate::agent::executor::{Expected, TrustPolicy};
use crate::agent::screen_state::ScreenState;
use crate::agent::{ExecutorId, signals};
use crate::error::Error;
use rustix::process::Signal;

use crate::os::blocking::blocking;
use crate::os::process::{GRACE, Process, RunProcesses, end_run_processes, members};
use crate::record::journal::{Progress, Step};
use crate::record::{BudgetRecord, Outcome, PolicyRecord, Status};
use crate::run::drive::Ending;
use crate::task::policy::Keep;
use crate::tmux::Pane;
use crate::worktree::{BranchRemoval, Changes, Removal, Worktree, remove};

use crate::run::collect::deadline::Refusal;
use crate::run::collect::{keep_transcript, note, take_in};
use crate::run::context::{Agent, RunContext};

/// How long an agent may take to leave when asked politely.
const POLITE: Duration = Duration::from_secs(3);

/// Ends the agent's program and all that it started; leaves it alone where the caller keeps the session. Returns
/// what people should know: that something could not be ended.
async fn end_agent(context: &RunContext<'_>, agent: &Agent, ending: &mut Ending) -> Option<String> {
    let cancel = context.cancel;
    if context.keep == Keep::Session {
        // Whoever takes the session over answers in its dialogs from now on.
        if let Err(error) = signals::pass_undecided(&context.dir.signals()) {
            tracing::warn!(%error, "the permission hooks still wait");
        }
        return None;
    }
    let conversation = ending.conversation.take();
    let work = async {
        if let Some(mut conversation) = conversation
            && !is_idle(ending)
            && !agent.exit.has_ended()
        {
            // Its server would wait for the turn, and its commands are not to write any more.
            tokio::select! {
                interrupted = conversation.interrupt() => {
                    if let Err(error) = interrupted {
                        tracing::warn!(%error, "the turn can't be interrupted");
                    }
                }
                () = agent.exit.wait() => {}
                () = tokio::time::sleep(POLITE) => {}
                () = cancel.hurried() => {}
            }
        } else if agent.drive == Drive::Keys
            && let Some(exit_command) = context.executor.exit_command()
            && is_idle(ending)
            && !agent.exit.has_ended()
            && let Some(pane) = &agent.pane
            && !has_dialog(context.executor, pane).await
            && pane
                .submit(exit_command, context.executor.submit_key())
                .await
                .is_ok()
        {
            tokio::select! {
                () = agent.exit.wait() => {}
                () = tokio::time::sleep(POLITE) => {}
                () = cancel.hurried() => {}
            }
        } else if agent.drive == Drive::Headless && !agent.exit.has_ended() {
            // It ends its commands, and tells what it used.
            interrupt(agent);
            tokio::select! {
                () = agent.exit.wait() => {}
                () = tokio::time::sleep(POLITE) => {}
                () = cancel.hurried() => {}
            }
        }
        end_processes(context, agent.root, || cancel.is_hurried()).await
    };
    let ended = context.journal.step(Step::EndAgent, work).await;
    ended.err()
}

/// Interrupts a headless program, which is its launcher's child, as Ctrl-C in a terminal would.
fn interrupt(agent: &Agent) {
    let children = agent.root.map(Process::children).unwrap_or_default();
    for program in children {
        program.signal(Signal::INT);
    }
}

/// Whether a dialog is up, whose options a pasted word and its Enter would choose from; so it is taken to be where
/// the screen can't be read.
async fn has_dialog(executor: ExecutorId, pane: &Pane) -> bool {
    match pane.query_screen().await {
        Ok(screen) => matches!(
            executor.screen_state(&screen, Expected::default(), TrustPolicy::Ask),
            ScreenState::Dialog(_)
        ),
        Err(_) => true,
    }
}

async fn end_processes(
    context: &RunContext<'_>,
    root: Option<Process>,
    is_hurried: impl Fn() -> bool,
) -> Result<(), String> {
    let run = RunProcesses::of(context.dir.name(), context.dir.path(), root);
    let ended = end_run_processes(&run, GRACE, is_hurried).await;
    context.executor.remove_socket(&context.dir.socket());
    let _none_was_opened = fs::remove_dir_all(context.dir.terminal());
    // The caller's credentials, where the launcher was ended before it had read and removed them.
    let _gone_already = fs::remove_file(context.dir.environment());
    ended.map_err(|left| left.to_string())
}

/// Ends what is left of an agent of which no pane is known: its operator is gone, or its start went wrong half way.
/// A session of that name that another run started since is left alone; a headless agent has none. The server ends with its
/// last session, also
/// where that had gone before. Returns what could not be ended.
pub(crate) async fn end_orphans(
    context: &RunContext<'_>,
    root: Option<Process>,
    session: Option<&str>,
) -> Vec<String> {
    let mut left = Vec::new();
    let work = end_processes(context, root, || context.cancel.is_hurried());
    left.extend(context.journal.step(Step::EndAgent, work).await.err());
    let Some(session) = session else {
        return left;
    };
    let remove = async {
        if context
            .tmux
            .query_session_of(session, context.dir.name())
            .await?
        {
            context.tmux.kill_session(session).await
        } else {
            Ok(())
        }
    };
    let removed = context.journal.step(Step::RemoveSession, remove).await;
    for result in [removed, context.tmux.stop_if_idle().await] {
        left.extend(result.err().map(|error| crate::os::chain::chain(&error)));
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

/// Writes down how the turns ended, before anything is ended: a recovery must not take our own signal for the agent's
/// end.
pub(crate) fn announce(context: &RunContext<'_>, ending: &Ending) {
    context.journal.write(Progress::Ended {
        status: ending.end.status,
        error: ending.end.error.clone(),
        pending: ending.end.pending.clone(),
        last_message: ending.last_message.clone(),
    });
}

/// Ends a run whose turns are over, as was announced: the agent, its work, what was made for the run. Says whether nothing is left
/// that should be gone. If the worktree is `None`, none is known.
pub(crate) async fn finish(
    context: &RunContext<'_>,
    agent: Option<&Agent>,
    (worktree, mut ending): (Option<&Worktree>, Ending),
    outcome: &mut Outcome,
) -> bool {
    outcome.session_id = ending.session.take();
    outcome.turns = ending.turns;
    outcome.last_message = ending.last_message.take();
    outcome.answer = ending.answer.take();
    outcome.replies = std::mem::take(&mut ending.replies);
    outcome.notices.append(&mut ending.notices);
    outcome.status = ending.end.status;
    outcome.error = ending.end.error.clone();
    outcome.pending = ending.end.pending.clone();
    outcome.branch = worktree.map(|worktree| worktree.spec().branch.clone());
    // The caller's credentials, where the launcher never came to remove them.
    let _gone_already = fs::remove_file(context.dir.environment());
    let is_quiet = agent.is_some_and(|agent| is_quiet(context, agent, &ending));
    let end = async {
        match agent {
            Some(agent) => end_agent(context, agent, &mut ending).await,
            None => None,
        }
    };
    let (left, collected) = if is_quiet {
        tokio::join!(end, collect(context, worktree, outcome))
    } else {
        (end.await, collect(context, worktree, outcome).await)
    };
    let ended = left.is_none();
    outcome.notices.extend(left);
    outcome.usage = ending.load_usage();
    if let Some(transcript) = &ending.transcript {
        // A version manager may have started another one than it told of.
        let version = transcript.version().map(str::to_owned);
        outcome.agent_version = version.or(outcome.agent_version.take());
        let lost = keep_transcript(context.dir, transcript.path()).await;
        outcome.notices.extend(lost);
    }
    conclude(context, agent, collected, outcome).await && ended
}

/// Whether nothing writes into the worktree any more, though the agent's server still runs: its turns are over, and no other
/// process of the run is there.
fn is_quiet(context: &RunContext<'_>, agent: &Agent, ending: &Ending) -> bool {
    agent.drive == Drive::Requests
        && context.keep != Keep::Session
        && is_idle(ending)
        && !agent.server.is_empty()
        && processes(context, agent).is_subset(&agent.server)
}

/// The agent's processes as they are now.
pub(super) fn processes(context: &RunContext<'_>, agent: &Agent) -> HashSet<Process> {
    members(&RunProcesses::of(
        context.dir.name(),
        context.dir.path(),
        agent.root,
    ))
}

/// What became of the work.
struct Collected {
    worktree: Worktree,
    /// Whether all of it was taken in.
    taken_in: Result<bool, Refusal>,
}

/// Takes the work in.
async fn collect(
    context: &RunContext<'_>,
    worktree: Option<&Worktree>,
    outcome: &mut Outcome,
) -> Option<Collected> {
    let worktree = worktree?;
    let moved = worktree.follow_move().ok().flatten();
    if let Some(moved) = &moved {
        let path = moved.path().display();
        outcome.notices.push(format!(
            "the worktree was moved to {path} during the run: its work is collected there"
        ));
    }
    let worktree = moved.unwrap_or_else(|| worktree.clone());
    outcome.changes = Changes::Unknown;
    let taken_in = take_in(context, &worktree, outcome).await;
    Some(Collected { worktree, taken_in })
}

/// Fills in what the order allowed, and what was made of it.
fn describe_terms(context: &RunContext<'_>, outcome: &mut Outcome) {
    let Ok(Some(order)) = context.dir.load_order() else {
        return;
    };
    let signals = context.dir.signals();
    let policy = order.policy.as_ref();
    outcome.policy = policy.map(|policy| PolicyRecord::load(&**policy, &signals));
    let usage = outcome.usage.as_ref();
    outcome.budget = BudgetRecord::of(&order.budget, usage);
    let excess = usage.and_then(|usage| order.budget.find_excess(usage));
    if let Some(excess) = excess.filter(|_| outcome.status != Status::OverBudget) {
        outcome.notices.push(format!(
            "the budget was used up when the run ended: {excess}"
        ));
    }
}

/// Writes the record, and removes what was made for the run.
async fn conclude(
    context: &RunContext<'_>,
    agent: Option<&Agent>,
    collected: Option<Collected>,
    outcome: &mut Outcome,
) -> bool {
    let (mut clean, mut whole) = (true, true);
    let mut worktree = None;
    if let Some(collected) = collected {
        // Written before anything is removed, and again at the very end. A full disk may accept no more
        // lines of the journal either: then the tree is what tells how far the run came.
        let recorded = collected.taken_in.and_then(|all| {
            whole = all;
            describe_terms(context, outcome);
            let written = context.dir.write_record(outcome);
            written.map_err(|error| Refusal::Failed(error.into()))
        });
        if let Err(refusal) = recorded {
            let path = collected.worktree.path();
            outcome.worktree = Some(path.to_owned());
            outcome.notices.push(format!(
                "nothing was removed: the work is in {}",
                path.display()
            ));
            refusal.tell(outcome);
            clean = false;
        }
        worktree = Some(collected.worktree);
    }
    let safe = clean && whole;
    clean = safe;
    let session = async {
        match agent {
            Some(Agent {
                pane: Some(pane), ..
            }) if context.keep != Keep::Session => {
                let kill = context.journal.step(Step::RemoveSession, pane.kill());
                [kill.await, context.tmux.stop_if_idle().await]
            }
            _ => [Ok(()), Ok(())],
        }
    };
    let removed = async {
        match worktree.as_ref().filter(|_| safe) {
            Some(worktree) => remove_worktree(context, worktree, outcome).await,
            None => true,
        }
    };
    // Neither needs the other.
    let (session, removed) = tokio::join!(session, removed);
    clean &= removed;
    for result in session {
        clean &= note(outcome, result.map_err(Error::from));
    }
    clean
}

/// Writes the record for good, and removes what the agent's program kept for itself. A run of which nothing is left that
/// should be gone is finished with it.
pub(crate) async fn record(context: &RunContext<'_>, outcome: &mut Outcome, clean: bool) {
    let mut written = context.dir.write_record(outcome);
    let told = context
        .notifier
        .tell_finished(context.journal, outcome, context.cancel);
    let failed = told.await;
    if !failed.is_empty() {
        for text in &failed {
            context
                .journal
                .write(Progress::Notice { text: text.clone() });
        }
        outcome.notices.extend(failed);
        written = context.dir.write_record(outcome);
    }
    context.journal.write(Progress::Recorded {
        status: outcome.status,
    });
    if context.keep != Keep::Session && written.is_ok() {
        // Last, and on each way to an end: until the record is written a recovery reads the transcript there.
        context.executor.remove_home(&context.dir.home());
    }
    match written {
        Ok(()) if clean => context.dir.close(),
        Ok(()) => {}
        Err(error) => outcome.notices.push(crate::os::chain::chain(&error)),
    }
}

/// Removes the worktree and branch that the caller doesn't keep, after the work was collected. Returns whether they are gone.
pub(crate) async fn remove_worktree(
    context: &RunContext<'_>,
    worktree: &Worktree,
    outcome: &mut Outcome,
) -> bool {
    if matches!(context.keep, Keep::Worktree | Keep::Session) {
        outcome.worktree = Some(worktree.path().to_owned());
        return true;
    }
    let (repository, spec) = (worktree.repository().clone(), worktree.spec().clone());
    let branch = spec.branch.clone();
    let (keep_branch, snapshot_ref) = (context.keep == Keep::Branch, outcome.run_id.result_ref());
    let work = blocking(move || {
        let what = if keep_branch {
            Removal::Worktree
        } else {
            Removal::WorktreeAndBranch {
                snapshot_ref: &snapshot_ref,
            }
        };
        let removed = remove(&repository, &spec, what)?;
        if keep_branch {
            repository.advance_branch(&spec.branch, &snapshot_ref)?;
        }
        Ok(removed)
    });
    let done = context.journal.step(Step::RemoveWorktree, work).await;
    for path in done.iter().flat_map(|removed| &removed.inside) {
        outcome.notices.push(format!(
            "the worktree {}, which was made inside it, is removed from git with it; a branch that it is on stays",
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
