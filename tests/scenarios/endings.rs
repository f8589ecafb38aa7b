//! Runs that are ended from outside: by their caller, by signals, by the death of their operator.

use std::fs;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use cx_operator::agent::executor::Sandbox;
use cx_operator::operator::cleanup::{Action, cleanup};
use cx_operator::os::signal::ENDING;
use cx_operator::record::journal::Progress;
use cx_operator::record::{Outcome, Status};
use cx_operator::worktree::Changes;
use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Child;

use crate::rig::{Rig, scope};

on_both!(
    cancelled_in_a_turn,
    sigint,
    sigterm,
    sighup,
    sigquit,
    sigusr1,
    operator_killed,
    background_processes
);
on_scripted!(
    second_signal,
    signals_that_were_ignored,
    cancelled_before_the_prompt
);

fn assert_half_is_kept(rig: &Rig, outcome: &Outcome) {
    assert_eq!(
        (outcome.turns, outcome.changes),
        (1, Changes::Uncommitted),
        "{outcome:?}"
    );
    let clone = rig.apply(outcome);
    assert_eq!(
        fs::read_to_string(clone.join("half")).expect("the file"),
        "done\n"
    );
}

async fn cancelled_in_a_turn(rig: &Rig) {
    let run = rig.start(rig.task("[[sleep 60]]")).await;
    fs::write(rig.worktree().join("half"), "done\n").expect("half of the work");
    run.canceller().cancel("the caller");
    let outcome = rig.outcome(run).await;
    assert_eq!(
        (outcome.status, outcome.exit_code()),
        (Status::Aborted, 9),
        "{outcome:?}"
    );
    assert!(
        outcome
            .error
            .as_ref()
            .is_some_and(|error| error.message.contains("the caller"))
    );
    assert_half_is_kept(rig, &outcome);
}

async fn cancelled_before_the_prompt(rig: &Rig) {
    let run = rig.operator.start(rig.scripted("hang"));
    run.canceller().cancel("the caller");
    let outcome = rig.outcome(run).await;
    assert_eq!(
        (outcome.status, outcome.turns, outcome.changes),
        (Status::Aborted, 0, Changes::None),
        "{outcome:?}"
    );
}

/// Starts the binary on a long turn, and leaves a file as the agent would.
async fn binary_in_a_turn(rig: &Rig, arguments: &[&str]) -> Child {
    let child = rig.spawn_delegation("[[sleep 60]]", arguments).await;
    fs::write(rig.worktree().join("half"), "done\n").expect("half of the work");
    child
}

async fn finish(child: Child) -> Output {
    child.wait_with_output().await.expect("cx-operator ends")
}

fn pid(child: &Child) -> u32 {
    child.id().expect("it runs")
}

async fn assert_torn_down(rig: &Rig, signal: Signal, expected: i32) {
    let child = binary_in_a_turn(rig, &[]).await;
    rig.signal(pid(&child), signal);
    let (outcome, exit) = rig.document(&finish(child).await);
    assert_eq!(
        (outcome.status, exit),
        (Status::Aborted, expected),
        "{outcome:?}"
    );
    let by = outcome
        .error
        .as_ref()
        .and_then(|error| error.signal.as_deref());
    let name = ENDING.iter().find(|(_, number)| *number == signal);
    assert_eq!(by, name.map(|(name, _)| *name), "{outcome:?}");
    assert_half_is_kept(rig, &outcome);
}

async fn sigint(rig: &Rig) {
    assert_torn_down(rig, Signal::INT, 130).await;
}

async fn sigterm(rig: &Rig) {
    assert_torn_down(rig, Signal::TERM, 143).await;
}

async fn sighup(rig: &Rig) {
    assert_torn_down(rig, Signal::HUP, 129).await;
}

async fn sigquit(rig: &Rig) {
    assert_torn_down(rig, Signal::QUIT, 131).await;
}

async fn sigusr1(rig: &Rig) {
    assert_torn_down(rig, Signal::USR1, 138).await;
}

