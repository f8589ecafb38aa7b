//! The soak of `examples/soak.rs`, small: it works, and finds nothing.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use testkit::soak::{Campaign, Programs};

#[test]
fn six_runs_lose_nothing_and_leave_nothing() {
    let operator = Path::new(env!("CARGO_BIN_EXE_cx-operator"));
    let campaign = Campaign {
        programs: Programs {
            binaries: operator.parent().expect("it is in a directory").into(),
            agent: env!("CARGO_BIN_EXE_scripted-agent").into(),
        },
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
