//! The line at the bottom of a terminal that says what a run does now. It is on stderr; what else is said there stands above it.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior};
use unicode_width::UnicodeWidthStr;

use super::look::time::{parse, took};
use super::look::{self, ADDED, DIM, Look, REMOVED, words_of};
use super::report::{files, item_line};
use crate::operator::listing::find_worktree;
use crate::operator::status::RunStatus;
use crate::record::RunDir;
use crate::record::journal::Entry;
use crate::worktree::Glance;

/// Between two drawings.
const PACE: Duration = Duration::from_secs(1);
/// Between two looks at the files, in drawings.
const LOOKS: u32 = 5;
/// The return to the line's beginning, and its removal.
const ERASE: &str = "\r\u{1b}[K";

/// What stands at the bottom of the terminal now.
static DRAWN: Mutex<String> = Mutex::new(String::new());

/// Prints lines on stderr. A terminal or a pipe that is closed is no error.
pub(super) fn print_above(text: &str) {
    let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    let erase = if drawn.is_empty() { "" } else { ERASE };
    let _nobody_reads = io::stderr().write_all(format!("{erase}{text}{drawn}").as_bytes());
}

fn show(line: String) {
    let mut drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    if *drawn != line {
        let _nobody_reads = io::stderr().write_all(format!("{ERASE}{line}").as_bytes());
        *drawn = line;
    }
}

/// When the line is drawn again; never, where there is none.
pub(super) struct Pace(Option<Interval>);

impl Pace {
    /// `is_wanted`: whether a line is drawn where stderr is a terminal that can draw it again.
    pub(super) fn new(is_wanted: bool) -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let drawn = is_wanted && !is_dumb && Look::of_stderr().width.is_some();
        Self(drawn.then(|| {
            let mut interval = tokio::time::interval(PACE);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        }))
    }

    pub(super) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    pub(super) async fn next(&mut self) {
        match &mut self.0 {
            Some(interval) => drop(interval.tick().await),
            None => std::future::pending().await,
        }
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        hide();
    }
}

/// Takes the line away, for what is asked or printed.
pub(super) fn hide() {
    show(String::new());
}

/// The status line of one run.
pub(super) struct StatusLine {
    status: RunStatus,
    limit: Option<u32>,
    glance: Option<Glance>,
    looking: Option<JoinHandle<Option<Glance>>>,
    ticks: u32,
}

impl StatusLine {
    pub(super) fn new() -> Self {
        Self {
            status: RunStatus::blank(""),
            limit: None,
            glance: None,
            looking: None,
            ticks: 0,
        }
    }

    pub(super) fn take_note(&mut self, entry: &Entry, run: Option<&RunDir>) {
        self.status.follow(entry.clone());
        if self.limit.is_none() {
            let order = run.and_then(|run| run.load_order().ok().flatten());
            self.limit = order.map(|order| order.limits.turns);
        }
    }

    /// Draws it, and looks at the worktree from time to time.
    pub(super) async fn draw(&mut self, run: Option<RunDir>) {
        match self.looking.take() {
            Some(looking) if looking.is_finished() => {
                self.glance = looking.await.ok().flatten().or(self.glance);
            }
            looking => self.looking = looking,
        }
        let works = self.status.turn > 0 && self.status.phase != "collecting";
        if let Some(run) =
            run.filter(|_| works && self.looking.is_none() && self.ticks.is_multiple_of(LOOKS))
        {
            self.looking = Some(tokio::task::spawn_blocking(move || {
                let (worktree, base) = find_worktree(&run).ok()??;
                Glance::at(&worktree, &base)
            }));
        }
        self.ticks += 1;
        show(line_of(
            &self.status,
            (self.limit, self.glance),
            &Look::of_stderr(),
        ));
    }
}

/// What a run does now, in one line that fits: what is of less interest leaves first.
fn line_of(
    status: &RunStatus,
    (limit, glance): (Option<u32>, Option<Glance>),
    look: &Look,
) -> String {
    let mut pieces = vec![vec![(look::MOVES, phase(status))]];
    let mut piece = |text: String| pieces.push(vec![(anstyle::Style::new(), text)]);
    if status.turn > 0 {
        let limit = limit.map_or_else(String::new, |limit| format!("/{limit}"));
        piece(format!("turn {}{limit}", status.turn));
    }
    if let Some(began) = status.started_at.as_deref().and_then(parse) {
        piece(took(look.since(began)));
    }
    if let Some(usage) = &status.usage {
        piece(format!("{} tokens", short(usage.total_tokens)));
    }
    if let Some(Glance {
        files: count,
        insertions,
        deletions,
    }) = glance.filter(|glance| glance.files > 0)
    {
        pieces.push(vec![
            (anstyle::Style::new(), format!("{} ", files(count))),
            (ADDED, format!("+{insertions} ")),
            (REMOVED, format!("-{deletions}")),
        ]);
    }
    if let Some(item) = status.last_item.as_ref().and_then(item_line) {
        pieces.push(vec![(DIM, words_of(&item))]);
    }
    // The last column stays free: a terminal would go to the next line.
    let mut left = look
        .width
        .map_or(usize::MAX, |width| width.saturating_sub(1));
    let mut line = String::new();
    for (at, piece) in pieces.iter().enumerate() {
        let gap = if at == 0 { "" } else { "  " };
        let width: usize = piece.iter().map(|(_, text)| text.width()).sum();
        let is_last = at + 1 == pieces.len();
        if gap.len() + width > left && !(is_last && left > 12 || at == 0) {
            continue;
        }
        line.push_str(gap);
        left = left.saturating_sub(gap.len());
        for (style, text) in piece {
            let text = look.cut(text, left);
            left = left.saturating_sub(text.width());
            line += &look.paint(*style, &text);
        }
    }
    line
}

