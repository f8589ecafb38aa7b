//! What Claude Code's screen means.
//!
//! The composer is a row that begins with `❯` and a no-break space, between two rules; a dialog takes its place and that of the
//! footer below it. In a dialog the focus is `❯` and a plain blank. What a turn's text says cannot be taken for either.
//!
//! Source: the recorded screens of 2.1.197 and 2.1.332 (`tests/screens`).

mod composer;

use std::sync::LazyLock;

use regex::Regex;

use crate::agent::executor::{Expected, TrustPolicy};
use crate::agent::report::TurnError;
use crate::agent::screen_state::{Advice, AnswerOption, Holds, Inquiry, ScreenState, ShownDialog};
use crate::tmux::Key;
use composer::{Composer, is_rule, is_shown};

pub(super) use composer::COMPOSER;

/// How a plan is begun with.
const MANUALLY: &str = "Yes, manually approve edits";
/// The same where no plan was written.
const STEP_BY_STEP: &str = "Yes, and switch to default (ask each time) for this session";
/// The focus in a dialog.
const FOCUS: &str = "❯ ";

/// What a screen means.
pub(super) fn read(screen: &str, expected: Expected<'_>, trust: TrustPolicy) -> ScreenState {
    let plain = strip_ansi_escapes::strip_str(screen);
    let rows: Vec<&str> = plain.lines().map(|row| row.trim_end_matches(' ')).collect();
    if has_ended(&rows) {
        return ScreenState::Nothing;
    }
    if let Some(composer) = Composer::find(&rows) {
        let mut footer = composer.footer(&rows);
        let works = footer.any(|row| row.contains("esc to interrupt"));
        let drawn: Vec<&str> = screen.lines().collect();
        let is_hint = drawn.get(composer.first).is_some_and(|row| is_faint(row));
        let holds = match composer.text(&rows) {
            text if text.is_empty() || is_hint => Holds::Nothing,
            text if is_shown(&text, expected.prompt) => Holds::Prompt,
            _ => Holds::Other,
        };
        return match works {
            true => ScreenState::Working { holds },
            false => ScreenState::Ready { holds },
        };
    }
    match Dialog::find(&rows) {
        Some(dialog) => ScreenState::Dialog(ShownDialog {
            name: dialog.kind.name(),
            dialog_state: dialog.state(),
            advice: dialog.advice(trust),
            screen: plain.clone(),
        }),
        None => ScreenState::Nothing,
    }
}

/// Whether the program's last words are on the screen, below what it last drew.
fn has_ended(rows: &[&str]) -> bool {
    const LAST: [&str; 3] = [
        "Resume this session with:",
        "Claude Code didn't start",
        "Pane is dead",
    ];
    let said = rows.iter().rev().filter(|row| !row.trim().is_empty());
    said.take(4)
        .any(|row| LAST.iter().any(|last| row.starts_with(last)))
}

/// Whether the row's text is drawn faintly, as the program's own hints are.
fn is_faint(row: &str) -> bool {
    static FAINT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("\u{1b}\\[(?:[0-9;]*;)?2m").expect("a regular expression"));
    FAINT.is_match(row)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Theme,
    Notes,
    ApiKey,
    SignIn,
    Trust,
    Bypass,
    SettingsWarning,
    SettingsError,
    Permission,
    Plan,
    Question,
    UsageLimit,
    BackgroundWork,
    AutoMode,
    AutoModeOffer,
    Unknown,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Theme => "theme",
            Self::Notes => "security_notes",
            Self::ApiKey => "api_key",
            Self::SignIn => "sign_in",
            Self::Trust => "directory_trust",
            Self::Bypass => "bypass_warning",
            Self::SettingsWarning => "settings_warning",
            Self::SettingsError => "settings_error",
            Self::Permission => "permission",
            Self::Plan => "plan_approval",
            Self::Question => "question",
            Self::UsageLimit => "usage_limit",
            Self::BackgroundWork => "background_work",
            Self::AutoMode => "auto_mode",
            Self::AutoModeOffer => "auto_mode_offer",
            Self::Unknown => "unknown",
        }
    }
}

/// The words by which a dialog is known, each at the beginning of a row.
const TITLES: [(&str, Kind); 19] = [
    ("Choose the text style", Kind::Theme),
    ("Security notes:", Kind::Notes),
    ("Do you want to use this API key?", Kind::ApiKey),
    ("Select login method:", Kind::SignIn),
    ("Accessing workspace:", Kind::Trust),
    ("WARNING: Claude Code running in Bypass", Kind::Bypass),
    ("Settings Warning", Kind::SettingsWarning),
    ("Settings Error", Kind::SettingsError),
    ("Do you want to proceed?", Kind::Permission),
    ("Do you want to make this edit", Kind::Permission),
    ("Do you want to create", Kind::Permission),
    ("Do you want to overwrite", Kind::Permission),
    ("Do you want to allow", Kind::Permission),
    ("Ready to code?", Kind::Plan),
    ("Exit plan mode?", Kind::Plan),
    ("What do you want to do?", Kind::UsageLimit),
    ("Background work is running", Kind::BackgroundWork),
    ("Auto mode can't check actions", Kind::AutoMode),
    ("Make auto mode your default", Kind::AutoModeOffer),
];

