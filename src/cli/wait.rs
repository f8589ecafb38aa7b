//! `cx-operator wait`.

use std::pin::pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use crate::operator::events::RunEvent;
use crate::operator::status::{find_queued, load_status};
use crate::operator::waiting::{Patience, WaitReport, Waited, exit_of};
use crate::record::Store;
use crate::task::name::RunId;
use crate::{Error, Operator};

use super::follow::duration;
use super::status::describe;
use super::status_line::{Pace, draw_all};
use super::{State, block_on, completions, print_json, print_text, safe};

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
    #[arg(add = ArgValueCompleter::new(completions::runs))]
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
    /// Draw no line on a terminal's stderr that says how far they are.
    #[arg(short, long)]
    quiet: bool,
    /// Print one JSON document: what each run does.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
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
    /// Waits, with a line at the bottom of a terminal that says how far the runs are.
    async fn wait(
        &self,
        operator: &Operator,
        ids: &[RunId],
        patience: Patience,
    ) -> Result<(Waited, WaitReport), Error> {
        let mut pace = Pace::new(!self.quiet);
        // Read again where something happened.
        let (is_known, mut known) = (AtomicBool::new(false), Vec::new());
        let hear = |_: &RunEvent| is_known.store(false, Ordering::Relaxed);
        let mut wait = pin!(operator.wait(ids, patience, hear));
        loop {
            tokio::select! {
                waited = &mut wait => return waited,
                () = pace.next() => {
                    if !is_known.swap(true, Ordering::Relaxed) {
                        let load = |id: &RunId| load_status(operator.store(), id.as_str()).ok();
                        known = ids.iter().filter_map(load).collect();
                    }
                    draw_all(&known);
                }
            }
        }
    }

    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let operator = Operator::builder()
            .state_directory(self.state.root()?)
            .build()?;
        let ids = ids(operator.store(), &self.runs)?;
        let patience = Patience {
            any: self.any,
            or_waiting: self.or_waiting,
            timeout: self.timeout,
        };
        let (waited, report) = block_on(self.wait(&operator, &ids, patience))??;
        if self.json {
            print_json(&report)?;
        } else {
            let text: String = report.runs.iter().map(describe).collect();
            print_text(&safe(&text))?;
        }
        Ok(ExitCode::from(match waited {
            Waited::TimeIsUp => TIME_IS_UP,
            Waited::ForAnswer => WAITS,
            Waited::Ended(at) if self.any => exit_of(&report.runs[at]),
            Waited::Ended(_) => report
                .runs
                .iter()
                .map(exit_of)
                .find(|exit| *exit != 0)
                .unwrap_or(0),
        }))
    }
}
