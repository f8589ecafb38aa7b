//! What must hold for every screen and every dialog, not only for the recorded ones.

use std::fs;
use std::path::Path;

use cx_operator::agent::codex::screen::{self, DialogKind, DialogPolicy, Move, View};
use cx_operator::agent::executor::TrustPolicy;
use cx_operator::tmux::Key;
use proptest::prelude::*;

/// The only labels that Enter may take.
const ALLOWED: [&str; 6] = [
    "Yes, continue",
    "Trust and continue",
    "Continue without trusting (hooks won't run)",
    "Use existing model",
    "Skip",
    "Keep current model",
];

/// The dialogs of a start and the one after a turn: title, options with the wanted one last, row of keys.
const STARTUP: [(&str, &[&str], &str); 6] = [
    (
        "Do you trust the contents of this directory? Working with untrusted contents …",
        &["No, quit", "Yes, continue"],
        "Press enter to continue",
    ),
    (
        "Folder access",
        &["Quit", "Back to Agent Command Center", "Trust and continue"],
        "enter continue · esc quit",
    ),
    (
        "Hooks need review",
        &[
            "Review hooks",
            "Trust all and continue",
            "Continue without trusting (hooks won't run)",
        ],
        "enter confirm · esc skip",
    ),
    (
        "Meet GPT-6 Sol",
        &["Try new model", "Use existing model"],
        "enter/esc confirm · ^c quit",
    ),
    (
        "✨ Update available! 0.150.0 -> 0.999.0",
        &[
            "Update now (runs `npm install -g @openai/codex`)",
            "Skip until next version",
            "Skip",
        ],
        "Press enter to continue",
    ),
    (
        "Approaching rate limits",
        &[
            "Switch to gpt-6-luna",
            "Keep current model (never show again)  Hide future rate limit reminders",
            "Keep current model",
        ],
        "enter select · esc back",
    ),
];

fn draw(title: &str, options: &[&str], focus: usize, keys: &str) -> String {
    let mut screen = format!("\n  {title}\n  Some words about it.\n\n");
    for (at, option) in options.iter().enumerate() {
        let mark = if at == focus { "›" } else { " " };
        screen += &format!("{mark} {}. {option}\n", at + 1);
    }
    screen + "\n  " + keys + "\n\n\n"
}

/// The move for what a screen shows, and the label that has the focus.
fn decide(text: &str, policy: &DialogPolicy) -> Option<(Move, Option<String>)> {
    let View::Dialog(dialog) = screen::read(text) else {
        return None;
    };
    let focused = dialog.options.iter().find(|choice| choice.focused);
    let label = focused.map(|choice| choice.label.clone());
    Some((screen::answer(&dialog, policy), label))
}

fn recorded() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens");
    let mut screens = Vec::new();
    for version in ["codex-0.130.0", "codex-0.150.0", "codex-0.169.0"] {
        for file in fs::read_dir(root.join(version)).expect("the recordings are there") {
            let path = file.expect("an entry").path();
            let text = fs::read_to_string(&path).expect("a screen is UTF-8");
            screens.push((path.display().to_string(), text));
        }
    }
    screens
}

fn assert_harmless(text: &str, label: &str) {
    if let Some((Move::Press(Key::Enter), focused)) = decide(text, &DialogPolicy::default()) {
        let focused = focused.expect("Enter is pressed on something");
        assert!(
            ALLOWED.contains(&focused.as_str()),
            "{label}: Enter on {focused:?}"
        );
    }
}

#[test]
fn a_screen_cut_anywhere_never_gets_a_wrong_enter() {
    for (label, text) in recorded() {
        let rows: Vec<&str> = text.lines().collect();
        for cut in 0..=rows.len() {
            assert_harmless(&rows[..cut].join("\n"), &label);
            assert_harmless(&rows[cut..].join("\n"), &label);
        }
    }
}

#[test]
fn a_recorded_dialog_below_other_words_gets_no_other_kind() {
    // The history above can say anything.
    let noise = "• Hooks need review\n  Folder access\n  Update available\n\n\n";
    for (label, text) in recorded() {
        let kind = |text: &str| match screen::read(text) {
            View::Dialog(dialog) => Some(dialog.kind),
            _ => None,
        };
        assert_eq!(kind(&format!("{noise}{text}")), kind(&text), "{label}");
    }
}

