//! `list`, `show`, `diff`, `log`: what earlier runs left on record.

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use crate::Error;
use crate::operator::prune::disk_use;
use crate::operator::queue::Queued;
use crate::record::journal;
use crate::record::{Outcome, RunDir, Status};
use clap::Args;
use serde::Serialize;

use super::{
    State, harmless, one_line, print_json, print_record, print_text, report, safe, tell, usage,
};

/// List the runs, newest first, with what their records take on the disk.
#[derive(Args)]
pub(crate) struct List {
    /// Show the newest N.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Show all, and what they take together.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

/// One line of `list`.
#[derive(Serialize)]
struct Row {
    run_id: String,
    /// The record's status; `queued`, `running` or `orphaned` where there is no record.
    status: String,
    /// Its place in the queue, from 1.
    position: Option<usize>,
    task: Option<String>,
    repository: Option<String>,
    files_changed: Option<usize>,
    duration_ms: Option<u64>,
    /// What the run's directory takes on the disk.
    disk_bytes: u64,
}

impl Row {
    fn queued(run: Queued) -> Self {
        Self {
            run_id: run.run_id,
            status: "queued".to_owned(),
            position: Some(run.position),
            task: Some(run.task),
            repository: None,
            files_changed: None,
            duration_ms: None,
            disk_bytes: 0,
        }
    }
}

impl List {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let store = self.state.open()?;
        let (queue, runs) = (store.load_queue()?, store.load_runs()?);
        let count = if self.all { runs.len() } else { self.limit };
        let mut rows: Vec<Row> = queue.into_iter().rev().map(Row::queued).collect();
        for run in runs.iter().rev().take(count) {
            match row(run) {
                Ok(row) => rows.push(row),
                Err(error) => tell(&format!(
                    "note: {}: {}",
                    safe(run.name()),
                    safe(&error.message())
                )),
            }
        }
        if let more @ 1.. = runs.len().saturating_sub(count) {
            tell(&format!(
                "note: {more} older runs are not shown: --limit N or --all"
            ));
        }
        if self.json {
            print_json(&rows)?;
            return Ok(ExitCode::SUCCESS);
        }
        if runs.is_empty() && rows.is_empty() {
            tell("no runs yet");
        }
        if self.all && !runs.is_empty() {
            let bytes = rows.iter().map(|row| row.disk_bytes).sum();
            tell(&format!("{} runs, {} on the disk", rows.len(), size(bytes)));
        }
        let mut text = String::new();
        for row in rows {
            let files = row
                .files_changed
                .map_or_else(|| "-".to_owned(), |count| format!("{count} files"));
            let size = size(row.disk_bytes);
            let place = row.position.map(|place| format!("queued ({place})"));
            let line = format!(
                "{:<60} {:<16} {size:>9}  {files}\n",
                one_line(&row.run_id),
                place.unwrap_or(row.status)
            );
            text.push_str(&line);
        }
        print_text(&safe(&text))?;
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

fn row(run: &RunDir) -> Result<Row, Error> {
    let run_id = run.name().to_owned();
    let disk_bytes = disk_use(run.path());
    // Alive first: a living run writes its record before it removes what it made.
    let alive = run.is_alive();
    Ok(match run.load_record()? {
        Some(outcome) if !alive => Row {
            run_id,
            status: outcome.status.as_str().to_owned(),
            position: None,
            task: Some(outcome.task.to_string()),
            repository: outcome.repository.map(|path| path.display().to_string()),
            files_changed: Some(outcome.files_changed),
            duration_ms: Some(outcome.duration_ms),
            disk_bytes,
        },
        _ => Row {
            task: run.task().map(str::to_owned),
            run_id,
            status: if alive { "running" } else { "orphaned" }.to_owned(),
            position: None,
            repository: None,
            files_changed: None,
            duration_ms: None,
            disk_bytes,
        },
    })
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
        let outcome = load(&find(&self.state, &self.run)?)?;
        if self.json {
            print_record(&outcome)?
        } else {
            print_text(&report::of(&outcome))?
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The run of that name; the newest of a task may wait for its place, with nothing on record.
fn find(state: &State, name: &str) -> Result<RunDir, Error> {
    let store = state.open()?;
    let queue = store.load_queue()?;
    match queue
        .iter()
        .rev()
        .find(|run| [&run.run_id, &run.task].contains(&&name.to_owned()))
    {
        None => Ok(store.find(name)?),
        Some(run) => Err(usage(format!(
            "{} has no record yet: it is queued at position {}",
            run.run_id, run.position
        ))),
    }
}

fn load(run: &RunDir) -> Result<Outcome, Error> {
    run.load_record()?.ok_or_else(|| {
        let name = run.name();
        let what = if run.is_alive() {
            "it is running".to_owned()
        } else {
            // A cleanup would end an agent that still works.
            format!("its operator died: `cx-operator resume {name}` takes it over")
        };
        usage(format!("{name} has no record yet: {what}"))
    })
}

/// Print the complete diff of a run, as `git apply` takes it.
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
        let outcome = load(&run)?;
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

impl Log {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let run = find(&self.state, &self.run)?;
        let path = run.path().join("events.jsonl");
        let entries = journal::load(&path).map_err(|source| Error::Io {
            what: format!("read {}", path.display()),
            source,
        })?;
        if self.json {
            print_json(&entries)?;
        } else {
            let lines: Vec<String> = entries.iter().map(report::line_of_any).collect();
            print_text(&format!("{}\n", lines.join("\n")))?;
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
