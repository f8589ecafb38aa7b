//! `cx-operator hooks`: the hooks in the user's own configuration of an agent.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::Error;
use crate::agent::global_hooks::{self, Action, Change, GlobalHooks, HookState, Report};
use crate::agent::{EXECUTORS, ExecutorId};
use crate::run::preflight::find_helper;
use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use super::{find_executor, print_json, print_text, safe, tell, usage};

/// Install the hooks for all your sessions of an agent. Runs of `delegate` don't need that.
#[derive(Args)]
pub(crate) struct Hooks {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Add our entries to the agent's file of hooks; other entries and their order stay.
    Install(Target),
    /// Check our entries, and whether the agent runs them. Exit status 7 if they don't work.
    Verify(Verify),
    /// Remove exactly our entries.
    Uninstall(Target),
}

#[derive(Args)]
struct Target {
    /// The agent.
    #[arg(long, value_name = "NAME", default_value = "codex", value_parser = find_executor)]
    executor: ExecutorId,
    /// Its directory [default: the one that the agent itself uses].
    #[arg(long, value_name = "DIR", visible_alias = "codex-home")]
    home: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Verify {
    #[command(flatten)]
    target: Target,
    /// The agent's program, where it is asked [default: the one on PATH].
    #[arg(long, value_name = "PROGRAM", visible_alias = "codex")]
    program: Option<PathBuf>,
}

impl Target {
    /// What is known of the hooks, and the agent's directory.
    fn find(&self) -> Result<(&'static dyn GlobalHooks, PathBuf), Error> {
        let hooks = self.executor.global_hooks().ok_or_else(|| {
            let able = EXECUTORS.iter().filter(|one| one.global_hooks().is_some());
            let able: Vec<_> = able.map(|one| one.name()).collect();
            usage(format!(
                "{} has no hooks for all of a user's sessions: --executor must be one of: {}",
                self.executor.name(),
                able.join(", ")
            ))
        })?;
        let named = self.home.clone();
        let home = named.or_else(|| hooks.home(&|name| std::env::var(name).ok()));
        let home = home.ok_or_else(|| {
            let agent = hooks.agent();
            usage(match self.executor.home_variable() {
                Some(own) => {
                    format!("{agent}'s directory is unknown: neither {own} nor HOME is set")
                }
                None => format!("{agent}'s directory is unknown: HOME is not set"),
            })
        })?;
        let home = std::path::absolute(home).map_err(|_| usage("--home is empty"))?;
        Ok((hooks, home))
    }
}

impl Hooks {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        match self.command {
            Command::Install(target) => {
                let (hooks, home) = target.find()?;
                let report = global_hooks::install(hooks, &home, &find_helper(None)?)?;
                print_report(hooks, &report, target.json)?;
                let is_kept = |change: &Change| change.action == Action::Kept;
                if !target.json && hooks.is_reviewed() && !report.changes.iter().all(is_kept) {
                    let agent = hooks.agent();
                    tell(&format!(
                        "{agent} asks once whether to trust them: open /hooks in {agent} and review them"
                    ));
                }
                Ok(ExitCode::SUCCESS)
            }
            Command::Uninstall(target) => {
                let (hooks, home) = target.find()?;
                print_report(hooks, &global_hooks::uninstall(hooks, &home)?, target.json)?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Verify(verify) => verify.run(),
        }
    }
}

/// The document of `hooks install --json` and `hooks uninstall --json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Installed<'a> {
    /// 1.
    schema_version: u32,
    /// The agent's file of hooks.
    file: &'a Path,
    /// The file as it was before, where it was changed.
    backup: Option<&'a Path>,
    /// What became of our entries.
    changes: Vec<Changed<'a>>,
}

/// What became of one of our entries.
#[derive(Serialize, JsonSchema)]
struct Changed<'a> {
    /// The event.
    event: &'static str,
    /// `added`, `updated`, `kept` or `removed`.
    action: &'static str,
    /// The command.
    command: &'a str,
    /// Entries of others that an agent will ask to review again, since it knows them by their position.
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
        event: change.event,
        action,
        command: &change.command,
        displaced,
    }
}

