//! `cx-operator wait`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::operator::events::Happening;
use crate::operator::status::{RunStatus, find_queued};
use crate::record::code::Code;
use crate::record::{self, Store};
use crate::task::name::RunId;
use crate::{Error, Operator};

use super::follow::duration;
use super::status::describe;
use super::{State, block_on, print_json, print_text, safe};

/// The exit status of a wait whose time is up, as of `timeout`.
const TIME_IS_UP: u8 = 124;
/// That of a run that waits for an answer.
const WAITS: u8 = 3;

/// Wait until runs have ended. The exit status is that of the run.
///
/// With several runs it is the first one, in the order in which they are named, that is not 0; with `--any` that of the run
/// that ended. 124: the time is up. A run whose operator died counts as 1.
///
/// Example: `cx-operator wait fix-date-parser --or-waiting --timeout 50s --json`
#[derive(Args)]
pub(crate) struct Wait {
    /// Runs: ids, beginnings of ids, or names of tasks.
    #[arg(required = true)]
    runs: Vec<String>,
    /// Return when one of them has ended.
    #[arg(long, conflicts_with = "all")]
    any: bool,
    /// Return when all of them have ended; the default.
    #[arg(long)]
    all: bool,
    /// Return also, with 3, when one of them waits for an answer.
    #[arg(long)]
    or_waiting: bool,
    /// Wait no longer than that.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// Print one JSON document: what each run does.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

/// The document of `wait --json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Document {
    /// 1.
    schema_version: u32,
    /// Whether the time was up.
    timed_out: bool,
    /// What each run does, in the order in which they were named.
    runs: Vec<RunStatus>,
}

/// What a wait learns of a run.
enum Heard {
    Ended(usize),
    Waits,
    Failed(Error),
}

/// The ids of runs; a name that is nobody's is an error at once.
pub(super) fn ids(store: &Store, names: &[String]) -> Result<Vec<RunId>, Error> {
    let id = |name: &String| match find_queued(store, name)? {
        Some(queued) => Ok(RunId::of_directory(&queued.run_id)),
        None => Ok(store.find(name)?.id()),
    };
    names.iter().map(id).collect()
}

impl Wait {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let operator = Operator::builder()
            .state_directory(self.state.root()?)
            .build()?;
        let ids = ids(operator.store(), &self.runs)?;
        let waited = block_on(self.wait(&operator, &ids))?;
        let statuses = ids.iter().map(|id| operator.status(id));
        let statuses = statuses.collect::<Result<Vec<_>, _>>()?;
        let waited = match waited {
            Some(Heard::Failed(error)) => return Err(error),
            other => other,
        };
        let document = Document {
            schema_version: 1,
            timed_out: waited.is_none(),
            runs: statuses,
        };
        if self.json {
            print_json(&document)?;
        } else {
            let text: String = document.runs.iter().map(describe).collect();
            print_text(&safe(&text))?;
        }
        let mut exits = document.runs.iter().map(exit_of);
        Ok(ExitCode::from(match waited {
            None => TIME_IS_UP,
            Some(Heard::Waits) => WAITS,
            Some(Heard::Ended(at)) if self.any => exit_of(&document.runs[at]),
            _ => exits.find(|exit| *exit != 0).unwrap_or(0),
        }))
    }

    /// What ended the wait; `None` where its time was up.
    async fn wait(&self, operator: &Operator, ids: &[RunId]) -> Option<Heard> {
        let (sender, mut receiver) = unbounded_channel();
        for (at, id) in ids.iter().enumerate() {
            let (operator, id, sender) = (operator.clone(), id.clone(), sender.clone());
            tokio::spawn(async move {
                let heard = match listen(&operator, &id, &sender).await {
                    Ok(()) => Heard::Ended(at),
                    Err(error) => Heard::Failed(error),
                };
                let _wait_is_over = sender.send(heard);
            });
        }
        let time = tokio::time::sleep(self.timeout.unwrap_or(Duration::MAX));
        tokio::pin!(time);
        let mut left = ids.len();
        loop {
            let heard = tokio::select! {
                heard = receiver.recv() => heard?,
                () = &mut time => return None,
            };
            match heard {
                Heard::Waits if !self.or_waiting => {}
                Heard::Ended(_) if left > 1 && !self.any => left -= 1,
                over => return Some(over),
            }
        }
    }
}

/// Follows a run to its end, and tells when it waits for an answer.
async fn listen(
    operator: &Operator,
    id: &RunId,
    sender: &UnboundedSender<Heard>,
) -> Result<(), Error> {
    operator.wait_for_begin(id).await?;
    let mut events = operator.watch(id, 0)?;
    while let Some(event) = events.next().await {
        // It may have been answered since.
        let waits = matches!(event.event, Happening::Waiting { .. })
            && operator.status(id)?.status == "waiting";
        if waits {
            let _wait_is_over = sender.send(Heard::Waits);
        }
    }
    Ok(())
}

/// The exit status that tells of a run's end; of one whose operator died that of the error.
fn exit_of(status: &RunStatus) -> u8 {
    let dead = record::Error::Dead {
        name: status.run_id.clone(),
    };
    debug_assert_eq!(Error::from(dead).code(), Code::RunOrphaned);
    status.exit_code.unwrap_or(Code::RunOrphaned.exit())
}
