//! Adds a linked worktree on a new branch, or nothing.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::branch::{branch_ref, creation_message};
use super::error::Error;
use super::files::{refuse_open_directory, remove_tree, rename_to_new};
use super::git::Git;
use super::guests;
use super::locked::until_unlocked;
use super::marker::{self, Marker, Owner, staging_dir};
use super::repository::{CommitId, Repository};
use super::snapshot::operator_signature;

/// A second name of the index as git wrote it: the file times of the checkout, which the agent's git never rewrites
/// (it replaces its index by rename).
pub(super) const SEED_INDEX: &str = "cx-operator.index";
/// By this file git knows an administrative directory for that of a worktree.
const GITDIR: &str = "gitdir";
/// Says that the worktree is being removed: its files are no longer what the agent left.
pub(super) const REMOVING: &str = "cx-operator.removing";

/// The reason of a worktree's lock until all its files are there. git's own word for it.
const INITIALIZING: &[u8] = b"initializing";

/// Whether making the worktree was cut short: not all its files are there.
pub(super) fn is_initializing(admin_dir: &Path) -> bool {
    fs::read(admin_dir.join("locked")).is_ok_and(|reason| reason == INITIALIZING)
}

/// Which worktree, for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorktreeSpec {
    /// The directory. Absolute; its parent must exist, it must not.
    pub path: PathBuf,
    /// The branch to create, without `refs/heads/`.
    pub branch: String,
    /// The commit it starts from.
    pub base: CommitId,
    /// The run it belongs to.
    pub owner: Owner,
}

/// A worktree of ours.
#[derive(Debug, Clone)]
pub struct Worktree {
    pub(super) repo: Repository,
    pub(super) spec: WorktreeSpec,
    pub(super) admin_dir: PathBuf,
    notices: Vec<String>,
}

impl Worktree {
    /// Creates the directory (mode 0700), the branch and the worktree with the files of the base commit. Safe in
    /// parallel: creating the directory is the lock. No hook runs. On an error nothing is left.
    ///
    /// # Errors
    /// [`Error::OpenDirectory`], [`Error::PathExists`], [`Error::BranchExists`], [`Error::InvalidName`]; after that [`Error::RolledBack`], or
    /// [`Error::LeftBehind`] if the removal failed too.
    pub fn add(repo: &Repository, spec: &WorktreeSpec) -> Result<Self, Error> {
        let spec = WorktreeSpec {
            path: real_path(&spec.path)?,
            ..spec.clone()
        };
        refuse_open_directory(&spec.path)?;
        refuse_existing(repo, &spec)?;
        let admin_dir = create_admin_dir(repo, &spec)?;
        let mut made = Made {
            repo,
            spec: &spec,
            admin_dir: &admin_dir,
            directory: false,
            branch: false,
        };
        match made.build() {
            Ok(notices) => Ok(Self {
                repo: repo.clone(),
                admin_dir,
                notices,
                spec,
            }),
            Err(source) => Err(made.undo(source)),
        }
    }

    /// Finds a worktree that was added earlier, perhaps by a process that is gone.
    ///
    /// # Errors
    /// [`Error::NotOwned`] if no marker speaks of this path, branch and owner.
    pub fn open(repo: &Repository, spec: &WorktreeSpec) -> Result<Self, Error> {
        let path = known_path(&spec.path)?;
        let found = marker::owned(repo)?.into_iter().find(|owned| {
            owned.spec.path == path
                && owned.spec.branch == spec.branch
                && owned.spec.owner == spec.owner
        });
        let Some(found) = found else {
            return Err(Error::NotOwned { path });
        };
        Ok(Self {
            repo: repo.clone(),
            spec: found.spec,
            admin_dir: found.admin_dir,
            notices: Vec::new(),
        })
    }

    /// The repository that it belongs to.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repo
    }

    /// Its specification, the path free of symbolic links.
    #[must_use]
    pub fn spec(&self) -> &WorktreeSpec {
        &self.spec
    }

    /// Its directory. Absolute, free of symbolic links.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.spec.path
    }

    /// Its administrative directory in the repository. Absolute.
    #[must_use]
    #[cfg(feature = "unstable")]
    pub fn admin_dir(&self) -> &Path {
        &self.admin_dir
    }

    /// Notices about its content, for people.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }
}

/// The parts that `add` has made so far.
struct Made<'a> {
    repo: &'a Repository,
    spec: &'a WorktreeSpec,
    admin_dir: &'a Path,
    directory: bool,
    branch: bool,
}

