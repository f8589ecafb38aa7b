//! The user's repository: found, opened and asked, never changed.
//!
//! Owns the paths of the repository, and [`CommitId`]. Imported by the files of this module above `git`.
//!
//! Invariants: it is opened where it was found, never by a `.git` file of a worktree; it is opened as a bare one, so
//! that no checkout's attributes count.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use git2::{ErrorClass, ErrorCode, ObjectType, Oid};
use serde::{Deserialize, Serialize};

use super::discovery::{ask, main_work_tree, real, refuse_unspeakable, refused};
use super::error::Error;
use super::files::known_path;
use super::git::Git;

/// The full id of a commit: 40 lowercase hexadecimal digits.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
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

/// The settings that make a remote a promisor.
const PROMISOR: &str = r"^remote\..*\.promisor$";

/// A repository as the caller's path led to it. Holds paths only: cheap to clone, free to share between threads.
#[derive(Debug, Clone)]
pub struct Repository {
    common_dir: PathBuf,
    root: PathBuf,
    pub(super) caller: Option<Checkout>,
}

/// The checkout that the caller's path led to.
#[derive(Debug, Clone)]
pub(super) struct Checkout {
    pub(super) git_dir: PathBuf,
    pub(super) work_tree: PathBuf,
}

impl Repository {
    /// Finds the repository of `path` as git does: `path` may be in a subdirectory, in a linked worktree or a
    /// submodule, or be bare. Whether a repository of another user may be used is git's own decision
    /// (`safe.directory`).
    ///
    /// # Errors
    /// [`Error::NotARepository`], [`Error::UnsafeOwnership`], [`Error::NotText`], and [`Error::Unsupported`] for what
    /// libgit2 can't read (reftable, sha256).
    pub fn discover(path: &Path) -> Result<Self, Error> {
        let [is_inside, up, common_dir, git_dir] = ask(
            path,
            [
                "--is-inside-work-tree",
                "--show-cdup",
                "--git-common-dir",
                "--absolute-git-dir",
            ],
        )?;
        let (common_dir, git_dir) = (real(path, &common_dir)?, real(path, &git_dir)?);
        let is_inside = is_inside == b"true";
        let work_tree = is_inside.then(|| real(path, &up)).transpose()?;
        let main = match &work_tree {
            Some(work_tree) if git_dir == common_dir => Some(work_tree.clone()),
            _ => main_work_tree(&common_dir)?,
        };
        let root = main
            .or_else(|| work_tree.clone())
            .unwrap_or_else(|| common_dir.clone());
        let work_tree = work_tree.or_else(|| (root != common_dir).then(|| root.clone()));
        for path in [&root, &common_dir] {
            refuse_unspeakable(path)?;
        }
        let found = Self {
            caller: work_tree.map(|work_tree| Checkout { git_dir, work_tree }),
            common_dir,
            root,
        };
        found.open()?;
        Ok(found)
    }

    /// Opens the repository that a run was begun in: exactly that git directory, and nothing that is found on the way.
    ///
    /// # Errors
    /// [`Error::RepositoryGone`], and [`Error::Unsupported`] as [`Repository::discover`].
    pub fn open_recorded(common_dir: &Path, root: &Path) -> Result<Self, Error> {
        let found = Self {
            common_dir: common_dir.to_owned(),
            root: root.to_owned(),
            caller: None,
        };
        match found.open() {
            Ok(_) => {}
            Err(Error::NotARepository { .. }) => {
                return Err(Error::RepositoryGone {
                    path: common_dir.to_owned(),
                });
            }
            Err(other) => return Err(other),
        }
        Ok(found)
    }

    /// The same by what is on record of a run: an old record names only the repository's top.
    ///
    /// # Errors
    /// As [`Repository::open_recorded`].
    pub fn open_of_run(root: &Path, common_dir: Option<&Path>) -> Result<Self, Error> {
        if let Some(common_dir) = common_dir {
            return Self::open_recorded(common_dir, root);
        }
        let gone = || Error::RepositoryGone {
            path: root.to_owned(),
        };
        match Self::discover(root) {
            // Another one has the path below it by now.
            Ok(found) if found.root() != root => Err(gone()),
            Err(Error::NotARepository { .. }) => Err(gone()),
            other => other,
        }
    }

    /// A call of git on what all worktrees share.
    pub(super) fn git(&self, verb: &'static str) -> Git {
        Git::new(&self.common_dir, &self.common_dir, verb)
    }

    /// Sees that the commit is there that a run was begun from: else this is another repository, or a damaged one.
    ///
    /// # Errors
    /// [`Error::Git`].
    pub(crate) fn find_base(&self, base: CommitId) -> Result<(), Error> {
        let found = self.open()?.find_commit(base.0).map(drop);
        found.map_err(Error::git("read the base commit"))
    }

    /// The top of the main checkout; where that can't be told from here, as with a bare repository's worktrees, the top
    /// of the checkout that the path led to; else the git directory. Absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The work tree that the caller's path led to; `None` for a bare repository.
    #[must_use]
    pub fn checkout(&self) -> Option<&Path> {
        self.caller
            .as_ref()
            .map(|caller| caller.work_tree.as_path())
    }