/// What `nohup` and `trap ''` leave ignored ends no run; the others still do.
async fn signals_that_were_ignored(rig: &Rig) {
    let go_on = rig.path("go-on");
    let brief = format!("[[await {}]]", go_on.display());
    let run = |ignored: &'static str| {
        let mut delegation = rig.delegation(&brief, &[]);
        let command = delegation.as_std_mut();
        let mut shell = tokio::process::Command::new("/bin/sh");
        shell
            .arg("-c")
            .arg(format!("trap '' {ignored}; exec \"$@\""))
            .arg("sh")
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(rig.repo())
            .env_clear()
            .envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        shell.spawn().expect("a shell")
    };
    let child = run("HUP INT");
    rig.wait_for_event("the prompt's proof", |progress| {
        matches!(progress, Progress::Submitted { .. })
    })
    .await;
    for signal in [Signal::HUP, Signal::INT] {
        rig.signal(pid(&child), signal);
    }
    fs::write(&go_on, "").expect("a word");
    let (outcome, exit) = rig.document(&finish(child).await);
    assert_eq!(
        (outcome.status, exit),
        (Status::Completed, 0),
        "{outcome:?}"
    );
}

/// An agent whose command does not end when it is told to gets two seconds; the second signal takes them away. Other tests
/// keep the machine busy: one in three is as fast as it can be.
async fn second_signal(rig: &Rig) {
    let mut took = Vec::new();
    while took.len() < 3 {
        took.push(hurried(rig).await);
        if took.last() < Some(&Duration::from_millis(1500)) {
            return;
        }
    }
    panic!("the second signal hurries nothing: {took:?}");
}

async fn hurried(rig: &Rig) -> Duration {
    let brief = "[[shell trap '' TERM; echo done > half; while :; do sleep 1; done]]";
    let child = rig
        .spawn_delegation(brief, &["--sandbox", "danger-full-access"])
        .await;
    let half = rig.worktree().join("half");
    crate::rig::wait_for("half of the work", || {
        fs::read(&half).ok().filter(|text| text == b"done\n")
    })
    .await;
    rig.signal(pid(&child), Signal::INT);
    rig.wait_for_event("the end of the turns", |progress| {
        matches!(progress, Progress::Ended { .. })
    })
    .await;
    let hurried = Instant::now();
    rig.signal(pid(&child), Signal::INT);
    let (outcome, exit) = rig.document(&finish(child).await);
    let took = hurried.elapsed();
    assert_eq!(
        (outcome.status, exit),
        (Status::Aborted, 130),
        "{outcome:?}"
    );
    assert_half_is_kept(rig, &outcome);
    took
}

/// The operator is killed; the next cleanup ends the run as it would have.
async fn operator_killed(rig: &Rig) {
    let mut child = binary_in_a_turn(rig, &[]).await;
    rig.signal(pid(&child), Signal::KILL);
    child.wait().await.expect("it ended");
    let dry = cleanup(rig.operator.store(), &scope(rig, true))
        .await
        .expect("a list");
    assert!(
        dry.len() == 1 && dry[0].action == Action::WouldRemove,
        "{dry:?}"
    );
    assert!(
        rig.worktree().join("half").exists(),
        "a dry run changes nothing"
    );
    let output = rig
        .binary(&["cleanup", "--json"])
        .output()
        .await
        .expect("cx-operator runs");
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(document["found"][0]["action"], "removed", "{document}");
    let record = rig
        .operator
        .store()
        .find("t")
        .and_then(|run| run.load_record());
    let outcome = record.expect("readable").expect("a record");
    rig.keep_in_mind(&outcome);
    assert_eq!(outcome.status, Status::Aborted);
    assert_eq!(
        outcome.error.as_ref().map(|error| error.code.as_str()),
        Some("operator_died")
    );
    assert_eq!(outcome.changes, Changes::Uncommitted, "{outcome:?}");
    assert_eq!(
        fs::read_to_string(rig.apply(&outcome).join("half")).expect("the file"),
        "done\n"
    );
    let again = cleanup(rig.operator.store(), &scope(rig, false))
        .await
        .expect("a list");
    assert!(again.is_empty(), "{again:?}");
}

/// What the agent's commands leave in the background ends with the run.
async fn background_processes(rig: &Rig) {
    let marker = rig.path("background");
    let brief = format!(
        "[[shell setsid sh -c 'trap \"\" HUP; echo $$ > {}; exec sleep 300' </dev/null >/dev/null 2>&1 & nohup sleep 301 >/dev/null 2>&1 & \
         while ! test -s {}; do sleep 0.01; done; echo 'STATUS: DONE']]",
        marker.display(),
        marker.display()
    );
    let mut task = rig.task(&brief);
    task.agent.sandbox = Sandbox::DangerFullAccess;
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 1),
        "{outcome:?}"
    );
    let pid = fs::read_to_string(marker).expect("it was started");
    let command = fs::read(format!("/proc/{}/cmdline", pid.trim())).unwrap_or_default();
    assert!(command.is_empty(), "{} still runs", pid.trim());
}
