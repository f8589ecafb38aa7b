//! A stand-in for the model behind the real agents: the part of the Responses API and of the Messages API that a turn
//! needs, on loopback.
//!
//! What it answers is written in the prompt itself, so that a test reads as one text. Directives are in the newest
//! message of the user; the context messages that codex adds by itself are passed over, and other text is ignored:
//!
//! | directive | effect |
//! |---|---|
//! | `[[await PATH]]` | before anything else, that file must be there |
//! | `[[sleep N]]` | N seconds (fractions allowed) before the answer |
//! | `[[http NNN]]` | the request fails with that HTTP status |
//! | `[[usage-limit]]` | … with 429 and the body of an account whose limit is reached |
//! | `[[drop]]` | the stream is cut in the middle of the answer |
//! | `[[garble]]` | the answer is not a stream of events |
//! | `[[shell CMD]]` | one shell command |
//! | `[[escalate]]` | … and it asks to leave the sandbox, so that codex asks for permission |
//! | `[[patch TEXT]]` | one `apply_patch` |
//! | `[[call NAME JSON]]` | any other tool with these arguments; `SPACE/NAME` for a tool in a namespace |
//! | `[[question]]` | the turn ends with a question |
//! | `[[status]]` | the turn ends with a status line |
//! | `[[say TEXT]]` | the turn ends with TEXT |
//! | none | the turn ends with `Done. I've finished: '<the last 60 characters>'` |
//!
//! | `[[play NAME]]` | the script of that name, queued with [`MockModel::script`], answers: one step per request |
//!
//! An argument ends at the first `]]`. Once a tool has run, the turn ends with what the tool returned. What a script's
//! steps can do is told in `mock_model/script.rs`; a script may also be in the prompt itself, as `<<<steps JSON>>>`.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Map, Value, json};

use asked::Asked;
use reply::Reply;
use script::Step;

mod asked;
mod directives;
mod messages;
mod reply;
mod script;

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

/// The steps of a script; an invalid script's reason is text.
type Steps = Result<Arc<[Step]>, String>;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// The path below the host, with its query: `/v1/responses`.
    pub path: String,
    /// The newest message of the user, whole; empty without one.
    pub text: String,
    /// The tools that were offered to the model, by name.
    pub tools: Vec<String>,
    /// All that was sent.
    pub body: Value,
}

