//! Turns that end with what can't be told: the agent itself is asked how the task stands.

use cx_operator::run::{Outcome, Status};
use cx_operator::task::Task;
use cx_operator::turn::classify::PROBE;
use serde_json::json;

use crate::rig::{Agent, Rig};

on_every_version!(unclear_then_done);
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