impl Made<'_> {
    fn build(&mut self) -> Result<Vec<String>, Error> {
        let Self {
            repo,
            spec,
            admin_dir,
            ..
        } = *self;
        match DirBuilder::new().mode(0o700).create(&spec.path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                return Err(Error::PathExists {
                    path: spec.path.clone(),
                });
            }
            other => other.map_err(Error::io("create", &spec.path))?,
        }
        self.directory = true;
        // Before anything is in it: an empty directory needs no proof to be removed, any other does.
        let meta = fs::symlink_metadata(&spec.path).map_err(Error::io("read", &spec.path))?;
        Marker::new(spec).of_directory(&meta).write(admin_dir)?;
        create_branch(repo, spec)?;
        self.branch = true;
        log_creation(repo, spec)?;
        // For a notice only: a run is worth more.
        drop(
            repo.open()
                .and_then(|repo| guests::remember(&repo, admin_dir)),
        );
        write(&spec.path.join(".git"), &gitfile(admin_dir))?;
        register(spec, admin_dir)?;
        copy_settings(repo, admin_dir)?;
        if repo.features(spec.base)?.sparse {
            copy_sparse_patterns(repo, admin_dir)?;
        }
        Git::new(admin_dir, &spec.path, "read-tree")
            .args(["-m", "-u", &spec.base.to_string()])
            .query_output(Vec::new())?;
        // Without it a snapshot reads every file: slower, not wrong. Some file systems have no second names.
        drop(fs::hard_link(
            admin_dir.join("index"),
            admin_dir.join(SEED_INDEX),
        ));
        let features = repo.features(spec.base)?;
        // Stays locked: a prune while the agent has its directory elsewhere for a moment would unlearn whose it is.
        let reason = format!("cx-operator: run {}", spec.owner.run_id);
        write(&admin_dir.join("locked"), reason.as_bytes())?;
        let notice = "submodules are not checked out in the worktree";
        Ok(features
            .submodules
            .then(|| notice.to_owned())
            .into_iter()
            .collect())
    }

    fn undo(&self, source: Error) -> Error {
        let mut left = Vec::new();
        if self.directory && remove_tree(&self.spec.path).is_err() {
            left.push(self.spec.path.clone());
        }
        let name = format!("refs/heads/{}", self.spec.branch);
        if self.branch && delete_branch(self.repo, &name, self.spec.base.0).is_err() {
            left.push(PathBuf::from(name));
        }
        if remove_admin_dir(self.admin_dir).is_err() {
            left.push(self.admin_dir.to_owned());
        }
        let source = Box::new(source);
        match *source {
            _ if !left.is_empty() => Error::LeftBehind { left, source },
            // Lost a race for the name: nothing of ours had come to be.
            Error::PathExists { .. } | Error::BranchExists { .. } => *source,
            _ => Error::RolledBack { source },
        }
    }
}

/// The content of the `.git` file of a worktree.
pub(super) fn gitfile(admin_dir: &Path) -> Vec<u8> {
    [b"gitdir: ", admin_dir.as_os_str().as_bytes(), b"\n"].concat()
}

/// Removes an administrative directory, the marker last, and `worktrees/` with the last of them, as git does.
pub(super) fn remove_admin_dir(admin_dir: &Path) -> Result<(), Error> {
    let entries = match fs::read_dir(admin_dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.map_err(Error::io("list", admin_dir))?,
    };
    // Without it git sees no worktree here while the other files are removed.
    remove_file(&admin_dir.join(GITDIR))?;
    for entry in entries {
        let entry = entry.map_err(Error::io("list", admin_dir))?;
        let path = entry.path();
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_tree(&path)?;
        } else if !Marker::is_at(&path) {
            remove_file(&path)?;
        }
    }
    Marker::remove(admin_dir)?;
    remove_tree(admin_dir)?;
    if let Some(parent) = admin_dir.parent() {
        // Fails, as it should, while another worktree is there.
        drop(fs::remove_dir(parent));
    }
    Ok(())
}

/// Deletes a ref and its reflog, whatever it points at; one that is gone is fine.
pub(super) fn delete_ref(repo: &git2::Repository, full: &str) -> Result<(), Error> {
    match repo
        .find_reference(full)
        .and_then(|mut branch| branch.delete())
    {
        Err(e) if e.code() != git2::ErrorCode::NotFound => Err(Error::git("delete a ref")(e)),
        _ => Ok(()),
    }
}

