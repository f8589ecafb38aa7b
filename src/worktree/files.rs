//! Files of ours: written atomically, removed for sure.
//!
//! Owns the work on files and directories without git. Imported by all files of this module; imports `error`, and the
//! writer by rename of `os`.
//!
//! Invariants: no link is followed at the last part of a path that is removed or read for its content; no read waits
//! for a writer.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::error::Error;
use crate::os::files::{Durability, write_private};
use crate::os::given::temporary_directory;

/// Writes a file of mode 0600 by temp file and rename: readers see the old content or the new. Not synced to disk.
pub(super) fn write_atomically(path: &Path, content: &[u8]) -> Result<(), Error> {
    write_private(path, content, Durability::Cached).map_err(Error::io("write", path))
}

pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    fs::write(path, content).map_err(Error::io("write", path))
}

/// Writes a file by rename that others who share the repository may read as they read its other files.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> Result<(), Error> {
    let temporary = path.with_extension("tmp");
    write(&temporary, content)?;
    fs::rename(&temporary, path).map_err(Error::io("write", path))
}

/// Copies a file, and returns whether it was there.
pub(super) fn copy(from: &Path, to: &Path) -> Result<bool, Error> {
    match fs::copy(from, to) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        other => other.map(|_| true).map_err(Error::io("write", to)),
    }
}

/// Removes a file; one that is gone already is fine.
pub(super) fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(Error::io("remove", path)),
    }
}

/// The paths of a directory's entries; none of a directory that isn't there.
pub(super) fn list(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = || Error::io("list", dir);
    match fs::read_dir(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries
            .map_err(failed())?
            .map(|entry| Ok(entry.map_err(failed())?.path()))
            .collect(),
    }
}

/// The path with its parent's links resolved: the last part isn't followed, whatever it is.
pub(super) fn real_path(path: &Path) -> Result<PathBuf, Error> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::PathExists {
            path: path.to_owned(),
        });
    };
    let parent = parent.canonicalize().map_err(Error::io("find", parent))?;
    Ok(parent.join(name))
}

/// As [`real_path`]; a path whose parent is gone too, as after a reboot that empties `/tmp`, is taken as it is.
pub(super) fn known_path(path: &Path) -> Result<PathBuf, Error> {
    match real_path(path) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            Ok(path.to_owned())
        }
        other => other,
    }
}

/// A path as one line of harmless text.
pub(crate) fn shown(path: &Path) -> String {
    let mut text = String::new();
    for c in path.to_string_lossy().chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text
}

/// A directory of ours for a while, mode 0700: gone when it is dropped, and with its parent at the latest.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes one in `parent`, or in the directory for temporary files if that was removed.
    pub(crate) fn below(parent: &Path) -> Result<Self, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("cx-operator.{}.{count}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path }),
                // Of a process that had the same id.
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) if e.kind() == ErrorKind::NotFound && parent != temporary_directory() => {
                    return Self::below(&temporary_directory());
                }
                Err(e) => return Err(Error::io("create", &path)(e)),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _goes_with_its_parent = fs::remove_dir_all(&self.path);
    }
}

/// Renames a directory to a name that nothing has yet: an empty directory isn't replaced either.
pub(super) fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system doesn't know how (NFS). What the look and the rename let through is an empty directory.
        Err(Errno::INVAL | Errno::NOSYS) => {
            if fs::symlink_metadata(to).is_ok() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        other => Ok(other?),
    }
}

/// The content of a small file, up to `limit` bytes; `None` for what isn't one. A pipe without a writer blocks
/// nothing here.
pub(super) fn read_small(path: &Path, limit: u64) -> Option<Vec<u8>> {
    // Opened first and looked at then, so that what is looked at is what is read.
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).ok()?);
    let file = options.open(path).ok()?;
    let meta = file.metadata().ok()?;
    if !meta.is_file() {
        return None;
    }
    let mut content = Vec::new();
    file.take(limit).read_to_end(&mut content).ok()?;
    Some(content)
}

/// Refuses a path whose directory everybody may write to, but for one like /tmp, where a name is its owner's alone.
pub(super) fn refuse_open_directory(path: &Path) -> Result<(), Error> {
    const OTHERS_WRITE: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    let parent = path.parent().unwrap_or(path);
    let mode = fs::metadata(parent)
        .map_err(Error::io("read", parent))?
        .mode();
    if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
        return Err(Error::OpenDirectory {
            path: parent.to_owned(),
        });
    }
    Ok(())
}

