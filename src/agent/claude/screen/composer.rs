//! The composer, and what of a prompt it shows.

use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::agent::claude::payload::{as_typed, is_invisible};

/// The beginning of the composer.
pub(in crate::agent::claude) const COMPOSER: &str = "❯\u{a0}";

/// The composer's rows.
pub(super) struct Composer {
    pub(super) first: usize,
    /// The rule below it.
    end: usize,
}

impl Composer {
    pub(super) fn find(rows: &[&str]) -> Option<Self> {
        let first = rows
            .iter()
            .rposition(|row| row.starts_with(COMPOSER) || *row == "❯")?;
        let above = first.checked_sub(1).map(|above| rows[above]);
        let end = rows[first..].iter().position(|row| is_rule(row))? + first;
        above.is_some_and(is_rule).then_some(Self { first, end })
    }

    pub(super) fn footer<'a>(&self, rows: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
        rows[self.end + 1..].iter().copied()
    }

    /// Its text; the rows that follow the first are two columns in.
    pub(super) fn text(&self, rows: &[&str]) -> String {
        let first = rows[self.first].trim_start_matches('❯');
        let first = first.trim_start_matches(['\u{a0}', ' ']);
        let more = rows[self.first + 1..self.end]
            .iter()
            .map(|row| row.strip_prefix("  ").unwrap_or(row));
        let all: Vec<&str> = std::iter::once(first).chain(more).collect();
        all.join("\n").trim().to_owned()
    }
}

/// Whether that text of the composer is the prompt, whole. A long paste shows as its number of lines.
pub(super) fn is_shown(text: &str, prompt: &str) -> bool {
    static PASTED: LazyLock<Regex> = LazyLock::new(|| {
        let pasted = r"^\[Pasted text #[0-9]+(?: \+([0-9]+) lines?)?\]$";
        Regex::new(pasted).expect("a regular expression")
    });
    let typed = as_typed(prompt);
    if let Some(pasted) = PASTED.captures(text) {
        let breaks = pasted.get(1).map_or(Ok(0), |count| count.as_str().parse());
        return breaks == Ok(typed.trim_end().matches('\n').count())
            || breaks == Ok(typed.matches('\n').count());
    }
    !text.is_empty() && is_drawn(text, &typed)
}

/// Whether that is what a terminal shows of a text: blanks stand where rows end, and signs that are joined to others may be
/// missing. tmux keeps so many bytes of a cell, and no colour of a skin.
///
/// Source: tmux 3.3a.
fn is_drawn(shown: &str, text: &str) -> bool {
    let dense = |text: &str| -> Vec<char> {
        let letters = text.nfc().filter(|letter| !letter.is_whitespace());
        letters.collect()
    };
    let (shown, text) = (dense(shown), dense(text));
    let mut shown = shown.into_iter().peekable();
    let all = text
        .into_iter()
        .all(|letter| shown.next_if_eq(&letter).is_some() || is_joined(letter));
    all && shown.next().is_none()
}

/// Whether a sign is one that others are joined to.
fn is_joined(letter: char) -> bool {
    is_invisible(letter)
        || is_combining_mark(letter)
        || matches!(letter, '\u{2600}'..='\u{27bf}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
}

pub(super) fn is_rule(row: &str) -> bool {
    row.starts_with("──")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_cannot_show_is_not_missed() {
        // Source: 2.1.332 in tmux 3.3a.
        let family = "a 👩\u{200d}👩\u{200d}👧\u{200d} b 👍 \u{e9} 1\u{fe0f}\u{20e3}";
        let prompt = "a 👩\u{200d}👩\u{200d}👧\u{200d}👦 b 👍🏽 e\u{301} 1\u{fe0f}\u{20e3}";
        assert!(is_shown(family, prompt));
        assert!(is_shown("👍", "👍🏽") && is_shown("a\n  b", "a b"));
        for (other, prompt) in [
            ("a b", "a b c"),
            ("a b c", "a b"),
            ("👎", "👍"),
            ("", "👍"),
            ("漢", "漢字"),
            ("e", "\u{e9}"),
        ] {
            assert!(!is_shown(other, prompt), "{other:?} for {prompt:?}");
        }
    }
}
