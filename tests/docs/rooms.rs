//! The order of the rooms of `src`: each imports only rooms below it, and no room but `agent` names an agent.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// From the lowest to the highest. `lib.rs` and `main.rs` are above all of them.
const ROOMS: [&str; 13] = [
    "os", "tmux", "worktree", "policy", "agent", "task", "record", "error", "turn", "run",
    "operator", "mcp", "cli",
];

fn floor(room: &str) -> Option<usize> {
    ROOMS.iter().position(|name| *name == room)
}

/// Every file of `src` with its room and its code, without comments.
fn files() -> Vec<(PathBuf, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut left = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory of src");
            left.extend(entries.map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let inner = path.strip_prefix(&root).expect("below src").to_owned();
        let room = inner.iter().next().expect("a name").to_string_lossy();
        let room = room.trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&path).expect("a source file");
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        let code: Vec<&str> = text.lines().filter(is_code).collect();
        found.push((inner, room, code.join("\n")));
    }
    found
}

#[test]
fn every_room_has_its_floor() {
    for (path, room, _) in files() {
        let above = ["lib", "main"].contains(&room.as_str());
        assert!(above || floor(&room).is_some(), "{path:?}: no floor for it");
    }
}

#[test]
fn no_room_imports_one_above_it() {
    let import = Regex::new(r"\b(?:crate|cx_operator)::([a-z_]+)\b").expect("a pattern");
    let mut wrong = Vec::new();
    for (path, room, code) in files() {
        let Some(own) = floor(&room) else { continue };
        for found in import.captures_iter(&code) {
            if floor(&found[1]).is_some_and(|other| other > own) {
                wrong.push(format!("{}: {}", path.display(), &found[0]));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "imports that run upwards:\n{}",
        wrong.join("\n")
    );
}

/// The rooms that the page of the architecture lists, from the highest to the lowest.
#[test]
fn the_page_of_the_architecture_lists_the_rooms_in_their_order() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let page = fs::read_to_string(page).expect("a page");
    let row = Regex::new(r"(?m)^\| `([a-z]+)` \|").expect("a pattern");
    let listed: Vec<String> = row.captures_iter(&page).map(|row| row[1].into()).collect();
    let real: Vec<&str> = ROOMS.into_iter().rev().collect();
    assert_eq!(listed, real);
}

/// The files that the tree on that page names, such as `record.rs  record/  dir  store`.
#[test]
fn the_tree_of_the_architecture_names_files_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/architecture.md")).expect("a page");
    let row = Regex::new(r"(?m)^  ([a-z]+)\.rs  ([a-z]+)/ +(.*)$").expect("a pattern");
    let aside = Regex::new(r"\([^)]*\)").expect("a pattern");
    let mut seen = 0;
    for row in row.captures_iter(&page) {
        let names = aside.replace_all(&row[3], "");
        for name in names.split(|c: char| !c.is_alphanumeric() && c != '_') {
            let file = root.join("src").join(&row[2]).join(format!("{name}.rs"));
            // Of the commands it says "one file each".
            if !name.is_empty() && &row[2] != "cli" {
                seen += 1;
                assert!(file.exists(), "{}", file.display());
            }
        }
    }
    assert!(seen > 40, "{seen} files");
}

/// What the caller gave to the process is read in one place. The command line may look for itself.
#[test]
fn one_file_reads_the_callers_environment_and_directories() {
    let read = Regex::new(r"\benv::(?:vars?(?:_os)?|current_dir|current_exe|temp_dir|home_dir)\b");
    let read = read.expect("a pattern");
    let mut readers = Vec::new();
    for (path, room, code) in files() {
        let is_test = path.iter().any(|part| part == "tests") || path.ends_with("tests.rs");
        let code = code.split("\n#[cfg(test)]\nmod ").next().unwrap_or("");
        if !is_test && room != "cli" && read.is_match(code) {
            readers.push(path);
        }
    }
    assert_eq!(readers, [Path::new("os/given.rs")]);
}

#[test]
fn no_room_but_the_agents_names_an_agent() {
    let name = Regex::new("(?i)codex|claude|gemini").expect("a pattern");
    let mut wrong = Vec::new();
    for (path, room, code) in files() {
        let is_test = path.iter().any(|part| part == "tests")
            || ["tests.rs", "documents.rs"]
                .iter()
                .any(|name| path.ends_with(name));
        if is_test || ["agent", "cli"].contains(&room.as_str()) {
            continue;
        }
        let code = code.split("\n#[cfg(test)]\nmod ").next().unwrap_or("");
        let lines = code.lines().filter(|line| name.is_match(line));
        wrong.extend(lines.map(|line| format!("{}: {}", path.display(), line.trim())));
    }
    assert!(wrong.is_empty(), "agents named:\n{}", wrong.join("\n"));
}
