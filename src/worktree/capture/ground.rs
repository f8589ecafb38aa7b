//! A work tree, and the index of ours that its files are added to.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use git2::{Index, IndexEntry, IndexEntryExtendedFlag, IndexTime, Oid};
use tokio_util::sync::CancellationToken;

use crate::worktree::error::Error;
use crate::worktree::git::Git;

pub(super) const FILE: u32 = 0o100_644;
pub(super) const EXECUTABLE: u32 = 0o100_755;
pub(super) const LINK: u32 = 0o120_000;
pub(super) const COMMIT: u32 = 0o160_000;

/// A path and the commit that the index has there.
pub(super) type Link = (Vec<u8>, Oid);

/// What git is called on.
pub(super) struct Ground<'a> {
    /// A directory that git takes for that of the worktree.
    pub(super) git_dir: PathBuf,
    pub(super) work_tree: PathBuf,
    /// The index; nothing else uses it.
    pub(super) index: PathBuf,
    /// Ends git with [`Error::Stopped`].
    pub(super) stop: &'a CancellationToken,
}

impl Ground<'_> {
    pub(super) fn git(&self, verb: &'static str) -> Git {
        Git::new(&self.git_dir, &self.work_tree, verb)
            .index(&self.index)
            .stop(self.stop)
    }

    pub(super) fn full(&self, path: &[u8]) -> PathBuf {
        self.work_tree.join(OsStr::from_bytes(path))
    }

    /// Returns whether a file is at that path, and not a link or anything else that can be read.
    pub(super) fn has_file(&self, path: &[u8]) -> bool {
        fs::symlink_metadata(self.full(path)).is_ok_and(|meta| meta.is_file())
    }

    /// The index as it is, empty where there is none.
    pub(super) fn read_index(&self) -> Result<Index, Error> {
        Index::open(&self.index).map_err(Error::git("read an index of ours"))
    }

    /// The tree of the index. Contents that a remote has promised need not be here.
    pub(super) fn write_tree(&self) -> Result<Oid, Error> {
        let written = self.git("write-tree").args(["--missing-ok"]);
        let id = written.query_output(Vec::new())?;
        String::from_utf8_lossy(&id)
            .trim()
            .parse()
            .map_err(Error::git("read the id of the snapshot's tree"))
    }
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
            if !dirs.insert(rest.to_vec()) {
                break;
            }
        }
    }
    (links, dirs)
}

/// Gives a copy of an index the time of the first: by it git knows which files may have changed in the instant that
/// they were written.
pub(super) fn keep_time(of: &Path, copy: &Path) -> Result<(), Error> {
    let Ok(written) = fs::metadata(of).and_then(|meta| meta.modified()) else {
        return Ok(());
    };
    File::options()
        .write(true)
        .open(copy)
        .and_then(|file| file.set_modified(written))
        .map_err(Error::io("set the time of", copy))
}

/// The entry of a path.
pub(super) fn find(index: &Index, path: &[u8]) -> Option<IndexEntry> {
    index.get_path(Path::new(OsStr::from_bytes(path)), 0)
}

/// An entry without times: git looks at the file.
pub(super) fn entry(path: &[u8], mode: u32, id: Oid) -> IndexEntry {
    let never = IndexTime::new(0, 0);
    IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.to_vec(),
    }
}

/// Returns whether the file of an entry is absent since the checkout is sparse.
pub(super) fn is_skipped(entry: &IndexEntry) -> bool {
    entry.flags_extended & IndexEntryExtendedFlag::SKIP_WORKTREE.bits() != 0
}

/// Returns whether a path is one of those where git wants no link.
pub(super) fn lists_submodules(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next();
    name.is_some_and(|name| name.eq_ignore_ascii_case(b".gitmodules"))
}

/// A path as git's C-like quotes have it, every byte in octal.
pub(super) fn quoted(path: &[u8]) -> String {
    let octal: String = path.iter().map(|b| format!("\\{b:03o}")).collect();
    format!("\"{octal}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_path_is_quoted() {
        assert_eq!(quoted(b"a\n\""), "\"\\141\\012\\042\"");
    }
}
