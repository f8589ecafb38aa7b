//! The soak of `examples/soak.rs`, small: it works, and finds nothing.

#[path = "../examples/soak/campaign.rs"]
mod campaign;
#[path = "../examples/soak/disturb.rs"]
mod disturb;
#[path = "../examples/soak/inventory.rs"]
mod inventory;
#[path = "support/mock_model.rs"]
mod mock_model;
#[path = "../examples/soak/plan.rs"]
mod plan;
#[path = "../examples/soak/random.rs"]
mod random;
#[path = "../examples/soak/report.rs"]
mod report;
#[path = "../examples/soak/scene.rs"]
mod scene;
#[path = "../examples/soak/trial.rs"]
mod trial;
#[path = "../examples/soak/verify.rs"]
mod verify;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use campaign::Campaign;
use scene::Programs;

/// Whatever keeps the soak itself from working.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

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
