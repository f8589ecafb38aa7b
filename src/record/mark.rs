//! The mark of an unfinished run: an empty file in `unfinished/`, there from before the run's directory until everything of
//! the run is recorded and removed.
//!
//! The creator of a run holds its mark (flock) until it holds the run's own lock; an operator that looks for a dead operator's run
//! takes the mark first. So a run that is about to begin is never taken for one that never began.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::os::files::private_file;

/// A mark that is held.
#[derive(Debug)]
pub(crate) struct Mark {
    _file: File,
}

/// The result of a search for a mark.
#[derive(Debug)]
pub(crate) enum Found {
    /// No mark: the run is closed.
    Gone,
    /// Somebody makes the run, or takes it over, at this moment.
    Held,
    /// Nobody held it.
    Taken(Mark),
}

impl Mark {
    /// Makes the mark of a new run and holds it.
    pub(super) fn hold(path: &Path) -> io::Result<Self> {
        loop {
            let file = private_file().create(true).truncate(false).open(path)?;
            file.lock()?;
            // Between the two another operator may have removed it as a dead operator's.
            if is_at(&file, path)? {
                return Ok(Self { _file: file });
            }
        }
    }

    /// Takes the mark if it exists and no process holds it.
    pub(super) fn find(path: &Path) -> io::Result<Found> {
        let file = match private_file().open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Gone),
            other => other?,
        };
        match file.try_lock() {
            Ok(()) if is_at(&file, path)? => Ok(Found::Taken(Self { _file: file })),
            Ok(()) => Ok(Found::Gone),
            Err(TryLockError::WouldBlock) => Ok(Found::Held),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Whether the path still leads to the open file.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_whether_its_run_is_about_to_begin() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let path = temp.path().join("run");
        assert!(matches!(Mark::find(&path), Ok(Found::Gone)));
        let held = Mark::hold(&path).expect("made");
        assert!(matches!(Mark::find(&path), Ok(Found::Held)));
        drop(held);
        assert!(matches!(Mark::find(&path), Ok(Found::Taken(_))));
        fs::remove_file(&path).expect("removed");
        assert!(matches!(Mark::find(&path), Ok(Found::Gone)));
    }

    /// One thread makes runs, the other takes each for a dead operator's as soon as it may: no mark is lost that its maker holds.
    #[test]
    fn a_mark_that_is_held_is_there() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let path = temp.path().join("run");
        std::thread::scope(|scope| {
            let maker = scope.spawn(|| {
                for _ in 0..2000 {
                    let mark = Mark::hold(&path).expect("made");
                    assert!(path.exists(), "removed while it was held");
                    drop(mark);
                }
            });
            while !maker.is_finished() {
                if let Ok(Found::Taken(_mark)) = Mark::find(&path) {
                    fs::remove_file(&path).expect("removed");
                }
            }
            maker.join().expect("no mark was lost");
        });
    }
}
