//! Hook binary of a cx-operator run.

fn main() {}