fn phase(status: &RunStatus) -> String {
    match status.position.filter(|_| status.phase == "queued") {
        Some(position) => format!("queued ({position})"),
        None => status.phase.to_owned(),
    }
}

/// A number with the digits that matter: `950`, `12.3k`, `1.2M`.
fn short(count: u64) -> String {
    let tenths = |unit: u64| (count / (unit / 10), unit);
    let (tenths, sign) = match count {
        0..1000 => return count.to_string(),
        1000..1_000_000 => (tenths(1000).0, "k"),
        _ => (tenths(1_000_000).0, "M"),
    };
    format!("{}.{}{sign}", tenths / 10, tenths % 10)
}

/// What several runs do now, in one line.
pub(super) fn draw_all(runs: &[RunStatus]) {
    show(line_of_all(runs, &Look::of_stderr()));
}

fn line_of_all(runs: &[RunStatus], look: &Look) -> String {
    if let [run] = runs {
        return line_of(run, (None, None), look);
    }
    let under_way: Vec<&RunStatus> = runs.iter().filter(|run| run.phase != "ended").collect();
    let each = under_way.iter().map(|run| {
        let task = words_of(run.task.as_deref().unwrap_or(&run.run_id));
        format!("{task}: {}", phase(run))
    });
    let words = each.collect::<Vec<_>>().join(", ");
    let line = format!("{} of {} runs go on: {words}", under_way.len(), runs.len());
    look.width.map_or(line.clone(), |width| {
        look.cut(&line, width.saturating_sub(1))
    })
}

#[cfg(test)]
mod tests {
    use super::super::look::tests::look;
    use super::*;
    use crate::agent::report::Item;

    fn working() -> RunStatus {
        let mut status = RunStatus::blank("20261127-115000-fix-it-0001");
        (status.phase, status.turn) = ("working", 1);
        status.started_at = Some("2026-11-27T11:57:47.000Z".to_owned());
        status.usage = serde_json::from_value(serde_json::json!({
            "input_tokens": 12_000, "output_tokens": 345, "total_tokens": 12_345
        }))
        .ok();
        status.last_item = Some(Item::Command {
            command: "cargo test --workspace --all-targets -- --nocapture\u{1b}[2J\nrm".to_owned(),
            exit_code: Some(0),
            duration_ms: None,
            outcome: "completed".to_owned(),
        });
        status
    }

    #[test]
    fn the_line_fits_and_says_what_matters_first() {
        let glance = Glance {
            files: 3,
            insertions: 120,
            deletions: 45,
        };
        let mut lines = String::new();
        for width in [20, 40, 80, 200] {
            let line = line_of(
                &working(),
                (Some(8), Some(glance)),
                &look(Some(width), false),
            );
            assert!(line.width() < width, "{line}");
            lines += &format!("{width}: {line}\n");
            let ascii = Look {
                unicode: false,
                ..look(Some(width), false)
            };
            let line = line_of(&working(), (Some(8), Some(glance)), &ascii);
            let own = line.replace('\u{fffd}', "");
            assert!(own.is_ascii() && line.width() < width, "{line}");
        }
        let queued = RunStatus {
            phase: "queued",
            position: Some(3),
            ..RunStatus::blank("")
        };
        lines += &format!(
            "{}\n",
            line_of(&queued, (None, None), &look(Some(80), false))
        );
        let three = [
            working(),
            queued,
            RunStatus {
                phase: "ended",
                ..working()
            },
        ];
        lines += &format!("{}\n", line_of_all(&three, &look(Some(80), false)));
        let coloured = line_of(&working(), (Some(8), Some(glance)), &look(Some(80), true));
        lines += &coloured.replace('\u{1b}', "␛");
        insta::assert_snapshot!("status-line", lines);
    }

    #[test]
    fn numbers_are_short() {
        for (count, text) in [
            (999, "999"),
            (1000, "1.0k"),
            (12_345, "12.3k"),
            (1_250_000, "1.2M"),
        ] {
            assert_eq!(short(count), text);
        }
    }
}
