//! What a run does at this moment, in one document.

use std::path::PathBuf;

use serde::Serialize;

use super::queue::Queued;
use crate::agent::conversation::Drive;
use crate::agent::report::{Item, Usage};
use crate::error::{Error, io as io_error};
use crate::record::inbox::OpenQuestion;
use crate::record::journal::{self, Entry, Numbered, Progress, Step};
use crate::record::{Failure, RunDir, Store};

/// What a run does at this moment.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunStatus {
    /// The version of the format: 1.
    pub schema_version: u32,
    /// The run's id.
    pub run_id: String,
    /// The task's name.
    pub task: Option<String>,
    /// The agent's CLI.
    pub executor: Option<String>,
    /// `queued`, `running`, `waiting` (for an answer), `orphaned` (its operator died), or the record's status.
    pub status: String,
    /// `queued`, `starting`, `submitting`, `working`, `asking`, `waiting`, `collecting` or `ended`.
    pub phase: &'static str,
    /// Since when it is in that phase, RFC 3339.
    pub since: Option<String>,
    /// When it began.
    pub started_at: Option<String>,
    /// Its place in the queue, from 1.
    pub position: Option<usize>,
    /// Prompts submitted, with proof.
    pub turn: u32,
    /// Whether an operator drives it at this moment.
    pub driven: bool,
    /// The way in which the agent is driven.
    pub drive: Option<Drive>,
    /// The question that is open.
    pub question: Option<OpenQuestion>,
    /// The tokens of the session so far.
    pub usage: Option<Usage>,
    /// The last tool that the agent used, or what it said.
    pub last_item: Option<Item>,
    /// What the last turn ended with.
    pub last_message: Option<String>,
    /// The repository's root.
    pub repository: Option<PathBuf>,
    /// The worktree, while it is there.
    pub worktree: Option<PathBuf>,
    /// The number of the last event, for `events --since`.
    pub seq: u64,
    /// The exit status that tells of the end.
    pub exit_code: Option<u8>,
    /// Why the run did not complete.
    pub error: Option<Failure>,
}

/// What the run of that name (see [`Store::find`]) does at this moment; it may wait for its place.
///
/// # Errors
/// As [`Store::find`]; [`Error::Io`], [`Error::Run`] where its files can't be read.
pub fn load_status(store: &Store, name: &str) -> Result<RunStatus, Error> {
    match find_queued(store, name)? {
        Some(queued) => Ok(RunStatus::of_queued(&queued)),
        None => RunStatus::load(&store.find(name)?),
    }
}

/// The run of that name, if it has no directory yet.
pub(crate) fn find_queued(store: &Store, name: &str) -> Result<Option<Queued>, Error> {
    let is_it = |run: &Queued| run.run_id == name || run.task == name;
    Ok(store.load_unbegun()?.into_iter().rev().find(is_it))
}

impl RunStatus {
    pub(crate) fn blank(run_id: &str) -> Self {
        Self {
            schema_version: 1,
            run_id: run_id.to_owned(),
            task: None,
            executor: None,
            status: String::new(),
            phase: "starting",
            since: None,
            started_at: None,
            position: None,
            turn: 0,
            driven: false,
            drive: None,
            question: None,
            usage: None,
            last_item: None,
            last_message: None,
            repository: None,
            worktree: None,
            seq: 0,
            exit_code: None,
            error: None,
        }
    }

    /// A run that waits for its place.
    pub(crate) fn of_queued(run: &Queued) -> Self {
        Self {
            task: Some(run.task.clone()),
            status: "queued".to_owned(),
            phase: "queued",
            position: (run.position > 0).then_some(run.position),
            driven: true,
            ..Self::blank(&run.run_id)
        }
    }

    /// What the run's journal, record and question say.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Run`] where its files can't be read.
    pub fn load(run: &RunDir) -> Result<Self, Error> {
        // Alive first: a living run writes its record before it removes what it made.
        let driven = run.is_alive();
        let mut status = Self::blank(run.name());
        (status.task, status.driven) = (run.task().map(str::to_owned), driven);
        if let Ok(Some(order)) = run.load_order() {
            status.executor = Some(order.agent.executor.name().to_owned());
        }
        let entries = match journal::load_numbered(&run.path().join("events.jsonl")) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(io_error("read the journal"))?,
        };
        for entry in entries {
            status.take(entry);
        }
        let question = run.load_question()?;
        // Its answer is there, and about to be taken; or was since the journal was read: it is written before that says so.
        let is_answered = |open: &OpenQuestion| run.load_answer(&open.id).is_some();
        if status.phase == "waiting" && question.as_ref().is_none_or(is_answered) {
            status.phase = "asking";
        }
        // One that is answered is open until the agent has the answer.
        status.question = question.filter(|_| matches!(status.phase, "asking" | "waiting"));
        status.status = match (driven, status.phase) {
            (true, "waiting") => "waiting",
            (true, _) => "running",
            (false, _) => "orphaned",
        }
        .to_owned();
        let is_over = !driven || status.phase == "ended";
        if let Some(record) = run.load_record()?.filter(|_| is_over) {
            status.phase = "ended";
            status.status = record.status.as_str().to_owned();
            status.executor = Some(record.executor.clone());
            status.exit_code = Some(record.exit_code());
            status.question = None;
            status.worktree = record.worktree;
            status.usage = record.usage.or(status.usage);
            status.last_message = record.last_message;
            status.error = record.error;
        }
        Ok(status)
    }

    fn take(&mut self, Numbered { seq, entry }: Numbered) {
        self.seq = seq;
        self.follow(entry);
    }

    /// Takes note of what happened.
    pub(crate) fn follow(&mut self, Entry { at, progress }: Entry) {
        let before = self.phase;
        self.note(progress, &at);
        if self.phase != before || self.since.is_none() {
            self.since = Some(at);
        }
    }

    fn note(&mut self, progress: Progress, at: &str) {
        match progress {
            Progress::Queued { position } => {
                (self.phase, self.position) = ("queued", Some(position));
            }
            Progress::Started { repository, .. } => {
                self.phase = "starting";
                self.repository = Some(repository);
                self.started_at = Some(at.to_owned());
            }
            Progress::TakenOver { .. } if self.phase == "ended" => self.phase = "collecting",
            Progress::Done(Step::Worktree { path, .. }) => self.worktree = Some(path),
            Progress::Done(Step::RemoveWorktree) => self.worktree = None,
            Progress::Launched { drive, .. } => self.drive = Some(drive.unwrap_or(Drive::Keys)),
            Progress::Pasted { .. } => self.phase = "submitting",
            Progress::Submitted { turn, .. } => (self.turn, self.phase) = (turn, "working"),
            Progress::TurnEnded { message, .. } => self.last_message = message,
            Progress::Asked { .. } => self.phase = "asking",
            Progress::Waiting { .. } => self.phase = "waiting",
            // Of a turn that goes on; a prompt follows otherwise.
            Progress::Replied { .. } => self.phase = "working",
            Progress::Tokens { usage, .. } => self.usage = Some(usage),
            Progress::Item { item, .. } => self.last_item = Some(item),
            Progress::Ended { .. } => self.phase = "collecting",
            Progress::Recorded { .. } => self.phase = "ended",
            _ => {}
        }
    }
}
