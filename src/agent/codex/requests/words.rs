//! The part of the `app-server`'s protocol that a run reads. Unknown members are left alone.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::os::shell::shell_words;

/// A list that is `null`, or not there, is empty.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Vec<T>, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}

/// `turn/started`, `turn/completed`, `item/started`, `item/completed`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfThread {
    pub(super) turn_id: Option<String>,
    pub(super) turn: Option<Turn>,
    pub(super) item: Option<Step>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Turn {
    pub(super) id: String,
    pub(super) status: TurnStatus,
    /// `message` and `codexErrorInfo`.
    pub(super) error: Option<Value>,
    /// Of a turn that has ended the last message alone; of a continued thread's turns all.
    #[serde(default, deserialize_with = "list")]
    pub(super) items: Vec<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum TurnStatus {
    Completed,
    Interrupted,
    Failed,
    InProgress,
    /// One of a newer version.
    #[serde(other)]
    Other,
}

impl Turn {
    pub(super) fn last_message(&self) -> Option<String> {
        let mut messages = self.items.iter().rev();
        let message = messages.find(|item| item["type"] == "agentMessage")?;
        message["text"].as_str().map(str::to_owned)
    }
}

/// An item of a turn, of any type.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Step {
    #[serde(rename = "type")]
    pub(super) kind: StepKind,
    pub(super) id: String,
    pub(super) status: Option<String>,
    pub(super) text: Option<String>,
    pub(super) phase: Option<String>,
    command: Option<String>,
    #[serde(default, deserialize_with = "list")]
    command_actions: Vec<Action>,
    pub(super) exit_code: Option<i32>,
    pub(super) duration_ms: Option<u64>,
    #[serde(default, deserialize_with = "list")]
    changes: Vec<Change>,
    pub(super) server: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) tool: Option<String>,
    #[serde(default, deserialize_with = "list")]
    pub(super) receiver_thread_ids: Vec<String>,
    pub(super) client_id: Option<String>,
    content: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum StepKind {
    UserMessage,
    AgentMessage,
    CommandExecution,
    FileChange,
    McpToolCall,
    DynamicToolCall,
    CollabAgentToolCall,
    WebSearch,
    ImageView,
    ImageGeneration,
    #[serde(other)]
    Other,
}

impl StepKind {
    /// Whether the agent worked with a tool.
    pub(super) fn is_a_tools(self) -> bool {
        !matches!(self, Self::UserMessage | Self::AgentMessage | Self::Other)
    }
}

#[derive(Clone, Debug, Deserialize)]
struct Action {
    command: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Change {
    path: String,
}

impl Step {
    /// The command as the model wrote it.
    pub(super) fn raw_command(&self) -> Option<String> {
        raw(&self.command_actions, self.command.as_deref())
    }

    pub(super) fn changed(&self) -> Vec<String> {
        let paths = self.changes.iter().map(|change| change.path.clone());
        paths.collect()
    }

    /// The texts of a user's message.
    pub(super) fn whole_text(&self) -> String {
        let parts = self.content.as_ref().and_then(Value::as_array);
        let texts = parts
            .into_iter()
            .flatten()
            .filter_map(|part| part["text"].as_str());
        texts.collect()
    }
}

/// `item/commandExecution/requestApproval` and `item/fileChange/requestApproval`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Approval {
    pub(super) item_id: String,
    pub(super) reason: Option<String>,
    command: Option<String>,
    #[serde(default)]
    command_actions: Option<Vec<Action>>,
}

impl Approval {
    pub(super) fn raw_command(&self) -> Option<String> {
        let actions = self.command_actions.as_deref().unwrap_or_default();
        raw(actions, self.command.as_deref())
    }
}

/// What a shell was asked to run: `command` is its whole line, `/bin/bash -lc '…'`, of which the only action is the script.
fn raw(actions: &[Action], line: Option<&str>) -> Option<String> {
    match actions {
        [
            Action {
                command: Some(script),
            },
        ] => Some(script.clone()),
        _ => line.map(script_in),
    }
}

