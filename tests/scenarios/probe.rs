//! Turns that end with what can't be told: the agent itself is asked how the task is going.

use std::env;
use std::time::Duration;

use cx_operator::record::{Outcome, Status};
use cx_operator::task::Task;
use cx_operator::turn::classify::PROBE;
use serde_json::{Value, json};

use crate::rig::{Agent, Rig};

on_every_version!(unclear_then_done);
on_codex!(answered_by_the_way, looked_up, worked_on, late, held_out);
on_both!(
    unclear_then_question,
    answered_by_the_responder,
    unanswered,
    failed,
    left_out
);

/// A task whose agent says one after the other, after some work.
fn saying(rig: &Rig, messages: &[&str]) -> Task {
    if matches!(rig.agent, Agent::Scripted) {
        let said: Vec<_> = messages.iter().map(|text| format!("say {text}")).collect();
        let said = said.join("\nexpect-prompt *\n");
        return rig.scripted(&format!("expect-prompt *\nwrite new done\n{said}\ndefault"));
    }
    let steps: Vec<_> = messages.iter().map(|text| json!({ "say": text })).collect();
    let work = json!([{ "shell": "echo done > new" }]);
    let steps = [work.as_array().cloned().unwrap_or_default(), steps].concat();
    rig.task(&format!("<<<steps {}>>>", json!(steps)))
}

/// The probe is on record as any reply is, and counts as a turn.
fn assert_asked(rig: &Rig, outcome: &Outcome, message: &str) {
    let reply = &outcome.replies[0];
    assert_eq!(
        (reply.turn, reply.by.as_str(), reply.reply.as_str()),
        (1, "operator", PROBE),
        "{outcome:?}"
    );
    assert_eq!(reply.question, message);
    assert_eq!(rig.submitted_prompt(outcome, 2), PROBE);
    assert_eq!(outcome.last_message.as_deref(), Some(message));
    assert_eq!(outcome.files[0].path, "new");
}

async fn unclear_then_done(rig: &Rig) {
    let outcome = rig.delegate(saying(rig, &["Voilà.", "STATUS: DONE"])).await;
    assert_eq!(
        (outcome.status, outcome.turns, &outcome.pending),
        (Status::Completed, 2, &None),
        "{outcome:?}"
    );
    assert_asked(rig, &outcome, "Voilà.");
}

async fn unclear_then_question(rig: &Rig) {
    let message = "Ich brauche noch eine Angabe.";
    let answer = "STATUS: QUESTION Welcher Port?";
    let outcome = rig.delegate(saying(rig, &[message, answer])).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::NeedsInput, 2),
        "{outcome:?}"
    );
    assert_asked(rig, &outcome, message);
    let pending = outcome.pending.expect("a question");
    assert_eq!(
        (pending.kind.as_str(), pending.text.as_str()),
        ("question", message)
    );
    assert_eq!(pending.reason.as_deref(), Some("Welcher Port?"));
}

async fn answered_by_the_responder(rig: &Rig) {
    let messages = [
        "設定について確認が必要です。",
        "STATUS: QUESTION どちら?",
        "Done. I took the first.",
    ];
    let mut task = saying(rig, &messages);
    task.responders = rig.answers("[[answer]]\npattern = \"確認\"\nreply = \"The first.\"");
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 3),
        "{outcome:?}"
    );
    let by: Vec<_> = outcome
        .replies
        .iter()
        .map(|reply| reply.by.as_str())
        .collect();
    assert_eq!(by, ["operator", "answers"]);
    assert_eq!(rig.submitted_prompt(&outcome, 3), "The first.");
}

async fn unanswered(rig: &Rig) {
    let outcome = rig.delegate(saying(rig, &["Voilà.", "C'est fait."])).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::NeedsInput, 2),
        "{outcome:?}"
    );
    assert_asked(rig, &outcome, "Voilà.");
    let pending = outcome.pending.expect("the message");
    assert_eq!(
        (pending.kind.as_str(), pending.text.as_str()),
        ("unclear", "Voilà.")
    );
}

/// A failure of that turn is none of the work's.
async fn failed(rig: &Rig) {
    let task = if matches!(rig.agent, Agent::Scripted) {
        rig.scripted(
            "expect-prompt *\nwrite new done\nsay Voilà.\nexpect-prompt *\nfail 401\ndefault",
        )
    } else {
        let steps = json!([{"shell": "echo done > new"}, {"say": "Voilà."}, {"http": 401}]);
        rig.task(&format!("<<<steps {steps}>>>"))
    };
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns, &outcome.error),
        (Status::NeedsInput, 2, &None),
        "{outcome:?}"
    );
    assert_asked(rig, &outcome, "Voilà.");
    let reason = outcome.pending.and_then(|pending| pending.reason);
    assert!(reason.is_some_and(|reason| reason.contains("401")));
}

