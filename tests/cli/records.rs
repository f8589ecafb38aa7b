//! `list`, `show`, `diff`, `log`: what is on record, whatever state it is in.

use std::fs;

use cx_operator::agent::ExecutorId;
use cx_operator::task::Task;
use cx_operator::task::name::TaskName;
use cx_operator::task::prompt::Prompt;
use serde_json::{Value, json};

use testkit::world::{Ran, names};

use crate::place::Place;

const ESCAPE: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}x";

/// A record as `run.json` holds it.
fn record(run_id: &str, task: &str) -> Value {
    json!({
        "schema_version": 1, "run_id": run_id, "task": task, "executor": "codex", "agent_version": "0.169.0",
        "status": "completed", "session_id": null, "turns": 1, "base_commit": null, "result_commit": null,
        "result_ref": null, "branch": format!("cx-{task}"), "changes": "none", "files_changed": 0,
        "insertions": 0, "deletions": 0, "patch": null, "run_dir": "/nowhere", "repository": "/repo",
        "worktree": null, "last_message": "Done.", "pending": null, "usage": null,
        "started_at": "2026-01-01T00:00:00.000Z", "duration_ms": 1, "error": null,
        "commits": [], "files": [], "replies": [], "notices": []
    })
}

impl Place {
    pub(crate) fn put(&self, run_id: &str, name: &str, bytes: &[u8]) {
        let dir = self.path("state/runs").join(run_id);
        fs::create_dir_all(&dir).expect("a directory");
        fs::write(dir.join(name), bytes).expect("written");
    }

    pub(crate) fn record(&self, run_id: &str, task: &str, change: impl FnOnce(&mut Value)) {
        let mut record = record(run_id, task);
        change(&mut record);
        self.put(run_id, "run.json", record.to_string().as_bytes());
    }
}

#[test]
fn the_newest_are_listed_and_the_others_counted() {
    let place = Place::new();
    for n in 0..52 {
        place.record(&format!("20260101-0000{n:02}-t-0001"), "t", |_| {});
    }
    // Not even looked at.
    place.put("20250101-000000-t-0001", "run.json", b"{");
    let rows = |arguments: &[&str]| {
        let ran = place.cli(&[&["list", "--json"], arguments].concat());
        let rows = ran.document()["runs"].as_array().expect("rows").clone();
        (rows, ran.stderr)
    };
    let (newest, said) = rows(&[]);
    assert_eq!(
        (newest.len(), &newest[0]["run_id"]),
        (50, &json!("20260101-000051-t-0001"))
    );
    assert!(said.contains("3 older runs"), "{said}");
    assert!(newest[0]["disk_bytes"].as_u64() >= Some(4096), "{newest:?}");
    assert_eq!(rows(&["--limit", "1"]).0, newest[..1]);
    assert_eq!(rows(&["--limit=52"]).0.len(), 52);
    let (all, said) = rows(&["--all"]);
    assert_eq!(all.len(), 52);
    assert!(
        said.contains("20250101") && !said.contains("older runs"),
        "{said}"
    );
    let ran = place.cli(&["list", "--all"]);
    assert_eq!(ran.stdout.lines().count(), 1 + 52);
    assert!(ran.stderr.contains("52 runs, ") && ran.stderr.contains("B on the disk"));
    assert_eq!(place.cli(&["list", "--all", "--limit=1"]).code, 2);
}

