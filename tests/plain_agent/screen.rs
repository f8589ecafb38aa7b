//! What the agent shows: its version and folder, what was said, and at the bottom what it waits for.

use std::io::{self, Write};
use std::path::Path;

pub(crate) const VERSION: &str = "1.2.0";
/// So many lines of what was said are shown.
const SAID: usize = 20;
/// A longer text is not shown in the composer, but counted.
const SHOWN_WHOLE: usize = 60;

/// The bottom of the screen.
pub(crate) enum Bottom<'a> {
    SignIn,
    Greeting,
    Busy,
    Composer(&'a str),
    Question {
        question: &'a str,
        reason: Option<&'a str>,
        yes: bool,
    },
}

pub(crate) struct Screen {
    title: String,
    said: Vec<String>,
}

impl Screen {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            title: format!("== plain {VERSION} in {} ==", folder.display()),
            said: Vec::new(),
        }
    }

    /// Adds to what was said; a mark before each line tells it from the rest.
    pub(crate) fn say(&mut self, text: &str) {
        self.said
            .extend(text.lines().map(|line| format!("| {line}")));
    }

    /// Draws all of it. The cursor shows in the composer only.
    pub(crate) fn draw(&self, bottom: &Bottom<'_>) -> io::Result<()> {
        let mut rows = vec![self.title.clone()];
        rows.extend(
            self.said[self.said.len().saturating_sub(SAID)..]
                .iter()
                .cloned(),
        );
        rows.extend(match bottom {
            Bottom::SignIn => vec!["Who are you?".to_owned(), "[code]".to_owned()],
            Bottom::Greeting => vec![
                "What is new: nothing".to_owned(),
                "[Enter goes on]".to_owned(),
            ],
            Bottom::Busy => vec!["Please wait".to_owned(), "[busy]".to_owned()],
            Bottom::Composer(text) => vec![format!("?> {}", shown(text)), "[waiting]".to_owned()],
            Bottom::Question {
                question,
                reason,
                yes,
            } => {
                let mut rows = vec![(*question).to_owned()];
                rows.extend(reason.map(|reason| format!("Because {reason}")));
                rows.push(if *yes { "[Y/n]" } else { "[y/N]" }.to_owned());
                rows
            }
        });
        let cursor = match bottom {
            Bottom::Composer(_) => "\x1b[?25h",
            _ => "\x1b[?25l",
        };
        let mut stdout = io::stdout().lock();
        write!(stdout, "\x1b[H\x1b[2J{}{cursor}", rows.join("\r\n"))?;
        stdout.flush()
    }
}

/// A text as the composer shows it: a long one by its length and a sum of its bytes.
fn shown(text: &str) -> String {
    let characters = text.chars().count();
    if characters <= SHOWN_WHOLE && !text.contains('\n') {
        return text.to_owned();
    }
    let sum = text.bytes().fold(0_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    format!("({characters} characters, {sum:08x})")
}
