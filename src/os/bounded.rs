//! Reads what a caller names, be it a file, a pipe or a device: never without end, and never for ever.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

/// Reads a file to its end.
///
/// # Errors
/// [`ErrorKind::FileTooLarge`] where it has more than `limit` bytes; [`ErrorKind::TimedOut`] where nothing comes for
/// `patience`, as from a pipe without a writer; else what the operating system says.
pub(crate) fn read(path: &Path, limit: usize, patience: Duration) -> io::Result<Vec<u8>> {
    // To open a pipe waits for its writer otherwise, without a limit.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("it is a small number");
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        wait_for_input(&file, patience)?;
        match file.read(&mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        if bytes.len() > limit {
            let why = format!("it is longer than {limit} bytes");
            return Err(io::Error::new(ErrorKind::FileTooLarge, why));
        }
    }
}

/// Returns when there is something to read, or the end. A pipe is at its end when its writers have gone, not before the first.
fn wait_for_input(file: &impl std::os::fd::AsFd, patience: Duration) -> io::Result<()> {
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("it is at most the patience");
        let mut fds = [PollFd::new(file, PollFlags::IN)];
        match poll(&mut fds, Some(&left)) {
            Ok(0) => {
                let why = format!("it sent nothing for {patience:?}");
                return Err(io::Error::new(ErrorKind::TimedOut, why));
            }
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    const SOON: Duration = Duration::from_millis(100);

    fn pipe(dir: &Path) -> std::path::PathBuf {
        let path = dir.join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0)
            .expect("a pipe");
        path
    }

    #[test]
    fn a_file_is_read_up_to_the_limit() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("file");
        fs::write(&path, vec![b'a'; 200_000]).expect("written");
        assert_eq!(read(&path, 200_000, SOON).expect("read").len(), 200_000);
        let error = read(&path, 199_999, SOON).expect_err("one too many");
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        let error = read(Path::new("/dev/zero"), 1000, SOON).expect_err("no end");
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert_eq!(read(Path::new("/dev/null"), 0, SOON).expect("empty"), b"");
        assert!(read(dir.path(), 1000, SOON).is_err(), "a directory");
    }

    #[test]
    fn a_pipe_is_read_when_somebody_writes_and_given_up_when_nobody_does() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = pipe(dir.path());
        let error = read(&path, 1000, SOON).expect_err("nobody writes");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let to = path.clone();
        let writer = std::thread::spawn(move || {
            let mut pipe = fs::File::options()
                .write(true)
                .open(to)
                .expect("a reader comes");
            pipe.write_all(b"all of it").expect("it reads");
        });
        let text = read(&path, 1000, Duration::from_secs(30)).expect("read");
        writer.join().expect("no panic");
        assert_eq!(text, b"all of it");
    }
}
