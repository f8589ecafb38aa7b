//! Documents of released formats stay readable: `tests/documents` has those that an earlier version wrote.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::JournalState;
use crate::agent::executor::TrustPolicy;
use crate::record::{RunDir, Status, Store, journal};
use crate::task::policy::Keep;

const LENGTHS: [(&str, usize, Keep); 2] = [
    ("completed", 28, Keep::Nothing),
    ("kept", 26, Keep::Worktree),
];

fn document(name: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("tests/documents/0.1.0").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The run that left these documents, in a state directory.
fn run(temp: &TempDir, kind: &str, lines: usize) -> RunDir {
    let store = Store::open(temp.path()).expect("a state directory");
    let record = document(&format!("{kind}-run.json"));
    let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    let id = record["run_id"].as_str().expect("an id");
    let path = temp.path().join("runs").join(id);
    fs::create_dir_all(path.join("signals")).expect("a directory");
    let events = document(&format!("{kind}-events.jsonl"));
    let events: Vec<&str> = events.lines().take(lines).collect();
    fs::write(path.join("events.jsonl"), events.join("\n") + "\n").expect("written");
    fs::write(path.join("run.json"), record.to_string()).expect("written");
    fs::write(path.join("task.md"), "[[question]] tabs or spaces?").expect("written");
    store.find(id).expect("found")
}

#[test]
fn records_and_journals_of_earlier_versions_are_read() {
    for (kind, length, keep) in LENGTHS {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let run = run(&temp, kind, usize::MAX);
        let record = run.load_record().expect("readable").expect("written");
        assert_eq!(record.status, Status::Completed);
        assert_eq!((record.turns, record.replies.len()), (2, 1));
        let entries = journal::load(&run.path().join("events.jsonl")).expect("readable");
        assert_eq!(entries.len(), length, "{kind}");
        let journal_state = JournalState::load(&run).expect("readable").expect("a run");
        assert_eq!(journal_state.order.keep, keep);
        assert_eq!(journal_state.order.agent.trust, TrustPolicy::Accept);
        assert_eq!(journal_state.order.responders.len(), 1);
        assert!(journal_state.order.probe && journal_state.ended.is_some());
        assert_eq!(journal_state.order.limits.turns, 8);
        assert_eq!(
            journal_state.order.prompt.as_str(),
            "[[question]] tabs or spaces?"
        );
    }
}

#[test]
fn a_run_of_an_earlier_version_can_be_taken_over_at_any_line() {
    for (kind, length, keep) in LENGTHS {
        for lines in 1..length {
            let temp = tempfile::tempdir().expect("a temporary directory");
            let run = run(&temp, kind, lines);
            let journal_state = JournalState::load(&run).expect("readable").expect("a run");
            assert_eq!(journal_state.order.keep, keep, "{kind}, {lines} lines");
            assert_eq!(
                journal_state.resume_point().turns,
                journal_state.to_outcome(&run).turns
            );
        }
    }
}

#[test]
fn a_run_whose_order_is_lost_can_be_ended() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let run = run(&temp, "kept", 8);
    for text in ["", "{", r#"{"name":"demo"}"#] {
        fs::write(run.path().join("order.json"), text).expect("written");
        let state = JournalState::load(&run).expect("readable").expect("a run");
        let told = state.to_outcome(&run).notices;
        assert!(
            told.iter().any(|notice| notice.contains("order.json")),
            "{told:?}"
        );
    }
}
