//! The `cx-operator` binary.

fn main() {}
