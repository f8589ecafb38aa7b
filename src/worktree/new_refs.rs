//! Refs and worktrees that were created, moved or deleted in the repository during a run: they are the user's, so they
//! are told of and stay.
//!
//! Owns the list of the refs and worktrees that there were when the worktree was added. Imported by `add`, `agent_head`
//! and `remove`.
//!
//! Invariant: nothing is changed but registrations of worktrees inside a directory that was removed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::admin_dir::{checkout_of, registered, remove_admin_dir};
use super::branch::find_creation;
use super::error::Error;
use super::files::{shown, write_atomically};
use super::marker::Marker;
use super::refs::{BRANCHES, REF_PREFIX, list_refs};
use super::repository::Repository;

/// The refs and worktrees as they were when the worktree was added, in its administrative directory: `<id> <name>`.
const SEED_REFS: &str = "cx-operator.refs";
/// What the name of a worktree begins with; its path follows. It has no id.
const WORKTREE: &str = "the worktree ";
const NO_ID: &str = "-";
/// What the name of a stash begins with; its id follows.
const STASH: &str = "the stash ";
/// How many names a notice has.
const NAMES_SHOWN: usize = 20;
/// How many it has of refs that can be restored by it.
const CHANGES_SHOWN: usize = 100;

/// Name → id.
type Refs = BTreeMap<String, String>;

/// Remembers which refs and worktrees there are; other runs' own are left out.
pub(super) fn remember(repo: &Repository, admin_dir: &Path) -> Result<(), Error> {
    let open = repo.open()?;
    let mut refs = list(repo, &open)?;
    refs.retain(|name, _| !is_of_a_run(&open, name));
    let lines = refs.iter().map(|(name, id)| format!("{id} {name}\n"));
    let lines: String = lines.collect();
    write_atomically(&admin_dir.join(SEED_REFS), lines.as_bytes())
}

/// Says which branches, tags, worktrees and other refs are new since then, which moved or went, with what restores
/// them, and whether a stash was dropped or a worktree removed. The run's `own` branch is left out, and so is that of
/// `head` if it is new. It can't tell the agent from others who work in the repository.
pub(super) fn describe(
    repo: &Repository,
    admin_dir: &Path,
    own: &str,
    head: &str,
) -> Result<Vec<String>, Error> {
    let Ok(seed) = fs::read_to_string(admin_dir.join(SEED_REFS)) else {
        return Ok(Vec::new());
    };
    let lines = seed.lines().filter_map(|line| line.split_once(' '));
    let before: BTreeMap<&str, &str> = lines.map(|(id, name)| (name, id)).collect();
    let open = repo.open()?;
    let now = list(repo, &open)?;
    let directory = Marker::find(admin_dir).map(|marker| marker.spec.path);
    let is_expected = |name: &str| {
        let path = name.strip_prefix(WORKTREE).map(Path::new);
        let inside = path.zip(directory.as_ref());
        name == head
            || is_of_a_run(&open, name)
            || inside.is_some_and(|(path, directory)| path.starts_with(directory))
    };
    let (mut new, mut moved, mut gone) = (vec![], vec![], vec![]);
    let (mut dropped, mut removed) = (vec![], vec![]);
    for (name, id) in now.iter().filter(|(name, _)| *name != own) {
        match before.get(name.as_str()) {
            Some(old) if old == id => {}
            Some(old) => moved.push(format!("{name} from {old} to {id}")),
            None if is_expected(name) => {}
            None => new.push(name.clone()),
        }
    }
    for (name, id) in before {
        if name == own || now.contains_key(name) {
            continue;
        }
        if name.starts_with(STASH) {
            dropped.push(id.to_owned());
        } else if name.starts_with(WORKTREE) {
            removed.push(name.to_owned());
        } else {
            gone.push(format!("{name}, which was at {id}"));
        }
    }
    let by_update = "; if that was not you, `git update-ref <name> <old id>` restores it";
    let by_stash = "; if that was not you, `git stash store <id>` restores it";
    let notices = [
        tell("made", ", and left there", &new, NAMES_SHOWN),
        tell("moved", "", &moved, CHANGES_SHOWN).map(|said| said + by_update),
        tell("deleted", "", &gone, CHANGES_SHOWN).map(|said| said + by_update),
        tell("removed", "", &removed, NAMES_SHOWN),
        tell("dropped from the stash", "", &dropped, CHANGES_SHOWN).map(|said| said + by_stash),
    ];
    Ok(notices.into_iter().flatten().collect())
}

/// A sentence about some names, at most so many; none if there are none.
fn tell(what: &str, then: &str, names: &[String], shown: usize) -> Option<String> {
    let more = match names.len().saturating_sub(shown) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let listed = names.get(..names.len().min(shown))?.join(", ");
    let whose = "during the run, by the agent or by another program";
    (!names.is_empty()).then(|| format!("{what} in the repository {whose}{then}: {listed}{more}"))
}

fn is_of_a_run(repo: &git2::Repository, name: &str) -> bool {
    // `<prefix>-<task>`, whichever the executor.
    let is_named_so = name
        .strip_prefix(BRANCHES)
        .is_some_and(|branch| branch.contains('-'));
    is_named_so && find_creation(repo, name).is_some()
}

/// All refs but those of results and of remotes, all that is stashed, and all worktrees that no run made.
fn list(repo: &Repository, open: &git2::Repository) -> Result<Refs, Error> {
    let left_out = |name: &str| {
        name == "refs/stash" || name.starts_with(REF_PREFIX) || name.starts_with("refs/remotes/")
    };
    let refs = list_refs(repo, "refs")?.into_iter();
    let mut all: Refs = refs
        .filter(|(name, _)| !left_out(name))
        .map(|(name, id)| (name, id.to_string()))
        .collect();
    // One ref has them all: each is known by its log alone. libgit2 makes the log that it is to read.
    if let Ok(true) = open.reference_has_log("refs/stash")
        && let Ok(log) = open.reflog("refs/stash")
    {
        let ids = log.iter().map(|entry| entry.id_new().to_string());
        all.extend(ids.map(|id| (format!("{STASH}{id}"), id)));
    }
    let paths = worktrees(repo).into_iter().map(|(path, _)| path);
    all.extend(paths.map(|path| (format!("{WORKTREE}{}", shown(&path)), NO_ID.to_owned())));
    Ok(all)
}

/// The directories of the worktrees that no run made, each with its administrative directory.
fn worktrees(repo: &Repository) -> Vec<(PathBuf, PathBuf)> {
    let mut admin_dirs = registered(repo).unwrap_or_default();
    admin_dirs.retain(|admin_dir| Marker::find(admin_dir).is_none());
    let with_its_path = |admin_dir: PathBuf| Some((checkout_of(&admin_dir)?, admin_dir));
    admin_dirs.into_iter().filter_map(with_its_path).collect()
}

/// Deregisters the worktrees that were made below a directory, which is gone: each would keep its branch from
/// everybody. Returns their directories.
pub(super) fn deregister_below(repo: &Repository, directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut below = worktrees(repo);
    below.retain(|(path, _)| path.starts_with(directory) && path != directory);
    let deregister = |(path, admin_dir): (PathBuf, PathBuf)| {
        remove_admin_dir(&admin_dir)?;
        Ok(path)
    };
    below.into_iter().map(deregister).collect()
}
