//! The changes between two commits: numbers, and a patch that `git apply` accepts.
//!
//! git compares them in a repository of ours that has nothing but the objects of the user's: no setting, no attribute
//! and no replaced object has a say. The same two commits give the same patch everywhere.
//!
//! Owns the numbers of a difference and the patch file. Imported by `snapshot`.
//!
//! Invariant: the patch file is complete and on the disk, or not there.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::files::{Scratch, shown, write};
use super::git::Git;
use super::repository::{CommitId, Repository};

/// Where more files than these were deleted and made, only those of the same content are taken for renamed: git
/// compares each with each. Its own default.
const RENAMES: &str = "-l1000";
/// How many files are listed; all are counted, and all are in the patch.
const FILES_LISTED: usize = 10_000;

/// How a file changed.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
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

/// Counts what changed from `base` to `result`, renames detected. `scratch` is a directory for temporary files.
///
/// # Errors
/// Those of running git.
pub fn summarize(
    repo: &Repository,
    base: CommitId,
    result: CommitId,
    scratch: &Path,
) -> Result<DiffSummary, Error> {
    if base == result {
        return Ok(DiffSummary::default());
    }
    let place = Place::new(repo, scratch)?;
    let output = place
        .compare(base, result)
        .args(["-z", "--raw", "--numstat"])
        .query_output(Vec::new())?;
    Ok(parse(&output))
}

/// Writes the patch from `base` to `result`: `git apply` on a checkout of `base` gives exactly the tree of `result`.
/// Streams into a temp file of mode 0600 beside `to`, syncs it, and renames it: `to` is complete or not there.
///
/// # Errors
/// [`Error::Io`] for the file, else those of running git.
pub fn write_patch(
    repo: &Repository,
    base: CommitId,
    result: CommitId,
    to: &Path,
) -> Result<(), Error> {
    let place = Place::new(repo, to.parent().unwrap_or(Path::new(".")))?;
    let renames = if place.has_lost_a_link(base, result)? {
        "--no-renames"
    } else {
        "-M"
    };
    let temporary = place.scratch.path().join("patch");
    let mut file = OpenOptions::new();
    file.write(true).create_new(true).mode(0o600);
    let file = file
        .open(&temporary)
        .map_err(Error::io("write", &temporary))?;
    place
        .compare(base, result)
        .args(["--patch", "--binary", "--full-index", "--unified=3"])
        .args(["--inter-hunk-context=0", "--diff-algorithm=myers"])
        .args(["--src-prefix=a/", "--dst-prefix=b/", renames])
        .write_output(file.try_clone().map_err(Error::io("write", &temporary))?)?;
    file.sync_all().map_err(Error::io("write", to))?;
    fs::rename(&temporary, to).map_err(Error::io("write", to))?;
    sync_directory(to).map_err(Error::io("write", to))
}

/// A repository without anything of its own, beside the objects of another.
struct Place<'a> {
    scratch: Scratch,
    repo: &'a Repository,
    /// Contents may have to be fetched: git must know from where.
    promised: bool,
}

impl<'a> Place<'a> {
    fn new(repo: &'a Repository, parent: &Path) -> Result<Self, Error> {
        let scratch = Scratch::below(parent)?;
        let dir = scratch.path();
        let promised = repo.is_partial_clone()?;
        let mut config = b"[core]\nrepositoryformatversion = 0\nbare = true\n".to_vec();
        if promised {
            let theirs = repo.common_dir().join("config");
            let include = [
                b"[include]\npath = \"",
                theirs.as_os_str().as_bytes(),
                b"\"\n",
            ];
            config.splice(..0, include.concat());
        }
        write(&dir.join("HEAD"), b"ref: refs/heads/none\n")?;
        write(&dir.join("config"), &config)?;
        let refs = dir.join("refs");
        fs::create_dir(&refs).map_err(Error::io("create", &refs))?;
        Ok(Self {
            scratch,
            repo,
            promised,
        })
    }

    fn compare(&self, base: CommitId, result: CommitId) -> Git {
        let dir = self.scratch.path();
        let objects = self.repo.common_dir().join("objects");
        let mut git = Git::new(dir, dir, "diff-tree")
            .env("GIT_OBJECT_DIRECTORY", objects)
            .env("GIT_ATTR_NOSYSTEM", "1")
            .setting("core.attributesFile", "/dev/null")
            .setting("core.bigFileThreshold", "512m")
            .setting("diff.suppressBlankEmpty", "false");
        if !self.promised {
            git = git
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .env("GIT_CONFIG_NOSYSTEM", "1");
        }
        git.args(["-r", "--no-color", "--no-ext-diff", "--no-textconv"])
            .args(["--ignore-submodules=none", "--submodule=short"])
            .args(["-M", RENAMES, &base.to_string(), &result.to_string()])
    }

    /// Returns whether a link of the base is gone. `git apply` takes one that was renamed, its content unchanged, for
    /// one that is still there, and refuses files in a directory of its name.
    /// Source: git 2.47, `apply.c`, `prepare_symlink_changes`; `tests/worktree/patch.rs`.
    fn has_lost_a_link(&self, base: CommitId, result: CommitId) -> Result<bool, Error> {
        let deleted = self
            .compare(base, result)
            .args(["-z", "--raw", "--no-renames", "--diff-filter=D"])
            .query_output(Vec::new())?;
        let mut fields = deleted.split(|b| *b == 0);
        Ok(fields.any(|field| field.starts_with(b":120000 ")))
    }
}

