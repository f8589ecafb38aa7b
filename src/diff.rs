//! What changed between two commits: numbers, and a patch that `git apply` accepts.
//!
//! The user's diff settings (`diff.noprefix`, `diff.external`, text conversion, attributes, …) have no say: the same
//! two commits give the same patch everywhere.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use git2::{
    Delta, Diff, DiffDelta, DiffFindOptions, DiffFormat, DiffLine, DiffOptions, Index, Patch,
};
use serde::{Deserialize, Serialize};

use crate::worktree::{CommitId, Error, Repository};

/// How many files are listed; all are counted, and all are in the patch.
const FILES_LISTED: usize = 10_000;

/// How a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileStatus {
    /// It is new.
    #[serde(rename = "A")]
    Added,
    /// Its content or its mode changed.
    #[serde(rename = "M")]
    Modified,
    /// It is gone.
    #[serde(rename = "D")]
    Deleted,
    /// It has another path, and perhaps other content.
    #[serde(rename = "R")]
    Renamed,
    /// It is of another kind: file, link or submodule.
    #[serde(rename = "T")]
    TypeChanged,
}

/// One changed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Its path after the change, for people: control characters are escaped, bytes that aren't UTF-8 replaced.
    pub path: String,
    /// How it changed.
    pub status: FileStatus,
    /// Lines added; 0 for a binary file.
    pub insertions: usize,
    /// Lines removed; 0 for a binary file.
    pub deletions: usize,
    /// The content isn't text.
    pub binary: bool,
}

/// The numbers of a difference.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DiffSummary {
    /// In the order of their paths, the first 10,000.
    pub files: Vec<FileChange>,
    /// How many there are in all.
    pub file_count: usize,
    /// Lines added in all files.
    pub insertions: usize,
    /// Lines removed in all files.
    pub deletions: usize,
}

/// A patch that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatchInfo {
    /// The file's length.
    pub bytes: u64,
}

/// Counts what changed from `base` to `result`, renames detected.
///
/// # Errors
/// Those of libgit2.
pub fn summarize(
    repo: &Repository,
    base: CommitId,
    result: CommitId,
) -> Result<DiffSummary, Error> {
    let repo = open(repo)?;
    let mut options = options();
    options.include_typechange(true);
    let diff = compare(&repo, (base, result), &mut options)?;
    let mut summary = DiffSummary::default();
    for position in 0..diff.deltas().len() {
        if let Some(file) = file_change(&diff, position)? {
            summary.insertions += file.insertions;
            summary.deletions += file.deletions;
            summary.file_count += 1;
            if summary.files.len() < FILES_LISTED {
                summary.files.push(file);
            }
        }
    }
    Ok(summary)
}

/// Writes the patch from `base` to `result`: `git apply` on a checkout of `base` gives exactly the tree of `result`.
/// Streams into a temp file of mode 0600 beside `to`, syncs it, and renames it: `to` is complete or not there.
///
/// # Errors
/// [`Error::Io`] for the file, else those of libgit2.
pub fn write_patch(
    repo: &Repository,
    base: CommitId,
    result: CommitId,
    to: &Path,
) -> Result<PatchInfo, Error> {
    let repo = open(repo)?;
    let mut options = options();
    // An empty diff of a binary file can't be applied.
    options.show_binary(true).id_abbrev(40);
    let diff = compare(&repo, (base, result), &mut options)?;
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = to.with_file_name(name);
    let mut file = OpenOptions::new();
    file.write(true).create(true).truncate(true).mode(0o600);
    let file = file
        .open(&temporary)
        .map_err(Error::io("write", &temporary))?;
    print(&diff, file, to)
        .and_then(|info| {
            fs::rename(&temporary, to).map_err(Error::io("write", to))?;
            sync_directory(to).map_err(Error::io("write", to))?;
            Ok(info)
        })
        .inspect_err(|_| drop(fs::remove_file(&temporary)))
}

/// Opens the repository without attributes: neither those of a checkout nor those of an index.
fn open(repo: &Repository) -> Result<git2::Repository, Error> {
    let open = repo.open()?;
    let mut nothing = Index::new().map_err(Error::git("create an index"))?;
    open.set_index(&mut nothing)
        .map_err(Error::git("use an index in memory"))?;
    Ok(open)
}

