//! The codex program: where it is, which version, what it can do, whether it is signed in.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::run;
use crate::search_path::search_path;

/// The versions that every screen and fact here was seen on.
pub const KNOWN_VERSIONS: (&str, &str) = ("0.125.0", "0.169.0");

/// How long a question to the program may take.
const QUERY_LIMIT: Duration = Duration::from_secs(15);

/// Why codex can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// No such program.
    #[error("find codex: {0}")]
    Missing(String),
    /// The program does not answer as codex does.
    #[error("ask {program} for {question}: {message}")]
    Unusable {
        /// The program.
        program: PathBuf,
        /// Its argument.
        question: &'static str,
        /// What went wrong.
        message: String,
    },
}

/// A codex that can be started, and what it said of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The absolute path, links resolved.
    pub path: PathBuf,
    /// For example `0.169.0`.
    pub version: String,
    /// The long flags of `--help`.
    pub flags: BTreeSet<String>,
    /// For each model of its catalogue that it offers to replace: by which. To know the answer already is
    /// what keeps the offer from the screen. Source: codex 0.169.0, `notice.model_migrations`; a value
    /// other than the offered model does not silence it.
    pub model_upgrades: BTreeMap<String, String>,
}

impl Program {
    /// Finds codex (`program`, else on `path`) and learns what it can do, from the cache below `state` if
    /// this very file was asked before.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Unusable`].
    pub async fn query(
        program: Option<&Path>,
        search: Option<&OsString>,
        state: &Path,
    ) -> Result<Self, Error> {
        let path = find(program, search)?;
        let cache = cache_file(&path, state);
        if let Some(known) = fs::read(&cache)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok())
            && known.path == path
        {
            return Ok(known);
        }
        let (version, help, models) = tokio::join!(
            query(&path, "--version", &["--version"]),
            query(&path, "--help", &["--help"]),
            query(&path, "debug models", &["debug", "models", "--bundled"]),
        );
        let known = Self {
            version: parse_version(&version?).ok_or_else(|| Error::Unusable {
                program: path.clone(),
                question: "--version",
                message: "its answer is not codex's".to_owned(),
            })?,
            flags: parse_flags(&help?),
            // Without a catalogue the offer is met on the screen.
            model_upgrades: models.map(|json| parse_upgrades(&json)).unwrap_or_default(),
            path,
        };
        let _only_a_cache = cache.parent().map(run::make_private_directory);
        if let Ok(bytes) = serde_json::to_vec(&known) {
            let _only_a_cache = run::write_private(&cache, &bytes, run::Durability::Cached);
        }
        Ok(known)
    }

    /// Whether `--help` lists that long flag.
    #[must_use]
    pub fn has_flag(&self, flag: &str) -> bool {
        self.flags.contains(flag)
    }

    /// Whether the version lies within what was tried.
    #[must_use]
    pub fn is_known(&self) -> bool {
        let number = |version: &str| {
            let mut parts = version
                .split('.')
                .map(|part| part.parse::<u32>().unwrap_or(0));
            (parts.next(), parts.next())
        };
        number(KNOWN_VERSIONS.0) <= number(&self.version)
            && number(&self.version) <= number(KNOWN_VERSIONS.1)
    }

    /// Asks codex itself whether it is signed in, as `codex login status` tells by its exit status.
    ///
    /// # Errors
    /// [`Error::Unusable`] when it gives no answer.
    pub async fn query_signed_in(&self, environment: &[(String, String)]) -> Result<bool, Error> {
        let mut command = command(&self.path, &["login", "status"]);
        command
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)));
        let output = output(&self.path, "login status", command).await?;
        Ok(output.status.success())
    }
}

/// How codex would be let in to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignIn {
    /// `auth.json` is there.
    Stored {
        /// It holds an API key rather than a subscription's tokens.
        api_key: bool,
    },
    /// The configured provider needs no sign-in.
    Provider {
        /// It is paid by a key, which is in the environment.
        api_key: bool,
    },
    /// The configured provider's key is missing from the environment.
    ProviderKeyMissing,
    /// Nothing tells; the program must be asked.
    Unknown,
}

