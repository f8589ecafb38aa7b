//! The machine ended under a run, or somebody cleared away a part of what recovery reads: what there still is gives a record,
//! the agent's commits and a clean repository.

use std::fs;
use std::process::{Command, Stdio};

use cx_operator::operator::cleanup::{Action, Scope, cleanup};
use cx_operator::record::journal::{Entry, Progress};
use cx_operator::record::{Outcome, Status};

use super::classes::{ANSWERED, COMPLETED, MORE};
use super::frozen::{Frozen, SUBMITTED, TURN_ENDED, killed_after};
use super::outcome::work_tree;
use crate::rig::Rig;

/// Makes `a` in a commit and `b` in none.
const COMMITTED: usize = 0;

/// The journal as another boot wrote it, in which the run's processes had the pid and start time of this one.
fn rewritten(frozen: &Frozen<'_>, pid: u32, boot: Option<&str>) -> Vec<u8> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let start = stat.rsplit(' ').nth(30).map(str::parse);
    let start = start.expect("a start time").expect("a number");
    let mut journal = Vec::new();
    for line in frozen.whole.split_inclusive(|&byte| byte == b'\n') {
        let mut entry: Entry = serde_json::from_slice(line).expect("an entry");
        match &mut entry.progress {
            Progress::Started {
                boot_id,
                operator_pid,
                ..
            } => {
                *operator_pid = pid;
                if let Some(boot) = boot {
                    boot.clone_into(boot_id);
                }
            }
            Progress::Launched {
                pid: root,
                pid_start,
                ..
            } => (*root, *pid_start) = (pid, Some(start)),
            _ => {}
        }
        serde_json::to_writer(&mut journal, &entry).expect("an entry");
        journal.push(b'\n');
    }
    journal
}

/// A boot that is not this one.
const BOOT: &str = "00000000-0000-0000-0000-000000000000";

#[test]
fn pids_of_another_boot_are_somebody_elses() {
    killed_after(&COMPLETED, TURN_ENDED, async |_, frozen| {
        for what in ["a server of others", "a socket that nobody serves"] {
            match what {
                "a server of others" => frozen.put_back(),
                _ => frozen.put_back_alone(),
            }
            let journal = rewritten(frozen, frozen.stranger(), Some(BOOT));
            frozen.write_journal(&journal);
            let record = frozen.recover(what).await.expect("a record");
            assert_eq!(record.status, Status::Completed, "{what}: {record:?}");
        }
        // The same pid in this boot is the run's: it is the boot that saved it.
        let mut root = Command::new("sleep")
            .arg("600")
            .stdin(Stdio::null())
            .spawn()
            .expect("sleep starts");
        frozen.put_back();
        let journal = rewritten(frozen, root.id(), None);
        frozen.write_journal(&journal);
        frozen.recover("this boot").await.expect("a record");
        let ended = root.try_wait().expect("it can be asked");
        let _ended_before = root.kill();
        root.wait().expect("reaped");
        assert!(ended.is_some(), "the run's process was not ended");
    });
}

/// After an end of the machine; the agent's commits are in the record.
async fn recovered_with_commits(frozen: &mut Frozen<'_>, what: &str) -> Outcome {
    let journal = rewritten(frozen, frozen.stranger(), Some(BOOT));
    frozen.write_journal(&journal);
    let record = frozen.recover(what).await.expect("a record");
    assert!(frozen.run.is_closed(), "{what}: {record:?}");
    assert_eq!(record.worktree, None, "{what}");
    assert_eq!(record.commits.len(), 1, "{what}: {record:?}");
    assert_eq!(record.session_id.is_some(), record.turns > 0, "{what}");
    record
}

fn prune(rig: &Rig) {
    rig.git(&["worktree", "unlock", "cx-t"]);
    rig.git(&["worktree", "prune", "--expire", "now"]);
    let admin_dir = rig.repo().join(".git/worktrees/cx-t");
    assert!(!admin_dir.exists(), "git has pruned it");
}

