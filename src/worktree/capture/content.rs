//! Stores file contents in the repository as git would: through the filters that the attributes name.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use git2::{AttrCheckFlags, AttrValue, Oid};

use super::{Changed, LINK, Source, unreadable};
use crate::worktree::error::Error;
use crate::worktree::git::Git;

/// A file as a tree has it: path, mode, id of its content.
pub(super) type Stored = (Vec<u8>, u32, Oid);

/// Writes the contents of all changed files as blobs.
pub(super) fn store(source: &Source<'_>, changed: Vec<Changed>) -> Result<Vec<Stored>, Error> {
    let mut stored = Vec::with_capacity(changed.len());
    let mut filtered = Vec::new();
    for Changed { path, mode } in changed {
        source.go_on()?;
        if mode != LINK && needs_program(source.repo, &path) {
            filtered.push((path, mode));
        } else {
            let id = store_one(source, &path, mode)?;
            stored.push((path, mode, id));
        }
    }
    if !filtered.is_empty() {
        stored.extend(store_filtered(source, filtered)?);
    }
    Ok(stored)
}

fn store_one(source: &Source<'_>, path: &[u8], mode: u32) -> Result<Oid, Error> {
    let full = source.work_tree.join(OsStr::from_bytes(path));
    let failed = |source| Error::Unstorable {
        path: PathBuf::from(OsStr::from_bytes(path)),
        source,
    };
    if mode == LINK {
        let content = match fs::read_link(&full) {
            Ok(target) => target.into_os_string().as_bytes().to_vec(),
            // Where links aren't believed (core.symlinks) a link is a file with the target in it.
            Err(_) => fs::read(&full).map_err(unreadable(path))?,
        };
        return source.repo.blob(&content).map_err(failed);
    }
    // libgit2 doesn't tell a file that can't be read from a repository that can't be written.
    File::open(&full).map_err(unreadable(path))?;
    source.repo.blob_path(&full).map_err(failed)
}

/// Whether the attributes name a conversion that libgit2 doesn't have: a configured filter program, or an encoding.
fn needs_program(repo: &git2::Repository, path: &[u8]) -> bool {
    let path = Path::new(OsStr::from_bytes(path));
    let value = |name| {
        let bytes = repo.get_attr_bytes(path, name, AttrCheckFlags::FILE_THEN_INDEX);
        match bytes.map(AttrValue::from_bytes) {
            Ok(AttrValue::String(text)) => Some(text.to_owned()),
            Ok(AttrValue::Bytes(bytes)) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    };
    if value("working-tree-encoding").is_some() {
        return true;
    }
    let Some(filter) = value("filter") else {
        return false;
    };
    repo.config().is_ok_and(|config| {
        ["clean", "process"]
            .iter()
            .any(|kind| config.get_entry(&format!("filter.{filter}.{kind}")).is_ok())
    })
}

/// Stores files through git's filters, all in one call.
fn store_filtered(source: &Source<'_>, files: Vec<(Vec<u8>, u32)>) -> Result<Vec<Stored>, Error> {
    for (path, _) in &files {
        File::open(source.work_tree.join(OsStr::from_bytes(path))).map_err(unreadable(path))?;
    }
    let input: Vec<u8> = files.iter().flat_map(|(path, _)| quoted(path)).collect();
    let output = Git::new(source.repo.path(), source.work_tree, "hash-object")
        .index(source.seed)
        .stop(source.stop)
        .args(["-w", "--stdin-paths"])
        .query_output(input)?;
    let ids = parse_ids(&output).map_err(Error::git("read the ids of filtered files"))?;
    if ids.len() != files.len() {
        let source = git2::Error::from_str("git hash-object answered with another number of ids");
        return Err(Error::git("read the ids of filtered files")(source));
    }
    Ok(files
        .into_iter()
        .zip(ids)
        .map(|((path, mode), id)| (path, mode, id))
        .collect())
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

fn parse_ids(output: &[u8]) -> Result<Vec<Oid>, git2::Error> {
    String::from_utf8_lossy(output)
        .lines()
        .map(Oid::from_str)
        .collect()
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
    fn a_line_that_is_no_id_is_an_error() {
        assert!(
            parse_ids(b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391\n")
                .is_ok_and(|ids| ids.len() == 1)
        );
        assert!(parse_ids(b"fatal\n").is_err());
    }
}
