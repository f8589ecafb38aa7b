//! The journal of a run: `events.jsonl`, and the same events as a stream.
//!
//! One JSON object a line, `{"at": RFC 3339, "event": …}`. A step is written before it is begun and after
//! it is done, with the ids that a recovery needs; a torn last line is normal. What creates something
//! outside the run's directory is on the disk before it is begun.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use tokio::sync::mpsc::UnboundedSender;

use crate::os::time::timestamp;

pub use progress::{Entry, Progress, SCHEMA_VERSION, Step};

mod progress;

/// Writes a run's events to its file and to its listener.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Mutex<File>,
    listener: Option<UnboundedSender<Entry>>,
}

impl Journal {
    pub(crate) fn create(
        path: &Path,
        listener: Option<UnboundedSender<Entry>>,
    ) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        Ok(Self {
            file: Mutex::new(file),
            listener,
        })
    }

    /// Opens the journal of a run whose operator died, to go on with it. A last line that was cut short is ended, so
    /// that it spoils none of ours.
    pub(crate) fn resume(
        path: &Path,
        listener: Option<UnboundedSender<Entry>>,
    ) -> io::Result<Self> {
        let journal = Self::create(path, listener)?;
        if !ends_with_newline(path)? {
            let mut file = journal
                .file
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            file.write_all(b"\n")?;
        }
        Ok(journal)
    }

    /// Writes an event. A journal that can't be written is said in the log and stops no run: the work in
    /// the worktree is worth more than the line about it.
    pub(crate) fn write(&self, progress: Progress) {
        let durable = matches!(progress, Progress::Begun(Step::Worktree { .. }));
        let entry = Entry {
            at: timestamp(SystemTime::now()),
            progress,
        };
        let mut line = serde_json::to_vec(&entry).expect("an entry has string keys only");
        line.push(b'\n');
        #[cfg(feature = "crash-points")]
        let point = crash::Point::reach(&mut line);
        {
            let mut file = self
                .file
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let written = file
                .write_all(&line)
                .and_then(|()| if durable { file.sync_data() } else { Ok(()) });
            if let Err(error) = written {
                tracing::error!(%error, "the journal can't be written");
            }
        }
        #[cfg(feature = "crash-points")]
        point.pass();
        tracing::debug!(entry = %String::from_utf8_lossy(&line).trim_end(), "progress");
        if let Some(listener) = &self.listener {
            let _gone_listeners_miss_nothing = listener.send(entry);
        }
    }

    /// Writes a step before and after it is taken.
    pub(crate) async fn step<T, E: std::fmt::Display>(
        &self,
        step: Step,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.step_to(step, |step, _| step, work).await
    }

    /// The same, where what was done says more than what was begun.
    pub(crate) async fn step_to<T, E: std::fmt::Display>(
        &self,
        step: Step,
        done: impl FnOnce(Step, &T) -> Step,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.write(Progress::Begun(step.clone()));
        let result = work.await;
        self.write(match &result {
            Ok(made) => Progress::Done(done(step, made)),
            Err(error) => Progress::StepFailed {
                step,
                message: error.to_string(),
            },
        });
        result
    }
}

/// Whether the file is empty or its last byte ends a line.
fn ends_with_newline(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Whether a line was written to its end, whatever it says.
pub(crate) fn has_lines(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.contains(&b'\n'))
}

/// Reads a journal; lines that are no entries, such as a torn last one, are left out.
///
/// # Errors
/// The file's metadata.
pub fn load(path: &Path) -> io::Result<Vec<Entry>> {
    let lines = BufReader::new(File::open(path)?).split(b'\n');
    lines
        .filter_map(|line| {
            line.map(|line| serde_json::from_slice(&line).ok())
                .transpose()
        })
        .collect()
}

/// The same, each with the number of its line.
pub(crate) fn load_numbered(path: &Path) -> io::Result<Vec<Numbered>> {
    Follower::new(path.to_owned()).read()
}

/// Reads a journal as it grows, from another process too.
#[derive(Debug)]
pub(crate) struct Follower {
    path: PathBuf,
    offset: u64,
    lines: u64,
}

/// An entry, with the number of its line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Numbered {
    /// From 1.
    pub(crate) seq: u64,
    pub(crate) entry: Entry,
}

impl Follower {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            offset: 0,
            lines: 0,
        }
    }

    /// The entries of the lines that were ended since the last reading; those that can't be read are left out.
    pub(crate) fn read(&mut self) -> io::Result<Vec<Numbered>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        let whole = &bytes[..whole.map_or(0, |end| end + 1)];
        self.offset += whole.len() as u64;
        let mut entries = Vec::new();
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            self.lines += 1;
            let entry = serde_json::from_slice(line).ok();
            entries.extend(entry.map(|entry| Numbered {
                seq: self.lines,
                entry,
            }));
        }
        Ok(entries)
    }
}

/// Ends the process at a line of its journal, as SIGKILL from outside would: for tests of recovery.
#[cfg(feature = "crash-points")]
mod crash;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_cut_anywhere_reads_up_to_the_cut() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("events.jsonl");
        let journal = Journal::create(&path, None).expect("created");
        for turn in 1..4 {
            journal.write(Progress::Pasted {
                turn,
                bytes: 7,
                messages: Vec::new(),
            });
        }
        let whole = std::fs::read(&path).expect("written");
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("cut");
            let complete = whole[..cut].iter().filter(|&&byte| byte == b'\n').count();
            let read = load(&path).expect("readable").len();
            assert!(
                read == complete || read == complete + 1,
                "{cut}: {read} of {complete}"
            );
        }
    }

    #[test]
    fn a_step_that_fails_says_so() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("events.jsonl");
        let journal = Journal::create(&path, None).expect("created");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let failed: Result<(), &str> =
            runtime.block_on(journal.step(Step::EndAgent, async { Err("no") }));
        assert_eq!(failed, Err("no"));
        let events: Vec<_> = load(&path)
            .expect("readable")
            .into_iter()
            .map(|entry| entry.progress)
            .collect();
        let message = "no".to_owned();
        assert_eq!(
            events,
            [
                Progress::Begun(Step::EndAgent),
                Progress::StepFailed {
                    step: Step::EndAgent,
                    message
                }
            ]
        );
    }
}
