//! The report as one page of HTML that needs nothing else.
//!
//! What agents write is text in it and nothing more: every word goes through [`text`], and the page's own policy allows no
//! script, no image, no connection, and no style but the one that is in it.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::record::{Outcome, Status};

use super::super::look::Look;
use super::super::{report, safe};
use super::patch::{Line, LineKind, Patch, PatchedFile};
use super::span;
use super::story::{Beat, Kind, Span, Story, clock};

const STYLE: &str = include_str!("style.css");
/// How many things that happened are shown of a run, from its beginning and from its end.
const BEATS: usize = 1_000;
/// How many bars a line of time has.
const BARS: usize = 2_000;
/// How many points the plot has.
const POINTS: usize = 1_000;
/// How many characters are shown of something said.
const WORDS: usize = 8_000;
/// How many files are listed.
const FILES: usize = 1_000;
/// A file with more lines is closed at first.
const OPEN_LINES: usize = 400;

/// What the page is made of.
pub(super) struct Told<'a> {
    pub(super) outcome: &'a Outcome,
    pub(super) story: &'a Story,
    pub(super) brief: Option<&'a str>,
    pub(super) patch: Option<&'a Patch>,
}

/// The page.
pub(super) fn of(told: &Told) -> String {
    let mut page = String::new();
    let _written_to_a_string = write_page(&mut page, told);
    page
}

fn write_page(to: &mut String, told: &Told) -> std::fmt::Result {
    let Told { outcome, story, .. } = told;
    let task = text(outcome.task.as_str());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        base64(&Sha256::digest(STYLE))
    );
    write!(
        to,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>{task}: {}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        outcome.status.as_str()
    )?;
    write_head(to, outcome)?;
    write_end(to, outcome)?;
    if let Some(brief) = told.brief {
        to.push_str("<details class=\"card\"><summary>The brief</summary><pre>");
        writeln!(to, "{}</pre></details>", text(&shortened(brief)))?;
    }
    to.push_str("<h2>What it did</h2>\n");
    write_lanes(to, story)?;
    write_beats(to, story)?;
    write_changes(to, told)?;
    let observed = report::observed(outcome, &Look::of_stdout());
    section(to, "What was observed", &observed)?;
    section(to, "What is next", &report::next(outcome))?;
    to.push_str("</body>\n</html>\n");
    Ok(())
}

fn section(to: &mut String, title: &str, words: &str) -> std::fmt::Result {
    if words.trim().is_empty() {
        return Ok(());
    }
    let words = text(words.trim_end());
    writeln!(to, "<h2>{title}</h2>\n<pre class=\"card\">{words}</pre>")
}

fn write_head(to: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let class = match outcome.status {
        Status::Completed => "good",
        Status::NeedsInput | Status::NeedsPermission | Status::BlockedDialog => "warn",
        _ => "bad",
    };
    let (task, run) = (
        text(outcome.task.as_str()),
        text(&outcome.run_id.to_string()),
    );
    let status = outcome.status.as_str().replace('_', " ");
    writeln!(
        to,
        "<header>\n<h1>{task}<span class=\"state {class}\">{status}</span></h1>\n<div class=\"dim mono\">{run}</div>\n</header>"
    )?;
    let mut facts = vec![
        ("took", span(outcome.duration_ms)),
        ("turns", outcome.turns.to_string()),
        ("files", outcome.files_changed.to_string()),
        (
            "lines",
            format!("+{} −{}", outcome.insertions, outcome.deletions),
        ),
    ];
    if let Some(usage) = &outcome.usage {
        facts.push(("tokens", grouped(usage.total_tokens)));
    }
    if let Some(cost) = outcome.budget.as_ref().and_then(|budget| budget.cost_usd) {
        facts.push(("cost", format!("{cost} USD")));
    }
    let version = outcome.agent_version.as_deref().unwrap_or("");
    facts.push(("agent", format!("{} {version}", outcome.executor)));
    facts.push(("began", began(&outcome.started_at)));
    to.push_str("<dl class=\"facts\">\n");
    for (name, value) in facts {
        let value = text(&value);
        writeln!(to, "<div><dt>{name}</dt><dd>{value}</dd></div>")?;
    }
    to.push_str("</dl>\n");
    Ok(())
}

/// `2026-11-27 15:29 UTC`.
fn began(at: &str) -> String {
    let minutes = at.get(..16).unwrap_or(at);
    format!("{} UTC", minutes.replace('T', " "))
}

