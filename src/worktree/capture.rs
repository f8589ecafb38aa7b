//! Turns the files of a work tree into a git tree, reading only: no index file, ref or file of the work tree changes.
//!
//! The walk is our own because a snapshot must differ from `git add -A` in one point: a repository that the agent made
//! inside the worktree would become a link to a commit that is deleted with it. Its files are stored instead.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use git2::{Index, IndexEntry, IndexEntryExtendedFlag, IndexTime, ObjectType, Oid, Tree};
use tokio_util::sync::CancellationToken;

use super::error::Error;

mod content;
mod submodule;

const FILE: u32 = 0o100_644;
const EXECUTABLE: u32 = 0o100_755;
const LINK: u32 = 0o120_000;
const COMMIT: u32 = 0o160_000;

/// What to capture, and what is known about it.
pub(super) struct Source<'a> {
    /// Opened with `work_tree` as its files.
    pub(super) repo: &'a git2::Repository,
    /// Absolute, free of symbolic links.
    pub(super) work_tree: &'a Path,
    /// The tree that the result is a change of.
    pub(super) head: &'a Tree<'a>,
    /// An index file whose file times can be believed; it may be missing.
    pub(super) seed: &'a Path,
    /// The index of the checkout: tells which ignored files are tracked all the same, and which files are absent on
    /// purpose (sparse).
    pub(super) staged: Index,
    /// Ends the capture with [`Error::Stopped`].
    pub(super) stop: &'a CancellationToken,
}

impl Source<'_> {
    fn go_on(&self) -> Result<(), Error> {
        match self.stop.is_cancelled() {
            true => Err(Error::Stopped),
            false => Ok(()),
        }
    }

    /// Whether the file is byte for byte the blob. No filter needs to be asked then.
    fn has_content(&self, path: &[u8], blob: Oid) -> bool {
        let full = self.work_tree.join(OsStr::from_bytes(path));
        Oid::hash_file(ObjectType::Blob, full).is_ok_and(|id| id == blob)
    }
}

/// The files of a work tree as a tree in the repository.
pub(super) struct Captured {
    pub(super) tree: Oid,
    pub(super) notices: Vec<String>,
}

/// Captures tracked and untracked files, respecting `.gitignore`, `info/exclude` and the user's excludes.
///
/// # Errors
/// [`Error::Unreadable`] and [`Error::Unstorable`] name the file; else those of libgit2 and git.
pub(super) fn take(source: &Source<'_>) -> Result<Captured, Error> {
    let mut index = Index::open(source.seed)
        .or_else(|_| Index::new())
        .map_err(Error::git("create an index"))?;
    let mut absent = sparse_paths(&index);
    absent.extend(sparse_paths(&source.staged));
    // Keeps the file times of what is the same in HEAD.
    index
        .read_tree(source.head)
        .map_err(Error::git("read the tree of HEAD"))?;
    // Line-ending rules look at what is tracked.
    source
        .repo
        .set_index(&mut index)
        .map_err(Error::git("use an index in memory"))?;
    let mut walk = Walk::new(source, &index);
    walk.run()?;
    let found = content::store(source, walk.changed)?;
    for (path, tracked) in &walk.tracked {
        if !tracked.seen && !absent.contains(path) {
            let path = Path::new(OsStr::from_bytes(path));
            index
                .remove(path, 0)
                .map_err(Error::git("leave out a deleted file"))?;
        }
    }
    for (path, mode, id) in found {
        index
            .add(&entry(&path, mode, id))
            .map_err(|source| Error::Unstorable {
                path: PathBuf::from(OsString::from_vec(path)),
                source,
            })?;
    }
    let tree = index
        .write_tree_to(source.repo)
        .map_err(Error::git("write the snapshot's tree"))?;
    Ok(Captured {
        tree,
        notices: walk.notices,
    })
}

