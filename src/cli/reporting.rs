//! `cx-operator report`: a run as people want to be told of it, as text or as a page.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::Error;
use crate::operator::listing::load_record;
use crate::record::RunDir;

use super::look::time::took;
use super::look::{self, Look};
use super::records::{Which, draw_so_far};
use super::{pager, report, tell, usage};
use page::Told;
use patch::Patch;
use story::{Beat, Kind, Story, clock};

mod page;
pub(super) mod patch;
mod story;

/// Report on a run: how it ended, what it did, what changed, what was observed, what is next.
///
/// Of one that goes on it tells how far it is.
///
/// Examples: `cx-operator report fix-date-parser`, `cx-operator report fix-date-parser --html report.html`
#[derive(Args)]
pub(crate) struct Report {
    #[command(flatten)]
    which: Which,
    /// Write it as a page, once the run has ended: one file that needs nothing else, with the timeline and the diff. An existing file
    /// is replaced.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Report {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        if let Some(path) = &self.html {
            check_place(path)?;
        }
        let (store, run) = self.which.find()?;
        let look = Look::of_stdout();
        if self.html.is_none()
            && let Some(mut text) = draw_so_far(&store, &run, &look)?
        {
            let deeds = deeds(&Story::of(&run.load_events(0)?), &run);
            if !deeds.is_empty() {
                let heading = look.paint(look::BOLD, "what it did:");
                text += &format!("\n{heading}\n{}", super::safe(&deeds));
            }
            pager::page("report", &text, &look)?;
            return Ok(ExitCode::SUCCESS);
        }
        let outcome = load_record(&run)?;
        let story = Story::of(&run.load_events(0)?);
        let Some(path) = &self.html else {
            let text = report::with_deeds(&outcome, &deeds(&story, &run), &look);
            pager::page("report", &text, &look)?;
            return Ok(ExitCode::SUCCESS);
        };
        let patch = outcome.patch.as_deref().filter(|patch| patch.exists());
        let patch = patch.map(Patch::load).transpose();
        let patch = patch.map_err(|source| Error::Io {
            what: "read the run's patch".to_owned(),
            source,
        })?;
        let page = page::of(&Told {
            outcome: &outcome,
            story: &story,
            brief: run.load_prompt(1).as_deref(),
            patch: patch.as_ref(),
        });
        fs::write(path, page).map_err(|source| Error::Io {
            what: format!("write {}", path.display()),
            source,
        })?;
        tell(&format!(
            "the report is in {}",
            super::safe(&path.display().to_string())
        ));
        Ok(ExitCode::SUCCESS)
    }
}

/// A place that can't hold a file is found before the run is read.
fn check_place(path: &Path) -> Result<(), Error> {
    let shown = path.display();
    if path.as_os_str().is_empty() || path.is_dir() {
        return Err(usage(format!("--html names no file: `{shown}`")));
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    match parent {
        Some(parent) if !parent.is_dir() => Err(usage(format!(
            "the directory of --html is missing: `{}`",
            parent.display()
        ))),
        _ => Ok(()),
    }
}

/// How long something took, for people.
fn span(ms: u64) -> String {
    took(Duration::from_millis(ms))
}

/// So many deeds are shown; the log has all.
const DEEDS: usize = 60;

/// What the agent did, a line each, turn by turn.
fn deeds(story: &Story, run: &RunDir) -> String {
    let told = |beat: &&Beat| !matches!(beat.kind, Kind::Run | Kind::Said);
    let beats: Vec<&Beat> = story.beats.iter().filter(told).collect();
    let mut lines = String::new();
    for beat in beats.iter().take(DEEDS) {
        let mark = if beat.bad { "!" } else { " " };
        let mut what = beat.what.clone();
        if let Some(took) = beat.took.filter(|took| *took >= 1000) {
            what.push_str(&format!(" {}", span(took)));
        }
        // The words of a turn's end are told elsewhere.
        let words = match beat.kind {
            Kind::Turn | Kind::Tool => "",
            _ => beat.words.lines().next().unwrap_or(""),
        };
        if !words.is_empty() {
            what.push_str(&format!(": {words}"));
        }
        lines.push_str(&format!(
            "  {:>8} {mark} {}\n",
            clock(beat.at),
            super::one_line(&what)
        ));
    }
    if beats.len() > DEEDS {
        let more = beats.len() - DEEDS;
        let log = super::advice(&format!("cx-operator log {}", run.name()));
        lines.push_str(&format!("  … and {more} more: {log}\n"));
    }
    lines
}
