//! A patch to be read: its files and their lines, within limits.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::record::redact::redact;
use crate::worktree::diff::path_of_header;

/// How much of a patch is read.
const BYTES: u64 = 16 << 20;
/// How many lines are shown of one file, and of all.
const LINES_OF_FILE: usize = 2_000;
const LINES: usize = 20_000;
/// How many files are shown.
const FILES: usize = 1_000;
/// No private key has more lines.
const BLOCK: usize = 400;
/// How many bytes of a line.
const WIDTH: usize = 1_000;

/// The part of a patch that is shown.
#[derive(Debug, Default)]
pub(in crate::cli) struct Patch {
    pub(in crate::cli) files: Vec<PatchedFile>,
    /// Whether the patch goes on behind it.
    pub(in crate::cli) is_cut: bool,
}

/// One file of it.
#[derive(Debug, Default)]
pub(in crate::cli) struct PatchedFile {
    /// Its path after the change, for people.
    pub(in crate::cli) path: String,
    /// What else git says of it: modes, a rename, that it is binary.
    pub(in crate::cli) notes: Vec<String>,
    pub(in crate::cli) lines: Vec<Line>,
    /// Lines that are not shown.
    pub(in crate::cli) left_out: usize,
    header: Vec<Vec<u8>>,
}

/// A line of a file.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Line {
    pub(in crate::cli) kind: LineKind,
    /// Its number: before the change for one that is removed, else after it.
    pub(in crate::cli) number: Option<u64>,
    /// Without the mark.
    pub(in crate::cli) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum LineKind {
    Hunk,
    Same,
    Added,
    Removed,
    /// That the file has no newline at its end.
    Note,
}

/// Where the reading is.
#[derive(Default)]
struct Place {
    /// Lines of the hunk that are still to come, before and after the change.
    left: (u64, u64),
    /// The numbers of the next ones.
    next: (u64, u64),
    /// Within what git wrote for a program.
    in_binary: bool,
}

impl Patch {
    pub(in crate::cli) fn load(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut patch = Self::read(BufReader::new(file.take(BYTES)))?;
        patch.is_cut |= size > BYTES;
        Ok(patch)
    }

    pub(in crate::cli) fn read(mut from: impl BufRead) -> io::Result<Self> {
        let mut patch = Self::default();
        let (mut place, mut line, mut shown) = (Place::default(), Vec::new(), 0);
        while from.read_until(b'\n', &mut line)? > 0 {
            let is_inside = place.left != (0, 0);
            if !is_inside && line.starts_with(b"diff --git ") {
                if patch.files.len() == FILES || shown >= LINES {
                    patch.is_cut = true;
                    break;
                }
                patch.files.push(PatchedFile::default());
                place = Place::default();
            }
            if let Some(file) = patch.files.last_mut() {
                let before = file.lines.len();
                file.take(&line, &mut place, shown < LINES);
                shown += file.lines.len() - before;
            }
            line.clear();
        }
        for file in &mut patch.files {
            file.path = path_of_header(&file.header).unwrap_or_else(|| "?".to_owned());
            file.take_blocks_out();
        }
        Ok(patch)
    }
}

impl PatchedFile {
    fn take(&mut self, line: &[u8], place: &mut Place, has_room: bool) {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        if place.left != (0, 0) || bare.starts_with(b"\\") {
            let line = place.line(bare);
            return self.add(line, has_room);
        }
        if let Some(hunk) = Hunk::parse(bare) {
            (place.left, place.next) = ((hunk.0.1, hunk.1.1), (hunk.0.0, hunk.1.0));
            return self.add(Line::new(LineKind::Hunk, None, bare), has_room);
        }
        if place.in_binary {
            return;
        }
        place.in_binary = bare == b"GIT binary patch";
        if place.in_binary {
            self.notes.push("a binary file".to_owned());
        }
        let notes: [&[u8]; 7] = [
            b"old mode ",
            b"new mode ",
            b"new file ",
            b"deleted file ",
            b"rename from ",
            b"similarity index ",
            b"Binary files ",
        ];
        if notes.iter().any(|note| bare.starts_with(note)) {
            self.notes.push(text(bare));
        }
        if self.header.len() < 16 {
            self.header.push(line.to_vec());
        }
    }

    /// Takes private keys out, which have many lines: what has one is taken out where the line is shown.
    fn take_blocks_out(&mut self) {
        for first in (0..self.lines.len()).rev() {
            if !self.lines[first].text.contains("-----BEGIN") {
                continue;
            }
            let last = self.lines.len().min(first + BLOCK);
            let texts: Vec<&str> = self.lines[first..last]
                .iter()
                .map(|line| line.text.as_str())
                .collect();
            let clean = redact(&texts.join("\n")).text.into_owned();
            let mut clean = clean.lines();
            let beginning = clean.next().unwrap_or("").to_owned();
            // As many lines as before, so that the numbers stay.
            let taken = texts.len() - 1 - clean.count();
            for line in &mut self.lines[first + 1..=first + taken] {
                "[redacted: private key]".clone_into(&mut line.text);
            }
            self.lines[first].text = beginning;
        }
    }

    fn add(&mut self, line: Line, has_room: bool) {
        if has_room && self.lines.len() < LINES_OF_FILE {
            self.lines.push(line);
        } else {
            self.left_out += 1;
        }
    }
}

/// Where a hunk begins and how many lines it has, before and after the change.
struct Hunk((u64, u64), (u64, u64));

