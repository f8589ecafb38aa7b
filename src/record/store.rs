//! The state directory.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::Access;

use super::{Error, Lock, Mark, RunDir, UNFINISHED, io_error};
use crate::os::files::make_private_directory;
use crate::os::given;
use crate::task::name::RunId;

/// The longest path that a socket's address holds, in bytes, on Linux.
const SOCKET_PATH_LIMIT: usize = 107;
/// How long the record of a run may be in another process's hands that wants to write into it.
const NOTING: Duration = Duration::from_secs(30);

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
            given::variable(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        absolute("CX_OPERATOR_STATE")
            .or_else(|| absolute("XDG_STATE_HOME").map(|dir| dir.join("cx-operator")))
            .or_else(|| absolute("HOME").map(|dir| dir.join(".local/state/cx-operator")))
            .ok_or(Error::NoStateDirectory)
    }

    /// Says whether [`Store::open`] would succeed, and makes nothing: the directory, or the nearest one above it that is
    /// there, in which it would be made.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn examine(root: &Path) -> Result<PathBuf, Error> {
        refuse_long_path(root)?;
        let unusable = |source| Error::StateUnusable {
            path: root.to_owned(),
            source,
        };
        refuse_shared_directory(root).map_err(unusable)?;
        let place = root.ancestors().find(|place| place.exists());
        let place = place.unwrap_or(Path::new("/"));
        if !place.is_dir() {
            return Err(unusable(io::ErrorKind::NotADirectory.into()));
        }
        let wanted = Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::access(place, wanted).map_err(|errno| unusable(errno.into()))?;
        Ok(place.to_owned())
    }

    /// Opens the state directory, making it (mode 0700) on first use.
    ///
    /// # Errors
    /// [`Error::StatePathTooLong`] where no socket would fit, [`Error::StateUnusable`] otherwise.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let resolved = refuse_long_path(root)?;
        let open = || {
            if root.to_str().is_none() || resolved.to_str().is_none() {
                let why = format!("its path is not UTF-8: {}", resolved.to_string_lossy());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
            refuse_shared_directory(root)?;
            for inner in ["runs", UNFINISHED] {
                make_private_directory(&root.join(inner))?;
                fs::set_permissions(root.join(inner), fs::Permissions::from_mode(0o700))?;
            }
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
        let dir = self.run(id.as_str());
        // Before the run's directory: what is made for a run can always be found through it.
        let mark = dir.unfinished_mark();
        let _held_until_we_own_the_run = Mark::hold(&mark).map_err(io_error("create", &mark))?;
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&dir.path)
            .map_err(io_error("create", &dir.path))?;
        make_private_directory(&dir.signals()).map_err(io_error("create", &dir.signals()))?;
        make_private_directory(&dir.inbox()).map_err(io_error("create", &dir.inbox()))?;
        let lock = Lock::hold(&dir.lock())?;
        Ok((dir, lock))
    }

    fn run(&self, name: &str) -> RunDir {
        RunDir {
            path: self.root.join("runs").join(name),
        }
    }

    /// The run with exactly that id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub(crate) fn load(&self, id: &RunId) -> Result<RunDir, Error> {
        let run = self.run(id.as_str());
        // An id that was read from a document may be anything.
        if run.name() == id.as_str() && run.path.is_dir() {
            Ok(run)
        } else {
            Err(Error::NotFound {
                name: id.as_str().escape_default().to_string(),
            })
        }
    }

    /// Writes into the record of an ended run which one goes on from it. Without that record, or where somebody has the run for longer
    /// than it takes to write a record, nothing is written.
    pub(crate) fn note_continuation(&self, earlier: &RunId, by: &RunId) {
        let note = || {
            let run = self.load(earlier)?;
            let until = Instant::now() + NOTING;
            // Another run may note itself at the same moment.
            let _lock = loop {
                match Lock::take(&run.lock())? {
                    Some(lock) => break lock,
                    None if Instant::now() < until => {}
                    None => {
                        let name = earlier.to_string();
                        return Err(Error::Alive { name });
                    }
                }
            };
            let Some(mut record) = run.load_record()? else {
                return Ok(());
            };
            record.continued_by.push(by.clone());
            run.write_record(&record)
        };
        let noted: Result<(), Error> = note();
        if let Err(error) = noted {
            tracing::warn!(%error, run = %earlier, "its record can't say what goes on from it");
        }
    }

    /// The runs that are alive, and those whose operator died before all was collected and removed; oldest first.
    ///
    /// # Errors
    /// [`Error::Io`] when the directory can't be listed.
    pub fn load_unfinished(&self) -> Result<Vec<RunDir>, Error> {
        let dir = self.root.join(UNFINISHED);
        let mut found = Vec::new();
        for entry in fs::read_dir(&dir).map_err(io_error("list", &dir))? {
            let name = entry.map_err(io_error("list", &dir))?.file_name();
            found.extend(name.to_str().map(|name| self.run(name)));
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
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
        self.find_among(name, |_| true)
    }

    /// The same among those runs that `is_one` says so of.
    pub(crate) fn find_among(
        &self,
        name: &str,
        is_one: impl Fn(&RunDir) -> bool,
    ) -> Result<RunDir, Error> {
        let mut runs = self.load_runs()?;
        let may_be = |run: &RunDir| run.task() == Some(name) || run.name().starts_with(name);
        runs.retain(|run| !name.is_empty() && may_be(run) && is_one(run));
        if let Some(run) = runs.iter().find(|run| run.name() == name) {
            return Ok(run.clone());
        }
        let of_task = |run: &&RunDir| run.task() == Some(name);
        if let Some(last) = runs.iter().rev().find(of_task) {
            // Ids tell the second only.
            let rivals = runs.iter().rev().filter(of_task);
            let rivals = rivals.take_while(|run| run.name().get(..15) == last.name().get(..15));
            let newest =
                rivals.max_by_key(|run| run.path.metadata().and_then(|meta| meta.created()).ok());
            return Ok(newest.unwrap_or(last).clone());
        }
        let starting: Vec<_> = runs
            .iter()
            .filter(|run| run.name().starts_with(name))
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

/// Links are resolved here as for the socket: a short link may lead to a long path.
fn refuse_long_path(root: &Path) -> Result<PathBuf, Error> {
    let resolved = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let length = resolved.join("tmux.sock").as_os_str().as_bytes().len();
    if length > SOCKET_PATH_LIMIT {
        return Err(Error::StatePathTooLong {
            path: resolved,
            length,
        });
    }
    Ok(resolved)
}

/// A directory that other users own or may write to is not used for records; nor is it ours to
/// close it to them.
fn refuse_shared_directory(path: &Path) -> io::Result<()> {
    let refused = |why: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    match fs::metadata(path) {
        Ok(found) if found.uid() != rustix::process::geteuid().as_raw() => {
            refused("it belongs to another user")
        }
        Ok(found) if found.mode() & 0o022 != 0 => refused("other users may write to it"),
        _ => Ok(()),
    }
}
