//! `send --now`: what another process tells a working agent within its turn.

use std::fs;
use std::path::{Path, PathBuf};

use cx_operator::record::Outcome;
use cx_operator::record::journal::{Entry, Progress};
use serde_json::Value;
use testkit::agents::OLDER_CLAUDE;

use crate::detached::{detach, remember};
use crate::parents::{call, events};
use crate::rig::{Agent, Rig, wait_for};

on_every_version!(told_within_the_turn);
on_both!(told_once_though_its_operator_died);
tests_of! { told_after_an_approval:
    thorough_codex_0_169 on_thoroughly Codex(testkit::agents::PINNED);
    requests_0_169 on Requests(testkit::agents::PINNED);
    claude_2_1_332 on Claude(testkit::agents::PINNED_CLAUDE);
}
tests_of! { told_when_the_turn_has_ended:
    scripted on Scripted;
    claude_2_1_332 on Claude(testkit::agents::PINNED_CLAUDE);
}
on_headless!(refused_by_a_headless_agent);

const WORD: &str = "One more thing. [[shell echo more > more; echo 'STATUS: DONE']]";
const SANDBOX: [&str; 2] = ["--sandbox", "danger-full-access"];

/// Waits for a file; the message has time to arrive before the command ends. The scripted agent reads no key while a command
/// runs.
fn brief(rig: &Rig, marker: &Path) -> String {
    let marker = marker.display();
    if rig.agent == Agent::Scripted {
        return format!("[[await {marker}]] [[say STATUS: DONE]]");
    }
    format!("[[shell while [ ! -e {marker} ]; do sleep 1; done; echo 'STATUS: DONE']]")
}

/// Leaves a word for the run; returns its id.
async fn send(rig: &Rig, run: &str, driven: bool) -> String {
    let send = ["send", run, "--now", "--text", WORD, "--json"];
    let (sent, code) = call(rig, &send).await;
    assert_eq!((code, &sent["taken"]), (0, &driven.into()), "{sent}");
    sent["message"].as_str().expect("an id").to_owned()
}

/// Waits until the program has the word, or is about to get it.
async fn until_sent(rig: &Rig, run: &str) {
    let (journal, by_requests) = (journal(rig, run), rig.is_by_requests());
    let at_once = rig.agent == Agent::Scripted;
    wait_for("the word is sent", || {
        let entries = cx_operator::record::journal::load(&journal).ok()?;
        let steering = |entry: &Entry| matches!(entry.progress, Progress::Steering { .. });
        let at = entries.iter().rposition(steering)?;
        let pressed = |entry: &Entry| match entry.progress {
            Progress::KeyPressed { .. } => !at_once,
            Progress::Steered { .. } => true,
            _ => false,
        };
        (by_requests || entries[at..].iter().any(pressed)).then_some(())
    })
    .await;
}

fn journal(rig: &Rig, run: &str) -> PathBuf {
    let run = rig.operator.store().find(run).expect("the run");
    run.path().join("events.jsonl")
}

/// The run has the word in its record, and the agent did what it says.
fn assert_told(outcome: &Outcome, turns: u32) {
    assert_eq!(outcome.turns, turns, "{outcome:?}");
    assert_eq!(outcome.files[0].path, "more", "{outcome:?}");
    let words = outcome.replies.iter().filter(|reply| reply.reply == WORD);
    assert_eq!(words.count(), 1, "{outcome:?}");
}

/// In how many of the model's conversations, by its last request, the word is, and how often.
fn times(rig: &Rig) -> usize {
    let requests = rig.model.requests();
    let last = requests
        .iter()
        .rev()
        .find(|request| request.body.to_string().contains("One more thing."));
    let last = last
        .map(|request| request.body["input"].to_string() + &request.body["messages"].to_string());
    last.unwrap_or_default().matches("One more thing.").count()
}

async fn told_within_the_turn(rig: &Rig) {
    let marker = rig.path("go");
    let document = detach(rig, "t", (&brief(rig, &marker), &SANDBOX)).await;
    let run = document["run_id"].as_str().expect("an id");
    let id = send(rig, run, true).await;
    until_sent(rig, run).await;
    fs::write(&marker, "").expect("a mark");
    let (waited, code) = call(rig, &["wait", run, "--json"]).await;
    assert_eq!(code, 0, "{waited}");
    let outcome = remember(rig, run);
    match rig.agent {
        // Its model gets the word among reminders, where the stand-in looks for none.
        Agent::Claude(OLDER_CLAUDE) => assert_eq!(outcome.turns, 1, "{outcome:?}"),
        _ => assert_told(&outcome, 1),
    }
    let told = events(rig, &[run]).await;
    let of = |kind: &str| {
        let found: Vec<&Value> = told.iter().filter(|event| event["type"] == kind).collect();
        assert_eq!(found.len(), 1, "{kind}: {told:?}");
        found[0].clone()
    };
    let (sent, steered, ended) = (of("sent"), of("steered"), of("turn_ended"));
    assert_eq!(
        (&sent["now"], &sent["id"]),
        (&true.into(), &id.as_str().into())
    );
    assert_eq!(
        (&steered["turn"], &steered["id"]),
        (&1.into(), &id.as_str().into())
    );
    assert!(steered["seq"].as_u64() < ended["seq"].as_u64(), "{told:?}");
    assert_eq!(of("reply")["reply"], WORD);
    if rig.agent != Agent::Scripted {
        assert_eq!(times(rig), 1);
    }
}

