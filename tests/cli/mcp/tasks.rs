//! Runs as tasks, for a client that follows those.

use serde_json::{Value, json};

use testkit::mcp_client::McpClient;
use testkit::wait::wait_for;

use super::{ANSWER, client, server, task, text};
use crate::place::Place;

fn capabilities() -> Value {
    json!({"elicitation": {"form": {}}, "extensions": {"io.modelcontextprotocol/tasks": {}}})
}

/// Follows a task until it has one of these statuses.
fn until(client: &mut McpClient, id: &str, statuses: &[&str]) -> Value {
    wait_for("the task", || {
        let got = client.request("tasks/get", json!({"taskId": id}));
        let task = got["result"].clone();
        assert_eq!(task["taskId"], id, "{got:#}");
        statuses.contains(&text(&task["status"])).then_some(task)
    })
}

fn begin(client: &mut McpClient, arguments: Value) -> String {
    let begun = client.call_raw("delegate", arguments);
    let result = &begun["result"];
    assert_eq!(result["resultType"], "task", "{begun:#}");
    assert_eq!(result["status"], "working", "{begun:#}");
    text(&result["taskId"]).to_owned()
}

#[test]
fn a_run_is_a_task_whose_question_is_answered() {
    let place = Place::new();
    let mut client = McpClient::begin_inline(&mut server(&place), &capabilities());
    let id = begin(&mut client, task(&place, "t", "[[question]]"));
    let asks = until(&mut client, &id, &["input_required"]);
    let requests = asks["inputRequests"].as_object().expect("requests");
    let (question, request) = requests.iter().next().expect("a request");
    assert_eq!(request["method"], "elicitation/create", "{asks:#}");
    let answer = json!({"action": "accept", "content": {"answer": ANSWER}});
    let update = json!({"taskId": id, "inputResponses": {question: answer}});
    let updated = client.request("tasks/update", update.clone());
    assert_eq!(updated["result"]["resultType"], "complete", "{updated:#}");
    let done = until(&mut client, &id, &["completed"]);
    assert_eq!(done["result"]["isError"], false, "{done:#}");
    assert_eq!(done["result"]["structuredContent"]["status"], "completed");
    let stale = client.request("tasks/update", update);
    assert_eq!(
        stale["error"]["data"]["error"]["code"], "run_ended",
        "{stale:#}"
    );
    // It is nothing that the server remembers: another one tells the same.
    drop(client);
    let mut next = McpClient::begin_inline(&mut server(&place), &capabilities());
    assert_eq!(until(&mut next, &id, &["completed"]), done);
}

#[test]
fn a_task_is_cancelled() {
    let place = Place::new();
    let mut client = McpClient::begin_inline(&mut server(&place), &capabilities());
    let id = begin(&mut client, task(&place, "t", "[[question]]"));
    until(&mut client, &id, &["input_required"]);
    let cancelled = client.request("tasks/cancel", json!({"taskId": id}));
    assert_eq!(
        cancelled["result"]["resultType"], "complete",
        "{cancelled:#}"
    );
    until(&mut client, &id, &["cancelled"]);
    let unknown = client.request("tasks/get", json!({"taskId": &id[..12]}));
    assert_eq!(unknown["error"]["code"], -32602, "{unknown:#}");
}

#[test]
fn a_client_that_follows_no_tasks_gets_none() {
    let place = Place::new();
    let mut client = client(&place);
    let begun = client.call("delegate", task(&place, "t", "[[shell echo x > made]]"));
    let got = client.request("tasks/get", json!({"taskId": begun["run_id"]}));
    assert!(got["error"].is_object(), "{got:#}");
    assert_eq!(super::wait(&mut client, "t")["status"], "completed");
}

/// A client that began a session is told of each change.
#[test]
fn a_client_is_told_how_its_task_goes() {
    let place = Place::new();
    let (mut client, _) = McpClient::begin(&mut server(&place), &capabilities());
    let id = begin(&mut client, task(&place, "t", "[[question]]"));
    let asks = until(&mut client, &id, &["input_required"]);
    let question = asks["inputRequests"].as_object().expect("requests");
    let question = question.keys().next().expect("a request");
    let answer = json!({"action": "accept", "content": {"answer": ANSWER}});
    let update = json!({"taskId": id, "inputResponses": {question: answer}});
    client.request("tasks/update", update);
    until(&mut client, &id, &["completed"]);
    // The last word may come after the answer to that.
    let told = wait_for("the last word", || {
        client.request("tasks/get", json!({"taskId": id}));
        let told: Vec<Value> = client.notifications.clone();
        let ended = |told: &Value| told["params"]["status"] == "completed";
        told.iter().any(ended).then_some(told)
    });
    let told: Vec<&Value> = told
        .iter()
        .filter(|told| told["method"] == "notifications/tasks")
        .map(|told| &told["params"])
        .collect();
    assert!(told.iter().all(|task| task["taskId"] == *id), "{told:#?}");
    // Whether it is seen at work before and between depends on the moment.
    let changes: Vec<&&Value> = told
        .iter()
        .filter(|task| task["status"] != "working")
        .collect();
    let [asked, ended] = &changes[..] else {
        panic!("a question and an end: {told:#?}");
    };
    assert_eq!(asked["inputRequests"], asks["inputRequests"]);
    assert_eq!(ended["result"]["structuredContent"]["status"], "completed");
}