/// A running server; dropping it closes the port and cuts what is still being answered.
#[derive(Debug)]
pub struct MockModel {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl MockModel {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port can be opened.
    pub fn start() -> io::Result<MockModel> {
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
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Queues a script, a JSON array of steps, for prompts that say `[[play NAME]]`.
    ///
    /// # Panics
    /// A step is invalid: the test's words are never played as something else.
    pub fn script(&self, name: &str, steps: &Value) {
        let steps = script::parse(steps.clone()).unwrap_or_else(|why| panic!("{name}: {why}"));
        self.shared.state().scripts.insert(name.to_owned(), steps);
    }

    /// Every request so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Request> {
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
pub fn write_codex_home(dir: &Path, port: u16) -> io::Result<()> {
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

/// Has Claude Code use the model on `port`, with a key, and with `home` for its home directory. Its commands run without a
/// question but for those that a script escalates, as they do in codex's sandbox. Returns the variables that it needs.
///
/// # Errors
/// A file cannot be written.
pub fn write_claude_home(home: &Path, port: u16) -> io::Result<Vec<(String, String)>> {
    use std::os::unix::fs::PermissionsExt;
    let own = home.join(".claude");
    std::fs::create_dir_all(&own)?;
    let decide = own.join("decide");
    // Quietly allowing what is escalated would leave nothing to decide.
    let script = r#"#!/bin/sh
case "$(cat)" in
*'"description":"mock command"'*) decision=allow ;;
*) decision=ask ;;
esac
printf '{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"%s"}}' "$decision"
"#;
    std::fs::write(&decide, script)?;
    std::fs::set_permissions(&decide, std::fs::Permissions::from_mode(0o755))?;
    let hook = json!({"type": "command", "command": decide});
    let settings = json!({"hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [hook]}]}});
    std::fs::write(own.join("settings.json"), settings.to_string())?;
    let variables = [
        ("ANTHROPIC_BASE_URL", format!("http://127.0.0.1:{port}")),
        ("ANTHROPIC_API_KEY", "no-secret-but-long-enough".to_owned()),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
        // For root it would refuse to run without a sandbox.
        ("IS_SANDBOX", "1".to_owned()),
        ("DISABLE_TELEMETRY", "1".to_owned()),
        ("DISABLE_ERROR_REPORTING", "1".to_owned()),
    ];
    Ok(variables
        .map(|(name, value)| (name.to_owned(), value))
        .into())
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
    scripts: HashMap<String, Arc<[Step]>>,
    /// How often each step that fails a number of times has done so.
    failures: HashMap<(String, usize), u32>,
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

    /// Waits that long. Returns false if the server ended in the meantime.
    fn sleep(&self, time: Duration) -> bool {
        let (state, _) = self
            .stopped
            .wait_timeout_while(self.state(), time, |state| !state.stopping)
            .unwrap_or_else(PoisonError::into_inner);
        !state.stopping
    }

    /// Waits until the file exists. Returns false if the server ended in the meantime.
    fn wait_for_file(&self, path: &str) -> bool {
        while !Path::new(path).exists() {
            if !self.sleep(PACE) {
                return false;
            }
        }
        true
    }

    /// The script of that name, or the one that the text is.
    fn steps(&self, source: &script::Source) -> Steps {
        match source {
            script::Source::Named(name) => {
                let found = self.state().scripts.get(name).cloned();
                found.ok_or_else(|| format!("no script is called {name}"))
            }
            script::Source::Written(text) => serde_json::from_str(text)
                .map_err(|error| error.to_string())
                .and_then(script::parse),
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.state().stopping {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        // A client that went away is not a failure of the model: the test sees it on the client's side.
        std::thread::spawn(move || drop(serve(stream, &shared)));
    }
}

/// Answers one request; every response closes its connection.
fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(READ_LIMIT))?;
    let (method, path, body) = read_request(&mut BufReader::new(&stream))?;
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let is_messages = path
        .split('?')
        .next()
        .is_some_and(|path| path.ends_with("/messages"));
    let read = if is_messages {
        messages::as_responses(&body)
    } else {
        body.clone()
    };
    let asked = Asked::read(&read);
    let number = shared.record(Request {
        method: method.clone(),
        path: path.clone(),
        text: asked.text.clone(),
        tools: asked.tools.clone(),
        body: body.clone(),
    });
    let asker = is_messages.then(|| messages::Asker::of(&body));
    let reply = Reply::new(stream, number, asker);
    match method.as_str() {
        "HEAD" => reply.json(200, &json!({})),
        // A stream that failed is asked for once more in one piece: that has the same end.
        "POST" if is_messages && body["stream"] != true && asked.directive("drop").is_some() => {
            Ok(())
        }
        "POST" if is_messages && body["stream"] != true && asked.directive("http").is_none() => {
            reply.json(200, &messages::aside(&body))
        }
        "POST" if is_messages && body["tools"].as_array().is_none_or(Vec::is_empty) => {
            reply.begin_events(&Map::new())?;
            reply.say("{\"title\": \"A task\"}", None)?;
            reply.complete(1, json!({}))
        }
        "POST" if is_messages => match script::find(&read) {
            Some(played) => played.answer(&reply, &asked, shared),
            None => directives::answer(&reply, &asked, shared),
        },
        "POST" if path.ends_with("/count_tokens") => reply.json(200, &json!({"input_tokens": 100})),
        "GET" => reply.json(200, &json!({"object": "list", "data": [], "models": []})),
        "POST" if path.ends_with("/responses") && body.is_object() => match script::find(&body) {
            Some(played) => played.answer(&reply, &asked, shared),
            None => directives::answer(&reply, &asked, shared),
        },
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
