//! The state of a run according to its journal.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::agent::conversation::Drive;
use crate::agent::executor::Resumed;
use crate::error::{Error, io as io_error};
use crate::os::process::{Process, boot_id};
use crate::os::time::millis;
use crate::record::inbox::MESSAGE;
use crate::record::journal::{self, Entry, Progress, SCHEMA_VERSION, Step};
use crate::record::{self, Continued, Outcome, Reply, RunDir};
use crate::task::Task;
use crate::task::name::{RunId, TaskName};
use crate::task::prompt::Prompt;
use crate::turn::classify::PROBE;
use crate::turn::{COMPOSER, End, ResumePoint};
use crate::worktree::{Changes, Repository};

/// A run, as its journal tells it.
#[derive(Clone, Debug)]
pub(crate) struct JournalState {
    pub(crate) run_id: RunId,
    pub(crate) task: TaskName,
    pub(crate) repository: PathBuf,
    common_dir: Option<PathBuf>,
    pub(crate) base_commit: String,
    pub(crate) order: Task,
    agent_version: String,
    started_at: String,
    last_at: String,
    boot_id: String,
    /// The worktree's path and its branch, from before it was made.
    pub(crate) worktree: Option<(PathBuf, String)>,
    /// Whether the worktree was made to the end.
    pub(crate) made: bool,
    /// The session's name, from before it was made.
    pub(crate) session: Option<String>,
    /// Whether a headless program was about to be started, so that there is no session.
    pub(crate) is_headless: bool,
    pub(crate) launched: Option<Launched>,
    turns: Turns,
    waits: Waits,
    pub(crate) replies: Vec<Reply>,
    /// The messages of other processes, by their ids.
    messages: HashMap<String, String>,
    /// A message that the agent was told within its turn, of which the journal has no reply yet: an operator may end there.
    half_told: Option<Reply>,
    /// The run that this one goes on from, and its session.
    continues: Option<(RunId, Option<Resumed>)>,
    /// The transcript that the agent's server named.
    pub(crate) transcript: Option<PathBuf>,
    /// The steps that the journal has.
    pub(crate) items: HashSet<String>,
    notices: Vec<String>,
    /// Whether the worktree's removal was begun: the record was complete by then.
    pub(crate) removing: bool,
    /// How the turns ended, once that was decided.
    pub(crate) ended: Option<End>,
}

/// The agent's place and process.
#[derive(Clone, Debug)]
pub(crate) struct Launched {
    pub(crate) at: String,
    pub(crate) session_id: Option<String>,
    pub(crate) pane: Option<String>,
    pub(crate) pid: u32,
    pub(crate) root: Option<Process>,
    /// Where the agent works.
    pub(crate) directory: Option<PathBuf>,
    /// The way in which it is driven.
    pub(crate) drive: Drive,
}

#[derive(Clone, Debug, Default)]
struct Turns {
    session: Option<String>,
    submitted: u32,
    submitted_at: Option<String>,
    turn_id: Option<String>,
    /// The last turn of a session that the run goes on with, from before.
    before: Option<String>,
    pasted: u32,
    last_message: Option<String>,
    /// The message that was on its way into the turn, and whether a key was pressed for it.
    steering: Option<(String, bool)>,
}

/// How long responders were asked: the clocks of run and turn stop in the meantime.
#[derive(Clone, Debug, Default)]
struct Waits {
    /// Since when a responder is asked that has not answered.
    since: Option<SystemTime>,
    in_run: Duration,
    in_turn: Duration,
}

impl Waits {
    fn take(&mut self, at: SystemTime, progress: &Progress) {
        match progress {
            Progress::PermissionAsked { .. } | Progress::TurnEnded { .. } => {
                self.since.get_or_insert(at);
            }
            Progress::Replied { .. } | Progress::Pasted { .. } | Progress::Submitted { .. } => {
                let waited = self.since.take().map(|since| between(since, at));
                self.in_run += waited.unwrap_or_default();
                self.in_turn += waited.unwrap_or_default();
            }
            _ => {}
        }
        if matches!(progress, Progress::Submitted { .. }) {
            self.in_turn = Duration::ZERO;
        }
    }
}

