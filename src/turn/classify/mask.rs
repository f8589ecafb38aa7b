//! Blanks out what a line of prose only shows: its code spans and quotations.

/// Stands for a code span or a quotation in a sentence's text.
pub(super) const MASK: char = '`';

/// The quotation marks that pair up, opening and closing.
const QUOTES: [(char, char); 7] = [
    ('"', '"'),
    ('\'', '\''),
    ('“', '”'),
    ('‘', '’'),
    ('«', '»'),
    ('「', '」'),
    ('„', '“'),
];

/// Longer runs of backticks are text: a bound that keeps the search for their partners linear.
const LONGEST_CODE_MARK: usize = 8;

/// Appends a line to `out` with code spans and quotations masked, emphasis removed and apostrophes
/// straight.
pub(super) fn mask_line(line: &str, out: &mut String) {
    let mut spans = Spans::of(line);
    let mut at = 0;
    while let Some(&char) = spans.chars.get(at) {
        if let Some(end) = spans.end_of_span(at) {
            out.push(MASK);
            at = end;
            continue;
        }
        match char {
            '*' | MASK => {}
            '’' => out.push('\''),
            _ => out.push(char),
        }
        at += if char == MASK {
            spans.run_length(at)
        } else {
            1
        };
    }
}

/// Finds the code spans and quotations of one line, from left to right.
struct Spans {
    chars: Vec<char>,
    /// By length: no run of so many backticks lies ahead. By kind: no quotation mark of the kind
    /// does.
    missing_codes: [bool; LONGEST_CODE_MARK + 1],
    missing_quotes: [bool; QUOTES.len()],
}

impl Spans {
    fn of(line: &str) -> Self {
        Self {
            chars: line.chars().collect(),
            missing_codes: [false; LONGEST_CODE_MARK + 1],
            missing_quotes: [false; QUOTES.len()],
        }
    }

    /// The index behind the span that starts at `at`, if one does.
    fn end_of_span(&mut self, at: usize) -> Option<usize> {
        if self.chars[at] == MASK {
            return self.end_of_code(at);
        }
        let kind = QUOTES
            .iter()
            .position(|(open, _)| *open == self.chars[at])?;
        self.end_of_quote(at, kind)
    }

    fn end_of_code(&mut self, start: usize) -> Option<usize> {
        let length = self.run_length(start);
        if length > LONGEST_CODE_MARK || self.missing_codes[length] {
            return None;
        }
        let mut at = start + length;
        while at < self.chars.len() {
            let run = self.run_length(at);
            if run == length {
                return Some(at + run);
            }
            at += run.max(1);
        }
        self.missing_codes[length] = true;
        None
    }

    /// A quotation ends at the next mark of its kind, provided that mark looks like a closing one.
    fn end_of_quote(&mut self, start: usize, kind: usize) -> Option<usize> {
        let (open, close) = QUOTES[kind];
        if self.missing_quotes[kind] || !self.opens(start) {
            return None;
        }
        for at in start + 1..self.chars.len() {
            if self.chars[at] == close && self.closes(at) {
                return Some(at + 1);
            }
            if self.chars[at] == open && self.opens(at) {
                return None;
            }
        }
        self.missing_quotes[kind] = true;
        None
    }

    fn opens(&self, at: usize) -> bool {
        let before = at.checked_sub(1).map(|before| self.chars[before]);
        !before.is_some_and(is_latin_word)
            && self
                .chars
                .get(at + 1)
                .is_some_and(|next| !next.is_whitespace())
    }

    fn closes(&self, at: usize) -> bool {
        !self.chars[at - 1].is_whitespace()
            && !self.chars.get(at + 1).copied().is_some_and(is_latin_word)
    }

    /// How many backticks stand from `at` on.
    fn run_length(&self, at: usize) -> usize {
        self.chars[at..]
            .iter()
            .take_while(|char| **char == MASK)
            .count()
    }
}

/// Whether a quotation mark beside this character is an apostrophe or an inch mark. Scripts that
/// write no spaces quote in the middle of what looks like a word.
fn is_latin_word(char: char) -> bool {
    char.is_alphanumeric() && char < '\u{2e80}'
}
