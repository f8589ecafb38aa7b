//! The client's own user is asked: by a request in the older protocols, by a result that has the client call again in the newest.

use serde_json::{Value, json};

use testkit::mcp_client::McpClient;

use super::{ANSWER, client, server, task, text, wait};
use crate::place::Place;

fn ask_user(run: &str) -> Value {
    json!({"run": run, "ask_user": true})
}

#[test]
fn the_user_is_asked_by_a_request() {
    let place = Place::new();
    let capabilities = json!({"elicitation": {}});
    let (mut client, _) = McpClient::begin(&mut server(&place), &capabilities);
    client.call("delegate", task(&place, "t", "[[question]]"));
    wait(&mut client, "t");
    // They give no answer, and the question stays.
    let error = client.refuse("reply", ask_user("t"));
    assert!(text(&error["message"]).contains("still open"), "{error}");
    let asked = &client.asked[0];
    assert_eq!(asked["method"], "elicitation/create");
    assert!(
        text(&asked["params"]["message"]).contains("tabs or spaces"),
        "{asked:#}"
    );
    assert_eq!(
        asked["params"]["requestedSchema"]["required"],
        json!(["answer"])
    );
    client.answers = vec![json!({"action": "accept", "content": {"answer": ANSWER}})];
    assert_eq!(client.call("reply", ask_user("t"))["taken"], true);
    assert_eq!(wait(&mut client, "t")["status"], "completed");

    client.call(
        "delegate",
        task(&place, "u", "[[shell touch asked]] [[escalate]]"),
    );
    wait(&mut client, "u");
    client.answers = vec![json!({
        "action": "accept", "content": {"decision": "deny", "message": "Not that."},
    })];
    assert_eq!(client.call("reply", ask_user("u"))["taken"], true);
    wait(&mut client, "u");
    let record = place.cli(&["show", "u", "--json"]).document();
    assert_eq!(
        record["replies"][0]["reply"], "deny Not that.",
        "{record:#}"
    );
}

#[test]
fn the_user_is_asked_by_a_result() {
    let place = Place::new();
    let capabilities = json!({"elicitation": {"form": {}}});
    let mut client = McpClient::begin_inline(&mut server(&place), &capabilities);
    client.call("delegate", task(&place, "t", "[[question]]"));
    let status = wait(&mut client, "t");
    let question = text(&status["question"]["id"]).to_owned();
    let asked = client.call_raw("reply", ask_user("t"));
    let result = &asked["result"];
    assert_eq!(result["resultType"], "input_required", "{asked:#}");
    let request = &result["inputRequests"][&question];
    assert_eq!(request["method"], "elicitation/create", "{asked:#}");
    let again = |answer: Value| {
        json!({
            "name": "reply",
            "arguments": ask_user("t"),
            "requestState": result["requestState"],
            "inputResponses": {&question: answer},
        })
    };
    let declined = client.request("tools/call", again(json!({"action": "decline"})));
    assert_eq!(declined["result"]["isError"], true, "{declined:#}");
    let accepted = json!({"action": "accept", "content": {"answer": ANSWER}});
    let answered = client.request("tools/call", again(accepted));
    assert_eq!(
        answered["result"]["structuredContent"]["taken"], true,
        "{answered:#}"
    );
    assert_eq!(wait(&mut client, "t")["status"], "completed");
}

#[test]
fn a_client_that_cannot_ask_is_told_so() {
    let place = Place::new();
    let mut client = client(&place);
    client.call("delegate", task(&place, "t", "[[question]]"));
    wait(&mut client, "t");
    let error = client.refuse("reply", ask_user("t"));
    assert!(
        text(&error["message"]).contains("can't ask its user"),
        "{error}"
    );
    let two = json!({"run": "t", "text": "x", "ask_user": true});
    assert_eq!(client.refuse("reply", two)["code"], "usage");
    client.call("abort", json!({"runs": ["t"]}));
    wait(&mut client, "t");
}
