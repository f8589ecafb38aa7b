//! Readers of what others write, on near-valid input: what was recorded, cut up, mixed and damaged.
//!
//! An ordinary `cargo test` takes a few hundred cases of each; `.ci/fuzz` takes a million.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cx_operator::agent::codex::Codex;
use cx_operator::agent::codex::screen::{self, DialogPolicy, Move, View};
use cx_operator::agent::codex::transcript::parse_line;
use cx_operator::agent::executor::Executor;
use cx_operator::agent::report::Line;
use cx_operator::agent::signals::Kind;
use cx_operator::agent::signals::{is_uuid, parse_name, parse_session_id};
use cx_operator::record::Outcome;
use cx_operator::record::journal;
use cx_operator::record::redact::redact;
use cx_operator::task::respond::Answers;
use cx_operator::tmux::Key;
use cx_operator::turn::classify::{RULES, Verdict, classify};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;
use tempfile::TempDir;

/// Damage to a text, by characters.
#[derive(Clone, Debug)]
enum Edit {
    Remove(Index, usize),
    Repeat(Index, usize),
    Insert(Index, String),
    Cut(Index),
}

/// What means something to one of the readers, and what often breaks one.
const TOKENS: [&str; 44] = [
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "-1",
    "1e999",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\u{1b}[31m",
    "\u{feff}",
    "\u{2019}",
    "é",
    "🙂",
    "›",
    "•",
    "1. ",
    "? ",
    "STATUS: DONE",
    "STATUS: QUESTION",
    "```",
    "> ",
    "esc to interrupt",
    "enter confirm",
    "session_id",
    "turn_id",
    "type",
    "event",
    "(",
    ")*",
    "{9}",
    "[^",
    "(?i",
    "'''",
    "=",
];

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        3 => (any::<Index>(), 1usize..40).prop_map(|(at, length)| Edit::Remove(at, length)),
        2 => (any::<Index>(), 1usize..80).prop_map(|(at, length)| Edit::Repeat(at, length)),
        4 => (any::<Index>(), select(&TOKENS[..])).prop_map(|(at, token)| Edit::Insert(at, token.to_owned())),
        1 => (any::<Index>(), any::<char>()).prop_map(|(at, c)| Edit::Insert(at, c.to_string())),
        1 => any::<Index>().prop_map(Edit::Cut),
    ]
}

fn apply(text: &str, edits: &[Edit]) -> String {
    let mut text = text.to_owned();
    for edit in edits {
        let boundary = |at: usize| {
            (0..=at.min(text.len()))
                .rev()
                .find(|&at| text.is_char_boundary(at))
        };
        let place = |at: &Index| boundary(at.index(text.len() + 1)).expect("0 is one");
        match edit {
            Edit::Remove(at, length) => {
                let from = place(at);
                let to = boundary(from + length).expect("0 is one");
                text.replace_range(from..to, "");
            }
            Edit::Repeat(at, length) => {
                let from = place(at);
                let to = boundary(from + length).expect("0 is one");
                let part = text[from..to].to_owned();
                text.insert_str(to, &part);
            }
            Edit::Insert(at, what) => text.insert_str(place(at), what),
            Edit::Cut(at) => text.truncate(place(at)),
        }
    }
    text
}

/// One of these texts, damaged.
fn damaged(texts: &'static [String]) -> impl Strategy<Value = String> {
    let edits = prop::collection::vec(edit(), 0..7);
    (0..texts.len(), edits).prop_map(|(which, edits)| apply(&texts[which], &edits))
}

fn recorded(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(path)
}

static SCREENS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let versions = ["codex-0.130.0", "codex-0.150.0", "codex-0.169.0"];
    let files = versions
        .map(|version| fs::read_dir(recorded("screens").join(version)).expect("recordings"));
    let paths = files
        .into_iter()
        .flatten()
        .map(|file| file.expect("an entry").path());
    let mut screens: Vec<_> = paths
        .map(|path| fs::read_to_string(path).expect("UTF-8"))
        .collect();
    // The order of a directory is nobody's promise, and a case is found again by its seed.
    screens.sort();
    screens
});