#[test]
fn words_of_a_form_never_make_it_a_startup_dialog() {
    for (title, options, keys) in STARTUP {
        for focus in 0..options.len() {
            let mut form = format!("• Asking\n\n\n  Question 1/1 (1 unanswered)\n  {title}\n\n");
            for (at, option) in options.iter().enumerate() {
                let mark = if at == focus { "›" } else { " " };
                form += &format!("  {mark} {}. {option}\n", at + 1);
            }
            form += &format!("\n  {keys}\n");
            let View::Dialog(dialog) = screen::read(&form) else {
                panic!("a form is a dialog: {form}");
            };
            assert_eq!(dialog.kind, DialogKind::Question);
            let next = screen::answer(&dialog, &DialogPolicy::default());
            assert!(matches!(next, Move::Surface(_)), "{next:?}");
        }
    }
}

#[test]
fn trust_is_not_accepted_where_the_caller_is_to_be_asked() {
    let policy = DialogPolicy {
        trust: TrustPolicy::Ask,
    };
    for (title, options, keys) in &STARTUP[..2] {
        for focus in 0..options.len() {
            let (next, _) = decide(&draw(title, options, focus, keys), &policy).expect("a dialog");
            assert!(matches!(next, Move::Surface(_)), "{next:?}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(text in any::<String>(), prompt in any::<String>()) {
        drop(screen::read(&text));
        screen::error_line(&text);
        screen::trouble(&text);
        screen::composer_holds(&text, &prompt);
    }

    #[test]
    fn no_arrangement_of_real_rows_makes_a_reader_panic_or_press_a_wrong_enter(
        rows in prop::collection::vec(prop::sample::select(rows_of_recordings()), 0..30),
    ) {
        let text = rows.join("\n");
        assert_harmless(&text, &text);
        screen::error_line(&text);
        screen::trouble(&text);
        if let View::Dialog(dialog) = screen::read(&text) {
            dialog.command();
            dialog.reason();
        }
    }

    #[test]
    fn options_in_any_order_lead_to_the_wanted_one(
        which in 0..STARTUP.len(),
        order in Just([0_usize, 1, 2]).prop_shuffle(),
        first_focus in 0_usize..3,
    ) {
        let (title, options, keys) = STARTUP[which];
        let order: Vec<usize> = order.into_iter().filter(|&at| at < options.len()).collect();
        let options: Vec<&str> = order.into_iter().map(|at| options[at]).collect();
        let wanted = STARTUP[which].1.last().expect("options");
        let mut focus = first_focus % options.len();
        for _ in 0..=options.len() {
            let text = draw(title, &options, focus, keys);
            let (next, focused) = decide(&text, &DialogPolicy::default()).expect("a dialog");
            match next {
                Move::Press(Key::Down) => focus += 1,
                Move::Press(Key::Up) => focus -= 1,
                Move::Press(Key::Enter) => {
                    prop_assert_eq!(focused.as_deref(), Some(*wanted));
                    return Ok(());
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert!(false, "no Enter after {} keys", options.len());
    }

    #[test]
    fn what_is_typed_is_held_by_the_composer_and_never_a_dialog(text in "[a-zA-Z0-9.,›>? ]{1,80}") {
        let screen = format!("  header\n\n\n› {text}\n\n  gpt-5.5 default · /tmp/cx-demo\n");
        prop_assert!(!matches!(screen::read(&screen), View::Dialog(_)));
        if !text.trim().is_empty() {
            prop_assert!(screen::composer_holds(&screen, &text));
            let longer = format!("{text} and more");
            prop_assert!(!screen::composer_holds(&screen, &longer));
        }
    }
}

fn rows_of_recordings() -> Vec<String> {
    let mut rows: Vec<String> = recorded()
        .iter()
        .flat_map(|(_, text)| text.lines().map(str::to_owned))
        .collect();
    rows.sort();
    rows.dedup();
    rows
}
