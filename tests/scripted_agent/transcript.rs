//! The transcript: `$CODEX_HOME/sessions/Y/M/D/rollout-<time>-<session id>.jsonl`, one object per line.
//!
//! A line is `{"timestamp", "ordinal", "type", "payload"}`; the first is `session_meta`. In 0.169 what the agent says is an
//! `item_completed` event with an `AgentMessage` item; earlier versions wrote an `agent_message` event.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::config::Config;
use crate::end::End;

/// Tokens of one answer of the mock model.
const INPUT_TOKENS: u64 = 100;
const OUTPUT_TOKENS: u64 = 20;
const CONTEXT_WINDOW: u64 = 258_400;

/// A new id of the kind codex gives sessions, turns and items.
pub(crate) fn uuid_v7() -> String {
    let random = Uuid::new_v4();
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&random.as_bytes()[..10]);
    uuid::Builder::from_unix_timestamp_millis(unix_millis(), &bytes)
        .into_uuid()
        .to_string()
}

/// Milliseconds since 1970.
pub(crate) fn unix_millis() -> u64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// The transcript of one session.
pub(crate) struct Transcript {
    pub(crate) session_id: String,
    pub(crate) path: PathBuf,
    file: Option<File>,
    ordinal: u64,
    /// Answers of the model in the session.
    answers: u64,
    meta: Value,
}

/// The ids and the start of one turn.
pub(crate) struct Turn {
    pub(crate) id: String,
    started_ms: u64,
    /// Answers of the model in the turn.
    answers: u64,
    /// How many tools were called.
    pub(crate) calls: u64,
}

impl Turn {
    pub(crate) fn new() -> Self {
        Self {
            id: uuid_v7(),
            started_ms: unix_millis(),
            answers: 0,
            calls: 0,
        }
    }

    /// Whole seconds since the start.
    pub(crate) fn seconds(&self) -> u64 {
        (unix_millis() - self.started_ms) / 1000
    }
}

impl Transcript {
    /// Names the transcript of a new session; the file appears with the first prompt.
    pub(crate) fn new(config: &Config) -> Self {
        let session_id = uuid_v7();
        // The real program uses local time here; a reader must not care.
        let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let (date, time) = (now[..10].replace('-', "/"), now[..19].replace(':', "-"));
        let path = config
            .home
            .join("sessions")
            .join(date)
            .join(format!("rollout-{time}-{session_id}.jsonl"));
        let head = git_head(&config.cwd);
        let meta = json!({
            "account_scoped": true, "session_id": session_id, "id": session_id, "timestamp": now, "cwd": config.cwd,
            "runtime_workspace_roots": [config.cwd], "originator": "codex-tui", "cli_version": crate::cli::version(), "source": "cli",
            "thread_source": "user", "model_provider": config.provider(),
            "base_instructions": {"text": "", "provenance": {"type": "model", "model": config.model}},
            "history_mode": "paginated", "context_window": {"window_id": uuid_v7()}, "git": head,
        });
        Self {
            session_id,
            path,
            file: None,
            ordinal: 0,
            answers: 0,
            meta,
        }
    }

