//! How much a test tries that could go on for ever: a newcomer's `cargo test` plays a sample, the gate plays all.

/// Whether the tables are played at full size: `CX_THOROUGH=1`, as `.ci/run` sets it for the tests whose name has `thorough`.
pub fn thorough() -> bool {
    std::env::var_os("CX_THOROUGH").is_some_and(|value| value == "1")
}

/// `all` when thorough, else `sample`.
pub fn size(sample: usize, all: usize) -> usize {
    if thorough() { all } else { sample }
}
