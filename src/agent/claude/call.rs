//! What Claude Code is about to do, from the payload of its hooks `PreToolUse` and `PermissionRequest`.
//!
//! Source: 2.1.332, `tests/scenarios/policies.rs`.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::payload;
use crate::agent::report::Call;
use crate::policy::{Request, Wish};

#[derive(Deserialize)]
struct Event {
    hook_event_name: String,
    cwd: Option<PathBuf>,
    tool_name: String,
    #[serde(default)]
    tool_input: Value,
}

/// The call that a payload tells of; `None` for the tools by which it talks with its user, which have answers of their own.
pub(super) fn call(bytes: &[u8]) -> Option<Call> {
    let event: Event = serde_json::from_slice(bytes).ok()?;
    let asked = match event.hook_event_name.as_str() {
        "PreToolUse" => false,
        "PermissionRequest" => true,
        _ => return None,
    };
    let (tool, input) = (event.tool_name, event.tool_input);
    let text = |names: &[&str]| {
        let mut found = names.iter().filter_map(|name| input.get(*name)?.as_str());
        found.next().map(str::to_owned)
    };
    let file = || {
        text(&["file_path", "notebook_path", "path"])
            .into_iter()
            .collect::<Vec<_>>()
    };
    let wish = match tool.as_str() {
        "AskUserQuestion" | "ExitPlanMode" | "EnterPlanMode" => return None,
        "Bash" => text(&["command"]).map_or(Wish::Other, Wish::Shell),
        "Edit" | "MultiEdit" | "Write" | "NotebookEdit" => Wish::Edit(file()),
        "Read" | "NotebookRead" => Wish::Read(file()),
        // Without a path they look where the agent works.
        "Glob" | "Grep" | "LS" => {
            Wish::Read(vec![text(&["path"]).unwrap_or_else(|| ".".to_owned())])
        }
        "WebFetch" | "WebSearch" => Wish::Web(text(&["url", "query"]).unwrap_or_default()),
        // What a sub-agent does comes to the same hooks.
        "TodoWrite" | "TaskCreate" | "TaskUpdate" | "TaskList" | "TaskGet" | "TaskOutput"
        | "BashOutput" | "Task" | "Agent" | "ToolSearch" => Wish::Talk,
        _ => Wish::Other,
    };
    Some(Call {
        command: payload::wish(&tool, &input),
        request: Request {
            tool,
            wish,
            directory: event.cwd,
        },
        asked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_told_apart() {
        let call = |tool: &str, input: Value| {
            let event = serde_json::json!({
                "hook_event_name": "PreToolUse", "cwd": "/w", "tool_name": tool, "tool_input": input,
            });
            call(event.to_string().as_bytes()).map(|call| call.request.wish)
        };
        let json = |text: &str| serde_json::from_str(text).expect("JSON");
        assert_eq!(
            call("Bash", json(r#"{"command":"ls"}"#)),
            Some(Wish::Shell("ls".into()))
        );
        assert_eq!(
            call("Write", json(r#"{"file_path":"/w/a"}"#)),
            Some(Wish::Edit(vec!["/w/a".into()]))
        );
        assert_eq!(call("Edit", json("{}")), Some(Wish::Edit(Vec::new())));
        assert_eq!(
            call("Grep", json(r#"{"pattern":"x"}"#)),
            Some(Wish::Read(vec![".".into()]))
        );
        assert_eq!(
            call("WebFetch", json(r#"{"url":"u"}"#)),
            Some(Wish::Web("u".into()))
        );
        assert_eq!(call("AskUserQuestion", json("{}")), None);
        assert_eq!(call("mcp__a__b", json("{}")), Some(Wish::Other));
    }
}
