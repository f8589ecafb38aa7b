//! The answers to directives.

use std::io;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Asked, Reply, Shared};

pub(super) fn answer(reply: &Reply, asked: &Asked, shared: &Shared) -> io::Result<()> {
    if let Some(path) = asked.directive("await")
        && !shared.wait_for_file(path)
    {
        return Ok(());
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
    reply.begin_events(&Map::new())?;
    if asked.directive("garble").is_some() {
        return reply.raw(b"event: response.created\ndata: {\"type\":\n\n\xff\xfe}{\n\n");
    }
    if let Some(seconds) = asked.directive("sleep") {
        let time = Duration::try_from_secs_f64(seconds.trim().parse().unwrap_or(0.0));
        if !shared.sleep(time.unwrap_or_default()) {
            return Ok(());
        }
    }
    if let Some(output) = &asked.tool_output {
        let start: String = output.chars().take(200).collect();
        reply.say(&format!("Done. The tool returned: {start}"), None)?;
    } else if asked.directive("drop").is_some() {
        return reply.begin_message("Half of an answer").map(drop);
    } else if let Some(command) = asked.directive("shell") {
        let reason = asked.directive("escalate").map(|_| "needs the network");
        reply.call(shell_call(asked, command, reason))?;
    } else if let Some(patch) = asked.directive("patch") {
        reply.call(
            json!({"type": "custom_tool_call", "name": "apply_patch", "input": patch.trim()}),
        )?;
    } else if let Some(call) = asked.directive("call") {
        reply.call(other_call(call))?;
    } else {
        reply.say(&closing_words(asked), None)?;
    }
    reply.complete(100, json!({}))
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

/// A call of whichever shell tool was offered; their arguments differ. With a reason it asks to leave the sandbox.
pub(super) fn shell_call(asked: &Asked, command: &str, escalate: Option<&str>) -> Value {
    let (name, mut arguments) = if asked.offers("exec_command") {
        ("exec_command", json!({"cmd": command}))
    } else if asked.offers("shell_command") {
        ("shell_command", json!({"command": command}))
    } else {
        ("shell", json!({"command": ["bash", "-lc", command]}))
    };
    if let Some(reason) = escalate {
        arguments["sandbox_permissions"] = json!("require_escalated");
        arguments["justification"] = json!(reason);
    }
    json!({"type": "function_call", "name": name, "arguments": arguments.to_string()})
}

/// A call of the tool that `[[call SPACE/NAME JSON]]` names.
fn other_call(call: &str) -> Value {
    let (tool, arguments) = call.split_once(char::is_whitespace).unwrap_or((call, "{}"));
    named_call(tool, arguments.trim())
}

/// A call of a tool by its name, `SPACE/NAME` where it is in a namespace.
pub(super) fn named_call(tool: &str, arguments: &str) -> Value {
    let (space, name) = match tool.split_once('/') {
        Some((space, name)) => (Some(space), name),
        None => (None, tool),
    };
    let mut item = json!({"type": "function_call", "name": name, "arguments": arguments});
    if let Some(space) = space {
        item["namespace"] = json!(space);
    }
    item
}
