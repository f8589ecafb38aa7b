//! What codex is about to do, from the payload of its hooks `PreToolUse` and `PermissionRequest`.
//!
//! Source: codex 0.169.0, by keys and by requests; `tests/scenarios/policies.rs`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde_json::Value;

use super::payload::Payload;
use crate::agent::report::Call;
use crate::os::shell::shell_quote;
use crate::policy::{Request, Wish};

/// The names of the events, in the payload's `hook_event_name`.
const TOOL: &str = "PreToolUse";
const PERMISSION: &str = "PermissionRequest";

/// The call that a payload tells of.
pub(super) fn call(payload: &[u8]) -> Option<Call> {
    let event: Value = serde_json::from_slice(payload).ok()?;
    let asked = match event.get("hook_event_name").and_then(Value::as_str)? {
        TOOL => false,
        PERMISSION => true,
        _ => return None,
    };
    let payload = Payload::parse(payload).ok()?;
    let tool = payload.tool_name.clone()?;
    let input = payload.tool_input.clone().unwrap_or_default();
    let below = |names: &[&str]| {
        let mut found = names.iter().filter_map(|name| input.get(*name)?.as_str());
        found.next().map(str::to_owned)
    };
    let place = match tool.as_str() {
        "apply_patch" => Some((payload.cwd.clone(), true)),
        _ => input
            .get("command")
            .and_then(Value::as_str)
            .and_then(|command| {
                let id = event.get("tool_use_id").and_then(Value::as_str);
                place(&payload, id, command)
            }),
    };
    let (directory, is_shell) = place.unwrap_or((None, true));
    let wish = match tool.as_str() {
        "Bash" | "shell" | "shell_command" | "local_shell" | "exec_command" => {
            script(input.get("command").or_else(|| input.get("cmd")))
                .filter(|_| is_shell)
                .map_or(Wish::Other, Wish::Shell)
        }
        "apply_patch" | "Edit" | "Write" => {
            let patch = below(&["command", "patch", "input"]).unwrap_or_default();
            Wish::Edit(patched(&patch))
        }
        "view_image" => Wish::Read(below(&["path"]).into_iter().collect()),
        "web_search" => Wish::Web(below(&["query", "url"]).unwrap_or_default()),
        "update_plan" | "request_user_input" => Wish::Talk,
        _ => Wish::Other,
    };
    Some(Call {
        command: payload.asked_command(),
        request: Request {
            tool,
            wish,
            directory,
        },
        asked,
    })
}

/// The end of a transcript in which a call is looked for, in bytes.
const TAIL: u64 = 1 << 20;

/// Shells that a call may name instead of the user's.
const SHELLS: [&str; 4] = ["bash", "sh", "dash", "zsh"];

/// Where a command is run, and whether by a shell: the hook is not told, but the transcript has the call by then. `None` where it
/// can't be found, or several are alike but for that.
fn place(payload: &Payload, id: Option<&str>, command: &str) -> Option<(Option<PathBuf>, bool)> {
    let mut file = File::open(payload.transcript_path.as_ref()?).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .ok()?;
    let mut text = Vec::new();
    file.take(TAIL).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let calls = text.lines().rev().filter(|line| line.contains("call"));
    let mut places = calls.filter_map(|line| {
        let entry: Value = serde_json::from_str(line).ok()?;
        let called = &entry["payload"];
        let arguments: Value = serde_json::from_str(called["arguments"].as_str()?).ok()?;
        let is_it = match id {
            Some(id) => called["call_id"].as_str() == Some(id),
            None => {
                script(arguments.get("cmd").or_else(|| arguments.get("command"))).as_deref()
                    == Some(command)
            }
        };
        is_it.then(|| place_of(payload.cwd.as_ref(), &arguments))
    });
    let first = places.next()?;
    // One id has one call; without it, all that are alike must be in one place.
    let is_sure = id.is_some() || places.all(|other| other == first);
    is_sure.then_some(first)
}

