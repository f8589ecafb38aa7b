//! Lookalikes: things with names like ours that belong to no run of this state directory. Listed with the reason, never touched.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::orphan::repository_gone;
use super::{Action, Found, find_run};
use crate::agent::EXECUTORS;
use crate::record::journal::{self, Progress};
use crate::record::{RunDir, Store};
use crate::task::name::{TaskName, sessions_of};
use crate::tmux::Server;
use crate::worktree::{OwnedWorktree, Repository, linked_git_dir, owned};

/// The prefixes of the names of runs' worktrees and branches.
fn prefixes() -> impl Iterator<Item = String> {
    EXECUTORS
        .iter()
        .map(|executor| format!("{}-", executor.prefix()))
}
/// The advice for a person who knows better.
const FORCE: &str = "`cx-operator cleanup --force-orphan PATH` collects its work and removes it";

fn left(kind: &'static str, name: String, reason: impl Into<String>) -> Found {
    Found {
        kind,
        name,
        action: Action::Left,
        reason: reason.into(),
    }
}

/// Worktrees and branches in a repository.
pub(super) fn in_repository(store: &Store, repository: &Repository) -> Vec<Found> {
    let ours = owned(repository).unwrap_or_default();
    let mut found: Vec<Found> = ours
        .iter()
        .filter_map(|worktree| {
            let name = worktree.spec.path.display().to_string();
            Some(left("worktree", name, why_worktree(store, worktree)?))
        })
        .collect();
    let marked: BTreeSet<&Path> = ours.iter().map(|one| one.spec.path.as_path()).collect();
    for path in repository.checkouts() {
        if has_prefix(&path) && !marked.contains(path.as_path()) {
            let why = "it has no marker of ours: it was made with git";
            found.push(left("worktree", path.display().to_string(), why));
        }
    }
    let named = prefixes().map(|prefix| repository.branches_named(&prefix).unwrap_or_default());
    let branches: Vec<String> = named.flatten().collect();
    for branch in branches {
        if !ours.iter().any(|worktree| worktree.spec.branch == branch) {
            let name = format!("{branch} in {}", repository.root().display());
            let why = match repository.find_run_of_branch(&branch) {
                Ok(Some(run)) => format!(
                    "it was made for the run {run}, and kept on request, for its commits, or because a checkout was on it"
                ),
                _ => "no marker or reflog of ours names it: it is not ours".to_owned(),
            };
            found.push(left("branch", name, why));
        }
    }
    found
}

/// Why a worktree with a marker of ours belongs to no run that this cleanup handled; `None` if it does.
fn why_worktree(store: &Store, worktree: &OwnedWorktree) -> Option<String> {
    let owner = &worktree.spec.owner;
    if owner.state_dir != store.root() {
        let gone = if owner.state_dir.join("runs").join(&owner.run_id).exists() {
            ""
        } else {
            ", which has no record of it any more"
        };
        let dir = owner.state_dir.display();
        return Some(format!(
            "it belongs to the state directory {dir}{gone}: {FORCE}"
        ));
    }
    let Some(run) = find_run(store, &owner.run_id) else {
        return Some(format!("the record of its run is gone: {FORCE}"));
    };
    let kept = || {
        let record = run.load_record().ok().flatten();
        record.is_some_and(|record| record.worktree.is_some())
    };
    if !run.is_closed() && !run.is_alive() && !begins(&run) {
        let dir = run.path().display();
        return Some(format!(
            "the journal of its run can't be read, so its work is not collected: once {dir} is moved away, {FORCE}"
        ));
    }
    // One that is not closed is alive, or told of by its run.
    if !run.is_closed() || kept() {
        return None;
    }
    Some(format!(
        "its run ended without it: `cx-operator cleanup --kept {}` collects its work and removes it",
        owner.run_id
    ))
}

/// Whether the line is there that says what the run is; without it no recovery names the worktree.
fn begins(run: &RunDir) -> bool {
    let entries = journal::load(&run.events()).unwrap_or_default();
    entries.iter().any(|entry| {
        matches!(&entry.progress, Progress::Started { run_id, .. } if run_id.as_str() == run.name())
    })
}

/// Directories where worktrees are made.
pub(super) fn in_directory(root: &Path, repository: Option<&Repository>) -> Vec<Found> {
    let known: BTreeSet<PathBuf> = repository
        .into_iter()
        .flat_map(|repository| owned(repository).unwrap_or_default())
        .map(|worktree| worktree.spec.path)
        .collect();
    let own = rustix::process::geteuid().as_raw();
    let mut found = Vec::new();
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = |meta: fs::Metadata| meta.is_dir() && meta.uid() == own;
        if !has_prefix(&path)
            || is_an_agents(&path)
            || known.contains(&path)
            || !entry.metadata().is_ok_and(ours)
        {
            continue;
        }
        let why = match linked_git_dir(&path) {
            // Some repository's worktree: told of where that repository is looked through.
            Some(git_dir) if git_dir.exists() => continue,
            Some(git_dir) if common_dir(&git_dir).is_some_and(|dir| !dir.is_dir()) => {
                repository_gone(common_dir(&git_dir).unwrap_or(&git_dir))
            }
            Some(git_dir) => format!(
                "its registration {} is gone: {FORCE} if a run of ours made it",
                git_dir.display()
            ),
            None => "nothing says that a run of ours made it: it is not ours".to_owned(),
        };
        found.push(left("directory", path.display().to_string(), why));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Whether a program of an executor makes directories of such a name for itself.
fn is_an_agents(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut own = EXECUTORS
        .iter()
        .flat_map(|executor| executor.own_directories());
    own.any(|own| name.starts_with(own)) && linked_git_dir(path).is_none()
}

/// Sessions on our own socket that no run on record started.
pub(super) async fn sessions(
    store: &Store,
    server: &Server,
) -> Result<Vec<Found>, crate::error::Error> {
    let mut found = Vec::new();
    for session in server.query_sessions().await? {
        if !is_of_a_run(store, server, &session).await? {
            let why = "no run on record started it";
            found.push(left("session", session, why));
        }
    }
    Ok(found)
}

async fn is_of_a_run(
    store: &Store,
    server: &Server,
    session: &str,
) -> Result<bool, crate::error::Error> {
    let named_so = |run: &&RunDir| {
        let task = run.task().and_then(|task| TaskName::parse(task).ok());
        task.is_some_and(|task| sessions_of(&task).any(|name| name == session))
    };
    let runs = store.load_runs()?;
    for run in runs.iter().rev().filter(named_so) {
        if server.query_session_of(session, run.name()).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `<repository>` of `<repository>/worktrees/<name>`.
fn common_dir(git_dir: &Path) -> Option<&Path> {
    git_dir.ancestors().nth(2)
}

fn has_prefix(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| prefixes().any(|prefix| name.starts_with(&prefix)))
}
