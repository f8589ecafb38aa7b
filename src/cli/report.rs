//! The progress of a run, and its report, for people.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use crate::Error;
use crate::operator::listing::short_name;
use crate::record::journal::Entry;
use crate::record::{Outcome, Status, Store};
use crate::worktree::Changes;

use super::look::{Look, time, words_of};
use super::{advice, one_line, print_failure, print_record, print_text, quoted, safe, tell};
use log::{first_line, line_of};

pub(super) use log::{draw_log, item_line, log_line};

mod log;

mod colours;

/// Files listed in a report; the record has all.
const FILES_SHOWED: usize = 20;

/// Prints what just happened, in a line; only the essential lines if stderr is not a terminal.
pub(super) fn print_progress(entry: &Entry, quiet: bool) {
    if let Some(line) = line_of(&entry.progress, quiet) {
        let look = Look::of_stderr();
        let time = time::parse(&entry.at).map_or_else(String::new, |at| look.clock(at));
        tell(&format!("{time} {}", words_of(&line)));
    }
}

/// Prints how a run ended, and returns its exit status.
pub(super) fn print_outcome(outcome: &Outcome, json: bool) -> Result<ExitCode, Error> {
    // Of a run that never came to be there is nothing to report but why.
    let why = outcome.error.as_ref().filter(|_| outcome.run_dir.is_none());
    if let Some(failure) = why {
        print_failure(failure);
    }
    if json {
        print_record(outcome)?;
    } else if why.is_none() {
        print_text(&of(outcome, &Look::of_stdout()))?;
    }
    Ok(ExitCode::from(outcome.exit_code()))
}

/// The report of a run: outcome, what was done, what changed, what was observed, what's next.
pub(super) fn of(outcome: &Outcome, look: &Look) -> String {
    with_deeds(outcome, "", look)
}

/// The same with what the agent did, in lines.
pub(super) fn with_deeds(outcome: &Outcome, deeds: &str, look: &Look) -> String {
    let mut text = String::new();
    let _written_to_a_string = write_report(&mut text, outcome, (deeds, look));
    colours::of(&safe(&text), outcome.status, look)
}

/// What was observed in a run.
pub(super) fn observed(outcome: &Outcome, look: &Look) -> String {
    let mut text = String::new();
    let _written_to_a_string = write_observations(&mut text, outcome, look);
    text
}

/// What can be done now.
pub(super) fn next(outcome: &Outcome) -> String {
    let mut text = String::new();
    let _written_to_a_string = write_next(&mut text, outcome);
    text
}

fn write_report(
    to: &mut String,
    outcome: &Outcome,
    (deeds, look): (&str, &Look),
) -> std::fmt::Result {
    writeln!(
        to,
        "{}  {} ({}, {})",
        headline(outcome.status),
        outcome.task,
        time::took(Duration::from_millis(outcome.duration_ms)),
        turns(outcome.turns)
    )?;
    if let Some(error) = &outcome.error {
        let message = continued(&error.message);
        writeln!(to, "\nwhy: {message} [{}]", one_line(&error.code))?;
    }
    if let Some(pending) = &outcome.pending {
        writeln!(
            to,
            "\nwaits for an answer ({}):\n{}",
            one_line(&pending.kind),
            indented(&pending.text)
        )?;
        for option in &pending.options {
            let label = one_line(&option.label);
            writeln!(to, "  * {label}: {}", one_line(&option.description))?;
        }
        if let Some(reason) = &pending.reason {
            writeln!(to, "  reason:\n{}", indented(reason))?;
        }
    } else if let Some(message) = &outcome.last_message {
        writeln!(to, "\nthe agent says:\n{}", indented(message))?;
    }
    if !deeds.is_empty() {
        write!(to, "\nwhat it did:\n{deeds}")?;
    }
    if outcome.run_dir.is_some() {
        write_changes(to, outcome)?;
        writeln!(to, "\nobserved:")?;
        write_observations(to, outcome, look)?;
    }
    let next = next(outcome);
    if !next.is_empty() {
        write!(to, "\nnext:\n{next}")?;
    }
    Ok(())
}

fn headline(status: Status) -> &'static str {
    match status {
        Status::Completed => "COMPLETED",
        Status::NeedsInput => "NEEDS INPUT",
        Status::NeedsPermission => "NEEDS PERMISSION",
        Status::BlockedDialog => "BLOCKED BY A DIALOG",
        Status::TurnCap => "TURN CAP",
        Status::OverBudget => "OVER BUDGET",
        Status::AgentFailed => "AGENT FAILED",
        Status::AgentDied => "AGENT DIED",
        Status::TimedOut => "TIMED OUT",
        Status::Aborted => "ABORTED",
        Status::Failed => "FAILED",
    }
}

fn turns(count: u32) -> String {
    match count {
        0 => "no prompt submitted".to_owned(),
        1 => "1 turn".to_owned(),
        count => format!("{count} turns"),
    }
}

