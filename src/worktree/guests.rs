//! Refs that came to be while a run went on: the repository is the user's, so they are told of and stay.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::branch::find_creation;
use super::error::Error;
use super::files::write_atomically;
use super::snapshot::REF_PREFIX;

/// The refs as they were when the worktree was added, in its administrative directory.
const SEED_REFS: &str = "cx-operator.refs";
/// With more refs than this nothing is compared: a notice isn't worth reading them all.
const REFS_COMPARED: usize = 10_000;
/// How many names a notice has.
const NAMES_SHOWN: usize = 20;

/// Remembers which refs there are.
pub(super) fn remember(repo: &git2::Repository, admin_dir: &Path) -> Result<(), Error> {
    let Some(refs) = list(repo)? else {
        return Ok(());
    };
    let lines: String = refs
        .iter()
        .map(|(name, id)| format!("{id} {name}\n"))
        .collect();
    write_atomically(&admin_dir.join(SEED_REFS), lines.as_bytes())
}

/// Says which branches, tags and other refs are new since then, and whether something was stashed; `known` are left
/// out. It can't tell the agent from anybody else who works in the repository.
pub(super) fn describe(
    repo: &git2::Repository,
    admin_dir: &Path,
    known: &[&str],
) -> Result<Option<String>, Error> {
    let Ok(seed) = fs::read_to_string(admin_dir.join(SEED_REFS)) else {
        return Ok(None);
    };
    let before: BTreeMap<&str, &str> = seed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(id, name)| (name, id))
        .collect();
    let now = list(repo)?.unwrap_or_default();
    let is_new = |(name, id): &(&String, &String)| match before.get(name.as_str()) {
        None => !known.contains(&name.as_str()) && find_creation(repo, name).is_none(),
        // A stash replaces the one before it.
        Some(old) => *name == "refs/stash" && old != id,
    };
    let new: Vec<&str> = now
        .iter()
        .filter(is_new)
        .map(|(name, _)| name.as_str())
        .collect();
    let Some(shown) = new
        .get(..new.len().min(NAMES_SHOWN))
        .filter(|shown| !shown.is_empty())
    else {
        return Ok(None);
    };
    let more = match new.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Ok(Some(format!(
        "made in the repository while the run went on, by the agent or by somebody else, and left there: {}{more}",
        shown.join(", ")
    )))
}

/// All refs but those of results and of remotes; `None` where they are too many.
fn list(repo: &git2::Repository) -> Result<Option<BTreeMap<String, String>>, Error> {
    let failed = "list the refs";
    let mut found = BTreeMap::new();
    for (count, reference) in repo.references().map_err(Error::git(failed))?.enumerate() {
        if count == REFS_COMPARED {
            return Ok(None);
        }
        let reference = reference.map_err(Error::git(failed))?;
        if let (Ok(name), Some(id)) = (reference.name(), reference.target())
            && !name.starts_with(REF_PREFIX)
            && !name.starts_with("refs/remotes/")
        {
            found.insert(name.to_owned(), id.to_string());
        }
    }
    Ok(Some(found))
}
