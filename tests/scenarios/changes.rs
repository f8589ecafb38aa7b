//! What an agent leaves is taken in whole, however it leaves it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use cx_operator::agent::executor::Sandbox;
use cx_operator::record::Status;
use cx_operator::record::journal::Progress;
use cx_operator::worktree::Changes;
use cx_operator::worktree::diff::FileStatus;

use crate::rig::Rig;

on_every_version!(finished);
on_both!(
    committed,
    committed_and_more,
    every_kind_of_file,
    nothing_changed,
    dirty_base
);

/// Lets the model's message, which ends with the command's output, read as a result.
const HELLO: &str = "[[shell echo hello > new.txt; echo 'STATUS: DONE']]";

/// One turn, one new file that the agent doesn't commit.
async fn finished(rig: &Rig) {
    let outcome = rig.delegate(rig.task(HELLO)).await;
    assert_eq!(
        (outcome.status, outcome.exit_code()),
        (Status::Completed, 0),
        "{outcome:?}"
    );
    assert_eq!((outcome.turns, outcome.changes), (1, Changes::Uncommitted));
    assert_eq!(
        (outcome.files_changed, outcome.insertions, outcome.deletions),
        (1, 1, 0)
    );
    assert_eq!(
        (outcome.files[0].path.as_str(), outcome.files[0].status),
        ("new.txt", FileStatus::Added)
    );
    assert!(
        outcome
            .last_message
            .as_deref()
            .is_some_and(|text| text.starts_with("Done.")),
        "{outcome:?}"
    );
    assert!(
        outcome.usage.is_some_and(|usage| usage.total_tokens > 0),
        "{outcome:?}"
    );
    assert_eq!(
        (&outcome.error, &outcome.pending, &outcome.worktree),
        (&None, &None, &None)
    );
    assert_eq!(outcome.base_commit, Some(rig.git(&["rev-parse", "HEAD"])));
    let clone = rig.apply(&outcome);
    assert_eq!(
        fs::read_to_string(clone.join("new.txt")).expect("the file"),
        "hello\n"
    );
    let keys = rig.journal(&outcome).into_iter().filter(
        |entry| matches!(&entry.progress, Progress::KeyPressed { on, .. } if on != "composer"),
    );
    assert_eq!(
        keys.count(),
        0,
        "a start shows no dialog, the model offer included"
    );
    let dir = outcome.run_dir.expect("a record");
    let brief = fs::read_to_string(dir.join("task.md")).expect("the brief");
    assert_eq!(brief, HELLO);
    let transcript = fs::read_to_string(dir.join("transcript.jsonl")).expect("the transcript");
    assert!(transcript.contains(&outcome.session_id.expect("a session")));
}

const COMMIT: &str =
    "git add -A && git -c user.name=Agent -c user.email=agent@example.org commit -q -m 'add a'";

/// With full access the agent commits its work.
async fn committed(rig: &Rig) {
    let mut task = rig.task(&format!(
        "[[shell echo a > a && {COMMIT}; echo 'STATUS: DONE']]"
    ));
    task.agent.sandbox = Sandbox::DangerFullAccess;
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.changes),
        (Status::Completed, Changes::Committed),
        "{outcome:?}"
    );
    let [commit] = outcome.commits.as_slice() else {
        panic!("one commit: {outcome:?}");
    };
    assert_eq!(
        (commit.summary.as_str(), commit.author.as_str()),
        ("add a", "Agent <agent@example.org>")
    );
    rig.apply(&outcome);
}

/// The agent commits a part of its work.
async fn committed_and_more(rig: &Rig) {
    let mut task = rig.task(&format!(
        "[[shell echo a > a && {COMMIT} && echo more >> a && echo b > b; echo 'STATUS: DONE']]"
    ));
    task.agent.sandbox = Sandbox::DangerFullAccess;
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.changes),
        (Status::Completed, Changes::Both),
        "{outcome:?}"
    );
    assert_eq!(
        (
            outcome.commits.len(),
            outcome.files_changed,
            outcome.insertions
        ),
        (1, 2, 3)
    );
    let result = outcome.result_commit.as_deref().expect("a snapshot");
    let authors = rig.git(&["log", "--format=%an", "-2", result]);
    assert_eq!(
        authors, "cx-operator\nAgent",
        "the snapshot stands on top of the agent's own commit"
    );
    rig.apply(&outcome);
}