impl Hunk {
    fn parse(line: &[u8]) -> Option<Self> {
        let line = String::from_utf8_lossy(line.strip_prefix(b"@@ -")?);
        let (ranges, _) = line.split_once(" @@")?;
        let (before, after) = ranges.split_once(" +")?;
        let range = |text: &str| {
            let (start, count) = text.split_once(',').unwrap_or((text, "1"));
            Some((start.parse().ok()?, count.parse().ok()?))
        };
        Some(Self(range(before)?, range(after)?))
    }
}

impl Place {
    fn line(&mut self, line: &[u8]) -> Line {
        let (old, new) = self.next;
        let (kind, number) = match line.first() {
            Some(b'+') => (LineKind::Added, new),
            Some(b'-') => (LineKind::Removed, old),
            Some(b'\\') => return Line::new(LineKind::Note, None, &line[1..]),
            _ => (LineKind::Same, new),
        };
        if kind != LineKind::Added {
            self.next.0 = old.saturating_add(1);
            self.left.0 = self.left.0.saturating_sub(1);
        }
        if kind != LineKind::Removed {
            self.next.1 = new.saturating_add(1);
            self.left.1 = self.left.1.saturating_sub(1);
        }
        Line::new(kind, Some(number), line.get(1..).unwrap_or(b""))
    }
}

impl Line {
    fn new(kind: LineKind, number: Option<u64>, bytes: &[u8]) -> Self {
        Self {
            kind,
            number,
            text: text(bytes),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    // As an editor shows it, which takes the return for a part of the line's end.
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let (shown, more) = bytes.split_at(bytes.len().min(WIDTH));
    let mut text = String::from_utf8_lossy(shown).into_owned();
    if !more.is_empty() {
        text.push_str(&format!(" … {} more bytes", more.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(patch: &str) -> Patch {
        Patch::read(patch.as_bytes()).expect("readable")
    }

    #[test]
    fn lines_that_look_like_headers_are_lines() {
        let patch = read(concat!(
            "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -7,3 +7,3 @@ fn f()\n same\n",
            "--- a/y\n+diff --git a/z b/z\n same\n\\ No newline at end of file\n",
            "diff --git \"a/gr\\303\\274n\" \"b/gr\\303\\274n\"\nold mode 100644\nnew mode 100755\n",
        ));
        let files: Vec<_> = patch.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(files, ["x", "grün"]);
        let lines = &patch.files[0].lines;
        let seen: Vec<_> = lines
            .iter()
            .map(|line| (line.kind, line.number, line.text.as_str()))
            .collect();
        use LineKind::{Added, Hunk, Note, Removed, Same};
        assert_eq!(
            seen,
            [
                (Hunk, None, "@@ -7,3 +7,3 @@ fn f()"),
                (Same, Some(7), "same"),
                (Removed, Some(8), "-- a/y"),
                (Added, Some(8), "diff --git a/z b/z"),
                (Same, Some(9), "same"),
                (Note, None, " No newline at end of file"),
            ]
        );
        assert_eq!(patch.files[1].notes.len(), 2);
    }

    #[test]
    fn what_is_binary_is_named_and_not_shown() {
        let patch = read(concat!(
            "diff --git a/b b/b\nnew file mode 100644\nindex 0..1\nGIT binary patch\nliteral 3\nKcmZ\n\n",
            "literal 0\nHcmV\n\ndiff --git a/c b/c\n--- a/c\n+++ b/c\n@@ -1 +1 @@\n-a\n+b\n",
        ));
        assert_eq!(patch.files.len(), 2);
        assert!(patch.files[0].lines.is_empty());
        assert_eq!(
            patch.files[0].notes,
            ["new file mode 100644", "a binary file"]
        );
        assert_eq!(patch.files[1].lines.len(), 3);
    }

    #[test]
    fn a_private_key_is_no_part_of_it_and_the_lines_keep_their_numbers() {
        let key = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ";
        let patch = read(&format!(
            "diff --git a/k b/k\n@@ -0,0 +1,6 @@\n+x\n+-----BEGIN OPENSSH PRIVATE KEY-----\n+{key}\n+{key}\n\
             +-----END OPENSSH PRIVATE KEY-----\n+y\ndiff --git a/z b/z\n@@ -1 +1 @@\n-a\n+b\n"
        ));
        assert_eq!(patch.files.len(), 2);
        let lines = &patch.files[0].lines;
        assert!(
            lines.iter().all(|line| !line.text.contains(key)),
            "{lines:?}"
        );
        let last = lines.last().expect("a line");
        assert_eq!((last.number, last.text.as_str()), (Some(6), "y"));
        assert_eq!(lines.len(), 7);
    }

    #[test]
    fn a_long_patch_is_cut_where_the_limits_are() {
        let mut text = String::new();
        for file in 0..20 {
            text += &format!(
                "diff --git a/{file} b/{file}\n--- a/{file}\n+++ b/{file}\n@@ -0,0 +1,3000 @@\n"
            );
            text += &"+x\n".repeat(3000);
        }
        let patch = read(&text);
        assert!(patch.is_cut);
        assert_eq!(patch.files[0].lines.len(), LINES_OF_FILE);
        assert_eq!(patch.files[0].left_out, 1001);
        let all: usize = patch.files.iter().map(|file| file.lines.len()).sum();
        assert!(all <= LINES, "{all}");
        let long = read(&format!(
            "diff --git a/x b/x\n@@ -0,0 +1 @@\n+{}\n",
            "y".repeat(5000)
        ));
        assert!(long.files[0].lines[1].text.ends_with(" … 4000 more bytes"));
    }
}
