//! The tool `diff`: the numbers first, then one file's changes at a time, a page at a time.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::{Answer, Call, safe};
use super::tooling::{Effect, Tooling};
use crate::error::{Error, io as io_error};
use crate::operator::listing::load_record;
use crate::os::blocking::blocking;
use crate::record::{Outcome, RunDir};
use crate::worktree::diff::{FileChange, path_of_header};

/// How many files a page has.
const FILES: usize = 200;
/// How many lines a page has at most.
const LINES: usize = 500;
/// How many bytes a page has at most; the line that goes beyond is its last one.
const BYTES: usize = 40_000;
/// A line is cut after so many bytes.
const LINE: usize = 4_000;

/// The arguments of `diff`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Diff {
    /// The run: its id, or its task's name.
    run: String,
    /// The path of a file, as the list of files has it [default: none; the list of files].
    file: Option<String>,
    /// Begin with this file of the list, or this line of the file's changes, from 1.
    from: Option<usize>,
}

/// What a run changed.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Page {
    /// 1.
    schema_version: u32,
    /// The run's id.
    run_id: String,
    /// The record's status.
    status: String,
    /// The commit that the agent started from.
    base_commit: Option<String>,
    /// The commit with the work.
    result_commit: Option<String>,
    /// Files that differ from the base.
    files_changed: usize,
    /// Lines added.
    insertions: usize,
    /// Lines removed.
    deletions: usize,
    /// The changed files, where none was named.
    files: Option<Vec<FileChange>>,
    /// The file that was named.
    file: Option<String>,
    /// Its changes, as a patch has them.
    patch: Option<String>,
    /// How many keys were taken out of them.
    redacted: usize,
    /// The `from` of the next page; absent on the last one.
    next_from: Option<usize>,
    /// What to do next.
    next: String,
}

impl Tooling for Diff {
    type Output = Page;
    const NAME: &str = "diff";
    const TITLE: &str = "Read what a run changed";
    const EFFECT: Effect = Effect::None;
    const DESCRIPTION: &str = "\
Shows what a run that has ended changed: first the list of files with their numbers, then, with `file`, the changes in one file, page by \
page (`next_from`). Read all of it before `apply`, and check it against the brief: the diff is what was done, whatever the agent says.";

    async fn call(self, call: &Call) -> Result<Answer, Error> {
        let run = call.find(&self.run).await?;
        let page = blocking(move || {
            let record = load_record(&run)?;
            match &self.file {
                None => Ok(list(record, self.from)),
                Some(file) => read(&run, record, (file, self.from)),
            }
        });
        Answer::document(&page.await?)
    }
}

/// A page that has the numbers only.
fn blank(record: &Outcome) -> Page {
    Page {
        schema_version: 1,
        run_id: record.run_id.to_string(),
        status: record.status.to_string(),
        base_commit: record.base_commit.clone(),
        result_commit: record.result_commit.clone(),
        files_changed: record.files_changed,
        insertions: record.insertions,
        deletions: record.deletions,
        files: None,
        file: None,
        patch: None,
        redacted: 0,
        next_from: None,
        next: String::new(),
    }
}

fn list(record: Outcome, from: Option<usize>) -> Page {
    let mut page = blank(&record);
    let before = from.unwrap_or(1).saturating_sub(1);
    let count = record.files.len();
    let files: Vec<FileChange> = record.files.into_iter().skip(before).take(FILES).collect();
    let after = before + files.len();
    page.next_from = (after < count).then_some(after + 1);
    page.next = match (files.first(), page.next_from) {
        (None, _) => "nothing changed: there is nothing to apply".to_owned(),
        (Some(_), Some(from)) => format!("more files: call `diff` with from {from}"),
        (Some(first), None) => format!("read each file: call `diff` with file `{}`", first.path),
    };
    page.files = Some(files);
    page
}

fn read(run: &RunDir, record: Outcome, (file, from): (&str, Option<usize>)) -> Result<Page, Error> {
    let mut page = blank(&record);
    let at = record.files.iter().position(|change| change.path == file);
    let missing = || Error::Usage(format!("{} changed no file `{file}`", run.name()));
    let at = at.ok_or_else(missing)?;
    let patch = record.patch.as_deref().ok_or_else(missing)?;
    let from = from.unwrap_or(1).max(1);
    let section =
        Section::read(patch, file, from).map_err(io_error(format!("read {}", patch.display())))?;
    page.next_from = section.more.then_some(from + section.lines);
    page.next = match (page.next_from, record.files.get(at + 1)) {
        (Some(from), _) => format!("more of it: call `diff` with from {from}"),
        (None, Some(next)) => format!("the next file: `{}`", next.path),
        (None, None) => "it was the last file: `apply`, if all of it is right".to_owned(),
    };
    let (text, redacted) = safe(&section.text);
    (page.patch, page.redacted) = (Some(text), redacted);
    page.file = Some(file.to_owned());
    Ok(page)
}

