//! Where events come from: the run's signal files and the agent's transcript, as the file watcher reports
//! their changes.
//!
//! A notification only says that something is worth reading again; what is there is read from the files
//! themselves. A lost notification costs latency, never correctness.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::agent::ExecutorId;
use crate::agent::report::{Report, Reported};
use crate::agent::signals::{self, Kind, SignalFile};
use crate::turn::{Asker, Event, ResumePoint};

pub(crate) use stream::{StreamState, command_of, denied_by_policy, forget_refused, stream_events};
pub(crate) use transcript::{Transcript, wait_for_error};

mod stream;
mod transcript;

/// The part of an invalid payload that is shown.
const EXCERPT: usize = 2_000;

/// The signal files of a run, each read once.
#[derive(Debug)]
pub(crate) struct Signals {
    executor: ExecutorId,
    dir: PathBuf,
    seen: HashSet<SignalFile>,
    transcripts: HashMap<String, PathBuf>,
    /// The hooks that wait for a form's answers, by its call.
    forms: HashMap<String, SignalFile>,
}

impl Signals {
    pub(crate) fn new(dir: PathBuf, executor: ExecutorId) -> Self {
        Self {
            executor,
            dir,
            seen: HashSet::new(),
            transcripts: HashMap::new(),
            forms: HashMap::new(),
        }
    }

    /// Takes as read what another operator has acted upon: everything up to the prompt of its last turn, and approvals whose
    /// hooks have the decision. Returns the commands of such approvals of that turn. The transcripts that those files name
    /// are known afterwards.
    pub(crate) fn pass_over(&mut self, resume_point: &ResumePoint) -> Vec<String> {
        let Some(session) = resume_point.session.as_deref() else {
            return Vec::new();
        };
        let mut events: Vec<(SignalFile, Event)> = Vec::new();
        for file in signals::list(&self.dir).unwrap_or_default() {
            if let Ok(bytes) = fs::read(self.dir.join(file.name())) {
                let event = self.event(&file, &bytes);
                events.push((file, event));
            }
        }
        let is_the_prompt = |(_, event): &(SignalFile, Event)| match event {
            Event::PromptSubmitted {
                session: of,
                turn_id,
                ..
            } => {
                of == session
                    && (resume_point.turn_id.is_none() || *turn_id == resume_point.turn_id)
            }
            _ => false,
        };
        // What is told within a turn comes as another prompt of it.
        let passed = match resume_point.turn_id {
            Some(_) => events.iter().position(is_the_prompt),
            None => events.iter().rposition(is_the_prompt),
        };
        let passed = passed.map_or(0, |prompt| prompt + 1);
        let mut decided = Vec::new();
        for (at, (file, event)) in events.into_iter().enumerate() {
            let has_decision = || self.dir.join(signals::decision_name(&file)).exists();
            match event {
                _ if at < passed => {}
                Event::PermissionAsked { command, .. } if has_decision() => decided.push(command),
                Event::Inquired { .. } if has_decision() => {}
                _ => continue,
            }
            self.seen.insert(file);
        }
        decided
    }

    /// The hook that waits for the answers to a form.
    pub(crate) fn hook_of(&self, call: &str) -> Option<&SignalFile> {
        self.forms.get(call)
    }

    /// Where a session said that its transcript is.
    pub(crate) fn transcript_of(&self, session: &str) -> Option<&Path> {
        self.transcripts.get(session).map(PathBuf::as_path)
    }

    /// The events of the files that are new, in the order of their writing.
    pub(crate) fn read(&mut self) -> Vec<Event> {
        let files = match signals::list(&self.dir) {
            Ok(files) => files,
            Err(error) => {
                tracing::warn!(%error, "the signals directory can't be listed");
                return Vec::new();
            }
        };
        let mut events = Vec::new();
        for file in files {
            if self.seen.contains(&file) {
                continue;
            }
            match fs::read(self.dir.join(file.name())) {
                Ok(bytes) => {
                    events.push(self.event(&file, &bytes));
                    self.seen.insert(file);
                }
                Err(error) => tracing::warn!(%error, file = file.name(), "a signal can't be read"),
            }
        }
        events
    }

    fn event(&mut self, file: &SignalFile, bytes: &[u8]) -> Event {
        let report = self.executor.report(file.kind, bytes);
        let Some(report) = report.filter(|_| file.session.is_some()) else {
            let content = String::from_utf8_lossy(&bytes[..bytes.len().min(EXCERPT)]).into_owned();
            return Event::Malformed {
                file: file.name(),
                content,
            };
        };
        match (&report.agent_id, file.kind) {
            // The transcript is that agent's own, the session the one of the agent that made it.
            (Some(_), Kind::Permission) => {}
            (Some(agent), kind) => {
                return Event::SubAgent {
                    agent: agent.clone(),
                    what: kind.name(),
                };
            }
            (None, kind) => self.note_transcript(kind, &report),
        }
        let (session, turn_id) = (report.session, report.turn_id);
        let cwd = report.cwd.map(|cwd| cwd.canonicalize().unwrap_or(cwd));
        match report.event {
            Reported::Session { source } => Event::SessionStarted {
                session,
                cwd,
                source,
            },
            Reported::Prompt { prompt } => Event::PromptSubmitted {
                session,
                turn_id,
                cwd,
                prompt,
            },
            Reported::Permission { command, reason } => Event::PermissionAsked {
                session,
                asker: Asker::Hook(file.clone()),
                command,
                reason,
            },
            Reported::Form { call, inquiries } => {
                self.forms.insert(call.clone(), file.clone());
                Event::Inquired {
                    call,
                    inquiries,
                    is_typed: true,
                }
            }
            Reported::Stop { message } => Event::TurnStopping {
                session,
                turn_id,
                message,
            },
            Reported::Failure { error } => Event::TurnFailed {
                turn_id: turn_id.unwrap_or_default(),
                error: Some(error),
            },
        }
    }

    /// Notes where a session's transcript is. Its start and its prompts say so; a permission, which some program lets a
    /// sub-agent ask without a name, only where nothing else has.
    fn note_transcript(&mut self, kind: Kind, report: &Report) {
        let Some(path) = &report.transcript else {
            return;
        };
        let known = self.transcripts.contains_key(&report.session);
        if !known || matches!(kind, Kind::SessionStart | Kind::Prompt) {
            self.transcripts
                .insert(report.session.clone(), path.clone());
        }
    }
}