/// Why it ended, the open question, the agent's last words.
fn write_end(to: &mut String, outcome: &Outcome) -> std::fmt::Result {
    if let Some(error) = &outcome.error {
        let (message, code) = (text(&error.message), text(&error.code));
        let hint = error.hint.as_deref().map(text).unwrap_or_default();
        writeln!(
            to,
            "<div class=\"card\"><strong class=\"bad\">{message}</strong> <span class=\"dim mono\">{code}</span><div>{hint}</div></div>"
        )?;
    }
    if let Some(pending) = &outcome.pending {
        let (kind, words) = (text(&pending.kind), text(&shortened(&pending.text)));
        writeln!(
            to,
            "<div class=\"card\"><strong class=\"warn\">Waits for an answer: {kind}</strong><pre>{words}</pre><ul>"
        )?;
        for option in &pending.options {
            let (label, more) = (text(&option.label), text(&option.description));
            writeln!(to, "<li>{label} <span class=\"dim\">{more}</span></li>")?;
        }
        to.push_str("</ul></div>\n");
    } else if let Some(message) = &outcome.last_message {
        let message = text(&shortened(message.trim()));
        writeln!(
            to,
            "<h2>What the agent says</h2>\n<pre class=\"card\">{message}</pre>"
        )?;
    }
    Ok(())
}

/// The lines of time: turns, tools, waits and tokens.
fn write_lanes(to: &mut String, story: &Story) -> std::fmt::Result {
    if story.length == 0 {
        return Ok(());
    }
    let turns = story.turns.iter().map(|turn| {
        let end = turn.end.as_deref();
        let class = match end {
            Some("failed") => "failed",
            _ => "turn",
        };
        let how = end.unwrap_or("not ended");
        let took = span(turn.span.to - turn.span.from);
        (
            turn.span,
            class,
            format!("turn {}: {how}, {took}", turn.number),
        )
    });
    lane(to, ("turns", story.length), turns)?;
    let tools = story.beats.iter().filter(|beat| beat.kind == Kind::Tool);
    let tools = tools.map(|beat| {
        let from = beat.at.saturating_sub(beat.took.unwrap_or(0));
        let class = if beat.bad { "failed" } else { "tool" };
        (Span { from, to: beat.at }, class, beat.what.clone())
    });
    lane(to, ("tools", story.length), tools)?;
    let waits = story.waits.iter().map(|span| {
        let words = format!("waited {} for an answer", length(span));
        (*span, "wait", words)
    });
    lane(to, ("waits", story.length), waits)?;
    write_plot(to, story)?;
    let (middle, end) = (clock(story.length / 2), clock(story.length));
    writeln!(
        to,
        "<div class=\"axis\"><span>0</span><span>{middle}</span><span>{end}</span></div>"
    )
}

fn length(of: &Span) -> String {
    span(of.to - of.from)
}

/// A place on the line of time, which is 1000 wide.
fn place(at: u64, length: u64) -> f64 {
    (at as f64 * 1000.0 / length.max(1) as f64).min(1000.0)
}

fn lane<'a>(
    to: &mut String,
    (name, length): (&str, u64),
    bars: impl Iterator<Item = (Span, &'a str, String)>,
) -> std::fmt::Result {
    let mut bars = bars.take(BARS).peekable();
    if bars.peek().is_none() {
        return Ok(());
    }
    writeln!(
        to,
        "<div class=\"lane\"><span>{name}</span><svg class=\"bars\" viewBox=\"0 0 1000 20\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{name}\">"
    )?;
    for (span, class, words) in bars {
        // What took no time is to be seen as well.
        let from = place(span.from, length).min(997.0);
        let width = (place(span.to, length) - from).max(3.0);
        let words = text(&shortened(&words));
        writeln!(
            to,
            "<rect class=\"{class}\" x=\"{from:.1}\" y=\"3\" width=\"{width:.1}\" height=\"14\"><title>{words}</title></rect>"
        )?;
    }
    to.push_str("</svg></div>\n");
    Ok(())
}

/// The tokens over the time, in steps.
fn write_plot(to: &mut String, story: &Story) -> std::fmt::Result {
    let most = story.tokens.iter().map(|(_, usage)| usage.total_tokens);
    let Some(most) = most.max().filter(|most| *most > 0) else {
        return Ok(());
    };
    let height = |tokens: u64| 96.0 - tokens as f64 * 92.0 / most as f64;
    let every = story.tokens.len().div_ceil(POINTS).max(1);
    let last = story.tokens.len() - 1;
    let mut line = format!("0,{:.1}", height(0));
    let mut level = height(0);
    for (index, (at, usage)) in story.tokens.iter().enumerate() {
        if index % every == 0 || index == last {
            let x = place(*at, story.length);
            write!(line, " {x:.1},{level:.1}")?;
            level = height(usage.total_tokens);
            write!(line, " {x:.1},{level:.1}")?;
        }
    }
    write!(line, " 1000,{level:.1}")?;
    let most = grouped(most);
    writeln!(
        to,
        "<div class=\"lane\"><span>tokens<br>{most}</span><svg class=\"tall\" viewBox=\"0 0 1000 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"tokens over time, {most} at the end\">\
         <polygon class=\"area\" points=\"0,96 {line} 1000,96\"/><polyline class=\"plot\" vector-effect=\"non-scaling-stroke\" points=\"{line}\"/></svg></div>"
    )
}

