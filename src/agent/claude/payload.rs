//! What Claude Code's hooks are told and may answer, and the form of a prompt.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use crate::agent::report::{Report, Reported, TurnError};
use crate::agent::screen_state::{AnswerOption, Inquiry, plain_label};
use crate::agent::signals::{Decision, Kind, is_uuid};

/// The tool by which the agent asks.
pub(super) const QUESTION: &str = "AskUserQuestion";
/// The tool that ends the plan mode.
const PLAN: &str = "ExitPlanMode";

/// The payload of an event; of each event the fields that matter here.
#[derive(Deserialize)]
struct Payload {
    session_id: String,
    transcript_path: Option<PathBuf>,
    cwd: Option<PathBuf>,
    hook_event_name: String,
    prompt_id: Option<String>,
    agent_id: Option<String>,
    source: Option<String>,
    prompt: Option<String>,
    tool_name: Option<String>,
    #[serde(default)]
    tool_input: Value,
    last_assistant_message: Option<String>,
    error: Option<String>,
    error_details: Option<String>,
}

/// The report of a hook; `None` if the payload is invalid.
pub(super) fn report(kind: Kind, payload: &[u8]) -> Option<Report> {
    let payload: Payload = serde_json::from_slice(payload).ok()?;
    if !is_uuid(&payload.session_id) {
        return None;
    }
    let event = match (kind, payload.hook_event_name.as_str()) {
        (Kind::SessionStart, "SessionStart") => Reported::Session {
            source: payload.source?,
        },
        (Kind::Prompt, "UserPromptSubmit") => Reported::Prompt {
            prompt: payload.prompt?,
        },
        (Kind::Permission, "PermissionRequest") => {
            let tool = payload.tool_name?;
            match inquiries(&payload.tool_input).filter(|_| tool == QUESTION) {
                Some(inquiries) => Reported::Form {
                    call: call_of(&inquiries),
                    inquiries,
                },
                None => Reported::Permission {
                    command: wish(&tool, &payload.tool_input),
                    reason: reason(&tool, &payload.tool_input),
                },
            }
        }
        (Kind::Stop, "Stop") => Reported::Stop {
            message: payload.last_assistant_message,
        },
        (Kind::Stop, "StopFailure") => Reported::Failure {
            error: failure(
                payload.error,
                payload.last_assistant_message,
                payload.error_details,
            ),
        },
        _ => return None,
    };
    Some(Report {
        session: payload.session_id,
        turn_id: payload.prompt_id,
        agent_id: payload.agent_id,
        transcript: payload.transcript_path,
        cwd: payload.cwd,
        event,
    })
}

/// The name of a form, which hook and transcript have in common.
pub(super) fn call_of(inquiries: &[Inquiry]) -> String {
    let texts: Vec<&str> = inquiries
        .iter()
        .map(|inquiry| inquiry.text.as_str())
        .collect();
    texts.join("\n")
}

/// The questions of the tool by which the agent asks; at least one.
pub(super) fn inquiries(input: &Value) -> Option<Vec<Inquiry>> {
    let text = |value: &Value, name: &str| Some(value.get(name)?.as_str()?.to_owned());
    let question = |question: &Value| {
        let options = question.get("options").and_then(Value::as_array);
        let option = |option: &Value| {
            Some(AnswerOption {
                label: text(option, "label")?,
                description: text(option, "description").unwrap_or_default(),
            })
        };
        Some(Inquiry {
            text: text(question, "question")?,
            options: options.into_iter().flatten().filter_map(option).collect(),
        })
    };
    let questions = input.get("questions")?.as_array()?;
    let all: Option<Vec<Inquiry>> = questions.iter().map(question).collect();
    all.filter(|all| !all.is_empty())
}

/// What a permission is asked for, in a line: the command, or the tool and what it is about.
pub(super) fn wish(tool: &str, input: &Value) -> String {
    let text = |name: &str| input.get(name).and_then(Value::as_str);
    match tool {
        "Bash" => text("command").unwrap_or("Bash").to_owned(),
        PLAN => match text("plan") {
            Some(plan) => format!("begin with this plan:\n{plan}"),
            None => "begin with its plan".to_owned(),
        },
        _ => {
            let about = [
                "file_path",
                "notebook_path",
                "path",
                "url",
                "query",
                "command",
                "skill",
            ];
            match about.iter().find_map(|name| text(name)) {
                Some(about) => format!("{tool} {about}"),
                None if input.as_object().is_none_or(serde_json::Map::is_empty) => tool.to_owned(),
                None => format!("{tool} {input}"),
            }
        }
    }
}

