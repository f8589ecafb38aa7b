//! Claude Code's transcript: one JSON object a line.
//!
//! The lines of a turn do not name it; only its prompt does. So a reader remembers which turn runs, what was said last, and
//! the tokens of each message: a message is written as a line for each of its parts, each with the same count.
//!
//! Source: 2.1.197 and 2.1.332.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use items::Calls;

use super::counted::Counted;
use super::payload::{QUESTION, call_of, failure, inquiries, wish};
use crate::agent::report::{Line, Phase, TranscriptReader};

mod items;

/// A reader of a transcript.
#[derive(Debug, Default)]
pub(super) struct Reader {
    session: Option<String>,
    /// The turn that runs.
    turn: Option<String>,
    /// What the agent said last in it.
    message: String,
    counted: Counted,
    /// The tools by which the agent asks that are open: the name of the form, by the call.
    forms: HashMap<String, String>,
    /// What works on beside the turns: commands and sub-agents.
    at_work: HashSet<String>,
    calls: Calls,
}

impl TranscriptReader for Reader {
    fn read(&mut self, line: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            return lines;
        };
        // A sub-agent's, where a version writes it into the same file.
        let is_aside = line["isSidechain"] == true;
        match line["type"].as_str() {
            Some("assistant") => {
                self.introduce(&line, &mut lines);
                lines.extend(self.counted.add(&line["message"]).map(Line::Tokens));
                if !is_aside {
                    self.take_message(&line, &mut lines);
                }
            }
            Some("user") if !is_aside => {
                self.introduce(&line, &mut lines);
                self.take_user(&line, &mut lines);
            }
            Some("attachment") if !is_aside => self.take_notice(&line["attachment"], &mut lines),
            Some("system") if line["subtype"] == "turn_duration" && !is_aside => {
                lines.extend(self.turn.take().map(|turn_id| Line::TurnCompleted {
                    turn_id,
                    message: std::mem::take(&mut self.message),
                }));
            }
            Some("system") if line["subtype"] == "informational" && !is_aside => {
                self.introduce(&line, &mut lines);
                let reason = line["content"].as_str().and_then(refusal_in);
                lines.extend(reason.map(|reason| Line::Refused { reason }));
            }
            _ => {}
        }
        lines
    }
}

/// Why a hook for prompts refused one, in the words that the program tells the user.
///
/// Source: 2.1.197 and 2.1.332, whose transcript has no other trace of such a prompt.
fn refusal_in(told: &str) -> Option<String> {
    if let Some(reason) = told.strip_prefix("Operation stopped by hook:") {
        return Some(reason.trim().to_owned());
    }
    let told = told.strip_prefix("UserPromptSubmit operation blocked by hook:\n")?;
    let end = told.find("\n\nOriginal prompt:").unwrap_or(told.len());
    let reason = told[..end].trim();
    // A hook that blocks by its status is named before what it said.
    let said = reason
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "));
    Some(said.map_or(reason, |(_, said)| said).to_owned())
}

impl Reader {
    /// Names the session, once.
    fn introduce(&mut self, line: &Value, lines: &mut Vec<Line>) {
        let Some(id) = line["sessionId"].as_str() else {
            return;
        };
        if self.session.is_none() {
            self.session = Some(id.to_owned());
            lines.push(Line::Session {
                id: id.to_owned(),
                parent: None,
                name: None,
                version: line["version"].as_str().map(str::to_owned),
            });
        }
    }

    fn take_message(&mut self, line: &Value, lines: &mut Vec<Line>) {
        let message = &line["message"];
        let parts = message["content"].as_array().into_iter().flatten();
        let texts = parts.clone().filter(|part| part["type"] == "text");
        let texts: Vec<&str> = texts.filter_map(|part| part["text"].as_str()).collect();
        if line["isApiErrorMessage"] == true {
            let text = |name: &str| line[name].as_str().map(str::to_owned);
            let mut error = failure(text("error"), Some(texts.join("\n")), None);
            if text("apiError").as_deref() == Some("usage_limit_reached") {
                error.kind = Some("usage_limit_exceeded".to_owned());
            }
            let status = line["apiErrorStatus"].as_u64();
            error.http_status = status
                .and_then(|status| status.try_into().ok())
                .or(error.http_status);
            lines.extend(self.turn.take().map(|turn_id| Line::TurnFailed {
                turn_id,
                error: Some(error),
            }));
            return;
        }
        if message["model"] == "<synthetic>" {
            return;
        }
        if !texts.is_empty() {
            self.message = texts.join("\n");
            // Every last message has the reason `end_turn`: that says nothing about its part.
            lines.push(Line::Said {
                phase: Phase::Unknown,
            });
        }
        for part in parts.filter(|part| part["type"] == "tool_use") {
            let (Some(id), Some(tool)) = (part["id"].as_str(), part["name"].as_str()) else {
                continue;
            };
            let form = inquiries(&part["input"]).filter(|_| tool == QUESTION);
            lines.push(match form {
                Some(inquiries) => {
                    let call = call_of(&inquiries);
                    self.forms.insert(id.to_owned(), call.clone());
                    Line::Inquired {
                        call,
                        inquiries,
                        is_hooked: true,
                    }
                }
                None => {
                    self.calls.begin(line, part);
                    Line::Called {
                        command: Some((id.to_owned(), wish(tool, &part["input"]))),
                    }
                }
            });
        }
    }

