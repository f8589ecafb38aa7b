//! `watch`, driven in a terminal.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::json;

use testkit::processes;
use testkit::wait::wait_for;
use testkit::world::Ran;

use crate::place::Place;
use crate::terminal::running;

const ESCAPE: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}x";

/// A place with two runs on record, one of which has a patch.
fn recorded() -> Place {
    let place = Place::new();
    let run = "20260101-000000-one-0001";
    let patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old words\n+new words\n";
    place.put(run, "patch.diff", patch.as_bytes());
    let path = place.path("state/runs").join(run).join("patch.diff");
    place.record(run, "one", |record| {
        record["patch"] = json!(path);
        record["files_changed"] = json!(1);
    });
    place.record("20260102-000000-two-0002", "two", |record| {
        record["status"] = json!("agent_failed");
        record["executor"] = json!(ESCAPE);
        record["last_message"] = json!(ESCAPE);
        record["error"] =
            json!({"code": "c", "message": format!("it failed {ESCAPE}"), "hint": null});
    });
    place
}

#[test]
fn it_shows_finds_and_reads_what_is_on_record() {
    let place = recorded();
    let terminal = running(&place, (80, 24), &["watch"]);
    let screen = terminal.wait_for("q quit");
    assert!(
        screen.contains("> failed    two") && screen.contains("done      one"),
        "{screen}"
    );
    assert!(
        screen.contains("it failed") && !screen.contains('\u{202e}'),
        "{screen}"
    );
    terminal.press(&["f", "d", "o", "n"]);
    terminal.wait_for("no run matches");
    terminal.press(&["Escape"]);
    terminal.wait_for("done      one");
    terminal.press(&["f", "o", "n", "e", "Enter"]);
    terminal.wait_for("filter: one");
    terminal.press(&["d"]);
    let screen = terminal.wait_for("+new words");
    assert!(
        screen.contains("-old words") && screen.contains("@@ -1 +1 @@"),
        "{screen}"
    );
    terminal.press(&["q"]);
    terminal.wait_for("filter: one");
    terminal.press(&["?"]);
    terminal.wait_for("closes this page");
    terminal.press(&["x"]);
    terminal.wait_for("filter: one");
    for size in [(40, 10), (200, 50), (3, 2), (80, 24)] {
        terminal.resize(size);
    }
    terminal.wait_for("> done      one");
    terminal.press(&["q"]);
    terminal.wait_for("ended with 0");
    assert!(terminal.is_restored());
}

#[test]
fn signals_and_a_suspension_give_the_terminal_back() {
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let place = recorded();
        let terminal = running(&place, (80, 24), &["watch"]);
        terminal.wait_for("q quit");
        let pid = terminal.child();
        terminal.press(&["C-z"]);
        wait_for("a terminal that is given back", || {
            terminal.is_restored().then_some(())
        });
        // A word to go on is lost on a process that goes yet.
        wait_for("a program that has stopped", || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            stat.rsplit_once(") ")?.1.starts_with('T').then_some(())
        });
        processes::signal(pid, Signal::CONT);
        terminal.wait_for("q quit");
        processes::signal(pid, signal);
        terminal.wait_for(&format!("ended with {status}"));
        assert!(terminal.is_restored());
    }
}

