//! Who else is there: another operator at the same instant, a newer one's records, something where the worktree should go.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use cx_operator::record::{Outcome, Status};
use serde_json::{Value, json};
use tokio::process::Child;

use super::{assert_files, code, report, under};
use crate::rig::{Agent, Rig, on};
use testkit::size::size;

/// Starts a delegation whose agent ends its turn when `go` is there.
fn start(rig: &Rig) -> Child {
    let script = rig.path("script");
    let go = rig.path("go");
    let text = format!(
        "expect-prompt *\nexec echo done > half\nawait-file {}\nsay Done. It is there.\ndefault",
        go.display()
    );
    fs::write(&script, text).expect("the script");
    let mut command = rig.delegation("Do what the script says.", &[]);
    command.env("CX_SCRIPT", script);
    let mut command = under(rig, &[], &command);
    command.stdin(Stdio::null()).spawn().expect("it starts")
}

async fn finish(child: Child) -> Output {
    child.wait_with_output().await.expect("it ends")
}

/// Of two operators with the same task at the same instant one wins, and the other says by whom.
async fn assert_one_wins(rig: &Rig) -> (Outcome, Duration) {
    let began = Instant::now();
    let (one, other) = (finish(start(rig)), finish(start(rig)));
    tokio::pin!(one, other);
    let (lost, lost_after, won) = tokio::select! {
        lost = &mut one => (lost, began.elapsed(), &mut other),
        lost = &mut other => (lost, began.elapsed(), &mut one),
    };
    fs::write(rig.path("go"), "").expect("a file");
    let won = won.await;
    let (loser, winner) = (rig.document(&lost).0, rig.document(&won).0);
    fs::remove_file(rig.path("go")).expect("a file");
    assert_eq!(winner.status, Status::Completed, "{winner:#?}");
    assert_files(rig, &winner, &[("half", "done\n")]);
    fs::remove_dir_all(rig.path("clone-t")).expect("the clone");
    assert_eq!(
        (loser.status, code(&loser)),
        (Status::Failed, Some("name_taken")),
        "{loser:#?}"
    );
    let message = loser.error.as_ref().map(|error| error.message.clone());
    let message = message.unwrap_or_default();
    assert!(
        message.contains(&winner.run_id.to_string()),
        "it doesn't say that {} holds it: {message}",
        winner.run_id
    );
    (loser, lost_after)
}

#[test]
fn two_operators_at_the_same_instant_thorough() {
    on(Agent::Scripted, async |rig: &Rig| {
        for _ in 0..size(5, 20) {
            let (loser, after) = assert_one_wins(rig).await;
            report("two_operators_at_the_same_instant", &loser, after);
        }
    });
}

/// Something is where the worktree should go: it is named, and stays.
async fn assert_taken(rig: &Rig, name: &str) {
    let began = Instant::now();
    let before = fs::symlink_metadata(rig.worktree()).expect("it is there");
    let output = rig.delegation("Nothing.", &[]).output().await;
    let (outcome, exit) = rig.document(&output.expect("it starts"));
    report(name, &outcome, began.elapsed());
    assert_eq!(
        (outcome.status, code(&outcome), exit),
        (Status::Failed, Some("name_taken"), 8)
    );
    let message = outcome.error.expect("an error").message;
    assert!(message.contains("worktrees/cx-t"), "{message}");
    let after = fs::symlink_metadata(rig.worktree()).expect("it is there still");
    assert_eq!(before.modified().ok(), after.modified().ok());
    fs::remove_file(rig.worktree()).expect("a file");
}

#[test]
fn worktree_path_is_a_file() {
    on(Agent::Scripted, async |rig: &Rig| {
        fs::write(rig.worktree(), "mine").expect("a file");
        assert_taken(rig, "worktree_path_is_a_file").await;
    });
}

#[test]
fn worktree_path_is_a_link() {
    on(Agent::Scripted, async |rig: &Rig| {
        for to in ["home", "nowhere"] {
            symlink(rig.path(to), rig.worktree()).expect("a link");
            assert_taken(rig, "worktree_path_is_a_link").await;
        }
        let followed = fs::read_dir(rig.path("home")).expect("a directory");
        let names: Vec<_> = followed
            .filter_map(Result::ok)
            .map(|entry| entry.file_name())
            .collect();
        assert!(!names.iter().any(|name| name == ".git"), "{names:?}");
    });
}

async fn run(rig: &Rig, arguments: &[&str]) -> (Option<i32>, String) {
    let output = rig.binary(arguments).output().await.expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// A record and a journal of a newer operator, of a run whose worktree was kept: read as far as they are understood,
/// refused by name where not, and left as they are.
#[test]
fn records_of_a_newer_version() {
    on(Agent::Scripted, async |rig: &Rig| {
        let brief = "[[shell echo done > half]]";
        let output = rig
            .delegation(brief, &["--keep", "worktree"])
            .output()
            .await;
        let (outcome, _) = rig.document(&output.expect("it starts"));
        let dir = outcome.run_dir.clone().expect("a run");
        let record = dir.join("run.json");
        let old = fs::read(&record).expect("the record");
        let mut newer: Value = serde_json::from_slice(&old).expect("JSON");
        newer["schema_version"] = json!(2);
        newer["status"] = json!("paused");
        fs::write(&record, newer.to_string()).expect("written");
        let journal = dir.join("events.jsonl");
        let events = fs::read_to_string(&journal).expect("the journal");
        let unknown = "{\"at\":\"2030-01-01T00:00:00.000Z\",\"event\":\"paused\",\"for\":7}\n";
        fs::write(&journal, events.clone() + unknown).expect("written");
        let name = outcome.run_id.to_string();
        let (exit, said) = run(rig, &["show", &name]).await;
        assert_eq!(exit, Some(1), "{said}");
        assert!(said.contains("schema version 2"), "{said}");
        let (exit, said) = run(rig, &["list"]).await;
        assert!(exit == Some(0) && said.contains(&name), "{exit:?} {said}");
        let (_, said) = run(rig, &["cleanup", "--kept", &name]).await;
        assert!(said.contains("schema version 2"), "{said}");
        assert_eq!(fs::read_to_string(&record).expect("it"), newer.to_string());
        assert!(rig.worktree().join("half").exists(), "the worktree is kept");
        let now = fs::read_to_string(&journal).expect("the journal");
        assert!(now.starts_with(&(events.clone() + unknown)), "{now}");
        fs::write(&record, old).expect("written");
        let (exit, said) = run(rig, &["cleanup", "--kept", &name]).await;
        assert_eq!(exit, Some(0), "{said}");
        let run = rig.operator.store().find("t").expect("the run");
        rig.expect_record(run.load_record().expect("readable").expect("a record"));
    });
}
