//! `cx-operator hooks`: the hooks in the user's own codex configuration.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::Error;
use crate::agent::codex::app_server::ListedHook;
use crate::agent::codex::global_hooks::{self, Action, Change, HookState, Report};
use crate::agent::codex::program::{codex_home, find};
use crate::agent::codex::trust::event_names;
use crate::agent::executor::Refusal;
use crate::run::preflight::find_helper;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::{print_json, print_text, safe, tell, usage};

/// Install the hooks for all your codex sessions. Runs of `delegate` don't need that.
#[derive(Args)]
pub(crate) struct Hooks {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Add our entries to hooks.json; other entries and their order stay.
    Install(Target),
    /// Check our entries, and ask codex whether it runs them. Exit status 7 if they don't work.
    Verify(Verify),
    /// Remove exactly our entries.
    Uninstall(Target),
}

#[derive(Args)]
struct Target {
    /// codex's directory [default: $CODEX_HOME, else ~/.codex].
    #[arg(long, value_name = "DIR")]
    codex_home: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Verify {
    #[command(flatten)]
    target: Target,
    /// The codex program [default: `codex` on PATH].
    #[arg(long, value_name = "PROGRAM")]
    codex: Option<PathBuf>,
}

impl Target {
    fn home(&self) -> Result<PathBuf, Error> {
        let named = self
            .codex_home
            .clone()
            .or_else(|| codex_home(|name| std::env::var(name).ok()));
        let home = named.ok_or_else(|| {
            usage("codex's directory is unknown: neither CODEX_HOME nor HOME is set")
        })?;
        std::path::absolute(home).map_err(|_| usage("--codex-home is empty"))
    }
}

impl Hooks {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        match self.command {
            Command::Install(target) => {
                let report = global_hooks::install(&target.home()?, &find_helper(None)?)?;
                print_report(&report, target.json)?;
                if !target.json
                    && report
                        .changes
                        .iter()
                        .any(|change| change.action != Action::Kept)
                {
                    tell(
                        "codex asks once whether to trust them: open /hooks in codex and review them",
                    );
                }
                Ok(ExitCode::SUCCESS)
            }
            Command::Uninstall(target) => {
                print_report(&global_hooks::uninstall(&target.home()?)?, target.json)?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Verify(verify) => verify.run(),
        }
    }
}

#[derive(Serialize)]
struct Changed<'a> {
    event: &'static str,
    action: &'static str,
    command: &'a str,
    /// Entries of others that codex will ask to review again, since it knows them by their position.
    displaced: usize,
}

fn changed(change: &Change) -> Changed<'_> {
    let (action, displaced) = match change.action {
        Action::Added => ("added", 0),
        Action::Updated { .. } => ("updated", 0),
        Action::Kept => ("kept", 0),
        Action::Removed { displaced } => ("removed", displaced),
    };
    Changed {
        event: event_names(change.kind).configured,
        action,
        command: &change.command,
        displaced,
    }
}

fn print_report(report: &Report, json: bool) -> Result<(), Error> {
    let changes: Vec<_> = report.changes.iter().map(changed).collect();
    if json {
        return print_json(&json!({
            "schema_version": 1,
            "file": report.file,
            "backup": report.backup,
            "changes": changes,
        }));
    }
    let mut text = format!("{}\n", report.file.display());
    if changes.is_empty() {
        text.push_str("  none of our entries exists\n");
    }
    for change in &changes {
        text.push_str(&format!(
            "  {} {}: {}\n",
            change.action, change.event, change.command
        ));
        if change.displaced > 0 {
            text.push_str(&format!(
                "    {} other entries moved up: codex will ask to review them again\n",
                change.displaced
            ));
        }
    }
    if let Some(backup) = &report.backup {
        text.push_str(&format!("  the old file: {}\n", backup.display()));
    }
    print_text(&safe(&text))
}

#[derive(Serialize)]
struct Verified {
    event: &'static str,
    command: Option<String>,
    runnable: bool,
    trust: Option<String>,
    hash: Option<String>,
    works: bool,
}

impl Verify {
    fn run(self) -> Result<ExitCode, Error> {
        let search = std::env::var_os("PATH");
        let codex = find(self.codex.as_deref(), search.as_ref()).map_err(Refusal::from)?;
        let found = global_hooks::verify(&codex, &self.target.home()?)?;
        let hooks: Vec<Verified> = found.hooks.iter().map(verified).collect();
        let works = hooks.iter().all(|hook| hook.works);
        if self.target.json {
            print_json(&json!({
                "schema_version": 1,
                "file": found.file,
                "works": works,
                "hooks": hooks,
                "complaints": found.complaints,
            }))?;
        } else {
            let mut text = format!("{}\n", found.file.display());
            for hook in &hooks {
                let mark = if hook.works { "ok  " } else { "FAIL" };
                let state = match (&hook.command, hook.runnable, &hook.trust) {
                    (None, ..) => "not installed: `cx-operator hooks install`".to_owned(),
                    (Some(command), false, _) => format!("{command} is not a program"),
                    (Some(_), true, None) => "codex doesn't list it".to_owned(),
                    (Some(_), true, Some(trust)) => format!("codex says: {trust}"),
                };
                text.push_str(&format!("{mark}  {}: {state}\n", hook.event));
            }
            for complaint in &found.complaints {
                text.push_str(&format!("codex complains: {complaint}\n"));
            }
            print_text(&safe(&text))?;
        }
        Ok(ExitCode::from(if works { 0 } else { 7 }))
    }
}

fn verified(state: &HookState) -> Verified {
    let listed = state.listed.as_ref();
    let trust = listed.map(|listed| listed.trust_status);
    let works = state.runnable && listed.is_some_and(ListedHook::is_active);
    Verified {
        event: event_names(state.kind).configured,
        command: state.command.clone(),
        runnable: state.runnable,
        trust: trust.map(|trust| format!("{trust:?}").to_lowercase()),
        hash: listed.map(|listed| listed.current_hash.clone()),
        works,
    }
}
