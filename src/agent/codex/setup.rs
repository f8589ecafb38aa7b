//! codex's configuration as codex itself reads it, asked before anything is made for a run.
//!
//! Files of system, user, profile and repository, an administrator's requirements and the caller's own arguments
//! add up to one configuration. Its `app-server` reads them as the interactive program does, says what is wrong with
//! them, and who the model's provider is. The answer is kept for as long as none of those files changes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};
use std::{fs, io};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use super::app_server::{self, Asked, ask};
use super::launch::{RELIED_ON, SERVED, SETTINGS, toml_string};
use super::program::{Program, codex_home};
use crate::agent::conversation::Drive;
use crate::agent::environment::value;
use crate::agent::executor::{Options, TrustPolicy};
use crate::os::files::{self, Durability};

mod required;

/// How long an answer is believed: what an administrator demands may come over the network, from no file.
const BELIEVED: Duration = Duration::from_secs(60 * 60);
/// What codex says of its own database, which another codex that starts at the same time in a new home has locked. It is asked
/// so often, with this time between.
///
/// Source: codex 0.150.0, two at once, `failed to initialize sqlite state runtime under …`.
const STATE: &str = "failed to initialize sqlite state runtime";
const TRIES: u8 = 5;
const PACE: Duration = Duration::from_millis(200);
/// The configuration of the machine's administrator.
const SYSTEM: [&str; 3] = [
    "/etc/codex/config.toml",
    "/etc/codex/managed_config.toml",
    "/etc/codex/requirements.toml",
];
/// Keys that a run presses.
const PRESSED: [&str; 4] = ["enter", "shift-f12", "up", "down"];
/// Where a binding of such a key interferes.
const CONTEXTS: [&str; 5] = ["global", "chat", "composer", "list", "approval"];
/// The actions that are to have them.
const OURS: [(&str, &str); 4] = [
    ("composer", "submit"),
    ("list", "accept"),
    ("list", "move_up"),
    ("list", "move_down"),
];

/// How a refusal of a configuration begins.
///
/// Source: codex 0.130.0, 0.150.0 and 0.169.0, `config/read` with a broken file, a value of another type, an unknown
/// provider, an instructions file that isn't there.
const DOINGS: [&str; 3] = [
    "failed to read configuration layers: ",
    "invalid configuration: ",
    "failed to resolve feature override precedence: ",
];

/// Why codex would not do with its configuration.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// `CODEX_HOME` is not a directory.
    #[error("codex's home directory {} can't be used: {why}", path.display())]
    Home {
        /// Its value.
        path: PathBuf,
        /// The mistake.
        why: String,
    },
    /// codex refuses its configuration.
    #[error("codex refuses its configuration: {0}")]
    Invalid(String),
    /// The profile that the caller named is nowhere.
    #[error("the profile {name} does not exist: {} is missing", path.display())]
    Profile {
        /// Its name.
        name: String,
        /// The file that would hold it.
        path: PathBuf,
    },
    /// Something stronger than the run's own arguments says otherwise.
    #[error("{0}")]
    Forced(String),
}

/// The provider of the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// OpenAI, or a provider that wants a sign-in with OpenAI.
    OpenAi,
    /// Another one.
    Other {
        /// Its name in the configuration.
        name: String,
        /// The variable that its key is in, if that is how it is paid.
        key: Option<String>,
    },
}

/// codex's configuration as far as a run needs it. Contains no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// The provider of the model.
    pub provider: Provider,
    /// The only way to sign in that is allowed: `chatgpt` or `api`.
    pub login: Option<String>,
    /// Where credentials are kept: `file`, `keyring`, `auto`.
    pub store: Option<String>,
    /// Values for `-c` that take the keys which a run presses from what the user gave them to.
    pub unbound: Vec<String>,
}

