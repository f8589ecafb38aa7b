//! The mock model against a plain HTTP client: each directive has the effect that its table promises.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::mock_model::{MockModel, write_codex_home};
use testkit::wait::on_this_machine;

fn exchange(model: &MockModel, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", model.port())).expect("the model listens");
    let length = body.len();
    write!(
        stream,
        "{head} HTTP/1.1\r\nHost: mock\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("the model reads");
    let mut response = String::new();
    stream
        .read_to_string(&mut response)
        .expect("the model answers");
    response
}

fn user(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})
}

fn respond(model: &MockModel, input: &[Value]) -> String {
    let body = json!({"input": input, "tools": [{"type": "function", "name": "exec_command"}, {"type": "web_search"}]});
    exchange(model, "POST /v1/responses", &body.to_string())
}

/// The finished items of a stream, in order.
fn items(response: &str) -> Vec<Value> {
    let data = response
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str::<Value>(data).expect("an event is JSON"))
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| event["item"].clone())
        .collect()
}

fn said(model: &MockModel, text: &str) -> String {
    let items = items(&respond(model, &[user(text)]));
    items[0]["content"][0]["text"]
        .as_str()
        .expect("a message")
        .to_owned()
}

#[test]
fn words_follow_the_directive() {
    let model = MockModel::start().expect("a port");
    assert_eq!(said(&model, "go"), "Done. I've finished: 'go'");
    assert_eq!(
        said(&model, "x [[say All\ngreen.]] y"),
        "All\ngreen.",
        "an argument may span lines"
    );
    assert!(said(&model, "[[question]]").ends_with('?'));
    assert!(said(&model, "[[status]]").starts_with("Let me check"));
}