/// The turn is over before the operator can tell it anything.
async fn told_when_the_turn_has_ended(rig: &Rig) {
    let marker = rig.path("go");
    let mut operator = rig.spawn_delegation(&brief(rig, &marker), &SANDBOX).await;
    operator.start_kill().expect("killed");
    operator.wait().await.expect("it ended");
    send(rig, "t", false).await;
    fs::write(&marker, "").expect("a mark");
    let signals = journal(rig, "t").with_file_name("signals");
    wait_for("the turn ends", || {
        let names = fs::read_dir(&signals).ok()?.flatten();
        let mut names = names.filter_map(|entry| entry.file_name().into_string().ok());
        names
            .any(|name| name.starts_with("sentinel-"))
            .then_some(())
    })
    .await;
    let resumed = rig.binary(&["resume", "t", "--json"]).output().await;
    let (outcome, code) = rig.document(&resumed.expect("it runs"));
    assert_eq!(code, 0, "{outcome:?}");
    assert_told(&outcome, 2);
}

/// While the agent asks for leave nothing is typed.
async fn told_after_an_approval(rig: &Rig) {
    let marker = rig.path("go");
    let brief = format!("{} [[escalate]]", brief(rig, &marker));
    let document = detach(rig, "t", (&brief, &["--wait-for-reply", "60s"])).await;
    let run = document["run_id"].as_str().expect("an id");
    let (_, code) = call(rig, &["wait", run, "--or-waiting", "--json"]).await;
    assert_eq!(code, 3);
    send(rig, run, true).await;
    let entries = cx_operator::record::journal::load(&journal(rig, run)).expect("the journal");
    let steers = |entry: &Entry| matches!(entry.progress, Progress::Steering { .. });
    assert!(!entries.iter().any(steers), "{entries:?}");
    let (_, code) = call(rig, &["reply", run, "--allow", "--json"]).await;
    assert_eq!(code, 0);
    until_sent(rig, run).await;
    fs::write(&marker, "").expect("a mark");
    let (waited, code) = call(rig, &["wait", run, "--json"]).await;
    assert_eq!(code, 0, "{waited}");
    assert_told(&remember(rig, run), 1);
}

async fn told_once_though_its_operator_died(rig: &Rig) {
    let marker = rig.path("go");
    let mut operator = rig.spawn_delegation(&brief(rig, &marker), &SANDBOX).await;
    send(rig, "t", true).await;
    until_sent(rig, "t").await;
    operator.start_kill().expect("killed");
    operator.wait().await.expect("it ended");
    let resumed = rig
        .binary(&["resume", "t", "--json"])
        .spawn()
        .expect("it starts");
    rig.wait_for_event("it is taken over", |progress| {
        matches!(progress, Progress::TakenOver { .. })
    })
    .await;
    fs::write(&marker, "").expect("a mark");
    let (outcome, code) = rig.document(&resumed.wait_with_output().await.expect("it ended"));
    assert_eq!(code, 0, "{outcome:?}");
    assert_told(&outcome, outcome.turns);
    if rig.agent != Agent::Scripted {
        assert_eq!(times(rig), 1, "{outcome:?}");
    }
}

async fn refused_by_a_headless_agent(rig: &Rig) {
    let marker = rig.path("go");
    let run = rig
        .delegation(&brief(rig, &marker), &SANDBOX)
        .spawn()
        .expect("it starts");
    rig.wait_for_event("the agent works", |progress| {
        matches!(progress, Progress::Submitted { .. })
    })
    .await;
    for now in [&["--now"][..], &[]] {
        let mut send = vec!["send", "t", "--text", WORD, "--json"];
        send.extend(now);
        let (refused, code) = call(rig, &send).await;
        assert_eq!(
            (code, &refused["error"]["code"]),
            (2, &"takes_no_message".into()),
            "{refused}"
        );
    }
    fs::write(&marker, "").expect("a mark");
    let (outcome, code) = rig.document(&run.wait_with_output().await.expect("it ended"));
    assert_eq!((code, outcome.replies.len()), (0, 0), "{outcome:?}");
}
