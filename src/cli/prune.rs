//! `cx-operator prune`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::Error;
use crate::operator::prune::{PrunePlan, PruneReport, Pruned, Reach, prune};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::records::size;
use super::{State, print_json, print_text, runtime, safe, tell};

/// Remove the records of old runs, and the refs that keep their results. Runs stay that are alive, that need `recover`,
/// or whose worktree or session was kept.
#[derive(Args)]
pub(crate) struct Prune {
    /// Only runs that ended longer ago than this, such as 12h or 90d.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = age)]
    older_than: Duration,
    /// Keep the newest N in any case.
    #[arg(long, value_name = "N", default_value_t = 0)]
    keep: usize,
    /// Only runs of this repository.
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// Only print what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

/// The document of `prune --json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Document {
    /// 1.
    schema_version: u32,
    /// Whether nothing was done.
    dry_run: bool,
    /// The disk space of the pruned runs, in bytes.
    bytes: u64,
    #[serde(flatten)]
    report: PruneReport,
}

/// Parses `30d`, `12h`, `0s`.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error} (write it like 12h or 30d)"))
}

impl Prune {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let store = self.state.open()?;
        let plan = PrunePlan {
            older_than: self.older_than,
            keep: self.keep,
            repository: self.repo,
            dry_run: self.dry_run,
        };
        let report = runtime()?.block_on(prune(&store, &plan))?;
        if self.json {
            print_json(&Document {
                schema_version: 1,
                dry_run: self.dry_run,
                bytes: report.bytes(),
                report,
            })?;
        } else {
            print_text(&safe(&in_words(&report, self.dry_run)))?;
            let only_here = |run: &&Pruned| run.result == Reach::OnNoBranch;
            let count = report.pruned.iter().filter(only_here).count();
            if count > 0 && !self.dry_run {
                tell(&format!(
                    "note: {count} results were on no branch: until git collects its garbage, `git branch NAME COMMIT` brings one back"
                ));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn in_words(report: &PruneReport, dry_run: bool) -> String {
    let (verb, runs, bytes) = if dry_run {
        ("would remove", "runs to remove", "to be freed")
    } else {
        ("removed", "runs removed", "freed")
    };
    let mut text = String::new();
    for run in &report.pruned {
        let result = match (run.result, run.result_commit) {
            (Reach::OnABranch, Some(commit)) => format!("its result {commit} is on a branch"),
            (Reach::OnNoBranch, Some(commit)) => format!("its result {commit} is on no branch"),
            (Reach::NoRepository, _) => "its repository is gone".to_owned(),
            _ => "no result".to_owned(),
        };
        let line = format!("{verb}: {} ({}; {result})\n", run.run_id, size(run.bytes));
        text.push_str(&line);
    }
    for run in &report.left {
        text.push_str(&format!("left alone: {} ({})\n", run.run_id, run.reason));
    }
    text.push_str(&format!(
        "{} {runs}, {} {bytes}\n",
        report.pruned.len(),
        size(report.bytes())
    ));
    text
}