/// Whom to ask, and about what.
#[derive(Clone, Copy, Debug)]
pub struct SetupQuery<'a> {
    /// The program.
    pub program: &'a Program,
    /// The caller's options.
    pub options: &'a Options,
    /// The way in which it will be driven.
    pub drive: Drive,
    /// The agent's environment.
    pub environment: &'a [(String, String)],
    /// codex's directory.
    pub home: &'a Path,
    /// The directory that codex trusts in place of each worktree, see [`Launch`](super::launch::Launch).
    pub repository: &'a Path,
    /// The directory in the caller's checkout that corresponds to the agent's own.
    pub directory: &'a Path,
}

impl SetupQuery<'_> {
    /// Asks codex, or remembers what it said below `state` of the same files. Blocks for some tenths of a second.
    /// `None`: this program can't be asked.
    ///
    /// # Errors
    /// As the variants of [`enum@Error`] say.
    pub fn ask(&self, state: &Path) -> Result<Option<Setup>, Error> {
        let settings = self.settings()?;
        let cache = state
            .join("cache")
            .join(format!("setup-{:016x}.json", self.fingerprint(&settings)));
        if let Some(known) = recall(&cache) {
            return Ok(Some(known));
        }
        let mut answer = self.ask_once(&settings);
        for _ in 1..TRIES {
            let Err(Error::Invalid(why)) = &answer else {
                break;
            };
            if !why.contains(STATE) {
                break;
            }
            std::thread::sleep(PACE);
            answer = self.ask_once(&settings);
        }
        let Some(setup) = answer? else {
            return Ok(None);
        };
        let _only_a_cache = cache.parent().map(files::make_private_directory);
        if let Ok(bytes) = serde_json::to_vec(&setup) {
            let _only_a_cache = files::write_private(&cache, &bytes, Durability::Cached);
        }
        Ok(Some(setup))
    }

    fn ask_once(&self, settings: &[String]) -> Result<Option<Setup>, Error> {
        let mut command = Command::new(&self.program.path);
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.directory)
            .args(settings)
            .arg("app-server");
        let questions = [
            ("config/read", json!({"cwd": self.directory})),
            ("configRequirements/read", Value::Null),
        ];
        let asked = ask(command, &self.program.path, &questions);
        understand(asked, self.options, self.drive)
    }

    /// The arguments that add to the configuration, as an `app-server` takes them.
    fn settings(&self) -> Result<Vec<String>, Error> {
        let mut settings = Vec::new();
        let (others, named) = configuring(&self.options.arguments);
        if let Some(profile) = named.as_ref().or(self.options.profile.as_ref()) {
            settings.extend(self.profile(profile)?);
        }
        settings.extend(others);
        if self.options.trust == TrustPolicy::Accept {
            let root = toml_string(&self.repository.to_string_lossy());
            settings.push("-c".to_owned());
            settings.push(format!(r#"projects={{{root}={{trust_level="trusted"}}}}"#));
        }
        for value in RELIED_ON {
            settings.extend(["-c".to_owned(), value.to_owned()]);
        }
        Ok(settings)
    }

    /// A profile's settings: an `app-server` refuses `--profile` where a profile is a file of its own.
    fn profile(&self, name: &str) -> Result<Vec<String>, Error> {
        if !self.program.profiles_are_files {
            return Ok(vec!["--profile".to_owned(), name.to_owned()]);
        }
        let table = load_profile(self.home, name)?;
        let value =
            |(key, value): (String, toml::Value)| ["-c".to_owned(), format!("{key}={value}")];
        Ok(table.into_iter().flat_map(value).collect())
    }

    /// All that the answer depends on.
    fn fingerprint(&self, settings: &[String]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.program.path, &self.program.version, settings).hash(&mut hasher);
        (self.home, self.repository, self.directory).hash(&mut hasher);
        (self.options.sandbox.as_str(), self.options.ask.as_str()).hash(&mut hasher);
        self.drive.hash(&mut hasher);
        let here = ["config.toml", "managed_config.toml", "auth.json"];
        let files = here
            .map(|name| self.home.join(name))
            .into_iter()
            // Each directory from the repository's root down to this one may have its own.
            .chain(self.directory.ancestors().map(|above| above.join(SETTINGS)))
            .chain(SYSTEM.map(PathBuf::from));
        for file in files {
            // By what it is rather than by what it holds, which may be a credential. No clock is fine enough to tell
            // two writes apart for sure, the size and the inode do the rest.
            let meta = fs::metadata(file).ok();
            meta.map(|meta| {
                (
                    meta.ino(),
                    meta.len(),
                    meta.mtime(),
                    meta.mtime_nsec(),
                    meta.ctime_nsec(),
                )
            })
            .hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// The settings of a profile that is a file of its own.
fn load_profile(home: &Path, name: &str) -> Result<toml::Table, Error> {
    let path = home.join(format!("{name}.config.toml"));
    let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::Profile {
            name: name.to_owned(),
            path: path.clone(),
        },
        _ => Error::Invalid(format!("{}: {error}", path.display())),
    })?;
    text.trim_start_matches('\u{feff}')
        .parse()
        .map_err(|error: toml::de::Error| {
            Error::Invalid(format!("{}: {}", path.display(), error.message()))
        })
}

/// The settings of the profile that the caller chose, as a thread's configuration. They go before those of the server, so that
/// what the run decides is decided here as well.
pub(super) fn profile_of(
    options: &Options,
    environment: &[(String, String)],
) -> Result<Option<Value>, Error> {
    let (_, named) = configuring(&options.arguments);
    let Some(name) = named.as_ref().or(options.profile.as_ref()) else {
        return Ok(None);
    };
    let variable = |name: &str| value(environment, name).and_then(|value| value.into_string().ok());
    let home = codex_home(variable).unwrap_or_default();
    let mut table = load_profile(&home, name)?;
    table.remove("projects");
    overlay(
        &mut table,
        SERVED.join("\n").parse().expect("they are TOML"),
    );
    serde_json::to_value(table)
        .map(Some)
        .map_err(|error| Error::Invalid(format!("the profile {name}: {error}")))
}

/// Puts settings over others.
fn overlay(under: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => overlay(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// The caller's arguments that configure a server.
pub(super) fn served(arguments: &[String]) -> Vec<String> {
    configuring(arguments).0
}

/// The first of the caller's arguments that means something to the terminal alone.
pub(super) fn unserved(arguments: &[String]) -> Option<&str> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let flag = argument
            .split_once('=')
            .map_or(argument.as_str(), |(flag, _)| flag);
        match flag {
            "-c" | "--config" | "--enable" | "--disable" | "-p" | "--profile" => {
                if flag == argument {
                    rest.next();
                }
            }
            "--strict-config" => {}
            _ => return Some(argument),
        }
    }
    None
}

/// The same, as far as `config.toml` alone tells: for a program that can't be asked.
///
/// # Errors
/// [`Error::Invalid`].
pub fn load(home: &Path) -> Result<Setup, Error> {
    let path = home.join("config.toml");
    let invalid = |why: String| Error::Invalid(format!("{}: {why}", path.display()));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(invalid(error.to_string())),
    };
    let config: Value = toml::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| invalid(error.message().to_owned()))?;
    Ok(read(&config))
}

