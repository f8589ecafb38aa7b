//! The turns of a run, from a started agent to the reason why the run ends.
//!
//! [`Machine`] is pure: it is told what happened and when, and says what to do. It has no clock, no file
//! and no process, so every decision can be tested without one. `sources` turns files and screens into
//! its events, `driver` carries out its reactions, [`mod@classify`] reads the agent's messages.
//!
//! ```text
//! Starting ──composer ready──▶ Submitting ──prompt event──▶ Working ──Stop──▶ (classified)
//!                                  ▲                          │  ▲               │ result ▶ Ended
//!                                  │                permission│  │decision       │ otherwise
//!                                  └───────────reply────── Asking ◀──────────────┘
//! ```
//!
//! Invariants: a run ends at most once; nothing is typed while the agent works, but for an approval
//! that the policy gives and a message that is to steer it; the prompt of a turn is pasted once; an event of another session changes nothing.

pub use end::End;
pub use event::{Asker, Event, Reaction};
pub use machine::{Machine, Plan, ResumePoint};

pub mod classify;
pub(crate) mod end;
mod event;
mod machine;
#[cfg(test)]
mod tests;

/// Said to an agent whose turn ended with words about what it is about to do.
pub(crate) const CONTINUE: &str = "Please continue until the task is done.";

/// The purpose of a key that submits a prompt.
pub(crate) const COMPOSER: &str = "composer";
