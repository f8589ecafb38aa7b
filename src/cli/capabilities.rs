//! `cx-operator capabilities`: what a wrapper may rely on, as the command line itself tells it.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::{Arg, Args, Command};
use schemars::JsonSchema;
use serde::Serialize;

use super::{print_json, print_text};
use crate::Error;
use crate::agent::EXECUTORS;
use crate::policy::PRESETS;

/// Tell what this version can do, so that a wrapper can require what it needs.
///
/// A capability is a command (`apply`, `policy.check`), an option of one (`delegate.detach`), a value of an option
/// (`delegate.drive.requests`), `executor.NAME`, `preset.NAME` or `schema.NAME`. What has a name keeps it.
///
/// Example: `cx-operator capabilities --supports delegate.detach`
#[derive(Args)]
pub(crate) struct Capabilities {
    /// Print nothing: the exit status says whether this version has it, 0, or not, 1.
    #[arg(long, value_name = "NAME", conflicts_with = "json")]
    supports: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The document of `capabilities --json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Document {
    /// 1.
    schema_version: u32,
    /// The version of the program.
    version: &'static str,
    /// What it can do, in alphabetical order.
    capabilities: BTreeSet<String>,
}

impl Capabilities {
    /// `command`: the whole command line.
    pub(crate) fn run(self, mut command: Command) -> Result<ExitCode, Error> {
        command.build();
        let mut capabilities = BTreeSet::new();
        take_commands(&command, "", &mut capabilities);
        let executors = EXECUTORS.iter().map(|executor| executor.name());
        capabilities.extend(executors.map(|name| format!("executor.{name}")));
        capabilities.extend(PRESETS.iter().map(|(name, _)| format!("preset.{name}")));
        capabilities.extend(schemas(&command).map(|name| format!("schema.{name}")));
        if let Some(name) = &self.supports {
            let is_known = capabilities.contains(name);
            return Ok(ExitCode::from(u8::from(!is_known)));
        }
        if self.json {
            print_json(&Document {
                schema_version: 1,
                version: env!("CARGO_PKG_VERSION"),
                capabilities,
            })?;
        } else {
            let lines = capabilities.iter().map(|name| format!("{name}\n"));
            print_text(&lines.collect::<String>())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The names that the command `schema` takes.
fn schemas(command: &Command) -> impl Iterator<Item = String> {
    let schema = command.find_subcommand("schema");
    let taken = schema
        .into_iter()
        .flat_map(Command::get_positionals)
        .flat_map(Arg::get_possible_values);
    taken.map(|value| value.get_name().to_owned())
}

/// The commands below one, with their options and what those take.
fn take_commands(command: &Command, prefix: &str, into: &mut BTreeSet<String>) {
    let shown = |below: &&Command| !below.is_hide_set() && below.get_name() != "help";
    for below in command.get_subcommands().filter(shown) {
        let name = format!("{prefix}{}", below.get_name());
        for argument in below.get_arguments().filter(|one| !one.is_hide_set()) {
            let long = argument.get_long_and_visible_aliases().unwrap_or_default();
            for long in long.into_iter().filter(|long| *long != "help") {
                into.insert(format!("{name}.{long}"));
                if argument.get_action().takes_values() {
                    let values = argument.get_possible_values();
                    let values = values.iter().map(|value| value.get_name());
                    into.extend(values.map(|value| format!("{name}.{long}.{value}")));
                }
            }
        }
        take_commands(below, &format!("{name}."), into);
        into.insert(name);
    }
}
