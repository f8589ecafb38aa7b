//! `report`: as text, and as a page that a real browser opens.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex::Regex;
use serde_json::{Value, json};

use testkit::world::Ran;

use crate::place::Place;

const RUN: &str = "20260101-000000-one-0001";
/// What an agent may write anywhere, to become more than words.
const HOSTILE: &str = "</script></title></style></pre><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> & \u{1b}[31mred\u{1b}[0m \u{9b}2J \u{202e}'\"<b>bold</b>";

fn at(second: u32) -> String {
    format!("2026-01-01T00:{:02}:{:02}.250Z", second / 60, second % 60)
}

/// The events of a run with two turns, tools, a question that is answered, and tokens.
fn events(words: &str) -> Vec<Value> {
    let item = |second: u32, turn: u32, more: Value| {
        let mut event =
            json!({"at": at(second), "event": "item", "turn": turn, "id": format!("i{second}")});
        let fields = more.as_object().expect("fields").clone();
        event.as_object_mut().expect("an event").extend(fields);
        event
    };
    let tokens = |second: u32, total: u64| {
        json!({"at": at(second), "event": "tokens", "turn": 1,
            "usage": {"input_tokens": total - 100, "output_tokens": 100, "total_tokens": total}})
    };
    let submitted = |second: u32, turn: u32| json!({"at": at(second), "event": "submitted", "turn": turn, "session_id": "s", "turn_id": null});
    vec![
        json!({"at": at(0), "event": "launched", "pid": 1, "pid_start": null, "directory": null, "argv": [], "drive": "requests"}),
        submitted(2, 1),
        item(
            9,
            1,
            json!({"kind": "command", "command": format!("cargo test {words}\nsecond line"), "exit_code": 101, "duration_ms": 5200, "outcome": "failed"}),
        ),
        tokens(10, 4_200),
        item(
            20,
            1,
            json!({"kind": "file_change", "paths": [format!("src/{words}.rs")], "count": 1, "outcome": "completed"}),
        ),
        item(21, 1, json!({"kind": "message", "text": words})),
        tokens(22, 9_800),
        json!({"at": at(30), "event": "turn_ended", "turn": 1, "verdict": "question", "rule": "r", "message": words}),
        json!({"at": at(31), "event": "asked", "turn": 1, "id": "1-1", "kind": "question", "text": words, "options": [{"label": words, "description": words}]}),
        json!({"at": at(75), "event": "replied", "turn": 1, "by": "person", "question": words, "reply": words}),
        submitted(76, 2),
        item(
            90,
            2,
            json!({"kind": "command", "command": "cargo test", "exit_code": 0, "duration_ms": 9000, "outcome": "completed"}),
        ),
        tokens(95, 31_000),
        json!({"at": at(100), "event": "turn_ended", "turn": 2, "verdict": "result", "rule": "r", "message": "Done."}),
        json!({"at": at(101), "event": "ended", "status": "completed", "error": null, "pending": null, "last_message": null}),
        json!({"at": at(102), "event": "recorded", "status": "completed"}),
    ]
}

/// A place with one run on record in which everything that others write is `words`.
fn recorded(words: &str) -> Place {
    let place = Place::new();
    let lines: Vec<String> = events(words).iter().map(Value::to_string).collect();
    place.put(RUN, "events.jsonl", (lines.join("\n") + "\n").as_bytes());
    place.put(RUN, "prompt-1.md", words.as_bytes());
    let patch = format!(
        "diff --git a/a.rs b/a.rs\nindex 1..2 100644\n--- a/a.rs\n+++ b/a.rs\n@@ -1,3 +1,3 @@\n fn leap(year: u32) -> bool {{\n-    {words}\n+    year % 4 == 0 {words}\n }}\n"
    );
    place.put(RUN, "patch.diff", patch.as_bytes());
    let patch = place.path("state/runs").join(RUN).join("patch.diff");
    let run_dir = place.path("state/runs").join(RUN);
    place.record(RUN, "one", |record| {
        for name in ["agent_version", "session_id", "last_message"] {
            record[name] = json!(words);
        }
        record["patch"] = json!(patch);
        record["run_dir"] = json!(run_dir);
        record["changes"] = json!("uncommitted");
        (record["turns"], record["duration_ms"]) = (json!(2), json!(102_000));
        record["files_changed"] = json!(1);
        (record["insertions"], record["deletions"]) = (json!(1), json!(1));
        record["files"] = json!([{"path": format!("{words}.rs"), "status": "M", "insertions": 1, "deletions": 1, "binary": false}]);
        record["usage"] = json!({"input_tokens": 30_900, "output_tokens": 100, "total_tokens": 31_000});
        record["error"] = json!({"code": words, "message": words, "hint": words});
        record["replies"] = json!([{"turn": 1, "by": words, "question": words, "reply": words}]);
        record["notices"] = json!([words]);
    });
    place
}

