//! What a run left that should be gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use cx_operator::record::Outcome;
use regex::Regex;

use super::Result;
use super::scene::Scene;
use crate::git;
use crate::processes::{self, Process};

/// How long what was told to end may take: a tmux server and what copies a pane's output go a moment later.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks.
const PACE: Duration = Duration::from_millis(10);

/// What codex adds to its own configuration at any start.
///
/// Source: codex 0.130.0 and 0.169.0, also when started by hand with no option of ours.
static COUNTERS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^(?:\n|\[tui\]|screen_reader_detection_done = true|\[tui\.model_availability_nux\]|"[\w.-]+" = \d+)*$"#)
        .expect("the pattern is constant")
});

/// Whatever is left of a scene's runs beyond their records and refs, one line each.
pub(crate) fn left_overs(scene: &Scene, outcomes: &[Outcome]) -> Result<Vec<String>> {
    let mut left = processes(scene);
    if scene.world.socket().exists() {
        left.push("the tmux server's socket".to_owned());
    }
    for (what, dir) in [
        ("unfinished", scene.world.state().join("unfinished")),
        ("worktree", scene.world.worktrees()),
        (
            "administration of a worktree",
            scene.world.repo().join(".git/worktrees"),
        ),
    ] {
        left.extend(
            entries(&dir)
                .into_iter()
                .map(|name| format!("{what}: {name}")),
        );
    }
    let in_tmp = entries(Path::new("/tmp")).into_iter();
    let ours = format!("cx-{}", scene.task);
    left.extend(
        in_tmp
            .filter(|name| is_named_after(name, &ours))
            .map(|name| format!("/tmp/{name}")),
    );
    let mut temporary = Vec::new();
    collect_temporary(scene.world.dir(), &mut temporary);
    left.extend(
        temporary
            .into_iter()
            .map(|path| format!("temporary file {}", path.display())),
    );
    left.extend(references(scene, outcomes)?);
    if scene.world.look_at_checkout() != scene.checkout {
        left.push(format!(
            "in the checkout: {}",
            scene.world.look_at_checkout()
        ));
    }
    let now = scene.world.codex_configuration();
    let added = now.strip_prefix(&scene.configuration);
    if !added.is_some_and(|text| COUNTERS.is_match(text)) {
        left.push(format!("lines in config.toml: {now}"));
    }
    Ok(left)
}

/// The task's name, or what begins so and goes on with no further digit.
fn is_named_after(name: &str, ours: &str) -> bool {
    name.strip_prefix(ours)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn processes(scene: &Scene) -> Vec<String> {
    let limit = Instant::now() + PATIENCE;
    loop {
        let found = scene.world.processes();
        if found.is_empty() || Instant::now() > limit {
            return found.iter().map(describe).collect();
        }
        thread::sleep(PACE);
    }
}

fn describe(process: &Process) -> String {
    let command: String = process.command.chars().take(100).collect();
    format!("process {}: {}", process.pid, command.escape_default())
}

/// Ends what should have ended, once it is told of.
pub(crate) fn end_processes(scene: &Scene) {
    processes::kill(&scene.world.processes());
}

fn references(scene: &Scene, outcomes: &[Outcome]) -> Result<Vec<String>> {
    let format = "--format=%(refname) %(objectname)";
    let listed = git::query(&scene.world.repo(), &["for-each-ref", format])?;
    let expected: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| {
            let (name, commit) = (outcome.result_ref.as_ref(), outcome.result_commit.as_ref());
            Some(format!("{} {}", name?, commit?))
        })
        .collect();
    let strange = |line: &&str| {
        !line.starts_with("refs/heads/main ") && !expected.iter().any(|ours| ours == line)
    };
    let mut found: Vec<String> = listed
        .lines()
        .filter(strange)
        .map(|line| format!("ref {line}"))
        .collect();
    let missing = |line: &&String| !listed.lines().any(|listed| listed == *line);
    found.extend(
        expected
            .iter()
            .filter(missing)
            .map(|line| format!("no ref {line}")),
    );
    Ok(found)
}

/// Half-written files, locks of git's, and the caller's variables for an agent.
fn collect_temporary(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        // What codex keeps for itself is its own; the operators' lock of the tmux server stays.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if name != "codex" && name != "objects" {
                collect_temporary(&path, into);
            }
        } else if name.contains(".tmp")
            || (name.ends_with(".lock") && name != "tmux.lock")
            || name == "environment"
        {
            into.push(path);
        }
    }
}

fn entries(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// The control groups below /sys/fs/cgroup whose name has that part.
pub(crate) fn control_groups(part: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut next = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(dir) = next.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().contains(part) {
                    found.push(format!("control group {}", entry.path().display()));
                }
                next.push(entry.path());
            }
        }
    }
    found
}

/// How many files this process has open, inotify instances among them.
pub(crate) fn open_files() -> usize {
    entries(Path::new("/proc/self/fd")).len()
}
