//! The hooks are missing, slow, unheard, or used by others.

use super::*;

faults! {
    scripted garbage: Fault {
        how: "a hook is given something that is no event",
        status: Status::Failed,
        code: Some("malformed_event"),
        within: 5,
        says: &["this is {no} JSON", "signals directory"],
        provoke: |rig| Box::pin(garbage(rig)),
    };
}

async fn garbage(rig: &Rig) -> Ended {
    let script = "expect-prompt *\nhook-raw stop this is {no} JSON\nhang";
    let run = submit(rig, rig.scripted(script)).await;
    end(rig, run).await
}
