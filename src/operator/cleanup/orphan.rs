//! Removing an orphan by force: a worktree that is ours by its marks and whose run is on no record here.
//!
//! For a person who knows better than the marks what may be removed, and not for one in a hurry: nothing is removed before
//! its work is kept, and nothing at all that no mark of ours speaks of, that is alive, or that a record here speaks of.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::{Action, Found, find_run};
use crate::agent::ALL_LEFTOVERS;
use crate::error::{Error, io as io_error};
use crate::os::blocking::blocking;
use crate::os::process::{is_marked, pids};
use crate::record::Store;
use crate::worktree::shown;
use crate::worktree::{
    BranchRemoval, Owner, Removal, Repository, SnapshotSpec, Worktree, linked_git_dir, owned,
    remove,
};

/// Collects the work of an orphan, as `refs/cx-operator/<run-id>`, and removes it: the directory, its registration,
/// and its branch where nothing is lost with that.
///
/// An orphan is a directory that the marker of another state directory speaks of, or of a run that has no record; or
/// one whose registration was removed, if its branch's reflog says that a run of ours made it. The directory may
/// be gone already. `repository` is where to look when the directory doesn't lead to its repository.
///
/// # Errors
/// [`Error::Usage`] says why it is refused; [`Error::Worktree`] what went wrong, as with work that can't be kept. The
/// directory is untouched then.
pub async fn force_orphan(
    store: &Store,
    path: &Path,
    repository: Option<&Path>,
    dry_run: bool,
) -> Result<Found, Error> {
    let path = std::path::absolute(path).map_err(io_error("find the orphan"))?;
    let (store, repository) = (store.clone(), repository.map(Path::to_owned));
    blocking(move || Orphan::find(&store, path, repository.as_deref())?.remove(dry_run)).await
}

fn refuse(path: &Path, why: impl AsRef<str>) -> Error {
    Error::Usage(format!(
        "{} can't be removed: {}",
        path.display(),
        why.as_ref()
    ))
}

/// The remedy for a worktree whose repository was moved.
pub(super) fn repository_gone(common_dir: &Path) -> String {
    format!(
        "its repository {} is gone, so that nothing can collect its work: name it with --repo where it was moved, or copy \
         what you need and remove the directory by hand",
        common_dir.display()
    )
}

struct Orphan {
    path: PathBuf,
    repository: Repository,
    /// `None` where no marker speaks of it.
    worktree: Option<Worktree>,
    store: Store,
}

impl Orphan {
    fn find(store: &Store, path: PathBuf, fallback: Option<&Path>) -> Result<Self, Error> {
        let path = match (path.parent().map(Path::canonicalize), path.file_name()) {
            (Some(Ok(parent)), Some(name)) => parent.join(name),
            _ => path,
        };
        match fs::symlink_metadata(&path) {
            Ok(meta) if !meta.is_dir() => return Err(refuse(&path, "it is not a directory")),
            Ok(_) if path.join(".git").is_dir() => {
                return Err(refuse(&path, "it is a repository, not a worktree of one"));
            }
            _ => {}
        }
        // <repository>/worktrees/<name>
        let link = linked_git_dir(&path);
        let common = link.as_deref().and_then(|link| link.ancestors().nth(2));
        let gone = common.filter(|dir| !dir.is_dir());
        let Some(place) = common.filter(|dir| dir.is_dir()).or(fallback) else {
            return Err(refuse(&path, "it belongs to no repository"));
        };
        let without = || gone.map(|gone| refuse(&path, repository_gone(gone)));
        let repository = match Repository::discover(place) {
            Ok(repository) => repository,
            Err(error) => return Err(without().unwrap_or(error.into())),
        };
        let marked = owned(&repository)?
            .into_iter()
            .find(|found| found.spec.path == path);
        if marked.is_none()
            && Worktree::find_lost(&repository, &path, store.root())?.is_none()
            && let Some(refusal) = without()
        {
            return Err(refusal);
        }
        let worktree = match marked {
            None => None,
            Some(marked) => {
                refuse_recorded(store, &path, &marked.spec.owner)?;
                refuse_running(&path, &marked.spec.owner)?;
                Some(Worktree::open(&repository, &marked.spec)?)
            }
        };
        refuse_inhabited(&path)?;
        Ok(Self {
            path,
            repository,
            worktree,
            store: store.clone(),
        })
    }

