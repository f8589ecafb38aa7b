//! Runs: their names, their directories and their records.
//!
//! Owns the state directory's layout and the formats of `run.json`. A record is written once, at the
//! end of a run, by temp file and rename; while a run lives its `lock` is held and `events.jsonl` is
//! all there is.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use thiserror::Error;

pub use crate::queue::Queued;
pub(crate) use mark::Found as FoundMark;
use mark::Mark;
pub use name::{RunId, TaskName};
pub use outcome::{AnswerOption, Failure, Outcome, Pending, Reply, Status, Usage};
pub use store::Store;

/// The directory of the state directory that names the unfinished runs: one empty file each. So whoever looks for
/// what dead operators left reads no finished run's journal, however many there are.
const UNFINISHED: &str = "unfinished";

mod copy;
mod mark;
mod name;
mod outcome;
mod store;

/// Why a run's name, directory or record could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The task's name is not one.
    #[error("take `{name}` as a task: {why}")]
    TaskName {
        /// The name as given.
        name: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// Neither `CX_OPERATOR_STATE`, `XDG_STATE_HOME` nor `HOME` says where state goes.
    #[error(
        "find a place for the records: none of CX_OPERATOR_STATE, XDG_STATE_HOME and HOME is an absolute path"
    )]
    NoStateDirectory,
    /// The state directory's path leaves no room for a socket's name.
    #[error(
        "use {path} as the state directory: tmux's socket path would have {length} bytes, and 107 is the limit"
    )]
    StatePathTooLong {
        /// The state directory.
        path: PathBuf,
        /// The socket path's length in bytes.
        length: usize,
    },
    /// The state directory can't be made or used.
    #[error("use {path} as the state directory")]
    StateUnusable {
        /// What was refused.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// No record answers to the name.
    #[error("find a run named `{name}`")]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// Several records answer to the name.
    #[error("tell which run `{name}` is: {candidates} records match")]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// How many match.
        candidates: usize,
    },
    /// An operator owns the run.
    #[error("take over the run {name}: its operator lives")]
    Alive {
        /// The run's id.
        name: String,
    },
    /// A newer version of this program wrote the run's journal.
    #[error("understand the run {name}: a newer cx-operator wrote it")]
    Newer {
        /// The run's id.
        name: String,
    },
    /// A record is there and can't be read as one.
    #[error("read the record {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// The operating system refused.
    #[error("{what} {path}")]
    Io {
        /// The attempt, as a verb.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

fn io_error<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + use<'a> {
    move |source| Error::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

/// The task's name within a run's id.
fn task_of(run_id: &str) -> Option<&str> {
    let rest = run_id.get(16..)?;
    rest.len().checked_sub(5).and_then(|end| rest.get(..end))
}

/// One run's directory.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run's id, as the directory's name has it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("")
    }

    /// The task's name, as the run's id has it.
    #[must_use]
    pub fn task(&self) -> Option<&str> {
        task_of(self.name())
    }

    /// The file that is there for as long as something of the run may have to be taken in or removed.
    fn unfinished_mark(&self) -> PathBuf {
        let root = self.path.ancestors().nth(2).expect("a run is below runs/");
        root.join(UNFINISHED).join(self.name())
    }

    /// Whether the run is recorded and nothing of it is left but what was kept on purpose.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.unfinished_mark().exists()
    }

    /// Says that the run is recorded and nothing of it is left but what was kept on purpose.
    pub(crate) fn close(&self) {
        self.remove_half_written();
        let _closed_before = fs::remove_file(self.unfinished_mark());
    }

    /// Takes the mark, so that nobody else makes the run or takes it over meanwhile.
    pub(crate) fn find_mark(&self) -> Result<FoundMark, Error> {
        let path = self.unfinished_mark();
        Mark::find(&path).map_err(io_error("lock", &path))
    }

    /// Whether there is nothing in the directory but what is made before the journal's first line.
    pub(crate) fn is_blank(&self) -> bool {
        let early = ["lock", "signals", "events.jsonl"];
        let mut names = fs::read_dir(&self.path).into_iter().flatten().flatten();
        names.all(|entry| early.iter().any(|name| entry.file_name() == *name))
            && fs::read_dir(self.signals()).map_or(true, |mut files| files.next().is_none())
    }

    /// Removes the directory and the mark of a run that never began.
    pub(crate) fn discard(&self) {
        if let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, run = self.name(), "an empty run can't be removed");
            return;
        }
        self.close();
    }

    /// Removes what operators and hooks were writing when they were killed.
    fn remove_half_written(&self) {
        for dir in [self.path.clone(), self.signals()] {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().contains(".tmp-") {
                    let _gone_already = fs::remove_file(entry.path());
                }
            }
        }
    }

    pub(crate) fn signals(&self) -> PathBuf {
        self.path.join("signals")
    }

    pub(crate) fn events(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    pub(crate) fn pane_log(&self) -> PathBuf {
        self.path.join("pane.log")
    }

    pub(crate) fn exit_status(&self) -> PathBuf {
        self.path.join("exit-status")
    }

    pub(crate) fn environment(&self) -> PathBuf {
        self.path.join("environment")
    }

    pub(crate) fn patch(&self) -> PathBuf {
        self.path.join("patch.diff")
    }

    /// The file that keeps the prompt of a turn, from 1.
    pub(crate) fn prompt_name(turn: u32) -> String {
        format!("prompt-{turn}.md")
    }

    /// The prompt of a turn, as it was pasted or was about to be.
    pub(crate) fn load_prompt(&self, turn: u32) -> Option<String> {
        fs::read_to_string(self.path.join(Self::prompt_name(turn))).ok()
    }

    /// The agent's exit status, once its launcher has written it.
    pub(crate) fn load_exit_status(&self) -> Option<i32> {
        let text = fs::read_to_string(self.exit_status()).ok()?;
        text.trim().parse().ok()
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Whether an operator owns the run at this moment.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let Ok(file) = File::open(self.lock()) else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// The run's record; `None` while it lives, or where its operator died.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::Io`].
    pub fn load_record(&self) -> Result<Option<Outcome>, Error> {
        let path = self.path.join("run.json");
        match fs::read(&path) {
            Ok(bytes) => Outcome::parse(&bytes)
                .map(Some)
                .map_err(|source| Error::Unreadable { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("read", &path)(error)),
        }
    }

    /// Writes `run.json`; durable when it returns.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_record(&self, outcome: &Outcome) -> Result<(), Error> {
        let path = self.path.join("run.json");
        let mut text =
            serde_json::to_string_pretty(outcome).expect("a record has string keys only");
        text.push('\n');
        write_private(&path, text.as_bytes(), Durability::Synced)
    }

    /// Writes a small file of the run (mode 0600) in one step.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        write_private(&self.path.join(name), bytes, Durability::Cached)
    }
}

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
    /// Takes the lock of a new run, which nobody holds for longer than a look at it.
    fn hold(path: &Path) -> Result<Self, Error> {
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

/// How much of a power cut a write must stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// In the page cache: survives our end, not the machine's.
    Cached,
    /// On the disk when the call returns.
    Synced,
}

