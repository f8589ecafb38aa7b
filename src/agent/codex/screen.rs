//! The meaning of codex's screens.
//!
//! Pure functions over the text of one pane (`tmux capture-pane -p`, 200×50). Everything is found by its words and its
//! shape, never by its position in the pane. Two shapes count, and only at the bottom, where codex draws them:
//!
//! * a **dialog**: numbered options, one of them in focus, below them a row that names the keys, and nothing else;
//! * the **composer**: a row that begins with `›`, below it the text's further rows, a blank row and the status row.
//!
//! While a dialog is up there is no composer, and the other way round, so the words of a dialog inside a prompt, a
//! message or a command are never taken for one: the real bottom of the screen is below them.
//!
//! What one screen cannot say, and who knows it instead: whether a turn has ended (the Stop event, the transcript);
//! what exactly a command is that was wrapped to fit (the PermissionRequest event); whether the words
//! `Working (3s • esc to interrupt)` come from codex ≤ 0.150 or are the whole last message of an agent that imitates it.

mod answer;
mod composer;
mod dialog;
mod notices;
mod question;

use std::borrow::Cow;

pub use answer::{DialogPolicy, Move, Reason, answer, approve};
pub use composer::{Composer, composer_holds};
pub(crate) use composer::{awaits_servers, has_empty_composer};
pub(crate) use dialog::has_fields;
pub use dialog::{Choice, Dialog, DialogKind};
pub use notices::{blocked_prompt, error_line, runs_hooks, stopped_turn, trouble};
pub(crate) use question::{as_sent, drawn, fill};

/// The bottom of a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// Nothing is drawn yet.
    Blank,
    /// codex is still starting, or a key is being acted on: look again. A dialog can still appear.
    Loading,
    /// The composer waits for a prompt, and the model is known: no startup dialog comes after this.
    ///
    /// Source: codex 0.130.0, 0.150.0 and 0.169.0 with the dialogs of trust, hooks, update and model due at one start
    /// (`tests/agent/real_dialogs.rs`).
    Composer(Composer),
    /// A turn runs, or MCP servers are being started: the row with `esc to interrupt` is up.
    Working,
    /// A dialog waits for an answer.
    Dialog(Dialog),
    /// Something else: the transcript, a browser of hooks or sessions, an ended program.
    Other,
}

/// Tells what a screen shows. Escape sequences, if there are any, are ignored.
pub fn read(screen: &str) -> View {
    let text = plain(screen);
    let rows = rows(&text);
    let Some(last) = rows.last() else {
        return View::Blank;
    };
    // tmux writes this below whatever the program drew last.
    if last.starts_with("Pane is dead") {
        return View::Other;
    }
    if let Some(dialog) = dialog::read(&rows) {
        return View::Dialog(dialog);
    }
    if dialog::is_settling(&rows) {
        return View::Loading;
    }
    composer::read(&rows, composer::is_dimmed(screen))
}

/// The screen without escape sequences.
pub(crate) fn plain(screen: &str) -> Cow<'_, str> {
    if screen.contains('\x1b') {
        Cow::Owned(strip_ansi_escapes::strip_str(screen))
    } else {
        Cow::Borrowed(screen)
    }
}

/// The rows without the blank space that pads each of them, down to the last that has text.
fn rows(text: &str) -> Vec<&str> {
    let mut rows: Vec<&str> = text.lines().map(str::trim_end).collect();
    while rows.last().is_some_and(|row| row.is_empty()) {
        rows.pop();
    }
    rows
}

/// Whether a row begins in the first column, as every cell of the history does; what belongs to it is indented.
fn starts_cell(row: &str) -> bool {
    row.chars()
        .next()
        .is_some_and(|first| !first.is_whitespace())
}