/// Words in the last rows of a dialog: which keys it takes.
const KEYS: [&str; 6] = [
    "Enter to confirm",
    "Enter to select",
    "Esc to cancel",
    "Press Enter to continue",
    "Enter to stay in auto mode",
    "ctrl+g to edit in",
];

/// A dialog, which ends the screen.
struct Dialog<'a> {
    kind: Kind,
    /// From the rule above it, or all of a screen without one.
    rows: Vec<&'a str>,
    options: Vec<Choice>,
}

struct Choice {
    label: String,
    is_focused: bool,
}

impl<'a> Dialog<'a> {
    fn find(rows: &[&'a str]) -> Option<Self> {
        let end = rows.iter().rposition(|row| !row.trim().is_empty())? + 1;
        // A question and a plan have rules within; the title tells which rule is the one above.
        let rules = || (0..end).filter(|at| is_rule(rows[*at]));
        let titled = |from: usize| {
            rows[from..end]
                .iter()
                .find_map(|row| kind_of(row))
                .map(|kind| (from, kind))
        };
        let from = rules().next_back().map_or(0, |rule| rule + 1);
        let known = titled(from).or_else(|| {
            let before = rules().rev().nth(1).map_or(0, |rule| rule + 1);
            titled(before).or_else(|| {
                let is_form = rows[before..end]
                    .iter()
                    .any(|row| row.trim_start().starts_with('☐'));
                is_form.then_some((before, Kind::Question))
            })
        });
        let (from, kind) = known.unwrap_or((from, Kind::Unknown));
        let own = rows[from..end].to_vec();
        let tail = own.iter().rev().take(3);
        let ends = tail
            .clone()
            .any(|row| KEYS.iter().any(|keys| row.contains(keys)));
        let has_focus = own.iter().any(|row| row.trim_start().starts_with(FOCUS));
        let is_one = match kind {
            Kind::Theme | Kind::SignIn => has_focus,
            Kind::Unknown => ends && has_focus,
            _ => ends || has_focus,
        };
        is_one.then(|| Self {
            kind,
            options: choices(&own),
            rows: own,
        })
    }

    /// What changes when a key was taken.
    fn state(&self) -> String {
        let options = self
            .options
            .iter()
            .map(|option| format!("{}{}", option.is_focused, option.label));
        let options: Vec<String> = options.collect();
        let body = match self.kind {
            Kind::Permission | Kind::Plan => self.rows.join("\n"),
            Kind::Question | Kind::Unknown => self.rows.first().copied().unwrap_or("").to_owned(),
            _ => String::new(),
        };
        format!("{}|{body}|{}", self.kind.name(), options.join("|"))
    }

    fn advice(&self, trust: TrustPolicy) -> Advice {
        match self.kind {
            // The defaults; what is chosen is written into the run's own directory.
            Kind::Theme | Kind::Notes => Advice::Press(Key::Enter),
            Kind::ApiKey => self.choose(&["Yes"]),
            Kind::SignIn => Advice::SignIn,
            Kind::Trust if trust == TrustPolicy::Ask => {
                Advice::Surface("the caller decides about trust")
            }
            Kind::Trust => self.choose(&["Yes, I trust this folder"]),
            Kind::Bypass => self.choose(&["Yes, I accept"]),
            Kind::SettingsWarning => self.choose(&["Continue"]),
            Kind::AutoModeOffer => match self
                .options
                .iter()
                .find(|option| option.label.starts_with("No, keep"))
            {
                Some(keep) => self.choose(&[&keep.label]),
                None => Advice::Surface("the option to choose is missing"),
            },
            Kind::SettingsError => {
                Advice::Surface("a file of settings is broken: `pending` names it")
            }
            Kind::Permission | Kind::Plan => match self.towards(&[MANUALLY, STEP_BY_STEP, "Yes"]) {
                Some(allow) => Advice::Approval {
                    command: self.wish(),
                    reason: None,
                    allow,
                },
                None => Advice::Surface("the option to choose is missing"),
            },
            Kind::Question => Advice::Ask(self.inquiry()),
            Kind::UsageLimit => Advice::Surface("the account's usage limit is reached"),
            Kind::AutoMode => Advice::Surface("its mode can't be used here"),
            Kind::BackgroundWork => Advice::Leave("it asks about work in the background"),
            Kind::Unknown => Advice::Surface("it is not known"),
        }
    }

    fn choose(&self, labels: &[&str]) -> Advice {
        self.towards(labels).map_or(
            Advice::Surface("the option to choose is missing"),
            Advice::Press,
        )
    }

    /// The key that leads to the first of those options that is there.
    fn towards(&self, labels: &[&str]) -> Option<Key> {
        let focused = self.options.iter().position(|option| option.is_focused)?;
        let at = |label: &str| {
            let mut options = self.options.iter();
            options.position(|option| option.label == label)
        };
        let wanted = labels.iter().find_map(|label| at(label))?;
        Some(match focused.cmp(&wanted) {
            std::cmp::Ordering::Equal => Key::Enter,
            std::cmp::Ordering::Less => Key::Down,
            std::cmp::Ordering::Greater => Key::Up,
        })
    }

    /// What a permission is asked for, as it is drawn: the hook's words are better.
    fn wish(&self) -> String {
        let question = self
            .rows
            .iter()
            .rposition(|row| row.trim_start().starts_with("Do you want to"));
        let end = question.unwrap_or(self.rows.len());
        let said = |row: &&&str| {
            let row = row.trim();
            !row.is_empty() && !row.starts_with('╌') && !row.starts_with("Tip:")
        };
        let rows: Vec<&str> = self.rows[..end]
            .iter()
            .filter(said)
            .map(|row| row.trim())
            .collect();
        rows.join("\n")
    }

    fn inquiry(&self) -> Inquiry {
        let first = self.rows.iter().position(|row| option_row(row).is_some());
        let rows = self.rows[..first.unwrap_or(0)].iter();
        let text = rows
            .map(|row| row.trim())
            .filter(|row| !row.is_empty() && !row.starts_with('☐'));
        // The last two are for a text of one's own, and for a talk.
        let own = |label: &str| label == "Type something." || label == "Chat about this";
        let options = self.options.iter().filter(|option| !own(&option.label));
        Inquiry {
            text: text.collect::<Vec<_>>().join(" "),
            options: options
                .map(|option| AnswerOption {
                    label: option.label.clone(),
                    description: String::new(),
                })
                .collect(),
        }
    }
}

fn kind_of(row: &str) -> Option<Kind> {
    let row = row.trim_start();
    let title = TITLES.iter().find(|(title, _)| row.starts_with(title));
    title.map(|(_, kind)| *kind)
}

/// A row of an option: where its label begins, whether it has the focus, and the label without its number.
fn option_row(row: &str) -> Option<(usize, bool, String)> {
    let indent = row.chars().take_while(|char| *char == ' ').count();
    let rest = &row[indent..];
    let (rest, is_focused) = match rest.strip_prefix(FOCUS) {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let column = indent + if is_focused { 2 } else { 0 };
    let label = match rest.split_once(". ") {
        Some((number, label)) if number.parse::<u8>().is_ok() => label,
        _ if is_focused => rest,
        _ => return None,
    };
    Some((column, is_focused, label.trim().to_owned()))
}

/// The options: rows in the column of the focused one, without a gap where they have no numbers.
fn choices(rows: &[&str]) -> Vec<Choice> {
    let Some(at) = rows
        .iter()
        .position(|row| row.trim_start().starts_with(FOCUS))
    else {
        return Vec::new();
    };
    let Some((column, _, focused)) = option_row(rows[at]) else {
        return Vec::new();
    };
    let is_numbered =
        rows[at].trim_start()[FOCUS.len()..].starts_with(|first: char| first.is_ascii_digit());
    if is_numbered {
        let numbered = rows.iter().filter_map(|row| option_row(row));
        return numbered
            .filter(|(at, ..)| *at == column)
            .map(|(_, is_focused, label)| Choice { label, is_focused })
            .collect();
    }
    let label = |row: &&str| {
        let indent = row.chars().take_while(|char| *char == ' ').count();
        (indent == column && !row.trim().is_empty()).then(|| row.trim().to_owned())
    };
    let before: Vec<String> = rows[..at].iter().rev().map_while(label).collect();
    let after = rows[at + 1..].iter().map_while(label);
    let (before, after) = (before.into_iter().rev(), after);
    let other = |label: String| Choice {
        label,
        is_focused: false,
    };
    before
        .map(other)
        .chain([Choice {
            label: focused,
            is_focused: true,
        }])
        .chain(after.map(other))
        .collect()
}

/// Why a turn failed, as the screen shows it.
pub(super) fn failure(screen: &str) -> Option<TurnError> {
    let plain = strip_ansi_escapes::strip_str(screen);
    let said = |row: &str| {
        let row = row
            .trim_start()
            .trim_start_matches(['●', '⎿', ' ', '\u{a0}']);
        let begins = [
            "API Error",
            "Not logged in",
            "Login expired",
            "You've hit your",
            "Claude Code didn't start",
            "Unable to connect",
        ];
        let is_one = begins.iter().any(|begin| row.starts_with(begin));
        is_one.then(|| super::payload::failure(None, Some(row.trim_end().to_owned()), None))
    };
    plain.lines().rev().find_map(said)
}

/// A request that is made again.
pub(super) fn trouble(screen: &str) -> Option<String> {
    let plain = strip_ansi_escapes::strip_str(screen);
    let retried = |row: &&str| {
        let row = row.to_lowercase();
        row.contains("retrying in ") && row.contains("attempt ")
    };
    let row = plain.lines().rev().take(20).find(retried)?;
    let row = row
        .trim()
        .trim_start_matches(|char: char| !char.is_alphanumeric());
    Some(row.to_owned())
}