/// Writes a file of mode 0600 by temp file and rename, so that a reader sees all of it or nothing.
pub(crate) fn write_private(
    path: &Path,
    bytes: &[u8],
    durability: Durability,
) -> Result<(), Error> {
    use std::io::Write;
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
    renamed.map_err(io_error("write", path))
}

fn private_file() -> fs::OpenOptions {
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

/// A moment as RFC 3339 in UTC with milliseconds.
pub(crate) fn timestamp(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

/// A duration in whole milliseconds, as records carry it.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_names_follow_the_rule() {
        for good in ["a", "refactor-auth", "0.1_x", &"a".repeat(48)] {
            assert_eq!(TaskName::parse(good).expect(good).as_str(), good);
        }
        for bad in [
            "",
            "-a",
            ".a",
            "A",
            "a/b",
            "a..b",
            "a.lock",
            "a.",
            "ä",
            "a b",
            "a\n",
            &"a".repeat(49),
        ] {
            assert!(TaskName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_run_id_carries_its_start_and_task() {
        let task = TaskName::parse("fix-it").expect("valid");
        let id = RunId::new(&task, SystemTime::UNIX_EPOCH + Duration::from_secs(86_399));
        assert!(id.as_str().starts_with("19700101-235959-fix-it-"), "{id}");
        assert_eq!(task_of(id.as_str()), Some("fix-it"));
        assert_eq!(task_of("nonsense"), None);
    }

    #[test]
    fn the_newest_run_of_a_task_is_found_whatever_its_digits() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(temp.path()).expect("opens");
        let task = TaskName::parse("t").expect("valid");
        let second = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
        for _ in 0..12 {
            let id = RunId::new(&task, second);
            let (dir, _lock) = store.create(&id).expect("created");
            assert_eq!(store.find("t").expect("found").path(), dir.path());
            // Clocks of file systems are coarse.
            std::thread::sleep(Duration::from_millis(12));
        }
    }

    #[test]
    fn a_closed_run_has_no_half_written_files() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(temp.path()).expect("opens");
        let id = RunId::new(&TaskName::parse("t").expect("valid"), SystemTime::now());
        let (dir, _lock) = store.create(&id).expect("created");
        for name in [
            "run.tmp-1",
            "signals/.tmp-1-2",
            "task.md",
            "signals/.done-1",
        ] {
            fs::write(dir.path().join(name), "x").expect("a file");
        }
        dir.close();
        let is_there = |name: &&str| dir.path().join(name).exists();
        let names = [
            "run.tmp-1",
            "signals/.tmp-1-2",
            "task.md",
            "signals/.done-1",
        ];
        let left: Vec<_> = names.into_iter().filter(is_there).collect();
        assert_eq!(left, ["task.md", "signals/.done-1"]);
        assert!(dir.is_closed());
    }

    #[test]
    fn a_lock_says_who_lives() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(temp.path()).expect("opens");
        let id = RunId::new(&TaskName::parse("t").expect("valid"), SystemTime::now());
        let (dir, lock) = store.create(&id).expect("created");
        assert!(dir.is_alive());
        assert!(store.create(&id).is_err(), "an id is used once");
        drop(lock);
        assert!(!dir.is_alive());
        assert_eq!(store.find("t").expect("found").path(), dir.path());
    }
}
