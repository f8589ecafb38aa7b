//! Anthropic's Claude Code, by keys in its terminal, and headless ([`print`]).
//!
//! A run has a configuration directory of its own, made from the user's ([`home`]): the user's settings, hooks, servers,
//! skills and memory count, and nothing is written to the user's files but credentials that are refreshed.

mod access;
mod call;
mod counted;
mod executor;
mod global_hooks;
mod home;
mod launch;
mod managed;
mod payload;
mod print;
mod program;
mod refusal;
mod screen;
mod traces;
mod transcript;

pub use executor::Claude;
pub use print::ClaudePrint;
