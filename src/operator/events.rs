//! The events of a run as other programs are told of them: typed, numbered, one JSON object each.

use std::path::PathBuf;

use serde::Serialize;

use crate::agent::conversation::Drive;
use crate::agent::report::{Item, Usage};
use crate::agent::screen_state::AnswerOption;
use crate::policy::Action;
use crate::record::journal::{self, Entry, Numbered, Progress};
use crate::record::{Failure, Pending, RunDir, Status};
use crate::task::question::QuestionKind;

/// An event of a run, as `cx-operator events --json` prints it.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunEvent {
    /// The version of the format: 1.
    pub schema_version: u32,
    /// Its number within the run, from 1: greater than those before, with gaps.
    pub seq: u64,
    /// The run's id.
    pub run_id: String,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// What.
    #[serde(flatten)]
    pub event: Happening,
}

/// What happened.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Happening {
    /// The run has a directory and a record.
    Started {
        /// The task's name.
        task: String,
        /// The repository's root.
        repository: PathBuf,
        /// The commit that it starts from.
        base_commit: String,
        /// The agent's version.
        agent_version: String,
    },
    /// Another operator took the run over.
    TakenOver {
        /// Its process.
        operator_pid: u32,
    },
    /// The agent's program was started.
    Launched {
        /// The way in which it is driven.
        drive: Drive,
    },
    /// A dialog of the agent's program was answered by a key.
    Dialog {
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// The agent has the prompt of a turn, with proof.
    Submitted {
        /// The turn, from 1.
        turn: u32,
        /// The agent's session.
        session_id: String,
    },
    /// The agent used a tool, and is done with it.
    Tool {
        /// The turn.
        turn: u32,
        /// `command`, `edit`, or the tool's name.
        name: String,
        /// The command.
        #[serde(skip_serializing_if = "Option::is_none")]
        command: Option<String>,
        /// The files that were changed; the first 50.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        files: Vec<String>,
        /// The exit status of a command.
        #[serde(skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
        /// How long it took, in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
        /// The agent's word for how it went: `completed`, `failed`, `declined`, …
        outcome: String,
    },
    /// The agent said something on its way.
    Message {
        /// The turn.
        turn: u32,
        /// The text.
        text: String,
    },
    /// The tokens of the session so far.
    Tokens {
        /// The turn.
        turn: u32,
        /// The tokens.
        usage: Usage,
    },
    /// A turn ended.
    TurnEnded {
        /// The turn.
        turn: u32,
        /// How its message was read: `result`, `question`, `permission`, `status` or `unclear`.
        verdict: String,
        /// The message.
        message: Option<String>,
    },
    /// A turn failed or was cut short.
    TurnFailed {
        /// The turn.
        turn: u32,
        /// Why.
        message: String,
    },
    /// The agent asks a question.
    Question(Asked),
    /// The agent asks for an approval.
    Permission(Asked),
    /// The run waits for the answer to a question: `reply` gives it.
    Waiting {
        /// The turn.
        turn: u32,
        /// The question's id.
        id: String,
        /// Until when, RFC 3339.
        until: String,
    },
    /// The run's policy decided.
    Decided {
        /// The turn.
        turn: u32,
        /// The agent's name of the tool.
        tool: String,
        /// The command, or the tool and what it is about.
        command: String,
        /// `allow`, `deny` or `ask`.
        action: Action,
        /// The rule that says it, or `default`.
        rule: String,
    },
    /// The agent was answered.
    Reply {
        /// The turn.
        turn: u32,
        /// By whom: `message`, `answers`, `command`, `policy`, `operator`, `person`, …
        by: String,
        /// What was asked.
        question: String,
        /// What was said: a text, `allow` or `deny …`.
        reply: String,
    },
    /// A message of another process was taken.
    Sent {
        /// The turn.
        turn: u32,
        /// The message's id.
        id: String,
        /// The message.
        text: String,
        /// Whether the agent is told within its turn, and not when that ends.
        now: bool,
    },
    /// The agent was told a message within its turn, with proof.
    Steered {
        /// The turn.
        turn: u32,
        /// The message's id.
        id: String,
    },
    /// Something that people should know.
    Notice {
        /// In words.
        text: String,
    },
    /// The turns are over; the work is collected.
    Collecting {
        /// How they ended.
        status: Status,
    },
    /// The run is over and its record written.
    Finished {
        /// How.
        status: Status,
        /// The exit status that tells of it.
        exit_code: Option<u8>,
        /// The number of files that differ from the base.
        files_changed: Option<usize>,
        /// The commit with the work.
        result_commit: Option<String>,
        /// The error.
        error: Option<Failure>,
        /// The question that is still open.
        pending: Option<Pending>,
    },
}

/// A question.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Asked {
    /// The turn.
    pub turn: u32,
    /// The id that a reply names.
    pub id: String,
    /// `question`, `unclear` or `permission`.
    pub kind: String,
    /// The message, or the command.
    pub text: String,
    /// Why an approval is wanted, where the agent says so.
    pub reason: Option<String>,
    /// The answers that the agent offers.
    pub options: Vec<AnswerOption>,
}

