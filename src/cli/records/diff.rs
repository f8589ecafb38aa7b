//! `diff`: the patch of a run, or what one that goes on has changed so far.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;

use anstyle::Style;
use clap::Args;

use super::Which;
use crate::Error;
use crate::cli::look::{self, BOLD, Look};
use crate::cli::{harmless, pager, print_bytes, safe, tell};
use crate::operator::listing::{find_worktree, load_record};
use crate::record::{RunDir, Status};
use crate::worktree::Glance;

/// Print the complete diff of a run, for `git apply`; or, of one that goes on, what it has changed so far.
#[derive(Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    which: Which,
    /// Print also what a run has changed that goes on; at a terminal that is so without it.
    #[arg(long)]
    live: bool,
}

impl Diff {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let (_, run) = self.which.find()?;
        let look = Look::of_stdout();
        let may_be_live = self.live || look.width.is_some();
        if may_be_live
            && run.load_record()?.is_none()
            && let Some(patch) = patch_so_far(&run)?
        {
            tell("note: the run has not ended: this is what it has changed so far");
            print_patch(&patch, &look)?;
            return Ok(ExitCode::SUCCESS);
        }
        let outcome = load_record(&run)?;
        let Some(patch) = outcome.patch else {
            let why = if outcome.status == Status::Failed {
                "it failed"
            } else {
                "it changed nothing"
            };
            tell(&format!("run {} has no diff: {why}", safe(run.name())));
            return Ok(ExitCode::SUCCESS);
        };
        let failed = |source| Error::Io {
            what: format!("print {}", patch.display()),
            source,
        };
        if is_for_people(&look) {
            print_patch(&std::fs::read(&patch).map_err(failed)?, &look)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut file = File::open(&patch).map_err(failed)?;
        let mut stdout = io::stdout().lock();
        // Copied as it is: a patch with its control characters replaced, or its keys, would apply something else.
        match io::copy(&mut file, &mut stdout).and_then(|_| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failed(error)),
            _ => Ok(ExitCode::SUCCESS),
        }
    }
}

/// What a run has changed that has a worktree and no record yet.
pub(in crate::cli) fn patch_so_far(run: &RunDir) -> Result<Option<Vec<u8>>, Error> {
    let place = find_worktree(run)?;
    Ok(place.and_then(|(worktree, base)| Glance::patch(&worktree, &base)))
}

fn print_patch(patch: &[u8], look: &Look) -> Result<(), Error> {
    if is_for_people(look) {
        return pager::page("diff", &draw_patch(patch, look), look);
    }
    // As it is: it may have bytes that are no text.
    print_bytes(patch).map(drop)
}

/// Whether a person reads it, and no `git apply`: that takes no colours, which CLICOLOR_FORCE asks for on a pipe too.
fn is_for_people(look: &Look) -> bool {
    look.width.is_some() || look::is_always_wished()
}

/// A patch for people: in git's colours, with nothing in it that a terminal obeys.
pub(in crate::cli) fn draw_patch(patch: &[u8], look: &Look) -> String {
    let patch = String::from_utf8_lossy(patch);
    let mut text = String::new();
    // Within a hunk a line is what its sign says, whatever follows.
    let mut is_in_hunk = false;
    for line in patch.lines() {
        is_in_hunk = match line.as_bytes().first() {
            Some(b'@') => true,
            Some(b'd') => false,
            _ => is_in_hunk,
        };
        let style = match (is_in_hunk, line.as_bytes().first()) {
            (true, Some(b'+')) => look::ADDED,
            (true, Some(b'-')) => look::REMOVED,
            (true, Some(b'@')) => look::MOVES,
            (true, _) => Style::new(),
            (false, _) => BOLD,
        };
        // Of a file with lines that end so.
        let line = line
            .strip_suffix('\r')
            .map_or(Cow::Borrowed(line), |line| Cow::Owned(format!("{line}^M")));
        text += &look.paint(style, &harmless(&line));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::look::tests::look;

    const PATCH: &str = "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@ fn main\n one\n--- two\n\
        +++ \u{1b}[31mthree\ndiff --git a/y b/y\nnew file mode 100644\n";

    #[test]
    fn a_patch_in_colours_obeys_nobody() {
        let drawn = draw_patch(PATCH.as_bytes(), &look(Some(80), true)).replace('\u{1b}', "␛");
        insta::assert_snapshot!("diff-colours", drawn);
        let plain = draw_patch(PATCH.as_bytes(), &look(Some(80), false));
        assert_eq!(plain, PATCH.replace('\u{1b}', "\u{fffd}"));
    }
}
