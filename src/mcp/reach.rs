//! What a parent may see and touch: the repositories below the roots, and their runs.
//!
//! A repository is told by its git directory, which all its worktrees share, with every symbolic link resolved. So neither a link
//! nor a worktree below a root leads to a repository elsewhere. The repository that a root itself lies in is in reach, too: the
//! root may be a directory of it, or a worktree.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::operator::listing::{Choice, load_record};
use crate::operator::queue::Queued;
use crate::record::journal::{Entry, Progress};
use crate::record::{self, RunDir, Store};
use crate::task::name::RunId;
use crate::worktree::Repository;

/// No journal begins later than this many bytes after its beginning.
const BEGINNING: u64 = 256 * 1024;

/// The roots.
#[derive(Debug)]
pub(super) struct Reach {
    /// Without symbolic links.
    roots: Vec<PathBuf>,
    /// The git directories of the repositories that the roots lie in.
    own: Vec<PathBuf>,
}

/// A run as its name finds it.
#[derive(Debug)]
pub(super) enum Found {
    /// It waits for its place.
    Queued(Queued),
    /// It has begun.
    Begun(RunDir),
}

impl Found {
    pub(super) fn id(&self) -> RunId {
        match self {
            Self::Queued(queued) => RunId::of_directory(&queued.run_id),
            Self::Begun(run) => run.id(),
        }
    }
}

impl Reach {
    pub(super) fn new(roots: &[PathBuf]) -> Result<Self, Error> {
        let real = |root: &PathBuf| {
            let real = root.canonicalize().ok().filter(|root| root.is_dir());
            real.ok_or_else(|| Error::Usage(format!("the root {} is no directory", root.display())))
        };
        let roots: Vec<PathBuf> = roots.iter().map(real).collect::<Result<_, _>>()?;
        let own = roots.iter().filter_map(|root| {
            let found = Repository::discover(root).ok()?;
            Some(found.common_dir().to_owned())
        });
        Ok(Self {
            own: own.collect(),
            roots,
        })
    }

    /// The first root, where nothing else is said.
    pub(super) fn home(&self) -> &Path {
        self.roots.first().map_or(Path::new("."), PathBuf::as_path)
    }

    fn is_below(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| path.starts_with(root))
    }

    /// Whether the repository with that git directory is in reach.
    fn has(&self, common_dir: &Path) -> bool {
        self.is_below(common_dir) || self.own.iter().any(|own| own == common_dir)
    }

    /// The path without symbolic links, if it is that of a repository in reach. A relative one is below the first root.
    ///
    /// # Errors
    /// [`Error::NotAllowed`]; [`Error::Worktree`] where there is no repository.
    pub(super) fn repository(&self, path: Option<&str>) -> Result<PathBuf, Error> {
        let real = self.place(path)?;
        if self.has(Repository::discover(&real)?.common_dir()) {
            Ok(real)
        } else {
            Err(outside(&real))
        }
    }

    /// The path without symbolic links, if it is in reach.
    ///
    /// # Errors
    /// [`Error::NotAllowed`], also where nothing is there.
    pub(super) fn place(&self, path: Option<&str>) -> Result<PathBuf, Error> {
        let path = self.home().join(path.unwrap_or("."));
        let real = path.canonicalize().ok();
        real.filter(|real| self.is_below(real))
            .ok_or_else(|| outside(&path))
    }

    /// The checkout in reach to bring the result of a run to: the one of that path; else the first root, if it is one of the run's
    /// repository; else the one that the run had.
    ///
    /// # Errors
    /// As [`Reach::repository`]; those of reading the record.
    pub(super) fn checkout(&self, run: &RunDir, path: Option<&str>) -> Result<PathBuf, Error> {
        if path.is_some() {
            return self.repository(path);
        }
        let record = load_record(run)?;
        let is_here = |found: &Repository| Some(found.common_dir()) == record.common_dir.as_deref();
        if Repository::discover(self.home()).is_ok_and(|found| is_here(&found)) {
            return Ok(self.home().to_owned());
        }
        let had = record.checkout.or(record.repository);
        self.repository(had.as_ref().and_then(|path| path.to_str()))
    }

    /// Whether a path leads to a repository in reach.
    fn has_path(&self, path: &Path) -> bool {
        Repository::discover(path).is_ok_and(|found| self.has(found.common_dir()))
    }

    /// The run of that name, as [`Store::find`] finds it, among those in reach. It may wait for its place.
    ///
    /// # Errors
    /// As [`Store::find`].
    pub(super) fn find(&self, store: &Store, name: &str) -> Result<Found, Error> {
        let queue = store.load_unbegun()?;
        let is_it = |queued: &Queued| queued.run_id == name || queued.task == name;
        let mut queue = queue.into_iter().rev();
        if let Some(queued) = queue.find(|queued| is_it(queued) && self.has_queued(queued)) {
            return Ok(Found::Queued(queued));
        }
        Ok(Found::Begun(
            store.find_among(name, |run| self.has_run(run))?,
        ))
    }

    /// The same of a run that has begun.
    ///
    /// # Errors
    /// As [`Reach::find`]; [`Error::Usage`] for one that waits for its place.
    pub(super) fn find_begun(&self, store: &Store, name: &str) -> Result<RunDir, Error> {
        match self.find(store, name)? {
            Found::Begun(run) => Ok(run),
            Found::Queued(run) => {
                let place = match run.position {
                    0 => "its turn has come".to_owned(),
                    position => format!("it is queued at position {position}"),
                };
                let id = run.run_id;
                Err(Error::Usage(format!("{id} has no record yet: {place}")))
            }
        }
    }

    /// The run with exactly that id.
    ///
    /// # Errors
    /// [`Error::Run`].
    pub(super) fn load(&self, store: &Store, id: &str) -> Result<Found, Error> {
        match self.find(store, id)? {
            found if found.id().as_str() == id => Ok(found),
            _ => Err(record::Error::NotFound {
                name: id.escape_default().to_string(),
            }
            .into()),
        }
    }
}

impl Choice for Reach {
    /// Whether a run is of a repository in reach.
    fn has_run(&self, run: &RunDir) -> bool {
        if let Some((root, common_dir)) = load_place(run) {
            return self.has(&common_dir.unwrap_or(root));
        }
        match (run.load_record(), run.load_order()) {
            (Ok(Some(record)), _) => {
                let place = record.common_dir.or(record.repository);
                place.is_some_and(|place| self.has(&place))
            }
            (_, Ok(Some(order))) => self.has_path(&order.repository),
            _ => false,
        }
    }

    fn has_queued(&self, queued: &Queued) -> bool {
        let path = queued.repository.as_deref();
        path.is_some_and(|path| self.has_path(path))
    }
}

fn outside(path: &Path) -> Error {
    Error::NotAllowed(format!(
        "{} is outside of the roots of this server, or not there",
        path.display()
    ))
}

/// Where a run began, as its journal tells: the repository's root, and its git directory.
fn load_place(run: &RunDir) -> Option<(PathBuf, Option<PathBuf>)> {
    let journal = File::open(run.path().join("events.jsonl")).ok()?;
    for line in BufReader::new(journal.take(BEGINNING)).lines() {
        if let Ok(Entry {
            progress:
                Progress::Started {
                    repository,
                    common_dir,
                    ..
                },
            ..
        }) = serde_json::from_str(&line.ok()?)
        {
            return Some((repository, common_dir));
        }
    }
    None
}
