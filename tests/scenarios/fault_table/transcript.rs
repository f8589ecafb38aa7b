//! The transcript is lost, late, cut, or longer than any memory.

use std::io::{Seek, SeekFrom};
use std::path::Path;

use tokio::process::Child;

use super::*;
use crate::rig::wait_for;

/// What the operator's own process may take, in KiB.
const MEMORY: u64 = 64 << 10;

faults! {
    every_and_claude missing: Fault {
        how: "the transcript is removed in a turn that completes",
        status: Status::Completed,
        code: None,
        within: 5,
        says: &["Done."],
        provoke: |rig| Box::pin(missing(rig, "")),
    };
    // Nothing else tells that a turn failed.
    both_terminals missing_and_the_turn_fails: Fault {
        how: "… in a turn that fails",
        status: Status::TimedOut,
        code: Some("turn_timeout"),
        within: 11,
        says: &["longer than 6s"],
        provoke: |rig| Box::pin(missing(rig, "[[http 401]]")),
    };
    both late: Fault {
        how: "the transcript appears after the turn has failed",
        status: Status::AgentFailed,
        code: Some("http_401"),
        within: 8,
        says: &["401 Unauthorized"],
        provoke: |rig| Box::pin(late(rig)),
    };
    every truncated: Fault {
        how: "the transcript is cut to nothing in a turn that fails",
        status: Status::AgentFailed,
        code: Some("http_401"),
        within: 8,
        says: &["401 Unauthorized"],
        provoke: |rig| Box::pin(truncated(rig)),
    };
    scripted thorough_gigabyte: Fault {
        how: "the transcript grows by 1 GB (256 MB in a sample) in a turn that fails",
        status: Status::AgentFailed,
        code: Some("http_401"),
        within: 30,
        says: &["401"],
        provoke: |rig| Box::pin(gigabyte(rig)),
    };
}

/// The only transcript, wherever the agent put it.
async fn transcript(rig: &Rig) -> PathBuf {
    wait_for("the transcript", || {
        let dir = match rig.is_claude() {
            true => rig
                .operator
                .store()
                .load_runs()
                .ok()?
                .pop()?
                .path()
                .join("home/claude/projects"),
            false => rig.path("codex/sessions"),
        };
        find(&dir)
    })
    .await
}

fn find(dir: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).ok()?.filter_map(Result::ok);
    entries
        .map(|entry| entry.path())
        .find_map(|path| match path.is_dir() {
            true => find(&path),
            false => path
                .extension()
                .is_some_and(|ext| ext == "jsonl")
                .then_some(path),
        })
}

pub(super) async fn missing(rig: &Rig, then: &str) -> Ended {
    let ended = fault_in_a_turn(rig, then, async |_| {
        fs::remove_file(transcript(rig).await).expect("the transcript");
    })
    .await;
    let told = |notice: &String| notice.contains("the transcript was not kept");
    // Claude Code opens its file anew for each line, so that there is one in the end.
    assert!(
        rig.is_claude() || ended.outcome.notices.iter().any(told),
        "{:?}",
        ended.outcome
    );
    ended
}

async fn late(rig: &Rig) -> Ended {
    let mut task = rig.task(&held(rig, "[[http 401]]"));
    task.limits.turn = Duration::from_secs(20);
    let run = submit(rig, task).await;
    let path = transcript(rig).await;
    let hidden = rig.path("hidden");
    fs::rename(&path, &hidden).expect("hidden");
    fs::write(word(rig), "").expect("the word");
    wait_for("the end of the turn", || {
        let text = fs::read_to_string(&hidden).ok()?;
        text.contains("task_complete").then_some(())
    })
    .await;
    fs::rename(&hidden, &path).expect("back again");
    end(rig, run).await
}

pub(super) async fn truncated(rig: &Rig) -> Ended {
    fault_in_a_turn(rig, "[[http 401]]", async |_| {
        let file = fs::File::options().write(true).open(transcript(rig).await);
        let cut = file.and_then(|file| file.set_len(0));
        cut.expect("cut");
    })
    .await
}

/// By the binary: what it takes is the operator's alone.
async fn gigabyte(rig: &Rig) -> Ended {
    let mut child = rig.spawn_delegation(&held(rig, "[[http 401]]"), &[]).await;
    fs::write(rig.worktree().join("half"), "done\n").expect("half of the work");
    let path = transcript(rig).await;
    let mut file = fs::File::options().append(true).open(path).expect("it");
    let end = file.seek(SeekFrom::End(0)).expect("its end");
    let grown = testkit::size::size(1 << 28, 1 << 30);
    file.set_len(end + grown as u64).expect("a sparse file");
    file.write_all(b"\n").expect("the end of the line");
    let since = Instant::now();
    fs::write(word(rig), "").expect("the word");
    let peak = peak(&mut child).await;
    let output = child.wait_with_output().await.expect("cx-operator ends");
    let (outcome, _) = rig.document(&output);
    assert!(peak <= MEMORY, "the operator took {peak} KiB");
    Ended { since, outcome }
}

/// The most memory that a process had until its end, in KiB.
async fn peak(child: &mut Child) -> u64 {
    let status = format!("/proc/{}/status", child.id().expect("it runs"));
    let mut peak = 0;
    wait_for("the operator's end", || {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(now.unwrap_or(0));
        child.try_wait().expect("a child").map(drop)
    })
    .await;
    peak
}
