//! What is in force: the command line goes before the environment, that before the profile, that before the defaults, and those before
//! what is built in.
//!
//! A value of the file becomes the default of the option of its name, so that clap itself reads it and puts it in its place.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

use super::super::{Cli, usage};
use super::file::{self, File, Setting, Table};
use super::keys::{EXECUTOR, KEYS, Key};
use crate::Error;
use crate::agent::ExecutorId;
use crate::task::budget::Prices;

/// A call, and what the file says about it.
#[derive(Debug, Default)]
pub(crate) struct InForce {
    /// The file, where there is one.
    pub(crate) path: Option<PathBuf>,
    /// The profile that was asked for.
    pub(crate) profile: Option<String>,
    /// The prices of models.
    pub(crate) prices: BTreeMap<String, Prices>,
    /// The file's values, and whether each is the profile's.
    pub(super) chosen: BTreeMap<&'static str, (Setting, bool)>,
    /// Where each option's value comes from.
    pub(super) matches: Option<ArgMatches>,
}

impl InForce {
    /// What the command of that key is, where the file has one.
    pub(crate) fn words(&self, key: &str) -> Option<&[String]> {
        self.chosen.get(key).map(|(setting, _)| &*setting.words)
    }

    /// The values of options that the file gave, and that nothing went before.
    pub(crate) fn given(&self) -> BTreeMap<String, String> {
        let is_in_force = |key: &Key| {
            let source = self
                .matches
                .as_ref()
                .and_then(|matches| matches.value_source(key.name));
            source == Some(ValueSource::DefaultValue)
        };
        let options = KEYS
            .iter()
            .filter(|key| key.is_option() && is_in_force(key));
        let given = options.filter_map(|key| Some((key.name, self.words(key.name)?)));
        given
            .map(|(name, words)| (name.to_owned(), words.join(" ")))
            .collect()
    }
}

/// Reads a command line of `delegate` or `doctor` once more, with the file's values where it has none.
///
/// # Errors
/// [`Error::Config`], [`Error::ConfigUnusable`]; [`Error::Usage`] where there is no such profile.
pub(crate) fn complete(words: &[OsString]) -> Result<(Cli, InForce), Error> {
    // Without a home there is no file, as there is none in an empty one.
    let path = file::path().unwrap_or_default();
    let file = file::load(&path)?;
    let misread = |error: clap::Error| usage(error.to_string());
    let first = Cli::command()
        .try_get_matches_from(words)
        .map_err(misread)?;
    let (name, own) = first
        .subcommand()
        .ok_or_else(|| usage("there is no command"))?;
    let profile = own.try_get_one::<String>("profile").ok().flatten().cloned();
    let given = own.value_source(EXECUTOR) == Some(ValueSource::CommandLine);
    let executor = own.get_one::<ExecutorId>(EXECUTOR).filter(|_| given);
    let mut in_force = InForce {
        path: file.as_ref().map(|_| path.clone()),
        ..InForce::default()
    };
    let file = file.unwrap_or_default();
    in_force.chosen = choose(&file, profile.as_deref(), executor.map(|id| id.name())).ok_or_else(|| {
        let profile = profile.as_deref().unwrap_or_default();
        let names: Vec<&str> = file.profiles.keys().map(String::as_str).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        usage(format!(
            "no profile is called {profile} in {} (there are: {known}); one of the agent's own configuration is --agent-profile",
            path.display()
        ))
    })?;
    let command = with_defaults(Cli::command(), name, &in_force);
    let mut matches = command
        .clone()
        .try_get_matches_from(words)
        .map_err(misread)?;
    in_force.matches = matches.subcommand().map(|(_, own)| own.clone());
    (in_force.profile, in_force.prices) = (profile, file.prices);
    let cli = Cli::from_arg_matches_mut(&mut matches).map_err(misread)?;
    Ok((cli, in_force))
}

/// The values of defaults and profile; `None` where there is no such profile. What means something to one executor only is left out
/// for another.
fn choose(
    file: &File,
    profile: Option<&str>,
    given: Option<&str>,
) -> Option<BTreeMap<&'static str, (Setting, bool)>> {
    let executor_of = |table: &Table| Some(table.get(EXECUTOR)?.words[0].clone());
    let built_in = ExecutorId::default().name().to_owned();
    let of_defaults = executor_of(&file.defaults).unwrap_or(built_in);
    let mut layers = vec![(&file.defaults, false, of_defaults.clone())];
    if let Some(name) = profile {
        let table = file.profiles.get(name)?;
        let own = executor_of(table).unwrap_or(of_defaults);
        layers.push((table, true, own));
    }
    let executor = given.map(str::to_owned);
    let executor = executor.or_else(|| layers.last().map(|(.., own)| own.clone()));
    let mut chosen = BTreeMap::new();
    for (table, is_profile, own) in &layers {
        for key in &KEYS {
            let fits = !key.is_bound || executor.as_ref() == Some(own);
            if let Some(setting) = table.get(key.name).filter(|_| fits) {
                chosen.insert(key.name, (setting.clone(), *is_profile));
            }
        }
    }
    Some(chosen)
}

/// The command line with these values as defaults of the command's options.
fn with_defaults(command: Command, name: &str, in_force: &InForce) -> Command {
    command.mut_subcommand(name, |mut own| {
        for key in KEYS.iter().filter(|key| key.is_option()) {
            let Some(words) = in_force.words(key.name) else {
                continue;
            };
            if own
                .get_arguments()
                .any(|argument| argument.get_id() == key.name)
            {
                let value = words[0].clone();
                own = own.mut_arg(key.name, |argument| argument.default_value(value));
            }
        }
        own
    })
}