    fn remove(self, dry_run: bool) -> Result<Found, Error> {
        let found = |action, reason| Found {
            kind: "worktree",
            name: self.path.display().to_string(),
            action,
            reason,
        };
        let run_id = match &self.worktree {
            Some(worktree) => worktree.spec().owner.run_id.clone(),
            None => self.find_lost_run()?,
        };
        if dry_run {
            return Ok(found(
                Action::WouldRemove,
                format!("the run {run_id} made it"),
            ));
        }
        if let Some(worktree) = &self.worktree {
            return Ok(found(Action::Removed, take_in(&self.repository, worktree)?));
        }
        let worktree = Worktree::adopt(&self.repository, &self.path, self.store.root())?;
        if find_run(&self.store, &run_id).is_some_and(|run| !run.is_closed()) {
            let why =
                format!("it is registered again: `cx-operator recover {run_id}` ends its run");
            return Ok(found(Action::Left, why));
        }
        Ok(found(
            Action::Removed,
            take_in(&self.repository, &worktree)?,
        ))
    }

    /// The run that made a directory whose registration is lost.
    fn find_lost_run(&self) -> Result<String, Error> {
        let path = &self.path;
        let Some(spec) = Worktree::find_lost(&self.repository, path, self.store.root())? else {
            let why = "no marker or reflog of ours says that a run made it: remove it by hand if it is yours";
            return Err(refuse(path, why));
        };
        let run_id = spec.owner.run_id.clone();
        if find_run(&self.store, &run_id).is_some_and(|run| run.is_alive()) {
            return Err(refuse(path, format!("the run {run_id} is alive")));
        }
        refuse_running(path, &spec.owner)?;
        Ok(run_id)
    }
}

/// Keeps the work, removes the rest, and says what became of both.
fn take_in(repository: &Repository, worktree: &Worktree) -> Result<String, Error> {
    let spec = worktree.spec();
    let result_ref = format!("refs/cx-operator/{}", spec.owner.run_id);
    let snapshot = worktree.snapshot(&SnapshotSpec {
        ref_name: result_ref.clone(),
        message: format!("cx-operator: {}, by force", spec.branch),
        mount_points: &ALL_LEFTOVERS,
    })?;
    if let Some(path) = snapshot.left_out.first() {
        let why = format!("{} could not be read or stored", shown(path));
        return Err(refuse(&spec.path, why));
    }
    let what = Removal::WorktreeAndBranch {
        snapshot_ref: &result_ref,
    };
    let removed = remove(repository, spec, what)?;
    let mut said = vec![match snapshot.result_commit {
        Some(_) => format!("its work is kept as {result_ref}"),
        None => "nothing in it differs from its base commit".to_owned(),
    }];
    let why = match removed.branch {
        BranchRemoval::KeptForItsCommits => "it has commits that are in no snapshot",
        BranchRemoval::KeptInUse => "a checkout is on it",
        _ => "",
    };
    if !why.is_empty() {
        said.push(format!("the branch {} stays: {why}", spec.branch));
    }
    said.extend(snapshot.notices);
    Ok(said.join("; "))
}

/// A worktree with a record here is removed by other commands, which keep the record right.
fn refuse_recorded(store: &Store, path: &Path, owner: &Owner) -> Result<(), Error> {
    let id = &owner.run_id;
    if owner.state_dir != store.root() {
        let lock = owner.state_dir.join("runs").join(id).join("lock");
        let held = File::open(lock).map(|lock| lock.try_lock_shared());
        return match held {
            Ok(Err(TryLockError::WouldBlock)) => {
                Err(refuse(path, format!("the run {id} is alive")))
            }
            _ => Ok(()),
        };
    }
    match find_run(store, id) {
        None => Ok(()),
        Some(run) if run.is_alive() => Err(refuse(path, format!("the run {id} is alive"))),
        Some(run) if !run.is_closed() => Err(refuse(
            path,
            format!("`cx-operator recover {id}` ends its run and keeps its record"),
        )),
        Some(_) => Err(refuse(
            path,
            format!("`cx-operator cleanup --kept {id}` removes it and keeps its record"),
        )),
    }
}

/// An agent that still works there would go on into nothing.
fn refuse_running(path: &Path, owner: &Owner) -> Result<(), Error> {
    match pids().find(|pid| is_marked(*pid, &owner.run_id)) {
        None => Ok(()),
        Some(pid) => Err(refuse(
            path,
            format!("the process {pid} of its run still works"),
        )),
    }
}

/// Somebody works in there, perhaps the person's own shell.
fn refuse_inhabited(path: &Path) -> Result<(), Error> {
    let is_inside = |pid: &u32| {
        let directory = fs::read_link(format!("/proc/{pid}/cwd"));
        directory.is_ok_and(|directory| directory.starts_with(path))
    };
    match pids().find(is_inside) {
        None => Ok(()),
        Some(pid) => Err(refuse(path, format!("the process {pid} works in it"))),
    }
}
