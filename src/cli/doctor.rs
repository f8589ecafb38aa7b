//! `cx-operator doctor`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::Error;
use crate::run::preflight::{Level, Readiness, doctor};
use clap::Args;

use super::{AgentProgram, State, one_line, print_json, print_text, runtime, safe, usage};

/// Check everything that a run needs, and say how to fix it. Exit status 7 if a run could not start.
#[derive(Args)]
pub(crate) struct Doctor {
    /// A path in the repository.
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
    #[command(flatten)]
    program: AgentProgram,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

impl Doctor {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let repo = std::path::absolute(&self.repo).map_err(|_| usage("--repo is empty"))?;
        let options = self.program.options();
        let checks = runtime()?.block_on(doctor(&self.state.root()?, &repo, &options));
        let found = Readiness::of(checks);
        if self.json {
            print_json(&found)?;
        } else {
            let mut text = String::new();
            for check in &found.checks {
                let mark = match check.level {
                    Level::Ok => "ok  ",
                    Level::Warn => "warn",
                    Level::Fail => "FAIL",
                };
                let found = one_line(&check.found);
                text.push_str(&format!("{mark}  {}: {found}\n", check.name));
                if let Some(fix) = &check.fix {
                    text.push_str(&format!("      fix: {fix}\n"));
                }
            }
            text.push_str(if found.ready {
                "ready\n"
            } else {
                "not ready\n"
            });
            print_text(&safe(&text))?;
        }
        Ok(ExitCode::from(if found.ready { 0 } else { 7 }))
    }
}
