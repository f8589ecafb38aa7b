//! A parent that is another process: it asks what a run does, answers it, and ends it, by commands alone.

mod gone;
mod inbox;

use std::process::Output;

use cx_operator::record::Status;
use cx_operator::record::journal::Progress;
use serde_json::Value;
use testkit::schemas;

use crate::rig::Rig;

on_both!(
    a_question_is_answered,
    an_approval_is_denied,
    nobody_replies,
    ended_with_a_reason,
    the_operator_dies_while_the_run_waits
);

pub(crate) const ANSWER: &str = "Spaces.\n[[shell echo spaces > style; echo 'STATUS: DONE']]";

/// What a command prints, and its exit status.
pub(crate) async fn call(rig: &Rig, arguments: &[&str]) -> (Value, i32) {
    let output = rig.binary(arguments).output().await.expect("it runs");
    let code = output.status.code().expect("it exited by itself");
    schemas::check(arguments, &String::from_utf8_lossy(&output.stdout));
    (document(&output), code)
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        panic!("no document: {error}\n{out}\nstderr:\n{err}")
    })
}

/// The events of a run, each of them seen to be whole.
pub(crate) async fn events(rig: &Rig, arguments: &[&str]) -> Vec<Value> {
    let mut all = vec!["events", "--json"];
    all.extend(arguments);
    let output = rig.binary(&all).output().await.expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    schemas::check(&all, &text);
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event["seq"].as_u64().expect("a number"))
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    events
}

fn types(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().expect("a type"))
        .collect()
}

/// Whether the events have these types in that order, others between them.
fn has_in_order(events: &[Value], wanted: &[&str]) -> bool {
    let mut found = types(events).into_iter();
    wanted
        .iter()
        .all(|wanted| found.any(|found| found == *wanted))
}

/// Waits until the run `t` waits for an answer; returns its status.
pub(crate) async fn until_it_waits(rig: &Rig) -> Value {
    rig.wait_for_event("the run waits", |progress| {
        matches!(progress, Progress::Waiting { .. })
    })
    .await;
    let (mut waited, code) = call(rig, &["wait", "t", "--or-waiting", "--json"]).await;
    assert_eq!((code, &waited["timed_out"]), (3, &Value::Bool(false)));
    let (mut status, code) = call(rig, &["status", "t", "--json"]).await;
    assert_eq!(code, 0);
    // The operator may still be writing: what was used is told behind the question.
    for told in ["seq", "usage"] {
        status[told].take();
        waited["runs"][0][told].take();
    }
    assert_eq!(status, waited["runs"][0]);
    assert_eq!(status["status"], "waiting", "{status}");
    assert_eq!(status["driven"], true, "{status}");
    status
}

async fn a_question_is_answered(rig: &Rig) {
    let run = rig.delegation("[[question]]", &["--wait-for-reply", "60s"]);
    let run = { run }.spawn().expect("it starts");
    let status = until_it_waits(rig).await;
    let question = &status["question"];
    assert_eq!(question["kind"], "question", "{status}");
    assert_eq!(question["accepts"], serde_json::json!(["text"]));
    let id = question["id"].as_str().expect("an id");
    let (waited, code) = call(rig, &["wait", "t", "--timeout", "200ms", "--json"]).await;
    assert_eq!((code, &waited["timed_out"]), (124, &Value::Bool(true)));

    let (stale, code) = call(rig, &["reply", "t", "--to", "9-9", "--text", "x", "--json"]).await;
    assert_eq!((code, &stale["error"]["code"]), (2, &"stale_reply".into()));
    let message = stale["error"]["message"].as_str().expect("a message");
    assert!(message.contains(&format!("asks {id} now")), "{message}");
    let (wrong, code) = call(rig, &["reply", "t", "--allow", "--json"]).await;
    assert_eq!((code, &wrong["error"]["code"]), (2, &"usage".into()));

    let reply = ["reply", "t", "--to", id, "--text", ANSWER, "--json"];
    let (replied, code) = call(rig, &reply).await;
    assert_eq!(
        (code, &replied["taken"]),
        (0, &Value::Bool(true)),
        "{replied}"
    );
    let (again, code) = call(rig, &reply).await;
    assert_eq!(code, 2, "{again}");

    let (waited, code) = call(rig, &["wait", "t", "--json"]).await;
    assert_eq!(code, 0, "{waited}");
    let output = run.wait_with_output().await.expect("it ended");
    let (outcome, code) = rig.document(&output);
    assert_eq!((outcome.turns, code), (2, 0), "{outcome:?}");
    assert_eq!(outcome.files[0].path, "style");
    assert_eq!(outcome.replies.len(), 1);

    let events = events(rig, &["t"]).await;
    let wanted = [
        "started",
        "submitted",
        "turn_ended",
        "question",
        "waiting",
        "reply",
        "submitted",
        "turn_ended",
        "collecting",
        "finished",
    ];
    assert!(has_in_order(&events, &wanted), "{:?}", types(&events));
    assert!(types(&events).contains(&"tokens"), "{:?}", types(&events));
    let tool = events
        .iter()
        .find(|event| event["type"] == "tool")
        .expect("a tool");
    assert_eq!(
        (&tool["name"], &tool["exit_code"]),
        (&"command".into(), &0.into())
    );
    assert!(
        tool["command"]
            .as_str()
            .expect("a command")
            .contains("> style")
    );
    assert!(tool["duration_ms"].is_u64(), "{tool}");
    let last = &events[events.len() - 1];
    assert_eq!(
        (&last["exit_code"], &last["files_changed"]),
        (&0.into(), &1.into())
    );
    let from = events[4]["seq"].to_string();
    let later = self::events(rig, &["t", "--since", &from, "--follow"]).await;
    assert_eq!(later, events[5..]);
}

