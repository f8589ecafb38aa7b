//! What a request asks for.

use regex::Regex;
use serde_json::Value;

use super::CONTEXT_MARKS;

/// What one request asks of the model.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The newest message of the user.
    pub(super) text: String,
    /// What a tool returned after that message.
    pub(super) tool_output: Option<String>,
    /// The tools that the model may call, by name.
    pub(super) tools: Vec<String>,
}

impl Asked {
    pub(super) fn read(body: &Value) -> Asked {
        let list = |name: &str| body[name].as_array().map_or(&[][..], Vec::as_slice);
        let mut asked = Asked {
            tools: list("tools").iter().filter_map(tool_name).collect(),
            ..Asked::default()
        };
        for item in list("input").iter().rev() {
            match item["type"].as_str() {
                Some("function_call_output" | "custom_tool_call_output") => {
                    asked
                        .tool_output
                        .get_or_insert_with(|| plain_text(&item["output"]));
                }
                Some("message") if item["role"] == "user" => {
                    let text = plain_text(&item["content"]);
                    if !CONTEXT_MARKS.iter().any(|mark| text.starts_with(mark)) {
                        asked.text = text;
                        break;
                    }
                }
                _ => {}
            }
        }
        asked
    }

    /// Whether the model may call that tool.
    pub(super) fn offers(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| tool == name)
    }

    /// The argument of `[[name argument]]`: "" for a bare `[[name]]`, `None` without one.
    pub(super) fn directive(&self, name: &str) -> Option<&str> {
        let pattern = Regex::new(&format!(r"(?s)\[\[{name}(?:\s+(.*?))?\]\]"))
            .expect("the names of the directives are plain words");
        let found = pattern.captures(&self.text)?;
        Some(found.get(1).map_or("", |argument| argument.as_str()))
    }
}

fn tool_name(tool: &Value) -> Option<String> {
    let name = tool["name"].as_str().or(tool["type"].as_str());
    name.map(str::to_owned)
}

/// The text of a content list or of a plain string.
pub(super) fn plain_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect(),
        other => other.to_string(),
    }
}
