//! A run that another process follows, answers and ends, by nothing but the files of its directory.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use cx_operator::record::inbox::OpenQuestion;
use cx_operator::record::journal::Progress;
use cx_operator::record::{RunDir, Status};
use cx_operator::task::policy::Permissions;
use cx_operator::task::question::Answer;
use cx_operator::task::respond::Recipe;
use cx_operator::{Code, Operator, Run};

use crate::rig::Rig;

on_both!(
    answered,
    decided,
    ended,
    ended_while_it_asks,
    answered_while_nobody_lived
);

const LIMIT: Duration = Duration::from_secs(60);

/// An operator of its own, as another process has it.
fn other(rig: &Rig) -> Operator {
    let builder = Operator::builder().state_directory(rig.operator.store().root());
    builder.build().expect("another operator")
}

fn only_run(operator: &Operator) -> RunDir {
    let mut runs = operator.store().load_runs().expect("listed");
    assert_eq!(runs.len(), 1);
    runs.remove(0)
}

async fn question(run: &RunDir) -> OpenQuestion {
    let limit = tokio::time::Instant::now() + LIMIT;
    loop {
        if let Some(question) = run.load_question().expect("readable") {
            return question;
        }
        assert!(tokio::time::Instant::now() < limit, "nothing is asked");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn asking(rig: &Rig, brief: &str) -> cx_operator::task::Task {
    let mut task = rig.task(brief);
    task.permissions = Permissions::Ask;
    task.responders = vec![Arc::new(Recipe::Message { limit: LIMIT })];
    task
}

/// Starts the run and waits until its prompt is submitted, as the other process sees it.
async fn begin(rig: &Rig, task: cx_operator::task::Task) -> (Run, RunDir, Vec<Progress>) {
    let run = rig.operator.start(task);
    let other = other(rig);
    let mut seen = Vec::new();
    let dir = loop {
        match other.store().load_runs().expect("listed").first() {
            Some(dir) if dir.path().join("events.jsonl").exists() => break dir.clone(),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let mut events = other.follow(&dir.id()).expect("followed");
    while let Some(entry) = events.next().await {
        let submitted = matches!(entry.progress, Progress::Submitted { .. });
        seen.push(entry.progress);
        if submitted {
            break;
        }
    }
    assert!(matches!(seen[0], Progress::Started { .. }), "{seen:?}");
    (run, only_run(&other), seen)
}

async fn answered(rig: &Rig) {
    let (run, dir, _) = begin(rig, asking(rig, "[[question]]")).await;
    let asked = question(&dir).await;
    assert_eq!((asked.kind.as_str(), asked.turn), ("question", 1));
    assert!(asked.text.contains("tabs or spaces"), "{asked:?}");
    let (other, id) = (other(rig), dir.id());
    assert_eq!(other.find("t").expect("found"), id);
    assert!(other.is_alive(&id).expect("found"));
    assert_eq!(other.outcome(&id).expect("readable"), None);
    let wrong = run.reply("9-9", &Answer::Text("x".to_owned())).await;
    let wrong = wrong.expect_err("not asked");
    assert_eq!(wrong.code(), Code::StaleReply);
    assert!(wrong.message().contains(&asked.id), "{wrong}");
    let answer = Answer::Text("Spaces.\n[[shell echo spaces > style; echo 'STATUS: DONE']]".into());
    let taken = other.reply(&id, &asked.id, &answer).await.expect("sent");
    assert!(taken, "the run has read it");
    let outcome = rig.outcome(run).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 2),
        "{outcome:?}"
    );
    assert_eq!(outcome.replies[0].by, "message");
    assert_eq!(outcome.files[0].path, "style");
    let record = other.outcome(&id).expect("readable").expect("written");
    assert_eq!(record.result_commit, outcome.result_commit);
    assert!(other.question(&id).expect("readable").is_none());
    let late = other.reply(&id, &asked.id, &answer).await;
    assert_eq!(late.expect_err("it has ended").code(), Code::RunEnded);
    let late = other.send(&id, "more").await;
    assert_eq!(late.expect_err("it has ended").code(), Code::RunEnded);
    let late = other.abort(&id, "").expect_err("it has ended");
    assert_eq!(late.code(), Code::RunEnded);
    let mut events = other.follow(&id).expect("followed");
    let mut last = None;
    while let Some(entry) = events.next().await {
        last = Some(entry.progress);
    }
    assert!(matches!(last, Some(Progress::Recorded { .. })), "{last:?}");
}

async fn decided(rig: &Rig) {
    let brief = super::permissions::brief();
    let (run, dir, _) = begin(rig, asking(rig, &brief)).await;
    let asked = question(&dir).await;
    assert_eq!(asked.kind, "permission", "{asked:?}");
    dir.send_answer(&asked.id, &Answer::Allow).expect("sent");
    let outcome = rig.outcome(run).await;
    assert_eq!(outcome.replies[0].reply, "allow", "{outcome:?}");
    assert_eq!(outcome.replies[0].by, "message");
}

async fn ended(rig: &Rig) {
    let (run, _, _) = begin(rig, rig.task("[[sleep 60]]")).await;
    fs::write(rig.worktree().join("half"), "done\n").expect("half of the work");
    run.abort("").expect("sent");
    let outcome = rig.outcome(run).await;
    assert_eq!(outcome.status, Status::Aborted, "{outcome:?}");
    let error = outcome.error.as_ref().expect("why");
    assert!(error.message.contains("a message"), "{error:?}");
    assert_eq!(outcome.files_changed, 1);
}

async fn ended_while_it_asks(rig: &Rig) {
    let (run, dir, _) = begin(rig, asking(rig, "[[question]]")).await;
    question(&dir).await;
    dir.send_cancel("").expect("sent");
    let outcome = rig.outcome(run).await;
    assert_eq!(outcome.status, Status::Aborted, "{outcome:?}");
}

/// The operator is gone when the answer comes; the one that takes the run over goes on with it.
async fn answered_while_nobody_lived(rig: &Rig) {
    let mut command = rig.delegation("[[question]]", &[]);
    command.args(["--responder", "sleep 60", "--responder-timeout", "60s"]);
    let mut operator = command.spawn().expect("cx-operator runs");
    let dir = loop {
        match rig.operator.store().load_runs().expect("listed").first() {
            Some(dir) => break dir.clone(),
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let asked = question(&dir).await;
    operator.start_kill().expect("killed");
    operator.wait().await.expect("it ended");
    let answer = Answer::Text("Spaces.\n[[shell echo spaces > style; echo 'STATUS: DONE']]".into());
    dir.send_answer(&asked.id, &answer).expect("sent");
    let responders: Vec<Arc<dyn cx_operator::task::respond::Responder>> =
        vec![Arc::new(Recipe::Message { limit: LIMIT })];
    let run = rig
        .operator
        .resume(&dir.id(), Some(responders), None)
        .expect("taken over");
    let outcome = rig.outcome(run).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 2),
        "{outcome:?}"
    );
    assert_eq!(outcome.replies[0].by, "message");
}
