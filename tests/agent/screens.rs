//! Every recorded screen against every recogniser: each reads it as what its name says, and nothing else does.
//!
//! `CX_EXTRA_SCREENS=DIR` adds the `DIR/<version>/<name>.txt` of another recording; names that are not in the table are
//! read for panics only.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cx_operator::agent::codex::screen::{
    self, Composer, Dialog, DialogKind, DialogPolicy, Move, Reason, View,
};
use cx_operator::tmux::Key;

/// One recorded screen.
struct Recorded {
    /// `codex-0.169.0`.
    version: String,
    name: String,
    text: String,
}

impl Recorded {
    fn label(&self) -> String {
        format!("{}/{}", self.version, self.name)
    }

    fn is_before(&self, minor: u32) -> bool {
        let digits = self
            .version
            .split('.')
            .nth(1)
            .expect("a version has a minor");
        digits.parse::<u32>().expect("the minor is a number") < minor
    }
}

fn recorded(root: &Path) -> Vec<Recorded> {
    let mut screens = Vec::new();
    for version in fs::read_dir(root).expect("the recordings are there") {
        let version = version.expect("an entry");
        let is_codex = version.file_name().to_string_lossy().starts_with("codex-");
        if !is_codex {
            continue;
        }
        for file in fs::read_dir(version.path()).expect("a directory of screens") {
            let path = file.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "txt") {
                screens.push(Recorded {
                    version: version.file_name().to_string_lossy().into_owned(),
                    name: path
                        .file_stem()
                        .expect("a name")
                        .to_string_lossy()
                        .into_owned(),
                    text: fs::read_to_string(&path).expect("a screen is UTF-8"),
                });
            }
        }
    }
    screens
}

fn own() -> Vec<Recorded> {
    recorded(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens"))
}

fn all() -> Vec<Recorded> {
    let extra = std::env::var_os("CX_EXTRA_SCREENS").map(|dir| recorded(Path::new(&dir)));
    own()
        .into_iter()
        .chain(extra.into_iter().flatten())
        .collect()
}

/// What a view is, by one word.
fn word(view: &View) -> String {
    match view {
        View::Blank => "blank".to_owned(),
        View::Loading => "loading".to_owned(),
        View::Composer(Composer { text: None, .. }) => "empty composer".to_owned(),
        View::Composer(_) => "filled composer".to_owned(),
        View::Working => "working".to_owned(),
        View::Dialog(dialog) => format!("{:?}", dialog.kind),
        View::Other => "other".to_owned(),
    }
}

/// What the recording of that name is to be read as.
fn expected(screen: &Recorded) -> Option<&'static str> {
    Some(match screen.name.as_str() {
        "sign-in" => "SignIn",
        "directory-trust" => "DirectoryTrust",
        // 0.130 has no dialog: it says so in one line and goes on.
        "hooks-review" if screen.is_before(140) => "empty composer",
        "hook-review" | "hooks-review" => "HookReview",
        "model-offer" | "model-migration" => "ModelOffer",
        "update" | "update-available" => "Update",
        "permission" | "permission-exec" | "permission-long" => "CommandApproval",
        "edit-approval" => "EditApproval",
        "tool-approval" => "ToolApproval",
        "user-input" | "pasted-into-form" => "Question",
        "rate-limits" => "RateLimits",
        "model-picker" | "server-form" | "server-link" => "Unknown",
        "loading" | "composer-loading" | "trusting-hooks" => "loading",
        // The popup takes the place of the status row; ≥ 0.160 draws it above.
        "slash-popup" if screen.is_before(160) => "loading",
        // A text this high hides the status row.
        "pasted-tall" if !screen.is_before(160) => "loading",
        "typed" | "pasted" | "pasted-long" | "pasted-tall" | "slash-popup" | "enter-swallowed" => {
            "filled composer"
        }
        // Of ≤ 0.150 the screen alone cannot tell these words of the agent from the row of codex.
        "quoted-working" if screen.is_before(160) => "working",
        "error-500" if screen.text.contains("Reconnecting") => "working",
        "working" | "running" | "queued" | "retrying" | "mcp-starting" => "working",
        "backtrack" | "resume-picker" | "killed" => "other",
        "ready" | "composer-ready" | "hooks-disabled" | "update-banner" | "done" | "turn-done"
        | "question" | "turn-question" | "quoted-dialog" | "quoted-working" | "interrupted"
        | "hook-stopped" | "error-401" | "error-429" | "error-500" | "stream-cut"
        | "done-after-errors" => "empty composer",
        _ => return None,
    })
}

