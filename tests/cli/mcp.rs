//! `cx-operator mcp`: the server, as a client that speaks plain JSON-RPC meets it.

use std::process::Command;

use serde_json::{Value, json};

use testkit::built;
use testkit::mcp_client::McpClient;
use testkit::wait::{on_this_machine, wait_for};

use crate::place::Place;

mod asking;
mod gone;
mod install;
mod protocol;
mod reach;
mod refusals;
mod tasks;

/// An answer that ends the work with a file.
const ANSWER: &str = "Spaces.\n[[shell echo spaces > style; echo 'STATUS: DONE']]";

/// The server of the place's repository, which lets a parent name the stand-in for the agent.
fn server(place: &Place) -> Command {
    let mut command = place.operator(&["mcp", "--allow-option=program"]);
    command
        .args(["--allow-option=worktree-root", "--root"])
        .arg(place.repo());
    command
}

/// A client of that server that can do nothing of itself.
fn client(place: &Place) -> McpClient {
    McpClient::begin(&mut server(place), &json!({})).0
}

/// The arguments of `delegate` for the stand-in.
fn task(place: &Place, name: &str, brief: &str) -> Value {
    json!({
        "task": name,
        "prompt": brief,
        "program": built::scripted_agent(),
        "worktree_root": place.worktrees(),
    })
}

