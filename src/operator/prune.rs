//! Pruning: the records of old runs go, and with them the refs that keep their results. Nothing else does it.
//!
//! What is never removed: a run that is alive, one that needs recovery, one whose worktree or session was kept, one
//! whose record can't be read. What a result is worth is the person's decision: each line says whether a branch has it.
//!
//! The ref is removed first: with the record, which names the repository, a later pruning finishes one that was cut short.
//! Then the run's directory is moved aside in one step and removed; the next pruning removes what is left there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::error::{Error, io as io_error};
use crate::os::blocking::blocking;
use crate::os::files::make_private_directory;
use crate::record::{Lock, RunDir, Store};
use crate::tmux::Server;
use crate::worktree::{CommitId, Repository};
use select::Candidate;

mod select;

/// Where runs' directories are on their way out, in the state directory.
const OUT: &str = "pruned";
/// How many runs are locked at a time: each lock is an open file.
const AT_ONCE: usize = 100;

/// The choice of runs to prune.
#[derive(Clone, Debug)]
pub struct PrunePlan {
    /// Only runs that ended longer ago.
    pub older_than: Duration,
    /// The number of newest runs that stay in any case.
    pub keep: usize,
    /// Only runs of the repository of this path.
    pub repository: Option<PathBuf>,
    /// Only tell what would be done.
    pub dry_run: bool,
}

impl Default for PrunePlan {
    /// Runs that ended more than 30 days ago.
    fn default() -> Self {
        Self {
            older_than: Duration::from_secs(30 * 24 * 3600),
            keep: 0,
            repository: None,
            dry_run: false,
        }
    }
}

/// Whether a branch has the result of a run.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// There is no result: nothing changed, or the ref is gone.
    NoResult,
    /// The repository is gone, or not where it was.
    NoRepository,
    /// A branch, a tag or a remote-tracking branch reaches it.
    OnABranch,
    /// No branch reaches it; it may have been applied as a patch.
    OnNoBranch,
}

/// A run that is removed.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Its id.
    pub run_id: String,
    /// The disk space of its directory, in bytes.
    pub bytes: u64,
    /// Its repository, where the record names one.
    pub repository: Option<PathBuf>,
    /// The commit that its ref kept.
    pub result_commit: Option<CommitId>,
    /// Whether a branch has that.
    pub result: Reach,
}

/// A run that is old enough and stays.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Its id.
    pub run_id: String,
    /// Why.
    pub reason: String,
}

/// The outcome of a pruning, or of a dry run; oldest first.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// The removed runs.
    pub pruned: Vec<Pruned>,
    /// The runs that stay though they are old enough.
    pub left: Vec<Left>,
}

impl PruneReport {
    /// The disk space of all pruned runs, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.pruned.iter().map(|run| run.bytes).sum()
    }

    fn leave(&mut self, run: &RunDir, reason: impl Into<String>) {
        self.left.push(Left {
            run_id: run.name().to_owned(),
            reason: reason.into(),
        });
    }
}

/// Removes old records and the refs that keep their results. Safe beside anything, another pruning included; one that
/// was cut short is finished by the next.
///
/// # Errors
/// [`Error::Run`] when the records can't be listed, [`Error::Worktree`] if `plan.repository` is not a repository; what can't be
/// done for one run is in [`PruneReport::left`].
pub async fn prune(store: &Store, plan: &PrunePlan) -> Result<PruneReport, Error> {
    // A kept session outlives its worktree if a person removed that.
    let sessions = Server::at(store.tmux_socket()).query_sessions().await?;
    let (store, plan) = (store.clone(), plan.clone());
    blocking(move || prune_now(&store, &plan, &sessions.into_iter().collect())).await
}

fn prune_now(
    store: &Store,
    plan: &PrunePlan,
    sessions: &BTreeSet<String>,
) -> Result<PruneReport, Error> {
    if !plan.dry_run {
        empty(&store.root().join(OUT));
    }
    let mut report = PruneReport::default();
    let mut groups: BTreeMap<_, Vec<Candidate>> = BTreeMap::new();
    for candidate in select::select(store, plan, sessions, &mut report)? {
        groups
            .entry((candidate.repository.clone(), candidate.has_result))
            .or_default()
            .push(candidate);
    }
    for ((recorded, has_result), group) in groups {
        let place = match Place::load(recorded.as_ref(), has_result, &group) {
            Ok(place) => place,
            Err(error) => {
                let why = crate::os::chain::chain(&error);
                group
                    .iter()
                    .for_each(|candidate| report.leave(&candidate.run, &*why));
                continue;
            }
        };
        if plan.dry_run {
            let told = group.iter().map(|candidate| place.describe(candidate));
            report.pruned.extend(told);
            continue;
        }
        for some in group.chunks(AT_ONCE) {
            remove(store, &place, some, &mut report);
        }
    }
    if !plan.dry_run {
        store.prune_keys();
    }
    report.pruned.sort_by(|a, b| a.run_id.cmp(&b.run_id));
    report.left.sort_by(|a, b| a.run_id.cmp(&b.run_id));
    Ok(report)
}

/// Removes some runs of one repository: refs first.
fn remove(store: &Store, place: &Place, some: &[Candidate], report: &mut PruneReport) {
    let mut held = Vec::new();
    for candidate in some {
        match Lock::take(&candidate.run.lock()) {
            Ok(Some(lock)) if candidate.run.is_closed() && candidate.run.path().exists() => {
                held.push((candidate, lock));
            }
            // Somebody else's pruning was faster.
            _ if !candidate.run.path().exists() => {}
            _ => report.leave(&candidate.run, "another process uses it"),
        }
    }
    let refs = held
        .iter()
        .flat_map(|(candidate, _)| place.refs_of(candidate.run.name()));
    let refs = refs.map(|(name, id)| (name.clone(), *id)).collect();
    let deleted = match &place.repository {
        Some(repository) => repository.delete_result_refs(&refs),
        None => Ok(()),
    };
    for (candidate, _lock) in held {
        let told = place.describe(candidate);
        let done = match &deleted {
            Ok(()) => remove_directory(store, &candidate.run).map_err(|error| error.message()),
            Err(error) => Err(crate::os::chain::chain(error)),
        };
        match done {
            Ok(()) => report.pruned.push(told),
            Err(why) => report.leave(&candidate.run, why),
        }
    }
}

