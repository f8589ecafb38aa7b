//! What the model answers: the directives of the project's mock model server, understood without one.
//!
//! In the last text that the model was sent, `[[await PATH]]` waits for a file, `[[sleep N]]` delays, `[[http NNN]]` fails the request, and the first of
//! `[[shell CMD]]` (with `[[escalate]]`: outside the sandbox), `[[patch TEXT]]`, `[[question]]`, `[[status]]`, `[[say TEXT]]`
//! decides; other text is answered by `Done. I've finished: '<its last 60 characters>'`.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

/// The model's answer to a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// This file must be there first.
    pub(crate) after: Option<PathBuf>,
    pub(crate) delay: Duration,
    pub(crate) action: Action,
}

/// What the answer asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Say(String),
    Shell {
        command: String,
        escalated: bool,
    },
    Patch(String),
    /// The request fails with this HTTP status.
    Fail(u16),
}

/// Answers a text.
pub(crate) fn answer(text: &str) -> Answer {
    let after = argument("await", text).map(PathBuf::from);
    if let Some(status) = argument("http", text).and_then(|status| status.parse().ok()) {
        return Answer {
            after,
            delay: Duration::ZERO,
            action: Action::Fail(status),
        };
    }
    let seconds = argument("sleep", text)
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(0.0);
    let action = if let Some(command) = argument("shell", text) {
        Action::Shell {
            command: command.to_owned(),
            escalated: argument("escalate", text).is_some(),
        }
    } else if let Some(patch) = argument("patch", text) {
        Action::Patch(patch.trim().to_owned())
    } else if argument("question", text).is_some() {
        Action::Say("I see two options. Should I use tabs or spaces?".to_owned())
    } else if argument("status", text).is_some() {
        Action::Say("Let me check the files first.".to_owned())
    } else if let Some(words) = argument("say", text) {
        Action::Say(words.to_owned())
    } else {
        let start = text
            .char_indices()
            .rev()
            .nth(59)
            .map_or(0, |(index, _)| index);
        Action::Say(format!("Done. I've finished: {}", quoted(&text[start..])))
    };
    Answer {
        after,
        delay: Duration::try_from_secs_f64(seconds).unwrap_or_default(),
        action,
    }
}

/// What the model says when a tool has returned.
pub(crate) fn after_tool(output: &str) -> String {
    format!(
        "Done. The tool returned: {}",
        output.chars().take(200).collect::<String>()
    )
}

/// The argument of `[[name argument]]`, empty for `[[name]]`.
fn argument<'a>(name: &str, text: &'a str) -> Option<&'a str> {
    let open = format!("[[{name}");
    text.match_indices(&open).find_map(|(index, _)| {
        let rest = &text[index + open.len()..];
        let (argument, _) = rest.split_once("]]")?;
        (argument.is_empty() || argument.starts_with(char::is_whitespace))
            .then(|| argument.trim_start())
    })
}

/// A text between quotes as Python's `repr` writes it, which the mock server uses.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut result = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => result.push_str("\\n"),
            '\r' => result.push_str("\\r"),
            '\t' => result.push_str("\\t"),
            '\\' => result.push_str("\\\\"),
            c if c == quote => result.extend(['\\', c]),
            c if c.is_ascii_control() => result += &format!("\\x{:02x}", u32::from(c)),
            c => result.push(c),
        }
    }
    result.push(quote);
    result
}

/// How codex reports a failed request, in the transcript and on the screen.
pub(crate) fn failure(status: u16, url: &str) -> (String, Value) {
    let code = json!({ "http_status_code": status });
    match status {
        429 => (
            "exceeded retry limit, last status: 429 Too Many Requests".to_owned(),
            json!({ "response_too_many_failed_attempts": code }),
        ),
        500.. => (
            "We’re currently experiencing high demand, which may cause temporary errors."
                .to_owned(),
            json!("internal_server_error"),
        ),
        _ => {
            let reason = match status {
                400 => " Bad Request",
                401 => " Unauthorized",
                402 => " Payment Required",
                403 => " Forbidden",
                404 => " Not Found",
                _ => "",
            };
            (
                format!("unexpected status {status}{reason}: mock failure, url: {url}"),
                json!({ "http_connection_failed": code }),
            )
        }
    }
}
