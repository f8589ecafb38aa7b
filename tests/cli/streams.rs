//! The binary whose streams, directories, tmux or earlier runs are not as one would wish.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::place::Place;
use testkit::built;

fn delegate(world: &Place, prompt: &str, worktrees: &Path) -> Command {
    let mut command = world.operator(&["delegate", "--task=streams", "--no-preamble", "--json"]);
    command
        .arg(format!("--prompt={prompt}"))
        .arg("--codex")
        .arg(built::scripted_agent())
        .arg("--worktree-root")
        .arg(worktrees);
    command
}

fn status_of(json: &[u8]) -> String {
    let record: serde_json::Value = serde_json::from_slice(json).expect("one document");
    format!("{} {}", record["status"], record["error"])
}

#[test]
fn a_run_ends_in_good_order_where_nobody_reads_stderr() {
    let place = Place::with(&[("a.txt", "a\n")]);
    let mut command = delegate(&place, "[[say Done.]]", &place.worktrees());
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = command.stderr(Stdio::from(writer)).output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(status_of(&output.stdout), "\"completed\" null");
    assert_eq!(place.git(&["branch", "--list", "cx-*"]), "");
}

/// Directories whose names tmux would expand, a shell split, or git quote.
const ODD_NAMES: [&str; 6] = [
    "#(touch expanded)",
    "#{pid}%H%%#S",
    "#[a]##[b]##",
    "it's \"a\" $HOME;",
    "new\nline\\",
    "ünï ✓",
];

#[test]
fn paths_are_taken_as_they_are() {
    for name in ODD_NAMES {
        let place = Place::with(&[("a.txt", "a\n")]);
        let (state, worktrees) = (
            place.path(&format!("s{name}")),
            place.path(&format!("w{name}")),
        );
        fs::create_dir(&worktrees).expect("created");
        let mut command = delegate(&place, "[[shell pwd >here.txt]]", &worktrees);
        command.env("CX_OPERATOR_STATE", &state);
        let output = command.output().expect("runs");
        let record: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a record");
        assert_eq!(record["turns"], 1, "{name}: {record:#}");
        assert_eq!(record["files"][0]["path"], "here.txt", "{name}: {record:#}");
        assert!(!place.path("repo/here.txt").exists(), "{name}");
        assert!(!place.path("repo/expanded").exists(), "{name}");
        let run = PathBuf::from(record["run_dir"].as_str().expect("a path"));
        assert_ne!(
            fs::metadata(run.join("pane.log")).map_or(0, |log| log.len()),
            0,
            "{name}"
        );
    }
}

#[test]
fn the_agent_has_the_callers_environment_and_no_copy_of_it_stays() {
    let place = Place::with(&[("a.txt", "a\n")]);
    let mut command = delegate(
        &place,
        "[[shell /usr/bin/env >env.txt]]",
        &place.worktrees(),
    );
    // A PATH without `rm` (the scripted agent needs `stty`), a name that a launcher may use, one that bash keeps to itself.
    let tools = place.path("tools");
    fs::create_dir(&tools).expect("created");
    let searched = std::env::var_os("PATH").expect("a PATH");
    let mut found = std::env::split_paths(&searched).map(|dir| dir.join("stty"));
    let stty = found.find(|path| path.exists()).expect("stty is installed");
    std::os::unix::fs::symlink(stty, tools.join("stty")).expect("linked");
    command
        .arg(format!("--env=PATH={}", tools.display()))
        .args(["--env=status=mine", "--env=UID=7"])
        .arg("--env=ODD=it's\n$(x) \"\\");
    let output = command.output().expect("runs");
    let record: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a record");
    let patch = record["patch"]
        .as_str()
        .unwrap_or_else(|| panic!("{record:#}"));
    let patch = fs::read_to_string(patch).expect("a file");
    assert!(patch.contains("\n+status=mine\n"), "{patch}");
    assert!(patch.contains("\n+ODD=it's\n+$(x) \"\\\n"), "{patch}");
    let run = PathBuf::from(record["run_dir"].as_str().expect("a path"));
    assert!(!run.join("environment").exists());
    assert_eq!(
        fs::read_to_string(run.join("exit-status")).expect("written"),
        "0\n"
    );
}

