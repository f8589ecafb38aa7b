//! Dialogs: numbered options with a focus at the bottom of the screen.

use std::ops::Range;

/// The subject of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum DialogKind {
    /// `Sign in with ChatGPT`: there are no credentials.
    SignIn,
    /// `Do you trust the contents of this directory?` (≤ 0.150), `Trust this folder?` (≥ 0.160).
    DirectoryTrust,
    /// `Hooks need review` (≥ 0.140).
    HookReview,
    /// `Try new model` / `Use existing model` (≥ 0.160).
    ModelOffer,
    /// `Update available`.
    Update,
    /// `Approaching rate limits`: another model is offered, after a turn.
    RateLimits,
    /// `Would you like to run the following command?`
    CommandApproval,
    /// `Would you like to make the following edits?`: a patch outside the workspace.
    EditApproval,
    /// `Allow the … MCP server to run tool …?`
    ToolApproval,
    /// `Question 1/2`: the agent asks by a form; title, body and options are the agent's words.
    Question,
    /// Any other.
    Unknown,
}

impl DialogKind {
    /// The name in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Whether a dialog of that name may have a field that is written in, so that the cursor shows.
pub(crate) fn has_fields(name: &str) -> bool {
    [DialogKind::Question, DialogKind::ToolApproval]
        .map(DialogKind::name)
        .contains(&name)
}

/// One option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The number in front of it.
    pub number: u32,
    /// Its words, with the rows below that belong to it, joined by one space.
    pub label: String,
    /// Whether Enter would take it.
    pub focused: bool,
}

/// A dialog as it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// Its subject.
    pub kind: DialogKind,
    /// Its first row.
    pub title: String,
    /// The options from top to bottom; at most one is focused. A list that is scrolled begins with a higher number than 1.
    pub options: Vec<Choice>,
    /// The rows between title and options, unindented by two columns; a long line is broken where codex broke it.
    pub body: String,
    /// Whether it is a form, whose options are indented: codex draws them for tools and for questions of the agent.
    pub is_form: bool,
    /// Which question of a form it is, from 1.
    pub number: Option<usize>,
    /// The rows of a form's field for notes, where it is open; of a long text the last ones.
    pub notes: Option<Vec<String>>,
}

impl Dialog {
    /// Whether it is a list that codex shows to a person who types its command, such as `/model`: the agent continues behind it.
    ///
    /// Source: `/model`, `/permissions`, `/review` of codex 0.130.0, 0.150.0 and 0.169.0; lists without numbers are not
    /// that [`read`](super::read) takes for a dialog.
    pub fn is_opened_by_hand(&self) -> bool {
        let marks_current = |choice: &Choice| choice.label.contains("(current)");
        !self.is_form
            && (self.title.starts_with("Select ") || self.options.iter().any(marks_current))
    }

    /// The command that a [`DialogKind::CommandApproval`] asks for, as drawn: a long line is broken.
    ///
    /// A reason that itself contains a row beginning with `$ ` makes this longer than the command, never shorter; the
    /// PermissionRequest event carries the exact text.
    pub fn command(&self) -> Option<&str> {
        if self.kind != DialogKind::CommandApproval {
            return None;
        }
        let start = match self.body.strip_prefix("$ ") {
            Some(_) => 0,
            None => self.body.find("\n$ ")? + 1,
        };
        Some(&self.body[start + 2..])
    }

    /// Why an approval is asked for: what follows `Reason:` or `Description:`, up to the next blank row or field.
    pub fn reason(&self) -> Option<&str> {
        // A text in the command is not the reason.
        let above = self
            .body
            .find("\n$ ")
            .map_or(self.body.as_str(), |end| &self.body[..=end]);
        let start = ["Reason: ", "Description: "].iter().find_map(|name| {
            let found = above.find(name)?;
            let begins_row = found == 0 || above[..found].ends_with('\n');
            begins_row.then_some(found + name.len())
        })?;
        let reason = above[start..].trim_end();
        let end = ["\n\n", "\nDestination: "]
            .iter()
            .filter_map(|mark| reason.find(mark))
            .min();
        Some(end.map_or(reason, |end| &reason[..end]))
    }
}

/// How a kind is recognised: a row of the title and one option, both by how they begin.
struct Mark {
    kind: DialogKind,
    title: &'static str,
    option: &'static str,
}

/// The dialogs whose options are in the first columns; those of forms are indented, see [`form_kind`].
///
/// Source: codex 0.130.0, 0.150.0 and 0.169.0, `tests/screens`.
const MARKS: [Mark; 9] = [
    mark(
        DialogKind::SignIn,
        "Welcome to Codex",
        "Sign in with ChatGPT",
    ),
    mark(
        DialogKind::DirectoryTrust,
        "Do you trust the contents of this directory?",
        "Yes, continue",
    ),
    mark(
        DialogKind::DirectoryTrust,
        "Folder access",
        "Trust and continue",
    ),
    mark(
        DialogKind::HookReview,
        "Hooks need review",
        "Continue without trusting",
    ),
    mark(DialogKind::ModelOffer, "", "Use existing model"),
    mark(DialogKind::Update, "Update available", "Update now"),
    mark(
        DialogKind::RateLimits,
        "Approaching rate limits",
        "Keep current model",
    ),
    mark(
        DialogKind::CommandApproval,
        "Would you like to run the following command?",
        "Yes, proceed",
    ),
    mark(
        DialogKind::EditApproval,
        "Would you like to make the following edits?",
        "Yes, proceed",
    ),
];