/// The script in a shell's command line, or the line.
pub(in crate::agent::codex) fn script_in(line: &str) -> String {
    let words = shell_words(line);
    match words.as_deref() {
        Some([_shell, flag, script]) if matches!(flag.as_str(), "-lc" | "-c") => script.clone(),
        _ => line.to_owned(),
    }
}

/// `item/permissions/requestApproval`.
#[derive(Debug, Deserialize)]
pub(super) struct Permissions {
    pub(super) permissions: Value,
    pub(super) reason: Option<String>,
}

/// `mcpServer/elicitation/request`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Elicitation {
    server_name: String,
    mode: Option<String>,
    message: Option<String>,
    requested_schema: Option<Value>,
}

impl Elicitation {
    /// Whether a yes without any content answers it.
    pub(super) fn is_yes_or_no(&self) -> bool {
        let properties = self
            .requested_schema
            .as_ref()
            .and_then(|schema| schema["properties"].as_object());
        let asks_nothing = properties.is_none_or(serde_json::Map::is_empty);
        self.mode.as_deref() == Some("form") && asks_nothing
    }

    pub(super) fn text(&self) -> String {
        let message = self.message.as_deref().unwrap_or("an answer");
        format!("{}: {message}", self.server_name)
    }
}

/// `item/tool/requestUserInput`.
#[derive(Debug, Deserialize)]
pub(super) struct Form {
    pub(super) questions: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) question: String,
    pub(super) options: Option<Vec<Choice>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    pub(super) label: String,
    #[serde(default)]
    pub(super) description: String,
}

/// `thread/tokenUsage/updated`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tokens {
    pub(super) token_usage: TokenUsage,
}

#[derive(Debug, Deserialize)]
pub(super) struct TokenUsage {
    pub(super) total: TokenCount,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenCount {
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) total_tokens: u64,
    pub(super) cached_input_tokens: Option<u64>,
    pub(super) reasoning_output_tokens: Option<u64>,
}

/// `hook/completed`.
#[derive(Debug, Deserialize)]
pub(super) struct HookRun {
    run: HookSummary,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HookSummary {
    event_name: String,
    status: String,
    #[serde(default, deserialize_with = "list")]
    entries: Vec<HookEntry>,
}

#[derive(Debug, Deserialize)]
struct HookEntry {
    text: String,
}

/// What a hook did to a turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It refused the prompt: the first prompt is the start of the session as well.
    Refused(String),
    /// It stopped something else, and the turn with it if that is interrupted next.
    Stopped(String),
}

impl HookRun {
    /// What the hook decided against the turn, and why.
    ///
    /// Source: codex 0.169.0, `PreCompact` with `continue: false`, `tests/scenarios/user_hooks.rs`.
    pub(super) fn into_verdict(self) -> Option<Verdict> {
        let (status, event) = (self.run.status.as_str(), self.run.event_name.as_str());
        let of_prompt = matches!(event, "userPromptSubmit" | "sessionStart");
        let texts = self.run.entries.into_iter().map(|entry| entry.text);
        let why = texts.collect::<Vec<_>>().join("\n");
        match status {
            "blocked" | "stopped" if of_prompt => Some(Verdict::Refused(why)),
            "stopped" => Some(Verdict::Stopped(why)),
            _ => None,
        }
    }
}

/// The answer to `thread/start` and `thread/resume`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InForce {
    pub(super) thread: Thread,
    pub(super) cwd: std::path::PathBuf,
    pub(super) approval_policy: Value,
    pub(super) sandbox: Value,
}

impl InForce {
    /// Whether the last turn of the thread is said to be interrupted.
    pub(super) fn is_interrupted(&self) -> bool {
        let last = self.thread.turns.last();
        last.is_some_and(|turn| turn.status == TurnStatus::Interrupted)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thread {
    pub(super) id: String,
    pub(super) path: Option<std::path::PathBuf>,
    pub(super) cli_version: Option<String>,
    #[serde(default, deserialize_with = "list")]
    pub(super) turns: Vec<Turn>,
}