fn place_of(cwd: Option<&PathBuf>, arguments: &Value) -> (Option<PathBuf>, bool) {
    let directory = match (arguments.get("workdir"), cwd) {
        (None | Some(Value::Null), cwd) => cwd.cloned(),
        (Some(Value::String(below)), Some(cwd)) => Some(cwd.join(below)),
        _ => None,
    };
    let is_shell = match arguments.get("shell") {
        None | Some(Value::Null) => true,
        Some(shell) => shell
            .as_str()
            .is_some_and(|shell| SHELLS.contains(&shell.rsplit('/').next().unwrap_or(shell))),
    };
    (directory, is_shell)
}

/// A script, or the words of a command: `["bash", "-lc", SCRIPT]` is judged as a shell's.
fn script(command: Option<&Value>) -> Option<String> {
    match command? {
        Value::String(script) => Some(script.clone()),
        Value::Array(words) => {
            let words: Option<Vec<_>> = words.iter().map(Value::as_str).collect();
            let words: Vec<_> = words?.into_iter().map(shell_quote).collect();
            Some(words.join(" "))
        }
        _ => None,
    }
}

/// The files that a patch names. One that names none is not understood.
fn patched(patch: &str) -> Vec<String> {
    let marks = [
        "*** Add File: ",
        "*** Update File: ",
        "*** Delete File: ",
        "*** Move to: ",
    ];
    let file = |line: &str| {
        let mut found = marks
            .iter()
            .filter_map(|mark| line.trim().strip_prefix(mark));
        found.next().map(|file| file.trim().to_owned())
    };
    patch.lines().filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_run_where_the_transcript_says() {
        let dir = tempfile::tempdir().expect("a directory");
        let transcript = dir.path().join("rollout.jsonl");
        let line = |id: &str, arguments: Value| {
            let called = serde_json::json!({"type": "function_call", "call_id": id, "arguments": arguments.to_string()});
            format!("{}\n", serde_json::json!({"payload": called}))
        };
        let lines = [
            line("1", serde_json::json!({"cmd": "ls", "workdir": "/tmp"})),
            line("2", serde_json::json!({"cmd": "ls"})),
            line(
                "3",
                serde_json::json!({"cmd": "id", "shell": "/usr/bin/python3"}),
            ),
            line("4", serde_json::json!({"cmd": "pwd", "workdir": "sub"})),
        ];
        std::fs::write(&transcript, lines.concat()).expect("a transcript");
        let call = |command: &str, id: Option<&str>| {
            let payload = serde_json::json!({
                "session_id": "s", "hook_event_name": "PreToolUse", "cwd": "/w", "transcript_path": transcript,
                "tool_name": "Bash", "tool_input": {"command": command}, "tool_use_id": id,
            });
            call(payload.to_string().as_bytes())
                .expect("a call")
                .request
        };
        let directory = |command: &str, id: Option<&str>| call(command, id).directory;
        assert_eq!(directory("ls", Some("1")), Some("/tmp".into()));
        assert_eq!(directory("ls", Some("2")), Some("/w".into()));
        assert_eq!(directory("ls", None), None, "two are alike");
        assert_eq!(directory("pwd", None), Some("/w/sub".into()));
        assert_eq!(directory("none", None), None);
        assert_eq!(call("id", Some("3")).wish, Wish::Other);
    }

    #[test]
    fn commands_and_patches_are_told_apart() {
        let wish = |tool: &str, input: Value| {
            let payload = serde_json::json!({
                "session_id": "s", "hook_event_name": "PreToolUse", "cwd": "/w", "tool_name": tool, "tool_input": input,
            });
            call(payload.to_string().as_bytes())
                .expect("a call")
                .request
                .wish
        };
        let shell = |text: &str| Wish::Shell(text.to_owned());
        assert_eq!(
            wish("Bash", serde_json::json!({"command": "ls"})),
            shell("ls")
        );
        let words = serde_json::json!({"command": ["bash", "-lc", "ls"]});
        assert_eq!(wish("shell", words), shell("bash -lc ls"));
        let patch = "*** Begin Patch\n*** Add File: a\n+x\n*** Update File: b\n*** Move to: ../c\n*** End Patch";
        let files = ["a", "b", "../c"].map(str::to_owned).to_vec();
        assert_eq!(
            wish("apply_patch", serde_json::json!({"command": patch})),
            Wish::Edit(files)
        );
        assert_eq!(wish("mcp__x__y", serde_json::json!({})), Wish::Other);
        assert_eq!(call(b"{\"hook_event_name\":\"Stop\"}"), None);
    }
}
