//! Files of ours: written atomically, removed for sure.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::error::Error;

/// Writes a file of mode 0600 by temp file and rename: readers see the old content or the new. Not synced to disk.
pub(super) fn write_atomically(path: &Path, content: &[u8]) -> Result<(), Error> {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(Error::io("write", path))
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
                Err(e) if e.kind() == ErrorKind::NotFound && parent != std::env::temp_dir() => {
                    return Self::below(&std::env::temp_dir());
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
        drop(fs::remove_dir_all(&self.path));
    }
}

/// Renames a directory to a name that nothing has yet: an empty directory isn't replaced either.
pub(super) fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system doesn't know how (NFS). What the look and the rename let through is an empty directory.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
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
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            open_up(path).map_err(Error::io("change the mode of", path))?;
            fs::remove_dir_all(path).map_err(Error::io("remove", path))
        }
        Err(e) if is_too_deep(&e) => remove_from_the_top(path).map_err(Error::io("remove", path)),
        other => other.map_err(Error::io("remove", path)),
    }
}

/// Whether an error tells of too many open files, or of a path that is too long.
fn is_too_deep(error: &std::io::Error) -> bool {
    let known = [Errno::MFILE, Errno::NFILE, Errno::NAMETOOLONG];
    known
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&error.raw_os_error())
}

/// Removes a directory level by level: what is below its directories moves up into it, so that no path grows long and
/// no level stays open.
fn remove_from_the_top(root: &Path) -> std::io::Result<()> {
    let mut lifted = 0;
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
fn lift(dir: &Path, root: &Path, lifted: &mut u64) -> std::io::Result<()> {
    fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)? {
        let (entry, path) = entry.map(|entry| (entry.file_type(), entry.path()))?;
        if !entry?.is_dir() {
            fs::remove_file(&path)?;
            continue;
        }
        // A directory that can't be written can't be moved either: its `..` changes.
        fs::set_permissions(&path, Permissions::from_mode(0o700))?;
        loop {
            *lifted += 1;
            match fs::rename(&path, root.join(format!("cx-operator-{lifted}"))) {
                Err(e) if is_taken(&e) => {}
                other => break other?,
            }
        }
    }
    Ok(())
}

/// Whether something of that name is there that a directory can't replace.
fn is_taken(error: &std::io::Error) -> bool {
    use ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotADirectory};
    matches!(
        error.kind(),
        AlreadyExists | DirectoryNotEmpty | NotADirectory
    )
}

/// Gives the owner all rights on every directory of the tree.
fn open_up(path: &Path) -> std::io::Result<()> {
    let mut pending = vec![path.to_owned()];
    while let Some(dir) = pending.pop() {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::open(&dir, flags | OFlags::RDONLY, Mode::empty()) {
            Ok(open) => rustix::fs::fchmod(&open, Mode::RWXU)?,
            // Unreadable: the mode must change before it can be opened. Its parent is ours alone by now.
            Err(rustix::io::Errno::ACCESS) => rustix::fs::chmod(&dir, Mode::RWXU)?,
            Err(e) => return Err(e.into()),
        }
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
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
