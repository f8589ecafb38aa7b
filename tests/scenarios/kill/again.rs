//! Whoever recovers is killed as well, and several recover at once.

use std::io::ErrorKind;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};

use cx_operator::record::Outcome;
use cx_operator::record::journal::{Progress, Step};

use super::classes::ANSWERED;
use super::{Heir, Kill, Killed, Reference, delegation, entries, kill_operator, recover, run};
use crate::rig::{Agent, Rig, on};

fn killing(line: usize, heir: Heir) -> Kill {
    Kill {
        class: &ANSWERED,
        agent: Agent::Scripted,
        when: "after",
        line,
        heir,
    }
}

/// Kills the operator after a line, then whoever resumes its run after every n-th line of theirs.
fn killed_again(line: usize, step: usize) {
    let reference = Reference::of(&ANSWERED, Agent::Scripted);
    let kill = killing(line, Heir::Resume);
    let ended = AtomicBool::new(false);
    for again in (1..).step_by(step) {
        on(Agent::Scripted, async |rig| {
            assert!(kill_operator(rig, kill).await.status.code().is_none());
            let mut resume = rig.binary(&["resume", "t", "--json"]);
            resume.env("CX_OPERATOR_CRASH", format!("after:{again}"));
            let output = run(rig, resume, kill.class).await;
            ended.store(output.status.code().is_some(), Ordering::Relaxed);
            let killed = Killed::now(rig, kill.class);
            recover(rig, kill).await;
            killed.assert_recovered(rig, kill, &reference);
        });
        if ended.load(Ordering::Relaxed) {
            assert!(again > 8, "whoever resumes writes more than {again} lines");
            return;
        }
    }
}

#[test]
fn killed_while_it_resumes() {
    killed_again(10, 5);
}

#[test]
#[ignore = "takes minutes"]
fn killed_at_each_line_while_it_resumes() {
    for line in [7, 8, 9, 10, 11, 13, 15, 18] {
        killed_again(line, 1);
    }
}

/// Exactly one of them acts; the others say so or do nothing.
async fn recovered_by_five_at_once(rig: &Rig, line: usize, reference: &Reference) {
    let kill = killing(line, Heir::Start);
    assert!(kill_operator(rig, kill).await.status.code().is_none());
    let killed = Killed::now(rig, kill.class);
    let commands = [
        rig.binary(&["resume", "t", "--json"]),
        rig.binary(&["recover", "--json"]),
        rig.binary(&["cleanup", "--json"]),
        rig.delegation_of("other", "Say hello.", &[]),
        rig.binary(&["resume", "t", "--json"]),
    ];
    let started = commands.map(|mut command| command.spawn().expect("cx-operator starts"));
    let mut outputs = Vec::new();
    for child in started {
        outputs.push(child.wait_with_output().await.expect("it ends"));
    }
    rig.document(&outputs[3]);
    killed.assert_recovered(rig, kill, reference);
    let taken = |progress: &Progress| matches!(progress, Progress::TakenOver { .. });
    let taken = entries(rig)
        .iter()
        .filter(|entry| taken(&entry.progress))
        .count();
    assert_eq!(taken, 1, "one of them acts");
    let record = rig
        .operator
        .store()
        .find("t")
        .and_then(|run| run.load_record());
    let record = record.expect("readable").expect("written");
    for output in [&outputs[0], &outputs[4]] {
        assert_told(output, &record);
    }
}

/// A `resume` prints the record, or says that another operator has the run.
fn assert_told(output: &Output, record: &Outcome) {
    let told: Option<Outcome> = serde_json::from_slice(&output.stdout).ok();
    match told {
        Some(told) => assert_eq!((&told.run_id, told.status), (&record.run_id, record.status)),
        None => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("is alive"), "{said}");
        }
    }
}

#[test]
fn one_of_five_recovers() {
    let reference = Reference::of(&ANSWERED, Agent::Scripted);
    for line in [4, 9, 20] {
        on(Agent::Scripted, async |rig| {
            recovered_by_five_at_once(rig, line, &reference).await;
        });
    }
    on(Agent::Scripted, async |rig| {
        cut_removal(rig, &reference).await
    });
}

/// What is gone after a removal that was cut short says nothing of the work.
async fn cut_removal(rig: &Rig, reference: &Reference) {
    let begun = "\"event\":\"begun\",\"step\":\"remove_worktree\"";
    let kill = killing(reference.lines, Heir::Resume);
    let mut command = delegation(rig, kill.class);
    command.env("CX_OPERATOR_CRASH", format!("after:{begun}"));
    let output = run(rig, command, kill.class).await;
    assert!(output.status.code().is_none(), "it is removed");
    let killed = Killed::now(rig, kill.class);
    let last = killed.entries.last().map(|entry| &entry.progress);
    assert_eq!(last, Some(&Progress::Begun(Step::RemoveWorktree)));
    // The killed one may have come as far itself.
    match std::fs::remove_dir_all(rig.worktree()) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            panic!("a part of the removal: {error}")
        }
        _ => {}
    }
    rig.git(&["update-ref", "-d", "refs/heads/cx-t"]);
    recover(rig, kill).await;
    killed.assert_recovered(rig, kill, reference);
}
