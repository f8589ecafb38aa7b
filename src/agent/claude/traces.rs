//! What the program writes outside of the run's configuration directory, and no variable of its own leads elsewhere: the logs
//! of the user's servers of tools, below the user's cache directory, in a directory that is named after the worktree; its
//! socket, where the path of the run's own would be too long for one; and, where the user has switched its sandbox on, what
//! keeps the sandboxed from making such files in the repository: empty ones.
//!
//! `XDG_CACHE_HOME` would lead them elsewhere, and with them the caches of whatever the agent runs.
//!
//! Source: 2.1.197 and 2.1.332.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::environment::value;
use crate::agent::executor::Launch;
use crate::os::files::{Durability, write_private};

/// The program's directory in the user's cache directory.
const CACHE: &str = "claude-cli-nodejs";
/// The beginning of the names of directories that it makes in /tmp for its sockets.
pub(super) const SOCKETS: &str = "cc-socks";
/// So many letters of a long path are in a name; the rest is a number.
const NAMED: usize = 200;

/// What is to be removed when the run is over.
#[derive(Debug, Deserialize, Serialize)]
struct Traces {
    /// The program's directory in the cache.
    cache: PathBuf,
    /// The name of the run's own in it.
    name: String,
    /// The directories above it, and for sockets, that were not there before the run, the innermost first.
    made: Vec<PathBuf>,
    /// What its sandbox may make in the repository and was not there before the run, the innermost first.
    #[serde(default)]
    guards: Vec<PathBuf>,
}

/// What its sandbox makes in the directory with the git directory, each empty.
///
/// Source: 2.1.332; it makes them anew where they were removed in the meantime. 2.1.197 makes none.
const GUARDS: [&str; 9] = [
    ".claude/.cc-writes",
    ".claude",
    ".git/NOTES_MERGE_WORKTREE",
    ".git/config.worktree",
    ".git/glab-cli",
    ".git/remotes",
    ".git/info/.claude-sandbox-noreplace",
    ".git/objects/info/commit-graphs/.claude-sandbox-noreplace",
    ".git/objects/info/.claude-sandbox-noreplace",
];

fn file(home: &Path) -> PathBuf {
    home.join("traces.json")
}

/// The user's cache directory.
fn cache(environment: &[(String, String)]) -> Option<PathBuf> {
    let named = |name: &str| value(environment, name).filter(|value| !value.is_empty());
    let path = |value: OsString| PathBuf::from(value);
    let own = named("XDG_CACHE_HOME").map(path);
    own.or_else(|| Some(path(named("HOME")?).join(".cache")))
}

/// Notes what a start will leave.
pub(super) fn note(launch: &Launch<'_>) -> io::Result<()> {
    let Some(top) = cache(launch.environment) else {
        return Ok(());
    };
    let cache = top.join(CACHE);
    let uid = rustix::process::getuid().as_raw();
    let sockets = Path::new("/tmp").join(format!("{SOCKETS}-{uid}"));
    let made = [&cache, &top, &sockets]
        .into_iter()
        .filter(|path| !path.exists());
    let traces = Traces {
        name: name_of(launch.directory),
        made: made.cloned().collect(),
        guards: absent(launch.repository, &GUARDS),
        cache,
    };
    let bytes = serde_json::to_vec(&traces)?;
    write_private(&file(launch.home), &bytes, Durability::Cached)
}

/// Those of the names that nothing has in that directory.
fn absent(directory: &Path, names: &[&str]) -> Vec<PathBuf> {
    let paths = names.iter().map(|name| directory.join(name));
    paths
        .filter(|path| fs::symlink_metadata(path).is_err())
        .collect()
}

/// A directory as the program names what belongs to it.
pub(super) fn name_of(directory: &Path) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '-'
        }
    };
    directory.to_string_lossy().chars().map(plain).collect()
}

/// Whether a directory of that name is the one of the run.
fn is_named(found: &str, name: &str) -> bool {
    match name.get(..NAMED) {
        Some(beginning) if name.len() > NAMED => found
            .strip_prefix(beginning)
            .is_some_and(|rest| rest.starts_with('-')),
        _ => found == name,
    }
}