/// Removes a file that a `git worktree prune` next door may have removed already.
fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}

/// Deletes a branch and its reflog, if it still points at `tip`.
///
/// The program and not libgit2, which looks for the branch among the packed refs without their lock: a `git pack-refs`
/// or `git gc` next door that has read the branch and not yet written brings it back. Source: libgit2 1.9,
/// `tests/scenarios/scale/git.rs`.
pub(super) fn delete_branch(repo: &Repository, full: &str, tip: git2::Oid) -> Result<(), Error> {
    let dir = repo.common_dir();
    let tip = tip.to_string();
    let deleted = Git::new(dir, dir, "update-ref").args(["-d", full, &tip]);
    deleted.query_output(Vec::new())?;
    remove_empty_logs(dir);
    Ok(())
}

/// Removes the directories of reflogs that a branch of ours was the first to need, as in a bare repository. Those with
/// anything in them stay.
fn remove_empty_logs(common_dir: &Path) {
    for dir in ["logs/refs/heads", "logs/refs", "logs"] {
        if fs::remove_dir(common_dir.join(dir)).is_err() {
            return;
        }
    }
}

/// The path with its parent's links resolved: the last part isn't followed, whatever it is.
pub(super) fn real_path(path: &Path) -> Result<PathBuf, Error> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::PathExists {
            path: path.to_owned(),
        });
    };
    let parent = parent.canonicalize().map_err(Error::io("find", parent))?;
    Ok(parent.join(name))
}

/// As [`real_path`]; a path whose parent is gone too, as after a reboot that empties `/tmp`, is taken as it is.
pub(super) fn known_path(path: &Path) -> Result<PathBuf, Error> {
    match real_path(path) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            Ok(path.to_owned())
        }
        other => other,
    }
}

fn refuse_existing(repo: &Repository, spec: &WorktreeSpec) -> Result<(), Error> {
    if fs::symlink_metadata(&spec.path).is_ok() {
        return Err(Error::PathExists {
            path: spec.path.clone(),
        });
    }
    match repo.find_branch_holder(&spec.branch)? {
        Some(holder) => Err(Error::BranchExists {
            name: spec.branch.clone(),
            holder: holder.worktree,
        }),
        None => Ok(()),
    }
}

fn create_branch(repo: &Repository, spec: &WorktreeSpec) -> Result<(), Error> {
    let full = branch_ref(&spec.branch)?;
    let message = creation_message(&spec.owner);
    let repo = repo.open()?;
    let create = || {
        repo.reference(&full, spec.base.0, false, &message)
            .map(drop)
    };
    match until_unlocked(create) {
        Err(e) if e.code() == git2::ErrorCode::Exists => Err(Error::BranchExists {
            name: spec.branch.clone(),
            holder: None,
        }),
        other => other.map_err(Error::git("create the branch")),
    }
}

/// Sees to a reflog, which proves whose the branch is, where the repository has none by itself: a bare one, or one with
/// `core.logAllRefUpdates=false`.
fn log_creation(repo: &Repository, spec: &WorktreeSpec) -> Result<(), Error> {
    let full = branch_ref(&spec.branch)?;
    let repo = repo.open()?;
    // Again, where another run that ends has just removed the empty directory.
    write_log(&repo, &full, spec).or_else(|_| write_log(&repo, &full, spec))
}

fn write_log(repo: &git2::Repository, full: &str, spec: &WorktreeSpec) -> Result<(), Error> {
    let failed = "write the branch's reflog";
    repo.reference_ensure_log(full)
        .map_err(Error::git(failed))?;
    let mut log = repo.reflog(full).map_err(Error::git(failed))?;
    if log.is_empty() {
        let message = creation_message(&spec.owner);
        log.append(spec.base.0, &operator_signature()?, Some(&message))
            .and_then(|()| log.write())
            .map_err(Error::git(failed))?;
    }
    Ok(())
}

