//! `git add -A` of a work tree into an index of ours, and what becomes of the files that git can't add.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use git2::{Index, IndexEntry, IndexTime, Oid};
use tokio_util::sync::CancellationToken;

use super::{EXECUTABLE, FILE};
use crate::worktree::error::Error;
use crate::worktree::git::Git;

/// git's exit status when it could not add some files.
const SOME_FAILED: i32 = 1;

/// The files of a work tree on their way into an index.
pub(super) struct Adding<'a> {
    pub(super) git_dir: PathBuf,
    pub(super) work_tree: &'a Path,
    /// The index; no other process uses it.
    pub(super) index: &'a Path,
    /// The repository that the contents go to.
    pub(super) open: &'a git2::Repository,
    /// Whether there are enough new files that one pack is better than a file for each.
    pub(super) many: bool,
    pub(super) stop: &'a CancellationToken,
}

/// Where a file is looked for at which git ended.
enum Look {
    /// Among those that the index doesn't have as they are.
    Changed,
    /// Among all that it has: git reads a file again that was written in the second of the index, changed or not. One
    /// that isn't changed stays as the index has it.
    Tracked,
    Nowhere,
}

/// The result of `git add`.
#[derive(Default)]
pub(super) struct Added {
    /// Stored as they are, since git could not convert them.
    pub(super) raw: Vec<Vec<u8>>,
    /// Not stored.
    pub(super) left_out: Vec<Vec<u8>>,
}