fn write_changes(to: &mut String, outcome: &Outcome) -> std::fmt::Result {
    if outcome.changes == Changes::None {
        return writeln!(to, "\nchanges: none");
    }
    if outcome.changes == Changes::Unknown && outcome.result_commit.is_none() {
        return writeln!(to, "\nchanges: unknown");
    }
    let how = match outcome.changes {
        Changes::None => "",
        Changes::Committed => "committed",
        Changes::Uncommitted => "uncommitted",
        Changes::Both => "committed and uncommitted",
        Changes::Unknown => "as far as could be seen",
    };
    let (insertions, deletions) = (outcome.insertions, outcome.deletions);
    writeln!(
        to,
        "\nchanges: {}, +{insertions} -{deletions}, {how}",
        files(outcome.files_changed)
    )?;
    for file in outcome.files.iter().take(FILES_SHOWED) {
        let status = serde_json::to_value(file.status).unwrap_or_default();
        let numbers = if file.binary {
            "binary".to_owned()
        } else {
            format!("+{} -{}", file.insertions, file.deletions)
        };
        writeln!(
            to,
            "  {} {}  {numbers}",
            status.as_str().unwrap_or("?"),
            one_line(&file.path)
        )?;
    }
    if outcome.files_changed > FILES_SHOWED {
        writeln!(to, "  … and {} more", outcome.files_changed - FILES_SHOWED)?;
    }
    for commit in &outcome.commits {
        writeln!(
            to,
            "  commit {:.12} {}",
            commit.id.to_string(),
            one_line(&commit.summary)
        )?;
    }
    Ok(())
}

fn write_observations(to: &mut String, outcome: &Outcome, look: &Look) -> std::fmt::Result {
    if let Some(began) = time::parse(&outcome.started_at) {
        writeln!(to, "  began {}", look.moment(began))?;
    }
    if let Some(version) = &outcome.agent_version {
        let session = outcome.session_id.as_deref().unwrap_or("none");
        let line = format!("{} {version}, session {session}", outcome.executor);
        writeln!(to, "  {}", one_line(&line))?;
    }
    if let Some(usage) = &outcome.usage {
        let of = |count: Option<u64>, what| {
            count.map_or_else(String::new, |count| format!(" ({count} {what})"))
        };
        writeln!(
            to,
            "  tokens: {} in{}, {} out{}",
            usage.input_tokens,
            of(usage.cached_input_tokens, "cached"),
            usage.output_tokens,
            of(usage.reasoning_output_tokens, "reasoning")
        )?;
    }
    if let Some(cost) = outcome.budget.as_ref().and_then(|budget| budget.cost_usd) {
        writeln!(to, "  cost: {cost} USD")?;
    }
    for reply in &outcome.replies {
        writeln!(
            to,
            "  turn {}: {} replied: {}",
            reply.turn,
            one_line(&reply.by),
            first_line(&reply.reply)
        )?;
    }
    for notice in &outcome.notices {
        writeln!(to, "  note: {}", continued(&advice(notice)))?;
    }
    Ok(())
}

fn write_next(to: &mut String, outcome: &Outcome) -> std::fmt::Result {
    if let Some(hint) = outcome
        .error
        .as_ref()
        .and_then(|error| error.hint.as_deref())
    {
        writeln!(to, "  {}", continued(&advice(hint)))?;
    }
    let run = name_of(outcome);
    // What was there at the end of the run may have been removed since.
    if let Some(worktree) = outcome.worktree.as_ref().filter(|path| path.exists()) {
        let worktree = worktree.display().to_string();
        writeln!(to, "  the worktree is in {}", one_line(&worktree))?;
        let remove = advice(&format!("cx-operator cleanup --kept {run}"));
        writeln!(to, "  remove it: {remove}")?;
    }
    let patch = outcome.patch.as_ref().filter(|path| path.exists());
    if let (Some(_), Some(result)) = (patch, &outcome.result_ref) {
        let diff = advice(&format!("cx-operator diff {run}"));
        writeln!(to, "  see it:   {diff}")?;
        let apply = advice(&format!("cx-operator apply {run} --patch"));
        write_taking(to, outcome, &apply, &one_line(result))?;
    }
    match outcome.run_dir.as_ref() {
        Some(dir) if dir.exists() => {
            let dir = dir.display().to_string();
            writeln!(to, "  the record is in {}", one_line(&dir))
        }
        Some(_) => Ok(()),
        None => writeln!(to, "  nothing was created"),
    }
}

/// What people can call the run by.
fn name_of(outcome: &Outcome) -> String {
    let dir = outcome.run_dir.as_deref();
    let root = dir.and_then(|dir| dir.parent()?.parent());
    let store = root.filter(|root| root.is_dir()).map(Store::open);
    let id = outcome.run_id.as_str();
    let short = store.and_then(|store| {
        let store = store.ok()?;
        let run = store.find(id).ok()?;
        Some(short_name(&store, &run))
    });
    short.unwrap_or_else(|| id.to_owned())
}

/// How to apply the work from any directory.
fn write_taking(to: &mut String, outcome: &Outcome, apply: &str, result: &str) -> std::fmt::Result {
    let root = outcome.checkout.as_ref().or(outcome.repository.as_ref());
    let Some(root) = root.filter(|root| root.exists()) else {
        return Ok(());
    };
    let git = format!("git -C {}", one_line(&quoted(root)));
    if !root.join(".git").exists() {
        return writeln!(
            to,
            "  keep it:  {git} branch result-{} {result}",
            outcome.task
        );
    }
    writeln!(to, "  apply it: {apply}")?;
    if outcome.base_dirty {
        // A merge does not know of the changes that the agent started from.
        return Ok(());
    }
    writeln!(to, "  or merge: {git} merge {result}")
}

/// A number of files, in words.
pub(super) fn files(count: usize) -> String {
    format!("{count} {}", if count == 1 { "file" } else { "files" })
}

/// A text whose further lines can't be taken for lines of the report.
fn continued(text: &str) -> String {
    text.replace('\n', "\n    ")
}

fn indented(text: &str) -> String {
    text.trim()
        .lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
