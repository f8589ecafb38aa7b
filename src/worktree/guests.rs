//! Refs and worktrees that were made, moved or removed in the repository during a run: they are the user's, so they are reported and stay.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::add::remove_admin_dir;
use super::branch::{checkout_of, find_creation};
use super::error::Error;
use super::files::write_atomically;
use super::git::Git;
use super::marker::Marker;
use super::snapshot::REF_PREFIX;

/// The refs and worktrees as they were when the worktree was added, in its administrative directory.
const SEED_REFS: &str = "cx-operator.refs";
/// The placeholder for an id in a line about a worktree.
const WORKTREE: &str = "worktree";
/// What the name of a stash begins with; its id follows.
const STASH: &str = "the stash ";
/// How many names a notice has.
const NAMES_SHOWN: usize = 20;
/// How many it has of refs that can be restored by it.
const CHANGES_SHOWN: usize = 100;

/// Name → id.
type Refs = BTreeMap<String, String>;

/// Remembers which refs and worktrees there are; other runs' own are left out.
pub(super) fn remember(repo: &git2::Repository, admin_dir: &Path) -> Result<(), Error> {
    let mut refs = list(repo)?;
    refs.retain(|name, _| !is_of_a_run(repo, name));
    let mut lines: String = refs
        .iter()
        .map(|(name, id)| format!("{id} {name}\n"))
        .collect();
    for name in worktrees(repo) {
        lines.push_str(&format!("{WORKTREE} {}\n", name.display()));
    }
    write_atomically(&admin_dir.join(SEED_REFS), lines.as_bytes())
}

/// Says which branches, tags and other refs are new since then, which moved or went, with what restores them, whether
/// something was stashed, and which worktrees came to be. `known` are left out: the branch that HEAD is on, if it is
/// new, and the run's own. It can't tell the agent from anybody else who works in the repository.
pub(super) fn describe(
    repo: &git2::Repository,
    admin_dir: &Path,
    known: &[&str],
) -> Result<Vec<String>, Error> {
    let mut notices = Vec::new();
    let Ok(seed) = fs::read_to_string(admin_dir.join(SEED_REFS)) else {
        return Ok(notices);
    };
    let lines = seed.lines().filter_map(|line| line.split_once(' '));
    let before: BTreeMap<&str, &str> = lines.clone().map(|(id, name)| (name, id)).collect();
    let now = list(repo)?;
    let own = known.last().copied().unwrap_or_default();
    let (mut new, mut moved, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    let mut stashes = Vec::new();
    for (name, id) in &now {
        match before.get(name.as_str()) {
            Some(old) if old == id || name == own => {}
            None if known.contains(&name.as_str()) || is_of_a_run(repo, name) => {}
            None => new.push(name.clone()),
            Some(old) => moved.push(format!("{name} from {old} to {id}")),
        }
    }
    for (name, id) in before {
        match now.contains_key(name) || id == WORKTREE || name == own {
            true => {}
            false if name.starts_with(STASH) => stashes.push(id.to_owned()),
            false => gone.push(format!("{name}, which was at {id}")),
        }
    }
    let known_worktrees: BTreeSet<&str> = lines
        .filter_map(|(kind, name)| (kind == WORKTREE).then_some(name))
        .collect();
    let added = worktrees(repo).into_iter().filter(|path| {
        !path.starts_with(own_directory(admin_dir))
            && !known_worktrees.contains(&*path.to_string_lossy())
    });
    new.extend(added.map(|path| format!("the worktree {}", path.display())));
    let whose = "during the run, by the agent or by another program";
    let tell = |what: &str, names: &[String], (shown, then): (usize, &str)| {
        let more = match names.len().saturating_sub(shown) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let names = names.get(..names.len().min(shown)).unwrap_or_default();
        format!(
            "{what} in the repository {whose}{then}: {}{more}",
            names.join(", ")
        )
    };
    if !new.is_empty() {
        notices.push(tell("made", &new, (NAMES_SHOWN, ", and left there")));
    }
    let restore = "; if that was not you, `git update-ref <name> <old id>` restores it";
    for (what, names) in [("moved", moved), ("deleted", gone)] {
        if !names.is_empty() {
            notices.push(tell(what, &names, (CHANGES_SHOWN, "")) + restore);
        }
    }
    if !stashes.is_empty() {
        let restore = "; if that was not you, `git stash store <id>` restores it";
        notices.push(tell("dropped from the stash", &stashes, (CHANGES_SHOWN, "")) + restore);
    }
    Ok(notices)
}

/// The worktree's directory, as its registration has it.
fn own_directory(admin_dir: &Path) -> PathBuf {
    Marker::find(admin_dir).map_or_else(|| admin_dir.to_owned(), |marker| marker.path().to_owned())
}

fn is_of_a_run(repo: &git2::Repository, name: &str) -> bool {
    name.starts_with("refs/heads/cx-") && find_creation(repo, name).is_some()
}

/// All refs but those of results and of remotes, and all that is stashed.
fn list(repo: &git2::Repository) -> Result<Refs, Error> {
    let dir = repo.commondir();
    let listed = Git::new(dir, dir, "for-each-ref")
        .args(["--format=%(objectname) %(refname)"])
        .query_output(Vec::new())?;
    let listed = String::from_utf8_lossy(&listed);
    let refs = listed.lines().filter_map(|line| line.split_once(' '));
    let refs = refs
        .filter(|(_, name)| !name.starts_with(REF_PREFIX) && !name.starts_with("refs/remotes/"));
    let refs = refs.filter(|(_, name)| *name != "refs/stash");
    let mut all: Refs = refs
        .map(|(id, name)| (name.to_owned(), id.to_owned()))
        .collect();
    // One ref has them all: each is known by its log alone.
    // libgit2 makes the log that it is to read.
    if let Ok(true) = repo.reference_has_log("refs/stash")
        && let Ok(log) = repo.reflog("refs/stash")
    {
        let ids = log.iter().map(|entry| entry.id_new().to_string());
        all.extend(ids.map(|id| (format!("{STASH}{id}"), id)));
    }
    Ok(all)
}

/// The directories of the worktrees that belong to no run.
fn worktrees(repo: &git2::Repository) -> Vec<PathBuf> {
    let admin_dirs = fs::read_dir(repo.commondir().join("worktrees"));
    let admin_dirs = admin_dirs.into_iter().flatten().flatten();
    admin_dirs
        .map(|entry| entry.path())
        .filter(|admin_dir| Marker::find(admin_dir).is_none())
        .filter_map(|admin_dir| checkout_of(&admin_dir))
        .collect()
}

/// Deregisters the worktrees that were made below a directory, which is gone: each would keep its branch from
/// everybody. Returns their directories.
pub(super) fn deregister_below(common_dir: &Path, directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut removed = Vec::new();
    let admin_dirs = fs::read_dir(common_dir.join("worktrees"));
    for entry in admin_dirs.into_iter().flatten().flatten() {
        let admin_dir = entry.path();
        let Some(path) = checkout_of(&admin_dir) else {
            continue;
        };
        if path.starts_with(directory) && path != directory && Marker::find(&admin_dir).is_none() {
            remove_admin_dir(&admin_dir)?;
            removed.push(path);
        }
    }
    Ok(removed)
}
