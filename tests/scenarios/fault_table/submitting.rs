//! The prompt does not arrive as it was sent, or in another session.

use super::*;

faults! {
    scripted enter_lost: Fault {
        how: "the prompt stays in the composer, its Enter is lost",
        status: Status::Completed,
        code: None,
        within: 5,
        says: &["Done."],
        provoke: |rig| Box::pin(enters_lost(rig, 1)),
    };
    scripted enter_lost_thrice: Fault {
        how: "… and two more",
        status: Status::Completed,
        code: None,
        within: 8,
        says: &["Done."],
        provoke: |rig| Box::pin(enters_lost(rig, 3)),
    };
    scripted enter_lost_for_good: Fault {
        how: "… and all others",
        status: Status::TimedOut,
        code: Some("not_submitted"),
        within: 8,
        says: &["no proof that the prompt was submitted within 3s and 3 more Enter"],
        provoke: |rig| Box::pin(never_submitted(rig, "strand-enter 99", 3)),
    };
    scripted paste_lost: Fault {
        how: "the prompt does not appear in the composer",
        status: Status::TimedOut,
        code: Some("not_submitted"),
        within: 8,
        says: &["did not show in the composer within 3s"],
        provoke: |rig| Box::pin(never_submitted(rig, "drop-paste", 0)),
    };
    scripted session_replaced: Fault {
        how: "the agent goes on in another session, with another transcript",
        status: Status::Completed,
        code: None,
        within: 10,
        says: &["Done. It listens on port 80."],
        provoke: |rig| Box::pin(session_replaced(rig)),
    };
}

/// How often Enter was pressed for a prompt that stood in the composer.
fn enters(rig: &Rig, outcome: &Outcome) -> usize {
    let pressed = |progress: &Progress| matches!(progress, Progress::KeyPressed { key, on } if key == "Enter" && on == "composer");
    rig.journal(outcome)
        .iter()
        .filter(|entry| pressed(&entry.progress))
        .count()
}

/// How often the prompt was pasted; the polite end is pasted too.
fn prompts_pasted(rig: &Rig) -> usize {
    rig.log("paste")
        .iter()
        .filter(|line| line["text"] != "/exit ")
        .count()
}

async fn enters_lost(rig: &Rig, count: usize) -> Ended {
    let script = format!("strand-enter {count}\ndefault");
    let run = launch(rig, rig.scripted(&script)).await;
    let ended = end(rig, run).await;
    assert_eq!(
        (
            enters(rig, &ended.outcome),
            prompts_pasted(rig),
            rig.log("prompt").len()
        ),
        (count, 1, 1)
    );
    ended
}

/// Enter is pressed three times more at most, and nothing is pasted again.
async fn never_submitted(rig: &Rig, fault: &str, more_enters: usize) -> Ended {
    let mut task = rig.scripted(&format!("{fault}\ndefault"));
    task.limits.submit = Duration::from_secs(3);
    let run = launch(rig, task).await;
    let ended = end(rig, run).await;
    assert_eq!(
        (
            ended.outcome.turns,
            enters(rig, &ended.outcome),
            prompts_pasted(rig)
        ),
        (0, more_enters, 1)
    );
    let pending = ended.outcome.pending.as_ref().expect("the screen");
    assert!(
        pending.kind == "screen" && pending.text.contains('›'),
        "{pending:?}"
    );
    ended
}

/// Between two turns; the new one is followed.
async fn session_replaced(rig: &Rig) -> Ended {
    let script = "expect-prompt *\nsay Which port should it listen on?\nsession new\n\
        expect-prompt Port 80.\nsay Done. It listens on port 80.\ndefault";
    let mut task = rig.scripted(script);
    task.responders = rig.answers("[[answer]]\npattern = \"port\"\nreply = \"Port 80.\"");
    let run = submit(rig, task).await;
    let ended = end(rig, run).await;
    assert_eq!(ended.outcome.turns, 2);
    let sessions: Vec<_> = rig
        .journal(&ended.outcome)
        .into_iter()
        .filter_map(|entry| match entry.progress {
            Progress::Submitted { session_id, .. } => Some(session_id),
            _ => None,
        })
        .collect();
    assert!(
        sessions.len() == 2 && sessions[0] != sessions[1],
        "{sessions:?}"
    );
    assert_eq!(ended.outcome.session_id.as_ref(), sessions.last());
    ended
}