#[test]
fn a_start_that_went_wrong_half_way_leaves_nothing() {
    let place = Place::with(&[("a.txt", "a\n")]);
    let searched = std::env::var_os("PATH").expect("a PATH");
    let mut found = std::env::split_paths(&searched).map(|dir| dir.join("tmux"));
    let tmux = found.find(|path| path.exists()).expect("tmux is installed");
    let tools = place.path("tools");
    fs::create_dir(&tools).expect("created");
    // Does what it is told, and says something else than it was asked for.
    let fake = format!(
        "#!/bin/sh\n'{}' \"$@\" && case \"$*\" in *' new '*|*' new-session '*) echo surprise;; esac\n",
        tmux.display()
    );
    fs::write(tools.join("tmux"), fake).expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(tools.join("tmux"), mode).expect("executable");
    let mut path = tools.into_os_string();
    path.push(":");
    path.push(searched);
    let mut command = delegate(&place, "[[say Done.]]", &place.worktrees());
    let output = command.env("PATH", path).output().expect("runs");
    let record: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a record");
    assert_eq!(record["error"]["code"], "tmux", "{record:#}");
    assert!(!place.path("state/tmux.sock").exists());
    let worktrees = fs::read_dir(place.worktrees()).expect("listed");
    assert_eq!(worktrees.count(), 0);
}

/// The one run that the state directory has.
fn only_run(place: &Place) -> PathBuf {
    let mut runs = fs::read_dir(place.path("state/runs")).expect("listed");
    let run = runs.next().expect("one run").expect("listed").path();
    assert!(runs.next().is_none());
    run
}

/// The run is not closed, as where its operator died.
fn mark_unfinished(place: &Place, run: &Path) {
    let mark = place
        .path("state/unfinished")
        .join(run.file_name().expect("a name"));
    fs::write(mark, "").expect("written");
}

fn cleanup(place: &Place) -> serde_json::Value {
    let mut command = place.command(built::operator());
    command.args(["cleanup", "--json", "--worktree-root"]);
    let output = command.arg(place.worktrees()).output();
    let output = output.expect("runs");
    serde_json::from_slice(&output.stdout).expect("a document")
}

#[test]
fn cleanup_tells_what_was_kept_from_what_could_not_be_removed() {
    let place = Place::with(&[("a.txt", "a\n")]);
    let mut command = delegate(&place, "[[shell echo b >b.txt]]", &place.worktrees());
    let output = command.arg("--keep=worktree").output().expect("runs");
    assert!(output.status.code().is_some(), "{output:?}");
    let worktree = place.path("worktrees/cx-streams");
    let kind = |found: &serde_json::Value| found["found"][0]["kind"].clone();
    assert_ne!(kind(&cleanup(&place)), "run");
    assert!(worktree.exists(), "what was kept on purpose stays");
    // As where nothing was to be kept, and the removal failed.
    let order = only_run(&place).join("order.json");
    let text = fs::read(&order).expect("the order");
    let mut task: serde_json::Value = serde_json::from_slice(&text).expect("a document");
    assert_eq!(task["keep"], "worktree", "{task:#}");
    task["keep"] = "nothing".into();
    fs::write(order, task.to_string()).expect("written");
    mark_unfinished(&place, &only_run(&place));
    let found = cleanup(&place);
    assert_eq!(found["found"][0]["action"], "removed", "{found:#}");
    assert!(!worktree.exists());
    assert_eq!(place.git(&["branch", "--list", "cx-*"]), "");
    assert_eq!(cleanup(&place)["found"], serde_json::json!([]));
}

#[test]
fn cleanup_leaves_the_session_of_another_run_alone() {
    let place = Place::with(&[("a.txt", "a\n")]);
    let mut command = delegate(&place, "[[say Done.]]", &place.worktrees());
    command.arg("--keep=session").output().expect("runs");
    let kept = only_run(&place);
    // A run of a task of the same name whose operator died before there was a pane.
    let dead = place.path("state/runs/20200101-000000-streams-dead");
    fs::create_dir(&dead).expect("created");
    let name = kept.file_name().and_then(|name| name.to_str());
    let journal = fs::read_to_string(kept.join("events.jsonl")).expect("read");
    let began = journal
        .lines()
        .take_while(|line| !line.contains(r#""event":"launched""#))
        .map(|line| line.replace(name.expect("text"), "20200101-000000-streams-dead") + "\n");
    fs::write(dead.join("events.jsonl"), began.collect::<String>()).expect("written");
    mark_unfinished(&place, &dead);
    assert_eq!(cleanup(&place)["found"][0]["action"], "removed");
    let socket = place.path("state/tmux.sock");
    let tmux = |verb: &str| {
        let mut command = place.command("tmux");
        command
            .arg("-S")
            .arg(&socket)
            .arg(verb)
            .output()
            .expect("runs")
    };
    let sessions = tmux("list-sessions").stdout;
    assert!(sessions.starts_with(b"cx-streams:"), "{sessions:?}");
    let mut command = place.command(built::operator());
    command.args(["cleanup", "--kept", name.expect("text")]);
    let ended = command.output().expect("runs");
    assert!(ended.status.success(), "{ended:?}");
    assert!(!socket.exists(), "what was kept is gone");
}
