//! Whether `--json` asks for documents, and the document of a command that did nothing.

use std::ffi::OsString;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ArgMatches;
use schemars::JsonSchema;
use serde::Serialize;

use super::{print_failure, print_json_line};
use crate::record::Failure;

/// The document of an error, whatever command was called.
#[derive(Serialize, JsonSchema)]
pub(super) struct Refusal {
    /// 1.
    schema_version: u32,
    /// `failed`.
    status: &'static str,
    /// What went wrong.
    error: Failure,
}

/// Whether the command line asks for documents; not known while it is not understood.
static IS_WANTED: OnceLock<bool> = OnceLock::new();

/// Whether stdout has its one document.
static IS_PRINTED: AtomicBool = AtomicBool::new(false);

/// Takes note of a command line that is understood.
pub(super) fn note_wish(matches: &ArgMatches) {
    let _told_before = IS_WANTED.set(wants_json(matches));
}

fn wants_json(matches: &ArgMatches) -> bool {
    let own = matches.try_get_one::<bool>("json").ok().flatten().copied();
    let below = matches.subcommand();
    own.unwrap_or(false) || below.is_some_and(|(_, below)| wants_json(below))
}

/// The same of a command line that is not understood, by its words.
fn has_word(words: impl Iterator<Item = OsString>) -> bool {
    let mut options = words.take_while(|word| word != "--");
    options.any(|word| word == "--json" || word.to_string_lossy().starts_with("--json="))
}

pub(super) fn has_printed() -> bool {
    IS_PRINTED.load(Ordering::Relaxed)
}

pub(super) fn note_printed() {
    IS_PRINTED.store(true, Ordering::Relaxed);
}

/// Prints the document of a command that did nothing, in a line, where documents are asked for and none is there.
pub(super) fn print_refusal(error: Failure) {
    let words = || has_word(std::env::args_os().skip(1));
    if has_printed() || !IS_WANTED.get().copied().unwrap_or_else(words) {
        return;
    }
    let document = Refusal {
        schema_version: 1,
        status: "failed",
        error,
    };
    if let Err(error) = print_json_line(&document) {
        print_failure(&error.to_failure());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_command_line_that_is_not_understood_tell() {
        for (words, wanted) in [
            (&["delegate", "--json", "--bogus"][..], true),
            (&["list", "--json=yes"], true),
            (&["policy", "check", "x", "--", "--json"], false),
            (&["list", "--jsonx"], false),
            (&[], false),
        ] {
            assert_eq!(has_word(words.iter().map(OsString::from)), wanted);
        }
    }
}
