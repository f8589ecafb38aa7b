//! What a run promises, looked at from outside.

use std::fs;
use std::path::Path;

use cx_operator::Operator;
use cx_operator::record::{Outcome, Status};
use cx_operator::tmux::Server;
use cx_operator::worktree::Changes;

use crate::Result;
use crate::scene::Scene;

/// Checks each promise, prints a line for it, and counts those that were not kept.
pub(crate) async fn check(operator: &Operator, scene: &Scene, outcome: &Outcome) -> Result<usize> {
    let sessions = Server::at(operator.store().tmux_socket())
        .query_sessions()
        .await?;
    let replies: Vec<&str> = outcome
        .replies
        .iter()
        .map(|reply| reply.reply.as_str())
        .collect();
    let answered = matches!(replies.as_slice(), [text, "allow"] if text.starts_with("Spaces."));
    let files: Vec<&str> = outcome
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    let kept = [
        (
            "it completed in two turns",
            outcome.status == Status::Completed && outcome.turns == 2,
        ),
        (
            "the answers file answered the question and allowed the command",
            answered,
        ),
        (
            "the diff has the changed and the new file, uncommitted as they were",
            files == ["STYLE.md", "src/main.rs"] && outcome.changes == Changes::Uncommitted,
        ),
        ("the diff applies to a fresh clone", applies(scene, outcome)),
        (
            "your checkout and your branches are as before",
            scene.world.look_at_checkout() == scene.checkout,
        ),
        (
            "the agent's configuration has no line of ours",
            is_configuration_kept(scene)?,
        ),
        (
            "no worktree is left",
            fs::read_dir(scene.world.worktrees())?.next().is_none(),
        ),
        ("no tmux session is left", sessions.is_empty()),
        ("no process is left", !is_running(outcome)),
        (
            "the record can be read again",
            is_recorded(operator, outcome),
        ),
    ];
    println!();
    for (promise, kept) in kept {
        println!("{}  {promise}", if kept { "ok    " } else { "BROKEN" });
    }
    Ok(kept.iter().filter(|(_, kept)| !kept).count())
}

/// Whether all lines of the configuration are still there, and none that trusts a directory or a hook.
///
/// codex 0.150.0 and 0.169.0 count in it what they have announced (`[tui.model_availability_nux]`).
fn is_configuration_kept(scene: &Scene) -> Result<bool> {
    if let Some(home) = &scene.home {
        return Ok(*home == scene.world.home_files());
    }
    let now = scene.world.codex_configuration();
    let kept = scene
        .configuration
        .lines()
        .all(|line| now.lines().any(|other| other == line));
    Ok(kept
        && !["projects", "hooks", "trust"]
            .iter()
            .any(|word| now.contains(word)))
}

fn applies(scene: &Scene, outcome: &Outcome) -> bool {
    let applied = |patch: &Path| scene.apply(patch, "src/main.rs");
    outcome
        .patch
        .as_deref()
        .is_some_and(|patch| applied(patch).is_ok_and(|text| text.contains("\n    for word")))
}

/// Whether a process with the run's mark is there: every process that a run starts inherits it.
fn is_running(outcome: &Outcome) -> bool {
    let mark = format!("CX_OPERATOR_RUN={}", outcome.run_id);
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| fs::read(process.path().join("environ")).ok())
        .any(|environment| {
            environment
                .split(|&byte| byte == 0)
                .any(|variable| variable == mark.as_bytes())
        })
}

fn is_recorded(operator: &Operator, outcome: &Outcome) -> bool {
    let found = operator.store().find(outcome.run_id.as_str());
    let record = found.and_then(|run| run.load_record());
    // The last numbers are taken when everything is gone.
    record.is_ok_and(|record| {
        record.is_some_and(|record| record.result_commit == outcome.result_commit)
    })
}
