//! Pipes in place of ignore rules or attributes: git opens each, and waits for a writer.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::{Access, OFlags};
use tokio_util::sync::CancellationToken;

/// Between two looks at whether a git waits. One costs 3 µs for each pipe.
const PACE: Duration = Duration::from_millis(2);

/// Whoever opens one of the pipes for reading finds that its writer is done: rules in a pipe are no rules. Until it is
/// dropped.
#[derive(Default)]
pub(super) struct EmptyPipes {
    paths: Arc<Mutex<Vec<PathBuf>>>,
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl EmptyPipes {
    /// Takes one more. An error means that nothing can be written into it, or that there can be no thread.
    pub(super) fn add(&mut self, path: PathBuf) -> io::Result<()> {
        rustix::fs::access(&path, Access::WRITE_OK)?;
        let mut known = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        known.push(path);
        drop(known);
        if self.thread.is_some() {
            return Ok(());
        }
        let (paths, end) = (Arc::clone(&self.paths), self.end.clone());
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let serve = move || {
            while !end.is_cancelled() {
                let known = paths.lock().unwrap_or_else(PoisonError::into_inner).clone();
                for path in known {
                    // Refused without a reader. The end tells the reader that there is nothing.
                    let mut open = OpenOptions::new();
                    drop(open.write(true).custom_flags(nonblocking).open(path));
                }
                thread::sleep(PACE);
            }
        };
        self.thread = Some(
            thread::Builder::new()
                .name("pipes".to_owned())
                .spawn(serve)?,
        );
        Ok(())
    }
}

impl Drop for EmptyPipes {
    fn drop(&mut self) {
        self.end.cancel();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::Mode;

    use super::*;

    #[test]
    fn whoever_reads_such_a_pipe_finds_its_end() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut pipes = EmptyPipes::default();
        for name in ["a", "b"] {
            let path = dir.path().join(name);
            rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR).expect("a pipe");
            pipes.add(path.clone()).expect("a thread");
            for _ in 0..20 {
                assert!(fs::read(&path).expect("it is read").is_empty());
            }
        }
    }
}
