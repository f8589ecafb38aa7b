//! Errors of repositories and worktrees.
//!
//! Owns the error type of this module. Imported by all its files; imports none of them.
//!
//! Invariant: a variant is named after a condition; its cause is in `source` alone.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use super::repository::CommitId;
use crate::os::chain::failed;

/// Why a repository or a worktree could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No repository at the path or above it.
    #[error("{} is not in a git repository", path.display())]
    NotARepository {
        /// Where the search began.
        path: PathBuf,
    },
    /// HEAD points at a branch without a commit.
    #[error("the repository at {} has no commit yet", path.display())]
    NoCommit {
        /// The repository's top.
        path: PathBuf,
    },
    /// The repository has a format that libgit2 cannot read.
    #[error("the repository at {} has an unsupported {feature}", path.display())]
    Unsupported {
        /// Where the search began.
        path: PathBuf,
        /// Such as `ref storage format (reftable)`.
        feature: &'static str,
    },
    /// The repository belongs to another user and `safe.directory` does not list it.
    #[error("the repository at {} belongs to another user; if you trust it: {remedy}", path.display())]
    UnsafeOwnership {
        /// Where the search began.
        path: PathBuf,
        /// git's own advice: a command line.
        remedy: String,
    },
    /// The repository that a run was begun in is not where it was.
    #[error("the repository {} was moved or deleted; once it is back, try again", path.display())]
    RepositoryGone {
        /// Its git directory.
        path: PathBuf,
    },
    /// A path that is no UTF-8 text: journal and record could not hold it.
    #[error("the path {} is not UTF-8 ({path:?})", path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
    /// Other users may move or replace the entries of the directory.
    #[error("{} is not safe for a worktree: other users may rename its entries", path.display())]
    OpenDirectory {
        /// The directory, free of symbolic links.
        path: PathBuf,
    },
    /// The revision names nothing, or something that is not a commit.
    #[error("'{rev}' is not a commit")]
    UnknownRevision {
        /// As it was given.
        rev: String,
        /// libgit2's own words; absent when the revision was refused unread.
        source: Option<git2::Error>,
    },
    /// The caller's checkout is not on the commit that its changes were to be added to.
    #[error("the uncommitted changes can't be included: the checkout is not on {base}")]
    BaseIsNotHead {
        /// The commit asked for.
        base: String,
    },
    /// The repository is bare: it has no checkout.
    #[error("there are no uncommitted changes to include: {} has no checkout", path.display())]
    NoCheckout {
        /// The repository.
        path: PathBuf,
    },
    /// Both the result and the branch changed the same lines.
    #[error("the result conflicts with {branch} in {}", listed(files))]
    Conflict {
        /// Without `refs/heads/`.
        branch: String,
        /// Their paths.
        files: Vec<String>,
    },
    /// Files that would change have changes that no commit has.
    #[error("{} has uncommitted changes in files of the result: {}", path.display(), listed(files))]
    LocalChanges {
        /// The checkout.
        path: PathBuf,
        /// Their paths.
        files: Vec<String>,
    },
    /// There is no branch to bring a result onto.
    #[error("no branch is checked out at {}: name one with --branch", path.display())]
    Detached {
        /// The checkout, or the bare repository.
        path: PathBuf,
    },
    /// A checkout is in the middle of something.
    #[error("{doing} is under way at {}: finish or abort it first", path.display())]
    Busy {
        /// The checkout, or the state that git keeps of it.
        path: PathBuf,
        /// Such as `a rebase`.
        doing: &'static str,
    },
    /// A commit of a run is no longer in the repository.
    #[error("the commit {commit} of the run is no longer in the repository")]
    ResultGone {
        /// Its id.
        commit: CommitId,
    },
    /// The agent's commits can't be replayed.
    #[error(
        "the agent's commits don't descend from the base commit: bring them as one with --squash"
    )]
    Rewritten,
    /// A commit of the user's needs their name.
    #[error(
        "git does not know whose commit it will be: set user.name and user.email with `git config`"
    )]
    NoIdentity,
    /// Not a name that git accepts for this kind of ref.
    #[error("'{name}' is invalid as the name of a ref")]
    InvalidName {
        /// As it was given.
        name: String,
    },
    /// Something, a dangling symbolic link included, is where the worktree should go.
    #[error("{} exists already", path.display())]
    PathExists {
        /// The worktree's path.
        path: PathBuf,
    },
    /// The branch is there already.
    #[error("the branch {name} exists already{}", held(holder.as_deref()))]
    BranchExists {
        /// Without `refs/heads/`.
        name: String,
        /// The checkout that has it, if any.
        holder: Option<PathBuf>,
    },
    /// Adding failed halfway; what had been made is gone again.
    #[error("{}", failed(format_args!("add the worktree (its parts are removed again)")))]
    RolledBack {
        /// The failure.
        source: Box<Error>,
    },
    /// Adding failed halfway, and so did the removal of what had been made.
    #[error("{}", failed(format_args!("add the worktree, and to remove {} again", paths(left))))]
    LeftBehind {
        /// The rest: paths, or names of refs.
        left: Vec<PathBuf>,
        /// The first failure.
        source: Box<Error>,
    },
    /// No marker proves that the worktree is the owner's.
    #[error("nothing proves that the worktree {} is this run's", path.display())]
    NotOwned {
        /// The worktree's path.
        path: PathBuf,
    },
    /// What is at the path is not the directory that was made for the run.
    #[error("{} is not the directory that was made for this run", path.display())]
    Replaced {
        /// The worktree's path.
        path: PathBuf,
    },
    /// A file of the worktree could not be read, so that a snapshot would lose it.
    #[error("{}", failed(format_args!("read {} of the worktree", path.display())))]
    Unreadable {
        /// Relative to the worktree.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file of the worktree could not be stored in the repository.
    #[error("{}", failed(format_args!("store {} of the worktree", path.display())))]
    Unstorable {
        /// Relative to the worktree.
        path: PathBuf,
        /// libgit2's own words.
        source: git2::Error,
    },
    /// A part of the result isn't in the repository, or can't be read there: what it was taken from must stay.
    #[error("{what} of the result is not in the repository, or is damaged")]
    Incomplete {
        /// The id of an object, or the ref's name.
        what: String,
        /// libgit2's own words.
        source: git2::Error,
    },
    /// The git program ended with an error.
    #[error("{}", failed(format_args!("run git {verb} ({status}): {stderr}")))]
    GitFailed {
        /// Such as `read-tree`.
        verb: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        stderr: String,
    },
    /// The git program did not end in time and was killed.
    #[error("git {verb} did not end within {} s", limit.as_secs())]
    GitTimedOut {
        /// Such as `read-tree`.
        verb: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// It was told to stop before it was done.
    #[error("reading the worktree was stopped")]
    Stopped,
    /// The git program could not be started or talked to.
    #[error("{}", failed(format_args!("start git {verb}")))]
    GitNotStarted {
        /// Such as `read-tree`.
        verb: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A file or directory of ours.
    #[error("{}", failed(format_args!("{action} {}", path.display())))]
    Io {
        /// A verb, such as `write`.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The repository itself.
    #[error("{}", failed(action))]
    Git {
        /// Such as `read the commit`.
        action: &'static str,
        /// libgit2's own words.
        source: git2::Error,
    },
}

impl Error {
    /// What to do now, where more is known than that the repository is in trouble.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotARepository { .. } => "go into a git repository, or name one with --repo",
            Self::NoCommit { .. } => "make a first commit there",
            Self::Unsupported { .. } => "take a clone without it",
            Self::UnsafeOwnership { .. } => "do that only if you trust whoever owns it",
            Self::RepositoryGone { .. } => {
                "bring it back, or take its records away with `cx-operator prune`"
            }
            Self::NotText { .. } => "name it by a path that is text, such as that of a link",
            Self::OpenDirectory { .. } => "choose another place with --worktree-root",
            Self::UnknownRevision { .. } => "`git log --oneline --all` names commits",
            Self::BaseIsNotHead { .. } => {
                "check that commit out, or leave out one of --base and --include-dirty"
            }
            Self::NoCheckout { .. } => "begin in a checkout, or leave out --include-dirty",
            Self::Detached { .. } => "check a branch out, or name one with --branch",
            Self::Busy { .. } => "`git status` says how to finish or to abort it",
            Self::ResultGone { .. } => "`patch.diff` in the run's directory has it as a patch",
            Self::Rewritten => "`cx-operator show` names the commits",
            Self::NoIdentity => "`git config --global user.name NAME`, and user.email",
            Self::InvalidName { .. } => "`git help check-ref-format` says what a name may have",
            Self::GitTimedOut { .. } => "see what keeps git busy, or a hanging disk",
            _ => return None,
        })
    }
}

