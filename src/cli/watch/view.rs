//! The screen, drawn from what is known: no terminal, no clock.

use std::time::Duration;

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style};
use ratatui_core::text::Span;

use super::super::look::time::took;
use super::super::reporting::patch::LineKind;
use super::model::{Diff, DiffLine, Mode, Model, Purpose, Row};

/// The least height that has room for words of the chosen run.
const TALL: u16 = 16;
/// The keys, each with what it does: the most wanted first.
const KEYS: [(&str, &str); 10] = [
    ("?", "help"),
    ("a", "attach"),
    ("r", "reply"),
    ("y/n", "allow, deny"),
    ("d", "diff"),
    ("x", "abort"),
    ("f", "filter"),
    ("q", "quit"),
    ("j/k", "down, up"),
    ("g/G", "first, last"),
];
const HELP: [(&str, &str); 12] = [
    ("j k ↓ ↑", "the run below, above; also PgDn, PgUp, g, G"),
    ("a Enter", "join the agent's terminal; Ctrl-b d comes back"),
    ("r", "reply to the question that the run waits with"),
    ("y", "allow what the agent asks for"),
    ("n", "deny it, with a word for the agent"),
    ("d", "the diff of a run that has ended"),
    ("x", "end the run, its work is kept; asks before"),
    (
        "f /",
        "filter by task, state, agent or repository; Esc: all",
    ),
    ("Ctrl-z", "suspend"),
    ("q Ctrl-c", "quit; the runs go on"),
    ("", ""),
    ("any key", "closes this page"),
];

/// How it is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// In milliseconds since 1970.
    pub(super) now: u64,
    pub(super) has_colours: bool,
    /// Whether the locale has more than ASCII.
    pub(super) has_unicode: bool,
}

impl Look {
    fn of(self, color: Color) -> Style {
        match self.has_colours {
            true => Style::new().fg(color),
            false => Style::new(),
        }
    }

    fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn of_status(self, status: &str) -> Style {
        match status {
            "running" => self.of(Color::Cyan),
            "waiting" | "needs_input" | "needs_permission" | "blocked_dialog" => {
                self.of(Color::Yellow).add_modifier(Modifier::BOLD)
            }
            "completed" => self.of(Color::Green),
            "queued" => self.dim(),
            "orphaned" => self.of(Color::Magenta),
            _ => self.of(Color::Red),
        }
    }
}

/// The rows of the list that a screen of that size shows.
pub(super) fn page(model: &Model, area: Rect) -> usize {
    match model.mode {
        Mode::Diff(_) => area.height.saturating_sub(2).into(),
        _ => area.height.saturating_sub(2 + detail(model, area)).into(),
    }
}

/// The height of what is told of the chosen run.
fn detail(model: &Model, area: Rect) -> u16 {
    let asks = model.chosen().is_some_and(|row| row.question.is_some());
    match area.height {
        0..8 => 0,
        8..TALL if asks => 3,
        8..TALL => 0,
        height => (height / 3).min(10),
    }
}

pub(super) fn draw(model: &mut Model, look: Look, area: Rect, to: &mut Buffer) {
    draw_all(model, look, area, to);
    if look.has_unicode {
        return;
    }
    for cell in &mut to.content {
        let ascii = match cell.symbol() {
            symbol if symbol.is_ascii() => continue,
            "…" => "~",
            "─" => "-",
            "▏" => "_",
            _ => "?",
        };
        cell.set_symbol(ascii);
    }
}

