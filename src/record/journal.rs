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

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use crate::agent::conversation::Drive;
use crate::agent::report::Item;
use crate::os::time::timestamp;
use crate::record::{Failure, Pending, Status};
use crate::task::name::{Names, RunId, TaskName};

/// The format of the journals that this version writes, and the newest that it understands.
pub const SCHEMA_VERSION: u32 = 1;

/// Something that a run creates or removes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// The worktree and its branch.
    Worktree {
        /// The directory.
        path: PathBuf,
        /// The branch.
        branch: String,
        /// The commit it starts from.
        base_commit: String,
    },
    /// The tmux session with the agent in it.
    Session {
        /// Our server's socket.
        socket: PathBuf,
        /// The session's name.
        session: String,
    },
    /// The end of the agent's program and of all that it started.
    EndAgent,
    /// The snapshot of the work.
    Snapshot {
        /// The ref that keeps it, where there is work to keep.
        result_ref: String,
        /// The kept commit, once that is done; absent if nothing had changed, and in older journals.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result_commit: Option<String>,
    },
    /// The diff base..snapshot.
    Patch {
        /// The file.
        path: PathBuf,
    },
    /// The removal of the tmux session.
    RemoveSession,
    /// The removal of the worktree.
    RemoveWorktree,
    /// The removal of the branch.
    RemoveBranch,
}

/// An event of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Progress {
    /// The run waits for others to end; only in the stream of events, since it has no directory yet.
    Queued {
        /// Its place among those who wait, from 1.
        position: usize,
    },
    /// The run has a directory.
    Started {
        /// Its id.
        run_id: RunId,
        /// Its task.
        task: TaskName,
        /// The repository's root.
        repository: PathBuf,
        /// The git directory that all its worktrees share; absent in journals of older versions.
        common_dir: Option<PathBuf>,
        /// The commit that it starts from.
        base_commit: String,
        /// The machine's boot, to tell pids of another one.
        boot_id: String,
        /// The operator's process.
        operator_pid: u32,
        /// The agent's version.
        agent_version: String,
        /// The names of what the run makes; absent in journals of older versions.
        names: Option<Names>,
        /// In journals of older versions, which have no `order.json`, what of the task an operator needs that takes the run
        /// over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terms: Option<Value>,
        /// The version of the journal's format.
        schema_version: u32,
    },
    /// Another operator took the run over, after the one before had died.
    TakenOver {
        /// The machine's boot.
        boot_id: String,
        /// The operator's process.
        operator_pid: u32,
    },
    /// A step is about to be taken.
    Begun(Step),
    /// A step was taken.
    Done(Step),
    /// A step failed.
    StepFailed {
        /// The step.
        #[serde(flatten)]
        step: Step,
        /// Why.
        message: String,
    },
    /// The agent's program was started.
    Launched {
        /// tmux's id of the session, such as `$1`.
        session_id: String,
        /// tmux's id of the pane, such as `%3`.
        pane: String,
        /// The pid at the root of what the pane started.
        pid: u32,
        /// When that process started, in clock ticks after boot.
        pid_start: Option<u64>,
        /// Where the agent works; absent in older journals, where it is the worktree.
        directory: Option<PathBuf>,
        /// The command line; the number of the caller's own arguments replaces them.
        argv: Vec<String>,
        /// The way in which it is driven; absent in journals of older versions, which drove by keys.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drive: Option<Drive>,
    },
    /// The agent's server answered, and has a session for the run.
    Connected {
        /// The agent's session.
        session_id: String,
        /// Its transcript, a file that may not be there yet.
        transcript: Option<PathBuf>,
        /// Where the agent works.
        directory: Option<PathBuf>,
    },
    /// Something that people should know.
    Notice {
        /// In words.
        text: String,
    },
    /// A key was pressed.
    KeyPressed {
        /// tmux's name of the key.
        key: String,
        /// The dialog, or `composer`.
        on: String,
    },
    /// A prompt was pasted.
    Pasted {
        /// The turn that it shall begin.
        turn: u32,
        /// Its length in bytes.
        bytes: usize,
    },
    /// The agent's own event proved that the prompt arrived.
    Submitted {
        /// The turn, from 1.
        turn: u32,
        /// The agent's session.
        session_id: String,
        /// The agent's name of the turn.
        turn_id: Option<String>,
    },
    /// A hook of the agent's told the same prompt of the same turn.
    Witnessed {
        /// The turn.
        turn: u32,
        /// The agent's name of the turn.
        turn_id: Option<String>,
    },
    /// A step of a turn is done; only of an agent that is driven by requests.
    Item {
        /// The turn.
        turn: u32,
        /// The agent's name of the step.
        id: String,
        /// The step.
        #[serde(flatten)]
        item: Item,
    },
    /// A turn ended, and its message was read as this.
    TurnEnded {
        /// The turn.
        turn: u32,
        /// `result`, `question`, …
        verdict: String,
        /// The rule that decided.
        rule: String,
        /// The message.
        message: Option<String>,
    },
    /// A turn failed or was cut short.
    TurnFailed {
        /// The turn.
        turn: u32,
        /// Why.
        message: String,
    },
    /// The agent asks for an approval.
    PermissionAsked {
        /// The turn.
        turn: u32,
        /// The command.
        command: String,
    },
    /// Somebody answered in the user's place.
    Replied {
        /// The turn.
        turn: u32,
        /// Who.
        by: String,
        /// The question.
        question: String,
        /// The reply.
        reply: String,
    },
    /// An event that changes nothing.
    Ignored {
        /// Why it changes nothing.
        why: String,
        /// The event.
        what: String,
    },
    /// The turns are over; the work is collected.
    Ended {
        /// How.
        status: Status,
        /// The error.
        error: Option<Failure>,
        /// The question that is still open.
        pending: Option<Pending>,
        /// The agent's last message.
        last_message: Option<String>,
    },
    /// The record is written.
    Recorded {
        /// How the run ended.
        status: Status,
    },
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// When, RFC 3339 in UTC with milliseconds.
    pub at: String,
    /// What.
    #[serde(flatten)]
    pub progress: Progress,
}

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
        self.step_to((step, |step, _| step), work).await
    }

    /// The same, where what was done says more than what was begun.
    pub(crate) async fn step_to<T, E: std::fmt::Display>(
        &self,
        (step, done): (Step, impl FnOnce(Step, &T) -> Step),
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

/// Ends the process at a line of its journal, as SIGKILL from outside would: for tests of recovery.
/// Reads a journal as it grows, from another process too.
#[derive(Debug)]
pub(crate) struct Follower {
    path: PathBuf,
    offset: u64,
}

impl Follower {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, offset: 0 }
    }

    /// The entries of the lines that were ended since the last reading; those that can't be read are left out.
    pub(crate) fn read(&mut self) -> io::Result<Vec<Entry>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        let whole = &bytes[..whole.map_or(0, |end| end + 1)];
        self.offset += whole.len() as u64;
        let lines = whole.split(|byte| *byte == b'\n');
        Ok(lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect())
    }
}

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
            journal.write(Progress::Pasted { turn, bytes: 7 });
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