fn page(place: &Place) -> (PathBuf, String) {
    let path = place.path("a report.html");
    let ran = place.cli(&["report", "one", "--html", &path.display().to_string()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    let page = fs::read_to_string(&path).expect("UTF-8");
    (path, page)
}

/// Elements that have no end.
const VOID: [&str; 7] = ["meta", "br", "hr", "link", "img", "input", "base"];

/// Holds a page to what it may be: each element is ended, and none loads or runs anything.
fn assert_sound(page: &str) {
    let body = page
        .strip_prefix("<!DOCTYPE html>")
        .expect("a document type");
    let style = Regex::new("(?s)<style>(.*?)</style>").expect("a pattern");
    let css = &style.captures(body).expect("a style")[1];
    assert!(
        !css.contains("url(") && !css.contains("@import"),
        "it loads something"
    );
    let body = style.replace(body, "");
    let tag = Regex::new(r#"<(/?)([a-z0-9]+)((?:\s[^<>]*?)?)(/?)>"#).expect("a pattern");
    let handler =
        Regex::new(r#"\s(on[a-z]+|src|href|style|action|srcdoc)\s*="#).expect("a pattern");
    let mut open: Vec<String> = Vec::new();
    for found in tag.captures_iter(&body) {
        let (name, attributes) = (&found[2], &found[3]);
        assert!(
            ![
                "script", "img", "iframe", "link", "object", "base", "form", "b"
            ]
            .contains(&name),
            "{}",
            &found[0]
        );
        assert!(!handler.is_match(attributes), "{}", &found[0]);
        if VOID.contains(&name) || !found[4].is_empty() {
            continue;
        }
        match found[1].is_empty() {
            true => open.push(name.to_owned()),
            false => assert_eq!(open.pop().as_deref(), Some(name), "{}", &found[0]),
        }
    }
    assert_eq!(open, [""; 0]);
    // Whatever is left of the signs of markup is in no text.
    let text = tag.replace_all(&body, "");
    assert!(!text.contains(['<', '>']), "{text}");
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "it names another place"
    );
    assert!(
        page.chars()
            .all(|c| !c.is_control() || c == '\n' || c == '\t'),
        "a control character"
    );
    assert!(!page.contains('\u{202e}'));
}

#[test]
fn the_text_tells_what_it_did_between_the_end_and_the_changes() {
    let place = recorded("words");
    let ran = place.cli(&["report", "one"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let order = [
        "COMPLETED  one",
        "the agent says:",
        "what it did:",
        "ran cargo test words (exit 101) 5.2s",
        "person replied: words",
        "changes: 1 file",
        "observed:",
        "next:",
    ];
    let mut from = 0;
    for part in order {
        let found = ran.stdout[from..].find(part);
        from += found.unwrap_or_else(|| panic!("{part}: {}", ran.stdout));
    }
    let hostile = recorded(HOSTILE).cli(&["report", "one"]);
    assert!(hostile.is_harmless(), "{:?}", hostile.stdout);
}

#[test]
fn the_page_is_whole_and_nothing_in_it_is_more_than_words() {
    for words in ["words", HOSTILE] {
        let (_, page) = page(&recorded(words));
        assert_sound(&page);
        for part in [
            "<svg",
            "class=\"plot\"",
            "class=\"wait\"",
            "class=\"failed\"",
            "<span class=\"a\"",
            "31\u{202f}000",
        ] {
            assert!(page.contains(part), "{part}");
        }
    }
}

#[test]
fn keys_are_in_neither() {
    let key = format!("ghp_{}", "a1B2".repeat(9));
    let place = recorded(&key);
    assert!(!page(&place).1.contains(&key));
    assert!(!place.cli(&["report", "one"]).stdout.contains(&key));
}

#[test]
fn a_diff_of_50_mb_makes_a_page_of_a_few() {
    let place = recorded("words");
    let mut patch = String::new();
    for file in 0..50 {
        patch += &format!(
            "diff --git a/{file} b/{file}\nnew file mode 100644\n--- /dev/null\n+++ b/{file}\n@@ -0,0 +1,10000 @@\n"
        );
        patch += &format!("+{}\n", "<&>".repeat(33)).repeat(10_000);
    }
    assert!(patch.len() > 50_000_000);
    place.put(RUN, "patch.diff", patch.as_bytes());
    let (_, page) = page(&place);
    assert!(page.len() < 12_000_000, "{}", page.len());
    assert!(page.contains("The diff goes on") && page.contains("more lines of this file"));
}

#[test]
fn a_place_for_the_page_is_asked_for_before_anything_else() {
    let place = recorded("words");
    let below = place.path("nowhere/x.html").display().to_string();
    let dir = place.path("repo").display().to_string();
    for (file, why) in [(below.as_str(), "is missing"), (&dir, "names no file")] {
        let ran = place.cli(&["report", "one", "--html", file]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
    }
    let ran = place.cli(&["report", "none"]);
    assert_eq!(ran.code, 2);
}

/// The first of the usual browsers that is there.
fn browser() -> Option<PathBuf> {
    let names = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
        "chrome",
    ];
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name)));
    places.find(|place| place.is_file())
}

/// Opens a page; returns the document that the browser made of it, and what it had to say.
fn open(browser: &Path, place: &Place, page: &Path, more: &[&str]) -> Ran {
    let home = place.path("browser");
    let mut command = Command::new("timeout");
    command.arg("120").arg(browser).args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--enable-logging=stderr",
        "--v=0",
    ]);
    command.arg(format!("--user-data-dir={}", home.display()));
    command.args(more).arg(page);
    command.env("HOME", &home).stdin(Stdio::null());
    Ran::of(&mut command, b"")
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn a_real_browser_opens_the_page_and_runs_nothing_of_it() {
    let Some(browser) = browser() else {
        eprintln!("SKIPPED: there is no Chromium");
        return;
    };
    let place = recorded(HOSTILE);
    let (path, _) = page(&place);
    let ran = open(&browser, &place, &path, &["--dump-dom"]);
    let dom = &ran.stdout;
    assert!(
        dom.contains("<title>one: completed</title>"),
        "{}",
        ran.stderr
    );
    assert!(
        !dom.contains("<script") && !dom.contains("<img") && !dom.contains("<b>"),
        "{dom}"
    );
    assert!(dom.contains("&lt;/script&gt;"));
    // Its own style is the one that its policy allows.
    assert!(
        !ran.stderr.contains("Content Security Policy"),
        "{}",
        ran.stderr
    );
    assert!(dom.contains("</svg>") && dom.contains("<details"));
}
