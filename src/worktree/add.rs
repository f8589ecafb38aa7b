//! Adds a linked worktree on a new branch, or nothing.
//!
//! Owns a worktree while it is made, and [`Worktree`], the handle of a complete one. Imported by the files that take a
//! worktree back (`adopt`) and read it (`agent_head`, `snapshot`), for the handle.
//!
//! Invariants: an error leaves nothing, or names in [`Error::LeftBehind`] all that is left. The directory is created in
//! one step, which is the lock among parallel runs; only a directory and a branch that this call created are removed.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::admin_dir::{
    self, INITIALIZING, SEED_INDEX, move_to_worktrees, register, remove_admin_dir,
};
use super::branch::creation_message;
use super::error::Error;
use super::files::{copy, real_path, refuse_open_directory, remove_tree, write};
use super::git::Git;
use super::marker::{Marker, gitfile};
use super::new_refs;
use super::owned::find_owned;
use super::refs::{self, branch_ref, delete_branch};
use super::repository::Repository;
use super::spec::WorktreeSpec;

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
    /// [`Error::OpenDirectory`], [`Error::PathExists`], [`Error::BranchExists`], [`Error::InvalidName`]; after that
    /// [`Error::RolledBack`], or [`Error::LeftBehind`] if the removal failed too.
    pub fn add(repo: &Repository, spec: &WorktreeSpec) -> Result<Self, Error> {
        let spec = WorktreeSpec {
            path: real_path(&spec.path)?,
            ..spec.clone()
        };
        refuse_open_directory(&spec.path)?;
        branch_ref(&spec.branch)?;
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
        let spec = spec.resolved()?;
        let Some(found) = find_owned(repo, &spec)? else {
            return Err(Error::NotOwned { path: spec.path });
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
        // For a notice only: a run is worth more.
        drop(new_refs::remember(repo, admin_dir));
        write(&spec.path.join(".git"), &gitfile(admin_dir))?;
        register(spec, admin_dir)?;
        copy_settings(repo, admin_dir)?;
        copy_sparse_patterns(repo, admin_dir)?;
        Git::new(admin_dir, &spec.path, "read-tree")
            .args(["-m", "-u", &spec.base.to_string()])
            .query_output(Vec::new())?;
        // Without it a snapshot reads every file: slower, not wrong. Some file systems have no second names.
        let (index, seed) = (admin_dir.join("index"), admin_dir.join(SEED_INDEX));
        let _none_is_slower = fs::hard_link(index, seed);
        // Stays locked: a prune while the agent has its directory elsewhere for a moment would unlearn whose it is.
        let reason = format!("cx-operator: run {}", spec.owner.run_id);
        write(&admin_dir.join("locked"), reason.as_bytes())?;
        let notice = "submodules are not checked out in the worktree";
        // A clone without trees has the base's after the checkout.
        Ok(repo
            .has_submodules(spec.base)?
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

/// Creates the branch; its reflog proves whose it is.
fn create_branch(repo: &Repository, spec: &WorktreeSpec) -> Result<(), Error> {
    let full = branch_ref(&spec.branch)?;
    let why = creation_message(&spec.owner);
    refs::create_branch(repo, &full, spec.base.0, &why).map_err(|error| {
        match repo.find_branch_holder(&spec.branch) {
            Ok(Some(holder)) => Error::BranchExists {
                name: spec.branch.clone(),
                holder: holder.worktree,
            },
            _ => error,
        }
    })
}

/// Makes `worktrees/<name>` with the marker in it, `<name>` being that of the directory, with a number if it is taken.
fn create_admin_dir(repo: &Repository, spec: &WorktreeSpec) -> Result<PathBuf, Error> {
    let name = spec.path.file_name().and_then(|n| n.to_str());
    let name = name
        .filter(|n| git2::Reference::is_valid_name(&format!("refs/{n}")))
        .unwrap_or("cx");
    admin_dir::create(repo, &Marker::new(spec), INITIALIZING, |staging| {
        move_to_worktrees(repo, staging, name)
    })
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

/// Gives the worktree the patterns of the caller's checkout, as `git worktree add` does; the settings say whether they
/// count.
/// Source: git 2.47, `builtin/worktree.c`, `copy_sparse_checkout`.
fn copy_sparse_patterns(repo: &Repository, admin_dir: &Path) -> Result<(), Error> {
    let patterns = "info/sparse-checkout";
    let from = repo.caller_git_dir().join(patterns);
    if !from.exists() {
        return Ok(());
    }
    let info = admin_dir.join("info");
    fs::create_dir(&info).map_err(Error::io("create", &info))?;
    copy(&from, &admin_dir.join(patterns)).map(drop)
}
