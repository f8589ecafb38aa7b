//! The stream of `claude -p --output-format stream-json --verbose`.
//!
//! A `result` ends a turn. What the turn left at work may have the program begin another by itself, so that there can be
//! several; the program ends after the last. Source: 2.1.197 and 2.1.332.

use std::collections::HashMap;

use serde_json::Value;

use super::super::counted::Counted;
use super::super::payload::{failure, wish};
use crate::agent::report::{Item, Line, Phase, TranscriptReader, TurnError, Usage, cut};

/// Since when the program asks a permission's hook without a terminal. Source: 2.1.197 does not.
pub(super) const ASKING_HOOKS: &str = "2.1.329";

/// Whether a program of that version asks a permission's hook.
pub(super) fn asks_hooks(version: &str) -> bool {
    numbers(version) >= numbers(ASKING_HOOKS)
}

fn numbers(version: &str) -> Vec<u32> {
    let parts = version.split('.');
    parts.map(|part| part.parse().unwrap_or(0)).collect()
}

/// A reader of the stream. Its events do not name their turn.
#[derive(Debug, Default)]
pub(super) struct Reader {
    session: Option<String>,
    /// The turns that began.
    turns: u32,
    /// Whether the last of them has not ended.
    in_turn: bool,
    /// Whether an approval may be asked for, so that one that is refused is worth a word.
    may_ask: bool,
    /// The program's name of the error that the turn ends with.
    error: Option<String>,
    /// The tools that were called and have not returned.
    open: HashMap<String, (String, Value)>,
    /// The tokens, those of sub-agents included. A turn's end tells them whole, an answer's event as far as they are known then.
    counted: Counted,
}

impl TranscriptReader for Reader {
    fn read(&mut self, line: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            return lines;
        };
        // A sub-agent's.
        let is_aside = event["parent_tool_use_id"].is_string();
        match (event["type"].as_str(), event["subtype"].as_str()) {
            (Some("system"), Some("init")) => self.begin(&event, &mut lines),
            (Some("system"), Some("api_retry")) => lines.push(trouble(&event)),
            (Some("system"), Some("informational")) => self.inform(&event, &mut lines),
            (Some("assistant"), _) => {
                lines.extend(self.counted.add(&event["message"]).map(Line::Tokens));
                if !is_aside {
                    self.take_message(&event, &mut lines);
                }
            }
            (Some("user"), _) if !is_aside => self.take_results(&event["message"], &mut lines),
            (Some("result"), subtype) => self.end(&event, subtype, &mut lines),
            _ => {}
        }
        lines
    }
}

impl Reader {
    fn turn_id(&self) -> String {
        format!(
            "{}-{}",
            self.session.as_deref().unwrap_or_default(),
            self.turns
        )
    }

    fn begin(&mut self, event: &Value, lines: &mut Vec<Line>) {
        let Some(session) = event["session_id"].as_str() else {
            return;
        };
        if self.session.is_none() {
            let version = event["claude_code_version"].as_str();
            self.may_ask = event["permissionMode"] != "dontAsk";
            self.session = Some(session.to_owned());
            lines.push(Line::Session {
                id: session.to_owned(),
                parent: None,
                name: None,
                version: version.map(str::to_owned),
            });
        }
        self.begin_turn(lines);
    }

    fn begin_turn(&mut self, lines: &mut Vec<Line>) {
        if !self.in_turn && self.session.is_some() {
            (self.in_turn, self.error) = (true, None);
            self.turns += 1;
            lines.push(Line::TurnStarted {
                turn_id: self.turn_id(),
            });
        }
    }

    /// A hook of the user's refused the prompt.
    fn inform(&mut self, event: &Value, lines: &mut Vec<Line>) {
        let text = event["content"].as_str().unwrap_or_default();
        if event["prevent_continuation"] == true && text.contains("blocked by hook") && self.in_turn
        {
            let reason = text.split("\n\nOriginal prompt:").next().unwrap_or(text);
            self.in_turn = false;
            lines.push(Line::TurnFailed {
                turn_id: self.turn_id(),
                error: Some(TurnError::blocked_prompt(reason.trim())),
            });
        }
    }

    fn take_message(&mut self, event: &Value, lines: &mut Vec<Line>) {
        let message = &event["message"];
        if let Some(error) = event["error"].as_str() {
            self.error = Some(error.to_owned());
        }
        let id = message["id"].as_str().unwrap_or_default();
        for part in message["content"].as_array().into_iter().flatten() {
            match part["type"].as_str() {
                Some("text") => {
                    let text = part["text"].as_str().unwrap_or_default();
                    lines.push(Line::Said {
                        phase: Phase::Unknown,
                    });
                    lines.push(Line::Item {
                        id: format!("{id}-text"),
                        item: Item::Message { text: cut(text) },
                    });
                }
                Some("tool_use") => self.call(part, lines),
                _ => {}
            }
        }
    }

