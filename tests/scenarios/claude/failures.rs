//! Requests that fail: what they are called, and how long it takes until that is known.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use cx_operator::record::{Outcome, Status};
use cx_operator::task::Task;
use serde_json::json;
use testkit::wait::on_this_machine;

use super::{assert_made, playing};
use crate::rig::Rig;

on_every_claude!(refused_by_status, overloaded);
on_claude!(failing_services, short_overload, nobody_listens, cut_stream);

async fn failed(rig: &Rig, task: Task) -> (Outcome, Duration) {
    let since = Instant::now();
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::AgentFailed, 1),
        "{outcome:?}"
    );
    (outcome, since.elapsed())
}

async fn assert_statuses(rig: &Rig, statuses: &[u16], limit: Duration) {
    for status in statuses {
        let task = rig.task_named(&format!("t{status}"), &format!("[[http {status}]]"));
        let (outcome, time) = failed(rig, task).await;
        let error = outcome.error.as_ref().expect("an error");
        assert_eq!(error.code, format!("http_{status}"), "{error:?}");
        assert!(time < on_this_machine(limit), "{status} took {time:?}");
    }
}

async fn refused_by_status(rig: &Rig) {
    assert_statuses(rig, &[400, 403, 404, 413], Duration::from_secs(20)).await;
}

async fn overloaded(rig: &Rig) {
    assert_statuses(rig, &[529], Duration::from_secs(30)).await;
}

async fn failing_services(rig: &Rig) {
    assert_statuses(rig, &[401, 429, 500], Duration::from_secs(30)).await;
}

async fn short_overload(rig: &Rig) {
    let steps = json!([{"http": 529, "times": 2}, {"say": "Done. It was short."}]);
    let outcome = rig.delegate(rig.task(&playing(&steps))).await;
    assert_made(&outcome, 1, &[]);
}

async fn nobody_listens(rig: &Rig) {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr());
    let mut task = rig.task("[[say Done.]]");
    let address = format!("http://{}", port.expect("a port"));
    task.environment
        .push(("ANTHROPIC_BASE_URL".to_owned(), address));
    let (outcome, time) = failed(rig, task).await;
    assert!(
        time < on_this_machine(Duration::from_secs(30)),
        "{time:?}: {outcome:?}"
    );
}

async fn cut_stream(rig: &Rig) {
    let (outcome, time) = failed(rig, rig.task("[[drop]]")).await;
    assert!(
        time < on_this_machine(Duration::from_secs(40)),
        "{time:?}: {outcome:?}"
    );
}
