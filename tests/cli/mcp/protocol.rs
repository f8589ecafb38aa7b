//! Both eras of the protocol, the list of tools, resources, progress, and what is no message.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use testkit::mcp_client::McpClient;

use super::{client, server, task, text, wait};
use crate::place::Place;

const TOOLS: [&str; 13] = [
    "delegate", "wait", "status", "reply", "send", "events", "diff", "apply", "continue", "abort",
    "resume", "list", "doctor",
];
/// Options that are offered only where they are allowed.
const GUARDED: [&str; 6] = [
    "answers",
    "responder",
    "agent_arg",
    "program",
    "env",
    "worktree_root",
];

fn tools(client: &mut McpClient) -> Vec<Value> {
    let listed = client.request("tools/list", json!({}));
    listed["result"]["tools"].as_array().expect("tools").clone()
}

#[test]
fn a_session_begins_as_the_client_asks() {
    let place = Place::new();
    let (client, begun) = McpClient::begin(&mut server(&place), &json!({}));
    assert_eq!(begun["protocolVersion"], "2025-11-25");
    assert_eq!(begun["serverInfo"]["name"], "cx-operator");
    let words = text(&begun["instructions"]);
    assert!(words.contains("Never push, never merge"), "{words}");
    assert!(client.end().success());
    // Without a word of the client's, and with one that is none.
    for words in [&b""[..], b"\n{\"jsonrpc\":\"2.0\"}\nhello\n"] {
        let ran = testkit::world::Ran::of(&mut server(&place), words);
        assert_eq!(
            (ran.code, ran.stdout.contains("hello")),
            (0, false),
            "{ran:?}"
        );
    }
}

#[test]
fn what_is_no_message_ends_nothing() {
    let place = Place::new();
    let mut client = client(&place);
    client.send_line("not JSON");
    client.send_line("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/odd\"}");
    client.send_line("");
    let unknown = client.request("no/such/method", json!({}));
    assert_eq!(unknown["error"]["code"], -32601, "{unknown}");
    let unknown = client.call_raw("no such tool\u{1b}[2J", json!({}));
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    assert_eq!(client.call("list", json!({}))["runs"], json!([]));
    assert!(client.end().success());
}

#[test]
fn the_tools_tell_what_they_take_and_what_they_come_back_with() {
    let place = Place::new();
    let mut bare = place.operator(&["mcp"]);
    let (mut client, _) = McpClient::begin(&mut bare, &json!({}));
    let offered = tools(&mut client);
    let names: Vec<&str> = offered.iter().map(|tool| text(&tool["name"])).collect();
    assert_eq!(names, TOOLS);
    for tool in &offered {
        for schema in ["inputSchema", "outputSchema"] {
            let schema = &tool[schema];
            assert_eq!(schema["type"], "object", "{tool:#}");
            jsonschema::meta::validate(schema).expect("a JSON Schema");
            // Not every client follows references.
            assert!(!schema.to_string().contains("\"$ref\""), "{schema:#}");
            assert!(
                !schema.to_string().contains("\"format\":\"uint"),
                "{schema:#}"
            );
        }
        assert!(text(&tool["description"]).len() > 60, "{tool:#}");
        let reads = ["wait", "status", "events", "diff", "list", "doctor"];
        let reads = reads.contains(&text(&tool["name"]));
        assert_eq!(tool["annotations"]["readOnlyHint"], reads, "{tool:#}");
    }
    let properties = |tool: &Value| -> BTreeSet<String> {
        let properties = tool["inputSchema"]["properties"].as_object();
        properties.expect("properties").keys().cloned().collect()
    };
    let plain = properties(&offered[0]);
    assert!(plain.contains("idempotency_key"), "{plain:?}");
    assert!(
        !GUARDED.iter().any(|guarded| plain.contains(*guarded)),
        "{plain:?}"
    );
    assert!(!properties(&offered[7]).contains("check"));
    let mut all = place.operator(&["mcp"]);
    for option in [
        "answers",
        "responder",
        "agent-arg",
        "program",
        "env",
        "worktree-root",
        "check",
    ] {
        all.args(["--allow-option", option]);
    }
    let (mut client, _) = McpClient::begin(&mut all, &json!({}));
    let offered = tools(&mut client);
    let more = properties(&offered[0]);
    assert!(
        GUARDED.iter().all(|guarded| more.contains(*guarded)),
        "{more:?}"
    );
    assert!(properties(&offered[7]).contains("check"));
}

/// Each request says who asks, and nothing was agreed on before.
#[test]
fn the_newest_protocol_needs_no_beginning() {
    let place = Place::new();
    let mut client = McpClient::begin_inline(&mut server(&place), &json!({}));
    let found = client.request("server/discover", json!({}));
    let versions = found["result"]["supportedVersions"].to_string();
    assert!(
        versions.contains("2026-07-28") && versions.contains("2025-11-25"),
        "{found:#}"
    );
    assert_eq!(tools(&mut client).len(), TOOLS.len());
    client.call("delegate", task(&place, "t", "[[shell echo x > made]]"));
    assert_eq!(wait(&mut client, "t")["status"], "completed");
    assert!(client.end().success());
}