    fn call(&mut self, part: &Value, lines: &mut Vec<Line>) {
        let (Some(id), Some(tool)) = (part["id"].as_str(), part["name"].as_str()) else {
            return;
        };
        let command = (tool == "Bash").then(|| (id.to_owned(), wish(tool, &part["input"])));
        lines.push(Line::Called { command });
        self.open
            .insert(id.to_owned(), (tool.to_owned(), part["input"].clone()));
    }

    fn take_results(&mut self, message: &Value, lines: &mut Vec<Line>) {
        for part in message["content"].as_array().into_iter().flatten() {
            let id = part["tool_use_id"].as_str().unwrap_or_default();
            let Some((tool, input)) = self.open.remove(id) else {
                continue;
            };
            let has_failed = part["is_error"] == true;
            let outcome = if has_failed { "failed" } else { "completed" };
            lines.push(Line::Returned {
                call: id.to_owned(),
                running: None,
                refused: None,
                made: None,
            });
            lines.push(Line::Item {
                id: id.to_owned(),
                item: step(&tool, &input, outcome),
            });
        }
    }

    fn end(&mut self, event: &Value, subtype: Option<&str>, lines: &mut Vec<Line>) {
        if let Some(told) = usage(&event["modelUsage"]) {
            self.counted.settle(told);
            lines.push(Line::Tokens(told));
        }
        // The end of a prompt that a hook refused is told already.
        if event["num_turns"] == 0 && event["is_error"] == false && !self.in_turn {
            return;
        }
        self.begin_turn(lines);
        if !std::mem::take(&mut self.in_turn) {
            return;
        }
        let turn_id = self.turn_id();
        let message = event["result"].as_str();
        if event["is_error"] == true {
            let kind = self.error.take();
            let kind =
                kind.or_else(|| subtype.filter(|name| *name != "success").map(str::to_owned));
            let words = event["errors"].as_array().map(|errors| {
                let errors = errors.iter().filter_map(Value::as_str);
                errors.collect::<Vec<_>>().join("; ")
            });
            let told = message
                .map(str::to_owned)
                .or(words)
                .filter(|text| !text.is_empty());
            let mut error = failure(kind, told, None);
            let status = event["api_error_status"].as_u64();
            let status = status.and_then(|status| u16::try_from(status).ok());
            error.http_status = status.or(error.http_status);
            lines.push(Line::TurnFailed {
                turn_id,
                error: Some(error),
            });
            return;
        }
        let denials = event["permission_denials"].as_array();
        for denial in denials.into_iter().flatten().filter(|_| self.may_ask) {
            let tool = denial["tool_name"].as_str().unwrap_or_default();
            lines.push(Line::Denied {
                command: wish(tool, &denial["tool_input"]),
            });
        }
        lines.push(Line::TurnCompleted {
            turn_id,
            message: message.unwrap_or_default().to_owned(),
        });
    }
}

fn trouble(event: &Value) -> Line {
    let error = event["error"].as_str().unwrap_or("an error");
    let attempt = event["attempt"].as_u64().unwrap_or_default();
    let status = event["error_status"].as_u64();
    let status = status.map_or_else(String::new, |status| format!(" {status}"));
    Line::Trouble(format!("{error}{status}, attempt {attempt} again"))
}

fn step(tool: &str, input: &Value, outcome: &str) -> Item {
    let outcome = outcome.to_owned();
    match (tool, input["file_path"].as_str()) {
        ("Bash", _) => Item::Command {
            command: cut(&wish(tool, input)),
            exit_code: None,
            duration_ms: None,
            outcome,
        },
        ("Edit" | "Write" | "MultiEdit" | "NotebookEdit", Some(path)) => Item::FileChange {
            paths: vec![cut(path)],
            count: 1,
            outcome,
        },
        _ => Item::Tool {
            name: cut(tool),
            outcome,
        },
    }
}

