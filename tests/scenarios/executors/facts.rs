//! Properties of an executor's pure functions.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cx_operator::agent::executor::{Executor, Expected, Trouble, TrustPolicy};
use cx_operator::agent::report::{Line, Reported};
use cx_operator::agent::screen_state::{Advice, Holds, ScreenState};
use cx_operator::agent::signals::{Decision, Kind};
use cx_operator::agent::{EXECUTORS, ExecutorId};
use proptest::prelude::*;

use super::subjects::{SUBJECTS, Subject};

const SESSION: &str = "019a5b2c-1f00-7abc-8def-0123456789ab";

impl Subject {
    fn executor(&self) -> ExecutorId {
        ExecutorId::parse(self.executor).expect("an executor")
    }

    /// Every recorded screen, by its name.
    fn recorded(&self) -> Vec<(String, String)> {
        if self.screens.0.is_empty() {
            return Vec::new();
        }
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.screens.0);
        let entries = fs::read_dir(dir).expect("the recordings");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let read = |path: &Path| fs::read_to_string(path).expect("a screen is UTF-8");
        let name = |path: &Path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        };
        paths.map(|path| (name(&path), read(&path))).collect()
    }
}

/// Whether both are forms of one program.
fn is_same_program(a: &dyn Executor, b: &dyn Executor) -> bool {
    a.name().split('-').next() == b.name().split('-').next()
}

fn filled(text: &str) -> String {
    text.replace("SESSION", SESSION)
}

fn state(executor: &dyn Executor, screen: &str) -> ScreenState {
    executor.screen_state(screen, Expected::default(), TrustPolicy::Ask)
}

fn word(state: &ScreenState) -> &'static str {
    match state {
        ScreenState::Nothing => "nothing",
        ScreenState::Working { .. } => "working",
        ScreenState::Ready {
            holds: Holds::Nothing,
        } => "ready",
        ScreenState::Ready { .. } => "ready with a text",
        ScreenState::Dialog(dialog) => match dialog.advice {
            Advice::SignIn => "sign-in",
            Advice::Approval { .. } => "approval",
            _ => "dialog",
        },
    }
}

#[test]
fn every_executor_has_a_subject() {
    let names: Vec<_> = EXECUTORS.iter().map(|executor| executor.name()).collect();
    let subjects: Vec<_> = SUBJECTS.iter().map(|subject| subject.executor).collect();
    assert_eq!(names, subjects);
}

#[test]
fn names_and_prefixes_are_words_and_unique() {
    let is_word =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
    let are_words = |text: &str| text.split('-').all(is_word);
    let (mut names, mut prefixes) = (BTreeSet::new(), BTreeSet::new());
    for executor in EXECUTORS {
        let (name, prefix) = (executor.name(), executor.prefix());
        assert!(are_words(name) && is_word(prefix), "{name}, {prefix}");
        assert!(
            names.insert(name) && prefixes.insert(prefix),
            "{name}, {prefix}"
        );
        let found = ExecutorId::parse(name).expect("found by its name");
        let document = serde_json::to_string(&found).expect("a document");
        assert_eq!(document, format!("\"{name}\""));
        assert_eq!(
            serde_json::from_str::<ExecutorId>(&document).expect("read"),
            found
        );
    }
    // A session `cx-t` belongs to one of them only.
    let clash = |a: &&str, b: &&str| a != b && a.starts_with(*b);
    assert!(
        !prefixes
            .iter()
            .any(|a| prefixes.iter().any(|b| clash(a, b)))
    );
}

#[test]
fn every_trouble_has_a_remedy() {
    for executor in EXECUTORS {
        for &trouble in Trouble::ALL {
            let remedy = executor.remedy(trouble);
            let is_sentence = remedy.starts_with(|first: char| first.is_lowercase());
            assert!(
                is_sentence && !remedy.ends_with('.'),
                "{trouble:?}: {remedy}"
            );
        }
    }
}

#[test]
fn each_has_its_own_variables_and_leftovers() {
    for executor in EXECUTORS {
        for other in EXECUTORS
            .iter()
            .filter(|other| !is_same_program(**other, *executor))
        {
            let shared = |variable| other.key_variables().contains(variable);
            assert!(!executor.key_variables().iter().any(shared));
            assert_ne!(executor.home_variable(), other.home_variable());
        }
        let is_at_the_top = |name: &&str| Path::new(name).components().count() == 1;
        assert!(executor.leftovers().iter().all(is_at_the_top));
        assert!(
            executor
                .exit_command()
                .is_none_or(|word| !word.trim().is_empty())
        );
    }
}

#[test]
fn decisions_are_told_and_no_decision_is_silent() {
    for executor in EXECUTORS {
        let deny = |message: &str| Decision::Deny {
            message: message.to_owned(),
        };
        let allowed = executor.decision(b"", &Decision::Allow).expect("an answer");
        let denied = executor
            .decision(b"", &deny("Not that."))
            .expect("an answer");
        assert_ne!(allowed, denied);
        assert!(denied.contains("Not that."), "{denied}");
        assert_eq!(executor.decision(b"", &Decision::Pass), None);
    }
}

#[test]
fn recorded_screens_mean_what_they_show() {
    for subject in &SUBJECTS {
        let recorded = subject.recorded();
        for (name, meaning) in subject.screens.1 {
            let screen = recorded
                .iter()
                .find(|(of, _)| of == name)
                .expect("recorded");
            let state = state(&*subject.executor(), &screen.1);
            assert_eq!(word(&state), *meaning, "{}: {name}", subject.executor);
        }
        let executor = subject.executor();
        for screen in ["", "\n\n\n", "$ ls\nREADME\n$ "] {
            assert_eq!(
                word(&state(&*executor, screen)),
                "nothing",
                "{}",
                subject.executor
            );
        }
    }
}