/// The entries that are not in the work tree because the checkout is sparse.
fn sparse_paths(index: &Index) -> HashSet<Vec<u8>> {
    index
        .iter()
        .filter(|e| e.flags_extended & IndexEntryExtendedFlag::SKIP_WORKTREE.bits() != 0)
        .map(|e| e.path)
        .collect()
}

struct Tracked {
    stat: IndexEntry,
    seen: bool,
}

/// A file whose content must be read: new, or of other times than the seed has.
struct Changed {
    path: Vec<u8>,
    mode: u32,
}

struct Walk<'a> {
    source: &'a Source<'a>,
    tracked: HashMap<Vec<u8>, Tracked>,
    /// All directories with a tracked file below them.
    tracked_dirs: HashSet<Vec<u8>>,
    /// Tracked by the checkout's index only, ignored or not.
    staged: HashSet<Vec<u8>>,
    /// A file changed since then may have the times of the one before it ("racily clean"); seconds, nanoseconds.
    racy_from: (i64, i64),
    believe_exec_bit: bool,
    believe_links: bool,
    pending: Vec<Vec<u8>>,
    changed: Vec<Changed>,
    notices: Vec<String>,
}

impl<'a> Walk<'a> {
    fn new(source: &'a Source<'a>, index: &Index) -> Self {
        let tracked: HashMap<_, _> = index
            .iter()
            .map(|stat| (stat.path.clone(), Tracked { stat, seen: false }))
            .collect();
        let staged: HashSet<_> = source
            .staged
            .iter()
            .map(|entry| entry.path)
            .filter(|path| !tracked.contains_key(path))
            .collect();
        let mut tracked_dirs = HashSet::new();
        for path in tracked.keys().chain(&staged) {
            let mut rest = &path[..];
            while let Some(slash) = rest.iter().rposition(|b| *b == b'/') {
                rest = &rest[..slash];
                if !tracked_dirs.insert(rest.to_vec()) {
                    break;
                }
            }
        }
        let racy_from = fs::metadata(source.seed).map_or((0, 0), |m| (m.mtime(), m.mtime_nsec()));
        let config = source.repo.config().ok();
        let believe = |key| {
            config
                .as_ref()
                .and_then(|c| c.get_bool(key).ok())
                .unwrap_or(true)
        };
        Self {
            source,
            tracked,
            tracked_dirs,
            staged,
            racy_from,
            believe_exec_bit: believe("core.filemode"),
            believe_links: believe("core.symlinks"),
            pending: vec![Vec::new()],
            changed: Vec::new(),
            notices: Vec::new(),
        }
    }

    fn run(&mut self) -> Result<(), Error> {
        while let Some(dir) = self.pending.pop() {
            let full = self.source.work_tree.join(OsStr::from_bytes(&dir));
            refuse_pipes_for_rules(&full, &dir)?;
            for entry in fs::read_dir(&full).map_err(unreadable(&dir))? {
                self.source.go_on()?;
                let entry = entry.map_err(unreadable(&dir))?;
                let name = entry.file_name();
                if name.as_bytes().eq_ignore_ascii_case(b".git") {
                    // git stores nothing of that name, in any spelling.
                    if !dir.is_empty() {
                        let dir = String::from_utf8_lossy(&dir);
                        self.notices.push(format!("{dir} has a repository of its own: its files are stored, its history isn't"));
                    }
                    continue;
                }
                let mut path = dir.clone();
                if !dir.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(name.as_bytes());
                if entry.file_type().map_err(unreadable(&path))?.is_dir() {
                    self.visit_directory(path)?;
                } else {
                    let meta = entry.metadata().map_err(unreadable(&path))?;
                    self.visit_file(path, &meta)?;
                }
            }
        }
        Ok(())
    }