/// The sockets of programs that were killed, as their states name them: a program that ends by itself removes both.
fn sockets(home: &Path) -> impl Iterator<Item = PathBuf> {
    let states = fs::read_dir(home.join("claude/sessions")).into_iter();
    let states = states.flatten().flatten();
    states.filter_map(|state| {
        let state: Value = serde_json::from_slice(&fs::read(state.path()).ok()?).ok()?;
        let socket = PathBuf::from(state["messagingSocketPath"].as_str()?);
        let is_one = socket.file_name()?.to_str()? == format!("{}.sock", state["pid"].as_u64()?);
        let dir = socket.parent()?.file_name()?.to_str()?;
        (is_one && dir.starts_with(SOCKETS)).then_some(socket)
    })
}

/// Removes it.
pub(super) fn remove(home: &Path) {
    for socket in sockets(home) {
        let _gone_already = fs::remove_file(socket);
    }
    let traces = fs::read(file(home)).ok();
    let traces = traces.and_then(|bytes| serde_json::from_slice::<Traces>(&bytes).ok());
    let Some(traces) = traces else {
        return;
    };
    for entry in fs::read_dir(&traces.cache).into_iter().flatten().flatten() {
        if is_named(&entry.file_name().to_string_lossy(), &traces.name) {
            let _gone = fs::remove_dir_all(entry.path());
        }
    }
    for made in &traces.made {
        // Another run may have something in it.
        let _in_use = fs::remove_dir(made);
    }
    for guard in &traces.guards {
        match fs::symlink_metadata(guard) {
            Ok(found) if found.is_dir() => drop(fs::remove_dir(guard)),
            Ok(found) if found.is_file() && found.len() == 0 => drop(fs::remove_file(guard)),
            // It has become somebody's.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_of_the_run_are_found() {
        let home = tempfile::tempdir().expect("a directory");
        let states = home.path().join("claude/sessions");
        fs::create_dir_all(&states).expect("made");
        for (pid, path) in [
            (7, "/tmp/cc-socks-0/7.sock"),
            (8, "/tmp/cc-socks-0/9.sock"),
            (9, "/tmp/other/9.sock"),
        ] {
            let state = serde_json::json!({"pid": pid, "messagingSocketPath": path});
            fs::write(states.join(format!("{pid}.json")), state.to_string()).expect("written");
        }
        let found: Vec<PathBuf> = sockets(home.path()).collect();
        assert_eq!(found, [Path::new("/tmp/cc-socks-0/7.sock")]);
    }

    #[test]
    fn only_what_is_new_and_empty_is_removed_from_a_repository() {
        let home = tempfile::tempdir().expect("a directory");
        let repository = tempfile::tempdir().expect("a directory");
        let path = |name: &str| repository.path().join(name);
        for dir in [".git/objects/info", ".git/info", ".git/remotes"] {
            fs::create_dir_all(path(dir)).expect("made");
        }
        let traces = Traces {
            cache: home.path().join("cache"),
            name: "x".to_owned(),
            made: Vec::new(),
            guards: absent(repository.path(), &GUARDS),
        };
        let bytes = serde_json::to_vec(&traces).expect("JSON");
        fs::write(file(home.path()), bytes).expect("written");
        for dir in [
            ".claude/.cc-writes",
            ".git/glab-cli",
            ".git/NOTES_MERGE_WORKTREE",
        ] {
            fs::create_dir_all(path(dir)).expect("made");
        }
        let noreplace = ".git/info/.claude-sandbox-noreplace";
        fs::write(path(noreplace), "").expect("written");
        fs::write(path(".git/glab-cli/config"), "").expect("written");
        fs::write(path(".git/config.worktree"), "[core]").expect("written");
        remove(home.path());
        for gone in [".claude", ".git/NOTES_MERGE_WORKTREE", noreplace] {
            assert!(!path(gone).exists(), "{gone}");
        }
        for kept in [".git/remotes", ".git/glab-cli", ".git/config.worktree"] {
            assert!(path(kept).exists(), "{kept}");
        }
    }

    #[test]
    fn names_are_the_programs_own() {
        assert_eq!(name_of(Path::new("/tmp/.t/cc_t")), "-tmp--t-cc-t");
        assert!(is_named("-tmp-a", "-tmp-a") && !is_named("-tmp-a-1", "-tmp-a"));
        let long = "a".repeat(250);
        let cut = format!("{}-1x", &long[..NAMED]);
        assert!(is_named(&cut, &long) && !is_named(&long, &long));
    }
}
