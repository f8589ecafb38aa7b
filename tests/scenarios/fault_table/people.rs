//! What people do in the pane, and what a key that does nothing leads to.

use super::*;

faults! {
    every interrupted: Fault {
        how: "somebody presses Esc in a turn",
        status: Status::Aborted,
        code: Some("interrupted"),
        within: 5,
        says: &["somebody stopped the agent", "in the snapshot"],
        provoke: |rig| Box::pin(interrupted(rig)),
    };
}

async fn interrupted(rig: &Rig) -> Ended {
    let run = submit(rig, rig.task("[[sleep 60]]")).await;
    rig.wait_for_screen("esc to interrupt").await;
    rig.tmux(&["send-keys", "-t", "=cx-t:", "Escape"]);
    end(rig, run).await
}