    fn visit_directory(&mut self, path: Vec<u8>) -> Result<(), Error> {
        if let Some(link) = self
            .tracked
            .get_mut(&path)
            .filter(|t| t.stat.mode == COMMIT)
        {
            let full = self.source.work_tree.join(OsStr::from_bytes(&path));
            if submodule::is_untouched(&full, link.stat.id) {
                link.seen = true;
                return Ok(());
            }
            let shown = String::from_utf8_lossy(&path);
            self.notices.push(format!(
                "the submodule {shown} was changed: its files are stored in its place"
            ));
        } else if !self.tracked_dirs.contains(&path) && self.is_ignored(&path)? {
            return Ok(());
        }
        self.pending.push(path);
        Ok(())
    }

    fn visit_file(&mut self, path: Vec<u8>, meta: &Metadata) -> Result<(), Error> {
        if !meta.is_file() && !meta.is_symlink() {
            let shown = String::from_utf8_lossy(&path);
            self.notices
                .push(format!("{shown} is neither file nor link: not stored"));
            return Ok(());
        }
        let mode = self.mode(&path, meta);
        let racy_from = self.racy_from;
        if let Some(tracked) = self.tracked.get_mut(&path) {
            // A file where a submodule was replaces it.
            tracked.seen = tracked.stat.mode != COMMIT;
            let same_mode = tracked.stat.mode == mode;
            if same_mode && same_times(&tracked.stat, meta, racy_from) {
                return Ok(());
            }
            // In a small repository all files are as young as the index; and many a file is written as it was.
            if same_mode && mode != LINK && self.source.has_content(&path, tracked.stat.id) {
                return Ok(());
            }
        } else if !self.staged.contains(&path) && self.is_ignored(&path)? {
            return Ok(());
        }
        self.changed.push(Changed { path, mode });
        Ok(())
    }

    fn is_ignored(&self, path: &[u8]) -> Result<bool, Error> {
        self.source
            .repo
            .is_path_ignored(Path::new(OsStr::from_bytes(path)))
            .map_err(Error::git("read the ignore rules"))
    }

    /// The mode git would store, given what the repository says its file system can tell.
    fn mode(&self, path: &[u8], meta: &Metadata) -> u32 {
        let before = self.tracked.get(path).map(|t| t.stat.mode);
        if meta.is_symlink() || (!self.believe_links && before == Some(LINK)) {
            return LINK;
        }
        match before {
            Some(mode @ (FILE | EXECUTABLE)) if !self.believe_exec_bit => mode,
            _ if !self.believe_exec_bit => FILE,
            _ if meta.mode() & 0o100 != 0 => EXECUTABLE,
            _ => FILE,
        }
    }
}

/// Whether the file is the one that was checked out, told from its times, size and inode as git tells it.
fn same_times(stat: &IndexEntry, meta: &Metadata, racy_from: (i64, i64)) -> bool {
    // An index has the lower 32 bits only.
    #[expect(clippy::cast_possible_truncation, reason = "the index stores 32 bits")]
    let (size, inode) = (meta.len() as u32, meta.ino() as u32);
    let time = |t: IndexTime| (i64::from(t.seconds()), i64::from(t.nanoseconds()));
    let modified = (meta.mtime(), meta.mtime_nsec());
    time(stat.mtime) == modified
        && time(stat.ctime) == (meta.ctime(), meta.ctime_nsec())
        && stat.file_size == size
        && stat.ino == inode
        && modified < racy_from
}

/// libgit2 reads the rules of a directory itself, and from a pipe it would read for ever.
fn refuse_pipes_for_rules(full: &Path, dir: &[u8]) -> Result<(), Error> {
    for name in [".gitignore", ".gitattributes"] {
        if fs::metadata(full.join(name)).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
            let path = Path::new(OsStr::from_bytes(dir)).join(name);
            let why = "it is a pipe, a socket or a device";
            let source = io::Error::new(io::ErrorKind::InvalidInput, why);
            return Err(Error::Unreadable { path, source });
        }
    }
    Ok(())
}

fn unreadable(path: &[u8]) -> impl FnOnce(io::Error) -> Error {
    let path = PathBuf::from(OsStr::from_bytes(path));
    move |source| Error::Unreadable { path, source }
}

fn entry(path: &[u8], mode: u32, id: Oid) -> IndexEntry {
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
