//! README, docs and skill say what the program does: its commands, its JSON, its exit statuses, its error codes.

mod commands;
mod gate;
mod links;
mod parents;
mod rooms;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cx_operator::agent::EXECUTORS;
use cx_operator::agent::codex::program::KNOWN_VERSIONS;
use cx_operator::agent::executor::Trouble;
use cx_operator::os::signal::ENDING;
use cx_operator::record::code::Code;
use cx_operator::record::{Outcome, Status};
use regex::Regex;
use serde_json::{Value, json};

use commands::{Help, code, lines, mistaken_value};

const STATUSES: [Status; 11] = [
    Status::Completed,
    Status::NeedsInput,
    Status::NeedsPermission,
    Status::BlockedDialog,
    Status::TurnCap,
    Status::OverBudget,
    Status::AgentFailed,
    Status::AgentDied,
    Status::TimedOut,
    Status::Aborted,
    Status::Failed,
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn load(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// All pages for people: README and its neighbours, `docs/`, the skill and its references.
fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "SECURITY.md"]
        .map(|page| root().join(page))
        .into();
    found.push(root().join("skills/cx-operator/SKILL.md"));
    for dir in ["docs", "skills/cx-operator/references"] {
        let pages = fs::read_dir(root().join(dir)).expect("a directory of pages");
        let pages = pages.map(|entry| entry.expect("readable").path());
        found.extend(pages.filter(|path| path.extension().is_some_and(|kind| kind == "md")));
    }
    assert!(found.len() >= 15, "{found:?}");
    found
}

/// The rows of the first table after `heading`: the cells, without header.
fn table(markdown: &str, heading: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| {
        let inner = line.trim().trim_matches('|');
        inner
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect::<Vec<_>>()
    };
    markdown
        .lines()
        .skip_while(|line| !line.starts_with(heading))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(cells)
        .collect()
}

#[test]
fn every_command_line_is_one() {
    let help = Help::query(&[]);
    let mut seen = BTreeSet::new();
    let mut mistakes = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).expect("readable");
        for line in lines(&text) {
            seen.extend(line.words.first().cloned());
            if let Some(mistake) = help.find_mistake(&line) {
                mistakes.push(format!("{}: {:?}: {mistake}", path.display(), line.words));
            }
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    let all: BTreeSet<String> = help.subcommands.keys().cloned().collect();
    let unseen: Vec<_> = all.difference(&seen).collect();
    assert!(unseen.is_empty(), "not shown anywhere: {unseen:?}");
}

