//! `delegate --detach`: the call returns once the agent has the prompt, and the run goes on without it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cx_operator::record::Outcome;
use cx_operator::record::journal::{self, Progress};
use rustix::process::Signal;
use serde_json::Value;
use testkit::processes::has_ended;

use crate::parents::call;
use crate::rig::{Rig, wait_for};

mod crowd;
pub(crate) mod resumed;

on_both!(
    it_goes_on_without_its_caller,
    a_question_waits_for_a_reply,
    told_something_more,
    told_by_the_next_operator
);
tests_of! { it_costs_nothing_while_it_waits:
    scripted on Scripted;
    requests_0_169 on Requests(testkit::agents::PINNED);
}
tests_of! { a_start_that_fails_is_told_as_ever:
    scripted on Scripted;
}
tests_of! { a_signal_before_the_handover_ends_the_start:
    scripted on Scripted;
}
tests_of! { a_queued_run_is_handed_over:
    scripted on Scripted;
}

const ANSWER: &str = "Spaces.\n[[shell echo spaces > style; echo 'STATUS: DONE']]";

/// Starts a detached run of a task; returns its document.
pub(crate) async fn detach(rig: &Rig, task: &str, (brief, arguments): (&str, &[&str])) -> Value {
    let mut command = rig.delegation_of(task, brief, arguments);
    let output = command.arg("--detach").output().await.expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["task"], task);
    document
}

/// Takes the record of a run that has ended for what is to be there.
pub(crate) fn remember(rig: &Rig, run: &str) -> Outcome {
    let run = rig.operator.store().find(run).expect("the run");
    let outcome = run.load_record().expect("readable").expect("a record");
    rig.keep_in_mind(&outcome);
    outcome
}

/// The process that drives the run.
pub(crate) fn supervisor(run_dir: &Path) -> u32 {
    let entries = journal::load(&run_dir.join("events.jsonl")).expect("the journal");
    let pid = entries.iter().rev().find_map(|entry| match entry.progress {
        Progress::Started { operator_pid, .. } | Progress::TakenOver { operator_pid, .. } => {
            Some(operator_pid)
        }
        _ => None,
    });
    pid.expect("a run that began")
}

pub(crate) async fn until_gone(pid: u32) {
    wait_for("the supervising process ends", || {
        has_ended(pid).then_some(())
    })
    .await;
}

async fn it_goes_on_without_its_caller(rig: &Rig) {
    let marker = rig.path("go");
    let brief = format!(
        "Private words. [[shell while [ ! -e {} ]; do sleep 0.05; done; echo x > made; echo 'STATUS: DONE']]",
        marker.display()
    );
    let sandbox = ["--sandbox", "danger-full-access"];
    let document = detach(rig, "t", (&brief, &sandbox)).await;
    assert_eq!(document["status"], "running", "{document}");
    let run_dir = PathBuf::from(document["run_dir"].as_str().expect("a path"));
    let pid = supervisor(&run_dir);
    let proc = PathBuf::from(format!("/proc/{pid}"));
    // Its own session, no terminal, none of the caller's files, and no word of the brief in the list of processes.
    let stat = fs::read_to_string(proc.join("stat")).expect("it runs");
    let fields: Vec<&str> = stat
        .rsplit(") ")
        .next()
        .expect("fields")
        .split(' ')
        .collect();
    assert_eq!(
        (fields[3], fields[4]),
        (pid.to_string().as_str(), "0"),
        "{stat}"
    );
    let file = |number: u32| fs::read_link(proc.join(format!("fd/{number}"))).expect("a file");
    assert_eq!(file(0), Path::new("/dev/null"));
    assert_eq!(file(1), Path::new("/dev/null"));
    assert_eq!(file(2), run_dir.join("operator.log"));
    let argv = fs::read(proc.join("cmdline")).expect("it runs");
    assert!(!String::from_utf8_lossy(&argv).contains("Private"));
    let (status, _) = call(rig, &["status", "t", "--json"]).await;
    assert_eq!(
        (&status["status"], &status["driven"]),
        (&"running".into(), &true.into())
    );
    fs::write(&marker, "").expect("a mark");
    let run_id = document["run_id"].as_str().expect("an id");
    let (_, code) = call(rig, &["wait", run_id, "--json"]).await;
    assert_eq!(code, 0);
    until_gone(pid).await;
    assert_eq!(remember(rig, run_id).files[0].path, "made");
}