#[test]
fn it_needs_a_terminal() {
    let ran = Place::new().cli(&["watch"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(
        ran.stderr.contains("cx-operator list --json"),
        "{}",
        ran.stderr
    );
}

/// How often the threads of a process have given up the processor of their own accord.
fn rests(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
    let of = |path: &Path| {
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|line| line.trim().parse::<u64>().ok())
            .unwrap_or(0)
    };
    tasks.map(|task| of(&task.expect("a thread").path())).sum()
}

#[test]
fn it_rests_while_nothing_happens() {
    let place = recorded();
    let terminal = running(&place, (80, 24), &["watch"]);
    terminal.wait_for("q quit");
    let pid = terminal.child();
    // What it does at its start is over once two looks find the same.
    let mut before = rests(pid);
    wait_for("a second of rest", || {
        std::thread::sleep(std::time::Duration::from_secs(1));
        let now = rests(pid);
        let is_same = now == before;
        before = now;
        is_same.then_some(())
    });
}

#[test]
fn a_question_is_answered_in_it_and_the_run_is_followed_to_its_end() {
    let place = Place::new();
    begin(&place, "asks", "[[question]]");
    let terminal = running(&place, (120, 24), &["watch"]);
    terminal.wait_for("1 waiting");
    // It is asked first, and any other key is a no.
    terminal.press(&["x"]);
    terminal.wait_for("end asks?");
    terminal.press(&["n"]);
    terminal.press(&["d"]);
    terminal.wait_for("it has changed nothing so far");
    terminal.press(&["y"]);
    terminal.wait_for("it asks a question: r replies");
    terminal.press(&["r"]);
    terminal.wait_for("reply to asks:");
    // A line of what is pasted sends nothing, and is no command.
    terminal.paste("Take the\nfirst one.\n");
    terminal.wait_for("Take the first one.");
    terminal.press(&["Enter"]);
    let screen = terminal.wait_for("> done      asks");
    assert!(screen.contains("0 running, 0 waiting"), "{screen}");
    terminal.press(&["q"]);
    terminal.wait_for("ended with 0");
    let record = place.cli(&["show", "asks", "--json"]).document();
    assert_eq!(record["replies"][0]["reply"], "Take the first one.");
}

/// Begins a run that goes on by itself, and waits for a person where it asks.
fn begin(place: &Place, task: &str, brief: &str) {
    let mut command = place.delegate(task);
    command.args(["--no-preamble", "--prompt", brief]);
    command.args(["--detach", "--wait-for-reply", "10m"]);
    let ran = Ran::of(&mut command, b"");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn approvals_are_decided_in_it() {
    let place = Place::new();
    let brief = "[[shell touch asked && echo 'STATUS: DONE']] [[escalate]]";
    for (task, keys) in [("may", "y"), ("may-not", "n")] {
        begin(&place, task, brief);
        let terminal = running(&place, (120, 24), &["watch"]);
        terminal.wait_for("1 waiting");
        terminal.wait_for("touch asked");
        terminal.press(&["r"]);
        terminal.wait_for("y allows, n denies");
        terminal.press(&[keys]);
        if keys == "n" {
            terminal.wait_for("deny, and say to may-not:");
            terminal.press(&["-l", "Not that."]);
            terminal.press(&["Enter"]);
        }
        terminal.wait_for("0 running, 0 waiting");
        terminal.press(&["q"]);
        terminal.wait_for("ended with 0");
        let record = place.cli(&["show", task, "--json"]).document();
        let reply = record["replies"][0]["reply"].as_str().unwrap_or_default();
        let said = if keys == "y" { "allow" } else { "Not that." };
        assert!(reply.contains(said), "{record:#}");
        let changed = record["files"]
            .as_array()
            .is_some_and(|files| !files.is_empty());
        assert_eq!(changed, keys == "y", "{record:#}");
    }
}

#[test]
fn a_run_is_read_joined_and_ended_from_it() {
    let place = Place::new();
    begin(&place, "works", "[[shell echo words > new; sleep 600]]");
    let new = place.path("worktrees/cx-works/new");
    wait_for("half of the work", || {
        fs::read(&new).ok().filter(|text| text == b"words\n")
    });
    let terminal = running(&place, (100, 24), &["watch"]);
    terminal.wait_for("1 running");
    terminal.press(&["d"]);
    terminal.wait_for("works, so far: 1 file");
    terminal.wait_for("+words");
    terminal.press(&["q"]);
    let told = place.cli(&["report"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stdout.contains("RUNNING  works"), "{}", told.stdout);
    terminal.wait_for("1 running");
    terminal.press(&["a"]);
    terminal.wait_for("? for shortcuts");
    // To the terminal that is joined, within this one.
    terminal.press(&["C-b", "d"]);
    terminal.wait_for("1 running");
    terminal.press(&["x"]);
    terminal.wait_for("end works?");
    terminal.press(&["y"]);
    terminal.wait_for("0 running");
    terminal.press(&["q"]);
    terminal.wait_for("ended with 0");
    assert!(terminal.is_restored());
    let record = place.cli(&["show", "works", "--json"]).document();
    assert_eq!(record["status"], "aborted", "{record:#}");
}