const fn mark(kind: DialogKind, title: &'static str, option: &'static str) -> Mark {
    Mark {
        kind,
        title,
        option,
    }
}

/// The column of the numbers in all dialogs but forms.
const OPTION_COLUMN: usize = 2;

/// Reads the dialog at the bottom of the screen.
pub(super) fn read(rows: &[&str]) -> Option<Dialog> {
    let (keys, above) = rows.split_last()?;
    if !names_keys(keys) {
        return None;
    }
    let (above, notes) = if keys.trim_start().starts_with(CLEARS_NOTES) {
        split_notes(above)?
    } else {
        (above, None)
    };
    let Some(list) = List::read(above) else {
        return field(above);
    };
    let region = region(&rows[..list.start]);
    let (kind, title) = kind_and_title(&rows[region.clone()], &list);
    let first = rows.get(region.start).map_or("", |row| heading(row));
    let number = first.strip_prefix(QUESTION).and_then(leading_number);
    let title = title.map_or(region.start, |offset| region.start + offset);
    let body: Vec<&str> = rows
        .get(title + 1..list.start)
        .unwrap_or_default()
        .iter()
        .map(|row| row.strip_prefix("  ").unwrap_or(row))
        .collect();
    Some(Dialog {
        kind,
        is_form: list.column != OPTION_COLUMN,
        number: number.filter(|_| kind == DialogKind::Question),
        notes,
        title: rows.get(title).map_or("", |row| heading(row)).to_owned(),
        options: list.options,
        body: body.join("\n").trim_matches('\n').to_owned(),
    })
}

/// Reads the form of a server in which something is to be typed: `Field 1/2 (1 required unanswered)`, a text, a field.
///
/// Source: codex 0.169.0, `tests/screens`.
fn field(above: &[&str]) -> Option<Dialog> {
    let region = &above[region(above)];
    let [first, title, rest @ ..] = region else {
        return None;
    };
    let is_field = heading(first).starts_with("Field ") && first.ends_with(" unanswered)");
    is_field.then(|| Dialog {
        kind: DialogKind::Unknown,
        is_form: true,
        number: None,
        notes: None,
        title: heading(title).to_owned(),
        options: Vec::new(),
        body: rest.join("\n").trim_matches('\n').to_owned(),
    })
}

/// How the first row of an agent's form begins: `Question 1/2 (2 unanswered)`.
const QUESTION: &str = "Question ";

/// How the row of keys begins while a form's field for notes is open.
const CLEARS_NOTES: &str = "tab or esc to clear notes";

