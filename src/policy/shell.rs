//! The reading of a shell's script: from its text to its acts.
//!
//! What can't be parsed or expanded for sure becomes an act with a doubt, which nothing allows.

mod parse;
mod redirect;
mod stdin;
mod walk;
mod words;

use std::path::Path;

use super::act::Act;
use super::ground::Ground;

pub(super) use stdin::Stdin;
pub(super) use walk::Walk;

/// What a script would do, started in that directory; `None` where nobody can tell in which.
pub(super) fn acts(script: &str, directory: Option<&Path>, ground: &Ground) -> Vec<Act> {
    let mut walk = Walk::new(directory, ground);
    walk.script(script);
    walk.into_acts()
}
