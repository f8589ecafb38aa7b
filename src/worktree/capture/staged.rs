//! The index that the files are added to: what the agent's index says is tracked, with file times that can be believed.
//!
//! The agent's own index is never used: it may call changed files unchanged. Believed is what no file can tell: that a
//! path is tracked no more, or is although it is ignored, its mode where the file system has none, and that a file is
//! absent because the checkout is sparse.
//!
//! Owns our index until files are added. Imported by `capture`.
//!
//! Invariant: an entry with file times is one that our git wrote at the checkout.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use git2::{Index, IndexEntryExtendedFlag, Oid};

use super::ground::{Ground, LINK, entry, is_skipped, keep_time, lists_submodules};
use super::source::Source;
use crate::worktree::error::Error;

/// A path's state in an index.
struct Staged {
    path: Vec<u8>,
    mode: u32,
    id: Oid,
    /// Its file is absent on purpose, or need not be looked at.
    hidden: bool,
    /// In conflict: it is tracked, and nothing else is known.
    unmerged: bool,
}

/// Writes the index and returns it, with a notice where the agent's can't be read.
pub(super) fn prepare(
    source: &Source<'_>,
    ground: &Ground<'_>,
) -> Result<(Index, Option<String>), Error> {
    let (seed, to) = (source.seed(), &ground.index);
    let copied = fs::copy(&seed, to).ok().and_then(|_| Index::open(to).ok());
    let is_used = copied.is_some() && is_same_file(&seed, &source.agents_index());
    let mut index = match copied {
        Some(index) => index,
        None => {
            // Without a seed all files are read.
            let _not_there = fs::remove_file(to);
            ground.read_index()?
        }
    };
    if is_used {
        keep_time(&seed, to)?;
        return Ok((index, None));
    }
    let mut notice = None;
    let staged = match query_agents(source, ground) {
        Ok(Some(staged)) => staged,
        Err(Error::Stopped) => return Err(Error::Stopped),
        unread => {
            let said = "the worktree's index can't be read: ignored files in it aren't stored";
            notice = unread.is_err().then(|| said.to_owned());
            query_head(source, ground, &index)?
        }
    };
    if adopt(ground, &mut index, staged)? {
        index
            .write()
            .map_err(Error::git("write an index of ours"))?;
    }
    keep_time(&seed, to)?;
    Ok((index, notice))
}

/// Returns whether the agent's git never wrote its index: the seed is a second name of it.
fn is_same_file(seed: &Path, other: &Path) -> bool {
    let id = |path: &Path| {
        let meta = fs::symlink_metadata(path).ok()?;
        Some((meta.dev(), meta.ino()))
    };
    id(seed).is_some() && id(seed) == id(other)
}

/// What the agent's index has, by git's own word: libgit2 knows neither split nor sparse ones.
fn query_agents(source: &Source<'_>, ground: &Ground<'_>) -> Result<Option<Vec<Staged>>, Error> {
    let path = source.agents_index();
    let is_file = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file());
    is_file.then(|| query(ground, &path)).transpose()
}

/// What HEAD has; `seed` tells which of the files are absent on purpose.
fn query_head(
    source: &Source<'_>,
    ground: &Ground<'_>,
    seed: &Index,
) -> Result<Vec<Staged>, Error> {
    let path = source.scratch.join("head");
    ground
        .git("read-tree")
        .index(&path)
        .args([source.head.id().to_string()])
        .query_output(Vec::new())?;
    let hidden = seed.iter().filter(is_skipped).map(|entry| entry.path);
    let hidden: HashSet<Vec<u8>> = hidden.collect();
    let mut staged = query(ground, &path)?;
    for entry in &mut staged {
        entry.hidden = hidden.contains(&entry.path);
    }
    Ok(staged)
}

fn query(ground: &Ground<'_>, index: &Path) -> Result<Vec<Staged>, Error> {
    let output = ground
        .git("ls-files")
        .index(index)
        .args(["-z", "-v", "--stage"])
        .query_output(Vec::new())?;
    let lines = output.split(|b| *b == 0).filter(|line| !line.is_empty());
    Ok(lines.filter_map(parse).collect())
}

/// One entry of `git ls-files -z -v --stage`: `H 100644 <id> 0\t<path>`.
fn parse(line: &[u8]) -> Option<Staged> {
    let tab = line.iter().position(|b| *b == b'\t')?;
    let mut words = std::str::from_utf8(&line[..tab]).ok()?.split(' ');
    let tag = words.next()?;
    let mode = u32::from_str_radix(words.next()?, 8).ok()?;
    let id = words.next()?.parse().ok()?;
    Some(Staged {
        path: line[tab + 1..].to_vec(),
        mode,
        id,
        hidden: tag.starts_with(|c: char| c == 'S' || c.is_ascii_lowercase()),
        unmerged: words.next()? != "0",
    })
}

/// Gives the index the paths of the agent's, and returns whether anything was to be changed.
fn adopt(ground: &Ground<'_>, index: &mut Index, staged: Vec<Staged>) -> Result<bool, Error> {
    let known: HashMap<Vec<u8>, (u32, Oid, bool)> = index
        .iter()
        .map(|entry| {
            let skipped = is_skipped(&entry);
            (entry.path, (entry.mode, entry.id, skipped))
        })
        .collect();
    let tracked: HashSet<&[u8]> = staged.iter().map(|staged| &staged.path[..]).collect();
    let mut changed = false;
    // Before anything is added: libgit2 replaces what is in the way of a file or a directory.
    for path in known.keys().filter(|path| !tracked.contains(&path[..])) {
        changed = true;
        index
            .remove(Path::new(OsStr::from_bytes(path)), 0)
            .map_err(Error::git("leave out what is tracked no more"))?;
    }
    for staged in staged.iter().filter(|staged| !staged.unmerged) {
        if staged.mode == LINK && lists_submodules(&staged.path) {
            continue;
        }
        let absent = || fs::symlink_metadata(ground.full(&staged.path)).is_err();
        let skipped = staged.hidden && absent();
        if known.get(&staged.path) == Some(&(staged.mode, staged.id, skipped)) {
            continue;
        }
        let mut entry = entry(&staged.path, staged.mode, staged.id);
        if skipped {
            entry.flags_extended = IndexEntryExtendedFlag::SKIP_WORKTREE.bits();
        }
        // What libgit2 refuses no tree may have.
        changed |= index.add(&entry).is_ok();
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_with_its_flags() {
        let id = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
        for (tag, hidden) in [("H", false), ("h", true), ("S", true), ("s", true)] {
            let line = format!("{tag} 100755 {id} 0\ta\tb\n");
            let staged = parse(line.as_bytes()).expect("an entry");
            assert_eq!((staged.hidden, staged.unmerged), (hidden, false));
            assert_eq!((staged.mode, &staged.path[..]), (0o100_755, &b"a\tb\n"[..]));
        }
        let line = format!("M 100644 {id} 2\tx");
        assert!(parse(line.as_bytes()).expect("an entry").unmerged);
        assert!(parse(b"H 100644").is_none());
    }
}
