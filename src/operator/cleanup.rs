//! Cleaning up: finds the runs whose operator died and has them recovered, and lists what merely looks like ours.

use std::path::PathBuf;

use serde::Serialize;

use super::apply::clear_check;
use crate::error::Error;
use crate::record::{RunDir, Store};
use crate::run::recovery::{Claim, TakenOverRun};
use crate::task::policy::Keep;
use crate::tmux::Server;
use crate::worktree::Repository;

pub use orphan::force_orphan;

mod lookalikes;
mod orphan;

/// The outcome for something that was found.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It was ours, its work was collected, and it is removed.
    Removed,
    /// It is ours and would be removed.
    WouldRemove,
    /// It stays: it is alive, or not provably ours, or could not be made safe.
    Left,
}

/// Something that was found.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// `run`, `worktree`, `branch`, `session`, `directory`.
    pub kind: &'static str,
    /// Its id, path or name.
    pub name: String,
    /// Its outcome.
    pub action: Action,
    /// Why.
    pub reason: String,
}

/// The scope of a cleanup, beyond the orphans of this state directory.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// A path in a repository to look through for what only looks like ours.
    pub repository: Option<PathBuf>,
    /// A directory of worktrees to look through, such as `/tmp`.
    pub worktree_root: Option<PathBuf>,
    /// A run whose worktree or session was kept on purpose, and now shall go too.
    pub kept: Option<RunDir>,
    /// Only tell what would be done.
    pub dry_run: bool,
}

/// Finds what dead runs left, removes it, and lists what only looks like ours.
///
/// # Errors
/// [`Error::Run`] when the records can't be listed; what fails for one orphan is in its [`Found`].
pub async fn cleanup(store: &Store, scope: &Scope) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    let repository = scope.repository.as_deref();
    let repository = repository.and_then(|path| Repository::discover(path).ok());
    let mut runs = store.load_unfinished()?;
    runs.extend(scope.kept.clone().filter(RunDir::is_closed));
    for run in runs {
        found.extend(clean_run(store, &run, scope).await);
    }
    found.extend(checks(store, scope.dry_run).await?);
    let server = Server::at(store.tmux_socket());
    if !scope.dry_run {
        server.stop_if_idle().await?;
    }
    if let Some(repository) = &repository {
        found.extend(lookalikes::in_repository(store, repository));
    }
    found.extend(lookalikes::sessions(store, &server).await?);
    if let Some(root) = &scope.worktree_root {
        found.extend(lookalikes::in_directory(root, repository.as_ref()));
    }
    Ok(found)
}

/// Removes the checkouts that an `apply --check` left which was killed.
///
/// # Errors
/// [`Error::Run`] when the records can't be listed.
pub(crate) async fn checks(store: &Store, dry_run: bool) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    for run in store.load_runs()? {
        let why = format!("an `apply --check` of {} was killed", run.name());
        let (action, reason) = match clear_check(&run, dry_run).await {
            Ok(false) => continue,
            Ok(true) if dry_run => (Action::WouldRemove, why),
            Ok(true) => (Action::Removed, why),
            Err(error) => (Action::Left, format!("{why}; {}", error.message())),
        };
        found.push(Found {
            kind: "worktree",
            name: run.check().display().to_string(),
            action,
            reason,
        });
    }
    Ok(found)
}

/// Ends a run whose operator died, and one that was kept and is named; `None` for one that lives or never was.
async fn clean_run(store: &Store, run: &RunDir, scope: &Scope) -> Option<Found> {
    let describe = |action, reason: String| Found {
        kind: "run",
        name: run.name().to_owned(),
        action,
        reason,
    };
    let named = scope
        .kept
        .as_ref()
        .is_some_and(|kept| kept.name() == run.name());
    let why = if named {
        "it was kept on request"
    } else {
        "its operator is gone"
    };
    let claim = if named {
        TakenOverRun::claim_kept(store, run, None)
    } else {
        TakenOverRun::claim(store, run, None)
    };
    let taken_over = match claim {
        Ok(Claim::Taken(taken_over)) => taken_over,
        Ok(Claim::Empty) => {
            if !scope.dry_run {
                run.discard();
            }
            return None;
        }
        Ok(Claim::Alive | Claim::Ended) => return None,
        Err(error) => {
            let why = error.message();
            return Some(describe(Action::Left, why));
        }
    };
    if taken_over.holds_this_process() {
        let why = "this command runs in its session: run it outside".to_owned();
        return Some(describe(Action::Left, why));
    }
    let keep = if named {
        Keep::Nothing
    } else {
        taken_over.keep()
    };
    if scope.dry_run {
        return Some(match taken_over.foresee(keep) {
            None => describe(Action::WouldRemove, why.to_owned()),
            Some(obstacle) => describe(Action::Left, format!("{why}; {obstacle}")),
        });
    }
    let outcome = taken_over.finish(keep).await;
    if run.is_closed() {
        let why = format!("{why}; recorded as {}", outcome.status.as_str());
        return Some(match &outcome.worktree {
            None => describe(Action::Removed, why),
            Some(path) => describe(
                Action::Left,
                format!("{why}; asked to keep {}", path.display()),
            ),
        });
    }
    let why = outcome.notices.last().cloned();
    let why = why.or(outcome.error.map(|error| error.message));
    Some(describe(Action::Left, why.unwrap_or_default()))
}

/// The run of exactly that id.
fn find_run(store: &Store, id: &str) -> Option<RunDir> {
    store.find(id).ok().filter(|run| run.name() == id)
}
