//! The composer: the row that begins with `›` at the bottom, and the rows around it.

use std::sync::LazyLock;

use regex::Regex;

use super::{View, plain, rows, starts_cell};

/// A composer that waits for a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composer {
    /// Its text, rows joined by newlines as they are wrapped; `None` for the placeholder, which codex draws dim.
    ///
    /// A text that equals one of codex's known placeholders reads as `None`: on a plain screen they look the same.
    pub text: Option<String>,
    /// The model as the status row names it, with its effort: `gpt-5.5 default`.
    pub model: String,
}

/// The placeholders of an empty composer.
///
/// Source: codex 0.150.0 and 0.169.0 (the first), 0.130.0 (one of the others at each start).
const PLACEHOLDERS: [&str; 9] = [
    "Ask Codex to do anything",
    "Explain this codebase",
    "Summarize recent commits",
    "Implement {feature}",
    "Find and fix a bug in @filename",
    "Write tests for @filename",
    "Improve documentation in @filename",
    "Run /review on my current changes",
    "Use /skills to list available skills",
];

/// `• Working (1m 05s • esc to interrupt)`; the word changes (`Reconnecting... 1/1`, `Starting MCP servers …`).
static WORKING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[•◦] .+ \((?:\d+[hm] )*\d+s • esc to interrupt\)").expect("the pattern is valid")
});

/// `  gpt-5.5 default · /tmp/cx-demo`: the first two items of the status row.
static STATUS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^  (\S+(?: \S+)*) · [~/]").expect("the pattern is valid"));

/// A text at least this high can be scrolled: codex then shows its end only.
///
/// Source: codex 0.130.0 and 0.150.0 show 46 rows, 0.169.0 shows 31 and no status row.
const SCROLLED_ROWS: usize = 20;

/// How the composer divides the bottom of the screen.
struct Layout<'a> {
    /// The rows of the text, without the two columns of the margin.
    text: Vec<&'a str>,
    /// The rows below it: status and hints.
    footer: &'a [&'a str],
    /// The rows above it.
    above: &'a [&'a str],
}

impl<'a> Layout<'a> {
    fn find(rows: &'a [&'a str]) -> Option<Layout<'a>> {
        let start = rows.iter().rposition(|row| starts_cell(row))?;
        if rows[start] != "›" && !rows[start].starts_with("› ") {
            return None;
        }
        let below = &rows[start..];
        // A blank row is between text and footer; without one, the text fills the screen.
        let end = below
            .iter()
            .rposition(|row| row.is_empty())
            .unwrap_or(below.len());
        let margin = |row: &&'a str| {
            let text = row.strip_prefix('›').unwrap_or(row);
            text.strip_prefix("  ")
                .or(text.strip_prefix(' '))
                .unwrap_or(text)
        };
        let mut text: Vec<&str> = below[..end].iter().map(margin).collect();
        while text.last().is_some_and(|row| row.is_empty()) {
            text.pop();
        }
        Some(Layout {
            text,
            footer: below.get(end + 1..).unwrap_or_default(),
            above: &rows[..start],
        })
    }

    fn model(&self) -> Option<&'a str> {
        let status = STATUS.captures(self.footer.first()?)?;
        status.get(1).map(|model| model.as_str())
    }

    /// Whether keys go to the transcript above instead (≥ 0.160, after Esc Esc).
    fn is_browsing(&self) -> bool {
        let hints = self.footer.iter().map(|row| row.trim_start());
        hints.into_iter().any(|hint| {
            ["Browsing transcript", "Find", "No matches"]
                .iter()
                .any(|mode| hint.starts_with(mode))
        })
    }

    /// Whether the row with `esc to interrupt` is between the history and the composer.
    fn is_working(&self) -> bool {
        for row in self.above.iter().rev() {
            if WORKING.is_match(row) {
                return true;
            }
            // Prompts that wait for the turn are between that row and the composer.
            let waits =
                row.starts_with("• Messages to be submitted") || row.starts_with("• Queued");
            // ≥ 0.160 closes a turn with `Worked for 4s • 21:27`, so that the cell above it is not the row either.
            if (starts_cell(row) && !waits) || row.starts_with("  Worked for ") {
                return false;
            }
        }
        false
    }

    /// Whether the header still says `loading`. It counts only while nothing has been asked: later it is history.
    fn header_is_loading(&self) -> bool {
        let asked = self.above.iter().any(|row| row.starts_with("› "));
        let header = self
            .above
            .iter()
            .position(|row| row.contains(">_ OpenAI Codex (v"));
        !asked
            && header.is_some_and(|at| {
                let below = self.above[at + 1..].iter().take(3);
                let mut cells = below.map(|row| row.trim_matches(['│', ' ']));
                cells.any(|cell| cell == "loading" || cell.starts_with("model:     loading"))
            })
    }
}

pub(super) fn read(rows: &[&str], is_dimmed: bool) -> View {
    let Some(layout) = Layout::find(rows) else {
        return View::Other;
    };
    if layout.is_browsing() {
        return View::Other;
    }
    if layout.is_working() {
        return View::Working;
    }
    match layout.model() {
        Some(model) if !layout.header_is_loading() => {
            let text = layout.text.join("\n");
            let is_text = !is_dimmed && !text.is_empty() && !PLACEHOLDERS.contains(&text.as_str());
            View::Composer(Composer {
                text: is_text.then_some(text),
                model: model.to_owned(),
            })
        }
        _ => View::Loading,
    }
}