impl Adding<'_> {
    /// Adds all files but those at or below `except`. `deep` are directories for which git is called once more.
    pub(super) fn run(&self, except: &[Vec<u8>], deep: &[Vec<u8>]) -> Result<Added, Error> {
        let mut except = except.to_vec();
        let mut refused = self.add(None, &mut except)?;
        for dir in deep {
            refused.extend(self.add(Some(dir), &mut except)?);
        }
        refused.sort();
        refused.dedup();
        self.store_raw(refused)
    }

    /// The tree of the index. Contents that a remote has promised need not be here.
    pub(super) fn write_tree(&self) -> Result<Oid, Error> {
        let output = self
            .git("write-tree")
            .args(["--missing-ok"])
            .query_output(Vec::new())?;
        String::from_utf8_lossy(&output)
            .trim()
            .parse()
            .map_err(Error::git("read the id of the snapshot's tree"))
    }

    fn git(&self, verb: &'static str) -> Git {
        Git::new(&self.git_dir, self.work_tree, verb)
            .index(self.index)
            .stop(self.stop)
    }

    /// Adds what is below `dir` and returns what git refused. What would end git is left out from then on.
    fn add(&self, dir: Option<&[u8]>, except: &mut Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Error> {
        let mut refused = Vec::new();
        for look in [Look::Changed, Look::Tracked, Look::Nowhere] {
            match self.try_add(dir, except) {
                Ok(()) => break,
                Err(failed) if is_partial(&failed) => {
                    refused.extend(self.list(except)?);
                    break;
                }
                Err(failed) if failed.is_disk_full() => return Err(failed),
                Err(failed) => match look {
                    Look::Changed => {
                        refused = self.find_fatal(self.list(except)?)?;
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

    fn try_add(&self, dir: Option<&[u8]>, except: &[Vec<u8>]) -> Result<(), Error> {
        let mut git = self
            .git("add")
            // Durability is seen to afterwards, for all objects at once.
            .setting("core.fsync", "committed,-loose-object")
            // Asks no repository below whether its files are committed: that would run what its configuration names.
            .setting("diff.ignoreSubmodules", "dirty")
            .args(["-A", "--sparse", "--ignore-errors"])
            .args(["--pathspec-from-file=-", "--pathspec-file-nul"]);
        if self.many {
            // A file beyond this size is put into a pack; 40,000 files of their own take git longer, and each reader.
            git = git.setting("core.bigFileThreshold", "1");
        }
        git.query_output(pathspecs(dir, except)).map(drop)
    }

    /// New and changed files that the index doesn't have, told from their times alone: no filter runs.
    fn list(&self, except: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Error> {
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
    fn find_fatal(&self, files: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Error> {
        let files: Vec<Vec<u8>> = files
            .into_iter()
            .filter(|path| fs::symlink_metadata(self.full(path)).is_ok_and(|meta| meta.is_file()))
            .collect();
        let mut fatal = Vec::new();
        let mut rest = &files[..];
        while !rest.is_empty() {
            let input = rest.iter().flat_map(|path| quoted(path)).collect();
            let ended = self
                .git("hash-object")
                .args(["-w", "--stdin-paths"])
                .query_end(input)?;
            if ended.status.success() {
                break;
            }
            // One line for each file before the one that it ended at.
            let done = ended.stdout.iter().filter(|b| **b == b'\n').count();
            let Some((at, after)) = rest.get(done..).and_then(<[_]>::split_first) else {
                break;
            };
            // A repository that takes nothing more ends the search.
            self.store_content(at)?;
            fatal.push(at.clone());
            rest = after;
        }
        Ok(fatal)
    }

    /// The content of a file as a blob, byte by byte; `None` if it is not a file or can't be read.
    fn store_content(&self, path: &[u8]) -> Result<Option<Oid>, Error> {
        let full = self.full(path);
        if !fs::symlink_metadata(&full).is_ok_and(|meta| meta.is_file()) {
            return Ok(None);
        }
        let Ok(mut file) = File::open(&full) else {
            return Ok(None);
        };
        let failed = |source| Error::Unstorable {
            path: PathBuf::from(OsStr::from_bytes(path)),
            source,
        };
        let mut writer = self.open.blob_writer(None).map_err(failed)?;
        io::copy(&mut file, &mut writer)
            .map_err(|error| failed(git2::Error::from_str(&error.to_string())))?;
        writer.commit().map(Some).map_err(failed)
    }

    /// Puts files into the index as they are.
    fn store_raw(&self, files: Vec<Vec<u8>>) -> Result<Added, Error> {
        let mut added = Added::default();
        if files.is_empty() {
            return Ok(added);
        }
        let read = || Index::open(self.index).map_err(Error::git("read an index of ours"));
        let (before, mut lines) = (read()?, Vec::new());
        for path in files {
            match self.raw_entry(&before, &path)? {
                Some((id, line)) => lines.push((path, id, line)),
                None => added.left_out.push(path),
            }
        }
        let all = lines.iter().flat_map(|(_, _, line)| line.clone()).collect();
        self.git("update-index")
            .args(["-z", "--index-info"])
            .query_output(all)?;
        let after = read()?;
        for (path, id, _) in lines {
            // git passes over a name that no tree may have.
            let found = after.get_path(Path::new(OsStr::from_bytes(&path)), 0);
            match found.is_some_and(|entry| entry.id == id) {
                true => added.raw.push(path),
                false => added.left_out.push(path),
            }
        }
        Ok(added)
    }

    /// The content of a file as it is, and a line of `git update-index -z --index-info` for it; `None` for what can't be
    /// stored.
    fn raw_entry(&self, index: &Index, path: &[u8]) -> Result<Option<(Oid, Vec<u8>)>, Error> {
        let (Some(id), Ok(meta)) = (
            self.store_content(path)?,
            fs::symlink_metadata(self.full(path)),
        ) else {
            return Ok(None);
        };
        let before = index
            .get_path(Path::new(OsStr::from_bytes(path)), 0)
            .map(|entry| entry.mode);
        let config = self.open.config();
        let believed = config.and_then(|config| config.get_bool("core.filemode"));
        let mode = match before {
            Some(mode @ (FILE | EXECUTABLE)) if believed == Ok(false) => mode,
            _ if believed != Ok(false) && meta.mode() & 0o100 != 0 => EXECUTABLE,
            _ => FILE,
        };
        let head = format!("{mode:o} {id}\t");
        Ok(Some((id, [head.as_bytes(), path, b"\0"].concat())))
    }

    fn full(&self, path: &[u8]) -> PathBuf {
        self.work_tree.join(OsStr::from_bytes(path))
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

/// One line of `--stdin-paths`. A path that a line can't carry is quoted as in C, every byte in octal.
/// Source: git 2.47, `builtin/hash-object.c`, `hash_stdin_paths`.
fn quoted(path: &[u8]) -> Vec<u8> {
    if path.first() != Some(&b'"') && !path.iter().any(|b| matches!(b, b'\n' | b'\r')) {
        return [path, b"\n"].concat();
    }
    let octal: String = path.iter().map(|b| format!("\\{b:03o}")).collect();
    format!("\"{octal}\"\n").into_bytes()
}

/// An entry without times: git looks at the file.
pub(super) fn entry(path: &[u8], mode: u32, id: Oid) -> IndexEntry {
    let never = IndexTime::new(0, 0);
    IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_that_breaks_lines_is_quoted() {
        assert_eq!(quoted(b"a b"), b"a b\n");
        assert_eq!(quoted(b"a\nb"), b"\"\\141\\012\\142\"\n");
        assert_eq!(quoted(b"\"a"), b"\"\\042\\141\"\n");
    }

    #[test]
    fn names_are_no_patterns() {
        let specs = pathspecs(Some(b"d"), &[b"*".to_vec()]);
        assert_eq!(specs, b":(top,literal)d\0:(top,exclude,literal)*\0");
    }
}
