//! Lines that codex writes between the header, the history and the composer.

use std::sync::LazyLock;

use regex::Regex;

use super::{dialog, plain, rows, starts_cell};

/// `• Blocked by hook` (0.169), `• UserPromptSubmit hook (blocked)` (before), the reason in the rows below.
static BLOCKED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^[•◦] (?:Blocked by hook|Hook stopped|(?:UserPromptSubmit|SessionStart) hook \((?:blocked|stopped)\))$",
    )
    .expect("the pattern is valid")
});

/// `◦ Running Stop hook`, `• Running 2 Stop hooks`
static RUNNING_HOOKS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[•◦] Running (?:\d+ )?\w+ hooks?$").expect("the pattern is valid")
});

/// Whether the row above the composer says that hooks run. An agent's last message may look the same.
///
/// Source: codex 0.130.0 and 0.150.0 with Stop hooks that take seconds; 0.169.0 says that it is working.
pub fn runs_hooks(screen: &str) -> bool {
    let screen = plain(screen);
    let rows = rows(&screen);
    let composer = rows.iter().rposition(|row| row.starts_with('›'));
    let above = rows[..composer.unwrap_or(rows.len())].iter().rev();
    let mut last = above.filter(|row| !row.is_empty());
    last.next().is_some_and(|row| RUNNING_HOOKS.is_match(row))
}

/// The last block that begins with `■` below the last prompt, without the mark, its rows joined by one space.
///
/// codex reports there what ended a turn early: an HTTP status, a cut stream, an interruption. A block above the last
/// prompt belongs to an earlier turn and is not returned, nor is any while a dialog is up: the turn continues. One that belongs to this turn can have scrolled away, or be
/// from a request that was repeated with success later: the transcript decides whether the turn failed.
pub fn error_line(screen: &str) -> Option<String> {
    let screen = plain(screen);
    let rows = rows(&screen);
    if dialog::read(&rows).is_some() {
        return None;
    }
    let composer = rows.iter().rposition(|row| starts_cell(row))?;
    let composer = if rows[composer].starts_with('›') {
        composer
    } else {
        rows.len()
    };
    let prompt = rows[..composer]
        .iter()
        .rposition(|row| row.starts_with("› "))
        .map_or(0, |at| at + 1);
    let history = rows.get(prompt..composer)?;
    let start = history.iter().rposition(|row| row.starts_with("■ "))?;
    let block = &history[start..];
    let further = block[1..]
        .iter()
        .take_while(|row| !row.is_empty() && !row.starts_with("› "));
    let words: Vec<&str> = std::iter::once(block[0].trim_start_matches("■ "))
        .chain(further.map(|row| row.trim()))
        .collect();
    Some(words.join(" "))
}

/// Why a hook refused the prompt that was sent last; empty where it gave no reason.
///
/// Only the last block above the composer counts: another hook may have refused something earlier.
/// Source: codex 0.130.0, 0.150.0 and 0.169.0 with a hook that blocks by its exit status or by JSON
/// (`tests/scenarios/refusals.rs`).
pub fn blocked_prompt(screen: &str) -> Option<String> {
    let screen = plain(screen);
    let rows = rows(&screen);
    if dialog::read(&rows).is_some() {
        return None;
    }
    let composer = rows.iter().rposition(|row| row.starts_with('›'));
    let history = &rows[..composer.unwrap_or(rows.len())];
    let at = history.iter().rposition(|row| BLOCKED.is_match(row))?;
    // A long reason continues in the first column.
    let (reason, after) = match history[at + 1..].iter().position(|row| row.is_empty()) {
        Some(length) => history[at + 1..].split_at(length),
        None => (&history[at + 1..], &[][..]),
    };
    if after.iter().any(|row| starts_cell(row)) {
        return None;
    }
    let words: Vec<&str> = reason.iter().map(|row| row.trim()).collect();
    let words = words.join(" ");
    let marks = ["└ ", "feedback: ", "stop: "];
    Some(
        marks
            .iter()
            .fold(words.as_str(), |words, mark| {
                words.strip_prefix(mark).unwrap_or(words)
            })
            .to_owned(),
    )
}

/// Why a hook stopped the turn, if that is what interrupted it; empty where it gave no reason.
///
/// Source: codex 0.169.0 with a `PreCompact` hook that says `continue: false`, `tests/scenarios/user_hooks.rs`.
pub fn stopped_turn(screen: &str) -> Option<String> {
    let screen = plain(screen);
    let rows = rows(&screen);
    let at = rows
        .iter()
        .rposition(|row| row.starts_with("■ Conversation interrupted"))?;
    // The interruption in place of the composer.
    let above = format!("{}\n›", rows[..at].join("\n"));
    rows[..at]
        .iter()
        .rfind(|row| starts_cell(row))
        .filter(|row| row.ends_with(" Hook stopped"))
        .and_then(|_| blocked_prompt(&above))
}

/// What codex says that it does in a turn, where it is something else than its work: that it waits for the network, or
/// tries a request again, and why.
///
/// Source: codex 0.130.0 and 0.169.0, `• Reconnecting... 1/1 (0s • esc to interrupt)`, below it `└` and the reason;
/// 0.169.0 without a server at the API's port, `Reconnecting... waiting for network`.
pub fn trouble(screen: &str) -> Option<String> {
    let screen = plain(screen);
    let rows = rows(&screen);
    let at = rows
        .iter()
        .rposition(|row| row.contains("esc to interrupt)"))?;
    let (doing, _) = rows[at].split_once(" (")?;
    let doing = doing.trim_start_matches(['•', '◦', ' ']);
    if !doing.starts_with("Reconnecting") {
        return None;
    }
    let reason = rows
        .get(at + 1)
        .and_then(|row| row.trim_start().strip_prefix("└ "));
    Some(match reason {
        Some(reason) => format!("{doing}: {reason}"),
        None => doing.to_owned(),
    })
}
