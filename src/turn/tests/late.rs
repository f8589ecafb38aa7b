//! Another screen comes up between any two steps of a prompt or a reply: every recording of every version, at every place,
//! for a while or for good.
//!
//! The machine looks at the recorded screens as the driver does, and the terminal below obeys its keys as codex does: a
//! dialog takes a paste and the key that submits for nothing, and Enter for its choice.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs;
use std::path::Path;

use super::*;
use crate::agent::codex::{Codex, screen};
use crate::agent::executor::{Executor, Expected, TrustPolicy};

/// What the recording `pasted` holds.
const PASTED: &str =
    "1. Read the README.\n2. List what is missing:\n\n\t- tabs\n   - spaces\nGrüße, 世界";
/// What the recording `typed` holds.
const TYPED: &str = "Explain the build";
/// What Enter may choose in a dialog.
const ALLOWED: [&str; 6] = [
    "Yes, continue",
    "Trust and continue",
    "Continue without trusting (hooks won't run)",
    "Use existing model",
    "Skip",
    "Keep current model",
];
/// More looks than a run takes that ends.
const LOOKS: usize = 400;

type Recordings = BTreeMap<String, String>;

fn recordings(version: &str) -> Recordings {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens");
    let files = fs::read_dir(root.join(version)).expect("the recordings are there");
    let recorded = files.map(|file| {
        let path = file.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy();
        let text = fs::read_to_string(&path).expect("a screen is UTF-8");
        (name.into_owned(), text)
    });
    recorded.collect()
}

/// What comes up, at which place, and for how many further places.
#[derive(Clone, Copy, Debug)]
struct Intruder<'a> {
    name: &'a str,
    at: usize,
    stays: usize,
}

/// A terminal with codex in it.
struct Terminal<'a> {
    recordings: &'a Recordings,
    intruder: Intruder<'a>,
    place: usize,
    /// What covers the composer, with its focus where keys have put it.
    cover: Option<String>,
    /// The prompt in the composer.
    held: Option<&'static str>,
    works: bool,
    submitted: Vec<&'static str>,
    /// Whether what covered the composer took a paste.
    lost: bool,
}

impl<'a> Terminal<'a> {
    /// Lets a moment pass, in which something may come up or be closed.
    fn pass(&mut self) {
        let Intruder { name, at, stays } = self.intruder;
        if self.place == at {
            self.cover = Some(self.recordings[name].clone());
        } else if self.place == at.saturating_add(stays) {
            self.cover = None;
        }
        self.place += 1;
    }

    fn screen(&self) -> &str {
        match (&self.cover, self.held) {
            (Some(cover), _) => cover,
            (None, _) if self.works => &self.recordings["working"],
            (None, Some(PASTED)) => &self.recordings["pasted"],
            (None, Some(_)) => &self.recordings["typed"],
            (None, None) if self.submitted.is_empty() => &self.recordings["ready"],
            (None, None) => &self.recordings["done"],
        }
    }

    fn paste(&mut self, text: &str) {
        let prompts = [PASTED, TYPED];
        let prompt = prompts.into_iter().find(|prompt| *prompt == text);
        self.lost |= self.cover.is_some();
        if self.cover.is_none() {
            assert_eq!(self.held, None, "pasted upon a text");
            self.held = Some(prompt.expect("one of ours"));
        }
    }

    /// Whether a turn begins.
    fn submit(&mut self) -> bool {
        let begins = self.cover.is_none() && self.held.is_some();
        if begins {
            self.submitted.extend(self.held.take());
            self.works = true;
        }
        begins
    }

    /// A key that was meant for a dialog which looked like that. If it has closed in the meantime, the composer ignores arrows.
    fn press(&mut self, key: Key, seen: &str) {
        let View(options) = View::of(seen);
        let focus = options.iter().position(|option| option.1);
        let focus = focus.expect("a key is pressed where something has the focus");
        if key == Key::Enter {
            let label = options[focus].0.as_str();
            assert!(ALLOWED.contains(&label), "Enter on {label:?}");
        }
        if self.cover.as_deref() != Some(seen) {
            return;
        }
        self.cover = match key {
            Key::Enter => None,
            Key::Down => Some(refocus(seen, focus + 1)),
            Key::Up => Some(refocus(seen, focus - 1)),
            other => panic!("{other:?} in a dialog"),
        };
    }
}

