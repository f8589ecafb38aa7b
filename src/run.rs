//! Runs: their names, their directories and their records.
//!
//! Owns the state directory's layout and the formats of `run.json`. A record is written once, at the
//! end of a run, by temp file and rename; while a run lives its `lock` is held and `events.jsonl` is
//! all there is.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use thiserror::Error;

pub use name::{RunId, TaskName};
pub use outcome::{Failure, Outcome, Pending, Reply, Status, Usage};

mod name;
mod outcome;

/// The longest path that a socket's address holds, in bytes, on Linux.
const SOCKET_PATH_LIMIT: usize = 107;

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

/// The state directory: every record, the tmux socket, and what was learnt of the agents' programs.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The directory that the environment asks for: `CX_OPERATOR_STATE`, else
    /// `$XDG_STATE_HOME/cx-operator`, else `~/.local/state/cx-operator`.
    ///
    /// # Errors
    /// [`Error::NoStateDirectory`] when none of the three is an absolute path.
    pub fn default_root() -> Result<PathBuf, Error> {
        let absolute = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        absolute("CX_OPERATOR_STATE")
            .or_else(|| absolute("XDG_STATE_HOME").map(|dir| dir.join("cx-operator")))
            .or_else(|| absolute("HOME").map(|dir| dir.join(".local/state/cx-operator")))
            .ok_or(Error::NoStateDirectory)
    }

    /// Opens the state directory, making it (mode 0700) on first use.
    ///
    /// # Errors
    /// [`Error::StatePathTooLong`] where no socket would fit, [`Error::StateUnusable`] otherwise.
    pub fn open(root: &Path) -> Result<Self, Error> {
        use std::os::unix::ffi::OsStrExt;
        // Links are resolved here as for the socket: a short link may lead to a long path.
        let resolved = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let length = resolved.join("tmux.sock").as_os_str().as_bytes().len();
        if length > SOCKET_PATH_LIMIT {
            return Err(Error::StatePathTooLong {
                path: resolved,
                length,
            });
        }
        let open = || {
            refuse_shared_directory(root)?;
            make_private_directory(&root.join("runs"))?;
            fs::set_permissions(root.join("runs"), fs::Permissions::from_mode(0o700))?;
            root.canonicalize()
        };
        match open() {
            Ok(root) => Ok(Self { root }),
            Err(source) => Err(Error::StateUnusable {
                path: root.to_owned(),
                source,
            }),
        }
    }

    /// Where the state lives.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The socket of our own tmux server.
    #[must_use]
    pub fn tmux_socket(&self) -> PathBuf {
        self.root.join("tmux.sock")
    }

    /// Makes a run's directory with its `signals/`, and takes its lock.
    ///
    /// # Errors
    /// [`Error::Io`] with the path that could not be made.
    pub fn create(&self, id: &RunId) -> Result<(RunDir, Lock), Error> {
        let dir = RunDir {
            path: self.root.join("runs").join(id.as_str()),
        };
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&dir.path)
            .map_err(io_error("create", &dir.path))?;
        make_private_directory(&dir.signals()).map_err(io_error("create", &dir.signals()))?;
        let lock = Lock::hold(&dir.lock())?;
        Ok((dir, lock))
    }

    /// Every run's directory, oldest first.
    ///
    /// # Errors
    /// [`Error::Io`] when the directory can't be listed.
    pub fn load_runs(&self) -> Result<Vec<RunDir>, Error> {
        let runs = self.root.join("runs");
        let mut found = Vec::new();
        for entry in fs::read_dir(&runs).map_err(io_error("list", &runs))? {
            found.push(RunDir {
                path: entry.map_err(io_error("list", &runs))?.path(),
            });
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// The run with that id, or the one whose id starts so, or the newest run of the task so named.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Ambiguous`] for a prefix of several ids.
    pub fn find(&self, name: &str) -> Result<RunDir, Error> {
        let runs = self.load_runs()?;
        if let Some(run) = runs.iter().find(|run| run.name() == name) {
            return Ok(run.clone());
        }
        let of_task = |run: &&RunDir| run.task() == Some(name);
        if let Some(run) = runs.iter().rev().find(of_task) {
            return Ok(run.clone());
        }
        let starting: Vec<_> = runs
            .iter()
            .filter(|run| !name.is_empty() && run.name().starts_with(name))
            .collect();
        match starting.as_slice() {
            [run] => Ok((*run).clone()),
            [] => Err(Error::NotFound {
                name: name.escape_default().to_string(),
            }),
            several => Err(Error::Ambiguous {
                name: name.escape_default().to_string(),
                candidates: several.len(),
            }),
        }
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
            Ok(bytes) => serde_json::from_slice(&bytes)
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
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(io_error("lock", path)(source)),
        }
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

/// A directory that is there and that others own or may write to is no place for records; nor is it ours to
/// close it to them.
fn refuse_shared_directory(path: &Path) -> io::Result<()> {
    let refused = |why: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    match fs::metadata(path) {
        Ok(found) if found.uid() != rustix::process::geteuid().as_raw() => {
            refused("it belongs to another user")
        }
        Ok(found) if found.mode() & 0o022 != 0 => refused("others may write to it"),
        _ => Ok(()),
    }
}

fn private_file() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn make_private_directory(path: &Path) -> io::Result<()> {
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
