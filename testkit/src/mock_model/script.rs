//! Scripts: what the model does request by request, told beforehand.
//!
//! A script is a JSON array of steps. It is named in a prompt (`[[play NAME]]`, queued with `MockModel::script`) or is
//! in it (`<<<steps [...]>>>`), and begins with that message, be it of the user, of a hook or of the agent that made this
//! one: a sub-agent whose message says `[[play child]]` plays that script. The step of a request is told by what the
//! model has done since; the last step is repeated. A step is an object with any of
//!
//! | field | effect |
//! |---|---|
//! | `"await": path`, `"sleep": s` | before the response |
//! | `"headers": {name: value}` | of the response: `x-codex-primary-used-percent` and such |
//! | `"http": status`, `"body": {}` | the request fails |
//! | `"pause": s` | after the response began |
//! | `"failed": {"code":…, "message":…}` | the response ends with that error |
//! | `"incomplete": reason` | the response ends incomplete |
//! | `"times": n` | a failing step fails n requests, then the next one is taken |
//! | `"note": text` | a message before the calls |
//! | `"shell": command`, `"escalate": why`, `"extra": {}` | a shell command; one that asks to leave the sandbox; more arguments |
//! | `"call": "NAME"` or `"SPACE/NAME"`, `"args": {}` | any other function |
//! | `"custom": name, "input": text` | a tool that takes text, such as `apply_patch` |
//! | `"calls": [step, …]` | several of these three in one response |
//! | `"say": text` | a message at the end |
//! | `"phase": p` | of the say; a note is `commentary` where the step has `"phase"` at all |
//! | `"stall": s` | after the texts and calls, before the response ends |
//! | `"cut": true` | the stream is cut before its end |
//! | `"usage": n` | the tokens of the request |
//! | `"end_turn": bool` | what the finished response says of the turn |

use std::io;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::asked::plain_text;
use super::directives::{named_call, shell_call};
use super::{Asked, Reply, Shared};

/// What the model does in one response.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Step {
    #[serde(rename = "await")]
    file: Option<String>,
    sleep: f64,
    headers: Map<String, Value>,
    http: Option<u16>,
    body: Option<Value>,
    pause: f64,
    failed: Option<Value>,
    incomplete: Option<String>,
    times: Option<u32>,
    note: Option<String>,
    calls: Vec<Call>,
    say: Option<String>,
    phase: Option<String>,
    stall: f64,
    cut: bool,
    usage: Option<u64>,
    end_turn: Option<bool>,
}

/// A call of a tool.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Call {
    Shell {
        shell: String,
        escalate: Option<String>,
        #[serde(default)]
        extra: Map<String, Value>,
    },
    Function {
        call: String,
        #[serde(default)]
        args: Value,
    },
    Custom {
        custom: String,
        input: String,
    },
}

/// The fields of a call; a step that makes one call only has them itself.
const CALL: [&str; 7] = [
    "shell", "escalate", "extra", "call", "args", "custom", "input",
];

/// Reads a script.
///
/// # Errors
/// It is not an array of steps; the text says why.
pub(super) fn parse(mut script: Value) -> Result<Arc<[Step]>, String> {
    for step in script.as_array_mut().into_iter().flatten() {
        let Some(fields) = step.as_object_mut() else {
            continue;
        };
        let call: Map<String, Value> = CALL
            .iter()
            .filter_map(|name| fields.remove_entry(*name))
            .collect();
        if !call.is_empty() {
            fields.insert("calls".to_owned(), json!([call]));
        }
    }
    let steps: Vec<Step> = serde_json::from_value(script).map_err(|error| error.to_string())?;
    match steps.is_empty() {
        true => Err("a script has one step at least".to_owned()),
        false => Ok(steps.into()),
    }
}

/// Where a script is.
#[derive(Debug)]
pub(super) enum Source {
    Named(String),
    Written(String),
}

/// A script that a message begins, and how far it was played.
#[derive(Debug)]
pub(super) struct Played {
    source: Source,
    /// Messages and calls of the model's since.
    items: usize,
}