fn print_report(hooks: &dyn GlobalHooks, report: &Report, json: bool) -> Result<(), Error> {
    let changes: Vec<_> = report.changes.iter().map(changed).collect();
    if json {
        return print_json(&Installed {
            schema_version: 1,
            file: &report.file,
            backup: report.backup.as_deref(),
            changes,
        });
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
        if change.displaced > 0 && hooks.is_reviewed() {
            text.push_str(&format!(
                "    {} other entries moved up: {} will ask to review them again\n",
                change.displaced,
                hooks.agent()
            ));
        }
    }
    if let Some(backup) = &report.backup {
        text.push_str(&format!("  the old file: {}\n", backup.display()));
    }
    print_text(&safe(&text))
}

/// The document of `hooks verify --json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Verification<'a> {
    /// 1.
    schema_version: u32,
    /// The agent's file of hooks.
    file: &'a Path,
    /// Whether all of them work.
    works: bool,
    /// Our entries.
    hooks: Vec<Verified<'a>>,
    /// What the agent complains about.
    complaints: &'a [String],
}

/// One of our entries.
#[derive(Serialize, JsonSchema)]
struct Verified<'a> {
    /// The event.
    event: &'static str,
    /// The command, where it is installed.
    command: Option<&'a str>,
    /// Whether it runs.
    runnable: bool,
    /// The agent's word for how far it trusts it.
    trust: Option<&'a str>,
    /// The agent's hash of it.
    hash: Option<&'a str>,
    /// Whether the agent would run it.
    works: bool,
}

impl Verify {
    fn run(self) -> Result<ExitCode, Error> {
        let (hooks, home) = self.target.find()?;
        let agent = hooks.agent();
        let program = hooks.find(self.program.as_deref())?;
        let found = global_hooks::verify(hooks, program.as_deref(), &home)?;
        let works = found.hooks.iter().all(|hook| hook.works);
        if self.target.json {
            print_json(&Verification {
                schema_version: 1,
                file: &found.file,
                works,
                hooks: found.hooks.iter().map(verified).collect(),
                complaints: &found.complaints,
            })?;
        } else {
            let mut text = format!("{}\n", found.file.display());
            for hook in &found.hooks {
                let mark = if hook.works { "ok  " } else { "FAIL" };
                let state = match (&hook.command, hook.runnable, &hook.review) {
                    (None, ..) => format!("not installed: `{}`", installation(hooks)),
                    (Some(command), false, _) => format!("`{command}` does not run"),
                    (Some(_), true, Some(review)) => format!("{agent} says: {}", review.trust),
                    (Some(_), true, None) if hooks.is_reviewed() => {
                        format!("{agent} doesn't list it")
                    }
                    (Some(command), true, None) => command.clone(),
                };
                text.push_str(&format!("{mark}  {}: {state}\n", hook.event));
            }
            for complaint in &found.complaints {
                text.push_str(&format!("{agent} complains: {complaint}\n"));
            }
            print_text(&safe(&text))?;
        }
        Ok(ExitCode::from(if works { 0 } else { 7 }))
    }
}

/// The command that adds our entries for that agent.
fn installation(hooks: &dyn GlobalHooks) -> String {
    let mut command = "cx-operator hooks install".to_owned();
    if hooks.agent() != ExecutorId::default().name() {
        command.push_str(&format!(" --executor {}", hooks.agent()));
    }
    command
}

fn verified(state: &HookState) -> Verified<'_> {
    let review = state.review.as_ref();
    Verified {
        event: state.event,
        command: state.command.as_deref(),
        runnable: state.runnable,
        trust: review.map(|review| &*review.trust),
        hash: review.map(|review| &*review.hash),
        works: state.works,
    }
}
