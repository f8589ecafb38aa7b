//! What runs leave beyond their records and the refs of their results.

use cx_operator::record::Outcome;

use crate::wait::wait_or;
use crate::world::{World, names};
use crate::{processes, wait};

/// Everything in a world that should be gone, one line each: processes, the tmux server, worktrees, refs.
#[must_use]
pub fn left_overs(world: &World, outcomes: &[Outcome]) -> Vec<String> {
    let mut left = Vec::new();
    if world.socket().exists() {
        left.push("the tmux server's socket".to_owned());
    }
    let worktrees = names(&world.worktrees()).into_iter();
    left.extend(worktrees.map(|name| format!("worktree {name}")));
    left.extend(references(world, outcomes));
    // Last, since it waits: everything else is gone when a run has ended.
    left.extend(running(world));
    left
}

/// The processes that are there after a moment: a tmux server and what copies a pane's output end a little later.
fn running(world: &World) -> Vec<String> {
    let gone = || world.processes().is_empty().then_some(());
    match wait_or(wait::LIMIT, gone) {
        Some(()) => Vec::new(),
        None => world.processes().iter().map(describe).collect(),
    }
}

fn describe(process: &processes::Process) -> String {
    let command: String = process.command.chars().take(100).collect();
    format!("process {}: {}", process.pid, command.escape_default())
}

/// The refs of ours that no result has, and the results that have no ref.
fn references(world: &World, outcomes: &[Outcome]) -> Vec<String> {
    let format = "--format=%(refname) %(objectname)";
    let listed = world.git(&["for-each-ref", format, "refs/cx-operator"]);
    // Commits of repositories in the worktree are named in a notice.
    let listed: Vec<&str> = listed
        .lines()
        .filter(|line| !line.contains(".inside."))
        .collect();
    let result = |outcome: &Outcome| {
        let (name, commit) = (outcome.result_ref.as_ref(), outcome.result_commit.as_ref());
        Some(format!("{} {}", name?, commit?))
    };
    let expected: Vec<String> = outcomes.iter().filter_map(result).collect();
    let strange = listed
        .iter()
        .filter(|line| !expected.iter().any(|name| name == *line))
        .map(|line| format!("ref {line}"));
    let missing = expected
        .iter()
        .filter(|name| !listed.contains(&name.as_str()))
        .map(|name| format!("no ref {name}"));
    strange.chain(missing).collect()
}
