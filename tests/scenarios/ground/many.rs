//! So many files that neither time nor memory may depend on how many are kept in mind.

use std::fs;
use std::process::Stdio;
use std::time::Instant;

use cx_operator::record::Status;

use super::{report, script, under};
use crate::rig::{Agent, Rig, on};

/// Plays a run whose agent makes so many files; returns the most memory that the operator had, in KB.
async fn peak_of(rig: &Rig, files: usize) -> u64 {
    let began = Instant::now();
    let mut command = rig.delegation("Do what the script says.", &["--turn-timeout", "60s"]);
    let does = format!("seq {files} | split -l 1 -a 5 - f");
    command.env("CX_SCRIPT", script(rig, &does));
    let mut command = under(rig, &[], &command);
    let child = command.stdin(Stdio::null()).spawn().expect("it starts");
    let status = format!("/proc/{}/status", child.id().expect("it runs"));
    let mut peak = 0;
    let watch = async {
        loop {
            peak = high_water(&status).unwrap_or(peak);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let output = tokio::select! {
        output = child.wait_with_output() => output.expect("it ends"),
        () = watch => unreachable!("it watches for ever"),
    };
    let (outcome, _) = rig.document(&output);
    report(
        &format!("{files} files, {} MB", peak >> 10),
        &outcome,
        began.elapsed(),
    );
    assert_eq!(outcome.status, Status::Completed, "{outcome:#?}");
    assert_eq!((outcome.files_changed, outcome.insertions), (files, files));
    assert_eq!(outcome.files.len(), files.min(10_000));
    let result = outcome.result_commit.as_deref().expect("a result");
    let listed = rig.git(&["ls-tree", "-r", "--name-only", result]);
    let ours = listed.lines().filter(|name| name.starts_with("faa"));
    assert!(listed.lines().count() > files && ours.count() > 0);
    let last = rig.git(&["show", &format!("{result}:faaaaa")]);
    assert_eq!(last, "1");
    peak
}

/// The most memory that a process has had, in KB.
fn high_water(status: &str) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn many_files() {
    on(Agent::Scripted, async |rig: &Rig| {
        let peak = peak_of(rig, 3_000).await;
        assert!(peak < 64 << 10, "{peak} KB");
    });
}

/// More than a record lists.
#[test]
#[ignore = "takes most of a minute where others use the machine"]
fn more_files_than_are_listed() {
    on(Agent::Scripted, async |rig: &Rig| {
        let peak = peak_of(rig, 10_500).await;
        assert!(peak < 64 << 10, "{peak} KB");
    });
}
