//! The stream of `codex exec --json`.

use serde::Deserialize;
use serde_json::Value;

use super::super::requests::script_in;
use super::super::transcript::error_in;
use crate::agent::report::{Item, Line, Phase, TranscriptReader, TurnError, Usage, cut};

/// A reader of the stream. Its events do not name their turn: there is one.
#[derive(Debug, Default)]
pub(super) struct Reader {
    turn: Option<String>,
    /// What the agent said last.
    message: String,
}

/// An event: those of kinds that are not known have none of the fields.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    thread_id: Option<String>,
    item: Option<Value>,
    usage: Option<Counts>,
    error: Option<Words>,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Words {
    message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    input_tokens: u64,
    cached_input_tokens: Option<u64>,
    output_tokens: u64,
    reasoning_output_tokens: Option<u64>,
}

impl TranscriptReader for Reader {
    fn read(&mut self, line: &str) -> Vec<Line> {
        let Ok(event) = serde_json::from_str::<Event>(line) else {
            return Vec::new();
        };
        match event.kind.as_str() {
            "thread.started" => self.begin(event.thread_id),
            "turn.started" => self.turn_started(),
            "item.started" => event.item.map(|item| started(&item)).unwrap_or_default(),
            "item.completed" => {
                let item = event.item.unwrap_or_default();
                self.completed(&item)
            }
            "turn.completed" => self.turn_completed(&event.usage.unwrap_or_default()),
            "turn.failed" => self.turn_failed(event.error.and_then(|error| error.message)),
            "error" => event.message.map(Line::Trouble).into_iter().collect(),
            _ => Vec::new(),
        }
    }
}

impl Reader {
    fn begin(&mut self, thread: Option<String>) -> Vec<Line> {
        let Some(id) = thread.filter(|_| self.turn.is_none()) else {
            return Vec::new();
        };
        self.turn = Some(id.clone());
        vec![Line::Session {
            id,
            parent: None,
            name: None,
            version: None,
        }]
    }

    fn turn_started(&self) -> Vec<Line> {
        let turn = self
            .turn
            .clone()
            .map(|turn_id| Line::TurnStarted { turn_id });
        turn.into_iter().collect()
    }

    fn turn_completed(&mut self, counts: &Counts) -> Vec<Line> {
        let tokens = Line::Tokens(Usage {
            input_tokens: counts.input_tokens,
            output_tokens: counts.output_tokens,
            total_tokens: counts.input_tokens.saturating_add(counts.output_tokens),
            cached_input_tokens: counts.cached_input_tokens,
            cache_write_input_tokens: None,
            reasoning_output_tokens: counts.reasoning_output_tokens,
        });
        let message = std::mem::take(&mut self.message);
        // Nothing was sent to the model.
        let is_refused = message.is_empty() && counts.input_tokens == 0;
        let end = self.turn.clone().map(|turn_id| match is_refused {
            true => Line::TurnFailed {
                turn_id,
                error: Some(TurnError::blocked_prompt("")),
            },
            false => Line::TurnCompleted { turn_id, message },
        });
        std::iter::once(tokens).chain(end).collect()
    }

    fn turn_failed(&self, words: Option<String>) -> Vec<Line> {
        let failed = |turn_id| Line::TurnFailed {
            turn_id,
            error: words.as_deref().map(error_in),
        };
        self.turn.clone().map(failed).into_iter().collect()
    }

    fn completed(&mut self, item: &Value) -> Vec<Line> {
        let text = |name: &str| item[name].as_str().unwrap_or_default();
        let mut lines = Vec::new();
        let done = match text("type") {
            "agent_message" => {
                text("text").clone_into(&mut self.message);
                lines.push(Line::Said {
                    phase: Phase::Unknown,
                });
                Item::Message {
                    text: cut(text("text")),
                }
            }
            "command_execution" => {
                lines.push(Line::Returned {
                    call: text("id").to_owned(),
                    running: None,
                    refused: (text("status") == "declined").then(|| "declined".to_owned()),
                    made: None,
                });
                Item::Command {
                    command: cut(&script_in(text("command"))),
                    exit_code: item["exit_code"]
                        .as_i64()
                        .and_then(|code| code.try_into().ok()),
                    duration_ms: None,
                    outcome: text("status").to_owned(),
                }
            }
            "file_change" => {
                lines.push(Line::Called { command: None });
                file_change(item)
            }
            "mcp_tool_call" => {
                lines.push(Line::Called { command: None });
                Item::Tool {
                    name: cut(&format!("{}/{}", text("server"), text("tool"))),
                    outcome: text("status").to_owned(),
                }
            }
            // Thoughts, plans, searches, warnings.
            _ => return lines,
        };
        lines.push(Line::Item {
            id: text("id").to_owned(),
            item: done,
        });
        lines
    }
}