fn reason(tool: &str, input: &Value) -> Option<String> {
    let description = input.get("description").filter(|_| tool == "Bash");
    Some(description?.as_str()?.to_owned())
}

/// A failure in the words of the program.
pub(super) fn failure(
    error: Option<String>,
    message: Option<String>,
    details: Option<String>,
) -> TurnError {
    let message = message.or(details.clone()).or_else(|| error.clone());
    let message = message.unwrap_or_else(|| "no reason given".to_owned());
    let status = status_in(&message).or_else(|| details.as_deref().and_then(status_in));
    let by_kind = match error.as_deref() {
        Some("authentication_failed") => Some(401),
        Some("rate_limit") => Some(429),
        Some("model_not_found") => Some(404),
        _ => None,
    };
    TurnError {
        http_status: status.or(by_kind),
        kind: error,
        message,
    }
}

/// The HTTP status in `API Error: 500 …`, `Request rejected (429)`, `request_too_large: 413 …`.
fn status_in(text: &str) -> Option<u16> {
    static STATUS: LazyLock<Regex> = LazyLock::new(|| {
        let status = r"(?:API Error: |rejected \(|too_large: )([45][0-9]{2})\b";
        Regex::new(status).expect("a regular expression")
    });
    STATUS.captures(text)?[1].parse().ok()
}

/// The answer of a permission's hook. `updatedPermissions` never go back: they would be written to a settings file.
///
/// Source: 2.1.197 and 2.1.332.
pub(super) fn decision(payload: &[u8], decision: &Decision) -> Option<String> {
    let payload: Option<Payload> = serde_json::from_slice(payload).ok();
    let tool = payload
        .as_ref()
        .and_then(|payload| payload.tool_name.as_deref());
    let decision = match decision {
        Decision::Pass => return None,
        // A bare "allow" answers no question.
        Decision::Allow if tool == Some(QUESTION) => return None,
        // Nor does it end the plan mode.
        Decision::Allow if tool == Some(PLAN) => json!({"behavior": "allow", "updatedInput": {}}),
        Decision::Allow => json!({"behavior": "allow"}),
        Decision::Deny { message } => json!({"behavior": "deny", "message": message}),
        Decision::Answers(answers) => {
            let mut input = payload?.tool_input;
            let questions = inquiries(&input)?;
            let pairs = questions.into_iter().zip(answers);
            let pairs = pairs.map(|(question, answer)| {
                let said = as_sent(&question, answer);
                (question.text, json!(said))
            });
            input["answers"] = Value::Object(pairs.collect());
            json!({"behavior": "allow", "updatedInput": input})
        }
    };
    let event = json!({"hookEventName": "PermissionRequest", "decision": decision});
    Some(json!({"hookSpecificOutput": event}).to_string())
}

/// The answer as the program's own dialog sends it: the label of the option that it means, or the words.
fn as_sent(question: &Inquiry, answer: &str) -> String {
    let labels = question.options.iter().map(|option| &option.label);
    let mut same = labels.filter(|label| plain_label(label) == plain_label(answer));
    match (same.next(), same.next()) {
        (Some(label), None) => label.clone(),
        _ => answer.to_owned(),
    }
}

/// Words that end the program where they are the whole prompt.
const FAREWELLS: [&str; 6] = ["exit", "quit", ":q", ":q!", ":wq", ":wq!"];