/// The order of a run of an older version, whose journal has its terms. Of one without either nothing is known that would
/// permit anything.
fn order_of(
    run: &RunDir,
    (task, repository): (&TaskName, &Path),
    terms: Option<&Value>,
) -> Option<Task> {
    let brief = std::fs::read(run.path().join("task.md")).unwrap_or_default();
    let brief = Prompt::parse(&brief).or_else(|_lost| Prompt::parse(b"(lost)"));
    let mut order = Task::new(task.clone(), repository.to_owned(), brief.ok()?);
    order.probe = false;
    let Some(terms) = terms.and_then(Value::as_object) else {
        return Some(order);
    };
    let mut document = serde_json::to_value(&order).ok()?;
    for (name, value) in terms {
        match name.as_str() {
            "trust" => document["agent"]["trust"] = value.clone(),
            _ => document[name] = value.clone(),
        }
    }
    serde_json::from_value(document).ok()
}

/// A clock that was set back gives the whole time again rather than none.
fn between(from: SystemTime, to: SystemTime) -> Duration {
    to.duration_since(from).unwrap_or_default()
}

impl JournalState {
    /// Reads a run's journal; `None` where its operator died before it wrote anything, so that nothing was made.
    ///
    /// # Errors
    /// [`Error::Io`]; [`record::Error::Newer`] where a newer version wrote it; [`record::Error::Unreadable`] where the line is
    /// lost that says what the run is: then nothing proves what is the run's.
    pub(crate) fn load(run: &RunDir) -> Result<Option<Self>, Error> {
        let entries = match journal::load(&run.events()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(io_error("read the journal"))?,
        };
        let first = entries.iter().find_map(|entry| Self::begin(run, entry));
        let first = first.filter(|(journal_state, _)| journal_state.run_id.as_str() == run.name());
        let Some((mut journal_state, schema_version)) = first else {
            return if run.is_blank() && !journal::has_lines(&run.events()) {
                Ok(None)
            } else {
                Err(unreadable(run))
            };
        };
        if schema_version > SCHEMA_VERSION {
            return Err(Error::Run(record::Error::Newer {
                name: run.name().to_owned(),
            }));
        }
        match run.load_order() {
            Ok(Some(order)) => journal_state.order = order,
            // A run of an earlier version: its journal has the terms.
            Ok(None) => {}
            Err(error) => {
                let why = Error::from(error).message();
                let notice = format!("the run is ended with the most cautious terms: {why}");
                journal_state.notices.push(notice);
            }
        }
        for entry in entries {
            journal_state.take(entry);
        }
        journal_state.replies.extend(journal_state.half_told.take());
        Ok(Some(journal_state))
    }

    /// The run and its journal's format, from the line that begins it.
    fn begin(run: &RunDir, entry: &Entry) -> Option<(Self, u32)> {
        let Progress::Started {
            run_id,
            task,
            repository,
            common_dir,
            base_commit,
            boot_id,
            agent_version,
            terms,
            schema_version,
            ..
        } = &entry.progress
        else {
            return None;
        };
        let journal_state = Self {
            run_id: run_id.clone(),
            task: task.clone(),
            repository: repository.clone(),
            common_dir: common_dir.clone(),
            base_commit: base_commit.clone(),
            order: order_of(run, (task, repository), terms.as_ref())?,
            agent_version: agent_version.clone(),
            started_at: entry.at.clone(),
            last_at: entry.at.clone(),
            boot_id: boot_id.clone(),
            worktree: None,
            made: false,
            session: None,
            is_headless: false,
            launched: None,
            turns: Turns::default(),
            waits: Waits::default(),
            replies: Vec::new(),
            messages: HashMap::new(),
            half_told: None,
            continues: None,
            transcript: None,
            items: HashSet::new(),
            notices: Vec::new(),
            removing: false,
            ended: None,
        };
        Some((journal_state, *schema_version))
    }

