//! What the notifications and requests of an `app-server` mean.
//!
//! Source: codex 0.150.0 and 0.169.0, `tests/scenarios/requests.rs`; `tests/agent/requests_schema.rs` compares every field
//! that is read here with the schema of the installed versions.

use std::collections::{BTreeMap, HashMap};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::words::{
    Approval, Elicitation, Entry, Form, HookRun, OfThread, Permissions, Step, StepKind, Tokens,
    Turn, TurnStatus, Verdict,
};
use crate::agent::codex::transcript;
use crate::agent::conversation::Told;
use crate::agent::report::{Item, Line, Phase, TurnError, Usage, cut};
use crate::agent::screen_state::{AnswerOption, Inquiry};

/// A request of the server that waits for an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Open {
    /// `decision`: `accept` or `decline`.
    Decision,
    /// The permissions that are asked for are granted by naming them.
    Permissions(Value),
    /// `action`: `accept` or `decline`.
    Elicitation,
    /// The questions and their ids.
    Form(Vec<(String, Inquiry)>),
}

/// Turns messages into words. Knows what is under way.
#[derive(Debug, Default)]
pub(super) struct Teller {
    thread: String,
    /// The commands that run, by their items' ids.
    commands: BTreeMap<String, String>,
    /// The changes that are being made, by their items' ids.
    changes: HashMap<String, String>,
    /// The last thing that the agent said in this turn.
    message: Option<String>,
    /// Why a hook of the user's refused the prompt of this turn.
    blocked: Option<String>,
    /// Why one stopped something in this turn, if nothing was begun since.
    stopped: Option<String>,
}

impl Teller {
    pub(super) fn of(thread: &str) -> Self {
        Self {
            thread: thread.to_owned(),
            ..Self::default()
        }
    }

    /// What a notification says.
    pub(super) fn notification(&mut self, method: &str, params: Value) -> Vec<Told> {
        if params["threadId"] != self.thread.as_str() {
            // A sub-agent's turns are its own, but it may ask for an approval of its changes.
            if matches!(method, "item/started" | "item/completed")
                && let Some(step) = parse::<OfThread>(params).and_then(|of| of.item)
                && step.kind == StepKind::FileChange
            {
                self.note_change(method == "item/started", step);
            }
            return Vec::new();
        }
        match method {
            "turn/started" => parse::<OfThread>(params)
                .and_then(|of| of.turn)
                .map(|turn| self.begin(turn.id))
                .unwrap_or_default(),
            "turn/completed" => parse::<OfThread>(params)
                .and_then(|of| of.turn)
                .map(|turn| self.end(&turn))
                .unwrap_or_default(),
            "item/started" => parse::<OfThread>(params)
                .and_then(|of| of.item)
                .map(|item| self.step_began(item))
                .unwrap_or_default(),
            "item/completed" => parse::<OfThread>(params)
                .map(|of| self.step_ended(of))
                .unwrap_or_default(),
            "thread/tokenUsage/updated" => parse::<Tokens>(params)
                .map(|tokens| vec![Told::Line(Line::Tokens(tokens.into_usage()))])
                .unwrap_or_default(),
            "hook/completed" => {
                match parse::<HookRun>(params).and_then(HookRun::into_verdict) {
                    Some(Verdict::Refused(why)) => self.blocked = Some(why),
                    Some(Verdict::Stopped(why)) => self.stopped = Some(why),
                    None => {}
                }
                Vec::new()
            }
            // A final error comes with the turn's end.
            "error" if params["willRetry"] == true => {
                let message = params["error"]["message"].as_str();
                let trouble = message.map(|message| Told::Trouble(cut(message)));
                trouble.into_iter().collect()
            }
            "serverRequest/resolved" => vec![Told::Resolved {
                request: params["requestId"].to_string(),
            }],
            _ => Vec::new(),
        }
    }