fn started(item: &Value) -> Vec<Line> {
    if item["type"] != "command_execution" {
        return Vec::new();
    }
    let call = item["id"].as_str().zip(item["command"].as_str());
    vec![Line::Called {
        command: call.map(|(id, command)| (id.to_owned(), script_in(command))),
    }]
}

fn file_change(item: &Value) -> Item {
    let changes = item["changes"].as_array().map_or(&[][..], Vec::as_slice);
    let paths = changes.iter().filter_map(|change| change["path"].as_str());
    Item::FileChange {
        paths: paths.take(Item::PATHS).map(cut).collect(),
        count: changes.len(),
        outcome: item["status"].as_str().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Vec<Line> {
        let mut reader = Reader::default();
        lines.iter().flat_map(|line| reader.read(line)).collect()
    }

    #[test]
    fn a_turn_is_told_from_its_begin_to_its_end() {
        let lines = read(&[
            r#"{"type":"thread.started","thread_id":"t"}"#,
            r#"{"type":"turn.started"}"#,
            r#"{"type":"item.started","item":{"id":"item_0","type":"command_execution","command":"/bin/bash -lc 'touch a'","status":"in_progress"}}"#,
            r#"{"type":"item.completed","item":{"id":"item_0","type":"command_execution","command":"/bin/bash -lc 'touch a'","exit_code":0,"status":"completed"}}"#,
            r#"{"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"Done."}}"#,
            r#"{"type":"turn.completed","usage":{"input_tokens":200,"cached_input_tokens":7,"output_tokens":40}}"#,
        ]);
        assert!(matches!(&lines[0], Line::Session { id, .. } if id == "t"));
        assert!(matches!(&lines[1], Line::TurnStarted { turn_id } if turn_id == "t"));
        let called = ("item_0".to_owned(), "touch a".to_owned());
        assert_eq!(
            lines[2],
            Line::Called {
                command: Some(called)
            }
        );
        assert!(
            matches!(&lines[4], Line::Item { item: Item::Command { command, exit_code: Some(0), .. }, .. } if command == "touch a")
        );
        let tokens = |line: &Line| match line {
            Line::Tokens(usage) => Some((usage.input_tokens, usage.total_tokens)),
            _ => None,
        };
        assert_eq!(lines.iter().find_map(tokens), Some((200, 240)));
        assert!(
            matches!(lines.last(), Some(Line::TurnCompleted { message, .. }) if message == "Done.")
        );
    }

    #[test]
    fn a_failed_turn_has_its_status() {
        let lines = read(&[
            r#"{"type":"thread.started","thread_id":"t"}"#,
            r#"{"type":"error","message":"Reconnecting... 1/5"}"#,
            r#"{"type":"turn.failed","error":{"message":"unexpected status 401 Unauthorized: no"}}"#,
        ]);
        assert_eq!(lines[1], Line::Trouble("Reconnecting... 1/5".to_owned()));
        let Some(Line::TurnFailed {
            error: Some(error), ..
        }) = lines.last()
        else {
            panic!("{lines:?}")
        };
        assert_eq!(error.http_status, Some(401));
    }

    #[test]
    fn nonsense_is_passed_over() {
        for line in [
            "",
            "WARNING: x",
            "{\"type\":7}",
            "[]",
            r#"{"type":"turn.completed"}"#,
            r#"{"type":"item.completed"}"#,
            r#"{"type":"item.completed","item":{"type":"novelty"}}"#,
            r#"{"type":"thread.started"}"#,
            r#"{"type":"never.heard.of"}"#,
        ] {
            let lines = read(&[line]);
            let is_harmless = |line: &Line| matches!(line, Line::Tokens(_));
            assert!(lines.iter().all(is_harmless), "{line}: {lines:?}");
        }
    }
}