async fn a_question_waits_for_a_reply(rig: &Rig) {
    let document = detach(rig, "t", ("[[question]]", &[])).await;
    let run_id = document["run_id"].as_str().expect("an id");
    let (waited, code) = call(rig, &["wait", run_id, "--or-waiting", "--json"]).await;
    assert_eq!(code, 3, "{waited}");
    assert_eq!(waited["runs"][0]["status"], "waiting");
    let (replied, code) = call(rig, &["reply", run_id, "--text", ANSWER, "--json"]).await;
    assert_eq!((code, &replied["taken"]), (0, &true.into()), "{replied}");
    let (_, code) = call(rig, &["wait", run_id, "--json"]).await;
    assert_eq!(code, 0);
    let pid = supervisor(Path::new(document["run_dir"].as_str().expect("a path")));
    until_gone(pid).await;
    assert_eq!(remember(rig, run_id).turns, 2);
}

/// The same document and exit status as of a call that waits.
async fn a_start_that_fails_is_told_as_ever(rig: &Rig) {
    let refused: [&[&str]; 3] = [
        &["--base", "no-such-revision"],
        &["--program", "/no/such/program"],
        &["--env", "NOT A PAIR"],
    ];
    for arguments in refused {
        let mut said = Vec::new();
        for detached in [false, true] {
            let mut command = rig.delegation("x", arguments);
            if detached {
                command.arg("--detach");
            }
            let output = command.output().await.expect("it runs");
            let mut document: Value = serde_json::from_slice(&output.stdout).expect("a document");
            for own in ["run_id", "started_at", "duration_ms"] {
                document[own] = Value::Null;
            }
            said.push((document, output.status.code()));
        }
        assert_eq!(said[0], said[1]);
        assert_ne!(said[0].1, Some(0));
    }
}

async fn a_signal_before_the_handover_ends_the_start(rig: &Rig) {
    let script = rig.path("script");
    fs::write(&script, "hang").expect("the script");
    let script = format!("CX_SCRIPT={}", script.display());
    let arguments = [
        "--env",
        script.as_str(),
        "--startup-timeout",
        "60s",
        "--detach",
    ];
    let call = rig.delegation("x", &arguments).spawn().expect("it starts");
    rig.wait_for_event("the agent's start", |progress| {
        matches!(progress, Progress::Launched { .. })
    })
    .await;
    rig.signal(call.id().expect("it runs"), Signal::INT);
    let output = call.wait_with_output().await.expect("it ended");
    let (outcome, code) = rig.document(&output);
    assert_eq!(code, 130, "{outcome:?}");
    assert_eq!(outcome.turns, 0);
}

/// One that waits for others is under way too: its caller does not wait for its turn.
async fn a_queued_run_is_handed_over(rig: &Rig) {
    let first = detach(rig, "t", ("[[question]]", &["--max-parallel", "1"])).await;
    let second = detach(
        rig,
        "u",
        ("Do it. [[say STATUS: DONE]]", &["--max-parallel", "1"]),
    )
    .await;
    assert_eq!(second["status"], "queued", "{second}");
    let (first, second) = (&first["run_id"], &second["run_id"]);
    let (first, second) = (
        first.as_str().expect("an id"),
        second.as_str().expect("an id"),
    );
    let (status, _) = call(rig, &["status", second, "--json"]).await;
    assert_eq!(
        (&status["status"], &status["position"]),
        (&"queued".into(), &1.into())
    );
    let waited = call(rig, &["wait", first, "--or-waiting", "--json"]).await;
    assert_eq!(waited.1, 3);
    let (_, code) = call(rig, &["reply", first, "--leave", "--json"]).await;
    assert_eq!(code, 0);
    let (waited, code) = call(rig, &["wait", first, second, "--json"]).await;
    assert_eq!(code, 3, "{waited}");
    assert_eq!(waited["runs"][0]["status"], "needs_input");
    let outcome = remember(rig, second);
    remember(rig, first);
    let log = outcome.run_dir.expect("a directory").join("operator.log");
    assert!(log.exists(), "its log is where its directory is");
}