    fn take(&mut self, Entry { at, progress }: Entry) {
        self.last_at.clone_from(&at);
        self.waits.take(parse(&at), &progress);
        match progress {
            Progress::Begun(Step::Worktree { path, branch, .. }) => {
                self.worktree = Some((path, branch));
            }
            Progress::Done(Step::Worktree { .. }) => self.made = true,
            Progress::Begun(Step::RemoveWorktree) => self.removing = true,
            Progress::Begun(Step::Session { session, .. }) => self.session = Some(session),
            Progress::Begun(Step::Program { .. }) => self.is_headless = true,
            Progress::Launched {
                session_id,
                pane,
                pid,
                pid_start,
                directory,
                drive,
                ..
            } => {
                self.launched = Some(Launched {
                    at,
                    session_id,
                    pane,
                    pid,
                    directory,
                    drive: drive.unwrap_or(Drive::Keys),
                    root: pid_start.map(|start| Process { pid, start }),
                });
            }
            Progress::Connected {
                session_id,
                transcript,
                directory,
                after_turn,
            } => {
                self.turns.session = Some(session_id);
                self.turns.before = after_turn;
                self.transcript = transcript;
                if let (Some(launched), Some(directory)) = (&mut self.launched, directory) {
                    launched.directory = Some(directory);
                }
            }
            Progress::Item { id, .. } | Progress::Decided { id, .. } => {
                self.items.insert(id);
            }
            Progress::Continues { run_id, session } => self.continues = Some((run_id, session)),
            Progress::Notice { text } => self.notices.push(text),
            Progress::Pasted { turn, .. } => self.turns.pasted = turn,
            Progress::Submitted {
                turn,
                session_id,
                turn_id,
            } => {
                self.turns.submitted = turn;
                self.turns.submitted_at = Some(at);
                self.turns.session = Some(session_id);
                self.turns.turn_id = turn_id;
                self.turns.steering = None;
            }
            // The answer to the status question is not the agent's last message.
            Progress::TurnEnded { rule, .. } if rule.starts_with("probe_") => {}
            Progress::TurnEnded { message, .. } => self.turns.last_message = message,
            Progress::Replied {
                turn,
                by,
                question,
                reply,
            } => self.take_reply(Reply {
                turn,
                by,
                question,
                reply,
            }),
            Progress::TakenOver { .. } => self.replies.extend(self.half_told.take()),
            Progress::Taken { id, text, .. } => {
                self.messages.insert(id, text);
            }
            Progress::Steering { id, .. } => self.turns.steering = Some((id, false)),
            Progress::Steered { turn, id } => {
                self.turns.steering = None;
                self.half_told = self.messages.remove(&id).map(|reply| Reply {
                    turn,
                    by: MESSAGE.to_owned(),
                    question: String::new(),
                    reply,
                });
            }
            Progress::KeyPressed { on, .. } if on == COMPOSER => {
                if let Some((_, is_sent)) = &mut self.turns.steering {
                    *is_sent = true;
                }
            }
            other => self.take_end(other),
        }
    }

    fn take_reply(&mut self, reply: Reply) {
        if reply.by == MESSAGE && reply.question.is_empty() {
            self.half_told = None;
        }
        self.replies.push(reply);
    }

    fn take_end(&mut self, progress: Progress) {
        if let Progress::Ended {
            status,
            error,
            pending,
            last_message,
        } = progress
        {
            self.turns.last_message = last_message;
            self.ended = Some(End {
                status,
                error,
                pending,
            });
        }
    }

    /// Opens the repository that the run was begun in: exactly that one.
    ///
    /// # Errors
    /// [`worktree::Error::RepositoryGone`] where it isn't, also where another one has its place.
    pub(crate) fn open_repository(&self) -> Result<Repository, Error> {
        let base = self.base_commit.parse()?;
        let repository = Repository::open_of_run(&self.repository, self.common_dir.as_deref())?;
        repository.find_base(base)?;
        Ok(repository)
    }

    /// Whether the machine was rebooted since: then no pid and no socket of the run is valid.
    pub(crate) fn is_of_another_boot(&self) -> bool {
        self.boot_id != boot_id()
    }

    /// The session of an earlier run that the agent goes on with.
    pub(crate) fn resumed(&self) -> Option<&Resumed> {
        self.continues.as_ref()?.1.as_ref()
    }

