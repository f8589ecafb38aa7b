//! Where a repository is, by git's own word, and why it can't be used.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use git2::{ErrorClass, ErrorCode};

use super::error::Error;
use super::git::Git;

/// `git rev-parse` repeats an option that it doesn't know. A path of git's may have any byte, a line's end included, but
/// no two slashes in a row.
const SEPARATOR: &str = "--//";

/// Asks `git rev-parse` at a path for some things. The answers are in the same order.
pub(super) fn ask<const N: usize>(
    path: &Path,
    what: [&'static str; N],
) -> Result<[Vec<u8>; N], Error> {
    let output = Git::searching(path, "rev-parse")
        .args(what.into_iter().flat_map(|what| [what, SEPARATOR]))
        .query_output(Vec::new())
        .map_err(|error| git_refused(path, error))?;
    let lines: Vec<&[u8]> = output.split(|b| *b == b'\n').collect();
    let mut answers = lines.split(|line| *line == SEPARATOR.as_bytes());
    Ok(what.map(|_| answers.next().unwrap_or_default().join(&b'\n')))
}

/// The path in an answer that git gave at `path`. Absolute, free of symbolic links.
pub(super) fn real(path: &Path, said: &[u8]) -> Result<PathBuf, Error> {
    let said = path.join(OsStr::from_bytes(said));
    said.canonicalize().map_err(Error::io("find", &said))
}

/// The main checkout of a git directory, as far as that tells: `core.worktree`, or the directory whose `.git` it is.
pub(super) fn main_work_tree(common_dir: &Path) -> Result<Option<PathBuf>, Error> {
    let open = git2::Repository::open_bare(common_dir).map_err(|e| refused(common_dir, e))?;
    let config = open
        .config()
        .map_err(Error::git("read the configuration"))?;
    if config.get_bool("core.bare").unwrap_or(false) {
        return Ok(None);
    }
    let top = match config.get_path("core.worktree") {
        Ok(top) => common_dir.join(top).canonicalize().ok(),
        Err(_) => common_dir.parent().map(Path::to_owned),
    };
    let leads_here = |top: &PathBuf| {
        let found = ask(top, ["--git-common-dir"]).and_then(|[dir]| real(top, &dir));
        found.is_ok_and(|found| found == common_dir)
    };
    Ok(top.filter(|top| top.is_dir() && leads_here(top)))
}

/// Refuses a path that no record can hold.
pub(crate) fn refuse_unspeakable(path: &Path) -> Result<(), Error> {
    match path.to_str() {
        Some(_) => Ok(()),
        None => Err(Error::NotText {
            path: path.to_owned(),
        }),
    }
}

/// Turns git's refusal of a place into ours.
fn git_refused(path: &Path, error: Error) -> Error {
    let path = path.to_owned();
    let words = match &error {
        Error::GitFailed { stderr, .. } => stderr.as_str(),
        Error::GitNotStarted { source, .. } if !path.is_dir() => {
            tracing::debug!(%source, "no directory");
            return Error::NotARepository { path };
        }
        _ => return error,
    };
    if words.contains("dubious ownership") {
        let remedy = words.lines().map(str::trim);
        let remedy = remedy.rev().find(|line| line.starts_with("git config"));
        let remedy = remedy
            .unwrap_or("see `git help config`, safe.directory")
            .to_owned();
        return Error::UnsafeOwnership { path, remedy };
    }
    if words.contains("not a git repository") || words.contains("must be run in a work tree") {
        return Error::NotARepository { path };
    }
    match unsupported(words) {
        Some(feature) => Error::Unsupported { path, feature },
        None => error,
    }
}

/// What of a repository's format a complaint is about, in the words of git or of libgit2 1.9 (`repository.c`), which
/// has no code of its own for it.
fn unsupported(words: &str) -> Option<&'static str> {
    let words = words.to_lowercase();
    let known = [
        ("refstorage", "ref storage format (reftable)"),
        ("objectformat", "object format (sha256)"),
        ("object format", "object format (sha256)"),
        ("extension", "repository format extension"),
        ("repository version", "repository format version"),
        ("repo version", "repository format version"),
    ];
    let found = known.into_iter().find(|(word, _)| words.contains(word));
    found.map(|(_, feature)| feature)
}

/// Turns libgit2's refusal of a place into ours.
pub(super) fn refused(path: &Path, source: git2::Error) -> Error {
    let path = path.to_owned();
    match (source.code(), unsupported(source.message())) {
        (ErrorCode::NotFound, _) if source.class() != ErrorClass::Config => {
            Error::NotARepository { path }
        }
        (_, Some(feature)) => Error::Unsupported { path, feature },
        _ => Error::Git {
            action: "open the repository",
            source,
        },
    }
}
