//! A client, a server or an operator that is killed in the middle of a call.

use rustix::process::Signal;
use serde_json::{Value, json};

use testkit::mcp_client::McpClient;
use testkit::processes::signal;
use testkit::size::size;
use testkit::wait::wait_for;
use testkit::world::names;

use super::{ANSWER, client, task, text, wait};
use crate::place::Place;

/// The events of the run after which nobody waits for the call any more that began it.
const EVENTS: [&str; 7] = [
    "started",
    "begun",
    "launched",
    "pasted",
    "submitted",
    "asked",
    "waiting",
];

fn journal(place: &Place) -> String {
    let runs = place.path("state/runs");
    let run = names(&runs).pop().unwrap_or_default();
    std::fs::read_to_string(runs.join(run).join("events.jsonl")).unwrap_or_default()
}

fn until(place: &Place, event: &str) {
    let event = format!("\"event\":\"{event}\"");
    wait_for(&event, || journal(place).contains(&event).then_some(()));
}

/// By a SIGKILL of the server; or of the client, which the server hears of by the end of its stdin.
fn go(client: McpClient, by_server: bool) {
    if by_server {
        client.kill();
    } else {
        assert!(client.end().success());
    }
}

fn ask(client: &mut McpClient, tool: &str, arguments: &Value) {
    let params = json!({"name": tool, "arguments": arguments});
    client.ask("tools/call", params);
}

/// In the middle of `delegate`, of `wait` and of `reply`: it is one run, which is asked once and answered once.
fn gone_after(event: Option<&str>, by_server: bool) {
    let place = Place::new();
    let mut arguments = task(&place, "t", "[[question]]");
    arguments["idempotency_key"] = json!("once");
    let mut lost = client(&place);
    ask(&mut lost, "delegate", &arguments);
    if let Some(event) = event {
        until(&place, event);
    }
    go(lost, by_server);

    let mut next = client(&place);
    let run = next.call("delegate", arguments)["run_id"].clone();
    let mut waiting = client(&place);
    ask(&mut waiting, "wait", &json!({"runs": [run]}));
    go(waiting, by_server);
    let asks = wait(&mut next, text(&run));
    assert_eq!(asks["status"], "waiting", "{asks:#}");

    let reply = json!({"run": run, "to": asks["question"]["id"], "text": ANSWER});
    let mut replying = client(&place);
    ask(&mut replying, "reply", &reply);
    go(replying, by_server);
    // It was said whole, or not at all.
    next.call_raw("reply", reply);
    let ended = wait(&mut next, text(&run));
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let record = place.cli(&["show", "t", "--json"]).document();
    let replies = record["replies"].as_array().map(Vec::len);
    assert_eq!((&record["turns"], replies), (&json!(2), Some(1)));
    assert_eq!(journal(&place).matches("\"event\":\"asked\"").count(), 1);
    let runs = next.call("list", json!({}))["runs"]
        .as_array()
        .map(Vec::len);
    assert_eq!(runs, Some(1));
    assert!(next.end().success());
    wait_for("the end of all processes", || {
        place.processes().is_empty().then_some(())
    });
}

#[test]
fn nothing_is_lost_with_them_thorough() {
    gone_after(None, true);
    let every = size(4, 1);
    for (at, event) in EVENTS.into_iter().enumerate().step_by(every) {
        for by_server in [true, false] {
            if every == 1 || (at == 0) == by_server {
                gone_after(Some(event), by_server);
            }
        }
    }
}

fn kill_operator(place: &Place) {
    let journal = journal(place);
    let mut pids = journal.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).expect("an entry");
        line["operator_pid"].as_i64()
    });
    let pid = pids.next_back().and_then(|pid| u32::try_from(pid).ok());
    signal(pid.expect("an operator"), Signal::KILL);
}

#[test]
fn a_run_whose_operator_died_is_taken_over() {
    let place = Place::new();
    let mut client = client(&place);
    let begun = client.call("delegate", task(&place, "t", "[[question]]"));
    let asked = wait(&mut client, "t")["question"].clone();
    let alive = client.refuse("resume", json!({"run": "t"}));
    assert_eq!(alive["code"], "run_alive");
    kill_operator(&place);
    let orphaned = wait(&mut client, "t");
    assert_eq!(orphaned["status"], "orphaned", "{orphaned:#}");
    let waited = client.call("wait", json!({"runs": ["t"]}));
    assert!(text(&waited["next"]).contains("`resume`"), "{waited:#}");

    let resumed = client.call("resume", json!({"run": "t"}));
    assert_eq!(resumed["status"], "running", "{resumed:#}");
    for same in ["run_id", "task", "run_dir"] {
        assert_eq!(resumed[same], begun[same], "{resumed:#}");
    }
    let again = wait(&mut client, "t");
    assert_eq!(again["question"], asked, "{again:#}");
    let reply = json!({"run": "t", "text": ANSWER});
    assert_eq!(client.call("reply", reply)["taken"], true);
    assert_eq!(wait(&mut client, "t")["status"], "completed");
    let ended = client.call("resume", json!({"run": "t"}));
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert!(text(&ended["next"]).contains("`diff`"), "{ended:#}");
}
