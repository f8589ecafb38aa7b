//! One run's directory.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::mark::{Found as FoundMark, Mark};
use super::{Error, Outcome, UNFINISHED, io_error};
use serde::de::DeserializeOwned;

use crate::os::files::{Durability, write_private};
use crate::task::Task;
use crate::task::name::{RunId, task_of};

/// The file that keeps the agent's transcript.
pub(crate) const TRANSCRIPT: &str = "transcript.jsonl";

/// One run's directory.
#[derive(Clone, Debug)]
pub struct RunDir {
    pub(super) path: PathBuf,
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

    /// The run's id.
    #[must_use]
    pub fn id(&self) -> RunId {
        RunId::of_directory(self.name())
    }

    /// The task's name, as the run's id has it.
    #[must_use]
    pub fn task(&self) -> Option<&str> {
        task_of(self.name())
    }

    /// The file that exists as long as work of the run may have to be collected, or parts of it removed.
    pub(super) fn unfinished_mark(&self) -> PathBuf {
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

    /// Takes the mark, so that no other operator creates the run or takes it over in the meantime.
    pub(crate) fn find_mark(&self) -> Result<FoundMark, Error> {
        let path = self.unfinished_mark();
        Mark::find(&path).map_err(io_error("lock", &path))
    }

    /// Whether there is nothing in the directory but what is made before the journal's first line.
    pub(crate) fn is_blank(&self) -> bool {
        let early = ["lock", "signals", "inbox", "order.json", "events.jsonl"];
        let mut names = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let is_early = |entry: fs::DirEntry| {
            let name = entry.file_name();
            let half_written = name.to_string_lossy().starts_with("order.json.tmp-");
            half_written || early.iter().any(|early| name == *early)
        };
        names.all(is_early)
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

    /// Removes what operators, hooks and senders were writing when they were killed.
    fn remove_half_written(&self) {
        for entry in fs::read_dir(self.inbox()).into_iter().flatten().flatten() {
            // A sender may be at work at this moment.
            if writer(&entry.file_name().to_string_lossy()).is_some_and(|pid| !is_there(pid)) {
                let _gone_already = fs::remove_file(entry.path());
            }
        }
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

    /// What a headless agent prints: its events, one JSON document a line. It is that agent's transcript.
    pub(crate) fn stream(&self) -> PathBuf {
        self.path.join(TRANSCRIPT)
    }

    /// What it says beside that.
    pub(crate) fn stderr_log(&self) -> PathBuf {
        self.path.join("stderr.log")
    }

    /// The socket of the agent's server, where it is driven by requests.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join("agent.sock")
    }

    /// The directory for what the agent's program keeps for itself.
    pub(crate) fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    /// The home of the agent's terminal that joined its server.
    pub(crate) fn terminal(&self) -> PathBuf {
        self.path.join("terminal")
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

    /// Where the result is checked before it is applied. Its name is one that git gives to nothing else.
    pub(crate) fn check(&self) -> PathBuf {
        self.path.join(format!("check-{}", self.name()))
    }

    /// The lock of whoever checks it.
    pub(crate) fn check_lock(&self) -> PathBuf {
        self.path.join("check.lock")
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

    /// The order that the run carries out; `None` in runs of older versions.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::Io`].
    pub fn load_order(&self) -> Result<Option<Task>, Error> {
        self.load_document("order.json")
    }

    /// Writes `order.json`; durable when it returns.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn write_order(&self, order: &Task) -> Result<(), Error> {
        let path = self.path.join("order.json");
        let text = serde_json::to_vec(order).expect("an order has string keys only");
        write_private(&path, &text, Durability::Synced).map_err(io_error("write", &path))
    }

    pub(super) fn load_document<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Error> {
        let path = self.path.join(name);
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
        write_private(&path, text.as_bytes(), Durability::Synced).map_err(io_error("write", &path))
    }

    /// Writes a small file of the run (mode 0600) in one step.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path.join(name);
        write_private(&path, bytes, Durability::Cached).map_err(io_error("write", &path))
    }
}

/// The process that writes a file which is not whole yet, by the file's name.
fn writer(name: &str) -> Option<u32> {
    let (_, behind) = name.split_once(".tmp-")?;
    behind.split('-').next()?.parse().ok()
}

fn is_there(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}