fn write_beats(to: &mut String, story: &Story) -> std::fmt::Result {
    let beats = &story.beats;
    to.push_str("<ol class=\"beats\">\n");
    for (index, beat) in beats.iter().enumerate() {
        let left_out = beats.len().saturating_sub(2 * BEATS);
        if left_out > 0 && index == BEATS {
            writeln!(
                to,
                "<li><time></time><i></i><div class=\"dim\">… {left_out} more are in the log …</div></li>"
            )?;
        }
        if index < BEATS || index >= BEATS + left_out {
            write_beat(to, beat)?;
        }
    }
    to.push_str("</ol>\n");
    Ok(())
}

fn write_beat(to: &mut String, beat: &Beat) -> std::fmt::Result {
    let class = if beat.bad { "wrong" } else { beat.kind.name() };
    let (at, what) = (clock(beat.at), text(&shortened(&beat.what)));
    write!(
        to,
        "<li><time>{at}</time><i class=\"{class}\"></i><div>{what}"
    )?;
    if let Some(took) = beat.took {
        write!(to, " <span class=\"dim\">{}</span>", span(took))?;
    }
    if !beat.words.is_empty() {
        let words = text(&shortened(beat.words.trim_end()));
        write!(to, "<pre class=\"words\">{words}</pre>")?;
    }
    to.push_str("</div></li>\n");
    Ok(())
}

fn write_changes(to: &mut String, told: &Told) -> std::fmt::Result {
    let outcome = told.outcome;
    to.push_str("<h2>What changed</h2>\n");
    if outcome.files.is_empty() {
        to.push_str("<p class=\"dim\">No file.</p>\n");
    } else {
        to.push_str("<table>\n");
        for file in outcome.files.iter().take(FILES) {
            let status = serde_json::to_value(file.status).unwrap_or_default();
            let (status, path) = (status.as_str().unwrap_or("?").to_owned(), text(&file.path));
            let numbers = if file.binary {
                "binary".to_owned()
            } else {
                let (added, removed) = (file.insertions, file.deletions);
                format!(
                    "<span class=\"good\">+{added}</span> <span class=\"bad\">−{removed}</span>"
                )
            };
            writeln!(
                to,
                "<tr><td class=\"mono\">{status}</td><td class=\"mono\">{path}</td><td class=\"num\">{numbers}</td></tr>"
            )?;
        }
        to.push_str("</table>\n");
        let more = outcome.files_changed.saturating_sub(FILES);
        if more > 0 {
            writeln!(to, "<p class=\"dim\">… and {more} more</p>")?;
        }
    }
    for commit in &outcome.commits {
        let (id, summary) = (commit.id.to_string(), text(&commit.summary));
        writeln!(
            to,
            "<div class=\"mono\"><span class=\"dim\">commit {id:.12}</span> {summary}</div>"
        )?;
    }
    let Some(patch) = told.patch else {
        return Ok(());
    };
    for file in &patch.files {
        write_file(to, file)?;
    }
    if patch.is_cut {
        to.push_str("<p class=\"warn\">The diff goes on: this page has only its beginning.</p>\n");
    }
    Ok(())
}

fn write_file(to: &mut String, file: &PatchedFile) -> std::fmt::Result {
    let open = if file.lines.len() <= OPEN_LINES {
        " open"
    } else {
        ""
    };
    let path = text(&file.path);
    writeln!(
        to,
        "<details class=\"file\"{open}><summary class=\"mono\">{path}</summary>"
    )?;
    if !file.notes.is_empty() {
        let notes = text(&file.notes.join(", "));
        writeln!(to, "<div class=\"note\">{notes}</div>")?;
    }
    if !file.lines.is_empty() {
        to.push_str("<pre class=\"diff\">");
        for line in &file.lines {
            write_line(to, line)?;
        }
        to.push_str("</pre>\n");
    }
    if file.left_out > 0 {
        let left_out = file.left_out;
        writeln!(
            to,
            "<div class=\"note\">… {left_out} more lines of this file are not shown</div>"
        )?;
    }
    to.push_str("</details>\n");
    Ok(())
}

fn write_line(to: &mut String, line: &Line) -> std::fmt::Result {
    let (class, mark) = match line.kind {
        LineKind::Hunk => ("h", ""),
        LineKind::Same => ("s", " "),
        LineKind::Added => ("a", "+"),
        LineKind::Removed => ("r", "-"),
        LineKind::Note => ("n", ""),
    };
    let number = line.number.map(|n| n.to_string()).unwrap_or_default();
    let words = text(&line.text);
    write!(
        to,
        "<span class=\"{class}\" data-n=\"{number}\">{mark}{words}\n</span>"
    )
}

/// A text as it may stand in the page: without keys, without control characters, and nothing in it is markup.
fn text(raw: &str) -> String {
    let mut escaped = String::with_capacity(raw.len());
    for c in safe(raw).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn shortened(words: &str) -> String {
    match words.char_indices().nth(WORDS) {
        None => words.to_owned(),
        Some((end, _)) => {
            let more = words[end..].chars().count();
            format!("{}\n… {more} more characters", &words[..end])
        }
    }
}

/// A number with its thousands apart: `12 345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4_usize {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
