//! Delegates a coding task to another agent's interactive CLI and returns a typed result.

pub mod agent;
pub mod diff;
pub mod signals;
pub mod turn;
pub mod worktree;