/// New, binary, executable, linked, deleted, changed and ignored files.
async fn every_kind_of_file(rig: &Rig) {
    let brief = "[[shell printf 'a\\0b\\377' > data.bin; echo '#!/bin/sh' > tool; chmod 755 tool; \
        ln -s README link; rm src/old.rs; chmod 644 run.sh; echo four >> README; mkdir -p 'new dir/ü'; \
        echo x > 'new dir/ü/file'; : > empty; echo no > ignored.log; echo 'STATUS: DONE']]";
    let outcome = rig.delegate(rig.task(brief)).await;
    assert_eq!(
        (outcome.status, outcome.changes),
        (Status::Completed, Changes::Uncommitted),
        "{outcome:?}"
    );
    let mut files: Vec<_> = outcome
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.status))
        .collect();
    files.sort_by_key(|(path, _)| *path);
    let (added, modified, deleted) = (FileStatus::Added, FileStatus::Modified, FileStatus::Deleted);
    let expected = [
        ("README", modified),
        ("data.bin", added),
        ("empty", added),
        ("link", added),
        ("new dir/ü/file", added),
        ("run.sh", modified),
        ("src/old.rs", deleted),
        ("tool", added),
    ];
    assert_eq!(files, expected);
    let clone = rig.apply(&outcome);
    assert_eq!(
        fs::read(clone.join("data.bin")).expect("the file"),
        b"a\0b\xff"
    );
    assert_eq!(
        fs::read_link(clone.join("link")).expect("a link").to_str(),
        Some("README")
    );
    for (name, executable) in [("tool", true), ("run.sh", false)] {
        let mode = fs::metadata(clone.join(name))
            .expect("the file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o100 != 0, executable, "{name}");
    }
}

/// A run that changed nothing says so, and keeps no ref and no patch.
async fn nothing_changed(rig: &Rig) {
    let mut command = rig.delegation("Look around.", &[]);
    let output = command.output().await.expect("cx-operator runs");
    let (outcome, exit) = rig.document(&output);
    assert_eq!(
        (outcome.status, exit, outcome.changes),
        (Status::Completed, 0, Changes::None)
    );
    assert_eq!(
        (&outcome.patch, &outcome.result_ref, &outcome.result_commit),
        (&None, &None, &None)
    );
    assert_eq!(outcome.branch, None, "it is removed");
    let dir = outcome.run_dir.expect("a record");
    assert!(!dir.join("patch.diff").exists());
    let output = rig
        .binary(&["show", "t"])
        .output()
        .await
        .expect("cx-operator runs");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("changes: none"), "{report}");
}

/// The caller's uncommitted changes are the agent's base, and no part of its result.
async fn dirty_base(rig: &Rig) {
    fs::write(rig.repo().join("README"), "changed by the caller\n").expect("a file");
    fs::write(rig.repo().join("untracked"), "by the caller\n").expect("a file");
    rig.note_the_callers_state();
    let brief = "[[shell cat README untracked > seen; echo 'STATUS: DONE']]";
    let outcome = rig.delegate(rig.task(brief)).await;
    assert!(
        outcome
            .notices
            .iter()
            .any(|text| text.contains("1 modified, 1 untracked")),
        "{outcome:?}"
    );
    assert!(
        !fs::read_to_string(rig.apply(&outcome).join("seen"))
            .expect("the file")
            .contains("caller")
    );
    let mut task = rig.task_named("dirty", brief);
    task.include_dirty = true;
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.files_changed),
        (Status::Completed, 1),
        "{outcome:?}"
    );
    let seen = fs::read_to_string(rig.apply(&outcome).join("seen")).expect("the file");
    assert_eq!(seen, "changed by the caller\nby the caller\n");
}
