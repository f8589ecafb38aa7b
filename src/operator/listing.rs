//! The list of runs, and the record of one: for every surface that shows them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use super::prune::disk_use;
use super::queue::Queued;
use super::status::RunStatus;
use crate::agent::ExecutorId;
use crate::error::{Error, io as io_error};
use crate::os::time::timestamp;
use crate::record::journal::{self, Progress, Step};
use crate::record::{Outcome, RunDir, Store};
use crate::worktree::Repository;

/// The runs of a state directory.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Listing {
    /// Those that wait for a place and the newest others, newest first.
    pub runs: Vec<Summary>,
    /// The number of older runs that were left out.
    pub older: usize,
    /// The runs whose records can't be read, with the reason.
    pub unreadable: Vec<(String, Error)>,
}

/// The document of a list.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    /// 1.
    schema_version: u32,
    /// The runs, newest first.
    runs: Vec<Summary>,
    /// How many older ones were left out.
    older: usize,
}

impl Listed {
    pub(crate) fn new(runs: Vec<Summary>, older: usize) -> Self {
        Self {
            schema_version: 1,
            runs,
            older,
        }
    }
}

/// One run of a list.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// The run's id.
    pub run_id: String,
    /// The record's status; `queued`, `running`, `waiting` (for a reply) or `orphaned` without a record.
    pub status: String,
    /// Its place in the queue, from 1.
    pub position: Option<usize>,
    /// The task's name.
    pub task: Option<String>,
    /// The agent's executor; `None` where neither record nor order tells it.
    pub executor: Option<String>,
    /// The repository's root.
    pub repository: Option<String>,
    /// The number of files that it changed.
    pub files_changed: Option<usize>,
    /// The lines that it added and took away, for people.
    #[serde(skip)]
    pub(crate) lines: Option<(usize, usize)>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// The size of the run's directory on the disk.
    pub disk_bytes: u64,
}

impl Summary {
    /// A run of which only the name is known.
    pub(crate) fn blank(run_id: &str, status: &str) -> Self {
        Self {
            run_id: run_id.to_owned(),
            status: status.to_owned(),
            position: None,
            task: None,
            executor: None,
            repository: None,
            files_changed: None,
            lines: None,
            duration_ms: None,
            disk_bytes: 0,
        }
    }

    fn of_queued(run: Queued) -> Self {
        Self {
            position: Some(run.position),
            task: Some(run.task),
            executor: run.executor,
            ..Self::blank(&run.run_id, "queued")
        }
    }

    fn of(run: &RunDir) -> Result<Self, Error> {
        // Alive first: a living run writes its record before it removes what it made.
        let alive = run.is_alive();
        let status = if alive { "running" } else { "orphaned" };
        let mut summary = Self {
            task: run.task().map(str::to_owned),
            disk_bytes: disk_use(run.path()),
            ..Self::blank(run.name(), status)
        };
        // The end is told to whoever waits for it a moment before the operator lets go of the run.
        let is_over = || !alive || RunStatus::load(run).is_ok_and(|status| status.phase == "ended");
        if let Some(outcome) = run.load_record()?.filter(|_| is_over()) {
            summary.status = outcome.status.as_str().to_owned();
            summary.task = Some(outcome.task.to_string());
            summary.executor = Some(outcome.executor);
            summary.repository = outcome.repository.map(|path| path.display().to_string());
            summary.files_changed = Some(outcome.files_changed);
            summary.lines = Some((outcome.insertions, outcome.deletions));
            summary.duration_ms = Some(outcome.duration_ms);
            return Ok(summary);
        }
        if let Ok(Some(order)) = run.load_order() {
            summary.executor = Some(order.agent.executor.name().to_owned());
            summary.repository = Some(root_of(&order.repository));
        }
        let question = run.load_question().ok().flatten();
        if alive && question.is_some_and(|question| question.until.is_some()) {
            "waiting".clone_into(&mut summary.status);
        }
        Ok(summary)
    }
}

/// Which runs are listed. A field that is empty chooses none.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The executor.
    pub executor: Option<ExecutorId>,
    /// The statuses, as [`Summary::status`] has them; one of them is enough.
    pub statuses: Vec<String>,
    /// The task's name.
    pub task: Option<String>,
    /// A path in the repository, or where that was.
    pub repository: Option<PathBuf>,
    /// Those that began at that time or later.
    pub since: Option<SystemTime>,
}

impl Wanted {
    /// The same with the repository's root in place of the path, and the time as the beginning of an id.
    fn settled(&self) -> Settled<'_> {
        Settled {
            wanted: self,
            root: self.repository.as_deref().map(root_of),
            // 2026-11-27T15:29:13.000Z: 20261127-152913
            since: self.since.map(|since| {
                let digits: String = timestamp(since)
                    .chars()
                    .filter(char::is_ascii_digit)
                    .collect();
                format!("{}-{}", &digits[..8], &digits[8..14])
            }),
        }
    }
}

struct Settled<'a> {
    wanted: &'a Wanted,
    root: Option<String>,
    since: Option<String>,
}

