//! Files of ours: written atomically, removed for sure.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

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

/// Removes a directory and all below it; one that is gone already is fine. Follows no link. Directories that forbid
/// it are opened up first.
pub(super) fn remove_tree(path: &Path) -> Result<(), Error> {
    // std removes relative to open directories and follows nothing.
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            open_up(path).map_err(Error::io("change the mode of", path))?;
            fs::remove_dir_all(path).map_err(Error::io("remove", path))
        }
        other => other.map_err(Error::io("remove", path)),
    }
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
