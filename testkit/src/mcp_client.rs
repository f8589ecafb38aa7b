//! A client of the Model Context Protocol that speaks plain JSON-RPC with a server on its stdin and stdout.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::wait::wait_for;

/// The longest that a call may take: a `wait` takes 50 s.
const CALL: Duration = Duration::from_secs(70);

/// A server and its client.
#[derive(Debug)]
pub struct McpClient {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    number: u64,
    /// What every request says of the client, from the version 2026-07-28 on.
    meta: Option<Value>,
    /// The notifications so far.
    pub notifications: Vec<Value>,
    /// The answers to what the server asks the client, one after another; without one more it is declined.
    pub answers: Vec<Value>,
    /// What the server asked.
    pub asked: Vec<Value>,
}

impl McpClient {
    /// Starts the server and begins a session by `initialize`; returns what it says.
    ///
    /// # Panics
    /// It does not answer, as with all that follow.
    #[must_use]
    pub fn begin(command: &mut Command, capabilities: &Value) -> (Self, Value) {
        let mut client = Self::start(command);
        let begun = client.request(
            "initialize",
            json!({
                "protocolVersion": "2025-11-25",
                "capabilities": capabilities,
                "clientInfo": {"name": "test", "version": "1"},
            }),
        );
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        (client, begun["result"].clone())
    }

    /// The same without a beginning: each request says who asks, as from the version 2026-07-28 on.
    #[must_use]
    pub fn begin_inline(command: &mut Command, capabilities: &Value) -> Self {
        let mut client = Self::start(command);
        client.meta = Some(json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        }));
        client
    }

    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let stdout = child.stdout.take().expect("a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Whatever is no message is one that no call expects.
                let message = serde_json::from_str(&line);
                if sender.send(message.unwrap_or(Value::String(line))).is_err() {
                    return;
                }
            }
        });
        Self {
            stdin: child.stdin.take(),
            child,
            lines,
            number: 0,
            meta: None,
            notifications: Vec::new(),
            answers: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Sends a message as it is.
    pub fn send(&mut self, message: &Value) {
        self.send_line(&message.to_string());
    }

    /// Sends a line as it is.
    pub fn send_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("it is open");
        writeln!(stdin, "{line}").expect("the server reads");
    }

    /// Sends a request; returns its number.
    pub fn ask(&mut self, method: &str, mut params: Value) -> u64 {
        self.number += 1;
        if let Some(meta) = &self.meta {
            params["_meta"] = meta.clone();
        }
        let number = self.number;
        self.send(&json!({"jsonrpc": "2.0", "id": number, "method": method, "params": params}));
        number
    }

    /// Sends a request and waits for its response.
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let number = self.ask(method, params);
        self.response(number)
    }

    /// Waits for a response.
    pub fn response(&mut self, number: u64) -> Value {
        loop {
            let message = match self.lines.recv_timeout(CALL) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => panic!("no response to {number} in time"),
                Err(RecvTimeoutError::Disconnected) => panic!("the server ended"),
            };
            assert_eq!(message["jsonrpc"], "2.0", "no message: {message}");
            match (message["id"].as_u64(), message["method"].is_string()) {
                (Some(id), false) if id == number => return message,
                (Some(_), true) => self.answer(&message),
                (None, true) => self.notifications.push(message),
                _ => panic!("a response that nobody waits for: {message}"),
            }
        }
    }

    fn answer(&mut self, request: &Value) {
        self.asked.push(request.clone());
        let answer = if self.answers.is_empty() {
            json!({"action": "decline"})
        } else {
            self.answers.remove(0)
        };
        self.send(&json!({"jsonrpc": "2.0", "id": request["id"], "result": answer}));
    }

    /// Calls a tool; returns the result as it is.
    pub fn call_raw(&mut self, tool: &str, arguments: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        self.request("tools/call", params)
    }

    /// Calls a tool that does what it is to; returns its document, which its text has as well.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let response = self.call_raw(tool, arguments);
        let result = &response["result"];
        assert_ne!(result["isError"], true, "{tool}: {response:#}");
        let document = result["structuredContent"].clone();
        assert_eq!(text_document(result), document);
        document
    }

    /// Calls a tool that refuses; returns its error.
    pub fn refuse(&mut self, tool: &str, arguments: Value) -> Value {
        let response = self.call_raw(tool, arguments);
        let result = &response["result"];
        assert_eq!(result["isError"], true, "{tool}: {response:#}");
        let document = text_document(result);
        assert_eq!(document["schema_version"], 1, "{document:#}");
        assert_eq!(document["status"], "failed", "{document:#}");
        document["error"].clone()
    }

    /// Closes the server's stdin and waits for its end.
    pub fn end(mut self) -> ExitStatus {
        drop(self.stdin.take());
        let child = &mut self.child;
        wait_for("the server's end", || child.try_wait().expect("a child"))
    }

    /// Ends the server as a client that gives up on it does.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be ended");
        self.child.wait().expect("it ended");
    }
}

/// The document in a result's text.
fn text_document(result: &Value) -> Value {
    let text = result["content"][0]["text"].as_str().expect("a text");
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

impl Drop for McpClient {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
    }
}