    fn take_user(&mut self, line: &Value, lines: &mut Vec<Line>) {
        let content = &line["message"]["content"];
        let parts: Vec<&Value> = content.as_array().into_iter().flatten().collect();
        let is_result = |part: &&&Value| part["type"] == "tool_result";
        for part in parts.iter().filter(is_result) {
            self.take_result(line, part, lines);
        }
        if parts.iter().any(|part| is_result(&part)) || line["isMeta"] == true {
            return;
        }
        let texts = parts.iter().filter_map(|part| part["text"].as_str());
        let text = content
            .as_str()
            .map_or_else(|| texts.collect::<Vec<_>>().join("\n"), str::to_owned);
        if text.starts_with("[Request interrupted by user") {
            lines.push(Line::TurnAborted {
                turn_id: self.turn.take(),
                reason: "interrupted".to_owned(),
            });
            return;
        }
        // A command of the program's own is no turn, and nothing tells of its end; nor is what a compaction leaves.
        let is_command = ["<command-name>/", "<local-command-"]
            .iter()
            .any(|begin| text.starts_with(begin));
        if is_command || line["isCompactSummary"] == true {
            return;
        }
        let Some(turn_id) = line["promptId"].as_str() else {
            return;
        };
        if self.turn.as_deref() != Some(turn_id) {
            self.turn = Some(turn_id.to_owned());
            self.message.clear();
            lines.push(Line::TurnStarted {
                turn_id: turn_id.to_owned(),
            });
        }
        self.end_of_task(&text, lines);
    }

    /// What is said to the agent within a turn: that a task has ended, or what the user typed in the meantime. Where it begins a
    /// turn, it is a prompt.
    fn take_notice(&mut self, attachment: &Value, lines: &mut Vec<Line>) {
        let Some(text) = attachment["prompt"].as_str() else {
            return;
        };
        self.end_of_task(text, lines);
        if attachment["type"] == "queued_command" && attachment["commandMode"] == "prompt" {
            let text = text.to_owned();
            lines.push(Line::Steered { text });
        }
    }

    /// Reads which task has ended, after the turn that its end begins: without that turn the work would seem to be over.
    fn end_of_task(&mut self, text: &str, lines: &mut Vec<Line>) {
        let id = text
            .split_once("<task-id>")
            .and_then(|(_, rest)| rest.split_once("</task-id>"));
        if let Some((id, _)) = id
            && self.at_work.remove(id)
        {
            lines.push(Line::Ended {
                process: Some(id.to_owned()),
            });
        }
    }

    fn take_result(&mut self, line: &Value, part: &Value, lines: &mut Vec<Line>) {
        let Some(id) = part["tool_use_id"].as_str() else {
            return;
        };
        let result = &line["toolUseResult"];
        let running = result["backgroundTaskId"].as_str();
        let running = running.or_else(|| {
            let is_async = result["isAsync"] == true;
            result["agentId"].as_str().filter(|_| is_async)
        });
        if let Some(task) = running {
            self.at_work.insert(task.to_owned());
            // This version tells of a task's end.
            lines.push(Line::Ended { process: None });
        }
        let words = || match &part["content"] {
            Value::String(text) => text.clone(),
            parts => {
                let parts = parts.as_array().into_iter().flatten();
                let texts = parts.filter_map(|part| part["text"].as_str());
                texts.collect::<Vec<_>>().join("\n")
            }
        };
        let decision = line["permissionDecision"]["decision"].as_str();
        let refused = matches!(decision, Some("reject" | "deny")).then(words);
        lines.push(Line::Returned {
            call: self.forms.remove(id).unwrap_or_else(|| id.to_owned()),
            running: running.map(str::to_owned),
            refused,
            made: None,
        });
        lines.extend(self.calls.end(line, part));
    }
}

/// The transcripts of the session's sub-agents, whose tokens are the session's too.
pub(super) fn beside(own: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(own.with_extension("").join("subagents"));
    let paths = files
        .into_iter()
        .flatten()
        .flatten()
        .map(|file| file.path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_from_the_words() {
        let blocked = "UserPromptSubmit operation blocked by hook:\n";
        let by_status = format!("{blocked}[sh /a/hook]: no tickets\n\n\nOriginal prompt: x");
        assert_eq!(refusal_in(&by_status).as_deref(), Some("no tickets"));
        let by_word = format!("{blocked}no tickets\n\nOriginal prompt: x");
        assert_eq!(refusal_in(&by_word).as_deref(), Some("no tickets"));
        let stopped = refusal_in("Operation stopped by hook: it is night");
        assert_eq!(stopped.as_deref(), Some("it is night"));
        assert_eq!(refusal_in("Compacted"), None);
    }
}
