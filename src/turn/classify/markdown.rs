//! Reads a message as markdown: tells what the agent says from the code and the quotations it
//! shows, and cuts what it says into sentences.
//!
//! Only as much of markdown as that takes. Where a construct is malformed (a fence that never
//! closes, a quotation mark without its partner) the text counts as said by the agent: a question
//! too many is cheaper than a question lost. Every pass is linear in the length of the message.

use std::ops::Range;

use super::mask::{MASK, mask_line};

/// Who speaks in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineKind {
    /// Nothing but white space.
    Blank,
    /// The agent itself.
    Prose,
    /// A fenced block, its fences included.
    Code,
    /// A block quote.
    Quote,
}

/// One line of a message, without its line end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// The line's text, trimmed at the end.
    pub(super) text: &'a str,
    /// Who speaks.
    pub(super) kind: LineKind,
}

/// A message cut into lines.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    /// All lines, in order.
    pub(super) lines: Vec<Line<'a>>,
    /// Whether a fence is open at the end; the lines after it are then prose.
    pub(super) unclosed_fence: bool,
}

impl<'a> Lines<'a> {
    /// Cuts a message into lines (LF or CRLF).
    pub(super) fn read(message: &'a str) -> Self {
        let mut lines = Vec::new();
        let mut fence: Option<(Fence, usize)> = None;
        for (index, raw) in message.split('\n').enumerate() {
            let text = raw.trim_end();
            let kind = match &fence {
                Some((open, _)) => {
                    if open.is_closed_by(text) {
                        fence = None;
                    }
                    LineKind::Code
                }
                None if text.trim_start().starts_with('>') => LineKind::Quote,
                None => match Fence::opened_by(text) {
                    Some(open) => {
                        fence = Some((open, index));
                        LineKind::Code
                    }
                    None if text.is_empty() => LineKind::Blank,
                    None => LineKind::Prose,
                },
            };
            lines.push(Line { text, kind });
        }
        if let Some((_, opened_at)) = fence {
            for line in &mut lines[opened_at + 1..] {
                line.kind = if line.text.is_empty() {
                    LineKind::Blank
                } else {
                    LineKind::Prose
                };
            }
        }
        Self {
            lines,
            unclosed_fence: fence.is_some(),
        }
    }
}

/// A code fence: its character and length.
#[derive(Debug, Clone, Copy)]
struct Fence {
    mark: char,
    length: usize,
}

impl Fence {
    /// Recognises an opening fence, also behind a list marker.
    fn opened_by(line: &str) -> Option<Self> {
        let line = without_list_marker(line.trim_start());
        let mark = line
            .chars()
            .next()
            .filter(|mark| matches!(mark, '`' | '~'))?;
        let info = line.trim_start_matches(mark);
        let length = line.len() - info.len();
        (length >= 3 && !(mark == '`' && info.contains('`'))).then_some(Self { mark, length })
    }

    fn is_closed_by(self, line: &str) -> bool {
        let line = line.trim_start();
        line.len() >= self.length && line.chars().all(|char| char == self.mark)
    }
}

/// One sentence of the agent's prose.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sentence {
    /// Lower case, emphasis removed, apostrophes straight, each quotation and code span replaced by
    /// one backtick, white space single. Holds at least one letter or digit.
    pub(super) text: String,
    /// Whether it ends with a question mark.
    pub(super) asks: bool,
    /// Whether it stands in a heading (`## …`, or a line that is bold as a whole).
    pub(super) heading: bool,
    /// The paragraph, list item or heading it belongs to, counted from 0.
    pub(super) block: usize,
}

/// Cuts the prose among `lines` into sentences.
pub(super) fn sentences(lines: &[Line<'_>]) -> Vec<Sentence> {
    let mut found = Vec::new();
    let mut block = Block::default();
    let mut number = 0;
    for line in lines {
        let start = BlockStart::of(line);
        if start != BlockStart::Continues || block.heading {
            block.finish(&mut number, &mut found);
        }
        if line.kind == LineKind::Prose {
            block.push(line.text, start == BlockStart::Heading);
        }
    }
    block.finish(&mut number, &mut found);
    found
}

/// How a line relates to the block before it.
#[derive(Debug, PartialEq, Eq)]
enum BlockStart {
    Continues,
    Starts,
    Heading,
}

impl BlockStart {
    fn of(line: &Line<'_>) -> Self {
        let text = line.text.trim_start();
        if line.kind != LineKind::Prose {
            return Self::Starts;
        }
        let bold = |mark: &str| {
            text.len() > 4 && text.starts_with(mark) && text.trim_end_matches(':').ends_with(mark)
        };
        let hashes = text.len() - text.trim_start_matches('#').len();
        if bold("**") || bold("__") || (1..=6).contains(&hashes) && text[hashes..].starts_with(' ')
        {
            Self::Heading
        } else if without_list_marker(text).len() < text.len() || text.starts_with('|') {
            Self::Starts
        } else {
            Self::Continues
        }
    }
}

/// The block being gathered.
#[derive(Default)]
struct Block {
    text: String,
    heading: bool,
}

impl Block {
    fn push(&mut self, line: &str, heading: bool) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        mask_line(without_list_marker(line.trim_start()), &mut self.text);
        self.heading = heading;
    }

    /// Appends the block's sentences to `found` and empties the block.
    fn finish(&mut self, number: &mut usize, found: &mut Vec<Sentence>) {
        let before = found.len();
        for (text, asks) in split_sentences(&self.text) {
            found.push(Sentence {
                text,
                asks,
                heading: self.heading,
                block: *number,
            });
        }
        *number += usize::from(found.len() > before);
        self.text.clear();
        self.heading = false;
    }
}