/// Turns entries of a journal into events.
#[derive(Debug)]
pub(crate) struct Teller {
    run: RunDir,
}

impl Teller {
    pub(crate) fn new(run: RunDir) -> Self {
        Self { run }
    }

    /// The event that an entry tells of; `None` for the steps of ours that nobody else needs.
    pub(crate) fn tell(&mut self, Numbered { seq, entry }: Numbered) -> Option<RunEvent> {
        let Entry { at, progress } = entry;
        Some(RunEvent {
            schema_version: 1,
            seq,
            run_id: self.run.name().to_owned(),
            at,
            event: self.happening(progress)?,
        })
    }

    fn happening(&self, progress: Progress) -> Option<Happening> {
        Some(match progress {
            Progress::Started {
                task,
                repository,
                base_commit,
                agent_version,
                ..
            } => Happening::Started {
                task: task.to_string(),
                repository,
                base_commit,
                agent_version,
            },
            Progress::TakenOver { operator_pid, .. } => Happening::TakenOver { operator_pid },
            Progress::Launched { drive, .. } => Happening::Launched {
                drive: drive.unwrap_or(Drive::Keys),
            },
            Progress::KeyPressed { key, on } if on != "composer" => {
                Happening::Dialog { name: on, key }
            }
            Progress::Submitted {
                turn, session_id, ..
            } => Happening::Submitted { turn, session_id },
            Progress::Item { turn, item, .. } => of_item(turn, item),
            Progress::Tokens { turn, usage } => Happening::Tokens { turn, usage },
            Progress::Notice { text } => Happening::Notice { text },
            Progress::Ended { status, .. } => Happening::Collecting { status },
            Progress::Recorded { status } => self.finished(status),
            other => return of_turn(other),
        })
    }

    fn finished(&self, status: Status) -> Happening {
        let record = self.run.load_record().ok().flatten();
        let record = record.filter(|record| record.status == status);
        Happening::Finished {
            status,
            exit_code: record.as_ref().map(|record| record.exit_code()),
            files_changed: record.as_ref().map(|record| record.files_changed),
            result_commit: record
                .as_ref()
                .and_then(|record| record.result_commit.clone()),
            error: record.as_ref().and_then(|record| record.error.clone()),
            pending: record.and_then(|record| record.pending),
        }
    }
}

/// What a turn's end, a question and its answer are told as.
fn of_turn(progress: Progress) -> Option<Happening> {
    Some(match progress {
        Progress::TurnEnded {
            turn,
            verdict,
            message,
            ..
        } => Happening::TurnEnded {
            turn,
            verdict,
            message,
        },
        Progress::TurnFailed { turn, message } => Happening::TurnFailed { turn, message },
        Progress::Asked {
            turn,
            id,
            kind,
            text,
            reason,
            options,
        } => {
            let is_permission = kind == QuestionKind::Permission.as_str();
            let asked = Asked {
                turn,
                id,
                kind,
                text,
                reason,
                options,
            };
            if is_permission {
                Happening::Permission(asked)
            } else {
                Happening::Question(asked)
            }
        }
        Progress::Waiting { turn, id, until } => Happening::Waiting { turn, id, until },
        Progress::Taken {
            turn,
            id,
            text,
            now,
        } => Happening::Sent {
            turn,
            id,
            text,
            now,
        },
        Progress::Decided {
            turn,
            tool,
            command,
            action,
            rule,
            ..
        } => Happening::Decided {
            turn,
            tool,
            command,
            action,
            rule,
        },
        Progress::Steered { turn, id } => Happening::Steered { turn, id },
        Progress::Replied {
            turn,
            by,
            question,
            reply,
        } => Happening::Reply {
            turn,
            by,
            question,
            reply,
        },
        _ => return None,
    })
}

fn of_item(turn: u32, item: Item) -> Happening {
    let (mut files, mut ended, mut line) = (Vec::new(), (None, None), None);
    let (name, outcome) = match item {
        Item::Message { text } => return Happening::Message { turn, text },
        Item::Tool { name, outcome } => (name, outcome),
        Item::FileChange { paths, outcome, .. } => {
            files = paths;
            ("edit".to_owned(), outcome)
        }
        Item::Command {
            command,
            exit_code,
            duration_ms,
            outcome,
        } => {
            (line, ended) = (Some(command), (exit_code, duration_ms));
            ("command".to_owned(), outcome)
        }
    };
    Happening::Tool {
        turn,
        name,
        command: line,
        files,
        exit_code: ended.0,
        duration_ms: ended.1,
        outcome,
    }
}

impl RunDir {
    /// The events of the run so far, from the one after `since` on.
    ///
    /// # Errors
    /// [`Error::Io`](crate::record::Error::Io) where the journal can't be read.
    pub fn load_events(&self, since: u64) -> Result<Vec<RunEvent>, crate::record::Error> {
        let path = self.events();
        let entries = match journal::load_numbered(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(|source| crate::record::Error::Io {
                what: "read",
                path,
                source,
            })?,
        };
        let mut teller = Teller::new(self.clone());
        let events = entries.into_iter().filter_map(|entry| teller.tell(entry));
        Ok(events.filter(|event| event.seq > since).collect())
    }
}