/// The options of a dialog: label, and whether it has the focus.
struct View(Vec<(String, bool)>);

impl View {
    fn of(text: &str) -> Self {
        let screen::View::Dialog(dialog) = screen::read(text) else {
            panic!("keys are pressed in a dialog: {text}");
        };
        let options = dialog.options.into_iter();
        Self(
            options
                .map(|option| (option.label, option.focused))
                .collect(),
        )
    }
}

/// The same dialog with another option in focus.
fn refocus(text: &str, focus: usize) -> String {
    let View(options) = View::of(text);
    let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
    for (at, (label, _)) in options.iter().enumerate() {
        let number = format!("{}. ", at + 1);
        let begin: String = label.chars().take(12).collect();
        let row = rows
            .iter_mut()
            .rfind(|row| row.contains(&number) && row.contains(&begin));
        let row = row.expect("the option's row");
        let plain = row.replacen('›', " ", 1);
        let arrow = plain.find(&number).expect("its number") - 2;
        *row = if at == focus {
            format!("{}›{}", &plain[..arrow], &plain[arrow + 1..])
        } else {
            plain
        };
    }
    rows.join("\n")
}

/// What each screen means for each prompt: reading one takes longer than all the rest.
type Sights = HashMap<(String, &'static str), ScreenState>;

/// A run of two turns in such a terminal: how it ends.
struct Run<'a> {
    machine: Machine,
    terminal: Terminal<'a>,
    now: Instant,
    events: VecDeque<Event>,
    /// What was seen last, and how it looked.
    seen: (ScreenState, String),
}

impl<'a> Run<'a> {
    fn new(recordings: &'a Recordings, intruder: Intruder<'a>) -> Self {
        let plan = Plan {
            prompt: PASTED.to_owned(),
            ..plan_with_responder()
        };
        let now = Instant::now();
        Self {
            machine: Machine::new(plan, now),
            terminal: Terminal {
                recordings,
                intruder,
                place: 0,
                cover: None,
                held: None,
                works: false,
                submitted: Vec::new(),
                lost: false,
            },
            now,
            events: VecDeque::from([started(OURS, "startup")]),
            seen: (ScreenState::Nothing, String::new()),
        }
    }

    fn play(mut self, sights: &mut Sights) -> (End, Terminal<'a>) {
        for _ in 0..LOOKS {
            self.terminal.pass();
            self.look(sights);
            while let Some(event) = self.events.pop_front() {
                let reaction = self.machine.on(self.now, event);
                if let Some(end) = self.carry_out(reaction) {
                    return (end, self.terminal);
                }
            }
            self.agent_goes_on();
            self.now += Duration::from_millis(100);
            let due = self.machine.deadline().is_some_and(|at| self.now >= at);
            self.events.extend(due.then_some(Event::Deadline));
        }
        panic!("no end in sight");
    }

    fn look(&mut self, sights: &mut Sights) {
        let prompt = if self.machine.prompt() == PASTED {
            PASTED
        } else {
            TYPED
        };
        let text = self.terminal.screen().to_owned();
        let key = (text.clone(), prompt);
        let expected = Expected {
            prompt,
            ..Expected::default()
        };
        let read = || Codex.screen_state(&text, expected, TrustPolicy::Accept);
        let seen = sights.entry(key).or_insert_with(read).clone();
        self.seen = (seen.clone(), text);
        self.events.push_back(Event::Screen(seen));
    }

    /// Ends the turn that runs, the first with a question.
    fn agent_goes_on(&mut self) {
        let turns = self.machine.turns();
        if std::mem::take(&mut self.terminal.works) {
            let prompt = self.terminal.submitted.last().expect("a prompt");
            let turn = format!("t{}", turns + 1);
            let message = if turns == 0 { QUESTION } else { RESULT };
            self.events.push_back(prompted(OURS, &turn, prompt));
            self.events.push_back(stopped(OURS, &turn, message));
        }
    }

