//! `cx-operator config`: the user's defaults and profiles, and where each value comes from.

mod file;
mod keys;
mod layers;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use super::{one_line, print_json, print_text, safe, tell};
use crate::Error;
use crate::os::shell::shell_quote;
use crate::task::budget::Prices;
use crate::task::notifications::Notifications;
use keys::{KEYS, Key, NOTIFY_TIMEOUT, ON_FINISHED, ON_WAITING};

pub(super) use layers::{InForce, complete};

/// The prices of the user's configuration; none where it can't be read.
pub(super) fn prices() -> BTreeMap<String, Prices> {
    let file = file::path().and_then(|path| file::load(&path));
    let file = file.ok().flatten();
    file.map(|file| file.prices).unwrap_or_default()
}

/// Show, find and check the configuration file: your defaults and profiles for runs.
///
/// It is $XDG_CONFIG_HOME/cx-operator/config.toml, else ~/.config/cx-operator/config.toml; never a file of a repository. What the
/// command line says goes before it.
#[derive(Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    action: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    Show(Show),
    Path(PathOf),
    Check(Check),
}

/// Print what a run would be started with, and where each value comes from.
///
/// Example: `cx-operator config show --profile review`
#[derive(Args)]
struct Show {
    /// The profile.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// Options of `delegate`, after `--`: as if it was called with them.
    #[arg(last = true, value_name = "OPTION")]
    options: Vec<OsString>,
}

/// Print where the file is, whether it is there or not.
#[derive(Args)]
struct PathOf {}

/// Read the file, all of its profiles included, and say what is wrong with it.
#[derive(Args)]
struct Check {}

/// The document of `config show --json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Document {
    /// 1.
    schema_version: u32,
    /// The file; null where there is none.
    file: Option<PathBuf>,
    /// The profile that was asked for.
    profile: Option<String>,
    /// Each setting.
    settings: Vec<Shown>,
    /// The prices of a million tokens in US dollars, by model.
    prices: BTreeMap<String, Prices>,
}

/// A setting, and where its value comes from.
#[derive(Serialize, JsonSchema)]
struct Shown {
    /// The key, which is the option's name with `_`.
    key: &'static str,
    /// The value, as the command line would have it; null for none.
    value: Option<String>,
    /// `flag`, `env`, `profile`, `defaults` or `built_in`.
    from: &'static str,
    /// File, line and column, where the file has it.
    place: Option<String>,
}

impl Config {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        match self.action {
            Subcommands::Show(show) => show.run(),
            Subcommands::Path(_) => {
                print_text(&safe(&format!("{}\n", file::path()?.display())))?;
                Ok(ExitCode::SUCCESS)
            }
            Subcommands::Check(_) => check(),
        }
    }
}

fn check() -> Result<ExitCode, Error> {
    let path = file::path()?;
    let shown = safe(&path.display().to_string());
    match file::load(&path)? {
        Some(file) => print_text(&format!(
            "{shown}: {} defaults, {} profiles, prices of {} models\n",
            file.defaults.len(),
            file.profiles.len(),
            file.prices.len()
        ))?,
        None => tell(&format!(
            "note: there is no {shown}: what is built in holds"
        )),
    }
    Ok(ExitCode::SUCCESS)
}

impl Show {
    fn run(self) -> Result<ExitCode, Error> {
        let mut words: Vec<OsString> = ["cx-operator", "delegate", "--task", "t"]
            .map(Into::into)
            .into();
        if let Some(profile) = &self.profile {
            words.extend(["--profile".into(), profile.into()]);
        }
        words.extend(self.options);
        let (_, in_force) = complete(&words)?;
        let settings = KEYS.iter().map(|key| in_force.show(key)).collect();
        let document = Document {
            schema_version: 1,
            file: in_force.path,
            profile: in_force.profile,
            settings,
            prices: in_force.prices,
        };
        if self.json {
            print_json(&document)?;
        } else {
            print_text(&safe(&in_words(&document)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl InForce {
    /// The commands that tell of a run.
    pub(super) fn notifications(&self) -> Notifications {
        let command = |key| self.words(key).unwrap_or_default().to_vec();
        let mut notifications = Notifications {
            on_waiting: command(ON_WAITING),
            on_finished: command(ON_FINISHED),
            ..Notifications::default()
        };
        let limit = self
            .words(NOTIFY_TIMEOUT)
            .map(|words| super::follow::duration(&words[0]));
        if let Some(Ok(limit)) = limit {
            notifications.limit = limit;
        }
        notifications
    }

    fn show(&self, key: &'static Key) -> Shown {
        let own = self.chosen.get(key.name);
        let source = self.matches.as_ref().filter(|_| key.is_option());
        let raw = source.and_then(|matches| matches.get_raw(key.name));
        let value = raw.map(|raw| {
            raw.map(|word| word.to_string_lossy())
                .collect::<Vec<_>>()
                .join(" ")
        });
        let from = match source.and_then(|matches| matches.value_source(key.name)) {
            Some(ValueSource::CommandLine) => "flag",
            Some(ValueSource::EnvVariable) => "env",
            _ => match own {
                Some((_, true)) => "profile",
                Some((_, false)) => "defaults",
                None => "built_in",
            },
        };
        let quoted = |words: &[String]| {
            words
                .iter()
                .map(|word| shell_quote(word))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let is_the_files = ["profile", "defaults"].contains(&from);
        let place = own.zip(self.path.as_ref()).filter(|_| is_the_files);
        let built_in = (key.name == NOTIFY_TIMEOUT).then(|| "10s".to_owned());
        Shown {
            key: key.name,
            value: value
                .or_else(|| own.map(|(setting, _)| quoted(&setting.words)))
                .or(built_in),
            from,
            place: place.map(|((setting, _), path)| {
                let (line, column) = setting.place;
                format!("{}:{line}:{column}", path.display())
            }),
        }
    }
}

fn in_words(document: &Document) -> String {
    let mut text = match &document.file {
        Some(path) => format!("file: {}\n", one_line(&path.display().to_string())),
        None => "file: none\n".to_owned(),
    };
    for setting in &document.settings {
        let value = one_line(setting.value.as_deref().unwrap_or("-"));
        let place = setting
            .place
            .as_deref()
            .map(|place| format!(" ({})", one_line(place)));
        let from = setting.from.replace('_', " ");
        text += &format!(
            "{:<18} {value:<18} {from}{}\n",
            setting.key,
            place.unwrap_or_default()
        );
    }
    for (model, prices) in &document.prices {
        text += &format!(
            "prices of {}: {} input, {} cached input, {} cache write, {} output\n",
            one_line(model),
            prices.input,
            prices.cached_input,
            prices.cache_write,
            prices.output
        );
    }
    text
}
