//! What takes longer than it should, and clocks that can't be believed.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cx_operator::record::journal::{Entry, Progress};
use cx_operator::record::{Outcome, Status};
use rustix::process::Signal;
use testkit::wait::on_this_machine;
use tokio::process::Child;

use super::{assert_files, clean, report, under};
use crate::rig::{Agent, Rig, on, wait_for};

/// A clean filter of the user's that never ends: the second signal ends the wait for it, and git with it.
#[test]
fn snapshot_hangs_and_a_second_signal() {
    on(Agent::Scripted, async |rig: &Rig| {
        let filter = format!("touch {}; exec sleep 7777", rig.path("filtering").display());
        let configure = |value: &str| rig.git(&["config", "filter.slow.clean", value]);
        configure(&filter);
        let began = Instant::now();
        let brief = "[[shell echo done > half; echo 'h* filter=slow' > .gitattributes]]";
        let child = rig.spawn_delegation(brief, &[]).await;
        let pid = child.id().expect("it runs");
        wait_for("the filter", || {
            rig.path("filtering").exists().then_some(())
        })
        .await;
        rig.signal(pid, Signal::INT);
        // Another, since the first may still be pending; which of the two counts first is theirs.
        rig.signal(pid, Signal::TERM);
        let output = child.wait_with_output().await.expect("it ends");
        let (outcome, exit) = rig.document(&output);
        report(
            "snapshot_hangs_and_a_second_signal",
            &outcome,
            began.elapsed(),
        );
        assert_eq!(outcome.status, Status::Aborted, "{outcome:#?}");
        assert!(matches!(exit, 130 | 143), "{exit}");
        assert!(began.elapsed() < on_this_machine(Duration::from_secs(15)));
        assert_eq!(outcome.worktree, Some(rig.worktree()));
        configure("cat");
        rig.note_the_callers_state();
        assert_files(rig, &clean(rig, &[]).await, &[("half", "done\n")]);
        rig.git(&["config", "--remove-section", "filter.slow"]);
        rig.note_the_callers_state();
    });
}

/// Moves the wall clock of a process, and no other clock, by the seconds that a file has.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *at) {
    long jump = 0;
    int got = syscall(SYS_clock_gettime, clock, at);
    const char *path = getenv("CLOCK_JUMP");
    FILE *file = path && clock == CLOCK_REALTIME ? fopen(path, "r") : NULL;
    if (file) {
        if (fscanf(file, "%ld", &jump) == 1) at->tv_sec += jump;
        fclose(file);
    }
    return got;
}
"#;

/// The clock as a library to be loaded first. `None` without a C compiler, which is said loudly.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn build_clock(rig: &Rig) -> Option<PathBuf> {
    let (source, library) = (rig.path("clock.c"), rig.path("clock.so"));
    fs::write(&source, CLOCK).expect("the source");
    let mut cc = std::process::Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"])
        .args([&library, &source]);
    if cc.status().is_ok_and(|status| status.success()) {
        return Some(library);
    }
    eprintln!("SKIPPED: there is no C compiler");
    None
}

/// Starts a run whose agent ends its turn when `go` is there, and waits until it is in it.
async fn start(rig: &Rig, variables: &[(&str, PathBuf)], turn_timeout: &str) -> Child {
    let (script, go) = (rig.path("script"), rig.path("go"));
    let text = format!(
        "expect-prompt *\nexec echo done > half\nawait-file {}\nsay Done. It is there.\ndefault",
        go.display()
    );
    fs::write(&script, text).expect("the script");
    let limits = ["--turn-timeout", turn_timeout];
    let mut command = rig.delegation("Do what the script says.", &limits);
    command.env("CX_SCRIPT", script);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let child = under(rig, &[], &command).spawn().expect("it starts");
    rig.wait_for_event("the prompt's proof", |progress| {
        matches!(progress, Progress::Submitted { .. })
    })
    .await;
    child
}