async fn an_approval_is_denied(rig: &Rig) {
    let brief = super::permissions::brief();
    let run = rig.delegation(&brief, &["--wait-for-reply", "60s"]).spawn();
    let run = run.expect("it starts");
    let status = until_it_waits(rig).await;
    assert_eq!(status["question"]["kind"], "permission", "{status}");
    let (wrong, code) = call(rig, &["reply", "t", "--text", "yes", "--json"]).await;
    assert_eq!(
        (code, &wrong["error"]["code"]),
        (2, &"usage".into()),
        "{wrong}"
    );
    let deny = ["reply", "t", "--deny", "--message", "Not that.", "--json"];
    let (replied, code) = call(rig, &deny).await;
    assert_eq!(
        (code, &replied["taken"]),
        (0, &Value::Bool(true)),
        "{replied}"
    );
    let output = run.wait_with_output().await.expect("it ended");
    let (outcome, _) = rig.document(&output);
    assert_eq!(outcome.replies[0].reply, "deny Not that.", "{outcome:?}");
    assert_eq!(outcome.files_changed, 0);
    let events = events(rig, &["t"]).await;
    let wanted = ["submitted", "permission", "waiting", "reply", "finished"];
    assert!(has_in_order(&events, &wanted), "{:?}", types(&events));
}

async fn nobody_replies(rig: &Rig) {
    let mut run = rig.delegation("[[question]]", &["--wait-for-reply", "1s"]);
    let output = run.output().await.expect("it runs");
    let (outcome, code) = rig.document(&output);
    assert_eq!(
        (outcome.status, code),
        (Status::NeedsInput, 3),
        "{outcome:?}"
    );
    let pending = outcome.pending.expect("the question");
    assert!(pending.text.contains("tabs or spaces"), "{pending:?}");
    let (late, code) = call(rig, &["reply", "t", "--text", "Tabs.", "--json"]).await;
    assert_eq!(
        (code, &late["error"]["code"]),
        (2, &"run_ended".into()),
        "{late}"
    );
}

async fn ended_with_a_reason(rig: &Rig) {
    let run = rig
        .delegation("[[question]]", &["--wait-for-reply", "60s"])
        .spawn();
    let run = run.expect("it starts");
    until_it_waits(rig).await;
    let abort = ["abort", "t", "--reason", "The brief was wrong.", "--json"];
    let (aborted, code) = call(rig, &abort).await;
    assert_eq!(code, 0, "{aborted}");
    let (_, code) = call(rig, &["wait", "t", "--json"]).await;
    assert_eq!(code, 9);
    let (outcome, _) = rig.document(&run.wait_with_output().await.expect("it ended"));
    assert_eq!(outcome.status, Status::Aborted, "{outcome:?}");
    let error = outcome.error.expect("why");
    assert!(error.message.contains("The brief was wrong."), "{error:?}");
}

/// Its question is still the same one, a reply finds it, and the operator that takes it over has the agent told.
async fn the_operator_dies_while_the_run_waits(rig: &Rig) {
    let run = rig
        .delegation("[[question]]", &["--wait-for-reply", "60s"])
        .spawn();
    let mut run = run.expect("it starts");
    let status = until_it_waits(rig).await;
    run.start_kill().expect("killed");
    run.wait().await.expect("it ended");
    let (orphaned, _) = call(rig, &["status", "t", "--json"]).await;
    assert_eq!(orphaned["status"], "orphaned", "{orphaned}");
    assert_eq!(orphaned["question"], status["question"]);
    let resumed = rig.binary(&["resume", "t", "--json"]).spawn();
    let mut resumed = resumed.expect("it starts");
    // The question is not asked anew, and the time that it may wait goes on.
    rig.wait_for_event("it is taken over", |progress| {
        matches!(progress, Progress::TakenOver { .. })
    })
    .await;
    let again = until_it_waits(rig).await;
    assert_eq!(again["question"], status["question"]);
    resumed.start_kill().expect("killed");
    resumed.wait().await.expect("it ended");

    let (replied, code) = call(rig, &["reply", "t", "--text", ANSWER, "--json"]).await;
    assert_eq!(
        (code, &replied["taken"]),
        (0, &Value::Bool(false)),
        "{replied}"
    );
    let resumed = rig.binary(&["resume", "t", "--json"]).output().await;
    let (outcome, code) = rig.document(&resumed.expect("it runs"));
    assert_eq!((outcome.turns, code), (2, 0), "{outcome:?}");
    assert_eq!(outcome.replies.len(), 1, "{outcome:?}");
    assert_eq!(outcome.files[0].path, "style");
}