    fn carry_out(&mut self, reaction: Reaction) -> Option<End> {
        let holds = match &self.seen.0 {
            ScreenState::Ready { holds } => Some(*holds),
            _ => None,
        };
        match reaction {
            Reaction::Paste(text) => {
                assert_eq!(holds, Some(Holds::Nothing), "pasted upon {:?}", self.seen.0);
                self.terminal.pass();
                self.terminal.paste(&text);
            }
            Reaction::Press(_, COMPOSER) => {
                assert_eq!(holds, Some(Holds::Prompt), "sent upon {:?}", self.seen.0);
                self.terminal.pass();
                self.terminal.submit();
            }
            Reaction::Press(key, _) => {
                assert!(
                    matches!(self.seen.0, ScreenState::Dialog(_)),
                    "{:?}",
                    self.seen.0
                );
                self.terminal.pass();
                self.terminal.press(key, &self.seen.1.clone());
            }
            Reaction::Ask(question) => {
                let answer = Some(Answer::Text(TYPED.to_owned()));
                self.events.push_back(Event::Answered(question, answer));
            }
            Reaction::End(end) => return Some(*end),
            Reaction::Wait | Reaction::Ignore(_) | Reaction::Look => {}
            other => panic!("{other:?}"),
        }
        None
    }
}

/// A run into which a screen comes ends well, or tells what was in its way.
fn assert_ended(terminal: &Terminal<'_>, end: &End) {
    let intruder = terminal.intruder;
    let text = &terminal.recordings[intruder.name];
    let wanted: &[&str] = &[PASTED, TYPED];
    let submitted = &terminal.submitted;
    assert!(wanted.starts_with(submitted), "{intruder:?}: {submitted:?}");
    let dialog = match screen::read(text) {
        screen::View::Dialog(dialog) => Some(dialog),
        _ => None,
    };
    match (end.status, end.code(), dialog) {
        (Status::Completed, ..) => assert_eq!(submitted, wanted, "{intruder:?}"),
        (Status::BlockedDialog, "blocked_dialog", Some(dialog))
        | (Status::Failed, "not_signed_in", Some(dialog))
        | (Status::NeedsPermission | Status::NeedsInput, _, Some(dialog)) => {
            let pending = end.pending.as_ref().expect("what is in the way");
            let mut rows = pending.text.lines().map(str::trim);
            let shown =
                pending.text.contains(dialog.title.trim()) || rows.all(|row| text.contains(row));
            assert!(shown, "{intruder:?}: {pending:?}");
        }
        // What is neither a dialog nor an empty composer stood there until the end.
        (Status::TimedOut, "startup_timeout" | "not_submitted", None)
        | (Status::BlockedDialog, "composer_in_use", None)
            if intruder.stays > LOOKS => {}
        // It took the paste and was gone before the next look, or told nothing: nothing is pasted twice on a guess.
        (Status::TimedOut, "not_submitted", dialog) => {
            let unseen = dialog.is_none() || intruder.stays == 1;
            assert!(terminal.lost && unseen, "{intruder:?}: {end:?}");
        }
        other => panic!("{intruder:?}: {other:?}"),
    }
}

#[test]
fn nothing_but_our_text_is_sent_whatever_comes_up_between_two_steps() {
    let (mut runs, mut completed) = (0, 0);
    for version in ["codex-0.130.0", "codex-0.150.0", "codex-0.169.0"] {
        let recordings = recordings(version);
        let mut sights = Sights::new();
        // Those two are our own text.
        let names = recordings
            .keys()
            .filter(|name| !["pasted", "typed"].contains(&&***name));
        for name in names {
            for at in 0..18 {
                for stays in [1, 2, 3, 8, usize::MAX] {
                    let intruder = Intruder { name, at, stays };
                    let (end, terminal) = Run::new(&recordings, intruder).play(&mut sights);
                    assert_ended(&terminal, &end);
                    runs += 1;
                    completed += usize::from(end.status == Status::Completed);
                }
            }
        }
    }
    assert!(
        runs > 8_000 && completed > runs / 2,
        "{completed} of {runs}"
    );
}