/// The tokens of all models so far, those of sub-agents included.
fn usage(models: &Value) -> Option<Usage> {
    let models = models.as_object().filter(|models| !models.is_empty())?;
    let sum = |name: &str| {
        let counts = models.values().filter_map(|model| model[name].as_u64());
        counts.fold(0, u64::saturating_add)
    };
    let (read, written) = (sum("cacheReadInputTokens"), sum("cacheCreationInputTokens"));
    let input = sum("inputTokens")
        .saturating_add(read)
        .saturating_add(written);
    let output = sum("outputTokens");
    Some(Usage {
        input_tokens: input,
        output_tokens: output,
        total_tokens: input.saturating_add(output),
        cached_input_tokens: Some(read),
        cache_write_input_tokens: Some(written),
        reasoning_output_tokens: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INIT: &str = r#"{"type":"system","subtype":"init","session_id":"s","claude_code_version":"2.1.332","permissionMode":"acceptEdits"}"#;

    fn read(lines: &[&str]) -> Vec<Line> {
        let mut reader = Reader::default();
        lines.iter().flat_map(|line| reader.read(line)).collect()
    }

    #[test]
    fn each_result_ends_a_turn() {
        let result = |text: &str, input: u64| {
            format!(
                r#"{{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"{text}","permission_denials":[],"modelUsage":{{"m":{{"inputTokens":{input},"outputTokens":2,"cacheReadInputTokens":3,"cacheCreationInputTokens":4}}}}}}"#
            )
        };
        let lines = read(&[INIT, INIT, &result("one", 100), &result("two", 200)]);
        let ends: Vec<_> = lines
            .iter()
            .filter_map(|line| match line {
                Line::TurnCompleted { turn_id, message } => {
                    Some((turn_id.as_str(), message.as_str()))
                }
                _ => None,
            })
            .collect();
        assert_eq!(ends, [("s-1", "one"), ("s-2", "two")]);
        let begun = lines
            .iter()
            .filter(|line| matches!(line, Line::TurnStarted { .. }));
        assert_eq!(begun.count(), 2);
        let Some(Line::Tokens(usage)) = lines.iter().rfind(|line| matches!(line, Line::Tokens(_)))
        else {
            panic!("{lines:?}")
        };
        assert_eq!((usage.input_tokens, usage.total_tokens), (207, 209));
        assert_eq!(usage.cache_write_input_tokens, Some(4));
    }

    #[test]
    fn a_failure_has_its_kind_and_status() {
        let lines = read(&[
            INIT,
            r#"{"type":"assistant","parent_tool_use_id":null,"error":"rate_limit","message":{"id":"m","content":[{"type":"text","text":"API Error: 429 x"}]}}"#,
            r#"{"type":"result","subtype":"success","is_error":true,"num_turns":1,"api_error_status":429,"result":"API Error: 429 x"}"#,
        ]);
        let Some(Line::TurnFailed {
            error: Some(error), ..
        }) = lines.last()
        else {
            panic!("{lines:?}")
        };
        assert_eq!(error.kind.as_deref(), Some("rate_limit"));
        assert_eq!(error.http_status, Some(429));
        let lines = read(&[
            INIT,
            r#"{"type":"result","subtype":"error_max_turns","is_error":true,"num_turns":3}"#,
        ]);
        let kind = |line: &Line| match line {
            Line::TurnFailed { error, .. } => error.as_ref()?.kind.clone(),
            _ => None,
        };
        let kinds: Vec<_> = lines.iter().filter_map(kind).collect();
        assert_eq!(kinds, ["error_max_turns"]);
    }

    #[test]
    fn a_refused_approval_is_told_where_one_may_be_asked_for() {
        let result = r#"{"type":"result","is_error":false,"num_turns":2,"result":"x","permission_denials":[{"tool_name":"Bash","tool_input":{"command":"touch a"}}]}"#;
        let denied = |init: &str| {
            let is_denied =
                |line: &Line| matches!(line, Line::Denied { command } if command == "touch a");
            read(&[init, result]).iter().any(is_denied)
        };
        assert!(denied(INIT) && !denied(&INIT.replace("acceptEdits", "dontAsk")));
        assert!(asks_hooks("2.1.332") && !asks_hooks("2.1.197"));
    }

    #[test]
    fn what_a_sub_agent_does_is_not_the_agents() {
        let lines = read(&[
            INIT,
            r#"{"type":"assistant","parent_tool_use_id":"t","message":{"id":"m","content":[{"type":"tool_use","id":"u","name":"Bash","input":{"command":"ls"}}]}}"#,
        ]);
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn nonsense_is_passed_over() {
        for line in [
            "",
            "Error: x",
            "[]",
            "7",
            r#"{"type":"result"}"#,
            r#"{"type":"user"}"#,
        ] {
            assert_eq!(read(&[line]), [], "{line}");
        }
    }
}
