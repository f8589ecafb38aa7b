//! Many delegations, disturbed at random: what becomes of them, and whether anything is lost or left.
//!
//! ```text
//! cargo run --release --example soak -- N [--seed S] [--first K] [--parallel P] [--drive D] [--codex PROGRAM] [--claude PROGRAM] [--scripted]
//! ```
//!
//! With `--claude` its agent is Claude Code. With both programs every second run is Claude Code's, and codex is driven by keys
//! and by requests in turn.
//!
//! Each run has a repository, a state directory and a home of its own, with a built-in stand-in for the model, and is
//! carried out by the program `cx-operator`. What its agent does, what disturbs it and when follows from the seed and
//! the run's number alone: `1 --seed S --first K` repeats run K. It may be a model that fails, a question, a signal, or
//! the sudden end of operator, agent or tmux; an operator that was killed is followed by `resume`, `recover`, `cleanup`
//! or the next `delegate`, some of which are killed in their turn.
//!
//! In the end there is a table of outcomes and a line for everything that should not be so: an end that is not true,
//! work that was done and is in no result, another run's work, a missing record, a program that takes too long, and
//! whatever is left of processes, sessions, sockets, worktrees, branches, refs, temporary files, control groups and
//! lines in codex's configuration. Exits with 1 if there is such a line; the directory of that run is kept.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a soak tells what it found"
)]

use std::env;
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use cx_operator::agent::codex::program;
use tempfile::TempDir;

use testkit::soak::{Campaign, Programs, Result};

const USAGE: &str = "usage: soak N [--seed S] [--first K] [--parallel P] [--drive D] [--codex PROGRAM] [--claude PROGRAM] [--scripted]";

fn main() -> ExitCode {
    match soak() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Carries out what the arguments ask for; the number of violations.
fn soak() -> Result<usize> {
    let campaign = read_arguments(build()?)?;
    println!(
        "{} runs from {}, seed {}, {} at once",
        campaign.runs, campaign.first, campaign.seed, campaign.parallel
    );
    for programs in &campaign.programs {
        let (agent, drive) = (programs.agent.display(), &programs.drive);
        println!("{agent}, --executor {}, --drive {drive}", programs.executor);
    }
    let root = TempDir::with_prefix("cx-operator-soak-")?;
    let started = Instant::now();
    let shows = stderr().is_terminal();
    let report = campaign.run(root.path(), |over, violations| {
        if shows {
            let seconds = started.elapsed().as_secs();
            eprint!(
                "\r{over} of {}, {violations} violations, {seconds} s ",
                campaign.runs
            );
        }
    });
    if shows {
        eprintln!();
    }
    println!("\n{report}\ntook {:.0?}", started.elapsed());
    if !report.violations.is_empty() {
        println!(
            "the directories of those runs are in {}",
            root.keep().display()
        );
    }
    Ok(report.violations.len())
}

/// Builds what cargo does not build for an example into the directory of this program; returns that
/// directory.
fn build() -> Result<PathBuf> {
    let executable = env::current_exe()?;
    let binaries = executable
        .ancestors()
        .nth(2)
        .ok_or("not below target/<profile>/examples")?;
    let profile = match binaries.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(&cargo)
        // With an example among the targets the features are those of the running one, and nothing is built twice.
        .args(["build", "--quiet", "--bins", "--example", "soak"])
        .args(["--profile", profile, "--target-dir"])
        .arg(binaries.parent().ok_or("not below target")?)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("failed to run {}: {error}", Path::new(&cargo).display()))?;
    match status.success() {
        true => Ok(binaries.to_owned()),
        false => Err(format!("cargo build: {status}").into()),
    }
}

fn read_arguments(binaries: PathBuf) -> Result<Campaign> {
    let mut campaign = Campaign {
        programs: Vec::new(),
        is_real: true,
        seed: 1,
        first: 0,
        runs: 0,
        parallel: 3,
    };
    let (mut codex, mut claude) = (None, None);
    let mut drive = "auto".to_owned();
    let mut arguments = env::args().skip(1);
    campaign.runs = arguments.next().ok_or(USAGE)?.parse().map_err(|_| USAGE)?;
    while let Some(option) = arguments.next() {
        if option == "--scripted" {
            campaign.is_real = false;
            continue;
        }
        let value = arguments.next().ok_or(USAGE)?;
        match option.as_str() {
            "--seed" => campaign.seed = value.parse()?,
            "--first" => campaign.first = value.parse()?,
            "--parallel" => campaign.parallel = value.parse()?,
            "--drive" => drive = value,
            "--codex" => codex = Some(find(Some(Path::new(&value)))?),
            "--claude" => claude = Some(find(Some(Path::new(&value)))?),
            _ => return Err(USAGE.into()),
        }
    }
    let of = |agent: &Path, executor: &str, drive: &str| Programs {
        binaries: binaries.clone(),
        agent: agent.to_owned(),
        drive: drive.to_owned(),
        executor: executor.to_owned(),
    };
    campaign.programs = match (codex, claude) {
        _ if !campaign.is_real => vec![of(&binaries.join("scripted-agent"), "codex", &drive)],
        (Some(codex), Some(claude)) => ["keys", "requests"]
            .into_iter()
            .flat_map(|drive| [of(&codex, "codex", drive), of(&claude, "claude", "auto")])
            .collect(),
        (None, Some(claude)) => vec![of(&claude, "claude", &drive)],
        (Some(codex), None) => vec![of(&codex, "codex", &drive)],
        (None, None) => vec![of(&find(None)?, "codex", &drive)],
    };
    Ok(campaign)
}

/// An agent's program; the codex on PATH where none is named.
fn find(named: Option<&Path>) -> Result<PathBuf> {
    let found = program::find(named, env::var_os("PATH").as_ref());
    Ok(found.map_err(|error| error.to_string())?)
}