/// Drops `- `, `* `, `+ `, `• `, `1. ` or `1) ` from the start of a line.
fn without_list_marker(line: &str) -> &str {
    let digits = line.len()
        - line
            .trim_start_matches(|char: char| char.is_ascii_digit())
            .len();
    let marker: &[char] = if digits > 0 {
        &['.', ')']
    } else {
        &['-', '*', '+', '•']
    };
    match line[digits..].strip_prefix(marker) {
        Some(rest) if digits <= 9 && rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => line,
    }
}

/// Cuts a block at its sentence ends, and at a line that starts with a capital: agents often end a
/// line without a mark. Tells of each sentence whether it is a question.
fn split_sentences(block: &str) -> Vec<(String, bool)> {
    let chars: Vec<char> = block.chars().collect();
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < chars.len() {
        let marks = chars[at..]
            .iter()
            .take_while(|char| is_terminator(**char))
            .count();
        let ended = if marks > 0 {
            end_at_marks(&chars, at..at + marks)
        } else {
            let breaks =
                chars[at] == '\n' && chars.get(at + 1).is_some_and(|next| next.is_uppercase());
            breaks.then_some((at + 1, false))
        };
        at += marks.max(1);
        if let Some((end, asks)) = ended {
            sentences.extend(normalized(&chars[start..end]).map(|text| (text, asks)));
            start = end;
            at = end;
        }
    }
    sentences.extend(normalized(&chars[start..]).map(|text| (text, false)));
    sentences
}

/// The index behind the sentence that a run of terminators ends, and whether it is a question. A
/// run inside a word (`1.5`, `/a?b=c`) ends none.
fn end_at_marks(chars: &[char], marks: Range<usize>) -> Option<(usize, bool)> {
    let has = |wanted: &[char]| {
        chars[marks.clone()]
            .iter()
            .any(|char| wanted.contains(char))
    };
    let asks = has(&QUESTION_MARKS);
    let needs_no_space = has(&['。', '！', '？']);
    let end = marks.end
        + chars[marks.end..]
            .iter()
            .take_while(|char| is_closer(**char))
            .count();
    let ends = chars.get(end).is_none_or(|next| {
        let joins = next.is_alphanumeric() || matches!(next, '=' | '&' | '/' | ';' | ',' | '-');
        next.is_whitespace() || needs_no_space || asks && !joins
    });
    ends.then_some((end, asks))
}

const QUESTION_MARKS: [char; 8] = ['?', '？', '؟', '⁇', '⁈', '⁉', '‽', '﹖'];

fn is_terminator(char: char) -> bool {
    matches!(char, '.' | '!' | '…' | '。' | '！') || QUESTION_MARKS.contains(&char)
}

fn is_closer(char: char) -> bool {
    matches!(
        char,
        ')' | ']' | '_' | '~' | '"' | '\'' | '”' | '»' | '」' | MASK
    )
}

/// Lower case, single spaces, no marks in front; nothing if no letter or digit is left.
fn normalized(sentence: &[char]) -> Option<String> {
    let text: String = sentence.iter().collect::<String>().to_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    let text = text.trim_start_matches(|char: char| !char.is_alphanumeric() && char != MASK);
    text.contains(char::is_alphanumeric)
        .then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> Vec<String> {
        let sentences = sentences(&Lines::read(message).lines);
        sentences
            .into_iter()
            .map(|sentence| sentence.text)
            .collect()
    }

    #[test]
    fn code_and_quotations_are_not_said() {
        assert_eq!(
            said("Run `a?` or ``b`c``.\n> Quoted?\n- ```sh\n  x?\n  ```\nIt asks \"Sure?\" now."),
            ["run ` or `.", "it asks ` now."]
        );
        assert_eq!(
            said("Don't. The users' 5\" disk, “a?” and 'b?'."),
            ["don't.", "the users' 5\" disk, ` and `."]
        );
    }

    #[test]
    fn what_is_never_closed_is_said() {
        let lines = Lines::read("a\n```\nb?\n");
        assert!(lines.unclosed_fence);
        assert_eq!(said("a\n\n```\nb?\n"), ["a", "b?"]);
        assert_eq!(
            said("Keep `old or \"new? Which?"),
            ["keep old or \"new?", "which?"]
        );
    }

    #[test]
    fn sentences_end_at_marks_and_at_lines_that_start_anew() {
        assert_eq!(
            said(
                "Version 1.5 of a/b?c=d works… Should\nI keep it?! **Yes** (y/n)\nNext line\n# Head\nText。続き？"
            ),
            [
                "version 1.5 of a/b?c=d works…",
                "should",
                "i keep it?!",
                "yes (y/n)",
                "next line",
                "head",
                "text。",
                "続き？"
            ]
        );
    }

    #[test]
    fn blocks_are_counted() {
        let sentences = sentences(&Lines::read("One. Two.\n- three\n\n**Four?**\nfive").lines);
        let blocks: Vec<_> = sentences
            .iter()
            .map(|sentence| (sentence.block, sentence.heading))
            .collect();
        assert_eq!(
            blocks,
            [(0, false), (0, false), (1, false), (2, true), (3, false)]
        );
    }
}