fn draw_all(model: &mut Model, look: Look, area: Rect, to: &mut Buffer) {
    if area.width == 0 || area.height == 0 {
        return;
    }
    let top = first_row(model, page(model, area));
    model.top = top;
    match &model.mode {
        Mode::Help => return draw_help(look, area, to),
        Mode::Diff(diff) => return draw_diff(diff, look, area, to),
        _ => {}
    }
    draw_title(model, area, to);
    let height = page(model, area);
    let columns = Columns::of(model, area.width);
    let chosen = model.chosen_place();
    let rows = model.shown();
    for (index, row) in rows.iter().enumerate().skip(top).take(height) {
        let y = u16::try_from(index - top).unwrap_or(u16::MAX) + 1;
        let line = Rect::new(0, y, area.width, 1);
        draw_row(row, (&columns, look), line, to);
        if index == chosen {
            to.set_string(0, y, ">", Style::new());
            to.set_style(line, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
    if rows.is_empty() && area.height > 2 {
        let why = match model.all().is_empty() {
            true => "no runs yet",
            false => "no run matches the filter; Esc shows all",
        };
        put(to, (2, 1), (why, area.width.saturating_sub(2)), look.dim());
    }
    let height = detail(model, area);
    if height > 0 {
        let y = area.height - 1 - height;
        draw_detail(model, look, Rect::new(0, y, area.width, height), to);
    }
    draw_foot(model, look, area, to);
}

/// The first row that is shown, so that the chosen one is.
fn first_row(model: &Model, height: usize) -> usize {
    let (chosen, count) = (model.chosen_place(), model.shown().len());
    let top = model.top.min(count.saturating_sub(height));
    match height {
        0 => chosen,
        _ => top.min(chosen).max((chosen + 1).saturating_sub(height)),
    }
}

/// Draws a text, cut to a width; returns the column behind it.
fn put(to: &mut Buffer, (x, y): (u16, u16), (text, width): (&str, u16), style: Style) -> u16 {
    if Span::raw(text).width() <= usize::from(width) {
        return to.set_stringn(x, y, text, width.into(), style).0;
    }
    if width == 0 {
        return x;
    }
    let (end, _) = to.set_stringn(x, y, text, usize::from(width) - 1, style);
    to.set_stringn(end, y, "…", 1, style).0
}

fn draw_title(model: &Model, area: Rect, to: &mut Buffer) {
    let count =
        |wanted: &dyn Fn(&Row) -> bool| model.all().iter().filter(|row| wanted(row)).count();
    let waiting = count(&|row| row.status == "waiting");
    let running = count(&|row| row.status == "running");
    let queued = count(&|row| row.status == "queued");
    let mut title = format!("{running} running, {waiting} waiting");
    if queued > 0 {
        title.push_str(&format!(", {queued} queued"));
    }
    let others = model.all().len() - waiting - running - queued;
    title.push_str(&format!(", {others} others"));
    if !model.filter.is_empty() && model.mode != Mode::Filter {
        title = format!("filter: {}  ({title})", model.filter);
    }
    let bold = Style::new().add_modifier(Modifier::BOLD);
    put(to, (0, 0), (&title, area.width), bold);
}

/// The widths of the columns; 0 for one that is left out.
#[derive(Debug)]
struct Columns {
    task: u16,
    turn: u16,
    tokens: u16,
    cost: u16,
    last: u16,
}

const STATE: u16 = 9;
const TIME: u16 = 8;

impl Columns {
    fn of(model: &Model, width: u16) -> Self {
        let of_all = model.all();
        let longest = of_all.iter().map(|row| Span::raw(&row.task).width());
        let longest = u16::try_from(longest.max().unwrap_or(0)).unwrap_or(u16::MAX);
        // The mark, the state and the time, with a blank behind each.
        let rest = width.saturating_sub(2 + STATE + 1 + TIME + 1);
        let mut columns = Self {
            task: rest,
            turn: 0,
            tokens: 0,
            cost: 0,
            last: 0,
        };
        if width < 60 {
            return columns;
        }
        (columns.turn, columns.tokens) = (3, 7);
        if width >= 110 && of_all.iter().any(|row| row.cost.is_some()) {
            columns.cost = 9;
        }
        let cost = columns.cost + u16::from(columns.cost > 0);
        let rest = rest.saturating_sub(columns.turn + 1 + columns.tokens + 1 + cost);
        columns.task = longest.clamp(8, rest / 3);
        columns.last = rest.saturating_sub(columns.task + 1);
        columns
    }
}

fn draw_row(row: &Row, (columns, look): (&Columns, Look), line: Rect, to: &mut Buffer) {
    let y = line.y;
    let mut x = 2;
    let mut cell = |text: &str, width: u16, style: Style, is_number: bool| {
        if width == 0 {
            return;
        }
        let blank = match is_number {
            true => width.saturating_sub(u16::try_from(text.chars().count()).unwrap_or(width)),
            false => 0,
        };
        put(to, (x + blank, y), (text, width - blank), style);
        x += width + 1;
    };
    let plain = Style::new();
    let style = look.of_status(&row.status);
    cell(state_of(row), STATE, style, false);
    cell(&row.task, columns.task, plain, false);
    let turn = match row.turn {
        0 => String::new(),
        turn => turn.to_string(),
    };
    cell(&turn, columns.turn, plain, true);
    let time = match (row.took, row.began) {
        (Some(ms), _) => took(Duration::from_millis(ms)),
        (None, Some(began)) if row.is_live() => took(whole_seconds(look.now, began)),
        _ => String::new(),
    };
    cell(&time, TIME, plain, true);
    let tokens = row.tokens.map(short).unwrap_or_default();
    cell(&tokens, columns.tokens, plain, true);
    let cost = row.cost.as_ref().map(|cost| format!("${cost}"));
    cell(&cost.unwrap_or_default(), columns.cost, plain, true);
    let asked = row.question.as_ref().map(|question| one(&question.text));
    match asked {
        Some(asked) => cell(&asked, columns.last, look.of(Color::Yellow), false),
        None => cell(&row.last, columns.last, look.dim(), false),
    }
}

/// Nothing shorter than a second is shown of a time that goes on.
fn whole_seconds(now: u64, began: u64) -> Duration {
    Duration::from_secs(now.saturating_sub(began) / 1000)
}

fn state_of(row: &Row) -> &str {
    match row.status.as_str() {
        "running" if !row.phase.is_empty() => &row.phase,
        "completed" => "done",
        "needs_input" | "needs_permission" => "asked",
        "blocked_dialog" => "blocked",
        "turn_cap" => "turn cap",
        "over_budget" => "budget",
        "agent_failed" => "failed",
        "agent_died" => "died",
        "timed_out" => "timed out",
        status => status,
    }
}

/// `950`, `12.3k`, `4.5M`.
fn short(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        1000..1_000_000 => format!("{}.{}k", number / 1000, number % 1000 / 100),
        _ => format!("{}.{}M", number / 1_000_000, number % 1_000_000 / 100_000),
    }
}

fn one(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn draw_detail(model: &Model, look: Look, area: Rect, to: &mut Buffer) {
    let Some(row) = model.chosen() else { return };
    let rule = "─".repeat(area.width.into());
    put(to, (0, area.y), (&rule, area.width), look.dim());
    let name = format!(" {}  {}  {} ", row.run_id, row.executor, row.repository);
    put(
        to,
        (2, area.y),
        (&name, area.width.saturating_sub(4)),
        look.dim(),
    );
    let (words, style) = match &row.question {
        Some(question) => (question.text.as_str(), look.of(Color::Yellow)),
        None => (row.words.as_str(), Style::new()),
    };
    let lines = wrapped(words, area.width);
    let room = usize::from(area.height - 1);
    for (index, line) in lines.iter().take(room).enumerate() {
        let y = area.y + 1 + u16::try_from(index).unwrap_or(0);
        put(to, (0, y), (line, area.width), style);
        if index + 1 == room && lines.len() > room {
            put(to, (area.width - 1, y), ("…", 1), style);
        }
    }
}

/// The lines of a text at that width, broken at blanks where there are some.
fn wrapped(text: &str, width: u16) -> Vec<String> {
    let width = usize::from(width.max(2));
    let mut lines = Vec::new();
    for line in text.lines() {
        let (mut current, mut used, mut blank) = (String::new(), 0, None);
        for c in line.chars() {
            let size = Span::raw(c.to_string()).width();
            if used + size > width {
                let rest = blank.map_or_else(String::new, |at| current.split_off(at));
                lines.push(std::mem::replace(&mut current, rest));
                (used, blank) = (Span::raw(current.as_str()).width(), None);
            }
            current.push(c);
            used += size;
            if c == ' ' {
                blank = Some(current.len());
            }
        }
        lines.push(current);
    }
    lines
}

fn draw_foot(model: &Model, look: Look, area: Rect, to: &mut Buffer) {
    let y = area.height - 1;
    let name = |run: &str| {
        let row = model.all().iter().find(|row| row.run_id == *run);
        row.map_or_else(String::new, |row| row.task.clone())
    };
    let line = match &model.mode {
        Mode::Filter => format!("filter: {}▏", model.filter),
        Mode::Typing {
            run, purpose, text, ..
        } => {
            let what = match purpose {
                Purpose::Reply => "reply to",
                Purpose::Deny => "deny, and say to",
            };
            let begin = format!("{what} {}: ", name(run));
            let room = usize::from(area.width).saturating_sub(Span::raw(&begin).width() + 1);
            format!("{begin}{}▏", tail(text, room))
        }
        Mode::Late => "the question is no longer open: Esc goes back".to_owned(),
        Mode::Abort(run) => format!("end {}? y: yes, its work is kept", name(run)),
        _ if !model.message.is_empty() => model.message.clone(),
        _ => return draw_keys(look, (y, area.width), to),
    };
    let style = Style::new().add_modifier(Modifier::BOLD);
    put(to, (0, y), (&line, area.width), style);
}

/// The end of a text that has room.
fn tail(text: &str, room: usize) -> &str {
    let starts = text.char_indices().map(|(at, _)| &text[at..]);
    let fits = |rest: &&str| Span::raw(*rest).width() <= room;
    starts.chain([""]).find(fits).unwrap_or("")
}

fn draw_keys(look: Look, (y, width): (u16, u16), to: &mut Buffer) {
    let mut x = 0;
    for (key, what) in KEYS {
        let needed = u16::try_from(key.len() + 1 + what.len()).unwrap_or(width);
        if x + needed > width {
            break;
        }
        let bold = Style::new().add_modifier(Modifier::BOLD);
        x = put(to, (x, y), (key, width - x), bold);
        x = put(to, (x + 1, y), (what, width - x), look.dim()) + 2;
    }
}

fn draw_help(look: Look, area: Rect, to: &mut Buffer) {
    for (index, (keys, what)) in HELP.iter().enumerate() {
        let y = u16::try_from(index).unwrap_or(u16::MAX);
        if y >= area.height {
            break;
        }
        let bold = look.of(Color::Cyan).add_modifier(Modifier::BOLD);
        put(to, (1, y), (keys, area.width.saturating_sub(1)), bold);
        let room = area.width.saturating_sub(11);
        put(to, (11, y), (what, room), Style::new());
    }
}

fn draw_diff(diff: &Diff, look: Look, area: Rect, to: &mut Buffer) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    put(to, (0, 0), (&diff.title, area.width), bold);
    let height = area.height.saturating_sub(2);
    let lines = diff.lines.iter().skip(diff.top).take(height.into());
    for (y, line) in (1..).zip(lines) {
        let (mark, text, style) = match line {
            DiffLine::Heading(text) => ("", text, bold),
            DiffLine::Line(line) => {
                let (mark, style) = match line.kind {
                    LineKind::Hunk => ("", look.of(Color::Cyan)),
                    LineKind::Same => (" ", Style::new()),
                    LineKind::Added => ("+", look.of(Color::Green)),
                    LineKind::Removed => ("-", look.of(Color::Red)),
                    LineKind::Note => ("\\", look.dim()),
                };
                (mark, &line.text, style)
            }
        };
        let x = put(to, (0, y), (mark, area.width), style);
        put(to, (x, y), (text, area.width.saturating_sub(x)), style);
    }
    if area.height > 1 {
        let last = (diff.top + usize::from(height)).min(diff.lines.len());
        let foot = format!("lines to {last} of {}  q back", diff.lines.len());
        put(to, (0, area.height - 1), (&foot, area.width), look.dim());
    }
}

#[cfg(test)]
mod tests;
