//! What a person does in the pane meanwhile.

use std::time::{Duration, Instant};

use cx_operator::record::{Outcome, Status};
use cx_operator::task::policy::Keep;
use serde_json::json;
use testkit::wait::on_this_machine;

use super::{assert_made, playing};
use crate::rig::{Rig, wait_for};

on_every_claude!(
    interrupted_before_a_word,
    interrupted_while_text_streams,
    interrupted_in_a_command,
    decided_in_the_pane
);
on_claude!(
    interrupted_while_no_operator_lived,
    interrupted_unheard_before_a_word,
    refused_in_the_pane,
    cleared,
    compacted,
    a_kept_session_is_idle
);

async fn interrupt(rig: &Rig, brief: &str, shown: &str) -> Outcome {
    let run = rig.start(rig.task(brief)).await;
    rig.wait_for_screen(shown).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let since = Instant::now();
    rig.tmux(&["send-keys", "-t", "cc-t", "Escape"]);
    let outcome = rig.outcome(run).await;
    let error = outcome.error.as_ref().expect("an error");
    assert_eq!(
        (outcome.status, error.code.as_str()),
        (Status::Aborted, "interrupted"),
        "{outcome:?}"
    );
    assert!(
        since.elapsed() < on_this_machine(Duration::from_secs(6)),
        "{outcome:?}"
    );
    outcome
}

async fn interrupted_before_a_word(rig: &Rig) {
    interrupt(rig, "[[await /nonexistent]]", "esc to interrupt").await;
}

async fn interrupted_while_text_streams(rig: &Rig) {
    let steps = json!([{"note": "The first words", "stall": 60}, {"say": "Done."}]);
    interrupt(rig, &playing(&steps), "The first words").await;
}

async fn interrupted_in_a_command(rig: &Rig) {
    let steps = json!([{"shell": "echo half > half; sleep 60"}, {"say": "Done."}]);
    let brief = playing(&steps);
    let outcome = interrupt(rig, &brief, "esc to interrupt").await;
    assert_eq!(outcome.turns, 1);
}

/// No hook tells of it, and nobody was there to see it.
async fn interrupted_while_no_operator_lived(rig: &Rig) {
    let steps = json!([{"note": "The first words", "stall": 60}, {"say": "Done."}]);
    interrupted_unheard(rig, &playing(&steps), "The first words").await;
}

async fn interrupted_unheard_before_a_word(rig: &Rig) {
    interrupted_unheard(rig, "[[await /nonexistent]]", "esc to interrupt").await;
}

async fn interrupted_unheard(rig: &Rig, brief: &str, shown: &str) {
    let mut operator = rig.spawn_delegation(brief, &[]).await;
    rig.wait_for_screen(shown).await;
    operator.start_kill().expect("killed");
    operator.wait().await.expect("it ended");
    // A key that comes at once with another one would be a part of it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.tmux(&["send-keys", "-t", "cc-t", "Escape"]);
    wait_for("the end of the turn", || {
        (!rig.screen().contains("esc to interrupt")).then_some(())
    })
    .await;
    let since = Instant::now();
    let output = rig.binary(&["resume", "t", "--json"]).output().await;
    let (outcome, _) = rig.document(&output.expect("it runs"));
    let error = outcome.error.as_ref().expect("an error");
    assert_eq!(
        (outcome.status, error.code.as_str()),
        (Status::Aborted, "interrupted"),
        "{outcome:?}"
    );
    // The turn's deadline is a quarter of an hour.
    assert!(
        since.elapsed() < on_this_machine(Duration::from_secs(20)),
        "{outcome:?}"
    );
}

fn asking() -> String {
    crate::permissions::brief()
}

/// What they decide holds, and the responder's word goes nowhere.
async fn decided_in_the_pane(rig: &Rig) {
    let outcome = decided(rig, "1").await;
    assert_made(&outcome, 1, &["asked"]);
    assert!(outcome.replies.is_empty(), "{outcome:?}");
}

async fn decided(rig: &Rig, key: &str) -> Outcome {
    let responder = "sleep 120; echo '{\"decision\":\"deny\"}'";
    let child = rig
        .spawn_delegation(&asking(), &["--responder", responder])
        .await;
    rig.wait_for_question("touch asked").await;
    rig.wait_for_screen("Do you want to proceed?").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    rig.tmux(&["send-keys", "-t", "cc-t", key]);
    let (outcome, _) = rig.document(&child.wait_with_output().await.expect("it ends"));
    assert!(outcome.duration_ms < 100_000, "{outcome:?}");
    outcome
}

/// That ends the turn, of which no hook tells.
async fn refused_in_the_pane(rig: &Rig) {
    let outcome = decided(rig, "Escape").await;
    assert_eq!(outcome.status, Status::Aborted, "{outcome:?}");
}

/// Between two turns: the session is another one.
async fn cleared(rig: &Rig) {
    let outcome = between(rig, "/clear").await;
    assert_made(&outcome, 2, &[]);
}

/// The session is the same, and goes on.
async fn compacted(rig: &Rig) {
    let outcome = between(rig, "/compact").await;
    assert_made(&outcome, 2, &[]);
}

async fn between(rig: &Rig, command: &str) -> Outcome {
    let flag = rig.path("flag");
    let responder = format!(
        "while ! test -e '{}'; do sleep 0.1; done; echo '{{\"reply\":\"Tabs. [[say Done. I used tabs.]]\"}}'",
        flag.display()
    );
    let child = rig
        .spawn_delegation("[[question]]", &["--responder", &responder])
        .await;
    rig.wait_for_question("tabs or spaces").await;
    wait_for("the composer", || {
        (!rig.screen().contains("esc to interrupt")).then_some(())
    })
    .await;
    rig.type_text(command).await;
    wait_for("the new beginning", || {
        (!rig.screen().contains("tabs or spaces")).then_some(())
    })
    .await;
    std::fs::write(flag, "").expect("the flag");
    let output = child.wait_with_output().await.expect("it ends");
    rig.document(&output).0
}

/// Whoever attaches to it finds a composer that works.
async fn a_kept_session_is_idle(rig: &Rig) {
    let mut task = rig.task("[[shell echo kept > new; echo 'STATUS: DONE']]");
    task.keep = Keep::Session;
    let outcome = rig.delegate(task).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    let requests = rig.model.requests().len();
    rig.type_text("[[say Still here.]]").await;
    rig.wait_for_screen("● Still here.").await;
    assert_eq!(rig.model.requests().len(), requests + 1);
    crate::keeping::remove_kept(rig, &outcome).await;
}
