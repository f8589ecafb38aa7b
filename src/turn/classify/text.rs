//! The sentences of a message, without the code and the quotations that it only shows.
//!
//! Only as much of markdown as that takes. Where a construct is malformed (a fence that never closes, a quotation mark
//! without its partner) the text counts as said by the agent: a question too many is cheaper than a question lost. Every
//! pass is linear in the length of the message.

use std::sync::LazyLock;

use regex::Regex;

/// One line, without the marks in front of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// Trimmed.
    pub(super) text: &'a str,
    /// In a fence, its own lines included, or in a block quote.
    pub(super) shown: bool,
    /// Whether a sentence can't go on from the line before.
    starts: bool,
    /// `## …`, or bold as a whole.
    heading: bool,
}

impl<'a> Line<'a> {
    /// A line of its own that the agent says.
    pub(super) fn said(text: &'a str) -> Self {
        Self {
            text,
            shown: false,
            starts: true,
            heading: false,
        }
    }
}

/// One sentence of the agent's own.
#[derive(Debug)]
pub(super) struct Sentence {
    /// Lower case, emphasis removed, apostrophes straight, a backtick for each quotation and code span, single spaces.
    /// Holds at least one letter or digit.
    pub(super) text: String,
    /// Whether it ends with a question mark.
    pub(super) asks: bool,
    /// Whether it is in a heading.
    pub(super) heading: bool,
    /// The paragraph, list item or heading that it belongs to.
    pub(super) block: usize,
}

macro_rules! pattern {
    ($name:ident = $($part:literal),*) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(concat!($($part),*)).expect("the pattern is constant"));
    };
}

// `- `, `* `, `• `, `1. ` or `1) `, and a check box.
pattern!(MARKER = r"^(?:[-*+•]|\d{1,9}[.)])\s+(?:\[[ xX]\] )?");
pattern!(HEADING = r"^(?:#{1,6} .*|\*\*[^*]+\*\*[:.]?|__[^_]+__[:.]?)$");
// A fence's mark, and whether nothing behind it forbids one.
pattern!(FENCE = r"^(`{3,}|~{3,})([^`]*)$");

/// Cuts a message into lines; the second value tells whether a fence is open at the end, whose lines are then said.
pub(super) fn lines(message: &str) -> (Vec<Line<'_>>, bool) {
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut fence: Option<(&str, usize)> = None;
    for raw in message.lines() {
        let trimmed = raw.trim();
        let text = &trimmed[MARKER.find(trimmed).map_or(0, |mark| mark.end())..];
        let mut shown = fence.is_some() || trimmed.starts_with('>');
        let mark = FENCE.captures(text).and_then(|found| found.get(1));
        match (fence, mark.map(|mark| mark.as_str())) {
            (Some((open, _)), Some(mark)) if mark.starts_with(open) && trimmed == mark => {
                fence = None;
            }
            (None, Some(mark)) if !shown => {
                fence = Some((mark, lines.len()));
                shown = true;
            }
            _ => {}
        }
        let heading = !shown && HEADING.is_match(text);
        let after = lines.last();
        let starts = heading
            || text.len() < trimmed.len()
            || text.starts_with('|')
            || after.is_some_and(|line| line.heading || line.shown || line.text.is_empty());
        lines.push(Line {
            text,
            shown,
            starts,
            heading,
        });
    }
    if let Some((_, at)) = fence {
        for line in &mut lines[at + 1..] {
            line.shown = false;
        }
    }
    (lines, fence.is_some())
}

/// Cuts what is said into sentences: at their ends, and at a line that starts with a capital, for agents often end a line
/// without a mark.
pub(super) fn sentences(lines: &[Line<'_>]) -> Vec<Sentence> {
    let mut found = Vec::new();
    let mut open = String::new();
    let (mut block, mut heading) = (0, false);
    for line in lines {
        let starts = line.starts || line.shown || line.text.is_empty();
        if starts || line.text.starts_with(char::is_uppercase) {
            split(&std::mem::take(&mut open), heading, block, &mut found);
        }
        block += usize::from(starts);
        if !line.shown {
            open.push(' ');
            open.push_str(&mask(line.text));
            heading = line.heading;
        }
    }
    split(&open, heading, block, &mut found);
    found
}

// A mark inside a word (`1.5`, `/a?b=c`) ends no sentence.
pattern!(
    END = r#"[.!…?؟⁇⁈⁉‽﹖]+[)\]_~"'”»」`]*(?:\s|$)|[.!…]*[?؟⁇⁈⁉‽﹖]+[)\]_~"'”»」`]*[^\w\s=&/;,-]"#,
    r#"|[。！？]+[)\]_~"'”»」`]*"#
);

fn split(text: &str, heading: bool, block: usize, found: &mut Vec<Sentence>) {
    let mut push = |range: &str, asks| {
        let words: Vec<&str> = range.split_whitespace().collect();
        let text = words.join(" ").to_lowercase();
        let text = text.trim_start_matches(|char: char| !char.is_alphanumeric() && char != '`');
        if text.contains(char::is_alphanumeric) {
            found.push(Sentence {
                text: text.to_owned(),
                asks,
                heading,
                block,
            });
        }
    };
    let mut start = 0;
    for end in END.find_iter(text) {
        let asks = end
            .as_str()
            .contains(['?', '？', '؟', '⁇', '⁈', '⁉', '‽', '﹖']);
        push(&text[start..end.end()], asks);
        start = end.end();
    }
    push(&text[start..], false);
}

/// A line with its code spans and quotations masked, without emphasis, with straight apostrophes.
fn mask(line: &str) -> String {
    let (mut rest, mut before, mut out) = (line, ' ', String::new());
    // What closes nothing ahead is not searched for again: it keeps this linear.
    let mut missing = Vec::new();
    while let Some(char) = rest.chars().next() {
        let ticks = rest.len() - rest.trim_start_matches('`').len();
        let length = ticks.max(char.len_utf8());
        let spaced = rest[length..].starts_with(char::is_whitespace);
        // Beside a letter a mark is an apostrophe or an inch, but in scripts without spaces.
        let opens = ticks > 0 || !spaced && (!before.is_alphanumeric() || before >= '\u{2e80}');
        let close = closing(&rest[..length]).filter(|close| opens && !missing.contains(close));
        let end = close.and_then(|close| {
            let found = find_closing(&rest[length..], close);
            if found.is_none() {
                missing.push(close);
            }
            found.map(|at| length + at + close.len())
        });
        match char {
            _ if end.is_some() => out.push('`'),
            '*' | '`' => {}
            '’' => out.push('\''),
            _ => out.push(char),
        }
        let step = end.unwrap_or(length);
        before = rest[..step].chars().next_back().unwrap_or(' ');
        rest = &rest[step..];
    }
    out
}

/// The end of the code span or quotation that this begins.
fn closing(open: &str) -> Option<&str> {
    let quotes = [("“", "”"), ("‘", "’"), ("«", "»"), ("「", "」"), ("„", "“")];
    let other = || quotes.iter().find(|(begin, _)| *begin == open);
    match open.as_bytes()[0] {
        b'`' | b'"' | b'\'' => Some(open),
        _ => other().map(|(_, end)| *end),
    }
}

fn find_closing(text: &str, close: &str) -> Option<usize> {
    let in_word = |at: usize| {
        text[at + close.len()..]
            .starts_with(|next: char| next.is_alphanumeric() && next < '\u{2e80}')
    };
    let mut found = text.match_indices(close).map(|(at, _)| at);
    found.find(|at| close.starts_with('`') || !in_word(*at))
}
