//! A stand-in for the model behind the real codex: the part of the Responses API that one turn needs, on loopback.
//!
//! What it answers is written in the prompt itself, so that a test reads as one text. Directives stand in the newest
//! message of the user; the context messages that codex adds by itself are passed over, and other text is ignored:
//!
//! | directive | effect |
//! |---|---|
//! | `[[await PATH]]` | before anything else, that file must be there |
//! | `[[sleep N]]` | N seconds (fractions allowed) before the answer |
//! | `[[http NNN]]` | the request fails with that HTTP status |
//! | `[[usage-limit]]` | … with 429 and the body of an account whose limit is reached |
//! | `[[drop]]` | the stream is cut in the middle of the answer |
//! | `[[garble]]` | the answer is no stream of events |
//! | `[[shell CMD]]` | one shell command |
//! | `[[escalate]]` | … and it asks to leave the sandbox, so that codex asks for permission |
//! | `[[patch TEXT]]` | one `apply_patch` |
//! | `[[call NAME JSON]]` | any other tool with these arguments; `SPACE/NAME` for a tool in a namespace |
//! | `[[question]]` | the turn ends with a question |
//! | `[[status]]` | the turn ends with a status line |
//! | `[[say TEXT]]` | the turn ends with TEXT |
//! | none | the turn ends with `Done. I've finished: '<the last 60 characters>'` |
//!
//! An argument ends at the first `]]`. Once a tool has run, the turn ends with what the tool returned.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use regex::Regex;
use serde_json::{Value, json};

/// Messages of the role `user` that codex writes itself begin with one of these.
///
/// Source: codex 0.130.0, 0.150.0 and 0.169.0: the first in the requests of a turn, the others in the program itself.
const CONTEXT_MARKS: [&str; 5] = [
    "<environment_context>",
    "<turn_aborted>",
    "<recommended_plugins>",
    "<subagent_notification>",
    "# AGENTS.md instructions",
];

/// How long a connection may stay silent before its request is complete.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// Between two looks for a file that is awaited.
const PACE: Duration = Duration::from_millis(10);

// Each includer uses a part of this interface; naming all of it keeps the rest from counting as dead code.
const _: fn(&Path) -> io::Result<usize> = |home| {
    let model = MockModel::start()?;
    write_codex_home(home, model.port())?;
    let fields = |request: &Request| {
        let tools: usize = request.tools.iter().map(String::len).sum();
        request.method.len() + request.path.len() + request.text.len() + tools
    };
    Ok(model.requests().iter().map(fields).sum())
};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `GET` or `POST`.
    pub(crate) method: String,
    /// The path below the host, with its query: `/v1/responses`.
    pub(crate) path: String,
    /// The newest message of the user, whole; empty where there is none.
    pub(crate) text: String,
    /// The tools that were offered to the model, by name.
    pub(crate) tools: Vec<String>,
}

/// A running server; dropping it closes the port and cuts what is still being answered.
#[derive(Debug)]
pub(crate) struct MockModel {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl MockModel {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port can be opened.
    pub(crate) fn start() -> io::Result<MockModel> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let acceptor = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Ok(MockModel {
            address,
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every request so far, in the order of arrival.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }
}

impl Drop for MockModel {
    fn drop(&mut self) {
        self.shared.stop();
        // `accept` has no deadline: one connection wakes it, and it finds the flag set.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(acceptor) = self.acceptor.take()
            && woken
        {
            drop(acceptor.join());
        }
    }
}

/// Writes the `config.toml` that makes codex use the model on `port`; `dir` becomes its `CODEX_HOME` (mode 0700).
///
/// The environment of codex needs `OPENAI_API_KEY` with any value.
///
/// # Errors
/// The directory or the file cannot be written.
pub(crate) fn write_codex_home(dir: &Path, port: u16) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    let config = format!(
        r#"model = "gpt-5.5"
model_provider = "mock"
check_for_update_on_startup = false

[model_providers.mock]
name = "mock"
base_url = "http://127.0.0.1:{port}/v1"
wire_api = "responses"
env_key = "OPENAI_API_KEY"
request_max_retries = 1
stream_max_retries = 1
"#
    );
    std::fs::write(dir.join("config.toml"), config)
}

/// What the connections share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<Request>,
    stopping: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.state().stopping = true;
        self.stopped.notify_all();
    }

    /// Puts the request on record and returns its number, from 1.
    fn record(&self, request: Request) -> usize {
        let mut state = self.state();
        state.requests.push(request);
        state.requests.len()
    }

    /// Waits that long; false when the server ended meanwhile.
    fn sleep(&self, time: Duration) -> bool {
        let (state, _) = self
            .stopped
            .wait_timeout_while(self.state(), time, |state| !state.stopping)
            .unwrap_or_else(PoisonError::into_inner);
        !state.stopping
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.state().stopping {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        // A client that went away is no failure of the model: the test sees it on the client's side.
        std::thread::spawn(move || drop(serve(stream, &shared)));
    }
}