    /// What a request asks, and how it is answered; `None` for a kind that is not served.
    pub(super) fn request(&self, id: &Value, method: &str, params: Value) -> Option<(Told, Open)> {
        let request = id.to_string();
        let approval = |command, reason| Told::Approval {
            request: request.clone(),
            command,
            reason,
        };
        match method {
            "item/commandExecution/requestApproval" => {
                let asked: Approval = parse(params)?;
                let command = asked
                    .raw_command()
                    .unwrap_or_else(|| "a command".to_owned());
                Some((approval(command, asked.reason), Open::Decision))
            }
            "item/fileChange/requestApproval" => {
                let asked: Approval = parse(params)?;
                let known = self.changes.get(&asked.item_id).cloned();
                let command = known.unwrap_or_else(|| "a change of files".to_owned());
                Some((approval(command, asked.reason), Open::Decision))
            }
            "item/permissions/requestApproval" => {
                let asked: Permissions = parse(params)?;
                let command = format!("more permissions: {}", asked.permissions);
                let open = Open::Permissions(asked.permissions);
                Some((approval(command, asked.reason), open))
            }
            "mcpServer/elicitation/request" => {
                let asked: Elicitation = parse(params)?;
                asked
                    .is_yes_or_no()
                    .then(|| (approval(asked.text(), None), Open::Elicitation))
            }
            "item/tool/requestUserInput" => {
                let form: Form = parse(params)?;
                let questions = form.questions.into_iter();
                let questions: Vec<(String, Inquiry)> = questions
                    .map(|asked| (asked.id.clone(), inquiry(asked)))
                    .collect();
                let inquiries = questions.iter().map(|(_, inquiry)| inquiry.clone());
                let (call, inquiries) = (request, inquiries.collect());
                let told = Told::Form { call, inquiries };
                (!questions.is_empty()).then_some((told, Open::Form(questions)))
            }
            _ => None,
        }
    }

    fn begin(&mut self, turn_id: String) -> Vec<Told> {
        (self.message, self.blocked, self.stopped) = (None, None, None);
        vec![Told::Line(Line::TurnStarted { turn_id })]
    }

    fn end(&mut self, turn: &Turn) -> Vec<Told> {
        let turn_id = turn.id.clone();
        // A command that ends later is told of later: it was left running.
        let left = self.commands.keys().map(|call| {
            Told::Line(Line::Returned {
                call: call.clone(),
                running: Some(call.clone()),
                refused: None,
                made: None,
            })
        });
        let mut told: Vec<Told> = left.collect();
        let message = turn.last_message().or(self.message.take());
        told.push(Told::Line(match turn.status {
            TurnStatus::Interrupted => match self.stopped.take() {
                Some(why) => Line::TurnFailed {
                    turn_id,
                    error: Some(TurnError::stopped_by_hook(&why)),
                },
                None => Line::TurnAborted {
                    turn_id: Some(turn_id),
                    reason: "interrupted".to_owned(),
                },
            },
            TurnStatus::Failed => Line::TurnFailed {
                turn_id,
                error: turn.error.as_ref().map(transcript::parse_error),
            },
            TurnStatus::InProgress | TurnStatus::Other => Line::TurnFailed {
                turn_id,
                error: Some(TurnError::new("codex ended the turn in an unknown way")),
            },
            TurnStatus::Completed => match (message, self.blocked.take()) {
                (None, Some(why)) => Line::TurnFailed {
                    turn_id,
                    error: Some(TurnError::blocked_prompt(&why)),
                },
                (message, _) => Line::TurnCompleted {
                    turn_id,
                    message: message.unwrap_or_default(),
                },
            },
        }));
        told
    }

    fn step_began(&mut self, step: Step) -> Vec<Told> {
        self.stopped = None;
        let command = match step.kind {
            StepKind::CommandExecution => {
                let command = step.raw_command().unwrap_or_default();
                self.commands.insert(step.id.clone(), command.clone());
                Some((step.id, command))
            }
            StepKind::FileChange => {
                self.note_change(true, step);
                None
            }
            kind if kind.is_a_tools() => None,
            _ => return Vec::new(),
        };
        vec![Told::Line(Line::Called { command })]
    }

    fn note_change(&mut self, began: bool, step: Step) {
        if began {
            let words = step.changed().join(", ");
            self.changes.insert(step.id, format!("change {words}"));
        } else {
            self.changes.remove(&step.id);
        }
    }