fn recall(cache: &Path) -> Option<Setup> {
    let written = fs::metadata(cache).ok()?.modified().ok()?;
    let age = SystemTime::now().duration_since(written).ok()?;
    if age > BELIEVED {
        return None;
    }
    serde_json::from_slice(&fs::read(cache).ok()?).ok()
}

/// Of the caller's arguments those that configure codex, and the profile that they name.
fn configuring(arguments: &[String]) -> (Vec<String>, Option<String>) {
    let (mut settings, mut profile) = (Vec::new(), None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let (flag, joined) = match argument.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (argument.as_str(), None),
        };
        match flag {
            "-c" | "--config" | "--enable" | "--disable" => {
                let value = joined.or_else(|| rest.next().cloned());
                settings.extend(
                    value
                        .map(|value| [flag.to_owned(), value])
                        .into_iter()
                        .flatten(),
                );
            }
            "-p" | "--profile" => profile = joined.or_else(|| rest.next().cloned()).or(profile),
            "--strict-config" => settings.push(flag.to_owned()),
            "--" => break,
            _ => {}
        }
    }
    (settings, profile)
}

/// What the answers say.
fn understand(
    asked: Result<Asked, app_server::Error>,
    options: &Options,
    drive: Drive,
) -> Result<Option<Setup>, Error> {
    // A missing answer is not a refusal: the run finds out.
    let Ok(asked) = asked else {
        return Ok(None);
    };
    let mut answers = asked.answers.into_iter();
    let config = match answers.next().flatten() {
        Some(Ok(config)) => config["config"].clone(),
        Some(Err(message)) if is_about_the_configuration(&message) => {
            return Err(Error::Invalid(one_line(&message)));
        }
        Some(Err(_)) => return Ok(None),
        // It ended at once: `Error: …` is what it has against its configuration.
        None => {
            let mut lines = asked
                .complaints
                .lines()
                .skip_while(|line| !line.starts_with("Error: "));
            let Some(first) = lines.next() else {
                return Ok(None);
            };
            let rest =
                lines.take_while(|line| !line.is_empty() && !line.starts_with("Stack backtrace"));
            let said: Vec<&str> = std::iter::once(first.trim_start_matches("Error: "))
                .chain(rest)
                .collect();
            return Err(Error::Invalid(one_line(&said.join("\n"))));
        }
    };
    if !config.is_object() {
        return Ok(None);
    }
    let by_keys = drive == Drive::Keys;
    required::check(&config, options, by_keys)?;
    if let Some(Ok(answer)) = answers.next().flatten() {
        required::check_administrators(&answer["requirements"], options, by_keys)?;
    }
    Ok(Some(read(&config)))
}