#[test]
fn the_runs_of_one_executor_are_listed_alone() {
    let place = Place::new();
    for n in 0..9 {
        let of_claude = |record: &mut Value| record["executor"] = json!("claude");
        let of_codex = |_: &mut Value| {};
        let run_id = format!("20260101-00000{n}-t-0001");
        match n % 3 {
            0 => place.record(&run_id, "t", of_claude),
            _ => place.record(&run_id, "t", of_codex),
        }
    }
    // Its operator died before there was a record: its order tells.
    let name = TaskName::parse("one").expect("a name");
    let mut order = Task::new(name, "/repo".into(), Prompt::parse(b"x").expect("a brief"));
    order.agent.executor = ExecutorId::parse("claude").expect("an executor");
    let order = serde_json::to_vec(&order).expect("a document");
    place.put(ONE, "order.json", &order);
    let of = |arguments: &[&str]| {
        let ran = place.cli(&[&["list", "--json", "--executor"], arguments].concat());
        let rows = ran.document()["runs"].as_array().expect("rows").clone();
        let ids = rows
            .iter()
            .map(|row| row["run_id"].as_str().expect("an id"));
        let ids: Vec<_> = ids.map(|id| id[9..15].to_owned()).collect();
        assert!(rows.iter().all(|row| row["executor"] == arguments[0]));
        (ids, ran.stderr)
    };
    assert_eq!(of(&["claude"]).0, ["000006", "000003", "000000", "000000"]);
    // The limit is one of those runs alone.
    let (newest, said) = of(&["codex", "--limit", "2"]);
    assert_eq!(newest, ["000008", "000007"]);
    assert!(said.contains("4 older runs"), "{said}");
    let none = Place::new();
    let said = none.cli(&["list", "--executor", "claude"]).stderr;
    assert!(said.contains("no runs of claude yet"), "{said}");
    let refused = none.cli(&["list", "--executor", "gemini", "--json"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stdout.contains("it must be one of: codex, claude"));
}

#[test]
fn runs_are_listed_by_status_task_repository_and_age() {
    let place = Place::new();
    let repository = place.repo().canonicalize().expect("there");
    place.record("20260101-000001-one-0001", "one", |record| {
        record["repository"] = json!(repository);
    });
    place.record("20260101-000002-two-0002", "two", |record| {
        record["status"] = json!("needs_input");
    });
    place.put("20260101-000003-two-0003", "task.md", b"x");
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    let digits: String = now.chars().filter(char::is_ascii_digit).collect();
    let new = format!("{}-{}-new-0004", &digits[..8], &digits[8..]);
    place.record(&new, "new", |_| {});
    let of = |arguments: &[&str]| {
        let ran = place.cli(&[&["list", "--json"], arguments].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let rows = ran.document()["runs"].as_array().expect("rows").clone();
        let ids = rows
            .iter()
            .map(|row| row["run_id"].as_str().expect("an id"));
        ids.map(|id| id[id.len() - 1..].to_owned())
            .collect::<String>()
    };
    let inside = place.path("repo").display().to_string();
    for (arguments, expected) in [
        (&[][..], "4321"),
        (&["--status", "completed"], "41"),
        (&["--status", "completed", "--status=orphaned"], "431"),
        (&["--waiting"], ""),
        (&["--task", "two"], "32"),
        (&["--task", "two", "--status", "needs_input"], "2"),
        (&["--repo", &inside], "1"),
        (&["--repo", "/repo"], "42"),
        (&["--since", "1h"], "4"),
        (&["--since", "1h", "--task", "one"], ""),
        (&["--status", "completed", "--limit", "1"], "4"),
    ] {
        assert_eq!(of(arguments), expected, "{arguments:?}");
    }
    assert!(
        place
            .cli(&["list", "--waiting"])
            .stderr
            .contains("no such runs")
    );
    for refused in [["--status", "done"], ["--since", "soon"]] {
        assert_eq!(place.cli(&[&["list"], &refused[..]].concat()).code, 2);
    }
}

#[test]
fn a_heading_has_something_below_it() {
    let place = Place::new();
    place.record(ONE, "one", |_| {});
    let shown = place.cli(&["show", ONE]).stdout;
    // Its directory and its patch are gone: there is nothing to do next.
    assert!(!shown.contains("next:"), "{shown}");
}

const ONE: &str = "20260101-000000-one-0001";
const TWO: &str = "20260102-000000-two-0002";

#[test]
fn no_runs_are_no_mistake() {
    let place = Place::new();
    let ran = place.cli(&["list"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert!(ran.stderr.contains("no runs yet"));
    let ran = place.cli(&["list", "--json"]);
    let none = json!({"schema_version": 1, "runs": [], "older": 0});
    assert_eq!((ran.code, ran.document()), (0, none));
}

#[test]
fn runs_that_are_not_there_or_not_one() {
    let place = Place::new();
    place.record(ONE, "one", |_| {});
    place.record(TWO, "two", |_| {});
    for command in ["show", "diff", "log"] {
        for (name, why) in [
            ("three", "no run is named `three`"),
            ("", "no run is named ``"),
            ("../runs", "no run is named `../runs`"),
            ("\u{1b}[2J", "no run is named"),
            ("2026", "names 2 runs"),
        ] {
            let ran = place.cli(&[command, name]);
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{command} {name}");
            assert!(ran.stderr.contains(why), "{}", ran.stderr);
            assert!(ran.stderr.contains("cx-operator list") && ran.is_harmless());
        }
    }
    for name in ["one", ONE, "20260101"] {
        let ran = place.cli(&["show", name, "--json"]);
        assert_eq!(ran.document()["run_id"], ONE, "{}", ran.stderr);
    }
}

#[test]
fn the_newest_run_of_a_task_is_the_one_that_is_meant() {
    let place = Place::new();
    let newer = "20260103-000000-one-0003";
    place.record(ONE, "one", |_| {});
    place.record(newer, "one", |_| {});
    assert_eq!(
        place.cli(&["show", "one", "--json"]).document()["run_id"],
        newer
    );
    let listed = place.cli(&["list", "--json"]).document()["runs"].take();
    assert_eq!(
        (&listed[0]["run_id"], &listed[1]["run_id"]),
        (&json!(newer), &json!(ONE))
    );
}

#[test]
fn a_record_that_is_none_hides_no_other() {
    let place = Place::new();
    place.record(ONE, "one", |_| {});
    for (run_id, text) in [(TWO, "{\"schema"), ("20260104-000000-four-0004", "[]")] {
        place.put(run_id, "run.json", text.as_bytes());
        let ran = place.cli(&["list", "--json"]);
        assert_eq!(ran.code, 0);
        assert_eq!(ran.document()["runs"].as_array().expect("rows").len(), 1);
        assert!(ran.stderr.contains(run_id), "{}", ran.stderr);
        let ran = place.cli(&["show", run_id]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert!(ran.stderr.contains("run.json"), "{}", ran.stderr);
    }
}

#[test]
fn a_run_whose_operator_died_is_named_as_one() {
    let place = Place::new();
    place.put(
        ONE,
        "events.jsonl",
        b"{\"at\":\"2026-01-01T00:00:00.000Z\",\"eve",
    );
    let listed = place.cli(&["list", "--json"]).document()["runs"].take();
    assert_eq!(
        (&listed[0]["status"], &listed[0]["task"]),
        (&json!("orphaned"), &json!("one"))
    );
    let ran = place.cli(&["show", "one"]);
    assert_eq!(ran.code, 2);
    let told = format!("`cx-operator resume {ONE}`");
    assert!(ran.stderr.contains(&told), "{}", ran.stderr);
    let ran = place.cli(&["log", "one", "--json"]);
    let none = json!({"schema_version": 1, "run_id": ONE, "entries": []});
    assert_eq!((ran.code, ran.document()), (0, none));
    let ran = place.cli(&["cleanup", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(
        names(&place.path("state/runs")),
        [ONE],
        "a torn record is not ours to drop"
    );
}

#[test]
fn the_diff_is_the_patch_byte_for_byte() {
    let place = Place::new();
    let patch = "diff --git a/x b/x\n+\u{1b}[31mred\u{1b}[0m\r\n";
    place.put(ONE, "patch.diff", patch.as_bytes());
    let path = place.path("state/runs").join(ONE).join("patch.diff");
    place.record(ONE, "one", |record| record["patch"] = json!(path));
    let ran = place.cli(&["diff", "one"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, patch));
    // Whatever asks for colours in general, `git apply` takes none.
    let mut command = place.operator(&["diff", "one"]);
    command.env("CLICOLOR_FORCE", "1");
    let ran = Ran::of(&mut command, b"");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, patch));
    place.record(TWO, "two", |_| {});
    let ran = place.cli(&["diff", "two"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert!(ran.stderr.contains("it changed nothing"), "{}", ran.stderr);
}

#[test]
fn nothing_of_the_agents_reaches_the_terminal_raw() {
    let place = Place::new();
    place.record(ONE, "one", |record| {
        for name in ["agent_version", "session_id", "last_message", "repository", "result_ref", "patch"] {
            record[name] = json!(ESCAPE);
        }
        record["changes"] = json!("both");
        record["files"] = json!([{"path": ESCAPE, "status": "A", "insertions": 1, "deletions": 0, "binary": false}]);
        record["error"] = json!({"code": ESCAPE, "message": ESCAPE, "hint": ESCAPE});
        record["replies"] = json!([{"turn": 1, "by": ESCAPE, "question": ESCAPE, "reply": ESCAPE}]);
        record["notices"] = json!([ESCAPE]);
    });
    place.record(TWO, "two", |record| {
        record["pending"] = json!({"kind": ESCAPE, "text": ESCAPE, "reason": ESCAPE});
    });
    let at = "2026-01-01T00:00:00.000Z";
    let events = [
        json!({"at": at, "event": "permission_asked", "turn": 1, "command": ESCAPE}),
        json!({"at": at, "event": "replied", "turn": 1, "by": ESCAPE, "reply": ESCAPE}),
        json!({"at": at, "event": "turn_ended", "turn": 1, "verdict": "result", "rule": "r", "message": ESCAPE}),
        json!({"at": ESCAPE, "event": "ignored", "why": ESCAPE, "what": ESCAPE}),
    ];
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    place.put(ONE, "events.jsonl", lines.join("\n").as_bytes());
    for arguments in [
        &["show", "one"][..],
        &["show", "two"],
        &["log", "one"],
        &["list"],
    ] {
        let ran = place.cli(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
        assert!(ran.is_harmless(), "{arguments:?}: {:?}", ran.stdout);
        assert!(!ran.stdout.contains('\u{202e}'), "{arguments:?}");
        if arguments[0] != "list" {
            assert!(
                ran.stdout.contains("owned"),
                "{arguments:?}: the words stay"
            );
        }
        let document = place.cli(&[arguments, &["--json"]].concat());
        assert!(document.is_harmless(), "{arguments:?}: JSON escapes them");
        assert!(!document.stdout.contains('\u{202e}'), "{arguments:?}");
        if arguments == ["show", "one"] {
            assert_eq!(
                document.document()["last_message"],
                ESCAPE,
                "nothing is lost"
            );
        }
    }
}

#[test]
fn an_event_stays_one_line() {
    let place = Place::new();
    let forged = "true\n2026-01-01T00:00:00.000Z done: completed";
    let event = json!({"at": "2026-01-01T00:00:00.000Z", "event": "permission_asked", "turn": 1, "command": forged});
    place.put(ONE, "events.jsonl", event.to_string().as_bytes());
    let ran = place.cli(&["log", "one"]);
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
}
