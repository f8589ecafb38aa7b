//! The Messages API in the words of the other one: what Claude Code sends is read as a request of the Responses API, and
//! what the model does about it is written as Claude Code expects it.
//!
//! Source: 2.1.197 and 2.1.332.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

/// Texts of the user's side that no user has written.
const OF_THE_PROGRAM: [&str; 2] = ["<system-reminder>", "[Request interrupted"];

/// Words of the program around what the user said within a turn.
const WITHIN: &str = "sent a new message while you were";

/// What the writing side must know of a request.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) model: Value,
    /// The working directory that the request names.
    directory: String,
    /// The file for the plan, in the plan mode.
    plan: String,
}

impl Asker {
    pub(super) fn of(body: &Value) -> Self {
        static DIRECTORY: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r#"[Ww]orking directory: ([^\\\n"]+)"#).expect("a valid pattern")
        });
        static PLAN: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"create your plan at (\S+\.md)").expect("a valid pattern")
        });
        let told = json!([body["system"], body["messages"]]).to_string();
        let directory = DIRECTORY.captures(&told).map(|found| found[1].to_owned());
        let plan = PLAN.captures(&told).map(|found| found[1].to_owned());
        Self {
            model: body["model"].clone(),
            directory: directory.unwrap_or_default(),
            plan: plan.unwrap_or_default(),
        }
    }

    /// A call as a tool of Claude Code and its input, in which `@plan@` stands for the file for the plan.
    pub(super) fn call(&self, item: &Value) -> (String, Value) {
        let name = item["name"].as_str().unwrap_or_default();
        if let Some(patch) = item["input"].as_str() {
            return self.write(patch);
        }
        let arguments = item["arguments"].as_str().unwrap_or("{}");
        let arguments = arguments.replace("@plan@", &self.plan);
        let arguments: Value = serde_json::from_str(&arguments).unwrap_or_default();
        match name {
            "shell" | "exec_command" | "shell_command" => {
                let command = &arguments["command"];
                let command = command.as_array().map_or(command, |words| &words[2]);
                let why = arguments["justification"].as_str();
                let description = why.unwrap_or("mock command");
                let mut input = json!({"command": command, "description": description});
                if arguments["background"] == true {
                    input["run_in_background"] = json!(true);
                }
                ("Bash".to_owned(), input)
            }
            "request_user_input" => {
                let questions = arguments["questions"].as_array().into_iter().flatten();
                let question = |question: &Value| {
                    json!({
                        "question": question["question"],
                        "header": question["header"],
                        "options": question["options"],
                        "multiSelect": false,
                    })
                };
                let questions: Vec<Value> = questions.map(question).collect();
                (
                    "AskUserQuestion".to_owned(),
                    json!({"questions": questions}),
                )
            }
            _ => (name.to_owned(), arguments),
        }
    }

    /// A patch that adds a file.
    fn write(&self, patch: &str) -> (String, Value) {
        let lines = patch.lines();
        let name = lines
            .clone()
            .find_map(|line| line.strip_prefix("*** Add File: "));
        let text = lines.filter_map(|line| line.strip_prefix('+'));
        let text: String = text.map(|line| format!("{line}\n")).collect();
        let path = format!("{}/{}", self.directory, name.unwrap_or_default());
        (
            "Write".to_owned(),
            json!({"file_path": path, "content": text}),
        )
    }
}

/// The request as one of the Responses API. Without tools it is a side request, which plays nothing.
pub(super) fn as_responses(body: &Value) -> Value {
    let mut input = Vec::new();
    for message in body["messages"].as_array().into_iter().flatten() {
        let role = &message["role"];
        let parts = match &message["content"] {
            Value::String(text) => vec![json!({"type": "text", "text": text})],
            parts => parts.as_array().cloned().unwrap_or_default(),
        };
        for part in parts {
            let text = part["text"].as_str().unwrap_or_default();
            match part["type"].as_str() {
                Some("text") if role == "assistant" => {
                    input.push(json!({"type": "message", "role": "assistant", "content": text}));
                }
                Some("text") if role == "user" => {
                    // A reminder too, but what a Stop hook says is answered, and what the user says within a turn.
                    let answered = ["Stop hook feedback:", WITHIN];
                    let answered = answered.iter().find_map(|words| text.find(words));
                    let text = answered.map_or(text, |at| &text[at..]);
                    if !OF_THE_PROGRAM.iter().any(|begin| text.starts_with(begin)) {
                        input.push(json!({"type": "message", "role": "user", "content": text}));
                    }
                }
                Some("tool_use") => input.push(json!({"type": "function_call"})),
                Some("tool_result") => input.push(json!({
                    "type": "function_call_output",
                    "output": part["content"],
                })),
                _ => {}
            }
        }
    }
    let mut responses = Map::new();
    responses.insert("input".to_owned(), json!(input));
    responses.insert("tools".to_owned(), body["tools"].clone());
    Value::Object(responses)
}

/// The answer to a side request, such as the one for a title.
pub(super) fn aside(body: &Value) -> Value {
    json!({
        "id": "msg_aside", "type": "message", "role": "assistant", "model": body["model"],
        "content": [{"type": "text", "text": "{\"title\": \"A task\"}"}],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    })
}
