//! The status line that [`PREAMBLE`](super::PREAMBLE) asks for.

use std::sync::LazyLock;

use regex::Regex;

/// What a status line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// `STATUS: DONE`
    Done,
    /// `STATUS: QUESTION`, whatever follows it.
    Question,
    /// `STATUS: BLOCKED`, whatever follows it.
    Blocked,
    /// A status we didn't ask for, or several.
    Other,
}

/// A status line, or a status behind the last sentence of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailer {
    /// What it says.
    pub(super) status: Status,
    /// Where it starts in the line, in bytes; what stands before is prose.
    pub(super) start: usize,
}

impl Trailer {
    /// Finds the status at the end of a line, in any case and markup. A quoted one is none.
    pub(super) fn find(line: &str) -> Option<Self> {
        static FORM: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"(?i)(status)[*_`]*\s*[:：][\s*_`]*([a-z]+)")
                .expect("the pattern is constant")
        });
        let (label, value, start) = FORM
            .captures_iter(line)
            .filter_map(|found| Some((found.get(1)?, found.get(2)?)))
            .filter_map(|(label, value)| {
                let start = position(&line[..label.start()], &line[value.end()..])?;
                Some((label, value, start))
            })
            .last()?;
        let status = Status::read(label.as_str(), value.as_str(), &line[value.end()..])?;
        Some(Self { status, start })
    }
}

/// Where a status between `before` and `rest` starts, markup included: it has a line of its own, or
/// stands behind a sentence. Inside a sentence or a quotation it is spoken about, not given.
fn position(before: &str, rest: &str) -> Option<usize> {
    let before = before.trim_end_matches(|char: char| {
        char.is_whitespace() || matches!(char, '*' | '_' | '`' | '~' | '(')
    });
    let own_line =
        !before.contains(|char: char| char.is_alphanumeric() || OPENING_QUOTES.contains(&char));
    let behind_sentence = before.ends_with(['.', '!', '?', '…', '。', '？', ')'])
        && !rest.starts_with(['"', '\'', '”', '’']);
    (own_line || behind_sentence).then_some(before.len())
}

const OPENING_QUOTES: [char; 6] = ['"', '\'', '“', '‘', '«', '„'];

impl Status {
    /// A `DONE` with words behind it, and a sentence such as `Status: all green`, are left to the
    /// rules.
    fn read(label: &str, value: &str, rest: &str) -> Option<Self> {
        let rest = rest.to_ascii_lowercase();
        let names_more = ["done", "question", "blocked"]
            .iter()
            .any(|word| rest.contains(word));
        match value.to_ascii_lowercase().as_str() {
            "done" if names_more || rest.contains('?') => Some(Self::Other),
            "done" => (!rest.contains(char::is_alphanumeric)).then_some(Self::Done),
            "question" => Some(Self::Question),
            "blocked" => Some(Self::Blocked),
            _ => (label == "STATUS").then_some(Self::Other),
        }
    }
}
