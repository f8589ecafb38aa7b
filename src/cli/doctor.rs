//! `cx-operator doctor`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::Error;
use crate::run::preflight::{Check, Level, Readiness, doctor};
use clap::Args;

use super::{
    AgentProgram, Command, State, config, one_line, print_json, print_text, runtime, safe, usage,
};

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
    /// The same with the executor that the configuration file names, and what is to be said of that file, if there is one.
    fn completed(self) -> (Self, Option<Check>) {
        let words: Vec<_> = std::env::args_os().collect();
        match config::complete(&words) {
            Ok((cli, in_force)) => {
                let found = in_force.path.map(|path| Ok(path.display().to_string()));
                let check = found.map(|found| Check::of("configuration", found));
                match cli.command {
                    Command::Doctor(doctor) => (doctor, check),
                    _ => (self, check),
                }
            }
            Err(error) => (self, Some(Check::of("configuration", Err(error)))),
        }
    }

    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let (call, configuration) = self.completed();
        call.check(configuration)
    }

    fn check(self, configuration: Option<Check>) -> Result<ExitCode, Error> {
        let repo = std::path::absolute(&self.repo).map_err(|_| usage("--repo is empty"))?;
        let options = self.program.options();
        let mut checks = runtime()?.block_on(doctor(&self.state.root()?, &repo, &options));
        checks.extend(configuration);
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
