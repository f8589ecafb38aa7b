//! Messages that are cut: by a full disk, a lost power, a program that writes in place. None counts, and none is in the way.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use cx_operator::record::journal::Progress;

use super::gone::assert_no_half;
use super::{ANSWER, call, until_it_waits};
use crate::rig::Rig;

on_both!(cut_anywhere);

/// A pid that no process has.
const NOBODY: i32 = i32::MAX;

async fn cut_anywhere(rig: &Rig) {
    let run = rig.delegation("[[question]]", &["--wait-for-reply", "60s"]);
    let run = { run }.spawn().expect("it starts");
    let status = until_it_waits(rig).await;
    let id = status["question"]["id"].as_str().expect("an id");
    let dir = rig.operator.store().find("t").expect("the run");
    let inbox = dir.path().join("inbox");
    cut_replies(&inbox, id);
    cut_messages(&inbox);
    for name in ["reply-1-1.json", "send-1.json", "cancel.json"] {
        let left = format!("{name}.tmp-{NOBODY}-1");
        write(&inbox.join(left), b"{\"te");
    }
    assert_eq!(until_it_waits(rig).await["question"], status["question"]);

    // What is there is no reply, and makes way for one.
    let reply = ["reply", "t", "--to", id, "--text", ANSWER, "--json"];
    let (replied, code) = call(rig, &reply).await;
    assert_eq!((code, &replied["taken"]), (0, &true.into()), "{replied}");
    let output = run.wait_with_output().await.expect("it ended");
    let (outcome, code) = rig.document(&output);
    assert_eq!((outcome.turns, code), (2, 0), "{outcome:?}");
    assert_eq!(outcome.replies.len(), 1, "{outcome:?}");
    let journal = rig.journal(&outcome);
    let taken = |progress: &Progress| matches!(progress, Progress::Taken { .. });
    assert!(!journal.iter().any(|entry| taken(&entry.progress)));
    assert_no_half(&inbox);
}

fn cut_replies(inbox: &Path, id: &str) {
    cut(
        &inbox.join(format!("reply-{id}.json")),
        r#"{"text":"Tabs \u00e9."}"#,
    );
    cut(&inbox.join(format!("reply-{id}.json")), r#""leave""#);
}

fn cut_messages(inbox: &Path) {
    cut(
        &inbox.join("send-1.json"),
        r#"{"text":"Tabs.","now":false}"#,
    );
}

/// Writes it up to each of its bytes, but never whole.
fn cut(path: &Path, text: &str) {
    for end in 0..text.len() {
        write(path, &text.as_bytes()[..end]);
    }
}

fn write(path: &Path, bytes: &[u8]) {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .expect("written");
}