static MESSAGES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let text = fs::read_to_string(recorded("corpus/messages.jsonl")).expect("the corpus");
    let message = |line: &str| {
        let value: Value = serde_json::from_str(line).expect("JSON");
        value["message"].as_str().expect("a message").to_owned()
    };
    text.lines().map(message).collect()
});

const UUID: &str = "019a5b2c-1f00-7abc-8def-0123456789ab";

static PAYLOADS: LazyLock<Vec<String>> = LazyLock::new(|| {
    [
        r#"{"session_id":"U","transcript_path":"/h/sessions/2026/01/01/rollout-U.jsonl","cwd":"/tmp/cx-t","hook_event_name":"SessionStart","model":"gpt-5.5","permission_mode":"default","source":"startup"}"#,
        r#"{"session_id":"U","turn_id":"t-1","cwd":"/tmp/cx-t","hook_event_name":"UserPromptSubmit","prompt":"Fix \"it\"\nall \ud83d\ude42"}"#,
        r#"{"session_id":"U","turn_id":"t-1","hook_event_name":"PermissionRequest","tool_name":"Bash","tool_input":{"command":"rm -rf x","description":"why","session_id":"V"}}"#,
        r#"{"session_id":"U","turn_id":"t-1","hook_event_name":"Stop","stop_hook_active":false,"last_assistant_message":null,"n":[1,-2.5e3,{"a":[]}]}"#,
    ]
    .map(|text| text.replace('U', UUID))
    .into()
});

static LINES: LazyLock<Vec<String>> = LazyLock::new(|| {
    [
        r#"{"timestamp":"2026-01-01T00:00:00.000Z","type":"session_meta","payload":{"id":"s","cwd":"/tmp/cx-t"}}"#,
        r#"{"timestamp":"t","type":"event_msg","payload":{"type":"task_started","turn_id":"t-1"}}"#,
        r#"{"timestamp":"t","type":"event_msg","payload":{"type":"task_complete","turn_id":"t-1","last_agent_message":"Done."}}"#,
        r#"{"timestamp":"t","type":"event_msg","payload":{"type":"task_complete","turn_id":"t-1","last_agent_message":null,"error":{"message":"unexpected status 401 Unauthorized: m","codex_error_info":{"http_connection_failed":{"http_status_code":401}}}}}"#,
        r#"{"timestamp":"t","type":"event_msg","payload":{"type":"turn_aborted","turn_id":"t-1","reason":"interrupted"}}"#,
        r#"{"timestamp":"t","type":"event_msg","payload":{"type":"token_count","info":{"total_token_usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}}}"#,
        r#"{"timestamp":"t","type":"response_item","payload":{"type":"message","role":"user","content":[{"text":"\"event_msg\""}]}}"#,
    ]
    .map(str::to_owned)
    .into()
});

static JOURNALS: LazyLock<Vec<String>> = LazyLock::new(|| {
    [
        r#"{"at":"2026-01-01T00:00:00.000Z","event":"started","run_id":"20260101-000000-t-0a1b","task":"t","repository":"/r","base_commit":"c","boot_id":"b","operator_pid":1}
{"at":"2026-01-01T00:00:00.001Z","event":"begun","step":"worktree","path":"/tmp/cx-t","branch":"cx-t","base_commit":"c"}
{"at":"2026-01-01T00:00:00.002Z","event":"done","step":"worktree","path":"/tmp/cx-t","branch":"cx-t","base_commit":"c"}
{"at":"2026-01-01T00:00:00.003Z","event":"begun","step":"session","socket":"/s/tmux.sock","session":"cx-t"}
{"at":"2026-01-01T00:00:00.004Z","event":"launched","session_id":"$0","pane":"%0","pid":7,"pid_start":9,"argv":["codex","-c","x"]}
"#,
        r#"{"at":"2026-01-01T00:00:01.000Z","event":"pasted","turn":1,"bytes":7}
{"at":"2026-01-01T00:00:01.001Z","event":"submitted","turn":1,"session_id":"s"}
{"at":"2026-01-01T00:00:01.002Z","event":"step_failed","step":"end_agent","message":"no"}
{"at":"2026-01-01T00:00:01.003Z","event":"turn_ended","turn":1,"verdict":"result","rule":"r","message":null}
{"at":"2026-01-01T00:00:01.004Z","event":"recorded","status":"completed"}
"#,
    ]
    .map(str::to_owned)
    .into()
});

