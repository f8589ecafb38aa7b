//! The lock that says that an operator lives.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use super::{Error, io_error};
use crate::os::files::private_file;

/// How often a lock that is held is tried again, and after what time.
const LOOKS: u32 = 5;

const A_LOOK: Duration = Duration::from_millis(2);

/// A run's lock, held for as long as its operator lives.
///
/// The kernel lets go of it with the process, however that ends: the lock says who lives, no pid does.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a new run, which no process holds for longer than a look at it.
    pub(super) fn hold(path: &Path) -> Result<Self, Error> {
        let file = private_file()
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io_error("open", path))?;
        file.lock().map_err(io_error("lock", path))?;
        Ok(Self { _file: file })
    }

    /// Takes the lock, or says by `None` that another holds it.
    ///
    /// # Errors
    /// [`Error::Io`] when the file can't be made.
    pub fn take(path: &Path) -> Result<Option<Self>, Error> {
        let file = private_file()
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io_error("open", path))?;
        for look in 1.. {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self { _file: file })),
                // Whoever looks whether the run lives holds the lock for a moment, too.
                Err(TryLockError::WouldBlock) if look < LOOKS => std::thread::sleep(A_LOOK),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(source)) => return Err(io_error("lock", path)(source)),
            }
        }
        unreachable!("the last look returns")
    }
}
