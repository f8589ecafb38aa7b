//! Hooks: where they are configured, which are trusted, and how they are run.
//!
//! A hook runs as `$SHELL -c "<command>"` (no login shell; codex takes the shell from the password file) in the session's directory, its payload on stdin as compact JSON without a line
//! feed; its stdout is a decision or nothing. Fields of the payloads, in order:
//!
//! | event | fields |
//! |---|---|
//! | `SessionStart` | `session_id transcript_path cwd hook_event_name model permission_mode source` |
//! | `UserPromptSubmit` | `session_id turn_id transcript_path cwd hook_event_name model permission_mode prompt` |
//! | `PreToolUse` | … as above … `tool_name tool_input{command} tool_use_id` |
//! | `PermissionRequest` | … `tool_name tool_input{command, description}` |
//! | `PostToolUse` | … `tool_name tool_input{command} tool_response tool_use_id` |
//! | `Stop` | … `stop_hook_active last_assistant_message` |
//! | `Interrupt` | … nothing more |
//! | `SessionEnd` | `session_id transcript_path cwd hook_event_name reason` |
//!
//! Source: codex 0.169.0; payloads by a hook that stores its stdin, trust by `hooks/list` of its app server.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use toml::Table;

use crate::config::{Config, lookup};
use crate::end::End;

/// Source name of hooks given by `-c`.
const SESSION_FLAGS: &str = "/<session-flags>/config.toml";

/// One configured hook.
#[derive(Debug)]
pub(crate) struct Hook {
    /// `Stop`, `UserPromptSubmit`, …
    pub(crate) event: String,
    pub(crate) command: String,
    matcher: Option<String>,
    timeout: Duration,
    /// `<source>:<event in snake case>:<group>:<index>`.
    pub(crate) key: String,
    /// `sha256:<hex>` of the hook's definition.
    pub(crate) hash: String,
    pub(crate) trusted: bool,
}

/// What one hook did.
pub(crate) struct Ran {
    pub(crate) command: String,
    /// `None` when it was ended by its timeout or a signal.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    /// What it said on stderr, trimmed.
    stderr: String,
}