static ANSWERS: LazyLock<Vec<String>> = LazyLock::new(|| {
    [
        "[[answer]]\npattern = \"tabs or spaces\"\nreply = \"Spaces.\"\n\n[[permission]]\npattern = \"cargo (build|test)\"\ndecision = \"allow\"\n",
        "[[permission]]\npattern = 'curl( .*)?'\ndecision = \"deny\"\nmessage = '''There is no network.'''\n[[answer]]\npattern = '(?i)[a-z]{2,9}\\d+\\b'\nreply = \"x\"\n",
    ]
    .map(str::to_owned)
    .into()
});

/// The only labels that Enter may take.
const ALLOWED: [&str; 5] = [
    "Yes, continue",
    "Trust and continue",
    "Continue without trusting (hooks won't run)",
    "Use existing model",
    "Skip",
];

/// A directory of this process for the readers that take a path; in memory where that is to be had.
static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a temporary directory")
});

fn file(name: &str, text: &str) -> PathBuf {
    let path = DIRECTORY.path().join(name);
    fs::write(&path, text).expect("written");
    path
}

/// The session of a payload by the other reader; `None` also for a number that only that one finds too large.
fn session_of(value: &Value) -> Option<&str> {
    value
        .as_object()?
        .get("session_id")?
        .as_str()
        .filter(|id| is_uuid(id))
}

/// Whether a reader complains of what a text or a number means, and not of how the document is written.
fn is_of_meaning(complaint: &str) -> bool {
    ["surrogate", "hex escape", "number out of range"]
        .iter()
        .any(|words| complaint.contains(words))
}

