//! Which runs go: decided from names where that is enough, and from records otherwise.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::Deserialize;

use super::{PrunePlan, PruneReport, began};
use crate::error::Error;
use crate::os::chain::failed;
use crate::record::{RunDir, Store};
use crate::task::name::{TaskName, sessions_of};
use crate::worktree::{Repository, owned};

/// A run that may go.
pub(super) struct Candidate {
    pub(super) run: RunDir,
    pub(super) repository: Option<(PathBuf, Option<PathBuf>)>,
    /// Whether its record tells of a result.
    pub(super) has_result: bool,
}

/// The little of a record that decides.
#[derive(Deserialize)]
struct Record {
    schema_version: u32,
    task: TaskName,
    repository: Option<PathBuf>,
    common_dir: Option<PathBuf>,
    result_ref: Option<String>,
    worktree: Option<PathBuf>,
}

/// The runs that the plan means, oldest first; those among them that must stay go into the report.
pub(super) fn select(
    store: &Store,
    plan: &PrunePlan,
    sessions: &BTreeSet<String>,
    report: &mut PruneReport,
) -> Result<Vec<Candidate>, Error> {
    let mut runs = store.load_runs()?;
    if let Some(path) = &plan.repository {
        let wanted = Repository::discover(path)?;
        let is_of = |run: &RunDir| match load(run) {
            Ok(Record {
                common_dir: Some(dir),
                ..
            }) => dir == wanted.common_dir(),
            Ok(record) => record.repository.as_deref() == Some(wanted.root()),
            Err(_) => false,
        };
        runs.retain(is_of);
    }
    runs.truncate(runs.len().saturating_sub(plan.keep));
    let before = SystemTime::now().checked_sub(plan.older_than);
    let before = before.unwrap_or(SystemTime::UNIX_EPOCH);
    let mut found = Vec::new();
    for run in runs {
        // Any other entry of the directory is not a run of ours.
        if began(run.name()).is_none_or(|began| began > before) {
            continue;
        }
        match judge(store, &run, sessions) {
            Ok((_, ended)) if ended > before => {}
            Ok((record, _)) => found.push(Candidate {
                has_result: record.result_ref.is_some(),
                repository: record.repository.map(|root| (root, record.common_dir)),
                run,
            }),
            Err(why) => report.leave(&run, why),
        }
    }
    Ok(found)
}

/// The run's record and when it ended; or why it must stay.
fn judge(
    store: &Store,
    run: &RunDir,
    sessions: &BTreeSet<String>,
) -> Result<(Record, SystemTime), String> {
    if run.is_alive() {
        return Err("it is alive".to_owned());
    }
    if !run.is_closed() {
        return Err("it needs recovery: `cx-operator recover` does that".to_owned());
    }
    if run.check().is_dir() {
        return Err(
            "its result is checked, or an `apply --check` was killed: `cx-operator cleanup` removes what that left"
                .to_owned(),
        );
    }
    let record = load(run)?;
    if record.schema_version != 1 {
        return Err(format!(
            "its record has version {}, written by a newer cx-operator",
            record.schema_version
        ));
    }
    let kept = || {
        format!(
            "its worktree or session was kept: `cx-operator cleanup --kept {}` removes it",
            run.name()
        )
    };
    if let Some(worktree) = &record.worktree {
        let there = worktree.symlink_metadata().is_ok()
            || sessions_of(&record.task).any(|session| sessions.contains(&session))
            || is_registered(store, run, &record);
        if there {
            return Err(kept());
        }
    }
    let ended = fs::metadata(run.path().join("run.json")).and_then(|meta| meta.modified());
    let ended = ended.map_err(|error| unread(&error))?;
    Ok((record, ended))
}

fn unread(error: &dyn fmt::Display) -> String {
    failed(format_args!("read its record: {error}"))
}

fn load(run: &RunDir) -> Result<Record, String> {
    let bytes = fs::read(run.path().join("run.json"));
    let bytes = bytes.map_err(|error| unread(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| unread(&error))
}

/// Whether the repository still knows the run's worktree, whose directory is gone.
fn is_registered(store: &Store, run: &RunDir, record: &Record) -> bool {
    let common_dir = record.common_dir.as_deref();
    let repository = record.repository.as_deref();
    let repository = repository.map(|root| Repository::open_of_run(root, common_dir));
    let Some(Ok(repository)) = repository else {
        return false;
    };
    owned(&repository).is_ok_and(|owned| {
        owned.iter().any(|found| {
            found.spec.owner.run_id == run.name() && found.spec.owner.state_dir == store.root()
        })
    })
}
