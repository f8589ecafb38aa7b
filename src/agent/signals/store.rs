//! The atomic write of signal files.
//!
//! A file appears whole under its name or not at all, mode 0600. A name that is there already, a symbolic link too, is replaced
//! and never followed. Nothing is synced to the disk: a signal is for a reader on this machine, now.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;

use super::{
    Kind, MALFORMED, SESSION_ID_NAME, SignalFile, TEMPORARY_PREFIX, Target, done_name,
    nanos_since_epoch, sentinel_name,
};

/// Writes the files of one event, in the order in which readers may rely on them. In a directory that was not chosen, a
/// user's own, only those that the next event replaces.
///
/// # Errors
/// The first error of a write; the later files are then not written.
pub(super) fn record(target: &Target, signal: &SignalFile, payload: &[u8]) -> io::Result<()> {
    let dir = target.dir.as_path();
    let session = signal.session.as_deref();
    if !target.chosen && matches!(signal.kind, Kind::Prompt | Kind::Permission) {
        return Ok(());
    }
    let file = Temporary::write(dir, payload)?;
    match signal.kind {
        Kind::Prompt | Kind::Permission => file.rename(&signal.name()),
        Kind::SessionStart => {
            if target.chosen {
                file.rename(&signal.name())?;
            }
            let id = session.map_or_else(|| MALFORMED.to_owned(), |uuid| format!("{uuid}\n"));
            write_atomic(dir, SESSION_ID_NAME, id.as_bytes())
        }
        Kind::Stop => {
            // One inode under two names saves a second write, and nothing ever writes into either. A file system without
            // hard links gets the second write.
            if target.chosen && file.link(&signal.name()).is_err() {
                write_atomic(dir, &signal.name(), payload)?;
            }
            // The mark is written before what it marks, so that it is never beside an older sentinel. And a rename that
            // replaces nothing is faster: ext4 flushes the new file where an old one is replaced.
            retract(dir, &done_name(session))?;
            retract(dir, &sentinel_name(session))?;
            file.rename(&sentinel_name(session))?;
            write_atomic(dir, &done_name(session), b"")
        }
    }
}

/// Puts a file with this content at `dir/name`, in place of whatever has the name.
///
/// # Errors
/// Whatever creating, writing or renaming meets; no temporary file is then left.
pub(super) fn write_atomic(dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    Temporary::write(dir, content)?.rename(name)
}

/// Removes the file of an earlier event, where there is one.
fn retract(dir: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(dir.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A complete file without its name yet; removed when dropped.
struct Temporary<'d> {
    dir: &'d Path,
    path: PathBuf,
}

impl<'d> Temporary<'d> {
    fn write(dir: &'d Path, content: &[u8]) -> io::Result<Temporary<'d>> {
        let name = format!(
            "{TEMPORARY_PREFIX}{}-{}",
            process::id(),
            nanos_since_epoch()
        );
        let path = dir.join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let temporary = Temporary { dir, path };
        file.write_all(content)?;
        Ok(temporary)
    }

    fn link(&self, name: &str) -> io::Result<()> {
        fs::hard_link(&self.path, self.dir.join(name))
    }

    fn rename(self, name: &str) -> io::Result<()> {
        fs::rename(&self.path, self.dir.join(name))
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // After a rename the path is gone and this fails, as it may.
        let _renamed_already = fs::remove_file(&self.path);
    }
}

/// A regular file, and no link.
pub(super) fn load_file(path: &Path) -> Option<Vec<u8>> {
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    is_file.then(|| fs::read(path).ok()).flatten()
}
