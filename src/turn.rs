//! Turns of an agent: how one ends and what its last message means.

pub mod classify;
