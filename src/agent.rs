//! What is known about the agents' CLIs, one module each.

pub mod codex;