fn options() -> DiffOptions {
    let mut options = DiffOptions::new();
    options
        .old_prefix("a")
        .new_prefix("b")
        .context_lines(3)
        .interhunk_lines(0)
        .ignore_submodules(false);
    options
}

fn compare<'r>(
    repo: &'r git2::Repository,
    (base, result): (CommitId, CommitId),
    options: &mut DiffOptions,
) -> Result<Diff<'r>, Error> {
    let tree = |id: CommitId| {
        repo.find_commit(id.0)
            .and_then(|commit| commit.tree())
            .map_err(Error::git("read a commit"))
    };
    let mut diff = repo
        .diff_tree_to_tree(Some(&tree(base)?), Some(&tree(result)?), Some(options))
        .map_err(Error::git("compare two commits"))?;
    let mut renames = DiffFindOptions::new();
    renames.renames(true).rename_threshold(50).rename_limit(200);
    diff.find_similar(Some(&mut renames))
        .map_err(Error::git("find renamed files"))?;
    Ok(diff)
}

fn print(diff: &Diff<'_>, file: File, to: &Path) -> Result<PatchInfo, Error> {
    let mut writer = BufWriter::new(file);
    let mut written = Ok(());
    let printed = diff.print(
        DiffFormat::Patch,
        |_: DiffDelta<'_>, _, line: DiffLine<'_>| {
            written = write_line(&mut writer, &line);
            written.is_ok()
        },
    );
    written.map_err(Error::io("write", to))?;
    printed.map_err(Error::git("print the patch"))?;
    let file = writer
        .into_inner()
        .map_err(|e| Error::io("write", to)(e.into_error()))?;
    file.sync_all().map_err(Error::io("write", to))?;
    let bytes = file.metadata().map_err(Error::io("read", to))?.len();
    Ok(PatchInfo { bytes })
}

fn write_line(writer: &mut impl Write, line: &DiffLine<'_>) -> io::Result<()> {
    // Lines of a hunk come without their sign, headers and "no newline" remarks as they are.
    if let sign @ ('+' | '-' | ' ') = line.origin() {
        writer.write_all(&[sign as u8])?;
    }
    writer.write_all(line.content())
}

/// Makes the rename itself durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn file_change(diff: &Diff<'_>, position: usize) -> Result<Option<FileChange>, Error> {
    let failed = "count changed lines";
    // Without a patch the content isn't text, or there is nothing to compare.
    let patch = Patch::from_diff(diff, position).map_err(Error::git(failed))?;
    let (insertions, deletions) = match &patch {
        Some(patch) => {
            let (_, insertions, deletions) = patch.line_stats().map_err(Error::git(failed))?;
            (insertions, deletions)
        }
        None => (0, 0),
    };
    let Some(delta) = diff.get_delta(position) else {
        return Ok(None);
    };
    let binary = patch.map_or(delta.flags().is_binary(), |p| p.delta().flags().is_binary());
    let status = match delta.status() {
        Delta::Added => FileStatus::Added,
        Delta::Deleted => FileStatus::Deleted,
        Delta::Modified => FileStatus::Modified,
        Delta::Renamed => FileStatus::Renamed,
        Delta::Typechange => FileStatus::TypeChanged,
        _ => return Ok(None),
    };
    let side = if status == FileStatus::Deleted {
        delta.old_file()
    } else {
        delta.new_file()
    };
    let path = side.path_bytes().unwrap_or_default();
    Ok(Some(FileChange {
        path: shown(Path::new(std::ffi::OsStr::from_bytes(path))),
        status,
        insertions,
        deletions,
        binary,
    }))
}

/// A path as one line of harmless text.
fn shown(path: &Path) -> String {
    let mut text = String::new();
    for c in path.to_string_lossy().chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_on_one_line() {
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a\x1b[2J\n\xff\xc3\xa9"));
        assert_eq!(shown(path), "a\\u{1b}[2J\\n\u{fffd}\u{e9}");
    }
}
