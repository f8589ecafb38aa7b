//! The status line that [`PREAMBLE`](super::PREAMBLE) and [`PROBE`](super::PROBE) ask for.

use std::sync::LazyLock;

use regex::Regex;

/// The meaning of a status line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrailerStatus {
    /// `STATUS: DONE`
    Done,
    /// `STATUS: QUESTION`, whatever follows it.
    Question,
    /// `STATUS: BLOCKED`, whatever follows it.
    Blocked,
    /// `STATUS: CONTINUE`
    Continue,
    /// A status that we didn't ask for, or several.
    Other,
}

/// A status line, or a status behind the last sentence of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailer<'a> {
    /// Its value.
    pub(super) status: TrailerStatus,
    /// The text before it in the line.
    pub(super) before: &'a str,
    /// The words behind it, without the marks between.
    pub(super) words: &'a str,
}

impl<'a> Trailer<'a> {
    /// Finds the status at the end of a line, in any case and markup. A quoted one doesn't count.
    pub(super) fn find(line: &'a str) -> Option<Self> {
        static FORM: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"(?i)(status)[*_`]*\s*[:：][\s*_`]*([a-z]+)")
                .expect("the pattern is constant")
        });
        let form = FORM.captures_iter(line).filter_map(|found| {
            let (label, value) = (found.get(1)?, found.get(2)?);
            let (before, rest) = (&line[..label.start()], &line[value.end()..]);
            Some((
                label.as_str(),
                value.as_str(),
                given_after(before, rest)?,
                rest,
            ))
        });
        let (label, value, before, rest) = form.last()?;
        let status = TrailerStatus::read(label, value, rest)?;
        // Brackets, dashes and quotation marks belong to the words, where there are any.
        let words = rest
            .trim_start_matches([':', '.', '-', '–', '—', ',', '*', '_', '`', ' '])
            .trim_end_matches(['*', '_', '`', ' ']);
        let words = if words.contains(char::is_alphanumeric) {
            words
        } else {
            ""
        };
        Some(Self {
            status,
            before,
            words,
        })
    }
}

/// The text before a status that is given: on a line of its own, or behind a sentence. Inside a sentence or a quotation
/// it is spoken about.
fn given_after<'a>(before: &'a str, rest: &str) -> Option<&'a str> {
    let before =
        before.trim_end_matches(|char: char| char.is_whitespace() || "*_`~(".contains(char));
    let own_line =
        !before.contains(|char: char| char.is_alphanumeric() || "\"'“‘«„".contains(char));
    let behind_sentence = before.ends_with(['.', '!', '?', '…', '。', '？', ')'])
        && !rest.starts_with(['"', '\'', '”', '’']);
    (own_line || behind_sentence).then_some(before)
}

impl TrailerStatus {
    /// A sentence such as `TrailerStatus: all green`, or `TrailerStatus: done with the parser`, is left to the rules.
    fn read(label: &str, value: &str, rest: &str) -> Option<Self> {
        let rest = rest.to_ascii_uppercase();
        let names_more = ["DONE", "QUESTION", "BLOCKED", "CONTINUE"]
            .iter()
            .any(|word| rest.contains(word));
        match value.to_ascii_uppercase().as_str() {
            "DONE" | "CONTINUE" if names_more || rest.contains('?') => Some(Self::Other),
            "DONE" if label != "STATUS" && rest.trim_start().starts_with(char::is_alphanumeric) => {
                None
            }
            "DONE" => Some(Self::Done),
            "CONTINUE" => Some(Self::Continue),
            "QUESTION" => Some(Self::Question),
            "BLOCKED" => Some(Self::Blocked),
            _ => (label == "STATUS").then_some(Self::Other),
        }
    }
}
