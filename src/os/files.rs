//! Files of our own that no other user may read, written in one step for their readers.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// What a write must survive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// In the page cache: survives our end, not the machine's.
    Cached,
    /// On the disk when the call returns.
    Synced,
}

/// Writes a file of mode 0600 by temp file and rename, so that a reader sees all of it or nothing.
pub(crate) fn write_private(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let temp = path.with_extension(format!("tmp-{}", std::process::id()));
    let written = private_file()
        .create(true)
        .truncate(true)
        .open(&temp)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            if durability == Durability::Synced {
                file.sync_all()
            } else {
                Ok(())
            }
        });
    let renamed = written.and_then(|()| fs::rename(&temp, path));
    if renamed.is_err() {
        let _absent_or_unwritable = fs::remove_file(&temp);
    }
    renamed
}

pub(crate) fn private_file() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

pub(crate) fn make_private_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}
