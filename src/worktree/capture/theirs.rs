//! Finds and opens repositories of the agent's.
//!
//! libgit2 and git open what a git directory has or names, and would wait at a pipe for ever: such a repository is not
//! opened. Imported by `nested`.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use git2::Repository;

use crate::worktree::files::{list, read_small};

/// The longest file of settings, or of paths, that is read, in bytes.
const LIMIT: u64 = 1 << 20;
/// So many entries are looked at in one repository.
const MOST: usize = 1_000_000;

/// The git directory that the `.git` in a directory is, or leads to.
pub(super) fn find_git_dir(top: &Path) -> Option<PathBuf> {
    let git = top.join(".git").canonicalize().ok()?;
    let git_dir = if git.is_dir() {
        git
    } else {
        let text = read_small(&git, LIMIT)?;
        let path = text.strip_prefix(b"gitdir: ")?.trim_ascii_end();
        top.join(OsStr::from_bytes(path)).canonicalize().ok()?
    };
    has_head(&git_dir).then_some(git_dir)
}

/// The git directories below a directory, those of submodules in submodules too.
pub(super) fn find_git_dirs(below: PathBuf) -> Vec<PathBuf> {
    let (mut found, mut pending) = (Vec::new(), vec![below]);
    while let Some(dir) = pending.pop() {
        if has_head(&dir) {
            pending.push(dir.join("modules"));
            found.push(dir);
        } else {
            let below = list(&dir).unwrap_or_default().into_iter();
            pending.extend(below.filter(|path| is_own_dir(path)));
        }
    }
    found
}

fn has_head(dir: &Path) -> bool {
    dir.join("HEAD").symlink_metadata().is_ok()
}

fn is_own_dir(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_dir())
}

/// Opens the repository of a git directory; `None` where it can't be read, or not for sure without waiting. `known` is
/// the user's own, which is not looked at, nor are its objects. The agent's submodules are below it.
pub(super) fn open(git_dir: &Path, known: &Path) -> Option<Repository> {
    let is_quiet = is_quiet(git_dir, known)?;
    is_quiet.then(|| Repository::open_bare(git_dir).ok())?
}

/// Returns whether a git directory, and those that it takes objects from, have files and directories only; `None` where
/// that can't be told.
fn is_quiet(git_dir: &Path, known: &Path) -> Option<bool> {
    let (mut pending, mut seen) = (vec![git_dir.to_owned()], HashSet::new());
    let mut looked_at = 0;
    while let Some(dir) = pending.pop() {
        let Ok(dir) = dir.canonicalize() else {
            continue;
        };
        let is_known = dir == known || dir == known.join("objects");
        if is_known || !seen.insert(dir.clone()) {
            continue;
        }
        for path in list(&dir).ok()? {
            looked_at += 1;
            let meta = path.symlink_metadata().ok()?;
            if meta.is_dir() {
                pending.push(path);
            } else if looked_at > MOST || !meta.is_file() && !leads_to_file(&path) {
                return Some(false);
            } else {
                pending.extend(find_named(&path)?);
            }
        }
    }
    Some(true)
}

/// Returns whether whoever opens a link finds a file, or nothing. A link to a directory may lead anywhere.
fn leads_to_file(path: &Path) -> bool {
    path.is_symlink() && fs::metadata(path).map_or(true, |meta| meta.is_file())
}

/// The directories that a file of a git directory names; `None` if it may name files.
fn find_named(path: &Path) -> Option<Vec<PathBuf>> {
    let name = path.file_name()?.as_bytes();
    let dir = path.parent()?;
    let read = || read_small(&path.canonicalize().ok()?, LIMIT);
    let named = match name {
        b"config" | b"config.worktree" => {
            let include = b"[include";
            let text = read()?.to_ascii_lowercase();
            let includes = text.windows(include.len()).any(|part| part == include);
            return (!includes).then(Vec::new);
        }
        b"commondir" => vec![dir.join(OsStr::from_bytes(read()?.trim_ascii_end()))],
        // Relative to `objects`, in whose `info` it is.
        b"alternates" => {
            let (objects, text) = (dir.parent()?, read()?);
            let lines = text.split(|byte| *byte == b'\n');
            let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
            let path = |line| objects.join(OsStr::from_bytes(line));
            // In quotes it is another path.
            let plain = lines.clone().all(|line| !line.starts_with(b"\""));
            return plain.then(|| lines.map(path).collect());
        }
        _ => Vec::new(),
    };
    Some(named)
}
