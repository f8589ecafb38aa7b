//! What people are told while a run goes and at its end: nothing that isn't so.

use cx_operator::record::Status;
use serde_json::Value;

use crate::rig::{Rig, wait_for};

on_both!(the_queue_is_listed, work_is_kept_only_where_it_is);

pub(crate) async fn rows(rig: &Rig) -> Vec<Value> {
    let output = rig.binary(&["list", "--json"]).output().await;
    let document: Value = serde_json::from_slice(&output.expect("it runs").stdout).expect("a list");
    document["runs"].as_array().expect("runs").clone()
}

/// A run that waits for its place is listed as such, with its position, and becomes a run like any other.
async fn the_queue_is_listed(rig: &Rig) {
    let one = ["--max-parallel", "1"];
    let first = rig.spawn_delegation("[[sleep 6]]", &one).await;
    let waiting = ["u", "v"].map(|task| {
        let mut command = rig.delegation_of(task, "[[say Done. All is well.]]", &one);
        command.spawn().expect("it starts")
    });
    let mut of = Vec::new();
    let listed = |rows: &[Value]| -> Vec<(String, Option<u64>)> {
        let status = |row: &Value| row["status"].as_str().unwrap_or_default().to_owned();
        rows.iter()
            .map(|row| (status(row), row["position"].as_u64()))
            .collect()
    };
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while std::time::Instant::now() < limit && of.len() < 3 {
        of = listed(&rows(rig).await);
    }
    of.sort();
    let queued = |position| ("queued".to_owned(), Some(position));
    assert_eq!(of, [queued(1), queued(2), ("running".to_owned(), None)]);
    // Neither of them has a record yet.
    let executor = rig.agent.executor();
    let told = rows(rig).await;
    assert!(
        told.iter().all(|row| row["executor"] == executor.name()),
        "{told:?}"
    );
    let output = rig.binary(&["show", "v"]).output().await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("queued"),
        "{said}"
    );
    let output = first.wait_with_output().await.expect("it ends");
    assert_eq!(rig.document(&output).0.status, Status::Completed);
    for child in waiting {
        let output = child.wait_with_output().await.expect("it ends");
        assert_eq!(rig.document(&output).0.status, Status::Completed);
    }
    wait_for("an end of the queue", || {
        let queue = rig.operator.store().load_queue().expect("the queue");
        queue.is_empty().then_some(())
    })
    .await;
}

/// "Kept" is said of work that is there, whatever the run came to.
async fn work_is_kept_only_where_it_is(rig: &Rig) {
    for (task, brief, keeps) in [
        ("t", "[[say Done. Nothing was to be done.]]", false),
        ("u", "[[question]]", false),
        ("v", "[[http 401]]", false),
        ("w", "[[shell echo new > new]]", true),
    ] {
        let output = rig
            .delegation_of(task, brief, &["--no-probe"])
            .output()
            .await;
        let output = output.expect("it runs");
        let (outcome, _) = rig.document(&output);
        let report = rig.binary(&["show", task]).output().await.expect("it runs");
        let said = [&output.stderr[..], &report.stdout[..]].concat();
        let said = String::from_utf8_lossy(&said).to_lowercase();
        assert_eq!(outcome.result_ref.is_some(), keeps, "{outcome:?}");
        for claim in ["kept as", "refs/cx-operator", "work so far", "snapshot"] {
            assert!(keeps || !said.contains(claim), "{brief}: {claim}: {said}");
        }
        assert!(!keeps || said.contains("merge refs/cx-operator"), "{said}");
    }
}
