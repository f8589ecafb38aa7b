//! Recovery: what becomes of a run whose operator died.
//!
//! Only what is provably ours is touched: runs of this state directory whose lock is free, the session on
//! our own socket that their journal names, the worktree whose marker names run and state directory. Their
//! work is taken in first, by the same code that ends a run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::cleanup::{Action, Found, Scope};
use crate::error::{Error, io as io_error};
use crate::journal::{self, Entry, Journal, Progress, Step};
use crate::process::{Process, boot_id, end_run_processes};
use crate::run::{Failure, Lock, Outcome, RunDir, RunId, Status, Store, TaskName, millis};
use crate::task::Keep;
use crate::teardown::{self, GRACE, Site};
use crate::tmux::Server;
use crate::worktree::{Repository, Worktree, WorktreeSpec, owned};

/// What a journal tells of a run.
pub(crate) struct Story {
    pub(crate) run_id: RunId,
    pub(crate) task: TaskName,
    pub(crate) repository: PathBuf,
    pub(crate) started_at: String,
    pub(crate) boot_id: String,
    pub(crate) session: Option<String>,
    pub(crate) root: Option<Process>,
    pub(crate) agent_session: Option<String>,
    pub(crate) turns: u32,
    pub(crate) last_message: Option<String>,
    pub(crate) worktree: Option<(PathBuf, String, String)>,
    /// A step of the last teardown failed: what stayed did not stay on purpose.
    pub(crate) unfinished: bool,
    pub(crate) closed: bool,
}

impl Story {
    pub(crate) fn load(path: &Path) -> Option<Self> {
        let entries = journal::load(path).ok()?;
        let mut story = Self::begin(entries.first()?)?;
        for entry in entries {
            story.take(entry.progress);
        }
        Some(story)
    }

    fn begin(entry: &Entry) -> Option<Self> {
        let Progress::Started {
            run_id,
            task,
            repository,
            boot_id,
            ..
        } = &entry.progress
        else {
            return None;
        };
        Some(Self {
            run_id: run_id.clone(),
            task: task.clone(),
            repository: repository.clone(),
            started_at: entry.at.clone(),
            boot_id: boot_id.clone(),
            session: None,
            root: None,
            agent_session: None,
            turns: 0,
            last_message: None,
            worktree: None,
            unfinished: false,
            closed: false,
        })
    }

    fn take(&mut self, progress: Progress) {
        match progress {
            Progress::Begun(Step::Worktree {
                path,
                branch,
                base_commit,
            }) => {
                self.worktree = Some((path, branch, base_commit));
            }
            Progress::Begun(Step::Session { session, .. }) => self.session = Some(session),
            Progress::Launched {
                pid,
                pid_start: Some(start),
                ..
            } => self.root = Some(Process { pid, start }),
            Progress::Submitted { turn, session_id } => {
                self.turns = turn;
                self.agent_session = Some(session_id);
            }
            Progress::TurnEnded { message, .. } => self.last_message = message,
            Progress::Begun(Step::EndAgent) => self.unfinished = false,
            Progress::StepFailed {
                step:
                    Step::Snapshot { .. }
                    | Step::Patch { .. }
                    | Step::RemoveSession
                    | Step::RemoveWorktree,
                ..
            } => self.unfinished = true,
            Progress::Recorded { .. } => self.closed = true,
            _ => {}
        }
    }
}

pub(crate) async fn clean_run(
    store: &Store,
    run: &RunDir,
    story: &Story,
    scope: &Scope,
) -> Option<Found> {
    let server = Server::at(store.tmux_socket());
    let session_there = match &story.session {
        Some(name) => server
            .query_session_of(name, run.name())
            .await
            .unwrap_or(false),
        None => false,
    };
    let named = scope
        .kept
        .as_ref()
        .is_some_and(|kept| kept.name() == run.name());
    let kept_on_purpose = !named
        && story.closed
        && !story.unfinished
        && run
            .load_record()
            .ok()
            .flatten()
            .is_some_and(|record| record.worktree.is_some());
    let left = find_worktree(store, story);
    let something = left.is_some() || (session_there && !kept_on_purpose);
    if kept_on_purpose || (story.closed && !something) {
        return None;
    }
    let describe = |action, reason: String| Found {
        kind: "run",
        name: run.name().to_owned(),
        action,
        reason,
    };
    let why = match named {
        true => "it was kept, and is named",
        false => "its operator is gone",
    };
    if scope.dry_run {
        return Some(describe(Action::WouldRemove, why.to_owned()));
    }
    match adopt(run, story, left, &server).await {
        Ok(outcome) if outcome.worktree.is_none() => Some(describe(
            Action::Removed,
            format!("{why}; recorded as {}", outcome.status.as_str()),
        )),
        Ok(outcome) => {
            let why = outcome.notices.last().cloned().unwrap_or_default();
            Some(describe(Action::Left, why))
        }
        Err(error) => Some(describe(
            Action::Left,
            format!("failed to {}", error.message()),
        )),
    }
}

