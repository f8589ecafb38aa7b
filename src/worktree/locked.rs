//! Waiting for git's own locks.
//!
//! Refs are changed under `<ref>.lock` and `packed-refs.lock`. libgit2 gives up at once if another process holds them; git
//! tries for a second. Nothing tells of a lock that is let go, so it is tried again.

use std::thread;
use std::time::{Duration, Instant};

/// How long another process may hold a lock: one that stays belongs to a dead process.
const LIMIT: Duration = Duration::from_secs(5);
/// Between two attempts.
const PACE: Duration = Duration::from_millis(5);

/// Does it again while another process holds a lock of git's.
pub(super) fn until_unlocked<T>(
    mut attempt: impl FnMut() -> Result<T, git2::Error>,
) -> Result<T, git2::Error> {
    let limit = Instant::now() + LIMIT;
    loop {
        match attempt() {
            Err(error) if error.code() == git2::ErrorCode::Locked && Instant::now() < limit => {
                thread::sleep(PACE);
            }
            done => return done,
        }
    }
}
