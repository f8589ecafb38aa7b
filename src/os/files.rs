//! Files of our own that no other user may read, written in one step for their readers.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::os::given::temporary_directory;

/// The failures that a write must survive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// In the page cache: survives our end, not the machine's.
    Cached,
    /// On the disk when the call returns.
    Synced,
}

/// Writes a file of mode 0600 by temp file and rename, so that a reader sees all of it or nothing.
pub(crate) fn write_private(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    replace(path, |file| {
        file.write_all(bytes)?;
        match durability {
            Durability::Synced => file.sync_all(),
            Durability::Cached => Ok(()),
        }
    })
}

/// Puts a file of mode 0600, or of the mode that `fill` gives it, in the place of that path once it is filled. Where that
/// fails, whatever had the path has it still, and nothing else is left.
pub(crate) fn replace(
    path: &Path,
    fill: impl FnOnce(&mut fs::File) -> io::Result<()>,
) -> io::Result<()> {
    let mut temp = path.as_os_str().to_owned();
    temp.push(format!(".tmp-{}", std::process::id()));
    let temp = Path::new(&temp);
    let replaced = private_file()
        .create(true)
        .truncate(true)
        .open(temp)
        .and_then(|mut file| fill(&mut file))
        .and_then(|()| fs::rename(temp, path));
    if replaced.is_err() {
        let _absent_or_unwritable = fs::remove_file(temp);
    }
    replaced
}

/// Writes a new file of mode 0600, durably, so that a reader sees all of it or nothing.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] where something has the path, which stays as it is.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = nanos.unwrap_or_default().as_nanos();
    let mut temp = path.as_os_str().to_owned();
    temp.push(format!(".tmp-{}-{nanos}", std::process::id()));
    let temp = Path::new(&temp);
    let linked = private_file()
        .create_new(true)
        .open(temp)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::hard_link(temp, path));
    let _absent_or_unwritable = fs::remove_file(temp);
    linked
}

pub(crate) fn private_file() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// A directory of mode 0700 with a new name, below the one for temporary files; removed with its content when dropped.
pub(crate) struct PrivateDirectory {
    pub(crate) path: PathBuf,
}

impl PrivateDirectory {
    pub(crate) fn make() -> io::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = now.unwrap_or_default().as_nanos();
        let name = format!("cx-operator-{}-{nanos}", std::process::id());
        let path = temporary_directory().join(name);
        // Not one that is there already: it may be another user's.
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path })
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        let _unremovable = fs::remove_dir_all(&self.path);
    }
}

pub(crate) fn make_private_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}
