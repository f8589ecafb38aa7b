//! What goes wrong between the operator and the agent.

use std::time::Duration;

use cx_operator::journal::Progress;
use cx_operator::run::{Outcome, Status};

use crate::rig::Rig;

on_scripted!(
    stranded_enter,
    thrice_stranded_enter,
    enter_stranded_for_good,
    dropped_paste,
    rotated_session,
    foreign_stop_of_a_script
);

fn code(outcome: &Outcome) -> Option<&str> {
    outcome.error.as_ref().map(|error| error.code.as_str())
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
        .filter(|line| line["text"] != "/exit")
        .count()
}

async fn assert_recovers(rig: &Rig, stranded: usize) {
    let outcome = rig
        .delegate(rig.scripted(&format!("strand-enter {stranded}\ndefault")))
        .await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 1),
        "{outcome:?}"
    );
    assert_eq!(
        (
            enters(rig, &outcome),
            prompts_pasted(rig),
            rig.log("prompt").len()
        ),
        (stranded, 1, 1)
    );
}

async fn stranded_enter(rig: &Rig) {
    assert_recovers(rig, 1).await;
}

async fn thrice_stranded_enter(rig: &Rig) {
    assert_recovers(rig, 3).await;
}

/// Without proof the run ends by its deadline; Enter is pressed three times more and nothing is pasted again.
async fn assert_not_submitted(rig: &Rig, fault: &str, more_enters: usize) {
    let mut task = rig.scripted(&format!("{fault}\ndefault"));
    task.limits.submit = Duration::from_secs(3);
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.exit_code(), outcome.turns),
        (Status::TimedOut, 6, 0),
        "{outcome:?}"
    );
    assert_eq!(code(&outcome), Some("not_submitted"));
    assert_eq!(
        (enters(rig, &outcome), prompts_pasted(rig)),
        (more_enters, 1)
    );
}

async fn enter_stranded_for_good(rig: &Rig) {
    assert_not_submitted(rig, "strand-enter 99", 3).await;
}

async fn dropped_paste(rig: &Rig) {
    assert_not_submitted(rig, "drop-paste", 0).await;
}

/// The agent replaces its session between two turns; the new one is followed.
async fn rotated_session(rig: &Rig) {
    let mut task = rig.scripted("expect-prompt *\nsay Which port should it listen on?\nsession new\nexpect-prompt Port 80.\nsay Done. It listens on port 80.\ndefault");
    task.responders = rig.answers("[[answer]]\npattern = \"port\"\nreply = \"Port 80.\"");
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 2),
        "{outcome:?}"
    );
    assert_eq!(
        outcome.last_message.as_deref(),
        Some("Done. It listens on port 80.")
    );
    let sessions: Vec<_> = rig
        .journal(&outcome)
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
    assert_eq!(outcome.session_id.as_ref(), sessions.last());
}

async fn foreign_stop_of_a_script(rig: &Rig) {
    let outcome = rig
        .delegate(rig.scripted("expect-prompt *\nforeign-stop\nsay Done. That was mine.\ndefault"))
        .await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 1),
        "{outcome:?}"
    );
    assert_eq!(
        outcome.last_message.as_deref(),
        Some("Done. That was mine.")
    );
    assert_ignored(rig, &outcome);
}

fn assert_ignored(rig: &Rig, outcome: &Outcome) {
    let ignored = |progress: &Progress| matches!(progress, Progress::Ignored { why, .. } if why == "a stop of another session");
    assert!(
        rig.journal(outcome)
            .iter()
            .any(|entry| ignored(&entry.progress))
    );
}