/// Divides the rows above the keys of a form into its list and the rows of its open field for notes: its first row has
/// an arrow in the column of the options' arrow, and the others are indented further.
///
/// Source: codex 0.130.0, 0.150.0 and 0.169.0.
fn split_notes<'a>(above: &'a [&'a str]) -> Option<(&'a [&'a str], Option<Vec<String>>)> {
    let is_first = |row: &&str| row.starts_with("  › ") || *row == "  ›";
    let start = above.iter().rposition(is_first)?;
    let text = |row: &&str| {
        let text = row.strip_prefix("  ›").unwrap_or(row);
        text.trim().to_owned()
    };
    let mut notes: Vec<String> = above[start..].iter().map(text).collect();
    while notes.last().is_some_and(String::is_empty) {
        notes.pop();
    }
    Some((&above[..start], Some(notes)))
}

fn leading_number(text: &str) -> Option<usize> {
    let end = text.find(|letter: char| !letter.is_ascii_digit());
    text[..end.unwrap_or(text.len())].parse().ok()
}

/// Whether an answered hook review is still up (`Trusting hooks...`), its options without numbers.
///
/// Source: codex 0.150.0 and 0.169.0, for some 100 ms.
pub(super) fn is_settling(rows: &[&str]) -> bool {
    let mut texts = rows
        .iter()
        .map(|row| row.trim())
        .filter(|row| !row.is_empty());
    texts.next() == Some("Hooks need review") && texts.any(|row| row == "Trusting hooks...")
}

/// Whether a row says which keys the dialog takes: `Press enter to confirm or esc to cancel`, `enter continue · esc skip`.
fn names_keys(row: &str) -> bool {
    let words = row.trim_start();
    [
        "Press enter",
        "enter ",
        "enter/esc ",
        "tab to add notes",
        "tab / ",
        CLEARS_NOTES,
        "esc ",
    ]
    .iter()
    .any(|start| words.starts_with(start))
}

/// The options of a dialog.
struct List {
    /// The row of the first option.
    start: usize,
    /// The column of the numbers.
    column: usize,
    options: Vec<Choice>,
}

impl List {
    /// Reads the options that end above the row of keys, from the last one up to number 1, or to where the list is
    /// scrolled: numbers without a gap, in one column, with at most one focus.
    fn read(rows: &[&str]) -> Option<List> {
        let mut list: Option<List> = None;
        let mut further: Vec<&str> = Vec::new();
        for (at, row) in rows.iter().enumerate().rev() {
            let Some(option) = OptionRow::read(row) else {
                match row.trim() {
                    "" => continue,
                    "↑" if list.is_some() => break,
                    text if row.starts_with("     ") => further.push(text),
                    _ => return None,
                }
                continue;
            };
            let list = list.get_or_insert_with(|| List {
                start: at,
                column: option.column,
                options: Vec::new(),
            });
            let below = list.options.last().map(|choice| choice.number);
            if below.is_some_and(|below| below != option.number + 1) || option.column != list.column
            {
                return None;
            }
            let label: Vec<&str> = std::iter::once(option.label)
                .chain(further.drain(..).rev())
                .collect();
            list.start = at;
            list.options.push(Choice {
                number: option.number,
                label: label.join(" "),
                focused: option.focused,
            });
            if option.number == 1 {
                break;
            }
        }
        let mut list = list.filter(|_| further.is_empty())?;
        list.options.reverse();
        let focused = list.options.iter().filter(|choice| choice.focused).count();
        (focused <= 1).then_some(list)
    }
}

/// A row `› 1. Yes, continue`.
struct OptionRow<'a> {
    number: u32,
    column: usize,
    focused: bool,
    label: &'a str,
}

impl OptionRow<'_> {
    fn read(row: &str) -> Option<OptionRow<'_>> {
        let unindented = row.trim_start_matches(' ');
        let indent = row.len() - unindented.len();
        let marked = ["› ", "> ", "❯ "]
            .iter()
            .find_map(|mark| unindented.strip_prefix(mark));
        let (number, label) = marked.unwrap_or(unindented).split_once(". ")?;
        let is_number =
            (1..=2).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        let label = label.trim();
        (is_number && !label.is_empty()).then(|| OptionRow {
            number: number.parse().unwrap_or(0),
            column: if marked.is_some() { indent + 2 } else { indent },
            focused: marked.is_some(),
            label,
        })
    }
}

/// The rows above the options that can belong to the dialog: those below the last cell of the history.
fn region(above: &[&str]) -> Range<usize> {
    // "> You are in /tmp" belongs to the trust dialog of ≤ 0.150, "↑" to a list that is scrolled.
    let ends_history =
        |row: &&str| super::starts_cell(row) && !row.starts_with("> ") && *row != "↑";
    let cell = above.iter().rposition(ends_history);
    let start = cell.map_or(0, |cell| {
        // The further rows of that cell end at the first blank row that is followed by another.
        let gap = above[cell..].windows(2).position(|pair| pair == ["", ""]);
        gap.map_or(cell + 1, |gap| cell + gap)
    });
    let first = above[start..].iter().position(|row| !row.is_empty());
    first.map_or(above.len(), |first| start + first)..above.len()
}

/// The kind of the dialog, and the row of its title if that is not the first of the region.
///
/// The options decide, because they are codex's own words; the title confirms. In a form they are the agent's words or a
/// server's, so that a form is nothing but a form whatever it says.
fn kind_and_title(region: &[&str], list: &List) -> (DialogKind, Option<usize>) {
    if list.column != OPTION_COLUMN {
        return form_kind(region);
    }
    for mark in &MARKS {
        let offered = list
            .options
            .iter()
            .any(|choice| choice.label.starts_with(mark.option));
        // The topmost row counts: the subject of an approval is below it and can contain anything.
        let title = region
            .iter()
            .position(|row| heading(row).starts_with(mark.title));
        if offered && title.is_some() {
            return (mark.kind, title);
        }
    }
    (DialogKind::Unknown, None)
}

/// The kind of a dialog with indented options, which codex draws for tools and for questions of the agent.
fn form_kind(region: &[&str]) -> (DialogKind, Option<usize>) {
    match region {
        [first, second, ..]
            if heading(first).starts_with("Field ")
                && heading(second).starts_with("Allow the ") =>
        {
            (DialogKind::ToolApproval, Some(1))
        }
        [first, ..] if heading(first).starts_with(QUESTION) => (DialogKind::Question, Some(1)),
        _ => (DialogKind::Unknown, None),
    }
}

/// A title without what decorates it: `✨` and a hair space, for one.
fn heading(row: &str) -> &str {
    row.trim_start_matches(|letter: char| !letter.is_alphanumeric())
}
