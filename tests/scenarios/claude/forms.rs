//! The agent's own question, by its tool AskUserQuestion.

use std::fs;
use std::time::Duration;

use cx_operator::record::{Outcome, Status};
use serde_json::{Value, json};

use super::{assert_made, playing, transcript};
use crate::rig::{Rig, wait_for};

on_every_claude!(answered_by_a_file, nobody_answers, answered_in_the_pane);
on_claude!(a_responder_is_told_the_options, the_operator_is_killed);

fn questions() -> Value {
    json!([
        {"header": "Indent", "question": "Tabs or spaces?", "multiSelect": false, "options": [
            {"label": "Tabs", "description": "One to a step."},
            {"label": "Spaces", "description": "Four to a step."}]},
        {"header": "Name", "question": "How shall the module be named?", "multiSelect": false, "options": [
            {"label": "parser", "description": "Short."},
            {"label": "reader", "description": "Old."},
            {"label": "lexer", "description": "New."}]}
    ])
}

fn asking(questions: &Value) -> String {
    playing(&json!([
        {"note": "Before I begin:", "call": "AskUserQuestion", "args": {"questions": questions}},
        {"shell": "echo done > new"},
        {"say": "Done. I wrote it as you said."}
    ]))
}

/// What the agent was told, by question.
fn told(outcome: &Outcome) -> Value {
    let lines = transcript(outcome);
    let mut answers = lines
        .iter()
        .filter_map(|line| line["toolUseResult"].get("answers"));
    answers.next().expect("the answers").clone()
}

/// A label, and what is none.
async fn answered_by_a_file(rig: &Rig) {
    let words = "2 words:\n\n1. tokens\n❯ 2. stream 🎉 ünï";
    let mut task = rig.task(&asking(&questions()));
    task.responders = rig.answers(
        "[[answer]]\npattern = \"tabs or spaces\"\nreply = \"spaces.\"\n[[answer]]\npattern = \"be named\"\n\
         reply = \"2 words:\\n\\n1. tokens\\n❯ 2. stream 🎉 ünï\"",
    );
    let outcome = rig.delegate(task).await;
    assert_made(&outcome, 1, &["new"]);
    let answers = told(&outcome);
    assert_eq!(answers["Tabs or spaces?"], "Spaces");
    assert_eq!(answers["How shall the module be named?"], words);
    let replies: Vec<_> = outcome
        .replies
        .iter()
        .map(|reply| {
            (
                reply.by.as_str(),
                reply.question.as_str(),
                reply.reply.as_str(),
            )
        })
        .collect();
    assert_eq!(replies[0], ("answers", "Tabs or spaces?", "spaces."));
    assert_eq!(replies[1].2, words);
}

async fn nobody_answers(rig: &Rig) {
    let outcome = rig.delegate(rig.task(&asking(&questions()))).await;
    assert_eq!(
        (outcome.status, outcome.exit_code(), outcome.turns),
        (Status::NeedsInput, 3, 1),
        "{outcome:?}"
    );
    let pending = outcome.pending.expect("the question");
    assert_eq!(pending.kind, "question");
    assert_eq!(pending.text, "Tabs or spaces?");
    let labels: Vec<&str> = pending
        .options
        .iter()
        .map(|option| &*option.label)
        .collect();
    assert_eq!(labels, ["Tabs", "Spaces"]);
    assert_eq!(pending.options[1].description, "Four to a step.");
}

async fn a_responder_is_told_the_options(rig: &Rig) {
    let asked = rig.path("asked");
    let responder = format!(
        "cat >> '{0}'; echo >> '{0}'; echo '{{\"reply\":\"1\"}}'",
        asked.display()
    );
    let output = rig
        .delegation(&asking(&questions()), &["--responder", &responder])
        .output();
    let (outcome, _) = rig.document(&output.await.expect("cx-operator runs"));
    assert_made(&outcome, 1, &["new"]);
    let asked = fs::read_to_string(asked).expect("it was asked");
    let first = asked
        .lines()
        .find(|line| !line.is_empty())
        .expect("a question");
    let first: Value = serde_json::from_str(first).expect("JSON");
    assert_eq!(first["options"][1]["label"], "Spaces");
}

/// Somebody who looks on is faster than the responder, whose word then goes nowhere.
async fn answered_in_the_pane(rig: &Rig) {
    let responder = "sleep 120; echo '{\"reply\":\"Tabs\"}'";
    let one = json!([questions()[0]]);
    let child = rig
        .spawn_delegation(&asking(&one), &["--responder", responder])
        .await;
    rig.wait_for_question("Tabs or spaces?").await;
    rig.wait_for_screen("2. Spaces").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    rig.tmux(&["send-keys", "-t", "cc-t", "2"]);
    let (outcome, _) = rig.document(&child.wait_with_output().await.expect("it ends"));
    assert_made(&outcome, 1, &["new"]);
    assert_eq!(told(&outcome)["Tabs or spaces?"], "Spaces");
    assert!(outcome.replies.is_empty(), "{outcome:?}");
    assert!(outcome.duration_ms < 100_000, "{outcome:?}");
}

/// Whoever takes the run over asks again, for nothing was answered.
async fn the_operator_is_killed(rig: &Rig) {
    let flag = rig.path("flag");
    let responder = format!(
        "if test -e '{0}'; then echo '{{\"reply\":\"Tabs\"}}'; else touch '{0}'; sleep 60; fi",
        flag.display()
    );
    let mut child = rig
        .spawn_delegation(&asking(&questions()), &["--responder", &responder])
        .await;
    wait_for("the responder", || flag.exists().then_some(())).await;
    child.start_kill().expect("killed");
    child.wait().await.expect("it ends");
    let output = rig.binary(&["resume", "t", "--json"]).output().await;
    let (outcome, _) = rig.document(&output.expect("it runs"));
    assert_made(&outcome, 1, &["new"]);
    assert_eq!(told(&outcome)["Tabs or spaces?"], "Tabs");
}