/// Reads what `git diff-tree -z --raw --numstat` prints: first `:<mode> <mode> <id> <id> <status>`, NUL, and the path
/// of each file, then `<added>\t<removed>\t<path>` in the same order. A renamed file has two paths, which follow an
/// empty one in the second list.
fn parse(output: &[u8]) -> DiffSummary {
    let mut fields = output.split(|b| *b == 0).peekable();
    let mut files = Vec::new();
    while let Some(head) = fields.next_if(|field| field.first() == Some(&b':')) {
        let letter = head.rsplit(|b| *b == b' ').next().and_then(<[u8]>::first);
        let status = match letter {
            Some(b'A') => FileStatus::Added,
            Some(b'D') => FileStatus::Deleted,
            Some(b'R') => FileStatus::Renamed,
            Some(b'T') => FileStatus::TypeChanged,
            _ => FileStatus::Modified,
        };
        if status == FileStatus::Renamed {
            fields.next();
        }
        let path = fields.next().unwrap_or_default();
        files.push(FileChange {
            path: shown(Path::new(std::ffi::OsStr::from_bytes(path))),
            status,
            insertions: 0,
            deletions: 0,
            binary: false,
        });
    }
    let mut summary = DiffSummary::default();
    for mut file in files {
        let counts = fields.next().unwrap_or_default();
        let mut counts = counts.splitn(3, |b| *b == b'\t');
        let mut count = || {
            let text = std::str::from_utf8(counts.next()?).ok()?;
            text.parse::<usize>().ok()
        };
        let (insertions, deletions) = (count(), count());
        if counts.next() == Some(b"") {
            fields.nth(1);
        }
        // A dash means a file that isn't text.
        file.binary = insertions.is_none();
        file.insertions = insertions.unwrap_or(0);
        file.deletions = deletions.unwrap_or(0);
        summary.insertions += file.insertions;
        summary.deletions += file.deletions;
        summary.file_count += 1;
        if summary.files.len() < FILES_LISTED {
            summary.files.push(file);
        }
    }
    summary
}

/// The path of a file in a patch, as [`FileChange::path`] has it, from the lines before its first change: that after the change, for a
/// file that is gone the one before it.
#[cfg_attr(
    not(feature = "cli"),
    expect(dead_code, reason = "the command line asks")
)]
pub(crate) fn path_of_header(lines: &[Vec<u8>]) -> Option<String> {
    let named = |mark: &str| {
        let line = lines
            .iter()
            .find_map(|line| line.strip_prefix(mark.as_bytes()))?;
        let name = unquoted(line.strip_suffix(b"\n").unwrap_or(line));
        (name != b"/dev/null").then_some(name)
    };
    // Without a line of its own, the path is twice in the first line: `a/x b/x`.
    let twice = || {
        let line = lines.first()?.strip_prefix(b"diff --git ")?;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let second = line.get(line.len().div_ceil(2)..)?;
        unquoted(second).strip_prefix(b"b/").map(<[u8]>::to_vec)
    };
    let of_side = |mark: &str, side: &str| {
        named(mark).and_then(|name| name.strip_prefix(side.as_bytes()).map(<[u8]>::to_vec))
    };
    let path = named("rename to ")
        .or_else(|| of_side("+++ ", "b/"))
        .or_else(|| of_side("--- ", "a/"))
        .or_else(twice)?;
    Some(shown(Path::new(std::ffi::OsStr::from_bytes(&path))))
}

/// A name as git writes it: in quotes with escapes where it has to, and with a tab behind it where it has blanks.
fn unquoted(name: &[u8]) -> Vec<u8> {
    let Some(quoted) = name.strip_prefix(b"\"") else {
        return name.strip_suffix(b"\t").unwrap_or(name).to_vec();
    };
    let (mut bytes, mut rest) = (Vec::new(), quoted.iter());
    while let Some(&byte) = rest.next() {
        match byte {
            b'"' => break,
            b'\\' => {
                let escaped = rest.next().copied().unwrap_or(b'\\');
                let digit = |byte: u8| u32::from(byte.wrapping_sub(b'0')) & 7;
                bytes.push(match escaped {
                    b'0'..=b'3' => {
                        let mut next = || rest.next().copied().map_or(0, digit);
                        let value = digit(escaped) * 64 + next() * 8 + next();
                        u8::try_from(value).unwrap_or(b'?')
                    }
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => b'\r',
                    other => other,
                });
            }
            other => bytes.push(other),
        }
    }
    bytes
}

/// Makes the rename itself durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_of_git_make_one() {
        let ids = format!("{0} {0}", "0".repeat(40));
        let output = format!(
            ":100644 100644 {ids} R098\0a\tb\0c\nd\0:000000 100644 {ids} A\0e\0:160000 160000 {ids} M\0s\0\
             1\t2\t\0a\tb\0c\nd\0-\t-\te\01\t1\ts\0"
        );
        let summary = parse(output.as_bytes());
        let seen: Vec<_> = summary
            .files
            .iter()
            .map(|file| (&file.path[..], file.status, file.insertions, file.binary))
            .collect();
        assert_eq!(
            seen,
            [
                ("c\\nd", FileStatus::Renamed, 1, false),
                ("e", FileStatus::Added, 0, true),
                ("s", FileStatus::Modified, 1, false),
            ]
        );
        let sums = (summary.file_count, summary.insertions, summary.deletions);
        assert_eq!(sums, (3, 2, 3));
        assert_eq!(parse(b""), DiffSummary::default());
    }
}
