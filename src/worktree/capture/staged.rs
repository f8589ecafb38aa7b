//! The index that the files are added to: what the agent's index says is tracked, with file times that can be believed.
//!
//! The agent's own index is never used: it may call changed files unchanged. Believed is what no file can tell: that a
//! path is tracked no more, or is although it is ignored, its mode where the file system has none, and that a file is
//! absent because the checkout is sparse.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use git2::{Index, IndexEntry, IndexEntryExtendedFlag, Oid};

use super::adding::entry;
use super::{COMMIT, Source, keep_time};
use crate::worktree::error::Error;
use crate::worktree::git::Git;

/// The bit of an entry that is taken for unchanged, in an index file.
const ASSUMED: u16 = 0x8000;

/// A path and the commit that the index has there.
pub(super) type Link = (Vec<u8>, Oid);

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

/// An index that was prepared.
#[derive(Default)]
pub(super) struct Prepared {
    /// Submodules and other links to a commit.
    pub(super) links: Vec<Link>,
    /// All directories with a tracked file below them.
    pub(super) dirs: HashSet<Vec<u8>>,
    /// How many entries it has.
    pub(super) count: usize,
    pub(super) notice: Option<String>,
}

/// Writes the index to `to`.
pub(super) fn prepare(source: &Source<'_>, to: &Path) -> Result<Prepared, Error> {
    let seed = source.seed();
    let copied = fs::copy(&seed, to).ok().and_then(|_| Index::open(to).ok());
    let whole = copied.is_some();
    let mut index = match copied {
        Some(index) => index,
        None => {
            // Without a seed all files are read.
            drop(fs::remove_file(to));
            Index::open(to).map_err(Error::git("create an index"))?
        }
    };
    let mut prepared = Prepared::default();
    if !whole || !is_same_file(&seed, &source.agents_index()) {
        let staged = find_staged(source, &index, &mut prepared.notice)?;
        if adopt(source, &mut index, staged)? {
            index
                .write()
                .map_err(Error::git("write an index of ours"))?;
        }
    }
    keep_time(&seed, to)?;
    prepared.count = index.len();
    (prepared.links, prepared.dirs) = links_and_dirs(&index);
    Ok(prepared)
}

/// The links to a commit, and all directories with an entry below them.
pub(super) fn links_and_dirs(index: &Index) -> (Vec<Link>, HashSet<Vec<u8>>) {
    let (mut links, mut dirs) = (Vec::new(), HashSet::new());
    for entry in index.iter() {
        if entry.mode == COMMIT {
            links.push((entry.path.clone(), entry.id));
        }
        let mut rest = &entry.path[..];
        while let Some(slash) = rest.iter().rposition(|b| *b == b'/') {
            rest = &rest[..slash];
            if dirs.contains(rest) {
                break;
            }
            dirs.insert(rest.to_vec());
        }
    }
    (links, dirs)
}

/// Whether the agent's git never wrote its index: the seed is a second name of it.
fn is_same_file(seed: &Path, other: &Path) -> bool {
    let id = |path: &Path| {
        let meta = fs::symlink_metadata(path).ok()?;
        Some((meta.dev(), meta.ino()))
    };
    id(seed).is_some() && id(seed) == id(other)
}

/// The entries of the agent's index, or without one those of its HEAD.
fn find_staged(
    source: &Source<'_>,
    seed: &Index,
    notice: &mut Option<String>,
) -> Result<Vec<Staged>, Error> {
    let path = source.agents_index();
    if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
        // libgit2 knows neither split nor sparse ones; git is slower.
        let read = Index::open(&path).ok().map(|index| list(&index));
        match read.or_else(|| query(source, &path)) {
            Some(staged) => return Ok(staged),
            None => {
                *notice = Some(
                    "the worktree's index can't be read: ignored files in it aren't stored".into(),
                )
            }
        }
    }
    let mut index = Index::new().map_err(Error::git("create an index"))?;
    index
        .read_tree(source.head)
        .map_err(Error::git("read the tree of HEAD"))?;
    let hidden: HashSet<Vec<u8>> = list(seed)
        .into_iter()
        .filter_map(|staged| staged.hidden.then_some(staged.path))
        .collect();
    let mut staged = list(&index);
    for entry in &mut staged {
        entry.hidden = hidden.contains(&entry.path);
    }
    Ok(staged)
}

fn list(index: &Index) -> Vec<Staged> {
    let staged = |entry: IndexEntry| Staged {
        hidden: is_skipped(&entry) || entry.flags & ASSUMED != 0,
        unmerged: entry.flags & 0x3000 != 0,
        path: entry.path,
        mode: entry.mode,
        id: entry.id,
    };
    index.iter().map(staged).collect()
}

fn is_skipped(entry: &IndexEntry) -> bool {
    entry.flags_extended & IndexEntryExtendedFlag::SKIP_WORKTREE.bits() != 0
}

/// The same, by the git program.
fn query(source: &Source<'_>, index: &Path) -> Option<Vec<Staged>> {
    // A split index has its other half beside it.
    let output = Git::new(source.admin_dir, source.work_tree, "ls-files")
        .index(index)
        .stop(source.stop)
        .args(["-z", "-v", "--stage"])
        .query_output(Vec::new())
        .ok()?;
    let lines = output.split(|b| *b == 0).filter(|line| !line.is_empty());
    lines.map(parse).collect()
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

/// Gives the index the paths of the agent's; says whether anything was to be changed.
fn adopt(source: &Source<'_>, index: &mut Index, staged: Vec<Staged>) -> Result<bool, Error> {
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
    for staged in &staged {
        if staged.unmerged {
            continue;
        }
        let full = source.work_tree.join(OsStr::from_bytes(&staged.path));
        let skipped = staged.hidden && fs::symlink_metadata(full).is_err();
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