#[test]
fn each_recording_is_read_as_its_name_says() {
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for screen in all() {
        let view = word(&screen::read(&screen.text));
        let Some(expected) = expected(&screen) else {
            continue;
        };
        *seen.entry(screen.version.clone()).or_default() += 1;
        if view != expected {
            wrong.push(format!("{}: {view}, not {expected}", screen.label()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for version in ["codex-0.130.0", "codex-0.150.0", "codex-0.169.0"] {
        assert!(
            seen.get(version).is_some_and(|&count| count >= 30),
            "{version}: {seen:?}"
        );
    }
}

#[test]
fn each_recording_of_ours_has_an_expectation() {
    for screen in own() {
        assert!(
            expected(&screen).is_some(),
            "{} is not in the table",
            screen.label()
        );
    }
}

#[test]
fn notices_are_seen_on_their_screens_only() {
    for screen in own() {
        let name = screen.name.as_str();
        let trouble = screen::trouble(&screen.text).unwrap_or_default();
        let retries = trouble.starts_with("Reconnecting... 1/1: We")
            && trouble.ends_with("which may cause temporary errors.");
        assert_eq!(
            (retries, trouble.is_empty()),
            (name == "retrying", name != "retrying"),
            "{}: {trouble}",
            screen.label()
        );
        let stopped = screen::stopped_turn(&screen.text);
        let why = (name == "hook-stopped").then_some("no compaction here");
        assert_eq!(stopped.as_deref(), why, "{}", screen.label());
        let error = screen::error_line(&screen.text).unwrap_or_default();
        let begins = match name {
            "interrupted" | "hook-stopped" => "Conversation interrupted",
            "error-401" => "unexpected status 401 Unauthorized",
            "error-429" => "exceeded retry limit, last status: 429 Too Many Requests",
            "error-500" => "We",
            "stream-cut" => "stream disconnected before completion",
            _ => {
                assert_eq!(error, "", "{}", screen.label());
                continue;
            }
        };
        assert!(error.starts_with(begins), "{}: {error}", screen.label());
    }
}

fn dialog(screen: &Recorded) -> Option<Dialog> {
    match screen::read(&screen.text) {
        View::Dialog(dialog) => Some(dialog),
        _ => None,
    }
}

#[test]
fn each_dialog_gets_its_answer() {
    let policy = DialogPolicy::default();
    for screen in own() {
        let Some(dialog) = dialog(&screen) else {
            continue;
        };
        let expected = match dialog.kind {
            DialogKind::SignIn => Move::SignIn,
            // The recorded focus stands on the first option, which is the one to take.
            DialogKind::DirectoryTrust => Move::Press(Key::Enter),
            DialogKind::HookReview
            | DialogKind::ModelOffer
            | DialogKind::Update
            | DialogKind::RateLimits => Move::Press(Key::Down),
            DialogKind::Unknown => Move::Surface(Reason::UnknownDialog),
            _ => Move::Surface(Reason::AgentAsks),
        };
        assert_eq!(
            screen::answer(&dialog, &policy),
            expected,
            "{}",
            screen.label()
        );
        // A form to type into has none.
        if screen.name == "server-form" {
            assert!(dialog.options.is_empty());
            continue;
        }
        let numbers: Vec<u32> = dialog.options.iter().map(|choice| choice.number).collect();
        let first = numbers[0];
        let last = first + u32::try_from(numbers.len()).expect("few options");
        assert_eq!(
            numbers,
            (first..last).collect::<Vec<_>>(),
            "{}",
            screen.label()
        );
        let focused = dialog
            .options
            .iter()
            .filter(|choice| choice.focused)
            .count();
        assert_eq!(focused, 1, "{}", screen.label());
    }
}

#[test]
fn an_approval_shows_what_is_asked_and_why() {
    let mut seen = 0;
    for screen in own() {
        let Some(dialog) = dialog(&screen) else {
            continue;
        };
        match screen.name.as_str() {
            "permission" => {
                assert_eq!(dialog.command(), Some("curl -s http://127.0.0.1:9/x"));
                assert_eq!(dialog.reason(), Some("needs the network"));
                assert_eq!(dialog.title, "Would you like to run the following command?");
            }
            "permission-long" => {
                let command = dialog.command().expect("a command");
                assert!(
                    command.starts_with("set -e\nfor f in a b c; do\n"),
                    "{command}"
                );
                assert!(command.contains("\n  Would you like to run the following command?\n"));
                assert!(command.ends_with("a-long-path/"), "{command}");
                assert_eq!(dialog.reason(), Some("needs the network"));
            }
            "edit-approval" if !screen.is_before(150) => {
                assert_eq!(dialog.reason(), Some("Apply proposed file edits"));
                assert_eq!(dialog.command(), None);
            }
            "tool-approval" => {
                assert_eq!(
                    dialog.title,
                    "Allow the demo MCP server to run tool \"deploy\"?"
                );
                assert_eq!(dialog.body, "target: production");
                assert!(dialog.options[3].label.starts_with("Cancel"), "{dialog:?}");
            }
            "user-input" => assert_eq!(dialog.title, "Tabs or spaces?"),
            "server-form" => assert_eq!(dialog.title, "Really?"),
            "model-picker" => assert_eq!(dialog.title, "Select Model and Effort"),
            "directory-trust" if !screen.is_before(160) => {
                assert_eq!(dialog.title, "Folder access");
                assert!(dialog.body.starts_with("/tmp/cx-demo\n"), "{}", dialog.body);
            }
            _ => continue,
        }
        seen += 1;
    }
    assert_eq!(seen, 19, "a recording is missing");
}

#[test]
fn the_composer_is_compared_with_what_was_pasted() {
    let tall: Vec<String> = (0..60).map(|line| format!("line {line}")).collect();
    let prompts = [
        ("typed", "Explain the build".to_owned()),
        (
            "pasted",
            "1. Read the README.\n2. List what is missing:\n\n\t- tabs\n   - spaces\nGrüße, 世界"
                .to_owned(),
        ),
        ("pasted-tall", tall.join("\n")),
        ("pasted-long", "é世".repeat(600) + "\n"),
    ];
    for screen in own() {
        for (name, prompt) in &prompts {
            let holds = screen::composer_holds(&screen.text, prompt);
            assert_eq!(
                holds,
                screen.name == *name,
                "{} holds {name}",
                screen.label()
            );
        }
        assert!(
            !screen::composer_holds(&screen.text, "Tidy up the build"),
            "{}",
            screen.label()
        );
    }
}

/// As codex 0.130.0 draws it over a placeholder.
#[test]
fn cells_that_a_joined_character_leaves_are_no_text() {
    let shown = |row: &str| format!("\n› {row}\n\n  gpt-5.5 default · /tmp/cx-demo\n");
    let (flag, prompt) = ("🏳\u{fe0f}\u{200d}🌈", "🏳\u{fe0f}\u{200d}🌈 and more");
    let left = shown(&format!("{flag}e and more"));
    assert!(screen::composer_holds(&left, prompt));
    for other in [
        format!("{flag} and more of mine"),
        format!("{flag}e and mor"),
    ] {
        assert!(!screen::composer_holds(&shown(&other), prompt), "{other}");
    }
    assert!(!screen::composer_holds(&shown("xand more"), "and more"));
}

#[test]
fn the_model_is_the_status_rows() {
    for screen in own() {
        if let View::Composer(composer) = screen::read(&screen.text) {
            let model = composer.model.to_lowercase();
            assert_eq!(model, "gpt-5.5 default", "{}", screen.label());
        }
    }
}

#[test]
fn escapes_and_carriage_returns_change_nothing() {
    for screen in own() {
        let coloured: String = screen
            .text
            .lines()
            .map(|row| format!("\x1b[1m{row}\x1b[0m\r\n"))
            .collect();
        assert_eq!(
            screen::read(&coloured),
            screen::read(&screen.text),
            "{}",
            screen.label()
        );
    }
}

#[test]
fn a_text_that_hides_the_status_row_may_have_blank_rows() {
    let paragraphs: Vec<String> = (0..40).map(|at| format!("paragraph {at}\n")).collect();
    let prompt = paragraphs.join("\n");
    let shown: Vec<&str> = prompt.lines().skip(40).collect();
    let screen = format!(
        "  header\n\n› {}   ↑\n  {}\n\n",
        shown[0],
        shown[1..].join("\n  ")
    );
    assert!(screen::composer_holds(&screen, &prompt));
    assert!(!screen::composer_holds(&screen, &(prompt + "more")));
}

#[test]
fn an_empty_pane_is_blank() {
    assert_eq!(screen::read(""), View::Blank);
    assert_eq!(screen::read(&"\n".repeat(50)), View::Blank);
}