impl Error {
    /// Whether a disk, or the user's part of it, is full.
    pub(crate) fn is_disk_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        let full = |e: &io::Error| matches!(e.kind(), StorageFull | QuotaExceeded);
        // libgit2 passes the system's reason on in words, which Linux doesn't translate for it.
        let words = ["No space left on device", "Disk quota exceeded"];
        let said = |text: &str| words.iter().any(|words| text.contains(words));
        match self {
            Self::Io { source, .. } | Self::Unreadable { source, .. } => full(source),
            Self::Git { source, .. } | Self::Unstorable { source, .. } => said(source.message()),
            Self::GitFailed { stderr, .. } => said(stderr),
            Self::RolledBack { source } | Self::LeftBehind { source, .. } => source.is_disk_full(),
            _ => false,
        }
    }

    /// Wraps an error of libgit2: for `map_err`.
    pub(crate) fn git(action: &'static str) -> impl FnOnce(git2::Error) -> Self {
        move |source| Self::Git { action, source }
    }

    /// Wraps an error of the file system: for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

fn held(holder: Option<&Path>) -> String {
    holder.map_or_else(String::new, |path| {
        format!(", checked out at {}", path.display())
    })
}

/// How many files of a list are named in an error.
const FILES_NAMED: usize = 10;

fn listed(files: &[String]) -> String {
    let named = files[..files.len().min(FILES_NAMED)].join(", ");
    match files.len().saturating_sub(FILES_NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn paths(left: &[PathBuf]) -> String {
    let shown: Vec<_> = left.iter().map(|p| p.display().to_string()).collect();
    shown.join(", ")
}