/// A client holds results to the schemas; so does this test.
#[test]
fn results_fit_the_schemas_of_their_tools() {
    let place = Place::new();
    let mut client = client(&place);
    let schemas = tools(&mut client);
    let brief = "[[shell echo x > made]]";
    let calls = [
        ("delegate", task(&place, "t", brief)),
        ("wait", json!({"runs": ["t"]})),
        ("status", json!({"run": "t"})),
        ("events", json!({"run": "t"})),
        ("diff", json!({"run": "t"})),
        ("diff", json!({"run": "t", "file": "made"})),
        ("apply", json!({"run": "t", "form": "patch"})),
        (
            "continue",
            json!({"run": "t", "task": "t2", "prompt": "x", "fresh": true}),
        ),
        ("wait", json!({"runs": ["t2"]})),
        ("delegate", task(&place, "u", "[[question]]")),
        ("wait", json!({"runs": ["u"]})),
        ("reply", json!({"run": "u", "decision": "leave"})),
        ("wait", json!({"runs": ["u"]})),
        ("list", json!({})),
        ("doctor", json!({})),
    ];
    for (name, arguments) in calls {
        let document = client.call(name, arguments.clone());
        if arguments["runs"][0] == "t" {
            assert_eq!(document["runs"][0]["status"], "completed", "{document:#}");
        }
        let tool = schemas.iter().find(|tool| tool["name"] == name);
        let schema = &tool.expect("a tool")["outputSchema"];
        let validator = jsonschema::validator_for(schema).expect("a schema");
        if let Some(error) = validator.iter_errors(&document).next() {
            panic!("{name}: {error} at {}: {document:#}", error.instance_path());
        }
    }
}

#[test]
fn the_files_of_a_record_are_resources() {
    let place = Place::new();
    let mut client = client(&place);
    let begun = client.call("delegate", task(&place, "t", "[[shell echo x > made]]"));
    let run = text(&begun["run_id"]).to_owned();
    wait(&mut client, "t");
    let listed = client.request("resources/list", json!({}));
    let resources = listed["result"]["resources"].as_array().expect("resources");
    let uris: Vec<&str> = resources.iter().map(|one| text(&one["uri"])).collect();
    for file in ["run.json", "task.md", "events.jsonl", "patch.diff"] {
        let uri = format!("cx-operator://runs/{run}/{file}");
        assert!(uris.contains(&uri.as_str()), "{uris:?}");
        let read = client.request("resources/read", json!({"uri": uri}));
        let content = &read["result"]["contents"][0];
        assert_eq!(content["uri"], json!(uri), "{read:#}");
        if file == "run.json" {
            let printed = place.cli(&["show", "t", "--json"]).document();
            let record: Value = serde_json::from_str(text(&content["text"])).expect("JSON");
            assert_eq!(record, printed);
        }
    }
    let templates = client.request("resources/templates/list", json!({}));
    let templates = templates["result"]["resourceTemplates"].as_array();
    assert_eq!(templates.map(Vec::len), Some(5));
    for uri in [
        format!("cx-operator://runs/{run}/order.json"),
        format!("cx-operator://runs/{run}/../{run}/run.json"),
        format!("cx-operator://runs/{}/run.json", &run[..12]),
        "cx-operator://runs/x/run.json".to_owned(),
        "file:///etc/passwd".to_owned(),
        String::new(),
    ] {
        let read = client.request("resources/read", json!({"uri": uri}));
        assert_eq!(read["error"]["code"], -32602, "{uri}: {read}");
    }
}

#[test]
fn a_wait_tells_its_progress() {
    let place = Place::new();
    let mut client = client(&place);
    let gate = place.path("gate");
    let brief = format!("[[await {}]] [[shell echo x > made]]", gate.display());
    client.call("delegate", task(&place, "t", &brief));
    let number = client.ask(
        "tools/call",
        json!({
            "name": "wait",
            "arguments": {"runs": ["t"], "timeout_seconds": 50},
            "_meta": {"progressToken": "p"},
        }),
    );
    // The wait has begun when a later request is answered.
    client.call("status", json!({"run": "t"}));
    std::fs::write(&gate, "").expect("opened");
    client.response(number);
    let told: Vec<&Value> = client
        .notifications
        .iter()
        .filter(|told| told["method"] == "notifications/progress")
        .map(|told| &told["params"])
        .collect();
    assert!(told.iter().all(|told| told["progressToken"] == "p"));
    let steps = told.iter().map(|told| told["progress"].as_f64());
    assert!(steps.is_sorted_by(|a, b| a < b), "{told:?}");
    let ended = |told: &&Value| text(&told["message"]).contains("it ended: completed");
    assert!(told.last().is_some_and(ended), "{told:?}");
}
