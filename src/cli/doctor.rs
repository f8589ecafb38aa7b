//! `cx-operator doctor`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::Error;
use crate::run::preflight::{Check, Level, doctor};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

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

/// The document of `doctor --json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Document {
    /// 1.
    schema_version: u32,
    /// Whether a run could start.
    ready: bool,
    /// The checks, in their order.
    checks: Vec<Check>,
}

impl Doctor {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let repo = std::path::absolute(&self.repo).map_err(|_| usage("--repo is empty"))?;
        let options = self.program.options();
        let checks = runtime()?.block_on(doctor(&self.state.root()?, &repo, &options));
        let ready = checks.iter().all(|check| check.level != Level::Fail);
        if self.json {
            print_json(&Document {
                schema_version: 1,
                ready,
                checks,
            })?;
        } else {
            let mut text = String::new();
            for check in &checks {
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
            text.push_str(if ready { "ready\n" } else { "not ready\n" });
            print_text(&safe(&text))?;
        }
        Ok(ExitCode::from(if ready { 0 } else { 7 }))
    }
}
