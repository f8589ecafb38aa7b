//! The user's repository: found, opened and asked, never changed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use git2::{ErrorClass, ErrorCode, Oid, RepositoryOpenFlags};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::capture::{self, Source};
use super::error::Error;
use super::git::Git;
use super::snapshot::operator_signature;

/// The full id of a commit: 40 lowercase hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(pub(crate) Oid);

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CommitId {
    type Err = Error;

    /// # Errors
    /// [`Error::UnknownRevision`] unless it is a full id.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = |source| Error::UnknownRevision {
            rev: text.to_owned(),
            source,
        };
        if text.len() != 40 {
            return Err(refused(None));
        }
        Oid::from_str(text).map(Self).map_err(|e| refused(Some(e)))
    }
}

impl TryFrom<String> for CommitId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> Self {
        id.to_string()
    }
}

/// What is uncommitted in the caller's checkout, as `git status` counts: an untracked directory is one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Dirty {
    /// Tracked files that differ from HEAD.
    pub modified: usize,
    /// Untracked files and directories that are not ignored.
    pub untracked: usize,
}

impl Dirty {
    /// Nothing is uncommitted.
    #[must_use]
    pub fn is_clean(self) -> bool {
        self == Self::default()
    }
}

/// What in a repository needs care beyond plain files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not a state"
)]
pub struct Features {
    /// The base commit has submodules: their directories stay empty.
    pub submodules: bool,
    /// The top `.gitattributes` of the base commit names the LFS filter.
    pub lfs: bool,
    /// A clean or smudge program is configured.
    pub filters: bool,
    /// The checkout is sparse: the worktree will be as well.
    pub sparse: bool,
    /// The repository has a promisor remote: filling the worktree may need the network.
    pub partial_clone: bool,
}

/// A repository as the caller's path led to it. Holds paths only: cheap to clone, free to share between threads.
#[derive(Debug, Clone)]
pub struct Repository {
    common_dir: PathBuf,
    root: PathBuf,
    caller: Option<Checkout>,
}

#[derive(Debug, Clone)]
struct Checkout {
    git_dir: PathBuf,
    work_tree: PathBuf,
}

impl Repository {
    /// Finds the main repository of `path`, which may lie in a subdirectory, in a linked worktree, or be bare.
    ///
    /// # Errors
    /// [`Error::NotARepository`], [`Error::UnsafeOwnership`], [`Error::NoCommit`], and [`Error::Unsupported`] for
    /// what libgit2 can't open (reftable, sha256).
    pub fn discover(path: &Path) -> Result<Self, Error> {
        let found = git2::Repository::open_ext(path, RepositoryOpenFlags::empty(), &[] as &[&Path])
            .map_err(|source| refused(path, source))?;
        let common_dir = canonical(found.commondir())?;
        let main = git2::Repository::open_ext(
            &common_dir,
            RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::NO_DOTGIT,
            &[] as &[&Path],
        )
        .map_err(|source| refused(path, source))?;
        let root = canonical(main.workdir().unwrap_or(&common_dir))?;
        if found
            .head()
            .is_err_and(|e| e.code() == ErrorCode::UnbornBranch)
        {
            return Err(Error::NoCommit { path: root });
        }
        let caller = match found.workdir() {
            Some(work_tree) => Some(Checkout {
                git_dir: canonical(found.path())?,
                work_tree: canonical(work_tree)?,
            }),
            None => None,
        };
        Ok(Self {
            common_dir,
            root,
            caller,
        })
    }

    /// The top of the main checkout, or the git directory of a bare repository. Absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The git directory that all worktrees share. Absolute.
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Resolves a branch, a tag, an abbreviated id or an expression such as `HEAD~2`, as the caller's checkout sees it.
    ///
    /// # Errors
    /// [`Error::UnknownRevision`] if it is not a commit, or begins with `-`.
    pub fn resolve_base(&self, rev: &str) -> Result<CommitId, Error> {
        let unknown = |source| Error::UnknownRevision {
            rev: rev.to_owned(),
            source,
        };
        if rev.is_empty() || rev.starts_with('-') {
            return Err(unknown(None));
        }
        let repo = self.open_as_caller()?;
        let object = repo.revparse_single(rev).map_err(|e| unknown(Some(e)))?;
        let commit = object.peel_to_commit().map_err(|e| unknown(Some(e)))?;
        Ok(CommitId(commit.id()))
    }

    /// Counts what is uncommitted in the caller's checkout; a bare repository is clean. Writes nothing, the index's
    /// cached file times included.
    ///
    /// # Errors
    /// Those of running git.
    pub fn query_dirty(&self) -> Result<Dirty, Error> {
        let Some(Checkout { git_dir, work_tree }) = &self.caller else {
            return Ok(Dirty::default());
        };
        // The program and not libgit2: it compares the files on all cores, and knows sparse and split indexes.
        let output = Git::new(git_dir, work_tree, "status")
            .args(["--porcelain=v1", "-z", "--no-renames"])
            .args(["--untracked-files=normal", "--ignore-submodules=all"])
            .query_output(Vec::new())?;
        Ok(count_dirty(&output))
    }