fn is_about_the_configuration(message: &str) -> bool {
    DOINGS.iter().any(|doing| message.starts_with(doing))
}

/// The message without what codex says of its own doing, and without the line of the file, which may hold a credential.
fn one_line(message: &str) -> String {
    let message = DOINGS
        .iter()
        .find_map(|doing| message.strip_prefix(doing))
        .unwrap_or(message);
    let is_quoted = |line: &&str| {
        line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')
            .starts_with('|')
    };
    let lines = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !is_quoted(line));
    lines.collect::<Vec<_>>().join(" ")
}

fn read(config: &Value) -> Setup {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let name = text(&config["model_provider"]).unwrap_or_else(|| "openai".to_owned());
    let known = &config["model_providers"][&name];
    let wants_openai = match known["requires_openai_auth"].as_bool() {
        Some(wants) => wants,
        None => name == "openai" && known.is_null(),
    };
    let provider = if wants_openai {
        Provider::OpenAi
    } else {
        Provider::Other {
            key: text(&known["env_key"]),
            name,
        }
    };
    Setup {
        provider,
        login: text(&config["forced_login_method"]),
        store: text(&config["cli_auth_credentials_store"]),
        unbound: unbound(&config["tui"]["keymap"]),
    }
}

fn unbound(keymap: &Value) -> Vec<String> {
    let mut unbound = Vec::new();
    let presses = |key: &Value| key.as_str().is_some_and(|key| PRESSED.contains(&key));
    for context in CONTEXTS {
        for (action, keys) in keymap[context].as_object().into_iter().flatten() {
            let pressed =
                presses(keys) || keys.as_array().is_some_and(|keys| keys.iter().any(presses));
            if pressed && !OURS.contains(&(context, action.as_str())) {
                unbound.push(format!("tui.keymap.{context}.{action}=[]"));
            }
        }
    }
    unbound
}

#[cfg(test)]
mod tests;