/// Removes a directory and all below it; one that is gone already is fine. Follows no link. Directories that forbid
/// it are opened up first, and a tree deeper than files may be open at once is taken apart from its top.
pub(super) fn remove_tree(path: &Path) -> Result<(), Error> {
    // std removes relative to open directories, one for each level, and follows nothing.
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == ErrorKind::PermissionDenied || is_too_deep(&e) => {
            remove_from_the_top(path).map_err(Error::io("remove", path))
        }
        other => other.map_err(Error::io("remove", path)),
    }
}

/// Returns whether an error tells of too many open files, or of a path that is too long.
fn is_too_deep(error: &io::Error) -> bool {
    let known = [Errno::MFILE, Errno::NFILE, Errno::NAMETOOLONG];
    known
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&error.raw_os_error())
}

/// Removes a directory level by level: what is below its directories moves up into it, so that no path grows long and
/// no level stays open.
fn remove_from_the_top(root: &Path) -> io::Result<()> {
    let mut lifted = 0;
    open_up(root)?;
    loop {
        let mut empty = true;
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            empty = false;
            if entry.file_type()?.is_dir() {
                lift(&entry.path(), root, &mut lifted)?;
                fs::remove_dir(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        if empty {
            return fs::remove_dir(root);
        }
    }
}

/// Moves the directories in `dir` up into `root` and removes its files. `lifted` counts the names that are in use.
fn lift(dir: &Path, root: &Path, lifted: &mut u64) -> io::Result<()> {
    open_up(dir)?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if !entry.file_type()?.is_dir() {
            fs::remove_file(&path)?;
            continue;
        }
        // A directory that can't be written can't be moved either: its `..` changes.
        open_up(&path)?;
        loop {
            *lifted += 1;
            match rename_to_new(&path, &root.join(format!("cx-operator-{lifted}"))) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                other => break other?,
            }
        }
    }
    Ok(())
}

/// Gives the owner all rights on a directory.
fn open_up(dir: &Path) -> io::Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::open(dir, flags | OFlags::RDONLY, Mode::empty()) {
        Ok(open) => Ok(rustix::fs::fchmod(&open, Mode::RWXU)?),
        // Unreadable: the mode must change before it can be opened. Its parent is ours alone by now.
        Err(Errno::ACCESS) => Ok(rustix::fs::chmod(dir, Mode::RWXU)?),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Makes `levels` directories in each other, far beyond what a path can name, with a file in the last.
    fn make_deep(root: &Path, levels: usize) {
        let name = "d".repeat(100);
        let script = format!(
            "i=0; while [ $i -lt {levels} ]; do mkdir {name} && cd -P ./{name} || exit 1; i=$((i+1)); done; echo x > f"
        );
        let mut shell = std::process::Command::new("/bin/sh");
        let status = shell.args(["-c", &script]).current_dir(root).status();
        assert!(status.expect("a shell").success());
    }

    #[test]
    fn a_tree_goes_from_the_top_whatever_its_depth_names_and_modes() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("a/cx-operator-1/x")).expect("directories");
        fs::create_dir_all(root.join("cx-operator-2/y")).expect("directories");
        fs::write(root.join("cx-operator-3"), "").expect("a file");
        fs::write(dir.path().join("kept"), "").expect("a file");
        std::os::unix::fs::symlink("..", root.join("a/up")).expect("a link");
        make_deep(&root, 60);
        fs::set_permissions(root.join("a"), Permissions::from_mode(0o500)).expect("a mode");
        remove_from_the_top(&root).expect("removed");
        assert!(!root.exists() && dir.path().join("kept").exists());
    }

    #[test]
    fn a_path_is_shown_on_one_line() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a\x1b[2J\n\xff\xc3\xa9"));
        assert_eq!(shown(path), "a\\u{1b}[2J\\n\u{fffd}\u{e9}");
    }

    #[test]
    fn a_pipe_is_no_small_file() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR).expect("a pipe");
        assert_eq!(read_small(&pipe, 9), None);
        let file = dir.path().join("file");
        fs::write(&file, "0123456789").expect("a file");
        assert_eq!(read_small(&file, 9).as_deref(), Some(&b"012345678"[..]));
        assert_eq!(read_small(dir.path(), 9), None);
    }
}