proptest! {
    #[test]
    fn a_hook_and_the_operator_read_the_same_of_a_payload(text in damaged(&PAYLOADS)) {
        let session = parse_session_id(text.as_bytes());
        match serde_json::from_str::<Value>(&text) {
            Ok(value) => prop_assert_eq!(session.as_deref(), session_of(&value)),
            Err(error) if error.to_string().contains("number out of range") => {}
            Err(error) => prop_assert_eq!(session, None, "{}", error),
        }
        drop(Kind::ALL.map(|kind| Codex.report(kind, text.as_bytes())));
    }

    #[test]
    fn a_transcript_line_says_nothing_that_is_not_in_it(text in damaged(&LINES)) {
        let line = parse_line(&text);
        let value = match serde_json::from_str::<Value>(&text) {
            Ok(value) => value,
            // A field that nobody reads is passed over without a look at what its escapes and numbers mean.
            Err(error) if is_of_meaning(&error.to_string()) => return Ok(()),
            Err(error) => {
                prop_assert_eq!(line, None, "{}", error);
                return Ok(());
            }
        };
        let payload = |name: &str| value["payload"][name].as_str();
        match line {
            Some(Line::TurnStarted { turn_id } | Line::TurnCompleted { turn_id, .. } | Line::TurnFailed { turn_id, .. }) => {
                prop_assert_eq!(payload("turn_id"), Some(turn_id.as_str()));
            }
            Some(Line::TurnAborted { turn_id, .. }) => prop_assert_eq!(payload("turn_id"), turn_id.as_deref()),
            Some(Line::Session { id, .. }) => prop_assert!(payload("id").or(payload("session_id")) == Some(id.as_str())),
            Some(Line::Tokens(usage)) => {
                let total = &value["payload"]["info"]["total_token_usage"];
                prop_assert_eq!(total["total_tokens"].as_u64(), Some(usage.total_tokens));
            }
            Some(Line::Said { .. }) => prop_assert_eq!(payload("role"), Some("assistant")),
            Some(Line::Called { .. }) => {
                prop_assert!(payload("type").is_some_and(|kind| kind.ends_with("_call")));
            }
            Some(Line::Inquired { call, inquiries, .. }) => {
                prop_assert_eq!(payload("name"), Some("request_user_input"));
                prop_assert!(payload("call_id") == Some(call.as_str()) && !inquiries.is_empty());
            }
            Some(Line::Returned { call, .. }) => prop_assert_eq!(payload("call_id"), Some(call.as_str())),
            Some(Line::Ended { process }) => {
                prop_assert_eq!(value["payload"]["item"]["process_id"].as_str(), process.as_deref());
            }
            // No line of this transcript says so.
            Some(Line::Denied { .. } | Line::Trouble(_) | Line::Steered { .. }) => {
                prop_assert!(false, "{}", text);
            }
            Some(Line::Refused { .. } | Line::Item { .. }) | None => {}
        }
    }

    #[test]
    fn no_screen_gets_an_enter_on_anything_but_what_may_have_it(text in damaged(&SCREENS)) {
        if let View::Dialog(dialog) = screen::read(&text) {
            let _any = (dialog.command(), dialog.reason(), screen::approve(&dialog));
            if screen::answer(&dialog, &DialogPolicy::default()) == Move::Press(Key::Enter) {
                let focused = dialog.options.iter().find(|option| option.focused);
                let label = focused.map(|option| option.label.as_str());
                prop_assert!(label.is_some_and(|label| ALLOWED.contains(&label)), "{:?}\n{}", label, text);
            }
        }
        drop(screen::error_line(&text));
        screen::composer_holds(&text, "Fix it.");
    }

    #[test]
    fn a_journal_reads_as_far_as_it_is_one(text in damaged(&JOURNALS)) {
        let entries = journal::load(&file("events.jsonl", &text)).expect("lines that are none are left out");
        prop_assert!(entries.len() <= text.split('\n').count());
        for entry in entries {
            let again = serde_json::to_value(&entry).expect("string keys");
            prop_assert_eq!(serde_json::from_value::<journal::Entry>(again).expect("an entry"), entry);
        }
    }

    #[test]
    fn an_answers_file_is_taken_or_refused_with_a_reason(text in damaged(&ANSWERS)) {
        match Answers::load(&file("answers.toml", &text)) {
            Ok(_) => prop_assert!(toml::from_str::<toml::Table>(&text).is_ok()),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn a_message_gets_a_known_rule_and_a_last_question_is_one(text in damaged(&MESSAGES)) {
        prop_assert!(RULES.contains(&classify(&text)));
        let asked = format!("{text}\n\nSTATUS: QUESTION\n");
        let open_fence = text.matches("```").count() + text.matches("~~~").count() > 0;
        prop_assert!(open_fence || classify(&asked).verdict != Verdict::Result, "{}", asked);
    }

    #[test]
    fn any_text_may_be_a_record_a_name_or_hold_a_key(text in prop_oneof![damaged(&PAYLOADS), damaged(&MESSAGES), damaged(&SCREENS)]) {
        drop(serde_json::from_str::<Outcome>(&text));
        if let Some(signal) = parse_name(&text) {
            prop_assert_eq!(signal.name(), text.as_str());
        }
        let once = redact(&text);
        let twice = redact(&once.text);
        prop_assert_eq!((twice.count, &twice.text), (0, &once.text));
    }
}