/// Whether there is a composer, and no text in it: also while a turn runs.
pub(crate) fn has_empty_composer(screen: &str) -> bool {
    let text = plain(screen);
    let rows = rows(&text);
    Layout::find(&rows).is_some_and(|layout| {
        let text = layout.text.join("\n");
        !layout.is_browsing()
            && (text.is_empty() || is_dimmed(screen) || PLACEHOLDERS.contains(&text.as_str()))
    })
}

/// Whether the text of the last row with an arrow is dim, on a screen with its attributes: then it is a placeholder.
///
/// Source: codex 0.130.0, 0.150.0 and 0.169.0, with `NO_COLOR` too: `ESC[1m›ESC[0m ESC[2mAsk Codex to do anything`.
pub(super) fn is_dimmed(screen: &str) -> bool {
    let row = screen.lines().rfind(|row| plain(row).starts_with('›'));
    let Some((_, text)) = row.and_then(|row| row.split_once('›')) else {
        return false;
    };
    let mut dim = false;
    let mut rest = text.trim_start();
    while let Some(sequence) = rest.strip_prefix("\x1b[") {
        let Some((parameters, after)) = sequence.split_once('m') else {
            return false;
        };
        for parameter in parameters.split(';') {
            match parameter {
                "2" => dim = true,
                "" | "0" | "22" => dim = false,
                _ => {}
            }
        }
        rest = after.trim_start();
    }
    dim
}

/// Whether codex is starting MCP servers: it accepts a prompt in the meantime and begins when they are ready.
///
/// Source: codex 0.130.0 and 0.150.0, `tests/screens`.
pub(crate) fn awaits_servers(screen: &str) -> bool {
    let screen = plain(screen);
    let rows = rows(&screen);
    let row = rows.iter().rfind(|row| WORKING.is_match(row));
    row.is_some_and(|row| row.contains(" MCP server"))
}

/// Whether the composer contains a pasted prompt and nothing else, whatever else the screen shows.
///
/// White space is not compared: codex wraps long lines, drops tabs or shows them as spaces. Nor are characters beyond
/// ASCII that the terminal has dropped, such as marks of direction; it adds none. Of a text higher than the composer its
/// end is compared; of one of more than 1000 characters codex shows the number only.
///
/// Source: codex 0.130.0, 0.150.0 and 0.169.0: `[Pasted Content 1204 chars]` counts Unicode scalar values, those of
/// the final newline included; of several with that number the second gets a ` #2`.
pub fn composer_holds(screen: &str, prompt: &str) -> bool {
    let screen = plain(screen);
    let rows = rows(&screen);
    let Some(layout) = Layout::find(&rows) else {
        return false;
    };
    let mut text = layout.text.clone();
    if text.len() + layout.footer.len() >= SCROLLED_ROWS && layout.model().is_none() {
        // No status row: the last blank row is one of the text.
        text.extend(layout.footer);
    }
    let held: String = text.iter().copied().map(without_arrow).collect();
    is_shown_as(&held, prompt, text.len() >= SCROLLED_ROWS)
}

/// Whether a field of codex's may show a text so, of one that is scrolled the end.
pub(super) fn is_shown_as(held: &str, text: &str, is_scrolled: bool) -> bool {
    let count = text.chars().count();
    let placeholder = format!("[Pasted Content {count} chars]");
    if let Some(number) = held.trim().strip_prefix(&placeholder) {
        return number.is_empty() || number.starts_with(" #");
    }
    let squeeze = |text: &str| -> String { text.split_whitespace().collect() };
    let (held, text) = (squeeze(held), squeeze(text));
    let ascii = |text: &str| -> String { text.chars().filter(char::is_ascii).collect() };
    let (tail, whole) = (ascii(&held), ascii(&text));
    // A field of many rows shows the end of its text; no person types a long end of ours by chance.
    let is_end = (is_scrolled || tail.len() >= LONG_END) && whole.ends_with(&tail);
    !held.is_empty() && (is_shown(&held, &text) || is_end)
}

/// An end of a prompt of this length is no coincidence, in characters without blanks.
const LONG_END: usize = 64;

/// Whether a terminal may show a text so. Where characters are joined to one, codex and tmux differ in how wide it is, and a
/// cell or two of what stood there before is left.
///
/// Source: codex 0.130.0 in tmux 3.3a: of a rainbow flag over the placeholder `Use /skills to …` an `e` is left behind it.
fn is_shown(held: &str, text: &str) -> bool {
    let ascii = |text: &str| -> String { text.chars().filter(char::is_ascii).collect() };
    let beyond = |text: &str| text.chars().filter(|c| !c.is_ascii()).count();
    let joins = |c: &char| matches!(c, '\u{200d}' | '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}');
    let left = 2 * text.chars().filter(joins).count();
    held == text || (beyond(held) <= beyond(text) && has_more(&ascii(held), &ascii(text), left))
}

/// Whether one text is the other with at most this many additional characters.
fn has_more(long: &str, short: &str, at_most: usize) -> bool {
    let mut letters = long.chars();
    let is_within = short
        .chars()
        .all(|letter| letters.any(|other| other == letter));
    is_within && long.len() - short.len() <= at_most
}

/// A row without the arrow that ≥ 0.160 draws in the last column where there is more above or below.
fn without_arrow(row: &str) -> &str {
    ["  ↑", "  ↓"]
        .iter()
        .find_map(|arrow| row.strip_suffix(arrow))
        .unwrap_or(row)
}