    fn step_ended(&mut self, of: OfThread) -> Vec<Told> {
        let Some(step) = of.item else {
            return Vec::new();
        };
        let outcome = step.status.clone().unwrap_or_default();
        match step.kind {
            StepKind::AgentMessage => {
                let text = step.text.unwrap_or_default();
                self.message = Some(text.clone()).filter(|text| !text.is_empty());
                let said = Told::Line(Line::Said {
                    phase: match step.phase.as_deref() {
                        Some("commentary") => Phase::Commentary,
                        Some("final_answer") => Phase::FinalAnswer,
                        _ => Phase::Unknown,
                    },
                });
                let item = Item::Message { text: cut(&text) };
                vec![said, Told::Item { id: step.id, item }]
            }
            StepKind::CommandExecution => {
                self.commands.remove(&step.id);
                let returned = Told::Line(Line::Returned {
                    call: step.id.clone(),
                    running: None,
                    refused: None,
                    made: None,
                });
                let ended = Told::Line(Line::Ended {
                    process: Some(step.id.clone()),
                });
                let item = Item::Command {
                    command: cut(&step.raw_command().unwrap_or_default()),
                    exit_code: step.exit_code,
                    duration_ms: step.duration_ms,
                    outcome,
                };
                vec![returned, ended, Told::Item { id: step.id, item }]
            }
            StepKind::FileChange => {
                self.changes.remove(&step.id);
                let mut paths = step.changed();
                let count = paths.len();
                paths.truncate(Item::PATHS);
                let item = Item::FileChange {
                    paths: paths.iter().map(|path| cut(path)).collect(),
                    count,
                    outcome,
                };
                vec![Told::Item { id: step.id, item }]
            }
            StepKind::McpToolCall | StepKind::DynamicToolCall => {
                let parts = [step.server, step.namespace, step.tool];
                let name: Vec<String> = parts.into_iter().flatten().collect();
                let name = cut(&name.join("/"));
                let item = Item::Tool { name, outcome };
                vec![Told::Item { id: step.id, item }]
            }
            StepKind::CollabAgentToolCall => {
                let made = step.receiver_thread_ids.first().cloned();
                let spawned = step.tool.as_deref() == Some("spawnAgent");
                vec![Told::Line(Line::Returned {
                    call: step.id,
                    running: None,
                    refused: None,
                    made: made.filter(|_| spawned).map(|id| (id.clone(), id)),
                })]
            }
            StepKind::UserMessage => vec![Told::Prompt {
                turn_id: of.turn_id.unwrap_or_default(),
                name: step.client_id.clone(),
                text: step.whole_text(),
            }],
            _ => Vec::new(),
        }
    }

    /// What a turn of a continued thread has told so far, and the names of its prompts.
    pub(super) fn recount(&mut self, turn: &Turn) -> (Vec<String>, Vec<Told>) {
        let mut told = self.begin(turn.id.clone());
        let steps = turn
            .items
            .iter()
            .filter_map(|item| parse::<Step>(item.clone()));
        let steps: Vec<Step> = steps.collect();
        let names = steps.iter().filter_map(|step| step.client_id.clone());
        let names = names.collect();
        for step in steps {
            let is_running = step.status.as_deref() == Some("inProgress");
            told.extend(self.step_began(step.clone()));
            if !is_running {
                let of = OfThread {
                    turn_id: Some(turn.id.clone()),
                    turn: None,
                    item: Some(step),
                };
                told.extend(self.step_ended(of));
            }
        }
        if !matches!(turn.status, TurnStatus::InProgress | TurnStatus::Other) {
            told.extend(self.end(turn));
        }
        (names, told)
    }
}

/// A message of another shape than the known versions have says nothing.
pub(super) fn parse<T: DeserializeOwned>(params: Value) -> Option<T> {
    match serde_json::from_value(params) {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            tracing::warn!(%error, "a message of the app-server has another shape");
            None
        }
    }
}

fn inquiry(asked: Entry) -> Inquiry {
    Inquiry {
        text: asked.question,
        options: asked
            .options
            .unwrap_or_default()
            .into_iter()
            .map(|option| AnswerOption {
                label: option.label,
                description: option.description,
            })
            .collect(),
    }
}

impl Tokens {
    fn into_usage(self) -> Usage {
        let total = self.token_usage.total;
        Usage {
            input_tokens: total.input_tokens,
            output_tokens: total.output_tokens,
            total_tokens: total.total_tokens,
            cached_input_tokens: total.cached_input_tokens,
            cache_write_input_tokens: None,
            reasoning_output_tokens: total.reasoning_output_tokens,
        }
    }
}
