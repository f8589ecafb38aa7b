//! The composer: what was typed or pasted and not yet submitted.

use std::time::{Duration, Instant};

use crate::terminal::{Input, Key};

/// Characters closer together than this were not typed by a person.
const CHARACTER_GAP: Duration = Duration::from_millis(8);
/// So many such characters are a burst: an unbracketed paste.
const BURST: u32 = 3;
/// An Enter within this time of a burst is a line break of that paste.
const ENTER_WINDOW: Duration = Duration::from_millis(120);
/// A longer paste is shown as a placeholder.
const LARGE_PASTE: usize = 1000;

/// What an input did to the composer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// Nothing: the key means something else, or nothing.
    Ignored,
    Changed,
    /// Enter was pressed on a text: take it or leave it.
    Submit,
}

/// The text and what is needed to tell a typed Enter from a pasted one.
#[derive(Default)]
pub(crate) struct Composer {
    text: String,
    /// Placeholder → content, for large pastes.
    pastes: Vec<(String, String)>,
    fast_characters: u32,
    last_character: Option<Instant>,
    burst_until: Option<Instant>,
}

impl Composer {
    /// The text as it is shown, with placeholders.
    pub(crate) fn shown(&self) -> &str {
        &self.text
    }

    /// Empties the composer and returns the whole text, trimmed as codex submits it.
    pub(crate) fn take(&mut self) -> String {
        let mut text = std::mem::take(&mut self.text);
        for (placeholder, content) in std::mem::take(&mut self.pastes) {
            text = text.replacen(&placeholder, &content, 1);
        }
        *self = Self::default();
        text.trim().to_owned()
    }

    /// Applies one input.
    pub(crate) fn apply(&mut self, input: &Input) -> Edit {
        match &input.key {
            Key::Paste(text) => self.paste(text),
            Key::Char(c) => self.character(*c, input.at),
            Key::Ctrl('j') => self.text.push('\n'),
            Key::Ctrl('i') => self.character('\t', input.at),
            Key::Enter if self.burst_until.is_some_and(|until| input.at < until) => {
                self.text.push('\n');
                self.burst_until = Some(input.at + ENTER_WINDOW);
            }
            Key::Enter | Key::Submit if self.text.trim().is_empty() => return Edit::Ignored,
            Key::Enter | Key::Submit => return Edit::Submit,
            Key::Backspace => self.backspace(),
            Key::Ctrl('u') => drop(self.take()),
            _ => return Edit::Ignored,
        }
        Edit::Changed
    }

    /// A bracketed paste: the program knows where it ends, so no Enter is doubted after it.
    fn paste(&mut self, text: &str) {
        self.burst_until = None;
        self.fast_characters = 0;
        let length = text.chars().count();
        if length <= LARGE_PASTE {
            self.text.push_str(text);
            return;
        }
        let mut placeholder = format!("[Pasted Content {length} chars]");
        let same = self
            .pastes
            .iter()
            .filter(|(other, _)| other.starts_with(&placeholder))
            .count();
        if same > 0 {
            placeholder += &format!(" #{}", same + 1);
        }
        self.text.push_str(&placeholder);
        self.pastes.push((placeholder, text.to_owned()));
    }

    fn character(&mut self, c: char, at: Instant) {
        let fast = self
            .last_character
            .is_some_and(|last| at.duration_since(last) <= CHARACTER_GAP);
        self.fast_characters = if fast { self.fast_characters + 1 } else { 1 };
        self.last_character = Some(at);
        if self.fast_characters >= BURST {
            self.burst_until = Some(at + ENTER_WINDOW);
        }
        self.text.push(c);
    }

    /// Removes the last character, or a whole placeholder.
    fn backspace(&mut self) {
        if let Some(index) = self
            .pastes
            .iter()
            .rposition(|(placeholder, _)| self.text.ends_with(placeholder.as_str()))
        {
            let (placeholder, _) = self.pastes.remove(index);
            self.text.truncate(self.text.len() - placeholder.len());
        } else {
            self.text.pop();
        }
    }
}
