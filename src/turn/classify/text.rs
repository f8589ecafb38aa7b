//! What a message says: its sentences, without the code and the quotations that it only shows.
//!
//! Only as much of markdown as that takes. Where a construct is malformed (a fence that never closes, a quotation mark
//! without its partner) the text counts as said by the agent: a question too many is cheaper than a question lost. Every
//! pass is linear in the length of the message.

/// Stands for a code span or a quotation in a sentence's text.
pub(super) const MASK: char = '`';

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
    /// Whether it stands in a heading.
    pub(super) heading: bool,
    /// The paragraph, list item or heading that it belongs to.
    pub(super) block: usize,
}

/// Cuts a message into lines; the second value tells whether a fence is open at the end, whose lines are then said.
pub(super) fn lines(message: &str) -> (Vec<Line<'_>>, bool) {
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut fence: Option<(&str, usize)> = None;
    for raw in message.lines() {
        let trimmed = raw.trim();
        let text = without_marker(trimmed);
        let mark = fence_mark(text);
        let mut shown = fence.is_some() || trimmed.starts_with('>');
        match (fence, mark) {
            (Some((open, _)), Some(mark)) if mark.starts_with(open) && trimmed == mark => {
                fence = None;
            }
            // An opening fence of backticks has none in what follows them.
            (None, Some(mark)) if !shown && !text[mark.len()..].contains('`') => {
                fence = Some((mark, lines.len()));
                shown = true;
            }
            _ => {}
        }
        let bold = |mark: &str| {
            let text = text.trim_end_matches([':', '.']);
            text.len() > 4 && text.starts_with(mark) && text.ends_with(mark)
        };
        let hashes = text.len() - text.trim_start_matches('#').len();
        let titled = (1..=6).contains(&hashes) && text[hashes..].starts_with(' ');
        let heading = !shown && (titled || bold("**") || bold("__"));
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

/// The run of backticks or tildes that opens or closes a fence.
fn fence_mark(text: &str) -> Option<&str> {
    let mark = text.chars().next().filter(|mark| "`~".contains(*mark))?;
    let length = text.len() - text.trim_start_matches(mark).len();
    (length >= 3).then(|| &text[..length])
}

/// Drops `- `, `* `, `• `, `1. ` or `1) `, and a check box.
fn without_marker(line: &str) -> &str {
    let rest = line.trim_start_matches(|char: char| char.is_ascii_digit());
    let digits = line.len() - rest.len();
    let marks: &[char] = if digits > 0 {
        &['.', ')']
    } else {
        &['-', '*', '+', '•']
    };
    match rest.strip_prefix(marks) {
        Some(rest) if digits <= 9 && rest.starts_with([' ', '\t']) => {
            let rest = rest.trim_start();
            let boxed = ["[ ] ", "[x] ", "[X] "];
            boxed
                .iter()
                .find_map(|mark| rest.strip_prefix(mark))
                .unwrap_or(rest)
        }
        _ => line,
    }
}

/// Cuts what is said into sentences.
pub(super) fn sentences(lines: &[Line<'_>]) -> Vec<Sentence> {
    let mut found = Vec::new();
    let mut block = String::new();
    let (mut number, mut heading) = (0, false);
    for line in lines {
        if line.starts || line.shown || line.text.is_empty() {
            split(&block, heading, number, &mut found);
            block.clear();
            number += 1;
        }
        if !line.shown {
            if !block.is_empty() {
                block.push('\n');
            }
            mask(line.text, &mut block);
            heading = line.heading;
        }
    }
    split(&block, heading, number, &mut found);
    found
}

const QUESTION_MARKS: [char; 8] = ['?', '？', '؟', '⁇', '⁈', '⁉', '‽', '﹖'];

/// Cuts a block at its sentences' ends, and at a line that starts with a capital: agents often end a line without a mark.
fn split(block: &str, heading: bool, number: usize, found: &mut Vec<Sentence>) {
    let chars: Vec<char> = block.chars().collect();
    let mut push = |range: &[char], asks| {
        let text: String = range.iter().collect::<String>().to_lowercase();
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = words.join(" ");
        let text = text.trim_start_matches(|char: char| !char.is_alphanumeric() && char != MASK);
        if text.contains(char::is_alphanumeric) {
            let text = text.to_owned();
            found.push(Sentence {
                text,
                asks,
                heading,
                block: number,
            });
        }
    };
    let (mut start, mut at) = (0, 0);
    while at < chars.len() {
        let end = end_of_sentence(&chars, at);
        let ends = end.is_some()
            || chars[at] == '\n' && chars.get(at + 1).is_some_and(|next| next.is_uppercase());
        let next = end.map_or(at + 1, |(end, _)| end);
        if ends {
            push(&chars[start..next], end.is_some_and(|(_, asks)| asks));
            start = next;
        }
        at = next;
    }
    push(&chars[start..], false);
}

/// Where the sentence ends whose mark stands here, and whether it is a question. A mark inside a word (`1.5`, `/a?b=c`)
/// ends none.
fn end_of_sentence(chars: &[char], at: usize) -> Option<(usize, bool)> {
    let is_mark = |char: &char| ".!…。！".contains(*char) || QUESTION_MARKS.contains(char);
    let marks = chars[at..].iter().take_while(|char| is_mark(char)).count();
    let run = &chars[at..at + marks];
    let wide = |char: &char| "。！？".contains(*char);
    let asks = run.iter().any(|char| QUESTION_MARKS.contains(char));
    let closers = chars[at + marks..]
        .iter()
        .take_while(|char| ")]_~\"'”»」`".contains(**char));
    let end = at + marks + closers.count();
    let ends = chars.get(end).is_none_or(|next| {
        let joins = next.is_alphanumeric() || "=&/;,-".contains(*next);
        next.is_whitespace() || run.iter().any(wide) || asks && !joins
    });
    (marks > 0 && ends).then_some((end, asks))
}

const QUOTES: [(char, char); 7] = [
    ('"', '"'),
    ('\'', '\''),
    ('“', '”'),
    ('‘', '’'),
    ('«', '»'),
    ('「', '」'),
    ('„', '“'),
];

/// Appends a line with its code spans and quotations masked, without emphasis, with straight apostrophes.
fn mask(line: &str, out: &mut String) {
    let chars: Vec<char> = line.chars().collect();
    // By kind of quotation, and by length of a code mark: none closes ahead. It keeps the search linear.
    let mut missing = [false; QUOTES.len() + 9];
    let mut at = 0;
    while let Some(&char) = chars.get(at) {
        let run = chars[at..].iter().take_while(|char| **char == MASK).count();
        let kind = QUOTES.iter().position(|(open, _)| *open == char);
        let end = match (run, kind) {
            (1..9, _) => end_of_code(&chars, (at, run), &mut missing[QUOTES.len() + run]),
            (_, Some(kind)) => end_of_quote(&chars, (at, QUOTES[kind]), &mut missing[kind]),
            _ => None,
        };
        match char {
            _ if end.is_some() => out.push(MASK),
            '*' | MASK => {}
            '’' => out.push('\''),
            _ => out.push(char),
        }
        at = end.unwrap_or(at + run.max(1));
    }
}

/// A code span ends at the next run of as many backticks.
fn end_of_code(
    chars: &[char],
    (start, length): (usize, usize),
    missing: &mut bool,
) -> Option<usize> {
    let mut at = start + length;
    while !*missing && at < chars.len() {
        let run = chars[at..].iter().take_while(|char| **char == MASK).count();
        if run == length {
            return Some(at + run);
        }
        at += run.max(1);
    }
    *missing = true;
    None
}

/// A quotation ends at the next mark of its kind, provided that mark looks like a closing one.
fn end_of_quote(
    chars: &[char],
    (start, (open, close)): (usize, (char, char)),
    missing: &mut bool,
) -> Option<usize> {
    // Beside such a character a mark is an apostrophe or an inch. Scripts without spaces quote within what looks like a word.
    let in_word =
        |at: Option<&char>| at.is_some_and(|char| char.is_alphanumeric() && *char < '\u{2e80}');
    let space = |at: Option<&char>| at.is_none_or(|char| char.is_whitespace());
    let before = |at: usize| at.checked_sub(1).and_then(|before| chars.get(before));
    let opens = |at: usize| !in_word(before(at)) && !space(chars.get(at + 1));
    let closes = |at: usize| !space(before(at)) && !in_word(chars.get(at + 1));
    if *missing || !opens(start) {
        return None;
    }
    for (at, char) in chars.iter().enumerate().skip(start + 1) {
        if *char == close && closes(at) {
            return Some(at + 1);
        }
        if *char == open && opens(at) {
            return None;
        }
    }
    *missing = true;
    None
}
