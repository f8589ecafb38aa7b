//! `list`, `show`, `diff`, `log`: what earlier runs left on record.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use crate::Error;
use crate::agent::ExecutorId;
use crate::operator::listing::{Listed, Listing, Wanted, find_run, list, load_record};
use crate::record::journal::{self, Entry};
use crate::record::{RunDir, Status};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::look::Look;
use super::prune::age;
use super::{
    State, find_executor, harmless, print_json, print_record, print_text, report, safe, tell,
};

mod listed;

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
            print_text(&listed::draw(&runs, &Look::of_stdout()))?;
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

/// Show the report of a run.
#[derive(Args)]
pub(crate) struct Show {
    /// A run's id, its beginning, or a task's name (then the newest run of it).
    run: String,
    /// Print the record as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

impl Show {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let outcome = load_record(&find(&self.state, &self.run)?)?;
        if self.json {
            print_record(&outcome)?
        } else {
            print_text(&report::of(&outcome))?
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn find(state: &State, name: &str) -> Result<RunDir, Error> {
    find_run(&state.open()?, name)
}

/// Print the complete diff of a run, for `git apply`.
#[derive(Args)]
pub(crate) struct Diff {
    /// A run's id, its beginning, or a task's name (then the newest run of it).
    run: String,
    #[command(flatten)]
    state: State,
}

impl Diff {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let run = find(&self.state, &self.run)?;
        let outcome = load_record(&run)?;
        let Some(patch) = outcome.patch else {
            let why = if outcome.status == Status::Failed {
                "it failed"
            } else {
                "it changed nothing"
            };
            tell(&format!("run {} has no diff: {why}", safe(run.name())));
            return Ok(ExitCode::SUCCESS);
        };
        let failed = |source| Error::Io {
            what: format!("print {}", patch.display()),
            source,
        };
        let mut file = File::open(&patch).map_err(failed)?;
        let mut stdout = io::stdout().lock();
        // Copied as it is: a patch with its control characters replaced, or its keys, would apply something else.
        match copy(&mut file, &mut stdout) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failed(error)),
            _ => Ok(ExitCode::SUCCESS),
        }
    }
}

fn copy(from: &mut File, to: &mut impl Write) -> io::Result<()> {
    use std::io::IsTerminal;
    if io::stdout().is_terminal() {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        return to.write_all(harmless(&String::from_utf8_lossy(&bytes)).as_bytes());
    }
    io::copy(from, to)?;
    to.flush()
}

/// Print the journal of a run: what happened, in order.
#[derive(Args)]
pub(crate) struct Log {
    /// A run's id, its beginning, or a task's name (then the newest run of it).
    run: String,
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
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
        let run = find(&self.state, &self.run)?;
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
            print_text(&report::draw_log(&entries, &Look::of_stdout()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
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
