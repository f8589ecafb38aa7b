//! The tools that tell something and change nothing: `status`, `events`, `list`, `doctor`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Risk;
use super::call::{Answer, Call};
use super::reach::Found;
use super::tooling::{Effect, Tooling};
use crate::agent::ExecutorId;
use crate::agent::executor::Options;
use crate::error::Error;
use crate::operator::events::RunEvent;
use crate::operator::listing::{Listed, Wanted, list_among};
use crate::operator::status::RunStatus;
use crate::os::blocking::blocking;
use crate::run::preflight::{Readiness, doctor};

/// How many runs a list has, at most and where nothing is said.
const RUNS: (usize, usize) = (200, 20);
/// How many events a page has, at most and where nothing is said.
const EVENTS: (usize, usize) = (500, 100);
/// How many bytes a page of events has; the event that goes beyond is its last one.
const BYTES: usize = 40_000;

/// The arguments of `status`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Status {
    /// The run: its id, or its task's name.
    run: String,
}

impl Tooling for Status {
    type Output = RunStatus;
    const NAME: &str = "status";
    const TITLE: &str = "Tell what a run does";
    const EFFECT: Effect = Effect::None;
    const DESCRIPTION: &str = "\
Tells what a run does at this moment: its phase and turn, the question that is open with what it takes for an answer, the last thing \
that its agent did, and how it ended. Returns at once.";

    async fn call(self, call: &Call) -> Result<Answer, Error> {
        let desk = Arc::clone(&call.desk);
        let status = blocking(
            move || match desk.reach.find(desk.operator.store(), &self.run)? {
                Found::Queued(queued) => Ok(RunStatus::of_queued(&queued)),
                Found::Begun(run) => RunStatus::load(&run),
            },
        );
        Answer::document(&status.await?)
    }
}

/// The arguments of `events`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Events {
    /// The run: its id, or its task's name.
    run: String,
    /// Only events with a greater number than this one [default: all from the first].
    since: Option<u64>,
    /// So many events, 500 at most [default: 100].
    limit: Option<usize>,
}

/// Events of a run.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EventPage {
    /// 1.
    schema_version: u32,
    /// The events, oldest first.
    events: Vec<RunEvent>,
    /// The `since` of the next page, also of events that are to come.
    next_since: u64,
    /// There are more by now.
    more: bool,
}

impl Tooling for Events {
    type Output = EventPage;
    const NAME: &str = "events";
    const TITLE: &str = "Tell what a run did";
    const EFFECT: Effect = Effect::None;
    const DESCRIPTION: &str = "\
Tells what happened in a run, in order: the commands that its agent ran with their exit status, the files it changed, its messages, \
questions, answers, turns. Call it with the last `next_since` for what is new.";

    async fn call(self, call: &Call) -> Result<Answer, Error> {
        let run = call.find(&self.run).await?;
        let since = self.since.unwrap_or(0);
        let limit = self.limit.unwrap_or(EVENTS.1).clamp(1, EVENTS.0);
        let events = blocking(move || Ok::<_, Error>(run.load_events(since)?)).await?;
        let (count, mut bytes) = (events.len(), 0);
        let fits = |event: &RunEvent| {
            let fits = bytes < BYTES;
            bytes += serde_json::to_string(event).map_or(0, |text| text.len());
            fits
        };
        let events: Vec<RunEvent> = events.into_iter().take(limit).take_while(fits).collect();
        Answer::document(&EventPage {
            schema_version: 1,
            next_since: events.last().map_or(since, |event| event.seq),
            more: events.len() < count,
            events,
        })
    }
}

/// The arguments of `list`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// So many runs, the newest, 200 at most [default: 20].
    limit: Option<usize>,
    /// Only runs with one of these statuses, such as `running`, `waiting` (for a reply), `orphaned` or `completed`.
    status: Option<Vec<String>>,
    /// Only runs of this task.
    task: Option<String>,
    /// Only runs of this agent.
    executor: Option<String>,
}

impl Tooling for List {
    type Output = Listed;
    const NAME: &str = "list";
    const TITLE: &str = "List runs";
    const EFFECT: Effect = Effect::None;
    const DESCRIPTION: &str = "\
Lists the runs of this server's repositories, newest first, with their statuses, also those that others began. For a run whose id you \
don't know any more.";

    async fn call(self, call: &Call) -> Result<Answer, Error> {
        let executor = self.executor.as_deref().map(executor).transpose()?;
        let wanted = Wanted {
            executor,
            statuses: self.status.unwrap_or_default(),
            task: self.task,
            ..Wanted::default()
        };
        let count = self.limit.unwrap_or(RUNS.1).clamp(1, RUNS.0);
        let desk = Arc::clone(&call.desk);
        let listing = blocking(move || {
            let store = desk.operator.store();
            list_among(store, count, &wanted, &desk.reach)
        })
        .await?;
        Answer::document(&Listed::new(listing.runs, listing.older))
    }
}

fn executor(name: &str) -> Result<ExecutorId, Error> {
    ExecutorId::parse(name).ok_or_else(|| Error::Usage(format!("there is no agent `{name}`")))
}

/// The arguments of `doctor`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Doctor {
    /// A path in the repository [default: the first root of this server].
    repo: Option<String>,
    /// The agent [default: codex].
    executor: Option<String>,
    /// The agent's program.
    program: Option<String>,
}

impl Tooling for Doctor {
    type Output = Readiness;
    const NAME: &str = "doctor";
    const TITLE: &str = "Check whether a run can start";
    const EFFECT: Effect = Effect::None;
    const DESCRIPTION: &str = "\
Checks everything that a run needs on this machine: tmux, git, the repository, disk space, the agent and its sign-in. Each check that \
fails says how to fix it. Call it when `delegate` says that something is not ready.";

    async fn call(self, call: &Call) -> Result<Answer, Error> {
        if self.program.is_some() && !call.desk.allowed.contains(&Risk::Program) {
            return Err(super::refuse(Risk::Program, "program"));
        }
        let (desk, path) = (Arc::clone(&call.desk), self.repo);
        let repo = blocking(move || desk.reach.place(path.as_deref())).await?;
        let executor = self.executor.as_deref().map(executor).transpose()?;
        let options = Options {
            executor: executor.unwrap_or_default(),
            program: self.program.map(Into::into),
            ..Options::default()
        };
        let state = call.desk.operator.store().root();
        Answer::document(&Readiness::of(doctor(state, &repo, &options).await))
    }
}