/// The script of the newest message that names one; a directive of another kind ends the one before it.
pub(super) fn find(request: &Value) -> Option<Played> {
    let named = Regex::new(r"\[\[play\s+([\w-]+)\]\]").expect("a valid pattern");
    let written = Regex::new(r"(?s)<<<steps(.*?)>>>").expect("a valid pattern");
    let other = Regex::new(r"\[\[[a-z-]+[\s\]]").expect("a valid pattern");
    let mut items = 0;
    for item in request["input"].as_array()?.iter().rev() {
        let text = match item["type"].as_str()? {
            "function_call" | "custom_tool_call" => {
                items += 1;
                continue;
            }
            "message" if item["role"] == "assistant" => {
                items += 1;
                continue;
            }
            "message" if item["role"] == "user" => plain_text(&item["content"]),
            // What one agent tells another.
            "agent_message" => item.to_string(),
            _ => continue,
        };
        let source = if let Some(found) = named.captures(&text) {
            Source::Named(found[1].to_owned())
        } else if let Some(found) = written.captures(&text) {
            Source::Written(found[1].to_owned())
        } else if other.is_match(&text) {
            return None;
        } else {
            continue;
        };
        return Some(Played { source, items });
    }
    None
}

impl Played {
    /// Answers with the step whose turn it is; an invalid script ends the turn with the reason.
    pub(super) fn answer(&self, reply: &Reply, asked: &Asked, shared: &Shared) -> io::Result<()> {
        let steps = match shared.steps(&self.source) {
            Ok(steps) => steps,
            Err(why) => {
                reply.begin_events(&Map::new())?;
                reply.say(&format!("The script is invalid: {why}"), None)?;
                return reply.complete(100, json!({}));
            }
        };
        let at = self.place(&steps, shared);
        steps[at].answer(reply, asked, shared)
    }

    /// The first step that is not played yet; else the last one.
    fn place(&self, steps: &[Step], shared: &Shared) -> usize {
        let mut left = self.items;
        for (at, step) in steps.iter().enumerate() {
            match step.items() {
                // It leaves nothing behind, so that it is counted here.
                0 => {
                    let key = (format!("{:?}", self.source), at);
                    let mut state = shared.state();
                    let failures = state.failures.entry(key).or_default();
                    if step.times.is_none_or(|times| *failures < times) {
                        *failures += 1;
                        return at;
                    }
                }
                items if items > left => return at,
                items => left -= items,
            }
        }
        steps.len() - 1
    }
}

impl Step {
    /// So many messages and calls it leaves in the conversation; none where it fails.
    fn items(&self) -> usize {
        let fails = self.http.is_some() || self.failed.is_some() || self.incomplete.is_some();
        if fails || self.cut {
            return 0;
        }
        usize::from(self.note.is_some()) + self.calls.len() + usize::from(self.say.is_some())
    }

    fn answer(&self, reply: &Reply, asked: &Asked, shared: &Shared) -> io::Result<()> {
        let awaited = self
            .file
            .as_deref()
            .is_none_or(|file| shared.wait_for_file(file));
        if !awaited || !shared.sleep(seconds(self.sleep)) {
            return Ok(());
        }
        if let Some(status) = self.http {
            let error =
                json!({"error": {"message": "mock failure", "type": "mock", "code": "mock"}});
            return reply.fail(status, self.body.as_ref().unwrap_or(&error), &self.headers);
        }
        reply.begin_events(&self.headers)?;
        if !shared.sleep(seconds(self.pause)) {
            return Ok(());
        }
        if let Some(error) = &self.failed {
            return reply.event("response.failed", json!({"response": {"error": error}}));
        }
        if let Some(note) = &self.note {
            reply.say(note, self.phase.as_ref().map(|_| "commentary"))?;
        }
        if let Some(reason) = &self.incomplete {
            let response = json!({"response": {"incomplete_details": {"reason": reason}}});
            return reply.event("response.incomplete", response);
        }
        for call in &self.calls {
            reply.call(call.item(asked))?;
        }
        match &self.say {
            Some(text) if self.cut => return reply.begin_message(text).map(drop),
            Some(text) => reply.say(text, self.phase.as_deref())?,
            None if self.cut => return Ok(()),
            None => {}
        }
        if !shared.sleep(seconds(self.stall)) {
            return Ok(());
        }
        let told = self
            .end_turn
            .map_or(json!({}), |end| json!({"end_turn": end}));
        reply.complete(self.usage.unwrap_or(100), told)
    }
}

impl Call {
    fn item(&self, asked: &Asked) -> Value {
        match self {
            Call::Shell {
                shell,
                escalate,
                extra,
            } => {
                let mut item = shell_call(asked, shell, escalate.as_deref());
                let arguments = item["arguments"].as_str().map(serde_json::from_str);
                if let Some(Ok(Value::Object(mut arguments))) = arguments {
                    arguments.extend(extra.clone());
                    item["arguments"] = json!(Value::Object(arguments).to_string());
                }
                item
            }
            Call::Function { call, args } if args.is_null() => named_call(call, "{}"),
            Call::Function { call, args } => named_call(call, &args.to_string()),
            Call::Custom { custom, input } => {
                json!({"type": "custom_tool_call", "name": custom, "input": input})
            }
        }
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