impl Settled<'_> {
    /// Whether a run may be wanted, as its id tells: nothing of it was read.
    fn may_be(&self, run_id: &str) -> bool {
        self.since.as_deref().is_none_or(|since| run_id >= since)
    }

    fn is(&self, run: &Summary) -> bool {
        let Wanted { executor, task, .. } = self.wanted;
        let statuses = &self.wanted.statuses;
        self.may_be(&run.run_id)
            && executor.is_none_or(|wanted| run.executor.as_deref() == Some(wanted.name()))
            && (statuses.is_empty() || statuses.contains(&run.status))
            && (task.is_none() || *task == run.task)
            && (self.root.is_none() || self.root == run.repository)
    }

    fn is_all(&self) -> bool {
        let Wanted {
            executor,
            statuses,
            task,
            ..
        } = self.wanted;
        let by_id = self.root.is_none() && self.since.is_none();
        by_id && executor.is_none() && statuses.is_empty() && task.is_none()
    }
}

/// The top of the repository that has the path; the path itself where there is none.
fn root_of(path: &Path) -> String {
    let found = Repository::discover(path).map(|found| found.root().to_owned());
    let root = found.or_else(|_| std::path::absolute(path));
    root.unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}

/// Lists the runs that wait for a place, and the newest `count` others, as far as they are wanted.
///
/// # Errors
/// [`Error::Run`] where the state directory can't be listed.
pub fn list(store: &Store, count: usize, wanted: &Wanted) -> Result<Listing, Error> {
    list_among(store, count, wanted, &Everything)
}

/// A choice among runs.
pub(crate) trait Choice {
    /// Whether one that waits for a place is chosen.
    fn has_queued(&self, queued: &Queued) -> bool;
    /// Whether one that has begun is.
    fn has_run(&self, run: &RunDir) -> bool;
}

/// All runs.
struct Everything;

impl Choice for Everything {
    fn has_queued(&self, _queued: &Queued) -> bool {
        true
    }

    fn has_run(&self, _run: &RunDir) -> bool {
        true
    }
}

/// The same of the chosen runs alone.
///
/// # Errors
/// As [`list`].
pub(crate) fn list_among(
    store: &Store,
    count: usize,
    wanted: &Wanted,
    choice: &impl Choice,
) -> Result<Listing, Error> {
    let wanted = wanted.settled();
    let (mut queue, mut runs) = (store.load_queue()?, store.load_runs()?);
    queue.retain(|queued| choice.has_queued(queued));
    runs.retain(|run| wanted.may_be(run.name()) && choice.has_run(run));
    let queued = queue.into_iter().rev().map(Summary::of_queued);
    let mut listing = Listing {
        runs: queued.filter(|run| wanted.is(run)).collect(),
        ..Listing::default()
    };
    let mut places = count;
    for (looked_at, run) in runs.iter().rev().enumerate() {
        if places == 0 && wanted.is_all() {
            listing.older = runs.len() - looked_at;
            break;
        }
        match Summary::of(run) {
            Ok(summary) if !wanted.is(&summary) => continue,
            _ if places == 0 => {
                listing.older += 1;
                continue;
            }
            Ok(summary) => listing.runs.push(summary),
            Err(error) => listing.unreadable.push((run.name().to_owned(), error)),
        }
        places -= 1;
    }
    Ok(listing)
}

/// The run of that name (see [`Store::find`]); the newest of a task may wait for its place, with nothing on record.
///
/// # Errors
/// [`Error::Usage`] for a run that waits, otherwise as [`Store::find`].
pub fn find_run(store: &Store, name: &str) -> Result<RunDir, Error> {
    let queue = store.load_queue()?;
    let waits = |run: &&Queued| run.run_id == name || run.task == name;
    match queue.iter().rev().find(waits) {
        None => Ok(store.find(name)?),
        Some(run) => Err(Error::Usage(format!(
            "{} has no record yet: it is queued at position {}",
            run.run_id, run.position
        ))),
    }
}

/// The record of a run that has ended.
///
/// # Errors
/// [`Error::Usage`] for a run that has no record yet, with what to do; [`Error::Run`] where the record can't be read.
pub fn load_record(run: &RunDir) -> Result<Outcome, Error> {
    run.load_record()?.ok_or_else(|| {
        let name = run.name();
        let what = if run.is_alive() {
            "it is running".to_owned()
        } else {
            // A cleanup would end an agent that still works.
            format!("its operator died: `cx-operator resume {name}` takes it over")
        };
        Error::Usage(format!("{name} has no record yet: {what}"))
    })
}

/// The newest run.
///
/// # Errors
/// [`Error::Usage`] where there is none; [`Error::Run`] where the state directory can't be listed.
pub fn find_newest(store: &Store) -> Result<RunDir, Error> {
    let newest = store.load_runs()?.pop();
    newest.ok_or_else(|| {
        Error::Usage("there are no runs yet: `cx-operator delegate` begins one".to_owned())
    })
}

/// The shortest name that people can call a run by: its task's, unless that means another run; else its id.
pub(crate) fn short_name(store: &Store, run: &RunDir) -> String {
    let means_it =
        |task: &&str| find_run(store, task).is_ok_and(|found| found.path() == run.path());
    run.task().filter(means_it).unwrap_or(run.name()).to_owned()
}

/// The worktree of a run that still has one, and the commit that the agent started from there.
///
/// # Errors
/// [`Error::Io`] where its journal can't be read.
pub(crate) fn find_worktree(run: &RunDir) -> Result<Option<(PathBuf, String)>, Error> {
    let path = run.path().join("events.jsonl");
    let entries = match journal::load(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(io_error("read the journal"))?,
    };
    let mut place = None;
    for entry in entries {
        match entry.progress {
            Progress::Done(Step::Worktree {
                path, base_commit, ..
            }) => place = Some((path, base_commit)),
            Progress::Begun(Step::RemoveWorktree) => place = None,
            _ => {}
        }
    }
    Ok(place)
}
