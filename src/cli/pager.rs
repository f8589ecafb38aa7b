//! The pager, where git would have one: at a terminal, and the one that the user has git use.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;

use super::look::Look;
use super::{Error, print_text};
use crate::worktree::caller::query_pager;

/// What git sets for its pagers, unless the user has: less ends by itself where all fits, and shows colours.
const SETTINGS: [(&str, &str); 2] = [("LESS", "FRX"), ("LV", "-c")];
/// The exit status of a shell that finds no such program.
const NOT_FOUND: i32 = 127;

/// Whether `--no-pager` was said.
static IS_REFUSED: AtomicBool = AtomicBool::new(false);

pub(super) fn note_wish(no_pager: bool) {
    IS_REFUSED.store(no_pager, Ordering::Relaxed);
}

/// Prints a text on stdout, at a terminal in the pager that git has for this command.
pub(super) fn page(command: &str, text: &str, look: &Look) -> Result<(), Error> {
    let wanted = look.width.is_some() && !IS_REFUSED.load(Ordering::Relaxed) && !text.is_empty();
    let pager = wanted.then(|| query_pager(command)).flatten();
    match pager.map(|pager| show_in(&pager, text)) {
        Some(Ok(true)) => Ok(()),
        // No pager, or none that starts: what there is to read is not lost with it.
        _ => print_text(text),
    }
}

/// Whether the pager was there to show the text.
fn show_in(pager: &str, text: &str) -> io::Result<bool> {
    // Ctrl-C is the pager's affair; without us it would fight with the shell for the terminal.
    let caught = Arc::new(AtomicBool::new(false));
    let interrupt = signal_hook::flag::register(Signal::INT.as_raw(), caught)?;
    let mut command = Command::new("sh");
    command.arg("-c").arg(pager).stdin(Stdio::piped());
    for (name, value) in SETTINGS {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().expect("it is piped");
    // Whoever leaves the pager before the end has seen enough.
    let _left = stdin.write_all(text.as_bytes());
    drop(stdin);
    let status = child.wait()?;
    signal_hook::low_level::unregister(interrupt);
    Ok(status.code() != Some(NOT_FOUND))
}
