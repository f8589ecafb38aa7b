//! `git add -A` of a work tree into an index of ours, and what becomes of the files that git can't add.
//!
//! Owns the contents that are stored. Imported by `capture` and `nested`.
//!
//! Invariant: a file that can't be stored costs no other file, and is named.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use git2::Oid;

use super::ground::{EXECUTABLE, FILE, Ground, find, quoted};
use crate::worktree::error::Error;

/// git's exit status when it could not add some files.
const SOME_FAILED: i32 = 1;

/// Where a file is looked for at which git ended.
enum Look {
    /// Among those that the index doesn't have as they are.
    Changed,
    /// Among all that it has: git reads a file again that was written in the second of the index, changed or not. One
    /// that isn't changed stays as the index has it.
    Tracked,
    Nowhere,
}

/// How a content is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    /// As the rules of the repository convert it.
    Converted,
    /// Byte by byte.
    Raw,
}

/// What `git add` made of the files.
#[derive(Default)]
pub(super) struct Added {
    /// Stored as they are, since git could not convert them.
    pub(super) raw: Vec<Vec<u8>>,
    /// Not stored.
    pub(super) left_out: Vec<Vec<u8>>,
}

impl Ground<'_> {
    /// Adds all files but those at or below `except`. `deep` are directories for which git is called once more; `many`
    /// says that so many files are new that one pack is better than a file for each.
    pub(super) fn add(
        &self,
        mut except: Vec<Vec<u8>>,
        deep: &[Vec<u8>],
        many: bool,
    ) -> Result<Added, Error> {
        let mut refused = self.add_below(None, &mut except, many)?;
        for dir in deep {
            refused.extend(self.add_below(Some(dir), &mut except, many)?);
        }
        refused.sort();
        refused.dedup();
        self.store_raw(refused)
    }

    /// Adds what is below `dir` and returns what git refused. What would end git is left out from then on.
    fn add_below(
        &self,
        dir: Option<&[u8]>,
        except: &mut Vec<Vec<u8>>,
        many: bool,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let mut refused = Vec::new();
        for look in [Look::Changed, Look::Tracked, Look::Nowhere] {
            match self.try_add(dir, except, many) {
                Ok(()) => break,
                Err(failed) if is_partial(&failed) => {
                    refused.extend(self.list_changed(except)?);
                    break;
                }
                Err(failed) if failed.is_disk_full() => return Err(failed),
                Err(failed) => match look {
                    Look::Changed => {
                        refused = self.find_fatal(self.list_changed(except)?)?;
                        except.extend(refused.iter().cloned());
                    }
                    Look::Tracked => {
                        let tracked = self.query_names(&["ls-files", "-z"], except)?;
                        except.extend(self.find_fatal(tracked)?);
                    }
                    Look::Nowhere => return Err(failed),
                },
            }
        }
        Ok(refused)
    }

    fn try_add(&self, dir: Option<&[u8]>, except: &[Vec<u8>], many: bool) -> Result<(), Error> {
        let mut git = self
            .git("add")
            // Durability is seen to afterwards, for all objects at once.
            .setting("core.fsync", "committed,-loose-object")
            // Asks no repository below whether its files are committed: that would run what its configuration names.
            .setting("diff.ignoreSubmodules", "dirty")
            .args(["-A", "--sparse", "--ignore-errors"])
            .args(["--pathspec-from-file=-", "--pathspec-file-nul"]);
        if many {
            // A file beyond this size goes into a pack; 40,000 files of their own take git longer, and each reader.
            git = git.setting("core.bigFileThreshold", "1");
        }
        git.query_output(pathspecs(dir, except)).map(drop)
    }

    /// New and changed files that the index doesn't have, told from their times alone: no filter runs.
    fn list_changed(&self, except: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Error> {
        let new = ["ls-files", "-z", "--others", "--exclude-standard"];
        let changed = ["diff-files", "-z", "--name-only", "--ignore-submodules=all"];
        let names = self.query_names(&new, except)?;
        Ok([names, self.query_names(&changed, except)?].concat())
    }

    /// The paths that git lists, but those at or below `except`.
    fn query_names(
        &self,
        list: &[&'static str],
        except: &[Vec<u8>],
    ) -> Result<Vec<Vec<u8>>, Error> {
        let names = self
            .git(list[0])
            .args(&list[1..])
            .query_output(Vec::new())?;
        let names = names.split(|b| *b == 0).filter(|name| !name.is_empty());
        let paths = names.map(|name| name.strip_suffix(b"/").unwrap_or(name));
        let is_below = |path: &[u8], top: &Vec<u8>| {
            let rest = path.strip_prefix(&top[..]);
            rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
        };
        Ok(paths
            .filter(|path| !except.iter().any(|top| is_below(path, top)))
            .map(<[u8]>::to_vec)
            .collect())
    }

    /// Those of the files at which git ends: it must not, or can't, convert them.
    fn find_fatal(&self, paths: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Error> {
        let files: Vec<Vec<u8>> = paths
            .into_iter()
            .filter(|path| self.has_file(path))
            .collect();
        let stored = self.store(&files, Content::Converted)?;
        let fatal = files.into_iter().zip(stored);
        Ok(fatal
            .filter_map(|(path, id)| id.is_none().then_some(path))
            .collect())
    }

    /// Stores the contents of files. There is no id for one that git can't convert, or can't read.
    fn store(&self, files: &[Vec<u8>], content: Content) -> Result<Vec<Option<Oid>>, Error> {
        let mut stored = Vec::new();
        while let Some(rest) = files.get(stored.len()..).filter(|rest| !rest.is_empty()) {
            let lines: String = rest.iter().map(|path| quoted(path) + "\n").collect();
            let mut git = self.git("hash-object").args(["-w", "--stdin-paths"]);
            if content == Content::Raw {
                git = git.args(["--no-filters"]);
            }
            let ended = git.query_end(lines.into_bytes())?;
            // One line for each file before the one that it ended at.
            let ids = String::from_utf8_lossy(&ended.stdout);
            stored.extend(ids.lines().map(|id| id.parse().ok()));
            let Some(at) = files.get(stored.len()) else {
                break;
            };
            // A repository that takes nothing more ends the search.
            match content {
                Content::Converted => drop(self.store(std::slice::from_ref(at), Content::Raw)?),
                Content::Raw if File::open(self.full(at)).is_err() => {}
                Content::Raw => {
                    return Err(Error::Unstorable {
                        path: PathBuf::from(OsStr::from_bytes(at)),
                        source: git2::Error::from_str(&ended.stderr),
                    });
                }
            }
            stored.push(None);
        }
        Ok(stored)
    }

    /// Puts files into the index as they are.
    fn store_raw(&self, paths: Vec<Vec<u8>>) -> Result<Added, Error> {
        let mut added = Added::default();
        if paths.is_empty() {
            return Ok(added);
        }
        let (files, others) = paths.into_iter().partition(|path| self.has_file(path));
        added.left_out = others;
        let files: Vec<Vec<u8>> = files;
        let ids = self.store(&files, Content::Raw)?;
        let (index, has_modes) = (self.read_index()?, self.query_has_modes()?);
        let lines = files.iter().zip(&ids).filter_map(|(path, id)| {
            let mode = self.mode(path, find(&index, path).map(|entry| entry.mode), has_modes)?;
            let head = format!("{mode:o} {}\t", (*id)?);
            Some([head.as_bytes(), path, b"\0"].concat())
        });
        self.git("update-index")
            .args(["-z", "--index-info"])
            .query_output(lines.flatten().collect())?;
        let after = self.read_index()?;
        for (path, id) in files.into_iter().zip(ids) {
            // git passes over a name that no tree may have.
            if id.is_some() && find(&after, &path).map(|entry| entry.id) == id {
                added.raw.push(path);
            } else {
                added.left_out.push(path);
            }
        }
        Ok(added)
    }

    /// Returns whether the file system knows which files may be executed.
    fn query_has_modes(&self) -> Result<bool, Error> {
        let asked = self
            .git("config")
            .args(["--type=bool", "core.fileMode"])
            .query_end(Vec::new())?;
        Ok(!asked.stdout.starts_with(b"false"))
    }

    /// The mode that git would give a file; `before` is that in the index.
    fn mode(&self, path: &[u8], before: Option<u32>, has_modes: bool) -> Option<u32> {
        let meta = fs::symlink_metadata(self.full(path)).ok()?;
        Some(match before {
            Some(mode @ (FILE | EXECUTABLE)) if !has_modes => mode,
            _ if has_modes && meta.mode() & 0o100 != 0 => EXECUTABLE,
            _ => FILE,
        })
    }
}

fn is_partial(error: &Error) -> bool {
    matches!(error, Error::GitFailed { status, .. } if status.code() == Some(SOME_FAILED))
}

/// The paths for `git`, each followed by a NUL.
fn pathspecs(dir: Option<&[u8]>, except: &[Vec<u8>]) -> Vec<u8> {
    let all = match dir {
        None => b":(top)\0".to_vec(),
        Some(dir) => [b":(top,literal)", dir, b"\0"].concat(),
    };
    let except = except
        .iter()
        .map(|path| [b":(top,exclude,literal)", &path[..], b"\0"].concat());
    std::iter::once(all).chain(except).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_patterns() {
        let specs = pathspecs(Some(b"d"), &[b"*".to_vec()]);
        assert_eq!(specs, b":(top,literal)d\0:(top,exclude,literal)*\0");
    }
}