/// The worktree of a run, by its marker.
fn find_worktree(store: &Store, story: &Story) -> Option<(Repository, WorktreeSpec)> {
    let repository = Repository::discover(&story.repository).ok()?;
    let ours = owned(&repository).ok()?.into_iter().find(|owned| {
        owned.spec.owner.run_id == story.run_id.as_str()
            && owned.spec.owner.state_dir == store.root()
    })?;
    Some((repository, ours.spec))
}

/// Takes over a run whose operator is gone, and ends it.
async fn adopt(
    run: &RunDir,
    story: &Story,
    left: Option<(Repository, WorktreeSpec)>,
    server: &Server,
) -> Result<Outcome, Error> {
    let Some(_lock) = Lock::take(&run.lock())? else {
        return Err(Error::Usage(
            "take over the run: another process does".to_owned(),
        ));
    };
    let journal = Journal::create(&run.events(), None).map_err(io_error("open the journal"))?;
    // The caller's credentials, where the launcher never came to remove them.
    let _gone_already = fs::remove_file(run.environment());
    let mut outcome = match run.load_record()? {
        // Where removing the worktree fails again, it is said again.
        Some(outcome) => Outcome {
            worktree: None,
            ..outcome
        },
        None => orphaned(run, story),
    };
    let repository = left.as_ref().map(|(repository, _)| repository.clone());
    let repository = repository.map_or_else(|| Repository::discover(&story.repository), Ok);
    match (left, repository) {
        (Some((repository, spec)), _) => {
            let site = Site {
                dir: run,
                journal: &journal,
                repository: &repository,
                tmux: server,
                keep: Keep::Nothing,
            };
            end_agent(&site, story).await;
            let worktree = Worktree::open(&repository, &spec)?;
            teardown::conclude(&site, None, &worktree, &mut outcome).await;
        }
        (None, Ok(repository)) => {
            let site = Site {
                dir: run,
                journal: &journal,
                repository: &repository,
                tmux: server,
                keep: Keep::Nothing,
            };
            end_agent(&site, story).await;
        }
        (None, Err(error)) => {
            end_run_processes(run.name(), None, GRACE, || false).await;
            let session = story.task.session();
            if server.query_session_of(&session, run.name()).await? {
                server.kill_session(&session).await?;
            }
            outcome.fail(&Error::from(error));
        }
    }
    run.write_record(&outcome)?;
    journal.write(Progress::Recorded {
        status: outcome.status,
    });
    Ok(outcome)
}

async fn end_agent(site: &Site<'_>, story: &Story) {
    // A pid of another boot is somebody else's by now.
    let root = story.root.filter(|_| story.boot_id == boot_id());
    if let Some(session) = &story.session {
        teardown::end_orphans(site, root, session).await;
    }
}

fn orphaned(run: &RunDir, story: &Story) -> Outcome {
    let started = humantime::parse_rfc3339(&story.started_at).unwrap_or(SystemTime::UNIX_EPOCH);
    let last = fs::metadata(run.events())
        .and_then(|meta| meta.modified())
        .unwrap_or(started);
    let mut outcome = Outcome::blank(&story.task, story.run_id.clone(), started);
    outcome.status = Status::Aborted;
    outcome.run_dir = Some(run.path().to_owned());
    outcome.repository = Some(story.repository.clone());
    outcome.base_commit = story.worktree.as_ref().map(|(_, _, base)| base.clone());
    outcome.duration_ms = millis(last.duration_since(started).unwrap_or(Duration::ZERO));
    outcome.session_id.clone_from(&story.agent_session);
    outcome.turns = story.turns;
    outcome.last_message.clone_from(&story.last_message);
    outcome.error = Some(Failure {
        code: "operator_died".to_owned(),
        message: "the operator of this run died; its work was taken in later".to_owned(),
        hint: Some("`cx-operator log` tells how far it came".to_owned()),
    });
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orphans_record_tells_how_far_it_came() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let task = TaskName::parse("t").expect("a name");
        let run_id = RunId::new(&task, SystemTime::now());
        let store = Store::open(dir.path()).expect("a store");
        let (run, _lock) = store.create(&run_id).expect("a run");
        let journal = Journal::create(&run.events(), None).expect("a journal");
        journal.write(Progress::Started {
            run_id,
            task,
            repository: dir.path().to_owned(),
            base_commit: "0".repeat(40),
            boot_id: boot_id(),
            operator_pid: 1,
        });
        for turn in [1, 2] {
            journal.write(Progress::Submitted {
                turn,
                session_id: "s".to_owned(),
            });
        }
        journal.write(Progress::TurnEnded {
            turn: 2,
            verdict: "question".to_owned(),
            rule: "r".to_owned(),
            message: Some("Which port?".to_owned()),
        });
        let story = Story::load(&run.events()).expect("a story");
        let outcome = orphaned(&run, &story);
        assert_eq!(outcome.status, Status::Aborted);
        assert_eq!(
            (outcome.turns, outcome.session_id.as_deref()),
            (2, Some("s"))
        );
        assert_eq!(outcome.last_message.as_deref(), Some("Which port?"));
    }
}
