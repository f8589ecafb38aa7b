//! The executors: the interactive CLIs that a task can be handed to.
//!
//! One module each. Everything that is known about a CLI (its flags, dialogs, payloads, transcript, and
//! the versions that a fact holds for) is in its module and nowhere else: facts and pure functions, plus
//! the few questions that only the program itself can answer.

pub mod codex;
pub mod executor;
pub mod signals;
