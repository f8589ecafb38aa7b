//! Scripted stand-in for an agent.

fn main() {}