/// What is sent while the agent works is its next prompt, in one, and in order.
async fn told_something_more(rig: &Rig) {
    let marker = rig.path("go");
    let brief = waiting_for(&marker);
    let document = detach(rig, "t", (&brief, &["--sandbox", "danger-full-access"])).await;
    let run_id = document["run_id"].as_str().expect("an id");
    for text in [
        "First. [[shell echo more > more; echo 'STATUS: DONE']]",
        "Second.",
    ] {
        let (sent, code) = call(rig, &["send", run_id, "--text", text, "--json"]).await;
        assert_eq!((code, &sent["taken"]), (0, &true.into()), "{sent}");
    }
    fs::write(&marker, "").expect("a mark");
    let (_, code) = call(rig, &["wait", run_id, "--json"]).await;
    assert_eq!(code, 0);
    assert_both_told(&remember(rig, run_id));
    let (late, code) = call(rig, &["send", run_id, "--text", "x", "--json"]).await;
    assert_eq!(
        (code, &late["error"]["code"]),
        (2, &"run_ended".into()),
        "{late}"
    );
}

fn waiting_for(marker: &Path) -> String {
    let marker = marker.display();
    format!("[[shell while [ ! -e {marker} ]; do sleep 0.05; done; echo 'STATUS: DONE']]")
}

fn assert_both_told(outcome: &Outcome) {
    assert_eq!(outcome.turns, 2, "{outcome:?}");
    assert_eq!(outcome.files[0].path, "more");
    let [reply] = &outcome.replies[..] else {
        panic!("one reply: {outcome:?}")
    };
    assert_eq!(reply.by, "message");
    let (first, second) = (reply.reply.find("First."), reply.reply.find("Second."));
    assert!(first.is_some() && first < second, "{reply:?}");
}

/// The operator is killed with a message that it took, and another comes while nobody lives.
async fn told_by_the_next_operator(rig: &Rig) {
    let marker = rig.path("go");
    let sandbox = ["--sandbox", "danger-full-access"];
    let mut operator = rig.spawn_delegation(&waiting_for(&marker), &sandbox).await;
    let first = "First. [[shell echo more > more; echo 'STATUS: DONE']]";
    let (sent, code) = call(rig, &["send", "t", "--text", first, "--json"]).await;
    assert_eq!((code, &sent["taken"]), (0, &true.into()), "{sent}");
    operator.start_kill().expect("killed");
    operator.wait().await.expect("it ended");
    let (sent, code) = call(rig, &["send", "t", "--text", "Second.", "--json"]).await;
    assert_eq!((code, &sent["taken"]), (0, &false.into()), "{sent}");
    fs::write(&marker, "").expect("a mark");
    let resumed = rig.binary(&["resume", "t", "--json"]).output().await;
    let (outcome, code) = rig.document(&resumed.expect("it runs"));
    assert_eq!(code, 0, "{outcome:?}");
    assert_both_told(&outcome);
}

/// How often the operator and the hooks of approvals of a run have gone to sleep so far: unlike the time that they used, a
/// busy machine has no share in it.
fn sleeps(run_dir: &Path) -> u64 {
    let own = supervisor(run_dir).to_string();
    let run_dir = run_dir.display().to_string();
    let is_ours = |pid: &String| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        *pid == own || line.contains("cx-helper permission") && line.contains(&run_dir)
    };
    let names = |dir: &str| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok())
    };
    let threads = names("/proc").filter(is_ours).flat_map(|pid| {
        let dir = format!("/proc/{pid}/task");
        names(&dir)
            .map(|thread| format!("{dir}/{thread}/status"))
            .collect::<Vec<_>>()
    });
    let counts = threads.filter_map(|path| {
        let status = fs::read_to_string(path).ok()?;
        let count = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        count.trim().parse::<u64>().ok()
    });
    counts.sum()
}

/// Neither the operator nor the hook of an approval looks again and again.
async fn it_costs_nothing_while_it_waits(rig: &Rig) {
    let brief = crate::permissions::brief();
    let document = detach(rig, "t", (&brief, &[])).await;
    let run_id = document["run_id"].as_str().expect("an id");
    let run_dir = PathBuf::from(document["run_dir"].as_str().expect("a path"));
    assert_eq!(
        call(rig, &["wait", run_id, "--or-waiting", "--json"])
            .await
            .1,
        3
    );
    let before = sleeps(&run_dir);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let slept = sleeps(&run_dir).saturating_sub(before);
    assert!(slept < 500, "it went to sleep {slept} times in 10 s");
    assert_eq!(
        call(rig, &["reply", run_id, "--leave", "--json"]).await.1,
        0
    );
    assert_eq!(call(rig, &["wait", run_id, "--json"]).await.1, 3);
    remember(rig, run_id);
}
