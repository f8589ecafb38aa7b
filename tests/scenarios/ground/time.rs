//! What takes longer than it should, and clocks that can't be believed.

use std::time::{Duration, Instant};

use cx_operator::run::Status;
use rustix::process::Signal;

use super::{assert_files, clean, report};
use crate::rig::{Agent, Rig, on, wait_for};

/// A clean filter of the user's that never ends: the second signal ends the wait for it, and git with it.
#[test]
fn snapshot_hangs_and_a_second_signal() {
    on(Agent::Scripted, async |rig: &Rig| {
        let filter = format!("touch {}; exec sleep 7777", rig.path("filtering").display());
        let configure = |value: &str| rig.git(&rig.repo(), &["config", "filter.slow.clean", value]);
        configure(&filter);
        let began = Instant::now();
        let brief = "[[shell echo done > half; echo 'h* filter=slow' > .gitattributes]]";
        let child = rig.spawn_delegation(brief, &[]).await;
        let pid = child.id().expect("it runs");
        wait_for("the filter", || {
            rig.path("filtering").exists().then_some(())
        })
        .await;
        rig.signal(pid, Signal::INT);
        // Another, since the first may still be pending; which of the two counts first is theirs.
        rig.signal(pid, Signal::TERM);
        let output = child.wait_with_output().await.expect("it ends");
        let (outcome, exit) = rig.document(&output);
        report(
            "snapshot_hangs_and_a_second_signal",
            &outcome,
            began.elapsed(),
        );
        assert_eq!(outcome.status, Status::Aborted, "{outcome:#?}");
        assert!(matches!(exit, 130 | 143), "{exit}");
        assert!(began.elapsed() < Duration::from_secs(15));
        assert_eq!(outcome.worktree, Some(rig.worktree()));
        configure("cat");
        rig.note_the_callers_state();
        assert_files(rig, &clean(rig, &[]).await, &[("half", "done\n")]);
        rig.git(&rig.repo(), &["config", "--remove-section", "filter.slow"]);
        rig.note_the_callers_state();
    });
}