/// Makes `worktrees/<name>` with the marker in it, `<name>` being that of the directory, with a number if it is taken.
///
/// Prepared under a name that says whose it is, then moved: a process killed at any point leaves nothing that only
/// looks like a worktree. Not prepared in `worktrees/`, where a `git worktree prune` would take it away.
fn create_admin_dir(repo: &Repository, spec: &WorktreeSpec) -> Result<PathBuf, Error> {
    let staging = staging_dir(repo, &spec.owner);
    fs::create_dir(&staging).map_err(Error::io("create", &staging))?;
    // A `git worktree prune` next door leaves a locked one alone.
    let made = write(&staging.join("locked"), INITIALIZING)
        .and_then(|()| Marker::new(spec).write(&staging))
        .and_then(|()| move_to_worktrees(repo, spec, &staging));
    if made.is_err() {
        drop(remove_tree(&staging));
    }
    made
}

fn move_to_worktrees(
    repo: &Repository,
    spec: &WorktreeSpec,
    staging: &Path,
) -> Result<PathBuf, Error> {
    let parent = repo.common_dir().join("worktrees");
    let name = spec.path.file_name().and_then(|n| n.to_str());
    let name = name
        .filter(|n| git2::Reference::is_valid_name(&format!("refs/{n}")))
        .unwrap_or("cx");
    let mut taken = 0_u32;
    loop {
        let suffix = if taken == 0 {
            String::new()
        } else {
            taken.to_string()
        };
        let admin_dir = parent.join(format!("{name}{suffix}"));
        match rename_to_new(staging, &admin_dir) {
            Ok(()) => return Ok(admin_dir),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => taken += 1,
            // Missing, or just removed with the last worktree in it.
            Err(e) if e.kind() == ErrorKind::NotFound => match fs::create_dir(&parent) {
                Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                    return Err(Error::io("create", &parent)(e));
                }
                _ => {}
            },
            Err(e) => return Err(Error::io("create", &admin_dir)(e)),
        }
    }
}

/// Writes what makes the administrative directory one of git's. Each file appears whole, and the one by which git knows
/// a worktree comes last: a git of the user's that reads them in the meantime would end with an error at an empty one.
///
/// Source: git 2.47, "failed to read …/commondir" of `git gc` and `git fetch` (`tests/scenarios/scale/git.rs`).
pub(super) fn register(spec: &WorktreeSpec, admin_dir: &Path) -> Result<(), Error> {
    write_whole(&admin_dir.join("commondir"), b"../..\n")?;
    let head = format!("ref: {}\n", branch_ref(&spec.branch)?);
    write_whole(&admin_dir.join("HEAD"), head.as_bytes())?;
    let link = spec.path.join(".git");
    let link = [link.as_os_str().as_bytes(), b"\n"].concat();
    write_whole(&admin_dir.join(GITDIR), &link)
}

/// Gives the worktree the settings that the caller's has for itself, as `git worktree add` does, except for its path.
/// Source: git 2.47, `builtin/worktree.c`, `copy_filtered_worktree_config`.
fn copy_settings(repo: &Repository, admin_dir: &Path) -> Result<(), Error> {
    let (from, to) = (repo.caller_git_dir(), admin_dir.join("config.worktree"));
    if !copy(&from.join("config.worktree"), &to)? {
        return Ok(());
    }
    let failed = "change the worktree's configuration";
    let mut config = git2::Config::open(&to).map_err(Error::git(failed))?;
    for key in ["core.bare", "core.worktree"] {
        match config.remove(key) {
            Err(e) if e.code() != git2::ErrorCode::NotFound => return Err(Error::git(failed)(e)),
            _ => {}
        }
    }
    Ok(())
}

/// Makes the worktree as sparse as the caller's checkout, as `git worktree add` does.
/// Source: git 2.47, `builtin/worktree.c`, `copy_sparse_checkout`.
fn copy_sparse_patterns(repo: &Repository, admin_dir: &Path) -> Result<(), Error> {
    let info = admin_dir.join("info");
    fs::create_dir(&info).map_err(Error::io("create", &info))?;
    let patterns = "info/sparse-checkout";
    let from = repo.caller_git_dir().join(patterns);
    copy(&from, &admin_dir.join(patterns)).map(drop)
}

/// Copies a file, if it is there.
fn copy(from: &Path, to: &Path) -> Result<bool, Error> {
    match fs::copy(from, to) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("write", to)(e)),
    }
}

pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    fs::write(path, content).map_err(Error::io("write", path))
}

/// Writes a file that others who share the repository may read as they read its other files.
fn write_whole(path: &Path, content: &[u8]) -> Result<(), Error> {
    let temporary = path.with_extension("tmp");
    write(&temporary, content)?;
    fs::rename(&temporary, path).map_err(Error::io("write", path))
}
