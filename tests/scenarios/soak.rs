//! The soak of `examples/soak.rs`, small: it works, and finds nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

use testkit::alone::in_own_process;
use testkit::built;
use testkit::soak::{Campaign, Programs};

#[test]
fn six_runs_lose_nothing_and_leave_nothing() {
    in_own_process("soak::six_runs_lose_nothing_and_leave_nothing", soak);
}

/// It counts the files that this process has open.
fn soak() {
    let campaign = Campaign {
        programs: vec![Programs {
            binaries: built::directory(),
            agent: built::scripted_agent(),
            drive: "keys".to_owned(),
            executor: "codex".to_owned(),
        }],
        is_real: false,
        seed: 1,
        first: 0,
        runs: 6,
        parallel: 3,
    };
    let root = tempfile::tempdir().expect("a temporary directory");
    let told = AtomicUsize::new(0);
    let report = campaign.run(root.path(), |_, _| {
        told.fetch_add(1, Ordering::Relaxed);
    });
    assert!(report.violations.is_empty(), "{report}");
    assert_eq!(told.into_inner(), 6, "each run is told of");
}