    /// The git directory that all worktrees share. Absolute.
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Resolves a branch, a tag, an abbreviated id or an expression such as `HEAD~2`, as the caller's checkout sees it.
    ///
    /// # Errors
    /// [`Error::UnknownRevision`] if it is not a commit, or begins with `-`; [`Error::NoCommit`] for a HEAD without
    /// one.
    pub fn resolve_base(&self, rev: &str) -> Result<CommitId, Error> {
        let unknown = |source| Error::UnknownRevision {
            rev: rev.to_owned(),
            source,
        };
        if rev.is_empty() || rev.starts_with('-') {
            return Err(unknown(None));
        }
        let repo = self.open_as_caller()?;
        if rev == "HEAD"
            && repo
                .head()
                .is_err_and(|e| e.code() == ErrorCode::UnbornBranch)
        {
            return Err(Error::NoCommit {
                path: self.root.clone(),
            });
        }
        let object = repo.revparse_single(rev).map_err(|e| unknown(Some(e)))?;
        let commit = object.peel_to_commit().map_err(|e| unknown(Some(e)))?;
        Ok(CommitId(commit.id()))
    }

    /// Whether `base` has something at that path.
    pub(crate) fn has_at(&self, base: CommitId, path: &Path) -> Result<bool, Error> {
        Ok(self.kind_at(base, path)?.is_some())
    }

    /// Whether `base` has a directory at that path; its top is one.
    pub(crate) fn has_directory_at(&self, base: CommitId, path: &Path) -> Result<bool, Error> {
        let is_top = path.as_os_str().is_empty();
        Ok(is_top || self.kind_at(base, path)? == Some(ObjectType::Tree))
    }

    fn kind_at(&self, base: CommitId, path: &Path) -> Result<Option<ObjectType>, Error> {
        let open = self.open()?;
        let tree = open.find_commit(base.0).and_then(|commit| commit.tree());
        match tree.and_then(|tree| tree.get_path(path)) {
            Ok(entry) => return Ok(entry.kind()),
            Err(e) if (e.class(), e.code()) == (ErrorClass::Tree, ErrorCode::NotFound) => {
                return Ok(None);
            }
            Err(_) => {}
        }
        // In a clone without trees git fetches it, as the checkout will.
        let listed = Git::new(&self.common_dir, &self.root, "ls-tree")
            .args(["--full-tree", &base.to_string(), "--"])
            .args([path])
            .query_output(Vec::new())?;
        let kind = listed.split(|byte| *byte == b' ').nth(1);
        Ok(kind.and_then(|kind| ObjectType::from_str(std::str::from_utf8(kind).ok()?)))
    }

    /// The git directory of the caller's checkout, where there is one: a linked worktree's own. Absolute.
    pub(super) fn caller_git_dir(&self) -> &Path {
        let caller = self.caller.as_ref();
        caller.map_or(&self.common_dir, |caller| &caller.git_dir)
    }

    /// What the agent's own git needs to see the worktree as ours does: no replacements, where there are some, and
    /// trust in a repository of another user, which git knows by the directory.
    pub(crate) fn git_variables(&self, worktree: &Path) -> Result<Vec<(String, String)>, Error> {
        let failed = "list the replacements";
        let open = self.open()?;
        let mut replaced = open
            .references_glob("refs/replace/*")
            .map_err(Error::git(failed))?;
        let mut variables = Vec::new();
        if replaced.next().is_some() {
            variables.push(("GIT_NO_REPLACE_OBJECTS".to_owned(), "1".to_owned()));
        }
        let owner = fs::metadata(&self.common_dir).map_err(Error::io("read", &self.common_dir))?;
        if owner.uid() != rustix::process::geteuid().as_raw() {
            let worktree = known_path(worktree)?;
            let worktree = worktree.to_string_lossy().into_owned();
            for (name, value) in [
                ("COUNT", "1".to_owned()),
                ("KEY_0", "safe.directory".to_owned()),
                ("VALUE_0", worktree),
            ] {
                variables.push((format!("GIT_CONFIG_{name}"), value));
            }
        }
        Ok(variables)
    }

    /// Returns whether the repository has a promisor remote: what isn't here, git fetches.
    pub(super) fn is_partial_clone(&self) -> Result<bool, Error> {
        let asked = Git::new(self.caller_git_dir(), &self.common_dir, "config")
            .args(["-z", "--type=bool", "--get-regexp", PROMISOR])
            .query_end(Vec::new())?;
        // 1 says that there are none.
        let settings = match asked.status.code() {
            Some(1) => Vec::new(),
            _ => asked.into_output("config")?,
        };
        let mut settings = settings.split(|byte| *byte == 0);
        Ok(settings.any(|setting| setting.ends_with(b"\ntrue")))
    }

    /// Whether a commit's tree, as far as it is there, names submodules.
    pub(super) fn has_submodules(&self, base: CommitId) -> Result<bool, Error> {
        let repo = self.open_as_caller()?;
        let commit = repo
            .find_commit(base.0)
            .map_err(Error::git("read the base commit"))?;
        let tree = commit.tree();
        Ok(tree.is_ok_and(|tree| tree.get_name(".gitmodules").is_some()))
    }

    /// Opens the shared repository as a bare one: no checkout's attributes count, and no ownership, which git
    /// has judged before.
    pub(crate) fn open(&self) -> Result<git2::Repository, Error> {
        git2::Repository::open_bare(&self.common_dir).map_err(|source| refused(&self.root, source))
    }

    fn open_as_caller(&self) -> Result<git2::Repository, Error> {
        let path = self.caller_git_dir();
        git2::Repository::open_bare(path).map_err(|source| refused(&self.root, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_id_is_a_commit_id() {
        assert!("abc".parse::<CommitId>().is_err());
        assert!("g".repeat(40).parse::<CommitId>().is_err());
        let id = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(id.parse::<CommitId>().expect("a full id").to_string(), id);
    }
}