#[test]
fn commits_outlive_their_worktree() {
    killed_after(&MORE[COMMITTED], TURN_ENDED, async |rig, frozen| {
        frozen.forget("b");
        frozen.put_back();
        fs::remove_dir_all(rig.worktree()).expect("as an empty /tmp");
        let record = recovered_with_commits(frozen, "wiped").await;
        let told = record.notices.iter().any(|notice| notice.contains("gone"));
        assert!(told, "nobody is told of what is lost: {record:?}");
    });
}

#[test]
fn commits_outlive_their_registration() {
    killed_after(&MORE[COMMITTED], TURN_ENDED, async |rig, frozen| {
        frozen.forget("b");
        frozen.put_back();
        fs::remove_dir_all(rig.worktree()).expect("as an empty /tmp");
        prune(rig);
        recovered_with_commits(frozen, "wiped and pruned").await;
    });
}

async fn wiped_without_commits(rig: &Rig, frozen: &mut Frozen<'_>, pruned: bool) {
    frozen.forget("new");
    frozen.put_back();
    fs::remove_dir_all(rig.worktree()).expect("as an empty /tmp");
    if pruned {
        prune(rig);
    }
    let record = frozen.recover("wiped").await.expect("a record");
    assert!(frozen.run.is_closed(), "{record:?}");
    assert_eq!(record.result_ref, None);
    let told = record.notices.iter().any(|notice| notice.contains("gone"));
    assert!(told, "nobody is told of what is lost: {record:?}");
}

#[test]
fn a_wiped_worktree_without_commits_leaves_no_result() {
    killed_after(&COMPLETED, TURN_ENDED, async |rig, frozen| {
        wiped_without_commits(rig, frozen, false).await;
    });
}

#[test]
fn a_wiped_and_pruned_worktree_leaves_no_branch() {
    killed_after(&COMPLETED, TURN_ENDED, async |rig, frozen| {
        wiped_without_commits(rig, frozen, true).await;
    });
}

#[test]
fn a_worktree_without_registration_is_not_lost() {
    killed_after(&COMPLETED, TURN_ENDED, async |rig, frozen| {
        frozen.put_back();
        let admin_dir = rig.repo().join(".git/worktrees/cx-t");
        fs::remove_dir_all(admin_dir).expect("somebody removes it");
        frozen.recover("no registration").await;
    });
}

#[test]
fn a_run_without_its_signals_or_prompts_is_taken_in() {
    killed_after(&ANSWERED, SUBMITTED, async |_, frozen| {
        let run = frozen.run.path().to_owned();
        for missing in ["signals", "prompt-1.md", "prompt-2.md", "lock", "pane.log"] {
            frozen.put_back();
            let path = run.join(missing);
            match path.is_dir() {
                true => fs::remove_dir_all(path).expect("removed"),
                false => fs::remove_file(path).expect("removed"),
            }
            let what = format!("no {missing}");
            frozen.recover(&what).await.expect("a record");
            assert!(frozen.run.is_closed(), "{what}");
        }
    });
}

#[test]
fn a_run_waits_for_its_repository_to_come_back() {
    killed_after(&COMPLETED, TURN_ENDED, async |rig, frozen| {
        frozen.put_back();
        let (here, away) = (rig.repo(), rig.path("away"));
        fs::rename(&here, &away).expect("moved");
        for _ in 0..2 {
            let found = cleanup(rig.operator.store(), &Scope::default()).await;
            let found = found.expect("a list");
            let run = found.iter().find(|found| found.name == frozen.run.name());
            let run = run.expect("it is told of");
            assert_eq!(run.action, Action::Left);
            let path = rig.worktree().display().to_string();
            assert!(run.reason.contains(&path), "{run:?}");
            assert_eq!(&work_tree(rig), frozen.work());
        }
        fs::rename(&away, &here).expect("moved back");
        let record = frozen.recover("moved back").await.expect("a record");
        assert!(frozen.run.is_closed(), "{record:?}");
        assert_eq!(record.status, Status::Completed, "{record:?}");
    });
}