/// Answers one request; every response closes its connection.
fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(READ_LIMIT))?;
    let (method, path, body) = read_request(&mut BufReader::new(&stream))?;
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let asked = Asked::read(&body);
    let number = shared.record(Request {
        method: method.clone(),
        path: path.clone(),
        text: asked.text.clone(),
        tools: asked.tools.clone(),
    });
    let reply = Reply { stream, number };
    match method.as_str() {
        "GET" => reply.json(200, &json!({"object": "list", "data": [], "models": []})),
        "POST" if path.ends_with("/responses") && body.is_object() => answer(reply, &asked, shared),
        _ => reply.json(404, &json!({"error": {"message": "no such endpoint"}})),
    }
}

/// Reads one HTTP/1.1 request with a body of known length: method, path, body.
fn read_request(reader: &mut impl BufRead) -> io::Result<(String, String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value
                .trim()
                .parse()
                .map_err(|_| io::ErrorKind::InvalidData)?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((method, path, body))
}

/// What one request asks of the model.
#[derive(Debug, Default)]
struct Asked {
    /// The newest message of the user.
    text: String,
    /// What a tool returned after that message.
    tool_output: Option<String>,
    tools: Vec<String>,
}

impl Asked {
    fn read(body: &Value) -> Asked {
        let list = |name: &str| body[name].as_array().map_or(&[][..], Vec::as_slice);
        let mut asked = Asked {
            tools: list("tools").iter().filter_map(tool_name).collect(),
            ..Asked::default()
        };
        for item in list("input").iter().rev() {
            match item["type"].as_str() {
                Some("function_call_output" | "custom_tool_call_output") => {
                    asked
                        .tool_output
                        .get_or_insert_with(|| plain_text(&item["output"]));
                }
                Some("message") if item["role"] == "user" => {
                    let text = plain_text(&item["content"]);
                    if !CONTEXT_MARKS.iter().any(|mark| text.starts_with(mark)) {
                        asked.text = text;
                        break;
                    }
                }
                _ => {}
            }
        }
        asked
    }

    /// The argument of `[[name argument]]`: "" for a bare `[[name]]`, `None` where there is none.
    fn directive(&self, name: &str) -> Option<&str> {
        let pattern = Regex::new(&format!(r"(?s)\[\[{name}(?:\s+(.*?))?\]\]"))
            .expect("the names of the directives are plain words");
        let found = pattern.captures(&self.text)?;
        Some(found.get(1).map_or("", |argument| argument.as_str()))
    }
}

fn tool_name(tool: &Value) -> Option<String> {
    let name = tool["name"].as_str().or(tool["type"].as_str());
    name.map(str::to_owned)
}

/// The text of a content list or of a plain string.
fn plain_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect(),
        other => other.to_string(),
    }
}

fn answer(reply: Reply, asked: &Asked, shared: &Shared) -> io::Result<()> {
    if let Some(path) = asked.directive("await") {
        while !Path::new(path).exists() {
            if !shared.sleep(PACE) {
                return Ok(());
            }
        }
    }
    if let Some(status) = asked.directive("http") {
        let error = json!({"error": {"message": "mock failure", "type": "mock", "code": "mock"}});
        return reply.json(status.trim().parse().unwrap_or(500), &error);
    }
    if asked.directive("usage-limit").is_some() {
        let error = json!({"error": {
            "type": "usage_limit_reached", "message": "The usage limit has been reached",
            "plan_type": "plus", "resets_in_seconds": 3600,
        }});
        return reply.json(429, &error);
    }
    reply.begin_events()?;
    if asked.directive("garble").is_some() {
        return (&reply.stream)
            .write_all(b"event: response.created\ndata: {\"type\":\n\n\xff\xfe}{\n\n");
    }
    reply.event(
        "response.created",
        json!({"response": {"id": reply.id("resp")}}),
    )?;
    if let Some(seconds) = asked.directive("sleep") {
        let time = Duration::try_from_secs_f64(seconds.trim().parse().unwrap_or(0.0));
        if !shared.sleep(time.unwrap_or_default()) {
            return Ok(());
        }
    }
    if let Some(output) = &asked.tool_output {
        let start: String = output.chars().take(200).collect();
        reply.say(&format!("Done. The tool returned: {start}"))?;
    } else if asked.directive("drop").is_some() {
        return reply.begin_message("Half of an answer").map(drop);
    } else if let Some(command) = asked.directive("shell") {
        reply.call(shell_call(asked, command))?;
    } else if let Some(patch) = asked.directive("patch") {
        reply.call(
            json!({"type": "custom_tool_call", "name": "apply_patch", "input": patch.trim()}),
        )?;
    } else if let Some(call) = asked.directive("call") {
        reply.call(other_call(call))?;
    } else {
        reply.say(&closing_words(asked))?;
    }
    let usage = json!({
        "input_tokens": 100, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 20, "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 120,
    });
    reply.event(
        "response.completed",
        json!({"response": {"id": reply.id("resp"), "usage": usage}}),
    )
}