/// A piece of a file's changes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Section {
    text: String,
    /// How many lines it has.
    lines: usize,
    /// There are more.
    more: bool,
}

impl Section {
    /// Reads the lines about `file` from the line `from` on. The patch may be larger than memory.
    fn read(patch: &Path, file: &str, from: usize) -> std::io::Result<Self> {
        let mut patch = BufReader::new(File::open(patch)?);
        let (mut section, mut line) = (Self::default(), Vec::new());
        // The header of a file's changes, until its path is known.
        let mut header: Vec<Vec<u8>> = Vec::new();
        let (mut is_it, mut number) = (false, 0);
        loop {
            line.clear();
            let ended = patch.read_until(b'\n', &mut line)? == 0;
            let begins = line.starts_with(b"diff --git ");
            let hunk = line.starts_with(b"@@ ") || line.starts_with(b"GIT binary patch");
            if !header.is_empty() && (ended || begins || hunk) {
                is_it = path_of_header(&header).is_some_and(|path| path == file);
                for line in header.drain(..).filter(|_| is_it) {
                    number += 1;
                    section.take(&line, number >= from);
                }
            }
            if ended {
                return Ok(section);
            }
            if begins || !header.is_empty() {
                header.push(line.clone());
                continue;
            }
            if is_it {
                number += 1;
                section.take(&line, number >= from);
            }
            if section.more {
                return Ok(section);
            }
        }
    }

    fn take(&mut self, line: &[u8], is_wanted: bool) {
        if !is_wanted {
            return;
        }
        if self.lines == LINES || self.text.len() >= BYTES {
            self.more = true;
            return;
        }
        self.lines += 1;
        let cut = line.len() > LINE;
        let line = String::from_utf8_lossy(&line[..line.len().min(LINE)]);
        self.text += line.trim_end_matches('\n');
        self.text += if cut { "… (cut)\n" } else { "\n" };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "\
diff --git a/a b/a
index 1..2 100644
--- a/a
+++ b/a
@@ -1,2 +1,2 @@
-diff --git a/b b/b
+two
diff --git a/gone b/gone
deleted file mode 100644
--- a/gone
+++ /dev/null
@@ -1 +0,0 @@
-x
diff --git a/old b/n w
similarity index 100%
rename from old
rename to n w
diff --git \"a/\\303\\244\" \"b/\\303\\244\"
new file mode 100644
diff --git a/image b/image
index 1..2 100644
GIT binary patch
literal 1
IcmZ
";

    #[test]
    fn each_file_has_its_own_lines() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let path = temp.path().join("patch");
        std::fs::write(&path, PATCH).expect("written");
        let lines = |file: &str, from| {
            let section = Section::read(&path, file, from).expect("read");
            assert!(!section.more);
            section.text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        for (file, count, last) in [
            ("a", 7, "+two"),
            ("gone", 6, "-x"),
            ("n w", 4, "rename to n w"),
            ("ä", 2, "new file mode 100644"),
            ("image", 5, "IcmZ"),
        ] {
            let found = lines(file, 1);
            assert_eq!(found.len(), count, "{file}: {found:?}");
            assert_eq!(found[count - 1], last, "{file}");
        }
        assert_eq!(lines("a", 6), ["-diff --git a/b b/b", "+two"]);
        assert_eq!(lines("b", 1), [""; 0]);
    }

    #[test]
    fn pages_follow_each_other_without_a_gap() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let path = temp.path().join("patch");
        let mut patch = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -0,0 +1,3000 @@\n".to_owned();
        (0..3000).for_each(|n| patch += &format!("+{n}\n"));
        patch += &format!("+{}\n", "x".repeat(1_000_000));
        std::fs::write(&path, &patch).expect("written");
        let (mut from, mut seen) = (1, Vec::new());
        loop {
            let page = Section::read(&path, "f", from).expect("read");
            assert!(page.lines > 0 && page.text.len() <= BYTES + LINE + 20);
            seen.extend(page.text.lines().map(str::to_owned));
            from += page.lines;
            if !page.more {
                break;
            }
        }
        assert_eq!(seen.len(), 3005);
        assert_eq!((&*seen[4], &*seen[3003]), ("+0", "+2999"));
    }
}
