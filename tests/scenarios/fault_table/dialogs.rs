//! Dialogs that nobody knows: no key is pressed on a guess.

use super::*;

faults! {
    scripted unknown_at_the_start: Fault {
        how: "an unknown dialog stands where the composer should",
        status: Status::BlockedDialog,
        code: Some("blocked_dialog"),
        within: 5,
        says: &["a dialog (unknown) is in the way", "`pending`"],
        provoke: |rig| Box::pin(blocked(rig, "show unknown Choose your fighter\nhang", 0)),
    };
    scripted unknown_in_a_turn: Fault {
        how: "… comes up in a turn",
        status: Status::BlockedDialog,
        code: Some("blocked_dialog"),
        within: 10,
        says: &["a dialog (unknown) is in the way", "`pending`"],
        provoke: |rig| Box::pin(blocked(rig, "expect-prompt *\nshow unknown Choose your fighter\nhang", 1)),
    };
    scripted unknown_at_the_exit: Fault {
        how: "… when the stop hook has run, and no transcript tells that the turn is over",
        status: Status::BlockedDialog,
        code: Some("blocked_dialog"),
        within: 8,
        says: &["it is not known"],
        provoke: |rig| Box::pin(left_alone(rig)),
    };
    scripted will_not_leave: Fault {
        how: "the agent does nothing upon `/exit`",
        status: Status::Completed,
        code: None,
        within: 10,
        says: &["Done."],
        provoke: |rig| Box::pin(will_not_leave(rig)),
    };
}

/// So many keys were pressed: the prompt's Enter, where there was a prompt.
fn assert_pressed(rig: &Rig, keys: usize) {
    let (pressed, pasted) = (rig.log("key"), rig.log("paste"));
    assert_eq!(
        (pressed.len(), pasted.len()),
        (keys, keys),
        "{pressed:?} {pasted:?}"
    );
}

async fn blocked(rig: &Rig, script: &str, turns: u32) -> Ended {
    let run = launch(rig, rig.scripted(script)).await;
    let ended = end(rig, run).await;
    let pending = ended.outcome.pending.as_ref().expect("the screen");
    assert!(
        pending.kind == "dialog" && pending.text.contains("Choose your fighter"),
        "{pending:?}"
    );
    assert_eq!(ended.outcome.turns, turns);
    assert_pressed(rig, turns as usize);
    ended
}

/// The dialog stands already when the stop comes.
async fn left_alone(rig: &Rig) -> Ended {
    let script = "expect-prompt *\nshow unknown Rate your experience\n\
        hook stop {\"last_assistant_message\":\"Done. All of it.\"}\nhang";
    let run = submit(rig, rig.scripted(script)).await;
    let ended = end(rig, run).await;
    assert_pressed(rig, 1);
    ended
}

async fn will_not_leave(rig: &Rig) -> Ended {
    let run = submit(
        rig,
        rig.scripted("expect-prompt *\nsay Done. All of it.\nhang"),
    )
    .await;
    end(rig, run).await
}
