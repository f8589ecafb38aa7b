//! `list`, `show`, `diff`, `log`: what earlier runs left on record, and how far the others are.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use crate::agent::ExecutorId;
use crate::operator::listing::{
    Listed, Listing, Wanted, find_newest, find_run, find_worktree, list, load_record, short_name,
};
use crate::operator::status::RunStatus;
use crate::record::journal::{self, Entry};
use crate::record::{RunDir, Status, Store};
use crate::worktree::Glance;
use crate::{Error, Operator};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use schemars::JsonSchema;
use serde::Serialize;

use super::look::Look;
use super::prune::age;
use super::{
    State, block_on, completions, find_executor, pager, print_json, print_part, print_record,
    report, safe, tell,
};

pub(super) use diff::{Diff, draw_patch, patch_so_far};

mod diff;
mod listed;
mod live;

/// List the runs, newest first, with the disk space of their records.
#[derive(Args)]
pub(crate) struct List {
    /// Show the newest N.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Show all, and their total.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Only the runs of this executor.
    #[arg(long, value_name = "NAME", value_parser = find_executor)]
    executor: Option<ExecutorId>,
    /// Only the runs with this status, such as `running` or `completed`; may be repeated.
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Vec<String>,
    /// Only the runs that wait for a reply: `--status waiting`.
    #[arg(long)]
    waiting: bool,
    /// Only the runs of this task.
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Only the runs of this repository.
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// Only the runs that began within this time, such as 90m or 7d.
    #[arg(long, value_name = "TIME", value_parser = age)]
    since: Option<Duration>,
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

/// The statuses of a run that has no record.
const ON_THE_WAY: [&str; 4] = ["queued", "running", "waiting", "orphaned"];

fn status(name: &str) -> Result<String, String> {
    if ON_THE_WAY.contains(&name) || name.parse::<Status>().is_ok() {
        return Ok(name.to_owned());
    }
    let ends = "completed, needs_input, needs_permission, blocked_dialog, turn_cap, over_budget, agent_failed, agent_died, timed_out, aborted, failed";
    Err(format!(
        "it must be one of: {}, {ends}",
        ON_THE_WAY.join(", ")
    ))
}

impl List {
    fn wanted(&self) -> Wanted {
        let waiting = self.waiting.then(|| "waiting".to_owned());
        Wanted {
            executor: self.executor,
            statuses: self.status.iter().cloned().chain(waiting).collect(),
            task: self.task.clone(),
            repository: self.repo.clone(),
            since: self
                .since
                .and_then(|age| SystemTime::now().checked_sub(age)),
        }
    }

    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let store = self.state.open()?;
        let wanted = self.wanted();
        let count = if self.all { usize::MAX } else { self.limit };
        let Listing {
            runs,
            older,
            unreadable,
            ..
        } = list(&store, count, &wanted)?;
        let is_narrowed = !wanted.statuses.is_empty()
            || wanted.task.is_some()
            || wanted.repository.is_some()
            || wanted.since.is_some();
        let none = runs.is_empty() && older == 0 && unreadable.is_empty();
        for (name, error) in unreadable {
            tell(&format!(
                "note: {}: {}",
                safe(&name),
                safe(&error.message())
            ));
        }
        if older > 0 {
            tell(&format!(
                "note: {older} older runs are not shown: --limit N or --all"
            ));
        }
        if self.json {
            print_json(&Listed::new(runs, older))?;
            return Ok(ExitCode::SUCCESS);
        }
        if none {
            tell(&match self.executor {
                _ if is_narrowed => "no such runs".to_owned(),
                Some(executor) => format!("no runs of {} yet", executor.name()),
                None => "no runs yet".to_owned(),
            });
        }
        if self.all && !runs.is_empty() {
            let bytes = runs.iter().map(|run| run.disk_bytes).sum();
            tell(&format!("{} runs, {} on the disk", runs.len(), size(bytes)));
        }
        if !runs.is_empty() {
            let look = Look::of_stdout();
            pager::page("list", &listed::draw(&runs, &look), &look)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A number of bytes for people: `12 B`, `4.1 kB`, `2.0 GB`.
pub(super) fn size(bytes: u64) -> String {
    let mut unit = 1_u64;
    for name in ["kB", "MB", "GB", "TB"] {
        unit *= 1000;
        // What would be written as 1000.0 is one of the next.
        if (1000..1000 * unit - unit / 20).contains(&bytes) || name == "TB" && bytes >= 1000 {
            let tenths = (bytes + unit / 20) * 10 / unit;
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

/// Which run is meant.
#[derive(Args)]
pub(super) struct Which {
    /// A run's id, its beginning, or a task's name (then the newest run of it) [default: the newest of all].
    #[arg(add = ArgValueCompleter::new(completions::runs))]
    run: Option<String>,
    #[command(flatten)]
    state: State,
}

impl Which {
    pub(super) fn find(&self) -> Result<(Store, RunDir), Error> {
        let store = self.state.open()?;
        let run = match &self.run {
            Some(name) => find_run(&store, name)?,
            None => find_newest(&store)?,
        };
        Ok((store, run))
    }
}

/// Show the report of a run, or how far one is that goes on.
#[derive(Args)]
pub(crate) struct Show {
    #[command(flatten)]
    which: Which,
    /// Print the record as JSON; there is none while the run goes on.
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let (store, run) = self.which.find()?;
        let look = Look::of_stdout();
        if self.json {
            print_record(&load_record(&run)?)?;
        } else if let Some(text) = draw_so_far(&store, &run, &look)? {
            pager::page("show", &text, &look)?;
        } else {
            pager::page("show", &report::of(&load_record(&run)?, &look), &look)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// How far a run is, for people; `None` for one that doesn't go on.
pub(super) fn draw_so_far(
    store: &Store,
    run: &RunDir,
    look: &Look,
) -> Result<Option<String>, Error> {
    if !run.is_alive() || run.load_record()?.is_some() {
        return Ok(None);
    }
    let status = RunStatus::load(run)?;
    let place = find_worktree(run)?;
    let glance = place.and_then(|(worktree, base)| Glance::at(&worktree, &base));
    let name = short_name(store, run);
    Ok(Some(live::draw(&status, (glance, &name), look)))
}

/// Print the journal of a run: what happened, in order.
#[derive(Args)]
pub(crate) struct Log {
    #[command(flatten)]
    which: Which,
    /// Go on until the run has ended.
    #[arg(short, long, conflicts_with = "json")]
    follow: bool,
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
}

/// The document of a journal.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Logged {
    /// 1.
    schema_version: u32,
    /// The run's id.
    run_id: String,
    /// Its events, oldest first.
    entries: Vec<Entry>,
}

impl Log {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let (store, run) = self.which.find()?;
        let look = Look::of_stdout();
        if self.follow {
            let operator = Operator::builder().state_directory(store.root());
            block_on(follow(&operator.build()?, &run, &look))??;
            return Ok(ExitCode::SUCCESS);
        }
        let path = run.path().join("events.jsonl");
        let entries = journal::load(&path).map_err(|source| Error::Io {
            what: format!("read {}", path.display()),
            source,
        })?;
        if self.json {
            print_json(&Logged {
                schema_version: 1,
                run_id: run.name().to_owned(),
                entries,
            })?;
        } else {
            pager::page("log", &report::draw_log(&entries, &look), &look)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints what happens, as long as the run goes on and somebody reads.
async fn follow(operator: &Operator, run: &RunDir, look: &Look) -> Result<(), Error> {
    let mut today = String::new();
    let mut events = operator.follow(&run.id())?;
    while let Some(entry) = events.next().await {
        if !print_part(&report::log_line(&entry, &mut today, look))? {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (4096, "4.1 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (2_000_000_000, "2.0 GB"),
            (3_000_000_000_000_000, "3000.0 TB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
