//! What an agent may do, decided by rules.
//!
//! A [`Policy`] is a list of rules, read from a file or shipped as a preset. A [`Request`] is what the agent wants to do; a
//! shell command is judged by its syntax tree: each simple command in it becomes an [`Act`] with its effects, and each effect
//! is judged by every rule. The strictest word wins: deny, then ask, then allow. What no rule allows, and what can't be
//! parsed or expanded for sure, is `ask`.
//!
//! Owns the rules and the reading of commands. Refuses clocks and processes: of the file system it only reads links, to know
//! where a path leads. It knows no agent: the payloads of each are mapped to requests by the agent's own room.

pub mod act;
pub mod file;
pub mod ground;
pub mod judge;
pub mod load;
pub mod preset;
pub mod request;
pub mod rule;

mod programs;
mod shell;

pub use act::{Act, Effect, EffectKind};
pub use file::{Error, Policy};
pub use ground::Ground;
pub use judge::{Judged, Ruling, Verdict};
pub use load::{LoadError, NamedPolicy};
pub use preset::PRESETS;
pub use request::{Request, Wish};
pub use rule::{Action, Rule};
