//! Every recorded screen of Claude Code means what it shows, on both versions.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cx_operator::agent::ExecutorId;
use cx_operator::agent::executor::{Expected, TrustPolicy};
use cx_operator::agent::screen_state::{Advice, Holds, ScreenState};
use cx_operator::tmux::Key;

/// What differs by version: which option has the focus, and what 2.1.197 does not show.
const BY_VERSION: [(&str, &str, &str); 7] = [
    ("2.1.197", "directory-trust", "directory_trust: press Enter"),
    (
        "2.1.197",
        "directory-trust-onboarding",
        "directory_trust: press Enter",
    ),
    ("2.1.197", "auto-mode-cannot-check", "ready"),
    ("2.1.197", "exit-background", "nothing"),
    ("2.1.197", "usage-limit-5h", "usage_limit: surface"),
    ("2.1.332", "permission-plan-mode", "auto_mode: surface"),
    ("2.1.332", "directory-trust-refused", "nothing"),
];

/// What a screen means: its name's beginning decides, the longest one that fits.
const MEANINGS: [(&str, &str); 47] = [
    ("api-key", "api_key: another key"),
    ("api-key-yes-focused", "api_key: press Enter"),
    ("ask-answered", "ready"),
    ("ask-declined", "ready"),
    (
        "ask-user-question",
        "question: ask Which database should the tests use? [Postgres|SQLite]",
    ),
    ("auto-mode-cannot-check", "auto_mode: surface"),
    ("bypass-root-refused", "nothing"),
    ("bypass-warning", "bypass_warning: another key"),
    ("composer", "ready"),
    ("directory-trust", "directory_trust: another key"),
    ("directory-trust-refused", "nothing"),
    ("enter-swallowed", "ready with a text"),
    ("error", "ready"),
    ("error-401-retrying", "working"),
    ("error-429-retrying", "working"),
    ("error-500-retrying", "working"),
    ("exit-background", "background_work: leave"),
    ("exit-typed", "ready with a text"),
    ("exited", "nothing"),
    ("interrupted", "ready"),
    ("interrupted-before-token", "ready with a text"),
    ("long-paste", "ready with a text"),
    ("no-connection", "nothing"),
    ("not-logged-in", "ready"),
    ("paste", "ready with a text"),
    ("permission-allowed", "ready"),
    ("permission-bash", "permission: approval"),
    ("permission-denied", "ready"),
    ("permission-dontask", "ready"),
    ("permission-edit", "permission: approval"),
    ("permission-plan-mode", "permission: approval"),
    ("permission-refused", "ready"),
    ("permission-write", "permission: approval"),
    ("plan-approval", "plan_approval: approval"),
    ("queued-prompt", "working"),
    ("security-notes", "security_notes: press Enter"),
    ("settings-error", "settings_error: surface"),
    ("settings-warning", "settings_warning: press Enter"),
    ("sign-in", "sign_in: sign in"),
    ("stop-blocked", "ready"),
    ("theme", "theme: press Enter"),
    ("turn-done", "ready"),
    ("turn-question", "ready"),
    ("usage-limit-5h", "ready"),
    ("usage-limit-7d", "usage_limit: surface"),
    ("working", "working"),
    ("composer-plan-mode", "ready"),
];

fn meaning(screen: &str) -> String {
    let claude = ExecutorId::parse("claude").expect("an executor");
    match claude.screen_state(screen, Expected::default(), TrustPolicy::Accept) {
        ScreenState::Nothing => "nothing".to_owned(),
        ScreenState::Working { .. } => "working".to_owned(),
        ScreenState::Ready {
            holds: Holds::Nothing,
        } => "ready".to_owned(),
        ScreenState::Ready { .. } => "ready with a text".to_owned(),
        ScreenState::Dialog(dialog) => {
            let advice = match dialog.advice {
                Advice::Press(Key::Enter) => "press Enter".to_owned(),
                Advice::Press(_) => "another key".to_owned(),
                Advice::SignIn => "sign in".to_owned(),
                Advice::Surface(_) => "surface".to_owned(),
                Advice::Leave(_) => "leave".to_owned(),
                Advice::Approval { .. } => "approval".to_owned(),
                Advice::Ask(inquiry) => {
                    let labels: Vec<_> = inquiry
                        .options
                        .iter()
                        .map(|option| &*option.label)
                        .collect();
                    format!("ask {} [{}]", inquiry.text, labels.join("|"))
                }
                other => format!("{other:?}"),
            };
            format!("{}: {advice}", dialog.name)
        }
    }
}

#[test]
fn each_recorded_screen_means_what_it_shows() {
    let mut wrong = BTreeMap::new();
    for version in ["2.1.332", "2.1.197"] {
        let dir =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/screens/claude-{version}"));
        for entry in fs::read_dir(dir).expect("the recordings") {
            let path = entry.expect("an entry").path();
            let name = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let own = BY_VERSION
                .iter()
                .find(|(of, screen, _)| *of == version && *screen == name);
            let fits = MEANINGS.iter().filter(|(begin, _)| name.starts_with(begin));
            let (_, expected) = fits
                .max_by_key(|(begin, _)| begin.len())
                .expect("a meaning");
            let expected = own.map_or(expected, |(_, _, expected)| expected);
            let found = meaning(&fs::read_to_string(&path).expect("a screen"));
            if found != *expected {
                wrong.insert(format!("{version} {name}"), (found, *expected));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