#[test]
fn no_executor_acts_on_the_screens_of_another() {
    for subject in &SUBJECTS {
        for other in SUBJECTS
            .iter()
            .filter(|other| other.executor != subject.executor)
        {
            for (name, screen) in other.recorded() {
                let state = state(&*subject.executor(), &screen);
                let claimed = matches!(state, ScreenState::Dialog(_) | ScreenState::Ready { .. });
                assert!(
                    !claimed,
                    "{} takes {name} for {}",
                    subject.executor,
                    word(&state)
                );
            }
        }
    }
}

#[test]
fn payloads_are_reported() {
    for subject in &SUBJECTS {
        for (kind, payload) in subject.payloads {
            let report = subject.executor().report(kind, filled(payload).as_bytes());
            let report = report.unwrap_or_else(|| panic!("{}: {kind:?}", subject.executor));
            assert_eq!(report.session, SESSION);
            assert_eq!(report.transcript.as_deref(), Some(Path::new("/t")));
            assert_eq!(report.cwd.as_deref(), Some(Path::new("/w")));
            let turn = (kind != Kind::SessionStart).then_some("7");
            assert_eq!((report.turn_id.as_deref(), report.agent_id), (turn, None));
            let fits = match (kind, report.event) {
                (Kind::SessionStart, Reported::Session { source }) => !source.is_empty(),
                (Kind::Prompt, Reported::Prompt { prompt }) => prompt == "the prompt",
                (Kind::Permission, Reported::Permission { command, .. }) => command == "touch x",
                (Kind::Stop, Reported::Stop { message }) => message.as_deref() == Some("Done."),
                _ => false,
            };
            assert!(fits, "{}: {kind:?}", subject.executor);
        }
    }
}

#[test]
fn a_turn_is_read_from_the_transcript() {
    for subject in &SUBJECTS {
        let executor = subject.executor();
        let mut reader = executor.reader();
        let lines: Vec<Line> = subject
            .transcript
            .iter()
            .flat_map(|line| reader.read(&format!("{}\n", filled(line))))
            .collect();
        let told = |of: fn(&Line) -> bool| lines.iter().find(|line| of(line)).expect("told");
        let session = told(|line| matches!(line, Line::Session { .. }));
        let start = told(|line| matches!(line, Line::TurnStarted { .. }));
        let end = told(|line| matches!(line, Line::TurnCompleted { .. }));
        assert!(matches!(session, Line::Session { id, parent: None, .. } if id == SESSION));
        let turn = filled(subject.turn);
        assert!(matches!(start, Line::TurnStarted { turn_id } if *turn_id == turn));
        let done = matches!(end, Line::TurnCompleted { turn_id, message } if *turn_id == turn && message == "Done.");
        assert!(done, "{}", subject.executor);
    }
}

/// A text with a piece cut out, and another one put there.
fn damaged(text: &str, (from, length): (usize, usize), piece: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let from = from % (letters.len() + 1);
    let to = (from + length).min(letters.len());
    let (before, after) = (letters[..from].iter(), letters[to..].iter());
    before
        .copied()
        .chain(piece.chars())
        .chain(after.copied())
        .collect()
}

proptest! {
    #[test]
    fn a_prompt_stays_one(text in "[:/!@$ \\n\\t]{0,3}\\PC{0,30}(quit|exit|\\.png)?\\PC{0,3}") {
        prop_assume!(!text.trim().is_empty());
        for executor in EXECUTORS {
            let prompt = executor.prompt(text.trim()).into_owned();
            prop_assert!(prompt.ends_with(text.trim()), "{}: {prompt:?}", executor.name());
            prop_assert_eq!(&*executor.prompt(&prompt), &prompt);
            let typed = executor.keystrokes(&prompt).into_owned();
            prop_assert_eq!(typed.trim(), prompt.trim());
            prop_assert_eq!(&*executor.prompt(&typed), &typed);
        }
    }

    #[test]
    fn nonsense_is_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}") {
        for executor in EXECUTORS {
            for kind in Kind::ALL {
                prop_assert_eq!(executor.report(kind, &bytes), None);
                prop_assert_eq!(executor.report(kind, text.as_bytes()), None);
            }
            prop_assert_eq!(executor.reader().read(&format!("x{text}")), Vec::new());
            prop_assert_eq!(executor.reader().read(&String::from_utf8_lossy(&bytes)), Vec::new());
        }
    }

    #[test]
    fn damaged_words_do_no_harm(cut in (0..4000_usize, 0..200_usize), piece in "\\PC{0,5}") {
        for subject in &SUBJECTS {
            let executor = subject.executor();
            for (kind, payload) in subject.payloads {
                executor.report(kind, damaged(payload, cut, &piece).as_bytes());
            }
            for line in subject.transcript {
                executor.reader().read(&damaged(line, cut, &piece));
            }
        }
    }

    #[test]
    fn damaged_screens_do_no_harm(at in any::<prop::sample::Index>(), cut in (0..4000_usize, 0..400_usize), piece in "\\PC{0,5}") {
        for subject in &SUBJECTS {
            let recorded = subject.recorded();
            if recorded.is_empty() {
                continue;
            }
            let screen = damaged(&at.get(&recorded).1, cut, &piece);
            for executor in EXECUTORS {
                state(*executor, &screen);
                executor.failure(&screen);
                executor.trouble(&screen);
            }
        }
    }
}
