//! The steps of a turn that codex's transcript has: commands with their exit status, changed files, calls of other tools.
//!
//! Source: codex 0.150.0 and 0.169.0; 0.130.0 writes none of them.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::parse_line;
use crate::agent::report::{Item, Line, TranscriptReader, cut};
use crate::os::time::millis;

/// A reader of lines each of which has its meaning by itself.
#[derive(Debug)]
pub(in crate::agent::codex) struct Reader;

impl TranscriptReader for Reader {
    fn read(&mut self, line: &str) -> Vec<Line> {
        parse_line(line).into_iter().chain(item_in(line)).collect()
    }
}

#[derive(Deserialize)]
struct Raw {
    payload: Payload,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "type")]
    kind: String,
    item: Step,
}

#[derive(Deserialize)]
struct Step {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    #[serde(default)]
    command: Vec<String>,
    exit_code: Option<i32>,
    duration: Option<Took>,
    status: Option<Value>,
    #[serde(default)]
    changes: Value,
    server: Option<String>,
    tool: Option<String>,
}

#[derive(Deserialize)]
struct Took {
    secs: u64,
    nanos: u32,
}

/// The step that a line tells the end of, if it is one of a tool.
fn item_in(line: &str) -> Option<Line> {
    if !line.contains("\"item_completed\"") {
        return None;
    }
    let raw: Raw = serde_json::from_str(line).ok()?;
    if raw.payload.kind != "item_completed" {
        return None;
    }
    let step = raw.payload.item;
    let outcome = step.status.as_ref().and_then(Value::as_str);
    let outcome = cut(outcome.unwrap_or("completed"));
    let item = match step.kind.as_str() {
        "CommandExecution" => Item::Command {
            command: cut(&raw_command(&step.command)),
            exit_code: step.exit_code,
            duration_ms: step.duration.map(|took| {
                millis(Duration::from_secs(took.secs)) + u64::from(took.nanos) / 1_000_000
            }),
            outcome,
        },
        "FileChange" => {
            let changes = step.changes.as_object();
            let paths = changes.into_iter().flat_map(|changes| changes.keys());
            Item::FileChange {
                count: paths.clone().count(),
                paths: paths.take(Item::PATHS).map(|path| cut(path)).collect(),
                outcome,
            }
        }
        "McpToolCall" => {
            let parts: Vec<String> = [step.server, step.tool].into_iter().flatten().collect();
            Item::Tool {
                name: cut(&parts.join("/")),
                outcome,
            }
        }
        _ => return None,
    };
    Some(Line::Item { id: step.id, item })
}

/// What the model wrote of `[bash, -lc, command]`.
fn raw_command(command: &[String]) -> String {
    match command {
        [_shell, flag, command] if flag.starts_with('-') => command.clone(),
        words => words.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(item: &str) -> Vec<Item> {
        let payload = format!(r#"{{"type":"item_completed","turn_id":"t","item":{item}}}"#);
        let line = format!(r#"{{"timestamp":"","type":"event_msg","payload":{payload}}}"#);
        let lines = Reader.read(&line).into_iter();
        let item = |line| match line {
            Line::Item { item, .. } => Some(item),
            _ => None,
        };
        lines.filter_map(item).collect()
    }

    #[test]
    fn a_command_has_its_exit_status_and_its_duration() {
        let told = items(
            r#"{"type":"CommandExecution","id":"call_1","process_id":"9","command":["/bin/bash","-lc","touch a; false"],"status":"failed","aggregated_output":"","exit_code":1,"duration":{"secs":2,"nanos":25302069}}"#,
        );
        let command = Item::Command {
            command: "touch a; false".to_owned(),
            exit_code: Some(1),
            duration_ms: Some(2025),
            outcome: "failed".to_owned(),
        };
        assert_eq!(told, [command]);
    }

    #[test]
    fn files_and_tools_have_their_names() {
        let told = items(
            r#"{"type":"FileChange","id":"c","changes":{"/w/a.rs":{"type":"add"},"/w/b.rs":{"type":"delete"}},"status":"completed"}"#,
        );
        let Item::FileChange { paths, count, .. } = &told[0] else {
            panic!("{told:?}");
        };
        assert_eq!((paths.len(), *count), (2, 2));
        let told = items(r#"{"type":"McpToolCall","id":"m","server":"files","tool":"read"}"#);
        let Item::Tool { name, .. } = &told[0] else {
            panic!("{told:?}");
        };
        assert_eq!(name, "files/read");
        assert_eq!(items(r#"{"type":"AgentMessage","id":"m"}"#), []);
    }
}