    /// Creates the file with its `session_meta`, if there is none.
    pub(crate) fn start(&mut self) -> Result<(), End> {
        if self.file.is_some() {
            return Ok(());
        }
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(directory).map_err(End::io(directory))?;
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&self.path)
            .map_err(End::io(&self.path))?;
        self.file = Some(file);
        let meta = self.meta.clone();
        self.append("session_meta", meta)
    }

    /// Appends one line.
    pub(crate) fn append(&mut self, kind: &str, payload: Value) -> Result<(), End> {
        self.start()?;
        let timestamp = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let line = json!({ "timestamp": timestamp, "ordinal": self.ordinal, "type": kind, "payload": payload });
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        self.ordinal += 1;
        file.write_all(format!("{line}\n").as_bytes())
            .map_err(End::io(&self.path))
    }

    pub(crate) fn task_started(&mut self, turn: &Turn) -> Result<(), End> {
        let id = &turn.id;
        let attribution = json!({
            "turn_id": id, "turn_trigger": "user", "parent_turn_id": null, "initiating_agent_path": null, "root_turn_id": id,
        });
        let payload = json!({
            "type": "task_started", "turn_attribution": attribution, "turn_id": id, "root_turn_id": id,
            "started_at": turn.started_ms / 1000, "model_context_window": CONTEXT_WINDOW, "collaboration_mode_kind": "default",
        });
        self.append("event_msg", payload)
    }

    /// What the user said, in the model's history and as an item.
    pub(crate) fn user_message(&mut self, turn: &Turn, text: &str) -> Result<(), End> {
        let id = format!("msg_{}", uuid_v7());
        self.message(turn, json!({ "id": id, "role": "user", "content": [{ "type": "input_text", "text": text }] }))?;
        let content = json!([{ "type": "text", "text": text, "text_elements": [] }]);
        let item = json!({ "type": "UserMessage", "id": uuid_v7(), "client_id": Uuid::new_v4().to_string(), "content": content });
        self.item_completed(turn, item)
    }

    /// What the agent said, and the tokens it took.
    pub(crate) fn agent_message(&mut self, turn: &mut Turn, text: &str) -> Result<(), End> {
        let id = format!("msg_{}", self.answers + 1);
        self.item_completed(turn, json!({ "type": "AgentMessage", "id": id, "content": [{ "type": "Text", "text": text }] }))?;
        self.message(turn, json!({ "id": id, "role": "assistant", "content": [{ "type": "output_text", "text": text }] }))?;
        self.count_answer(turn)?;
        self.token_count()
    }

    /// What the model is told of an interruption.
    pub(crate) fn interruption(&mut self, turn: &Turn) -> Result<(), End> {
        let text =
            "<turn_aborted>\nThe user interrupted the previous turn on purpose.\n</turn_aborted>";
        let id = format!("msg_{}", uuid_v7());
        self.message(turn, json!({ "id": id, "role": "user", "content": [{ "type": "input_text", "text": text }] }))
    }

    /// One line of the model's history.
    fn message(&mut self, turn: &Turn, mut payload: Value) -> Result<(), End> {
        payload["type"] = json!("message");
        payload["internal_chat_message_metadata_passthrough"] = json!({ "turn_id": turn.id });
        self.append("response_item", payload)
    }

    pub(crate) fn item_completed(&mut self, turn: &Turn, item: Value) -> Result<(), End> {
        let now = unix_millis();
        let payload = json!({
            "type": "item_completed", "thread_id": self.session_id, "turn_id": turn.id, "item": item,
            "started_at_ms": now, "completed_at_ms": now,
        });
        self.append("event_msg", payload)
    }

    /// A tool call of the model; it is an answer that took tokens.
    pub(crate) fn function_call(&mut self, turn: &mut Turn, mut call: Value) -> Result<(), End> {
        call["internal_chat_message_metadata_passthrough"] = json!({ "turn_id": turn.id });
        self.append("response_item", call)?;
        self.count_answer(turn)
    }

    /// What a tool returned to the model; `kind` is the call's type with `_output`.
    pub(crate) fn call_output(
        &mut self,
        turn: &Turn,
        kind: &str,
        output: (&str, &str),
    ) -> Result<(), End> {
        let (call_id, text) = output;
        let prefix = if kind.starts_with("custom") {
            "ctco"
        } else {
            "fco"
        };
        let payload = json!({
            "type": kind, "id": format!("{prefix}_{}", uuid_v7()), "call_id": call_id, "output": text,
            "internal_chat_message_metadata_passthrough": { "turn_id": turn.id },
        });
        self.append("response_item", payload)?;
        self.token_count()
    }

    fn count_answer(&mut self, turn: &mut Turn) -> Result<(), End> {
        self.answers += 1;
        turn.answers += 1;
        let payload = json!({
            "thread_id": self.session_id, "turn_id": turn.id, "session_id": self.session_id, "root_turn_id": turn.id,
            "response_id": format!("resp_{}", self.answers), "usage": usage(1), "turn_token_usage": usage(turn.answers),
            "thread_token_usage": usage(self.answers),
        });
        self.append("token_usage_record", payload)
    }

    fn token_count(&mut self) -> Result<(), End> {
        let info = json!({
            "total_token_usage": usage(self.answers), "last_token_usage": usage(1),
            "last_usage_includes_reasoning": false, "model_context_window": CONTEXT_WINDOW,
        });
        let limits = json!({
            "limit_id": "codex", "limit_name": null, "primary": null, "secondary": null, "credits": null, "individual_limit": null,
            "spend_control_reached": null, "plan_type": null, "rate_limit_reached_type": null,
        });
        self.append(
            "event_msg",
            json!({ "type": "token_count", "info": info, "rate_limits": limits }),
        )
    }

    /// The end of a turn: a message, or an error `{message, codex_error_info}`.
    pub(crate) fn task_complete(
        &mut self,
        turn: &Turn,
        end: Result<&str, Value>,
    ) -> Result<(), End> {
        let mut payload = Self::ended("task_complete", turn);
        match end {
            Ok(message) => {
                payload["last_agent_message"] = json!(message);
                payload["time_to_first_token_ms"] = json!(1);
            }
            Err(error) => {
                payload["last_agent_message"] = Value::Null;
                payload["error"] = error;
            }
        }
        self.append("event_msg", payload)
    }

    /// The end of a turn that was interrupted.
    pub(crate) fn turn_aborted(&mut self, turn: &Turn) -> Result<(), End> {
        let mut payload = Self::ended("turn_aborted", turn);
        payload["reason"] = json!("interrupted");
        self.append("event_msg", payload)
    }

    fn ended(kind: &str, turn: &Turn) -> Value {
        let now = unix_millis();
        json!({
            "type": kind, "root_turn_id": turn.id, "turn_id": turn.id, "started_at": turn.started_ms / 1000,
            "completed_at": now / 1000, "duration_ms": now - turn.started_ms,
        })
    }

    /// `Token usage: …` of the farewell; `None` before the first answer.
    pub(crate) fn usage_line(&self) -> Option<String> {
        let (input, output) = (self.answers * INPUT_TOKENS, self.answers * OUTPUT_TOKENS);
        (self.answers > 0).then(|| {
            format!(
                "Token usage: total={} input={input} output={output}",
                input + output
            )
        })
    }
}

/// The tokens of so many answers.
fn usage(answers: u64) -> Value {
    json!({
        "input_tokens": answers * INPUT_TOKENS, "cached_input_tokens": 0, "cache_write_input_tokens": 0,
        "output_tokens": answers * OUTPUT_TOKENS, "reasoning_output_tokens": 0,
        "total_tokens": answers * (INPUT_TOKENS + OUTPUT_TOKENS),
    })
}

/// The commit and branch of a repository, `null` outside one.
fn git_head(cwd: &Path) -> Value {
    let Ok(repository) = git2::Repository::discover(cwd) else {
        return Value::Null;
    };
    let Ok(head) = repository.head() else {
        return Value::Null;
    };
    json!({ "commit_hash": head.target().map(|id| id.to_string()), "branch": head.shorthand().ok() })
}