fn closing_words(asked: &Asked) -> String {
    if asked.directive("question").is_some() {
        return "I see two options. Should I use tabs or spaces?".to_owned();
    }
    if asked.directive("status").is_some() {
        return "Let me check the files first.".to_owned();
    }
    if let Some(words) = asked.directive("say") {
        return words.to_owned();
    }
    let skipped = asked.text.chars().count().saturating_sub(60);
    let end: String = asked.text.chars().skip(skipped).collect();
    format!("Done. I've finished: '{}'", end.replace('\n', "\\n"))
}

/// A call of whichever shell tool was offered; their arguments differ.
fn shell_call(asked: &Asked, command: &str) -> Value {
    let offered = |name: &str| asked.tools.iter().any(|tool| tool == name);
    let (name, mut arguments) = if offered("exec_command") {
        ("exec_command", json!({"cmd": command}))
    } else if offered("shell_command") {
        ("shell_command", json!({"command": command}))
    } else {
        ("shell", json!({"command": ["bash", "-lc", command]}))
    };
    if asked.directive("escalate").is_some() {
        arguments["sandbox_permissions"] = json!("require_escalated");
        arguments["justification"] = json!("needs the network");
    }
    json!({"type": "function_call", "name": name, "arguments": arguments.to_string()})
}

/// A call of the tool that `[[call SPACE/NAME JSON]]` names.
fn other_call(call: &str) -> Value {
    let (tool, arguments) = call.split_once(char::is_whitespace).unwrap_or((call, "{}"));
    let (space, name) = match tool.split_once('/') {
        Some((space, name)) => (Some(space), name),
        None => (None, tool),
    };
    let mut item = json!({"type": "function_call", "name": name, "arguments": arguments.trim()});
    if let Some(space) = space {
        item["namespace"] = json!(space);
    }
    item
}

/// The writing side of one connection.
struct Reply {
    stream: TcpStream,
    number: usize,
}

impl Reply {
    fn id(&self, kind: &str) -> String {
        format!("{kind}_{}", self.number)
    }

    fn json(&self, status: u16, value: &Value) -> io::Result<()> {
        let body = value.to_string();
        let length = body.len();
        write!(
            &self.stream,
            "HTTP/1.1 {status} Mock\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        )
    }

    fn begin_events(&self) -> io::Result<()> {
        (&self.stream).write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n",
        )
    }

    fn event(&self, kind: &str, mut data: Value) -> io::Result<()> {
        data["type"] = json!(kind);
        // One write per event: a reader sees whole events only.
        (&self.stream).write_all(format!("event: {kind}\ndata: {data}\n\n").as_bytes())
    }

    fn say(&self, text: &str) -> io::Result<()> {
        let mut item = self.begin_message(text)?;
        item["content"] = json!([{"type": "output_text", "text": text}]);
        self.event("response.output_item.done", json!({"item": item}))
    }

    /// Streams the text in pieces and returns the item that is still to be finished.
    fn begin_message(&self, text: &str) -> io::Result<Value> {
        let item =
            json!({"type": "message", "role": "assistant", "id": self.id("msg"), "content": []});
        self.event("response.output_item.added", json!({"item": item}))?;
        let letters: Vec<char> = text.chars().collect();
        for piece in letters.chunks(40) {
            let delta: String = piece.iter().collect();
            self.event(
                "response.output_text.delta",
                json!({"delta": delta, "item_id": item["id"]}),
            )?;
        }
        Ok(item)
    }

    fn call(&self, mut item: Value) -> io::Result<()> {
        item["id"] = json!(self.id("item"));
        item["call_id"] = json!(self.id("call"));
        self.event("response.output_item.done", json!({"item": item}))
    }
}