/// Moves a run's directory out of sight in one step, then removes it.
fn remove_directory(store: &Store, run: &RunDir) -> Result<(), Error> {
    let out = store.root().join(OUT);
    let failed = || io_error(format!("remove {}", run.path().display()));
    loop {
        make_private_directory(&out).map_err(failed())?;
        match fs::rename(run.path(), out.join(run.name())) {
            Ok(()) => break,
            // Another pruning has just removed `pruned/`.
            Err(error) if error.kind() == io::ErrorKind::NotFound && run.path().exists() => {}
            other => other.map_err(failed())?,
        }
    }
    empty(&out);
    Ok(())
}

/// Removes what is in the directory, and the directory. What resists is tried again next time.
fn empty(out: &Path) {
    for entry in fs::read_dir(out).into_iter().flatten().flatten() {
        if let Err(error) = fs::remove_dir_all(entry.path())
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %entry.path().display(), "can't be removed");
        }
    }
    let _others_use_it = fs::remove_dir(out);
}

/// The repository of some runs, if it is still there, and what it has of them.
struct Place {
    repository: Option<Repository>,
    refs: BTreeMap<String, CommitId>,
    only_here: BTreeSet<CommitId>,
}

impl Place {
    fn load(
        recorded: Option<&(PathBuf, Option<PathBuf>)>,
        has_result: bool,
        group: &[Candidate],
    ) -> Result<Self, crate::worktree::Error> {
        use crate::worktree::Error::RepositoryGone;
        let open = |(root, dir): &(PathBuf, Option<PathBuf>)| {
            Repository::open_of_run(root, dir.as_deref())
        };
        let repository = match recorded.map(open) {
            // Moved, perhaps: the record is all that tells of the ref that it has.
            Some(Err(RepositoryGone { .. })) if !has_result => None,
            Some(Err(error)) => return Err(error),
            found => found.transpose()?,
        };
        let Some(repository) = repository else {
            return Ok(Self {
                repository: None,
                refs: BTreeMap::new(),
                only_here: BTreeSet::new(),
            });
        };
        let mut place = Self {
            refs: repository.result_refs()?,
            repository: Some(repository),
            only_here: BTreeSet::new(),
        };
        let results: BTreeSet<CommitId> = group
            .iter()
            .filter_map(|candidate| place.result_of(candidate.run.name()))
            .collect();
        if let Some(repository) = &place.repository {
            place.only_here = repository.only_in_results(&results)?;
        }
        Ok(place)
    }

    fn result_of(&self, run_id: &str) -> Option<CommitId> {
        let mut refs = self.refs_of(run_id);
        let result = refs.find(|(name, _)| !name.contains(".inside."));
        result.map(|(_, commit)| *commit)
    }

    /// The run's ref, those of its earlier snapshots, `<ref>.1`, …, and of repositories inside, `<ref>.inside.1`, …
    fn refs_of(&self, run_id: &str) -> impl Iterator<Item = (&String, &CommitId)> {
        let name = format!("refs/cx-operator/{run_id}");
        let from = self.refs.range(name.clone()..);
        from.take_while(move |(found, _)| {
            let rest = found.strip_prefix(&name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    fn describe(&self, candidate: &Candidate) -> Pruned {
        let run_id = candidate.run.name();
        let result_commit = self.result_of(run_id);
        let result = match result_commit {
            None if self.repository.is_none() => Reach::NoRepository,
            None => Reach::NoResult,
            Some(commit) if self.only_here.contains(&commit) => Reach::OnNoBranch,
            Some(_) => Reach::OnABranch,
        };
        Pruned {
            run_id: run_id.to_owned(),
            bytes: disk_use(candidate.run.path()),
            repository: candidate.repository.as_ref().map(|(root, _)| root.clone()),
            result_commit,
            result,
        }
    }
}

/// The disk space of a directory with all below it, in bytes. Unreadable entries count as zero.
#[must_use]
pub fn disk_use(path: &Path) -> u64 {
    let own = fs::symlink_metadata(path).map_or(0, |meta| meta.blocks() * 512);
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let below = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => disk_use(&entry.path()),
        _ => entry.metadata().map_or(0, |meta| meta.blocks() * 512),
    });
    own + below.sum::<u64>()
}

/// When a run began, as its id says.
fn began(run_id: &str) -> Option<SystemTime> {
    let digits = |range: std::ops::Range<usize>| {
        let text = run_id.get(range)?;
        text.bytes().all(|b| b.is_ascii_digit()).then_some(text)
    };
    let (day, time) = (digits(0..8)?, digits(9..15)?);
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &day[..4],
        &day[4..6],
        &day[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    );
    humantime::parse_rfc3339(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runs_id_tells_when_it_began() {
        let at = began("20260102-030405-t-0a1b").expect("a time");
        let text = humantime::format_rfc3339_seconds(at).to_string();
        assert_eq!(text, "2026-01-02T03:04:05Z");
        for none in [
            "",
            "20260102",
            "2026010203040506",
            "20261302-030405-t-0a1b",
            "été-été-été-été",
        ] {
            assert_eq!(began(none), None, "{none}");
        }
    }
}
