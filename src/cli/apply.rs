//! `cx-operator apply`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::report::files;
use super::signals::Signals;
use super::{
    State, block_on, completions, one_line, print_failure, print_json, print_text,
    refusal::print_refusal, safe,
};
use crate::Error;
use crate::error::io as io_error;
use crate::operator::apply::{Applied, ApplyRequest, apply};
use crate::operator::listing::find_run;
use crate::os::signal::exit_after;
use crate::record::Failure;
use crate::worktree::apply::Form;

/// Bring the result of a run onto a branch of yours. Never pushes.
///
/// The result is merged first. After a conflict, local changes in the same files or a failed check everything is as it was. Each
/// commit names the run in its trailers.
#[derive(Args)]
pub(crate) struct Apply {
    /// A run's id, its beginning, or a task's name (then the newest run of it).
    #[arg(add = ArgValueCompleter::new(completions::runs))]
    run: String,
    /// The branch [default: the one that is checked out]. It is made where it does not exist, at the commit that the run began
    /// with.
    #[arg(long, value_name = "NAME", conflicts_with = "patch")]
    branch: Option<String>,
    /// Make one commit with everything; the default.
    #[arg(long, group = "form")]
    squash: bool,
    /// Bring each of the agent's commits, and one with what it did not commit.
    #[arg(long, group = "form")]
    commits: bool,
    /// Make no commit: leave the changes in index and files of the checkout.
    #[arg(long, group = "form")]
    patch: bool,
    /// A shell command that must succeed in a checkout of the new state before the branch moves.
    #[arg(long, value_name = "COMMAND")]
    check: Option<String>,
    /// The message of a commit that the agent made none for.
    #[arg(short, long, value_name = "TEXT", conflicts_with = "patch")]
    message: Option<String>,
    /// A checkout of the run's repository [default: the current directory, else the one that the run had].
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

impl Apply {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let run = find_run(&self.state.open()?, &self.run)?;
        let form = match (self.commits, self.patch) {
            (true, _) => Form::Commits,
            (_, true) => Form::Patch,
            _ => Form::Squash,
        };
        let request = ApplyRequest {
            branch: self.branch,
            form,
            check: self.check,
            message: self.message,
            checkout: self.repo,
        };
        let done = block_on(async {
            let mut signals = Signals::catch().map_err(io_error("catch signals"))?;
            tokio::select! {
                done = apply(&run, request) => done.map(Ok),
                signal = signals.next() => Ok(Err(signal)),
            }
        })?;
        let applied = match done? {
            Ok(applied) => applied,
            Err(signal) => return Ok(interrupted(signal)),
        };
        if self.json {
            print_json(&applied)?;
        } else {
            print_text(&safe(&in_words(&applied)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A signal came before anything was changed.
fn interrupted(signal: &str) -> ExitCode {
    let failure = Failure {
        code: "cancelled".to_owned(),
        message: format!("{signal} came before anything was applied"),
        hint: Some("apply it again".to_owned()),
        signal: Some(signal.to_owned()),
    };
    print_failure(&failure);
    print_refusal(failure);
    ExitCode::from(exit_after(signal).unwrap_or(1))
}

fn in_words(applied: &Applied) -> String {
    let run = one_line(&applied.run_id);
    let Some(branch) = applied.branch.as_deref().map(one_line) else {
        return format!("nothing to apply: all that {run} changed is there\n");
    };
    let what = match applied.commits.len() {
        0 => "changes".to_owned(),
        1 => "1 commit".to_owned(),
        count => format!("{count} commits"),
    };
    let new = if applied.is_new_branch {
        "the new branch "
    } else {
        ""
    };
    format!(
        "{run} is on {new}{branch}: {what}, {}, +{} -{}\n",
        files(applied.files_changed),
        applied.insertions,
        applied.deletions
    )
}
