//! What the comparison with the real codex needs: a model that says "Done.", and the fields that one turn leaves behind.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use super::pane::{EVENTS, Pane, await_some};

/// Lines of the transcript that are compared; the others are left out by the scripted agent.
const COMPARED: [&str; 5] = [
    "task_started",
    "item_completed",
    "token_count",
    "task_complete",
    "session_meta",
];

/// A prompt with this fails, here as in the scripted agent.
const FAILS: &str = "[[http 401]]";
const FAILURE: &str = r#"{"error":{"message":"mock failure","type":"mock","code":"mock"}}"#;

/// Serves the Responses API on a port of the loopback interface, for as long as the test runs.
pub(crate) fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

/// Answers one request and closes.
fn answer(stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
        head += &line;
    }
    let mut request = vec![0; length];
    reader.read_exact(&mut request).ok()?;
    if String::from_utf8_lossy(&request).contains(FAILS) {
        let head = format!(
            "HTTP/1.1 401 Unauthorized\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            FAILURE.len()
        );
        return (&stream).write_all((head + FAILURE).as_bytes()).ok();
    }
    let (kind, body) = if head.starts_with("POST") {
        ("text/event-stream", events())
    } else {
        (
            "application/json",
            json!({ "object": "list", "data": [], "models": [] }).to_string(),
        )
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    (&stream).write_all((head + &body).as_bytes()).ok()
}

/// One answer: a message and the tokens it took.
fn events() -> String {
    let content = json!([{ "type": "output_text", "text": "Done." }]);
    let item = json!({ "type": "message", "role": "assistant", "id": "msg_1", "content": content });
    let usage = json!({
        "input_tokens": 100, "input_tokens_details": { "cached_tokens": 0 }, "output_tokens": 20,
        "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 120,
    });
    let started = json!({ "type": "message", "role": "assistant", "id": "msg_1", "content": [] });
    let stream = [
        (
            "response.created",
            json!({ "response": { "id": "resp_1" } }),
        ),
        ("response.output_item.added", json!({ "item": started })),
        (
            "response.output_text.delta",
            json!({ "delta": "Done.", "item_id": "msg_1" }),
        ),
        ("response.output_item.done", json!({ "item": item })),
        (
            "response.completed",
            json!({ "response": { "id": "resp_1", "usage": usage } }),
        ),
    ];
    let lines = stream.into_iter().map(|(kind, mut data)| {
        data["type"] = json!(kind);
        format!("event: {kind}\ndata: {data}\n\n")
    });
    lines.collect()
}

/// Runs a turn, one that fails, and `/exit`, and names every field of every payload and of the compared transcript lines, with its JSON type.
pub(crate) fn fields_of_a_turn(pane: &Pane) -> BTreeSet<String> {
    pane.paste("compare", true);
    pane.await_event("task_complete");
    pane.paste(&format!("fail {FAILS}"), true);
    let failure = "unexpected status 401 Unauthorized: mock failure, url: http://127.0.0.1:";
    pane.await_screen(failure);
    pane.paste("/exit", false);
    pane.await_screen("› /exit");
    pane.keys(&["Enter"]);
    let end = pane.await_payload("SessionEnd", "reason");
    let mut fields = BTreeSet::new();
    for event in EVENTS {
        for payload in pane.payloads(event) {
            collect(event, &payload, &mut fields);
        }
    }
    let path = end["transcript_path"].as_str().expect("a path").to_owned();
    let lines = await_some(
        "the transcript",
        || path.clone(),
        || Some(pane.lines(path.as_ref())).filter(|lines| !lines.is_empty()),
    );
    for line in lines {
        let payload = &line["payload"];
        let kind = payload["type"]
            .as_str()
            .or(line["type"].as_str())
            .unwrap_or_default();
        if COMPARED.contains(&kind) || line["type"] == "token_usage_record" {
            let item = payload["item"]["type"].as_str().unwrap_or_default();
            collect(
                &format!("{}/{kind}{item}", line["type"]),
                &line,
                &mut fields,
            );
        }
    }
    fields
}

/// Adds the paths of all fields below a value.
fn collect(path: &str, value: &Value, fields: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                collect(&format!("{path}.{name}"), value, fields);
            }
        }
        Value::Array(array) => {
            for value in array {
                collect(&format!("{path}[]"), value, fields);
            }
        }
        Value::String(_) => drop(fields.insert(format!("{path}: string"))),
        Value::Number(_) => drop(fields.insert(format!("{path}: number"))),
        other => drop(fields.insert(format!("{path}: {other}"))),
    }
}