async fn left_out(rig: &Rig) {
    let mut task = saying(rig, &["Voilà.", "STATUS: DONE"]);
    task.probe = false;
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns, outcome.replies.len()),
        (Status::NeedsInput, 1, 0),
        "{outcome:?}"
    );
    // Nor is a turn taken that is not there.
    let mut task = saying(rig, &["Voilà.", "STATUS: DONE"]);
    task.limits.turns = 1;
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::NeedsInput, 1),
        "{outcome:?}"
    );
}

/// Agents don't keep to a form; what they say beside it may not be lost, and is never a result.
async fn answered_by_the_way(rig: &Rig) {
    for (answer, status) in [
        ("status: done", Status::Completed),
        ("**STATUS: DONE**", Status::Completed),
        ("The task is finished.\n\nSTATUS: DONE", Status::Completed),
        ("STATUS: DONE, but two tests fail.", Status::NeedsInput),
        ("Blocked: no network.", Status::NeedsInput),
        ("STATUS: FERTIG", Status::NeedsInput),
        ("I'm sorry, but I can't tell.", Status::NeedsInput),
        ("Which task do you mean?", Status::NeedsInput),
    ] {
        let outcome = rig.delegate(saying(rig, &["Voilà.", answer])).await;
        assert_eq!(
            (outcome.status, outcome.turns),
            (status, 2),
            "{answer}: {outcome:?}"
        );
        assert_asked(rig, &outcome, "Voilà.");
    }
}

/// A task whose agent works again before it answers.
fn working(rig: &Rig, answer: &str) -> Task {
    let steps = json!([
        {"shell": "echo done > new"}, {"say": "Voilà."},
        {"shell": "echo more > newer"}, {"say": answer}
    ]);
    rig.task(&format!("<<<steps {steps}>>>"))
}

/// Nothing said after it was asked takes the place of what it said before.
async fn looked_up(rig: &Rig) {
    let outcome = rig.delegate(working(rig, "STATUS: DONE")).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    assert_asked(rig, &outcome, "Voilà.");
    assert_eq!(outcome.files.len(), 2);
    let outcome = rig
        .delegate(working(rig, "STATUS: BLOCKED no network"))
        .await;
    assert_eq!(outcome.status, Status::NeedsInput, "{outcome:?}");
    assert_asked(rig, &outcome, "Voilà.");
}

/// But a turn of work has a message of its own.
async fn worked_on(rig: &Rig) {
    let message = "I've added the second file as well.";
    let outcome = rig.delegate(working(rig, message)).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 2),
        "{outcome:?}"
    );
    assert_eq!(outcome.last_message.as_deref(), Some(message));
}

/// The turn before had ended: no time is lost that it needed.
async fn late(rig: &Rig) {
    let steps = json!([
        {"shell": "echo done > new"}, {"say": "Voilà."}, {"sleep": 60, "say": "STATUS: DONE"}
    ]);
    let mut task = rig.task(&format!("<<<steps {steps}>>>"));
    task.limits.turn = Duration::from_secs(12);
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, &outcome.error),
        (Status::NeedsInput, &None),
        "{outcome:?}"
    );
    assert_asked(rig, &outcome, "Voilà.");
    let reason = outcome.pending.and_then(|pending| pending.reason);
    assert!(reason.is_some_and(|reason| reason.contains("took longer")));
}

/// Messages of the corpus, every 120th from the one on that `CX_CORPUS_FROM` says, each said by an agent that knows how its
/// task stands.
async fn held_out(rig: &Rig) {
    let corpus = include_str!("../corpus/messages.jsonl");
    let from = env::var("CX_CORPUS_FROM").map_or(60, |from| from.parse().expect("a number"));
    for line in corpus.lines().skip(from).step_by(120) {
        let labelled: Value = serde_json::from_str(line).expect("a labelled message");
        let (is, message) = (labelled["is"].as_str(), labelled["message"].as_str());
        let (answers, status) = match is.expect("a kind") {
            "result" => (["STATUS: DONE", "-"], Status::Completed),
            "status" => (["STATUS: CONTINUE", "STATUS: DONE"], Status::Completed),
            "stop" => (["STATUS: BLOCKED I couldn't", "-"], Status::NeedsInput),
            "unclear" => continue,
            _ => (["STATUS: QUESTION see above", "-"], Status::NeedsInput),
        };
        let message = message.expect("a message");
        let outcome = rig
            .delegate(saying(rig, &[message, answers[0], answers[1]]))
            .await;
        // A status is told to go on, or asked first.
        let told = is == Some("status") && outcome.turns == 2;
        let waits = status == Status::NeedsInput && outcome.status == Status::NeedsPermission;
        assert!(
            told || waits || outcome.status == status,
            "{is:?}: {outcome:?}"
        );
    }
}