    /// Commits the caller's uncommitted and untracked files on top of `base`, without touching their index, refs or
    /// files. No ref holds the commit: whoever takes it as a base must keep it.
    ///
    /// # Errors
    /// [`Error::BaseIsNotHead`], [`Error::NoCheckout`], [`Error::Unreadable`], or those of libgit2.
    pub fn snapshot_dirty(&self, base: CommitId, message: &str) -> Result<CommitId, Error> {
        let Some(Checkout { git_dir, work_tree }) = &self.caller else {
            return Err(Error::NoCheckout {
                path: self.root.clone(),
            });
        };
        if self.resolve_base("HEAD")? != base {
            return Err(Error::BaseIsNotHead {
                base: base.to_string(),
            });
        }
        let repo = self.open_with_work_tree(work_tree)?;
        let parent = repo
            .find_commit(base.0)
            .map_err(Error::git("read the base commit"))?;
        let index = git_dir.join("index");
        let captured = capture::take(&Source {
            repo: &repo,
            work_tree,
            head: &parent
                .tree()
                .map_err(Error::git("read the base commit's tree"))?,
            seed: &index,
            staged: git2::Index::open(&index).map_err(Error::git("read the checkout's index"))?,
            stop: &CancellationToken::new(),
        })?;
        let tree = repo
            .find_tree(captured.tree)
            .map_err(Error::git("read the captured tree"))?;
        let author = operator_signature()?;
        repo.commit(None, &author, &author, message, &tree, &[&parent])
            .map(CommitId)
            .map_err(Error::git("commit the uncommitted changes"))
    }

    /// Whether `base` has something at that path.
    pub(crate) fn has_at(&self, base: CommitId, path: &str) -> Result<bool, Error> {
        let repo = self.open()?;
        let tree = repo
            .find_commit(base.0)
            .and_then(|commit| commit.tree())
            .map_err(Error::git("read the base commit"))?;
        Ok(tree.get_path(Path::new(path)).is_ok())
    }

    /// Tells what in the repository and in `base` needs care.
    ///
    /// # Errors
    /// Those of libgit2.
    pub fn features(&self, base: CommitId) -> Result<Features, Error> {
        let repo = self.open_as_caller()?;
        let tree = repo
            .find_commit(base.0)
            .and_then(|commit| commit.tree())
            .map_err(Error::git("read the base commit"))?;
        let lfs = tree
            .get_name(".gitattributes")
            .and_then(|entry| repo.find_blob(entry.id()).ok())
            .is_some_and(|blob| blob.content().windows(10).any(|w| w == b"filter=lfs"));
        let config = repo
            .config()
            .map_err(Error::git("read the configuration"))?;
        let has = |glob: &str| {
            config
                .entries(Some(glob))
                .is_ok_and(|mut entries| entries.next().is_some())
        };
        Ok(Features {
            submodules: tree.get_name(".gitmodules").is_some(),
            lfs,
            filters: has(r"^filter\..*\.(clean|smudge|process)$"),
            sparse: config.get_bool("core.sparsecheckout").unwrap_or(false),
            partial_clone: has(r"^remote\..*\.promisor$"),
        })
    }

    /// Opens the shared repository as a bare one: no checkout's attributes have a say.
    pub(crate) fn open(&self) -> Result<git2::Repository, Error> {
        let flags = RepositoryOpenFlags::NO_SEARCH
            | RepositoryOpenFlags::BARE
            | RepositoryOpenFlags::NO_DOTGIT;
        git2::Repository::open_ext(&self.common_dir, flags, &[] as &[&Path])
            .map_err(|source| refused(&self.root, source))
    }

    /// Opens the shared repository with `work_tree` as its files, whatever a `.git` in there says.
    pub(super) fn open_with_work_tree(&self, work_tree: &Path) -> Result<git2::Repository, Error> {
        let repo = self.open()?;
        repo.set_workdir(work_tree, false)
            .map_err(Error::git("use the worktree"))?;
        Ok(repo)
    }

    fn open_as_caller(&self) -> Result<git2::Repository, Error> {
        let path = self
            .caller
            .as_ref()
            .map_or(&self.common_dir, |c| &c.git_dir);
        let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::NO_DOTGIT;
        git2::Repository::open_ext(path, flags, &[] as &[&Path])
            .map_err(|source| refused(&self.root, source))
    }
}

fn canonical(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(Error::io("find", path))
}

/// Turns libgit2's refusal into ours. The extension is known by the words of libgit2 1.9 (`repository.c`), which has
/// no code of its own for it.
fn refused(path: &Path, source: git2::Error) -> Error {
    let path = path.to_owned();
    let words = source.message().to_lowercase();
    let unsupported = [
        ("refstorage", "ref storage format (reftable)"),
        ("objectformat", "object format (sha256)"),
        ("object format", "object format (sha256)"),
        ("extension", "repository format extension"),
        ("repository version", "repository format version"),
    ];
    match source.code() {
        ErrorCode::NotFound if source.class() != ErrorClass::Config => {
            Error::NotARepository { path }
        }
        ErrorCode::Owner => Error::UnsafeOwnership { path, source },
        _ => match unsupported.iter().find(|(word, _)| words.contains(word)) {
            Some((_, feature)) => Error::Unsupported {
                path,
                feature,
                source,
            },
            None => Error::Git {
                action: "open the repository",
                source,
            },
        },
    }
}

/// Counts the entries of `git status --porcelain=v1 -z --no-renames`.
fn count_dirty(output: &[u8]) -> Dirty {
    let entries = output.split(|b| *b == 0).filter(|entry| !entry.is_empty());
    let (untracked, modified): (Vec<_>, Vec<_>) =
        entries.partition(|entry| entry.starts_with(b"??"));
    Dirty {
        modified: modified.len(),
        untracked: untracked.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_entries_are_counted_by_kind() {
        let dirty = count_dirty(b" M a\0?? b\0D  c\nd\0?? e/\0");
        assert_eq!(
            dirty,
            Dirty {
                modified: 2,
                untracked: 2
            }
        );
        assert!(count_dirty(b"").is_clean());
    }

    #[test]
    fn only_a_full_id_is_a_commit_id() {
        assert!("abc".parse::<CommitId>().is_err());
        assert!("g".repeat(40).parse::<CommitId>().is_err());
        let id = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(id.parse::<CommitId>().expect("a full id").to_string(), id);
    }
}
