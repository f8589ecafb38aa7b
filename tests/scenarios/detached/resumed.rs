//! `resume --detach`: a process of its own goes on with a run whose operator died.

use std::path::PathBuf;

use cx_operator::record::Status;
use rustix::process::Signal;
use serde_json::Value;

use super::{ANSWER, detach, remember, supervisor, until_gone};
use crate::parents::{call, until_it_waits};
use crate::rig::Rig;

on_both!(while_it_waits);
tests_of! { whose_agent_is_gone: scripted on Scripted; }
tests_of! { which_nobody_can_take: scripted on Scripted; }

/// Ends the process that drives a run, which can do nothing about it.
pub(crate) fn kill(rig: &Rig, run_dir: &std::path::Path) {
    rig.signal(supervisor(run_dir), Signal::KILL);
}

fn run_dir(document: &Value) -> PathBuf {
    PathBuf::from(document["run_dir"].as_str().expect("a path"))
}

/// It goes on waiting; a reply that came while no operator lived is taken, and asked once.
async fn while_it_waits(rig: &Rig) {
    let first = detach(rig, "t", ("[[question]]", &[])).await;
    let asked = until_it_waits(rig).await;
    kill(rig, &run_dir(&first));

    let resume = ["resume", "t", "--detach", "--json"];
    let (resumed, code) = call(rig, &resume).await;
    assert_eq!(code, 0, "{resumed}");
    assert_eq!(resumed, first, "the document of `delegate --detach`");
    let again = until_it_waits(rig).await;
    assert_eq!(again["question"], asked["question"]);
    let (alive, code) = call(rig, &resume).await;
    assert_eq!((code, &alive["error"]["code"]), (2, &"run_alive".into()));
    kill(rig, &run_dir(&first));

    let reply = ["reply", "t", "--text", ANSWER, "--json"];
    let (replied, code) = call(rig, &reply).await;
    assert_eq!((code, &replied["taken"]), (0, &false.into()), "{replied}");
    assert_eq!(call(rig, &resume).await.1, 0);
    let (waited, code) = call(rig, &["wait", "t", "--or-waiting", "--json"]).await;
    assert_eq!(code, 0, "{waited}");
    until_gone(supervisor(&run_dir(&first))).await;
    let outcome = remember(rig, "t");
    assert_eq!(
        (outcome.turns, outcome.replies.len()),
        (2, 1),
        "{outcome:?}"
    );
    assert_eq!(outcome.files[0].path, "style");
}

/// It is ended first, and told as `resume` tells it.
async fn whose_agent_is_gone(rig: &Rig) {
    let first = detach(rig, "t", ("[[question]]", &[])).await;
    until_it_waits(rig).await;
    kill(rig, &run_dir(&first));
    rig.tmux(&["kill-server"]);
    let resumed = rig.binary(&["resume", "t", "--detach", "--json"]).output();
    let (outcome, code) = rig.document(&resumed.await.expect("it runs"));
    assert_eq!((outcome.status, code), (Status::NeedsInput, 3));
    let again = rig.binary(&["resume", "t", "--detach", "--json"]).output();
    let again = again.await.expect("it runs");
    let record: Value = serde_json::from_slice(&again.stdout).expect("a document");
    assert_eq!(record["run_id"], outcome.run_id.as_str());
    assert_eq!(again.status.code(), Some(3));
}

/// As without `--detach`.
async fn which_nobody_can_take(rig: &Rig) {
    let first = detach(rig, "t", ("[[question]]", &[])).await;
    until_it_waits(rig).await;
    let cases: [&[&str]; 3] = [
        &["resume", "nobody", "--json"],
        &["resume", "t", "--json"],
        &["resume", "t", "--json", "--answers", "/no/such/file"],
    ];
    for arguments in cases {
        let here = rig.binary(arguments).output().await.expect("it runs");
        let detached = rig.binary(arguments).arg("--detach").output();
        let detached = detached.await.expect("it runs");
        assert_ne!(here.status.code(), Some(0));
        assert_eq!(here, detached);
    }
    let leave = ["reply", "t", "--leave", "--json"];
    assert_eq!(call(rig, &leave).await.1, 0);
    until_gone(supervisor(&run_dir(&first))).await;
    remember(rig, "t");
}
