//! The colours of a report.

use super::headline;
use crate::cli::look::{self, BOLD, Look};
use crate::record::Status;

/// A report in colours. Its own headings alone begin in the first column: the words of others are indented.
pub(super) fn of(text: &str, status: Status, look: &Look) -> String {
    if !look.colour {
        return text.to_owned();
    }
    let (mut drawn, mut heading) = (String::new(), "");
    for (at, line) in text.lines().enumerate() {
        let own = line.split_once(':').filter(|_| !line.starts_with(' '));
        let changes = |line: &str| numbers(line).filter(|_| heading == "changes").is_some();
        drawn += &match (at, own) {
            (0, _) => {
                let (words, rest) = line.split_at(headline(status).len());
                look.paint(look::of_status(status.as_str()).bold(), words) + rest
            }
            (_, Some((words, rest))) => {
                heading = words;
                format!("{}:{}", look.paint(BOLD, words), painted(rest, look))
            }
            (_, None) if changes(line) => painted(line, look),
            _ => line.to_owned(),
        };
        drawn.push('\n');
    }
    drawn
}

/// Where `+N -M` stands in a line, and what follows it.
fn numbers(line: &str) -> Option<(&str, &str, &str, &str)> {
    let (before, rest) = line.rsplit_once(" +")?;
    let (added, rest) = rest.split_once(" -")?;
    let end = rest.find(',').unwrap_or(rest.len());
    let (removed, after) = rest.split_at(end);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (is_number(added) && is_number(removed)).then_some((before, added, removed, after))
}

fn painted(line: &str, look: &Look) -> String {
    let Some((before, added, removed, after)) = numbers(line) else {
        return line.to_owned();
    };
    let added = look.paint(look::ADDED, &format!("+{added}"));
    let removed = look.paint(look::REMOVED, &format!("-{removed}"));
    format!("{before} {added} {removed}{after}")
}
