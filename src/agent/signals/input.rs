//! The bounded read of a hook's stdin.

use std::io::{self, Read};
use std::mem;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

const MAX_BYTES: usize = 16 * 1024 * 1024;
const DEADLINE: Duration = Duration::from_secs(5);
/// A usual payload fits; 64 KiB, a whole pipe, took 35 µs more in page faults.
const CHUNK_BYTES: usize = 8 * 1024;

/// The content of stdin.
pub(super) struct Input {
    /// At most 16 MiB, from the beginning.
    pub(super) bytes: Vec<u8>,
    /// Whether that is all of it: the writer closed its end below the limit.
    pub(super) complete: bool,
}

#[derive(Default)]
struct Progress {
    bytes: Vec<u8>,
    ended: bool,
}

/// Reads stdin to its end or to the limit; at the deadline `late` gets what has arrived and the process ends, status 0.
///
/// A blocked read cannot be cancelled, so another thread has to act at the deadline. The watchdog is the second thread,
/// and not the read: nothing waits for its start, and the payload is not handed from thread to thread.
#[expect(
    clippy::exit,
    reason = "at the deadline the main thread is blocked in a read that may never return"
)]
pub(super) fn read_stdin(late: impl FnOnce(&[u8]) + Send + 'static) -> Input {
    let progress = Arc::new(Mutex::new(Progress::default()));
    let watched = Arc::clone(&progress);
    let watchdog = thread::Builder::new().spawn(move || {
        thread::sleep(DEADLINE);
        // Locked until the process has ended, so the reader adds nothing to what is being recorded.
        let progress = lock(&watched);
        if !progress.ended {
            late(&progress.bytes);
            process::exit(0);
        }
    });
    // Without a watchdog there is no deadline, so nothing is read at all.
    let complete = watchdog.is_ok() && read_into(&progress);
    let mut progress = lock(&progress);
    progress.ended = true;
    Input {
        bytes: mem::take(&mut progress.bytes),
        complete,
    }
}

/// Reads until the end (`true`), the limit or an error.
fn read_into(progress: &Mutex<Progress>) -> bool {
    let mut stdin = io::stdin().lock();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match stdin.read(&mut buffer) {
            Ok(0) => return true,
            Ok(n) => {
                let bytes = &mut lock(progress).bytes;
                let room = MAX_BYTES - bytes.len();
                bytes.extend_from_slice(&buffer[..n.min(room)]);
                if n > room {
                    return false;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}