/// Waits until a run has ended or asks; returns its status.
fn wait(client: &mut McpClient, run: &str) -> Value {
    wait_for("the run's end or question", || {
        let mut waited = client.call("wait", json!({"runs": [run]}));
        (waited["timed_out"] == false).then(|| waited["runs"][0].take())
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

#[test]
fn a_task_is_delegated_answered_read_and_applied() {
    let place = Place::with(&[("README", "one\n")]);
    place.git(&["config", "user.name", "Ada"]);
    place.git(&["config", "user.email", "ada@example.com"]);
    let mut client = client(&place);
    let begun = client.call("delegate", task(&place, "t", "[[question]]"));
    assert_eq!(
        (&begun["task"], &begun["status"]),
        (&json!("t"), &json!("running"))
    );
    let run = text(&begun["run_id"]).to_owned();
    assert!(text(&begun["run_dir"]).ends_with(&run));

    let waited = client.call("wait", json!({"runs": ["t"], "timeout_seconds": 50}));
    let question = &waited["runs"][0]["question"];
    assert_eq!(waited["runs"][0]["status"], "waiting", "{waited:#}");
    assert!(
        text(&waited["next"]).contains("`reply`"),
        "{}",
        waited["next"]
    );
    let id = text(&question["id"]).to_owned();
    let mut status = client.call("status", json!({"run": "t"}));
    assert_eq!(status["question"], *question);
    testkit::schemas::check_document("status", &status);
    let mut printed = place.cli(&["status", "t", "--json"]).document();
    // The operator may still be writing: what was used is told behind the question.
    for told in ["seq", "usage", "last_message", "since"] {
        (status[told], printed[told]) = (Value::Null, Value::Null);
    }
    assert_eq!(status, printed);
    let stale = client.refuse("reply", json!({"run": "t", "to": "9-9", "text": "x"}));
    assert_eq!(stale["code"], "stale_reply");
    assert!(stale["hint"].is_string(), "{stale}");
    let wrong = client.refuse("reply", json!({"run": "t", "decision": "allow"}));
    assert_eq!(wrong["code"], "usage");
    let replied = client.call("reply", json!({"run": "t", "to": id, "text": ANSWER}));
    assert_eq!(replied["taken"], true, "{replied}");

    let ended = wait(&mut client, "t");
    assert_eq!(
        (&ended["status"], &ended["exit_code"]),
        (&json!("completed"), &json!(0))
    );
    let stat = client.call("diff", json!({"run": run}));
    assert_eq!(stat["files"][0]["path"], "style", "{stat:#}");
    let page = client.call("diff", json!({"run": run, "file": "style"}));
    assert!(
        text(&page["patch"]).ends_with("@@ -0,0 +1 @@\n+spaces\n"),
        "{page:#}"
    );
    assert_eq!(page["next_from"], Value::Null);
    let unknown = client.refuse("diff", json!({"run": run, "file": "README"}));
    assert_eq!(unknown["code"], "usage");

    let first = client.call("events", json!({"run": "t", "limit": 3}));
    assert_eq!(
        (first["events"].as_array().map(Vec::len), &first["more"]),
        (Some(3), &json!(true))
    );
    let rest = client.call("events", json!({"run": "t", "since": first["next_since"]}));
    let events = rest["events"].as_array().expect("events");
    assert_eq!(
        events.last().map(|last| &last["type"]),
        Some(&json!("finished"))
    );
    let listed = client.call("list", json!({"status": ["completed"]}));
    assert_eq!(listed["runs"][0]["run_id"], json!(run), "{listed:#}");
    assert_eq!(client.call("list", json!({"task": "u"}))["runs"], json!([]));

    let applied = client.call("apply", json!({"run": "t"}));
    assert_eq!(applied["status"], "applied", "{applied:#}");
    testkit::schemas::check_document("apply", &applied);
    assert_eq!(place.git(&["show", "HEAD:style"]), "spaces");
    assert!(client.end().success());
}

/// A run that another began with what this server does not allow is not gone on with.
#[test]
fn a_run_is_gone_on_with() {
    let place = Place::new();
    let mut client = client(&place);
    let first = client.call("delegate", task(&place, "t", "[[shell echo one > one]]"));
    let early = client.call_raw("continue", json!({"run": "t", "prompt": "x", "odd": 1}));
    assert_eq!(early["result"]["isError"], true, "{early:#}");
    assert_eq!(wait(&mut client, "t")["status"], "completed");
    let more = json!({
        "run": first["run_id"], "prompt": "[[shell echo two > two]]", "fresh": true, "idempotency_key": "k",
    });
    let begun = client.call("continue", more.clone());
    assert_eq!(
        (&begun["task"], &begun["status"]),
        (&json!("t"), &json!("running"))
    );
    assert_eq!(client.call("continue", more)["run_id"], begun["run_id"]);
    let run = text(&begun["run_id"]).to_owned();
    assert_eq!(wait(&mut client, &run)["status"], "completed");
    // The stand-in does again what the summary says that the brief was.
    let diff = client.call("diff", json!({"run": run}));
    let earlier = client.call("diff", json!({"run": first["run_id"]}));
    assert_eq!(diff["base_commit"], earlier["result_commit"], "{diff:#}");
    let mut strict = McpClient::begin(&mut place.operator(&["mcp"]), &json!({})).0;
    let error = strict.refuse("continue", json!({"run": run, "prompt": "x"}));
    assert_eq!(error["code"], "not_allowed", "{error}");
}

#[test]
fn an_approval_is_denied_a_message_is_told_and_a_run_is_ended() {
    let place = Place::new();
    let mut client = client(&place);
    let brief = "[[shell touch asked]] [[escalate]]";
    client.call("delegate", task(&place, "asks", brief));
    let gate = place.path("gate");
    let brief = format!("[[await {}]] [[status]]", gate.display());
    client.call("delegate", task(&place, "works", &brief));

    let asks = wait(&mut client, "asks");
    assert_eq!(asks["question"]["kind"], "permission", "{asks:#}");
    let denial = json!({"run": "asks", "decision": "deny", "message": "Not that."});
    assert_eq!(client.call("reply", denial)["taken"], true);
    assert_eq!(wait(&mut client, "asks")["phase"], "ended");
    let record = place.cli(&["show", "asks", "--json"]).document();
    assert_eq!(
        record["replies"][0]["reply"], "deny Not that.",
        "{record:#}"
    );

    let sent = client.call(
        "send",
        json!({"run": "works", "text": "Keep the old name."}),
    );
    assert_eq!(sent["taken"], true, "{sent}");
    let steered = json!({"run": "works", "text": "Not in src.", "now": true});
    assert_eq!(client.call("send", steered)["taken"], true);
    // It works for as long as the gate is shut.
    let aborted = client.call(
        "abort",
        json!({"runs": ["works"], "reason": "The brief was wrong."}),
    );
    assert_eq!(aborted["aborted"].as_array().map(Vec::len), Some(1));
    let ended = wait(&mut client, "works");
    assert_eq!(ended["status"], "aborted", "{ended:#}");
    assert!(text(&ended["error"]["message"]).contains("The brief was wrong."));
    for (tool, arguments) in [
        ("abort", json!({"runs": ["works"]})),
        ("send", json!({"run": "works", "text": "x"})),
        ("reply", json!({"run": "works", "text": "x"})),
    ] {
        assert_eq!(
            client.refuse(tool, arguments)["code"],
            "run_ended",
            "{tool}"
        );
    }
    assert!(client.end().success());
}

/// The start that fails is an error with the record, as the command prints it.
#[test]
fn a_start_that_fails_is_told_with_its_record() {
    let place = Place::new();
    let mut client = client(&place);
    let mut wrong = task(&place, "t", "x");
    wrong["base"] = json!("no-such-revision");
    let error = client.refuse("delegate", wrong.clone());
    assert_eq!(error["code"], "repository", "{error}");
    wrong["base"] = json!("HEAD");
    wrong["program"] = json!("/no/such/program");
    assert_eq!(client.refuse("delegate", wrong)["code"], "agent_missing");
    let checks = client.call("doctor", json!({"program": "/no/such/program"}));
    assert_eq!(checks["ready"], false, "{checks:#}");
    testkit::schemas::check_document("doctor", &checks);
    place.assert_untouched("refs/heads/main");
}

#[test]
fn a_call_that_is_repeated_with_its_key_is_the_same_run() {
    let place = Place::new();
    let gate = place.path("gate");
    let brief = format!("[[await {}]] [[shell echo x > made]]", gate.display());
    let mut first = task(&place, "t", &brief);
    first["idempotency_key"] = json!("once");
    let (mut one, mut other) = (client(&place), client(&place));
    // Two servers at once.
    let asked = one.ask(
        "tools/call",
        json!({"name": "delegate", "arguments": first}),
    );
    let answered = other.call("delegate", first.clone());
    let told = one.response(asked)["result"]["structuredContent"].clone();
    assert_eq!(told["run_id"], answered["run_id"], "{told:#}");
    let mut another = first.clone();
    another["task"] = json!("u");
    let refused = one.refuse("delegate", another);
    assert!(
        text(&refused["message"]).contains("another task"),
        "{refused}"
    );
    // By the command too.
    let mut command = place.delegate("t");
    command.args(["--detach", "--idempotency-key=once", "--prompt=x", "--json"]);
    let by_command = testkit::world::Ran::of(&mut command, b"").document();
    assert_eq!(by_command["run_id"], told["run_id"]);
    std::fs::write(&gate, "").expect("opened");
    assert_eq!(wait(&mut one, "t")["status"], "completed");
    let again = other.call("delegate", first);
    assert_eq!(again["run_id"], told["run_id"]);
    assert_eq!(again["status"], "completed");
    assert_eq!(
        one.call("list", json!({}))["runs"].as_array().map(Vec::len),
        Some(1)
    );
}

/// Whatever becomes of its client, a run goes on, and another server tells of it.
#[test]
fn a_client_that_goes_away_loses_nothing() {
    let place = Place::new();
    let gate = place.path("gate");
    let brief = format!("[[await {}]] [[shell echo x > made]]", gate.display());
    let mut lost = client(&place);
    let mut arguments = task(&place, "lost", &brief);
    arguments["idempotency_key"] = json!("lost");
    lost.ask(
        "tools/call",
        json!({"name": "delegate", "arguments": arguments}),
    );
    // Killed once the run may have begun, and before it says so.
    wait_for("a directory", || {
        let runs = testkit::world::names(&place.path("state/runs"));
        (!runs.is_empty()).then_some(())
    });
    lost.kill();

    let mut waiting = client(&place);
    waiting.call("delegate", task(&place, "kept", &brief));
    let call = json!({"name": "wait", "arguments": {"runs": ["kept"], "timeout_seconds": 50}});
    waiting.ask("tools/call", call);
    waiting.request("ping", json!({}));
    let since = std::time::Instant::now();
    assert!(waiting.end().success());
    // A wait may take 50 s, and what is under way is given 5 s.
    let limit = on_this_machine(std::time::Duration::from_millis(2_400));
    assert!(since.elapsed() < limit, "{:?}", since.elapsed());

    let mut next = client(&place);
    let known = next.call("delegate", arguments);
    std::fs::write(&gate, "").expect("opened");
    assert_eq!(
        wait(&mut next, text(&known["run_id"]))["status"],
        "completed"
    );
    assert_eq!(wait(&mut next, "kept")["status"], "completed");
    assert_eq!(
        next.call("list", json!({}))["runs"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
}
