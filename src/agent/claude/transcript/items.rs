//! The steps of a turn, from a tool's call and what it returned.

use std::collections::HashMap;
use std::time::SystemTime;

use serde_json::Value;

use crate::agent::report::{Item, Line, cut};
use crate::os::time::millis;

/// The tools that were called and have not returned.
#[derive(Debug, Default)]
pub(super) struct Calls(HashMap<String, Call>);

#[derive(Debug)]
struct Call {
    tool: String,
    command: Option<String>,
    file: Option<String>,
    at: Option<SystemTime>,
}

impl Calls {
    /// Takes note of a call.
    pub(super) fn begin(&mut self, line: &Value, part: &Value) {
        let (Some(id), Some(tool)) = (part["id"].as_str(), part["name"].as_str()) else {
            return;
        };
        let text = |name: &str| part["input"][name].as_str().map(str::to_owned);
        let call = Call {
            tool: tool.to_owned(),
            command: text("command"),
            file: text("file_path").or_else(|| text("notebook_path")),
            at: time_of(line),
        };
        self.0.insert(id.to_owned(), call);
    }

    /// The step that a result ends.
    pub(super) fn end(&mut self, line: &Value, part: &Value) -> Option<Line> {
        let id = part["tool_use_id"].as_str()?;
        let call = self.0.remove(id)?;
        let took = call.at.zip(time_of(line));
        let took = took.and_then(|(from, to)| to.duration_since(from).ok());
        let decision = line["permissionDecision"]["decision"].as_str();
        let failed = part["is_error"] == true;
        let outcome = match decision {
            Some("reject" | "deny") => "declined",
            _ if failed => "failed",
            _ => "completed",
        };
        let item = match (call.tool.as_str(), call.command, call.file) {
            ("Bash", Some(command), _) => Item::Command {
                command: cut(&command),
                exit_code: exit_code(part, outcome),
                duration_ms: took.map(millis),
                outcome: outcome.to_owned(),
            },
            ("Edit" | "Write" | "MultiEdit" | "NotebookEdit", _, Some(file)) => Item::FileChange {
                paths: vec![cut(&file)],
                count: 1,
                outcome: outcome.to_owned(),
            },
            (tool, ..) => Item::Tool {
                name: cut(tool),
                outcome: outcome.to_owned(),
            },
        };
        Some(Line::Item {
            id: id.to_owned(),
            item,
        })
    }
}

fn time_of(line: &Value) -> Option<SystemTime> {
    humantime::parse_rfc3339(line["timestamp"].as_str()?).ok()
}

/// The exit status of a command: 0, or the one that a failure's first line names.
///
/// Source: 2.1.332, `Exit code 7` and then the output.
fn exit_code(part: &Value, outcome: &str) -> Option<i32> {
    match outcome {
        "completed" => Some(0),
        "failed" => {
            let text = part["content"].as_str()?;
            let (first, _) = text.split_once('\n').unwrap_or((text, ""));
            first.strip_prefix("Exit code ")?.trim().parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(tool: &str, input: &Value, result: &Value) -> Item {
        let mut calls = Calls::default();
        let called = json!({"timestamp": "2026-01-01T00:00:00.000Z"});
        calls.begin(&called, &json!({"id": "1", "name": tool, "input": input}));
        let mut result = result.clone();
        result["tool_use_id"] = json!("1");
        let returned = json!({"timestamp": "2026-01-01T00:00:01.500Z"});
        match calls.end(&returned, &result) {
            Some(Line::Item { item, .. }) => item,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_command_has_its_exit_status_and_its_duration() {
        let failed = json!({"is_error": true, "content": "Exit code 7\nno"});
        let told = item("Bash", &json!({"command": "make"}), &failed);
        let command = Item::Command {
            command: "make".to_owned(),
            exit_code: Some(7),
            duration_ms: Some(1500),
            outcome: "failed".to_owned(),
        };
        assert_eq!(told, command);
    }

    #[test]
    fn files_and_tools_have_their_names() {
        let done = json!({"content": "ok"});
        let told = item("Write", &json!({"file_path": "/w/a.rs"}), &done);
        assert!(matches!(told, Item::FileChange { paths, .. } if paths == ["/w/a.rs"]));
        let told = item("Grep", &json!({"pattern": "x"}), &done);
        assert!(matches!(told, Item::Tool { name, .. } if name == "Grep"));
    }
}
