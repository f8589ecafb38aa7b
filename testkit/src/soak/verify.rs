//! Whether what is told of a run is true, and whether its work is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use cx_operator::record::journal::{self, Progress};
use cx_operator::record::{Outcome, RunDir, Store};
use regex::Regex;

use super::Result;
use super::disturb::{Moment, find_run};
use super::plan::{Disturbance, Heir, Plan, Story};
use super::scene::Scene;
use crate::git;

/// What any run's agent writes.
static TOKEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("token-[0-9a-f]{16}").expect("the pattern is constant"));

/// How an operator ended.
pub(crate) struct How {
    pub(crate) moment: Moment,
    /// Its exit status; `None` after a signal.
    pub(crate) status: Option<i32>,
}

/// What was found of a run.
pub(crate) struct Seen {
    pub(crate) end: String,
    /// The records of the scene, whose refs are to be there.
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) violations: Vec<String>,
}

/// Looks at everything that the runs of a scene left on purpose.
pub(crate) fn verify(scene: &Scene, plan: &Plan, how: &How) -> Result<Seen> {
    let mut seen = Seen {
        end: "not begun".to_owned(),
        outcomes: Vec::new(),
        violations: Vec::new(),
    };
    let runs = match scene.world.state().exists() {
        true => Store::open(&scene.world.state())?.load_runs()?,
        false => Vec::new(),
    };
    for run in &runs {
        match run.load_record() {
            Ok(Some(outcome)) => seen.outcomes.push(outcome),
            // It was killed before it had made anything.
            Ok(None) if !is_begun(run) && plan.disturbance == Disturbance::OperatorKilled => {}
            Ok(None) => seen
                .violations
                .push(format!("{} has no record", run.name())),
            Err(error) => seen.violations.push(error.to_string()),
        }
        tokens_in(run.path(), &plan.token, &mut seen.violations);
    }
    let own = |outcome: &&Outcome| outcome.task.as_str() == scene.task;
    match seen.outcomes.iter().find(own).cloned() {
        Some(outcome) => {
            let code = outcome.error.as_ref().map_or("", |error| &error.code);
            seen.end = format!("{} {code}", outcome.status.as_str());
            judge(plan, how, &outcome, &mut seen.violations);
            check_work(scene, plan, &outcome, &mut seen.violations)?;
        }
        None if how.status.is_none() => {}
        None => seen.violations.push("there is no record".to_owned()),
    }
    Ok(seen)
}

/// Whether an operator told of the run before it made anything for it.
fn is_begun(run: &RunDir) -> bool {
    let journal = journal::load(&run.path().join("events.jsonl")).unwrap_or_default();
    matches!(
        journal.first().map(|entry| &entry.progress),
        Some(Progress::Started { .. })
    )
}

/// Whether the end is a true one, and told alike by record and exit status.
fn judge(plan: &Plan, how: &How, outcome: &Outcome, violations: &mut Vec<String>) {
    let status = outcome.status.as_str();
    let code = outcome.error.as_ref().map_or("", |error| &error.code);
    let fits = |end: &(&str, &str)| end.0 == status && (end.1 == "*" || end.1 == code);
    if !plan.true_ends().iter().any(fits) {
        let message = outcome.error.as_ref().map_or("", |error| &error.message);
        violations.push(format!("it ended as {status} {code}: {message}"));
    }
    let in_one_turn = matches!(plan.story, Story::File | Story::Commit);
    let was_over = how.moment.turn_ended && in_one_turn;
    let goes_on = how.moment.submitted && plan.is_followed_on();
    let is_killed = plan.disturbance == Disturbance::OperatorKilled && how.moment.in_time;
    if is_killed && (was_over || goes_on) && status != "completed" {
        let why = if was_over {
            "its turn had ended"
        } else {
            "its agent could go on"
        };
        violations.push(format!("it ended as {status} {code}, though {why}"));
    }
    if !is_killed && how.status != Some(i32::from(outcome.exit_code())) {
        violations.push(format!("{status} {code}, and exit status {:?}", how.status));
    }
}

/// Work that was done is in the result, whatever ended the run; and what is in the result is its own.
fn check_work(
    scene: &Scene,
    plan: &Plan,
    outcome: &Outcome,
    violations: &mut Vec<String>,
) -> Result<()> {
    let is_done = scene.evidence().exists();
    let is_told = match &outcome.result_commit {
        Some(commit) => git::query(&scene.world.repo(), &["show", &format!("{commit}:work")])
            .is_ok_and(|text| text.trim() == plan.token),
        None => false,
    };
    let line = format!("\n+{}\n", plan.token);
    let is_in_patch = match &outcome.patch {
        Some(patch) => fs::read_to_string(patch)?.contains(&line),
        None => false,
    };
    if is_done && !(is_told && is_in_patch) {
        violations.push(format!(
            "the work is lost: commit {is_told}, patch {is_in_patch}"
        ));
    }
    let completed = outcome.status.as_str() == "completed";
    let works = !matches!(plan.story, Story::Nothing | Story::Approval("deny"));
    if completed && works && !is_done {
        violations.push("it completed without its work".to_owned());
    }
    if is_done && plan.story == Story::Commit && outcome.commits.is_empty() {
        violations.push("the agent's commit is lost".to_owned());
    }
    let strange = |path: &&str| !matches!(*path, "work" | "closed");
    let files = outcome.files.iter().map(|file| file.path.as_str());
    violations.extend(
        files
            .filter(strange)
            .map(|path| format!("nobody touched {path}")),
    );
    if !works && outcome.result_commit.is_some() {
        violations.push("there is a result of no work".to_owned());
    }
    Ok(())
}

/// Tells of each token of another run in the files below a directory.
fn tokens_in(dir: &Path, own: &str, violations: &mut Vec<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            tokens_in(&path, own, violations);
            continue;
        }
        let text = fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let found: BTreeSet<&str> = TOKEN.find_iter(&text).map(|found| found.as_str()).collect();
        let foreign = found.into_iter().filter(|token| *token != own);
        violations.extend(foreign.map(|token| format!("{token} in {}", path.display())));
    }
}

/// Whether who took over ended as its command promises.
pub(crate) fn verify_heir(
    scene: &Scene,
    (heir, status): (Heir, Option<i32>),
    violations: &mut Vec<String>,
) {
    let record = find_run(scene, &scene.task).and_then(|run| run.load_record().ok().flatten());
    let expected = match (heir, record) {
        (Heir::Resume, Some(record)) => i32::from(record.exit_code()),
        // There was nothing to take over.
        (Heir::Resume, None) => 2,
        _ => 0,
    };
    if status != Some(expected) {
        violations.push(format!("{heir:?} ended with {status:?}, not {expected}"));
    }
}