/// Reads from `codex_home` how codex would authenticate. No secret leaves this function.
#[must_use]
pub fn sign_in(codex_home: &Path, has_variable: impl Fn(&str) -> bool) -> SignIn {
    let config: toml::Table = fs::read_to_string(codex_home.join("config.toml"))
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    if let Some(name) = config.get("model_provider").and_then(toml::Value::as_str)
        && name != "openai"
    {
        let provider = config
            .get("model_providers")
            .and_then(|providers| providers.get(name));
        let needs_openai = provider
            .and_then(|p| p.get("requires_openai_auth"))
            .and_then(toml::Value::as_bool);
        match provider
            .and_then(|provider| provider.get("env_key"))
            .and_then(toml::Value::as_str)
        {
            _ if needs_openai == Some(true) => {}
            Some(variable) if has_variable(variable) => return SignIn::Provider { api_key: true },
            Some(_) => return SignIn::ProviderKeyMissing,
            None => return SignIn::Provider { api_key: false },
        }
    }
    let Ok(stored) = fs::read(codex_home.join("auth.json")) else {
        return SignIn::Unknown;
    };
    let stored: serde_json::Value = serde_json::from_slice(&stored).unwrap_or_default();
    let present = |name: &str| stored.get(name).is_some_and(|value| !value.is_null());
    match (present("tokens"), present("OPENAI_API_KEY")) {
        (true, _) => SignIn::Stored { api_key: false },
        (false, true) => SignIn::Stored { api_key: true },
        (false, false) => SignIn::Unknown,
    }
}

/// codex's directory: `$CODEX_HOME`, else `~/.codex`.
#[must_use]
pub fn codex_home(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name: &str| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("CODEX_HOME").or_else(|| set("HOME").map(|home| home.join(".codex")))
}

