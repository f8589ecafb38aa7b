//! Links the hooks' program to fixed addresses.
//!
//! A position-independent program has its thousands of pointers corrected at each start, page by page: a third of the time
//! of a hook, which an agent starts many times in a turn. (`cargo bench --bench hooks`.)

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let of_target = |what: &str| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    let is_static = of_target("FEATURE")
        .split(',')
        .any(|feature| feature == "crt-static");
    // Else the C runtime that rustc links is one for position-independent programs.
    if of_target("OS") == "linux" && of_target("ENV") == "gnu" && !is_static {
        println!("cargo::rustc-link-arg-bin=cx-helper=-no-pie");
    }
}