    /// The way in which the agent is driven.
    pub(crate) fn drive(&self) -> Drive {
        match &self.launched {
            Some(launched) => launched.drive,
            None if self.is_headless => Drive::Headless,
            None => Drive::Keys,
        }
    }

    /// Where the turns stood.
    pub(crate) fn resume_point(&self) -> ResumePoint {
        let now = SystemTime::now();
        let asking = self
            .waits
            .since
            .map_or(Duration::ZERO, |at| between(at, now));
        let age = |at: Option<&str>| at.map_or(Duration::ZERO, |at| between(parse(at), now));
        let spent = |at, waited: Duration| age(at).saturating_sub(waited + asking);
        let probed = self.probed();
        let launched = self.launched.as_ref().map(|launched| launched.at.as_str());
        ResumePoint {
            session: self.turns.session.clone(),
            turns: self.turns.submitted,
            turn_id: self.turns.turn_id.clone().or(self.turns.before.clone()),
            pasted: self.turns.pasted > self.turns.submitted,
            last_message: self.turns.last_message.clone(),
            probed,
            steering: self.turns.steering.clone(),
            run_spent: spent(launched, self.waits.in_run),
            turn_spent: spent(self.turns.submitted_at.as_deref(), self.waits.in_turn),
            turn_age: age(self.turns.submitted_at.as_deref()),
        }
    }

    /// The message that the agent is being asked about: the last turn was begun to ask.
    fn probed(&self) -> Option<String> {
        let begun_by = |reply: &&Reply| reply.reply == PROBE && reply.turn + 1 == self.turn();
        let asked = self.replies.iter().rfind(begun_by);
        asked
            .filter(|_| self.ended.is_none())
            .map(|reply| reply.question.clone())
    }

    /// Whether an answer other than our own was given.
    pub(crate) fn has_responder(&self) -> bool {
        let others = |reply: &Reply| !matches!(reply.by.as_str(), "operator" | "policy");
        self.replies.iter().any(others)
    }

    /// The turn whose prompt needs proof: the last that was pasted or submitted.
    pub(crate) fn turn(&self) -> u32 {
        self.turns.pasted.max(self.turns.submitted)
    }

    /// The run's record, as far as the journal fills it.
    pub(crate) fn to_outcome(&self, run: &RunDir) -> Outcome {
        let started = parse(&self.started_at);
        let mut outcome = Outcome::blank(&self.task, self.run_id.clone(), started);
        outcome.executor = self.order.agent.executor.name().to_owned();
        let end = self.ended.clone().unwrap_or_else(End::operator_died);
        (outcome.status, outcome.error, outcome.pending) = (end.status, end.error, end.pending);
        outcome.drive = self.launched.as_ref().map(|launched| launched.drive);
        outcome.agent_version = Some(self.agent_version.clone());
        outcome.run_dir = Some(run.path().to_owned());
        outcome.repository = Some(self.repository.clone());
        outcome.common_dir.clone_from(&self.common_dir);
        // Before that no agent can have changed anything.
        if self.made {
            outcome.changes = Changes::Unknown;
        }
        outcome.base_commit = Some(self.base_commit.clone());
        let continues = self.continues.clone();
        outcome.continues = continues.map(|(run_id, session)| Continued {
            run_id,
            session_id: session.map(|session| session.session_id),
        });
        outcome.session_id.clone_from(&self.turns.session);
        outcome.turns = self.turns.submitted;
        outcome.last_message = self.resume_point().last_message;
        outcome.replies.clone_from(&self.replies);
        outcome.notices.clone_from(&self.notices);
        // To the last sign of life: nothing happened since.
        let last = parse(&self.last_at).duration_since(started);
        outcome.duration_ms = millis(last.unwrap_or_default());
        outcome
    }
}

/// The journal's beginning is lost.
fn unreadable(run: &RunDir) -> Error {
    let source = serde_json::from_slice::<Entry>(b"").expect_err("nothing is no entry");
    let path = run.events();
    Error::Run(record::Error::Unreadable { path, source })
}

fn parse(at: &str) -> SystemTime {
    humantime::parse_rfc3339(at).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod documents;
#[cfg(test)]
mod tests;