#[test]
fn context_messages_and_earlier_prompts_are_passed_over() {
    let model = MockModel::start().expect("a port");
    let input = [
        user("[[http 500]] earlier"),
        user("[[say mine]]"),
        user("<environment_context>[[question]]</environment_context>"),
        json!({"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "[[status]]"}]}),
    ];
    assert_eq!(
        items(&respond(&model, &input))[0]["content"][0]["text"],
        "mine"
    );
    let log = model.requests();
    assert_eq!(
        (log[0].method.as_str(), log[0].path.as_str()),
        ("POST", "/v1/responses")
    );
    assert_eq!(log[0].text, "[[say mine]]");
    assert_eq!(log[0].tools, ["exec_command", "web_search"]);
}

#[test]
fn a_tool_is_called_once_and_its_output_ends_the_turn() {
    let model = MockModel::start().expect("a port");
    let prompt = user("[[shell ls -l]] [[escalate]]");
    let call = &items(&respond(&model, std::slice::from_ref(&prompt)))[0];
    assert_eq!(
        (&call["type"], &call["name"]),
        (&json!("function_call"), &json!("exec_command"))
    );
    let arguments = call["arguments"].as_str().expect("a string of JSON");
    let arguments: Value = serde_json::from_str(arguments).expect("arguments are JSON");
    assert_eq!(arguments["cmd"], "ls -l");
    assert_eq!(arguments["sandbox_permissions"], "require_escalated");

    let output = json!({"type": "function_call_output", "output": "total 0"});
    let end = &items(&respond(&model, &[prompt, call.clone(), output]))[0];
    assert_eq!(
        end["content"][0]["text"],
        "Done. The tool returned: total 0"
    );

    let patch = &items(&respond(
        &model,
        &[user("[[patch *** Begin Patch\n*** End Patch\n]]")],
    ))[0];
    assert_eq!(patch["input"], "*** Begin Patch\n*** End Patch");

    let other = &items(&respond(
        &model,
        &[user("[[call demo/deploy {\"to\": 1}]]")],
    ))[0];
    assert_eq!(
        (&other["namespace"], &other["name"]),
        (&json!("demo"), &json!("deploy"))
    );
    assert_eq!(other["arguments"], "{\"to\": 1}");
}

#[test]
fn failures_are_a_status_or_a_stream_without_its_end() {
    let model = MockModel::start().expect("a port");
    assert!(respond(&model, &[user("[[http 429]]")]).starts_with("HTTP/1.1 429 "));
    let cut = respond(&model, &[user("[[drop]]")]);
    assert!(cut.contains("response.output_text.delta") && !cut.contains("response.completed"));
    assert!(exchange(&model, "GET /v1/models", "").contains("\"models\":[]"));
    assert!(exchange(&model, "POST /v1/responses", "not json").starts_with("HTTP/1.1 404 "));
}

#[test]
fn dropping_it_closes_the_port_and_cuts_a_sleeping_answer() {
    let model = MockModel::start().expect("a port");
    let port = model.port();
    let body = json!({"input": [user("[[sleep 600]]")]}).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the model listens");
    let length = body.len();
    write!(
        stream,
        "POST /v1/responses HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("the model reads");
    let mut first = [0; 1];
    stream
        .read_exact(&mut first)
        .expect("the stream begins before the sleep");
    let begun = Instant::now();
    drop(model);
    let mut rest = String::new();
    stream
        .read_to_string(&mut rest)
        .expect("the stream is closed");
    assert!(!rest.contains("response.completed"));
    assert!(begun.elapsed() < on_this_machine(Duration::from_secs(5)));
    assert!(
        TcpStream::connect(("127.0.0.1", port)).is_err(),
        "nobody listens any more"
    );
}

#[test]
fn a_codex_home_is_private_and_names_the_port() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().expect("a temporary directory");
    let home = parent.path().join("codex");
    write_codex_home(&home, 4242).expect("the home is written");
    let mode = home.metadata().expect("it exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let config = std::fs::read_to_string(home.join("config.toml")).expect("it has a config");
    let config: toml::Table = config.parse().expect("the config is TOML");
    let provider = &config["model_providers"]["mock"];
    assert_eq!(
        provider["base_url"].as_str(),
        Some("http://127.0.0.1:4242/v1")
    );
}

fn called(id: &str) -> [Value; 2] {
    [
        json!({"type": "function_call", "name": "exec_command", "call_id": id, "arguments": "{}"}),
        json!({"type": "function_call_output", "call_id": id, "output": "fine"}),
    ]
}

#[test]
fn a_script_is_played_step_by_step() {
    let model = MockModel::start().expect("a port");
    model.script(
        "work",
        &json!([
            {"note": "First.", "phase": "commentary", "headers": {"x-codex-primary-used-percent": 93},
             "calls": [{"shell": "ls", "escalate": "must"}, {"call": "agents/spawn", "args": {"n": 1}}]},
            {"http": 503, "times": 1},
            {"custom": "apply_patch", "input": "*** Begin"},
            {"say": "Done.", "phase": "final_answer", "end_turn": true, "usage": 7},
        ]),
    );
    let mut input = vec![user("[[play work]]")];
    let first = respond(&model, &input);
    assert!(first.contains("x-codex-primary-used-percent: 93\r\n"));
    let made = items(&first);
    assert_eq!((&made[0]["phase"], made.len()), (&json!("commentary"), 3));
    assert!(
        made[1]["arguments"]
            .as_str()
            .expect("text")
            .contains("must")
    );
    assert_eq!(
        (&made[2]["namespace"], &made[2]["arguments"]),
        (&json!("agents"), &json!("{\"n\":1}"))
    );
    assert_ne!(made[1]["call_id"], made[2]["call_id"]);

    input.push(json!({"type": "message", "role": "assistant", "content": []}));
    input.extend([called("a"), called("b")].concat());
    assert!(respond(&model, &input).starts_with("HTTP/1.1 503 "));
    assert_eq!(items(&respond(&model, &input))[0]["name"], "apply_patch");
    input.extend(called("c"));
    for _repeated in 0..2 {
        let last = respond(&model, &input);
        assert_eq!(items(&last)[0]["phase"], "final_answer");
        assert!(last.contains(r#""end_turn":true"#) && last.contains(r#""input_tokens":7"#));
        input.push(json!({"type": "message", "role": "assistant", "content": []}));
    }

    input.push(user("[[say mine]]"));
    assert_eq!(
        items(&respond(&model, &input))[0]["content"][0]["text"],
        "mine"
    );
}

#[test]
fn a_script_may_stand_in_the_prompt_or_come_from_another_agent() {
    let model = MockModel::start().expect("a port");
    let steps =
        r#"go <<<steps [{"cut": true, "say": "Half of it", "times": 1}, {"say": "Whole."}]>>>"#;
    let cut = respond(&model, &[user(steps)]);
    assert!(cut.contains("output_text.delta") && !cut.contains("response.completed"));
    assert_eq!(said(&model, steps), "Whole.");
    assert!(said(&model, "<<<steps [{\"sy\": 1}]>>>").contains("unknown field `sy`"));

    model.script("child", &json!([{"say": "From below."}]));
    let told = json!({"type": "agent_message", "content": [{"type": "input_text", "text": "[[play child]]"}]});
    let answer = respond(&model, &[user("[[play parent]]"), told]);
    assert_eq!(items(&answer)[0]["content"][0]["text"], "From below.");
}