/// A payload whose fields keep their order.
pub(crate) type Payload = Vec<(&'static str, Value)>;

/// Collects the hooks of all sources.
pub(crate) fn configured(config: &Config) -> Result<Vec<Hook>, End> {
    let home = config.home.display();
    let file = config.home.join("hooks.json");
    let mut sources = vec![
        (SESSION_FLAGS.to_owned(), config.flags.clone()),
        (format!("{home}/config.toml"), config.user.clone()),
    ];
    if let Ok(text) = std::fs::read_to_string(&file) {
        let table = serde_json::from_str(&text)
            .map_err(|error| End::Config(format!("{}: {error}", file.display())))?;
        sources.push((format!("{home}/hooks.json"), table));
    }
    let mut hooks = Vec::new();
    for (source, table) in &sources {
        let Some(events) = table.get("hooks").and_then(toml::Value::as_table) else {
            continue;
        };
        for (event, groups) in events.iter().filter(|(event, _)| *event != "state") {
            collect(source, event, groups, &mut hooks);
        }
    }
    for hook in &mut hooks {
        hook.trusted =
            config.text(&["hooks", "state", &hook.key, "trusted_hash"]) == Some(hook.hash.as_str());
    }
    Ok(hooks)
}

/// Adds the hooks of one event of one source.
fn collect(source: &str, event: &str, groups: &toml::Value, hooks: &mut Vec<Hook>) {
    let name = snake_case(event);
    for (group_index, group) in groups.as_array().into_iter().flatten().enumerate() {
        let Some(group) = group.as_table() else {
            continue;
        };
        let matcher = group
            .get("matcher")
            .and_then(toml::Value::as_str)
            .filter(|_| has_matcher(event))
            .map(str::to_owned);
        let handlers = group.get("hooks").and_then(toml::Value::as_array);
        for (index, handler) in handlers.into_iter().flatten().enumerate() {
            let Some(handler) = handler.as_table() else {
                continue;
            };
            let Some(command) = lookup(handler, &["command"]).and_then(toml::Value::as_str) else {
                continue;
            };
            let seconds = timeout_seconds(event, handler);
            hooks.push(Hook {
                event: event.to_owned(),
                command: command.to_owned(),
                hash: trusted_hash(&name, matcher.as_deref(), handler, seconds),
                matcher: matcher.clone(),
                timeout: Duration::from_secs(seconds),
                key: format!("{source}:{name}:{group_index}:{index}"),
                trusted: false,
            });
        }
    }
}

/// The hash that trusts a hook: of its definition as compact JSON with sorted keys and the timeout that will apply.
fn trusted_hash(event: &str, matcher: Option<&str>, handler: &Table, seconds: u64) -> String {
    let mut definition = BTreeMap::from([
        (
            "async",
            json!(
                handler
                    .get("async")
                    .and_then(toml::Value::as_bool)
                    .unwrap_or(false)
            ),
        ),
        (
            "command",
            json!(handler.get("command").and_then(toml::Value::as_str)),
        ),
        ("timeout", json!(seconds)),
        ("type", json!("command")),
    ]);
    if let Some(message) = handler.get("statusMessage").and_then(toml::Value::as_str) {
        definition.insert("statusMessage", json!(message));
    }
    let mut group = BTreeMap::from([("event_name", json!(event)), ("hooks", json!([definition]))]);
    if let Some(matcher) = matcher {
        group.insert("matcher", json!(matcher));
    }
    let digest = Sha256::digest(json!(group).to_string());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The timeout that applies: 600 s, but 1 s and at most 3 s for the events that a user waits for at the end.
fn timeout_seconds(event: &str, handler: &Table) -> u64 {
    let asked = handler
        .get("timeout")
        .and_then(toml::Value::as_integer)
        .and_then(|seconds| u64::try_from(seconds).ok());
    match event {
        "SessionEnd" | "Interrupt" => asked.unwrap_or(1).min(3),
        _ => asked.unwrap_or(600),
    }
}

/// Whether a matcher counts for an event; elsewhere codex drops it.
fn has_matcher(event: &str) -> bool {
    !matches!(event, "Stop" | "UserPromptSubmit" | "Interrupt")
}

/// `UserPromptSubmit` → `user_prompt_submit`.
fn snake_case(event: &str) -> String {
    let mut name = String::new();
    for c in event.chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(c.to_lowercase());
    }
    name
}

impl Hook {
    /// Whether the hook is for this event and subject (a tool's name, a session's source).
    pub(crate) fn matches(&self, event: &str, subject: &str) -> bool {
        self.event == event
            && self.matcher.as_deref().is_none_or(|matcher| {
                matches!(matcher, "" | "*")
                    || matcher.split('|').any(|alternative| alternative == subject)
            })
    }

    /// Runs the hook to its end or its timeout.
    pub(crate) fn run(&self, payload: &[u8], cwd: &Path) -> Result<Ran, End> {
        let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
        let mut child = Command::new(&shell)
            .args(["-c", &self.command])
            .current_dir(cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(End::io(shell))?;
        let stdin = child.stdin.take();
        let payload = payload.to_vec();
        std::thread::spawn(move || {
            // A hook need not read its payload: a broken pipe is its own choice.
            let _ = stdin.map(|mut stdin| stdin.write_all(&payload));
        });
        let stderr = child.stderr.take().map(collected);
        let stdout = self.read_stdout(&mut child);
        let status = child.wait().map_err(End::io(&self.command))?.code();
        Ok(Ran {
            command: self.command.clone(),
            status,
            stdout,
            // What a child of the hook's keeps open is not waited for.
            stderr: stderr
                .and_then(|bytes| bytes.recv_timeout(Duration::from_secs(1)).ok())
                .map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned())
                .unwrap_or_default(),
        })
    }

    /// Reads stdout until it is closed; kills the hook at its timeout.
    fn read_stdout(&self, child: &mut Child) -> String {
        let Some(stdout) = child.stdout.take() else {
            return String::new();
        };
        if let Ok(bytes) = collected(stdout).recv_timeout(self.timeout) {
            return String::from_utf8_lossy(&bytes).into_owned();
        }
        let _ = child.kill();
        String::new()
    }
}

/// All that comes from a stream, once it is closed.
fn collected(mut stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}

impl Ran {
    /// Stdout as JSON, if it is a JSON object.
    fn output(&self) -> Option<Value> {
        serde_json::from_str(self.stdout.trim())
            .ok()
            .filter(Value::is_object)
    }

    /// The decision of a permission hook: `Ok` allows, `Err` denies with a message.
    pub(crate) fn permission(&self) -> Option<Result<(), String>> {
        let output = self.output()?;
        let decision = &output["hookSpecificOutput"]["decision"];
        match decision["behavior"].as_str()? {
            "allow" => Some(Ok(())),
            "deny" => Some(Err(decision["message"]
                .as_str()
                .unwrap_or("PermissionRequest hook denied approval")
                .to_owned())),
            _ => None,
        }
    }

    /// The reason by which a stop hook continues the turn: of its decision, or with status 2 its stderr.
    pub(crate) fn block_reason(&self) -> Option<String> {
        if self.status == Some(2) {
            return Some(self.stderr.clone());
        }
        let output = self.output()?;
        (output["decision"] == "block")
            .then(|| output["reason"].as_str().unwrap_or_default().to_owned())
    }
}

/// A payload as codex writes it: compact, fields in order, no line feed.
pub(crate) fn to_json(payload: &Payload) -> String {
    let fields: Vec<String> = payload
        .iter()
        .map(|(name, value)| format!("{}:{value}", json!(name)))
        .collect();
    format!("{{{}}}", fields.join(","))
}