/// What the program itself advises: commands and flags that are there.
#[test]
fn every_command_that_the_program_advises_is_one() {
    fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("readable") {
            let path = entry.expect("readable").path();
            match path.is_dir() {
                true => sources(&path, into),
                false => into.push(path),
            }
        }
    }
    let help = Help::query(&[]);
    let mut paths = Vec::new();
    sources(&root().join("src"), &mut paths);
    let advised = Regex::new(r"`(cx-operator [^`]+)`").expect("the pattern is constant");
    let hole = Regex::new(r"\{[a-z_.]*\}").expect("the pattern is constant");
    let (mut seen, mut mistakes) = (0, Vec::new());
    for path in paths {
        let text = fs::read_to_string(&path).expect("UTF-8");
        let spoken = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for found in spoken.flat_map(|line| advised.captures_iter(line)) {
            let command = hole.replace_all(&found[1], "x").into_owned();
            for line in lines(&format!("`{command}`")) {
                seen += 1;
                let mistake = help.find_mistake(&line);
                mistakes
                    .extend(mistake.map(|what| format!("{}: {command}: {what}", path.display())));
            }
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    assert!(seen > 15, "{seen} lines of advice");
    let flags = help.all_flags();
    let flag = Regex::new(r"(?:^|[ (`])(--[a-z][a-z-]*)").expect("the pattern is constant");
    let remedies = EXECUTORS.iter().flat_map(|executor| {
        let remedy = |&trouble| executor.remedy(trouble);
        Trouble::ALL.iter().map(remedy)
    });
    for hint in Code::ALL.iter().map(|code| code.hint()).chain(remedies) {
        // A command of another program has its own.
        let hint = hint.split('`').step_by(2).collect::<String>();
        for found in flag.captures_iter(&hint) {
            assert!(flags.contains_key(&found[1]), "{hint}");
        }
    }
}

#[test]
fn mistakes_in_command_lines_are_found() {
    let help = Help::query(&[]);
    for (text, mistake) in [
        ("cx-operator delegat --task a", "no flag --task"),
        ("cx-operator frobnicate", "no such subcommand"),
        ("cx-operator hooks remove", "no such subcommand"),
        ("cx-operator delegate --json", "--task is missing"),
        ("cx-operator delegate --task", "--task needs a value"),
        (
            "cx-operator delegate --task a --sandbox none",
            "--sandbox takes no none",
        ),
        (
            "cx-operator delegate --task a --keep=all",
            "--keep takes no all",
        ),
        ("echo | cx-operator classify --jsno", "no flag --jsno"),
        ("cx-operator apply", "0 arguments in place of 1"),
        (
            "cx-operator apply a b | git am",
            "2 arguments in place of 1",
        ),
    ] {
        let found = lines(&format!("```sh\n{text}\n```"));
        let [line] = found.as_slice() else {
            panic!("{text}: {found:?}");
        };
        assert_eq!(help.find_mistake(line).as_deref(), Some(mistake), "{text}");
    }
}

#[test]
fn every_flag_that_is_spoken_of_exists() {
    let flags = Help::query(&[]).all_flags();
    for path in documents() {
        let text = fs::read_to_string(&path).expect("readable");
        let spans = code(&text).into_iter().filter(|(_, block)| !block);
        for (span, _) in spans.filter(|(span, _)| span.starts_with("--")) {
            let words: Vec<&str> = span.split([' ', '=']).collect();
            for (index, word) in words.iter().enumerate() {
                if !word.starts_with("--") {
                    continue;
                }
                let takes = flags
                    .get(*word)
                    .unwrap_or_else(|| panic!("{}: `{span}`", path.display()));
                let value = words.get(index + 1).filter(|next| !next.starts_with("--"));
                if let (Some(values), Some(value)) = (takes, value) {
                    assert_eq!(mistaken_value(word, Some(value), values), None, "`{span}`");
                }
            }
        }
    }
}

/// A record in which every field has a value.
fn full_record() -> Outcome {
    let commit = "0123456789012345678901234567890123456789";
    let mut record = json!({
        "schema_version": 1, "run_id": "20260101-000000-t-0a1b", "task": "t", "executor": "codex",
        "agent_version": "0.169.0", "drive": "requests", "status": "completed", "session_id": "s", "turns": 1,
        "base_commit": commit, "result_commit": commit, "result_ref": "r", "branch": "cx-t",
        "changes": "both", "files_changed": 1, "insertions": 1, "deletions": 0, "patch": "/p",
        "run_dir": "/r", "repository": "/g", "common_dir": "/g/.git", "worktree": "/w", "checkout": "/g", "base_dirty": true, "last_message": "m",
        "pending": {"kind": "question", "text": "t", "reason": "r", "options": [{"label": "l", "description": "d"}]},
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, "cached_input_tokens": 1, "reasoning_output_tokens": 1},
        "started_at": "2026-01-01T00:00:00.000Z", "duration_ms": 1,
        "error": {"code": "c", "message": "m", "hint": "h", "signal": "SIGINT"},
        "commits": [{"id": commit, "summary": "s", "author": "a", "time": "t"}],
        "files": [{"path": "f", "status": "A", "insertions": 1, "deletions": 0, "binary": false}],
        "replies": [{"turn": 1, "by": "answers", "question": "q", "reply": "r"}],
        "notices": ["n"],
    });
    let decision =
        json!({"tool": "t", "command": "c", "action": "deny", "rule": "r", "message": "m"});
    record["answer"] = json!(true);
    record["budget"] = json!({"max_tokens": 1, "max_cost_usd": 1.5, "cost_usd": 0.5});
    record["continues"] = json!({"run_id": "20260101-000000-t-0000", "session_id": "s"});
    record["policy"] = json!({"name": "n", "hash": "h", "decisions": [decision]});
    serde_json::from_value(record).expect("a record")
}

