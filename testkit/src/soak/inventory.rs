//! What a run left that should be gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cx_operator::record::Outcome;
use regex::Regex;

use super::scene::Scene;
use crate::world::names;
use crate::{inventory, processes};

/// What codex adds to its own configuration at any start.
///
/// Source: codex 0.130.0 and 0.169.0, also when started by hand with no option of ours.
static COUNTERS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^(?:\n|\[tui\]|screen_reader_detection_done = true|\[tui\.model_availability_nux\]|"[\w.-]+" = \d+)*$"#)
        .expect("the pattern is constant")
});

/// Everything that is left of a scene's runs beyond their records and refs, one line each.
pub(crate) fn left_overs(scene: &Scene, outcomes: &[Outcome]) -> Vec<String> {
    let mut left = inventory::left_overs(&scene.world, outcomes);
    let unfinished = names(&scene.world.path("state/unfinished")).into_iter();
    left.extend(unfinished.map(|name| format!("unfinished: {name}")));
    let in_tmp = names(Path::new("/tmp")).into_iter();
    let ours = ["cx", "cc"].map(|prefix| format!("{prefix}-{}", scene.task));
    left.extend(
        in_tmp
            .filter(|name| ours.iter().any(|ours| is_named_after(name, ours)))
            .map(|name| format!("/tmp/{name}")),
    );
    let mut temporary = Vec::new();
    collect_temporary(scene.world.dir(), &mut temporary);
    left.extend(
        temporary
            .into_iter()
            .map(|path| format!("temporary file {}", path.display())),
    );
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
    left
}

/// The task's name, or a name that begins with it and has no digit next.
fn is_named_after(name: &str, ours: &str) -> bool {
    name.strip_prefix(ours)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Ends what should have ended, once it is told of.
pub(crate) fn end_processes(scene: &Scene) {
    processes::kill(&scene.world.processes());
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
    names(Path::new("/proc/self/fd")).len()
}