/// A text that is a prompt: `!` at its beginning runs a shell command, `/` one of the program's own, and some words are one.
///
/// Source: 2.1.197 and 2.1.332.
pub(super) fn as_prompt(text: &str) -> Cow<'_, str> {
    if text.trim_start().starts_with(['!', '/']) || FAREWELLS.contains(&text.trim()) {
        Cow::Owned(format!("Message:\n{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A prompt as it is pasted: a blank closes the list that a last word with `@` or `/` opens, which would take the Enter.
pub(super) fn as_typed(prompt: &str) -> Cow<'_, str> {
    let last = prompt.split_whitespace().next_back();
    if last.is_some_and(|word| word.contains(['@', '/'])) {
        Cow::Owned(format!("{prompt} "))
    } else {
        Cow::Borrowed(prompt)
    }
}

/// Whether a submitted text is that prompt. A long paste arrives between marks, tabs as blanks, a last newline not at all,
/// letters composed, and without what directs text and is not seen.
///
/// Source: 2.1.332; 2.1.197 has no marks.
pub(super) fn is_prompt(submitted: &str, prompt: &str) -> bool {
    static MARKS: LazyLock<Regex> = LazyLock::new(|| {
        let mark = "\n*<pasted_content id=\"[0-9a-f]+\">\n|\n</pasted_content id=\"[0-9a-f]+\">\n?";
        Regex::new(mark).expect("a regular expression")
    });
    let plain = |text: &str| -> String {
        let text = text.replace('\t', "    ").replace("\r\n", "\n");
        text.trim()
            .nfc()
            .filter(|letter| !is_invisible(*letter))
            .collect()
    };
    if plain(submitted) == plain(prompt) {
        return true;
    }
    submitted.contains("<pasted_content id=\"")
        && plain(&MARKS.replace_all(submitted, "")) == plain(prompt)
}

/// Whether a character only directs how text is shown.
pub(super) fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_paste_is_the_prompt_that_was_pasted() {
        let wrapped =
            "\n\n<pasted_content id=\"d0ca\">\nOne\n\tTwo\n</pasted_content id=\"d0ca\">\n";
        assert!(is_prompt(wrapped, "One\n    Two"));
        assert!(is_prompt(wrapped, "One\n\tTwo\n"));
        assert!(!is_prompt(wrapped, "One\nTwo"));
        assert!(!is_prompt(&format!("x{wrapped}"), "One\n\tTwo"));
        assert!(is_prompt("a", "a\n") && !is_prompt("a", "b"));
        assert!(is_prompt("\u{e9} RTL", "e\u{301} \u{202e}RTL\u{202c}"));
        // What a prompt says itself about such marks is a part of it.
        assert!(is_prompt(
            "see <pasted_content id=\"1\">",
            "see <pasted_content id=\"1\">"
        ));
    }

    #[test]
    fn commands_of_the_program_are_no_prompts() {
        for text in ["/clear", " !ls", "exit", " quit\n", ":wq!"] {
            assert_eq!(as_prompt(text), format!("Message:\n{text}"));
        }
        for text in ["exit.", "quit it", "EXIT", "# /clear"] {
            assert_eq!(as_prompt(text), text);
        }
    }

    #[test]
    fn statuses_are_read_from_the_words() {
        for (text, status) in [
            ("API Error: 500 mock failure.", Some(500)),
            (
                "API Error: Request rejected (429) · mock failure",
                Some(429),
            ),
            ("request_too_large: 413 {}", Some(413)),
            ("It took 500 lines", None),
        ] {
            assert_eq!(status_in(text), status, "{text}");
        }
    }

    #[test]
    fn answers_are_given_by_question() {
        let payload = json!({
            "session_id": "6ba89d62-1d53-4f86-b55d-7ff62e7411a2",
            "hook_event_name": "PermissionRequest",
            "tool_name": QUESTION,
            "tool_input": {"questions": [{"question": "Which?", "options": [{"label": "Red"}]}]},
        });
        let payload = payload.to_string().into_bytes();
        let said = decision(&payload, &Decision::Answers(vec!["red.".to_owned()]));
        let said: Value = serde_json::from_str(&said.expect("an answer")).expect("JSON");
        let decision_of = &said["hookSpecificOutput"]["decision"];
        assert_eq!(decision_of["updatedInput"]["answers"]["Which?"], "Red");
        assert_eq!(decision(&payload, &Decision::Allow), None);
        let reported = report(Kind::Permission, &payload).expect("a report").event;
        assert!(matches!(reported, Reported::Form { call, .. } if call == "Which?"));
    }
}