/// The paths of all fields, such as `usage`, `usage.input_tokens`, `commits[].id`.
fn fields(prefix: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let path = format!("{prefix}{name}");
                fields(&format!("{path}."), value, found);
                found.insert(path);
            }
        }
        Value::Array(items) => {
            let prefix = format!("{}[].", prefix.trim_end_matches('.'));
            for item in items {
                fields(&prefix, item, found);
            }
        }
        Value::Null => panic!("{prefix} has no value"),
        _ => {}
    }
}

#[test]
fn the_page_of_the_result_names_the_fields_of_a_record() {
    let mut real = BTreeSet::new();
    let record = serde_json::to_value(full_record()).expect("JSON");
    fields("", &record, &mut real);
    let told: Vec<String> = table(&load("docs/result.md"), "| field |")
        .into_iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    assert_eq!(told.iter().cloned().collect::<BTreeSet<_>>(), real);
    assert_eq!(told.len(), real.len(), "a field is named twice");
}

/// Runs the program where nothing is, and returns the JSON that it prints.
fn query_json(arguments: &[&str]) -> Value {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new(env!("CARGO_BIN_EXE_cx-operator"))
        .args(arguments)
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .env("CX_OPERATOR_STATE", dir.path().join("state"))
        .env("CODEX_HOME", dir.path())
        .env("HOME", dir.path())
        .output()
        .expect("the program runs");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn the_page_of_the_result_names_the_fields_of_the_other_documents() {
    let told = table(&load("docs/result.md"), "| command |");
    let told: BTreeMap<&str, &str> = told
        .iter()
        .map(|row| (row[0].trim_matches('`'), row[1].as_str()))
        .collect();
    for command in ["doctor", "cleanup", "classify", "list"] {
        let document = query_json(&[command, "--json"]);
        let names = document.as_object().expect("an object").iter();
        let below = document["checks"][0].as_object().into_iter().flatten();
        let words: Vec<_> = names.chain(below).map(|(name, _)| name).collect();
        assert!(words.len() > 1, "{document}");
        for word in words {
            let (told, named) = (told[command], format!("`{word}`"));
            assert!(told.contains(&named), "{command}: {word}");
        }
    }
}

/// The exit statuses that a status can have.
fn exits(status: Status) -> BTreeSet<u8> {
    let mut record = full_record();
    record.status = status;
    let mut exit_with = |code: &str, signal: Option<&str>| {
        let error = json!({"code": code, "message": "m", "hint": null, "signal": signal});
        record.error = Some(serde_json::from_value(error).expect("an error"));
        record.exit_code()
    };
    let mut found = BTreeSet::from([exit_with("io", None)]);
    match status {
        Status::Aborted => {
            found.extend(ENDING.map(|(name, _)| exit_with("cancelled", Some(name))));
        }
        Status::Failed => found.extend(Code::ALL.iter().map(|code| exit_with(code.as_str(), None))),
        Status::Completed
        | Status::NeedsInput
        | Status::NeedsPermission
        | Status::BlockedDialog
        | Status::TurnCap
        | Status::OverBudget
        | Status::AgentFailed
        | Status::AgentDied
        | Status::TimedOut => {}
        _ => unreachable!("a status of which this test knows nothing"),
    }
    found
}

#[test]
fn the_tables_have_every_status_and_its_exits() {
    let real: BTreeMap<String, BTreeSet<u8>> = STATUSES
        .map(|status| (status.as_str().to_owned(), exits(status)))
        .into();
    let number = Regex::new(r"\b\d+\b").expect("the pattern is constant");
    for (document, heading, column) in [
        ("docs/result.md", "| status |", 2),
        (
            "skills/cx-operator/references/results.md",
            "| `status` |",
            1,
        ),
    ] {
        let told = table(&load(document), heading).into_iter().map(|row| {
            let numbers = number.find_iter(&row[column]);
            let numbers = numbers.map(|found| found.as_str().parse().expect("small"));
            (row[0].trim_matches('`').to_owned(), numbers.collect())
        });
        assert_eq!(told.collect::<BTreeMap<_, _>>(), real, "{document}");
    }
}

#[test]
fn the_page_of_the_result_has_the_table_of_codes() {
    let mut real = "| code | exit | what to do |\n|---|---|---|\n".to_owned();
    for &code in Code::ALL {
        let hint = code.hint();
        real += &format!("| `{}` | {} | {hint} |\n", code.as_str(), code.exit());
    }
    let page = load("docs/result.md");
    let told = page
        .split_once("<!-- codes")
        .and_then(|(_, rest)| rest.split_once("-->\n"))
        .and_then(|(_, rest)| rest.split_once("<!-- end of codes -->"))
        .map(|(table, _)| table);
    assert!(told == Some(real.as_str()), "the table is:\n{real}");
}

#[test]
fn the_pages_name_the_versions_that_were_tried() {
    let readme = load("README.md");
    let (oldest, newest) = KNOWN_VERSIONS;
    let versions = format!("codex {oldest} to {newest}");
    assert!(readme.contains(&versions) && load("docs/limits.md").contains(&versions));
    let manifest: toml::Table = load("Cargo.toml").parse().expect("TOML");
    let rust = manifest["package"]["rust-version"].as_str().expect("text");
    assert!(readme.contains(&format!("Rust {rust} or later")));
}

/// Its blocks are parts of examples and of the documentation of items, which are compiled.
#[test]
fn the_page_of_the_library_shows_what_compiles() {
    let page = load("docs/library.md");
    let compiled = [
        "examples/delegate.rs",
        "src/operator.rs",
        "src/task/judge.rs",
    ]
    .map(|file| {
        let text = load(file);
        let lines = text
            .lines()
            .map(|line| line.trim().trim_start_matches("///"));
        lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    });
    let blocks: Vec<&str> = page.split("```rust\n").skip(1).collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        let (block, _) = block.split_once("```").expect("its end");
        let block: Vec<&str> = block.lines().map(str::trim).collect();
        assert!(block.len() > 3);
        let shows = |text: &Vec<String>| text.windows(block.len()).any(|lines| lines == block);
        assert!(compiled.iter().any(shows), "{block:#?}");
    }
}

#[test]
fn the_answers_files_of_the_pages_are_valid() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("answers.toml");
    for document in [
        "docs/permissions.md",
        "skills/cx-operator/references/answers.md",
    ] {
        let text = load(document);
        let (_, rest) = text.split_once("```toml\n").expect("a block of TOML");
        let (block, _) = rest.split_once("```").expect("its end");
        fs::write(&path, block).expect("written");
        cx_operator::task::respond::Answers::load(&path).expect(document);
    }
}

#[test]
fn the_skill_is_named() {
    let skill = load("skills/cx-operator/SKILL.md");
    let front = skill
        .strip_prefix("---\n")
        .and_then(|rest| rest.split_once("\n---\n"));
    let (front, _) = front.expect("front matter");
    let fields: BTreeMap<&str, &str> = front
        .lines()
        .map(|line| line.split_once(": ").expect("name: value"))
        .collect();
    assert_eq!(fields["name"], "cx-operator");
    assert!((1..=1024).contains(&fields["description"].len()));
}

#[test]
fn the_readme_stays_short() {
    let lines = load("README.md").lines().count();
    assert!(
        lines <= 120,
        "{lines} lines: what is a reference belongs into docs/"
    );
}