/// The program: `program` as a path or a name, else `codex`, the latter two looked up in `search`.
///
/// # Errors
/// [`Error::Missing`].
pub fn find(program: Option<&Path>, search: Option<&OsString>) -> Result<PathBuf, Error> {
    let is_program = |path: &Path| {
        fs::metadata(path)
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let found = match program {
        Some(path) if path.components().count() > 1 => is_program(path)
            .then(|| path.to_owned())
            .ok_or_else(|| format!("{} is no program", path.display())),
        name => {
            let name = name.unwrap_or(Path::new("codex"));
            std::env::split_paths(search.unwrap_or(&OsString::new()))
                .map(|dir| dir.join(name))
                .find(|path| is_program(path))
                .ok_or_else(|| format!("no `{}` on PATH", name.display()))
        }
    };
    let path = found.map_err(Error::Missing)?;
    // Links are kept: npm's wrapper finds its package through its own path, which resolves them itself.
    std::path::absolute(&path).map_err(|error| Error::Missing(error.to_string()))
}

/// One cache file per program, version and build: a new file at the same path has another time or size.
fn cache_file(path: &Path, state: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    if let Ok(meta) = fs::metadata(path) {
        (meta.len(), meta.mtime(), meta.mtime_nsec(), meta.ino()).hash(&mut hasher);
    }
    // npm replaces the native package beside the wrapper, whose own file may stay as it was.
    let package = path
        .canonicalize()
        .ok()
        .and_then(|real| Some(real.parent()?.parent()?.join("package.json")));
    if let Some(meta) = package.and_then(|package| fs::metadata(package).ok()) {
        (meta.len(), meta.mtime(), meta.mtime_nsec()).hash(&mut hasher);
    }
    state
        .join("cache")
        .join(format!("codex-{:016x}.json", hasher.finish()))
}

fn command(path: &Path, arguments: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(path);
    command
        .args(arguments)
        // npm's wrapper looks for `node` there.
        .env("PATH", search_path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn output(
    path: &Path,
    question: &'static str,
    mut command: tokio::process::Command,
) -> Result<std::process::Output, Error> {
    let unusable = |message: String| Error::Unusable {
        program: path.to_owned(),
        question,
        message,
    };
    tokio::time::timeout(QUERY_LIMIT, command.output())
        .await
        .map_err(|_elapsed| unusable(format!("no answer within {QUERY_LIMIT:?}")))?
        .map_err(|error| unusable(error.to_string()))
}

async fn query(path: &Path, question: &'static str, arguments: &[&str]) -> Result<String, Error> {
    let output = output(path, question, command(path, arguments)).await?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        let message = format!(
            "{}: {}",
            output.status,
            said.lines().next().unwrap_or("it said nothing")
        );
        Err(Error::Unusable {
            program: path.to_owned(),
            question,
            message,
        })
    }
}

fn parse_version(printed: &str) -> Option<String> {
    let version = printed.trim().strip_prefix("codex-cli ")?;
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| version.to_owned())
}

fn parse_flags(help: &str) -> BTreeSet<String> {
    let is_option = |line: &&str| line.trim_start().starts_with('-');
    let words = help
        .lines()
        .filter(is_option)
        .flat_map(|line| line.split([' ', ',', '=']));
    words
        .filter(|word| word.len() > 2 && word.starts_with("--"))
        .map(str::to_owned)
        .collect()
}

fn parse_upgrades(catalogue: &str) -> BTreeMap<String, String> {
    #[derive(Deserialize)]
    struct Catalogue {
        models: Vec<Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        slug: String,
        upgrade: Option<Upgrade>,
    }
    #[derive(Deserialize)]
    struct Upgrade {
        model: String,
    }
    let Ok(catalogue) = serde_json::from_str::<Catalogue>(catalogue) else {
        return BTreeMap::new();
    };
    let upgrade = |model: Model| Some((model.slug, model.upgrade?.model));
    catalogue.models.into_iter().filter_map(upgrade).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_parsed() {
        assert_eq!(
            parse_version("codex-cli 0.169.0\n").as_deref(),
            Some("0.169.0")
        );
        assert_eq!(parse_version("GNU bash, version 5"), None);
        let help = "Options:\n  -c, --config <key=value>\n          Words on --not-a-flag here\n      --no-daemon\n  -a, --ask-for-approval <P>\n";
        let flags: Vec<_> = parse_flags(help).into_iter().collect();
        assert_eq!(flags, ["--ask-for-approval", "--config", "--no-daemon"]);
        let models = r#"{"models":[{"slug":"a","upgrade":{"model":"b","x":1}},{"slug":"b","upgrade":null},{"slug":"c"}]}"#;
        assert_eq!(
            parse_upgrades(models),
            BTreeMap::from([("a".to_owned(), "b".to_owned())])
        );
        assert!(parse_upgrades("<html>").is_empty());
    }

    #[test]
    fn sign_in_is_read_without_the_secret() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let none = |_: &str| false;
        assert_eq!(sign_in(home.path(), none), SignIn::Unknown);
        let write =
            |name: &str, text: &str| fs::write(home.path().join(name), text).expect("written");
        write("auth.json", r#"{"OPENAI_API_KEY":"k","tokens":null}"#);
        assert_eq!(sign_in(home.path(), none), SignIn::Stored { api_key: true });
        write("auth.json", r#"{"OPENAI_API_KEY":null,"tokens":{"id":1}}"#);
        assert_eq!(
            sign_in(home.path(), none),
            SignIn::Stored { api_key: false }
        );
        write(
            "config.toml",
            "model_provider = \"p\"\n[model_providers.p]\nenv_key = \"P_KEY\"\n",
        );
        assert_eq!(sign_in(home.path(), none), SignIn::ProviderKeyMissing);
        assert_eq!(
            sign_in(home.path(), |name| name == "P_KEY"),
            SignIn::Provider { api_key: true }
        );
    }

    #[test]
    fn known_versions_are_a_range() {
        let program = |version: &str| Program {
            path: PathBuf::new(),
            version: version.to_owned(),
            flags: BTreeSet::new(),
            model_upgrades: BTreeMap::new(),
        };
        assert!(program("0.130.0").is_known() && program("0.169.4").is_known());
        assert!(!program("0.99.0").is_known() && !program("1.0.0").is_known());
    }
}
