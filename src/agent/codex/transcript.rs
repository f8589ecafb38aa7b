//! codex's transcript: a JSONL file below `$CODEX_HOME/sessions`, appended to during the session.
//!
//! It says what no hook says: that a turn failed or was aborted, and how many tokens were used.
//! Source: codex 0.130.0, 0.150.0 and 0.169.0; before 0.150 a failed turn shows only by its null message.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::program::codex_home;
use crate::agent::environment::value;
use crate::agent::report::{Line, Phase, TurnError, Usage};
use crate::agent::screen_state::{AnswerOption, Inquiry};

pub(super) use items::Reader;

mod items;

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type")]
    kind: String,
    payload: Value,
}

/// Reads one line; `None` for the many that say nothing of a turn's course, and for what is no JSON.
#[must_use]
pub fn parse_line(line: &str) -> Option<Line> {
    // Most lines are long and of no interest; only these kinds are worth a parse.
    let kinds = ["\"event_msg\"", "\"session_meta\"", "\"response_item\""];
    if !kinds.iter().any(|kind| line.contains(kind)) {
        return None;
    }
    let raw: Raw = serde_json::from_str(line).ok()?;
    let text = |name: &str| {
        raw.payload
            .get(name)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    match (
        raw.kind.as_str(),
        raw.payload.get("type").and_then(Value::as_str),
    ) {
        ("session_meta", _) => {
            // Source: codex 0.169.0; 0.130.0 has no `parent_thread_id` but in the source.
            let spawned = &raw.payload["source"]["subagent"]["thread_spawn"]["parent_thread_id"];
            Some(Line::Session {
                id: text("id").or_else(|| text("session_id"))?,
                parent: text("parent_thread_id").or_else(|| spawned.as_str().map(str::to_owned)),
                name: text("agent_path").or_else(|| text("agent_nickname")),
                version: text("cli_version"),
            })
        }
        ("event_msg", Some("task_started")) => Some(Line::TurnStarted {
            turn_id: text("turn_id")?,
        }),
        ("event_msg", Some("task_complete")) => {
            let turn_id = text("turn_id")?;
            let error = raw
                .payload
                .get("error")
                .filter(|error| !error.is_null())
                .map(parse_error);
            match text("last_agent_message") {
                Some(message) if error.is_none() => Some(Line::TurnCompleted { turn_id, message }),
                _ => Some(Line::TurnFailed { turn_id, error }),
            }
        }
        ("event_msg", Some("turn_aborted")) => Some(Line::TurnAborted {
            turn_id: text("turn_id"),
            reason: text("reason").unwrap_or_else(|| "unknown".to_owned()),
        }),
        ("event_msg", Some("token_count")) => parse_usage(&raw.payload).map(Line::Tokens),
        ("response_item", Some("message")) if text("role").as_deref() == Some("assistant") => {
            Some(Line::Said {
                phase: match text("phase").as_deref() {
                    Some("commentary") => Phase::Commentary,
                    Some("final_answer") => Phase::FinalAnswer,
                    _ => Phase::Unknown,
                },
            })
        }
        ("response_item", Some("function_call"))
            if text("name").as_deref() == Some("request_user_input") =>
        {
            Some(Line::Inquired {
                call: text("call_id")?,
                inquiries: inquiries_in(&text("arguments")?)?,
                is_hooked: false,
            })
        }
        // `function_call`, `custom_tool_call`, `local_shell_call`, …: what they return has kinds of its own.
        ("response_item", Some(kind)) if kind.ends_with("_call") => Some(Line::Called {
            command: text("call_id").zip(text("arguments").as_deref().and_then(command_in)),
        }),
        ("response_item", Some(kind)) if kind.ends_with("_call_output") => {
            let output = text("output").unwrap_or_default();
            Some(Line::Returned {
                call: text("call_id")?,
                running: running_in(&output),
                refused: refusal_in(&output),
                made: made_in(&output),
            })
        }
        ("event_msg", Some("item_completed")) => Some(Line::Ended {
            process: raw
                .payload
                .get("item")
                .and_then(|item| item.get("process_id"))
                .and_then(Value::as_str)
                .map(str::to_owned),
        }),
        _ => None,
    }
}

/// The questions of a form; `None` without any.
fn inquiries_in(arguments: &str) -> Option<Vec<Inquiry>> {
    #[derive(Deserialize)]
    struct Form {
        questions: Vec<Asked>,
    }
    #[derive(Deserialize)]
    struct Asked {
        question: String,
        #[serde(default)]
        options: Vec<AnswerOption>,
    }
    let form: Form = serde_json::from_str(arguments).ok()?;
    let inquiries = form.questions.into_iter().map(|asked| Inquiry {
        text: asked.question,
        options: asked.options,
    });
    let inquiries: Vec<Inquiry> = inquiries.collect();
    (!inquiries.is_empty()).then_some(inquiries)
}

/// The command of a call, as its approval names it.
fn command_in(arguments: &str) -> Option<String> {
    let arguments: Value = serde_json::from_str(arguments).ok()?;
    let command = arguments.get("cmd").or_else(|| arguments.get("command"))?;
    command.as_str().map(str::to_owned)
}

/// Source: codex 0.169.0, of a command that outlasts the time that its caller waits.
fn running_in(output: &str) -> Option<String> {
    let head = output.split("Output:").next()?;
    let (_, id) = head.split_once("Process running with session ID ")?;
    id.lines().next().map(|id| id.trim().to_owned())
}

/// Source: codex 0.130.0, 0.150.0 and 0.169.0, of a sub-agent; the newer one of their two forms of it tells no session here.
fn made_in(output: &str) -> Option<(String, String)> {
    if !output.starts_with(r#"{"agent_id":"#) {
        return None;
    }
    let output: Value = serde_json::from_str(output).ok()?;
    let id = output["agent_id"].as_str()?;
    let name = output["nickname"].as_str().unwrap_or(id);
    Some((id.to_owned(), name.to_owned()))
}

/// Source: codex 0.169.0, of a command that a PermissionRequest hook denied: `Rejected(\"why\")`, backslashes included.
fn refusal_in(output: &str) -> Option<String> {
    let failure = output.strip_prefix("exec_command failed")?;
    let (_, why) = failure.split_once(r#"Rejected(\""#)?;
    let (why, _) = why.rsplit_once(r#"\")"#)?;
    Some(why.to_owned())
}

fn parse_usage(payload: &Value) -> Option<Usage> {
    let total = payload.get("info")?.get("total_token_usage")?;
    let count = |name: &str| total.get(name).and_then(Value::as_u64);
    Some(Usage {
        input_tokens: count("input_tokens")?,
        output_tokens: count("output_tokens")?,
        total_tokens: count("total_tokens")?,
        cached_input_tokens: count("cached_input_tokens"),
        cache_write_input_tokens: None,
        reasoning_output_tokens: count("reasoning_output_tokens"),
    })
}

/// The error of a turn: of a transcript, or of an `app-server`, whose names are the same in camel case.
pub(super) fn parse_error(error: &Value) -> TurnError {
    let message = error
        .get("message")
        .and_then(Value::as_str)
        .unwrap_or("no message")
        .to_owned();
    let info = error
        .get("codex_error_info")
        .or_else(|| error.get("codexErrorInfo"));
    // Either a bare name or an object with the name as its only key and the details below it.
    let (kind, details) = match info {
        Some(Value::String(name)) => (Some(name.clone()), None),
        Some(Value::Object(map)) => (map.keys().next().cloned(), map.values().next()),
        _ => (None, None),
    };
    let kind = kind.map(|kind| in_snake_case(&kind));
    let telling = kind.filter(|kind| kind != "other");
    let kind = telling.or_else(|| kind_in(&message).map(str::to_owned));
    let stated = details
        .and_then(|details| {
            let of_server = details.get("httpStatusCode");
            details.get("http_status_code").or(of_server)
        })
        .and_then(Value::as_u64)
        .and_then(|status| u16::try_from(status).ok());
    let implied = (kind.as_deref() == Some("internal_server_error")).then_some(500);
    TurnError {
        http_status: stated.or_else(|| status_in(&message)).or(implied),
        message,
        kind,
    }
}

fn in_snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// The error that codex's words mean, by codex's own name of it.
///
/// Source: codex 0.130.0, which names no error, and 0.169.0, which calls the first one `other`
/// (`tests/scenarios/fault_table/api.rs`).
/// The error that a sentence of codex's tells.
#[must_use]
pub fn error_in(message: &str) -> TurnError {
    TurnError {
        message: message.to_owned(),
        kind: kind_in(message).map(str::to_owned),
        http_status: status_in(message),
    }
}

fn kind_in(message: &str) -> Option<&'static str> {
    [
        (
            "stream disconnected before completion",
            "response_stream_disconnected",
        ),
        ("hit your usage limit", "usage_limit_exceeded"),
    ]
    .into_iter()
    .find_map(|(words, kind)| message.contains(words).then_some(kind))
}

/// The HTTP status that codex's words name: `unexpected status 401 …`, `last status: 429 …`.
fn status_in(message: &str) -> Option<u16> {
    // Said for a status 500 only. Source: codex 0.130.0 and 0.169.0 against a server that answers 500.
    if message.contains("currently experiencing high demand") {
        return Some(500);
    }
    let after = message.split("status").skip(1);
    after
        .filter_map(|rest| rest.trim_start_matches([':', ' ']).get(..3)?.parse().ok())
        .find(|status| (400..600).contains(status))
}

/// The transcripts that began after `own`, in order: `YEAR/MONTH/DAY/rollout-TIME-SESSION.jsonl`, whose names sort by time.
pub(super) fn younger(own: &Path) -> Vec<PathBuf> {
    let Some(top) = own.ancestors().nth(4) else {
        return Vec::new();
    };
    let mut found = list(top, |path| path > own || own.starts_with(path));
    found.retain(|path| path != own);
    found
}

/// The transcript of a session, wherever it began.
pub(super) fn find(session: &str, environment: &[(String, String)]) -> Option<PathBuf> {
    let variable = |name: &str| value(environment, name).and_then(|value| value.into_string().ok());
    let top = codex_home(variable)?.join("sessions");
    let ending = format!("-{session}.jsonl");
    let is_it = |path: &Path| path.is_dir() || path.to_string_lossy().ends_with(&ending);
    list(&top, is_it).pop()
}

/// The transcripts below a directory that are wanted, in the order of their beginning; a directory that is not is passed over.
fn list(top: &Path, is_wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut dirs = vec![top.to_owned()];
    let of_kind: [fn(&str) -> bool; 4] = [is_number, is_number, is_number, |name| {
        name.ends_with(".jsonl")
    }];
    for is_one in of_kind {
        let entries = dirs.iter().flat_map(fs::read_dir).flatten().flatten();
        let mut next: Vec<PathBuf> = entries
            .filter(|entry| entry.file_name().to_str().is_some_and(is_one))
            .map(|entry| entry.path())
            .filter(|path| is_wanted(path))
            .collect();
        next.sort_unstable();
        dirs = next;
    }
    dirs
}

fn is_number(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(payload: &str) -> Option<Line> {
        parse_line(&format!(
            r#"{{"timestamp":"t","type":"event_msg","payload":{payload}}}"#
        ))
    }

    #[test]
    fn a_failed_turn_tells_its_status() {
        let stated = r#"{"type":"task_complete","turn_id":"t","last_agent_message":null,"error":{"message":"m","codex_error_info":{"http_connection_failed":{"http_status_code":401}}}}"#;
        let named = r#"{"type":"task_complete","turn_id":"t","last_agent_message":null,"error":{"message":"high","codex_error_info":"internal_server_error"}}"#;
        let said = r#"{"type":"task_complete","turn_id":"t","last_agent_message":null,"error":{"message":"exceeded retry limit, last status: 429 Too Many Requests","codex_error_info":{"response_too_many_failed_attempts":{"http_status_code":null}}}}"#;
        for (payload, status) in [(stated, 401), (named, 500), (said, 429)] {
            let Some(Line::TurnFailed {
                error: Some(error), ..
            }) = event(payload)
            else {
                panic!("a failed turn: {payload}")
            };
            assert_eq!(error.http_status, Some(status), "{payload}");
        }
        let silent = r#"{"type":"task_complete","turn_id":"t","last_agent_message":null}"#;
        assert_eq!(
            event(silent),
            Some(Line::TurnFailed {
                turn_id: "t".into(),
                error: None
            })
        );
    }

    #[test]
    fn errors_without_a_name_get_theirs_from_their_words() {
        let cut = "stream disconnected before completion: stream closed before response.completed";
        let kind = |error: &TurnError| error.kind.clone().unwrap_or_default();
        assert_eq!(kind(&error_in(cut)), "response_stream_disconnected");
        let used_up = error_in("You've hit your usage limit. Try again later.");
        assert_eq!(kind(&used_up), "usage_limit_exceeded");
        for (name, expected) in [
            ("other", "response_stream_disconnected"),
            ("sandbox_error", "sandbox_error"),
        ] {
            let payload = format!(
                r#"{{"type":"task_complete","turn_id":"t","last_agent_message":null,"error":{{"message":"{cut}","codex_error_info":"{name}"}}}}"#
            );
            let Some(Line::TurnFailed {
                error: Some(error), ..
            }) = event(&payload)
            else {
                panic!("a failed turn: {payload}")
            };
            assert_eq!(kind(&error), expected);
        }
        assert_eq!(error_in("something else").kind, None);
    }

    #[test]
    fn statuses_are_read_from_words() {
        for (message, status) in [
            (
                "unexpected status 401 Unauthorized: mock failure, url: http://x",
                Some(401),
            ),
            (
                "exceeded retry limit, last status: 429 Too Many Requests",
                Some(429),
            ),
            (
                "We're currently experiencing high demand, which may cause temporary errors.",
                Some(500),
            ),
            ("stream disconnected before completion", None),
            ("status \u{2019}\u{2019}", None),
        ] {
            assert_eq!(error_in(message).http_status, status, "{message}");
        }
    }

    #[test]
    fn other_lines_say_nothing() {
        for line in [
            "",
            "x",
            "{",
            r#"{"type":"event_msg"}"#,
            r#"{"type":"response_item","payload":{}}"#,
        ] {
            assert_eq!(parse_line(line), None, "{line}");
        }
        let done = r#"{"type":"task_complete","turn_id":"t","last_agent_message":"Done."}"#;
        assert_eq!(
            event(done),
            Some(Line::TurnCompleted {
                turn_id: "t".into(),
                message: "Done.".into()
            })
        );
        let tokens = r#"{"type":"token_count","info":{"total_token_usage":{"input_tokens":1,"cached_input_tokens":4,"output_tokens":2,"reasoning_output_tokens":5,"total_tokens":3}}}"#;
        let usage = Usage {
            input_tokens: 1,
            output_tokens: 2,
            total_tokens: 3,
            cached_input_tokens: Some(4),
            cache_write_input_tokens: None,
            reasoning_output_tokens: Some(5),
        };
        assert_eq!(event(tokens), Some(Line::Tokens(usage)));
        assert_eq!(event(r#"{"type":"token_count","info":null}"#), None);
    }

    proptest::proptest! {
        #[test]
        fn no_line_panics(line in ".*") {
            let _any = parse_line(&line);
            let _any = parse_line(&format!(r#"{{"type":"event_msg","payload":{line}}}"#));
            let _any = error_in(&format!("status {line}"));
        }
    }
}