/// Lets the agent end its turn; the run must complete.
async fn assert_completes(rig: &Rig, name: &str, (child, began): (Child, Instant)) -> Outcome {
    fs::write(rig.path("go"), "").expect("a file");
    let output = child.wait_with_output().await.expect("it ends");
    let (outcome, _) = rig.document(&output);
    report(name, &outcome, began.elapsed());
    assert_eq!(outcome.status, Status::Completed, "{outcome:#?}");
    assert_files(rig, &outcome, &[("half", "done\n")]);
    outcome
}

/// The wall clock jumps by six years while the agent works. No wait ends by it.
#[test]
fn clock_jumps() {
    on(Agent::Scripted, async |rig: &Rig| {
        let Some(library) = build_clock(rig) else {
            return;
        };
        let jump = rig.path("jump");
        fs::write(&jump, "0").expect("the jump");
        let began = Instant::now();
        let variables = [("LD_PRELOAD", library), ("CLOCK_JUMP", jump.clone())];
        let child = start(rig, &variables, "30s").await;
        fs::write(&jump, "200000000").expect("the jump");
        // Whatever happens, the operator looks at its deadlines every 5 s.
        tokio::time::sleep(Duration::from_secs(6)).await;
        let outcome = assert_completes(rig, "clock_jumps", (child, began)).await;
        assert!(outcome.duration_ms < 30_000, "{}", outcome.duration_ms);
        let journal = rig.journal(&outcome);
        let years = |entry: &Entry| entry.at[..4].parse::<i32>().expect("a year");
        let jumped = years(&journal[journal.len() - 1]) - years(&journal[0]);
        assert!(jumped >= 6, "the operator's clock jumped by {jumped} years");
    });
}

/// Operator, tmux and agent stand still for a while, as they do when a laptop sleeps.
async fn assert_survives(rig: &Rig, name: &str, pause: Duration) {
    let began = Instant::now();
    let child = start(rig, &[], "300s").await;
    let operator = child.id().expect("it runs");
    let others = rig.tmux(&["list-panes", "-a", "-F", "#{pid} #{pane_pid}"]);
    let mut pids: Vec<u32> = others
        .split_whitespace()
        .map(|pid| pid.parse().expect("a pid"))
        .collect();
    assert_eq!(pids.len(), 2, "the server and the agent: {others}");
    pids.insert(0, operator);
    for &pid in &pids {
        rig.signal(pid, Signal::STOP);
        wait_for("it to stand still", || (state(pid) == 'T').then_some(())).await;
    }
    tokio::time::sleep(pause).await;
    for &pid in &pids {
        rig.signal(pid, Signal::CONT);
    }
    assert_completes(rig, name, (child, began)).await;
}

/// The state of a process, as in /proc: `T` where it is stopped.
fn state(pid: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is there");
    let rest = stat.rsplit(") ").next().expect("a state");
    rest.chars().next().expect("a state")
}

#[test]
fn suspended_for_5_s() {
    on(Agent::Scripted, async |rig: &Rig| {
        assert_survives(rig, "suspended_for_5_s", Duration::from_secs(5)).await;
    });
}

#[test]
#[ignore = "takes more than a minute"]
fn suspended_for_a_minute() {
    on(Agent::Scripted, async |rig: &Rig| {
        assert_survives(rig, "suspended_for_a_minute", Duration::from_secs(65)).await;
    });
}

/// The operator stands still until its deadline is over, and the agent ends its turn meanwhile: that it did counts.
#[test]
fn operator_suspended_beyond_the_deadline() {
    on(Agent::Scripted, async |rig: &Rig| {
        let began = Instant::now();
        let child = start(rig, &[], "3s").await;
        let pid = child.id().expect("it runs");
        rig.signal(pid, Signal::STOP);
        fs::write(rig.path("go"), "").expect("a file");
        wait_for("the end of the turn", || {
            let run = rig.operator.store().load_runs().ok()?.pop()?;
            let signals = fs::read_dir(run.path().join("signals")).ok()?;
            let mut names = signals.filter_map(|entry| Some(entry.ok()?.file_name()));
            let done = names.any(|name| name.to_string_lossy().starts_with(".done-"));
            done.then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        rig.signal(pid, Signal::CONT);
        let name = "operator_suspended_beyond_the_deadline";
        assert_completes(rig, name, (child, began)).await;
    });
}
