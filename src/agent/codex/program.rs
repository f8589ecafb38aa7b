//! The codex program: where it is, which version, what it can do, whether it is signed in.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::agent::query::{self, Said};
use crate::os::files;

/// The versions that every screen and fact here was seen on.
pub const KNOWN_VERSIONS: (&str, &str) = ("0.125.0", "0.169.0");

/// Why codex can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// No such program.
    #[error("codex is missing: {0}")]
    Missing(String),
    /// The program does not answer as codex does.
    #[error("`{} {question}` does not work: {message}", program.display())]
    Unusable {
        /// The program.
        program: PathBuf,
        /// Its argument.
        question: &'static str,
        /// The error.
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
    /// Whether a profile is a file `<name>.config.toml` of its own, rather than a table of `config.toml`.
    ///
    /// Source: codex 0.150.0 and 0.169.0, and 0.130.0 for the latter, `--help`.
    #[serde(default)]
    pub profiles_are_files: bool,
    /// For each model of its catalogue that it offers to replace: by which. To know the answer already is
    /// what keeps the offer from the screen. Source: codex 0.169.0, `notice.model_migrations`; a value
    /// other than the offered model does not silence it.
    pub model_upgrades: BTreeMap<String, String>,
}

impl Program {
    /// Finds codex (`program`, else on the environment's PATH) and asks it for its version in `directory`: a shim of
    /// a version manager stays the same file when what it runs changes, by time and by place. What else it can do
    /// is kept below `state` for each version.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Unusable`].
    pub async fn query(
        program: Option<&Path>,
        environment: &[(String, String)],
        directory: &Path,
        state: &Path,
    ) -> Result<Self, Error> {
        let search = environment.iter().find(|(name, _)| name == "PATH");
        let path = find(program, search.map(|(_, value)| value.into()).as_ref())?;
        let query = Query {
            program: &path,
            environment,
            directory,
        };
        let version = query.version().await?;
        let cache = cache_file(&path, &version, state);
        if let Some(known) = fs::read(&cache)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok())
            && known.path == path
            && known.version == version
        {
            return Ok(known);
        }
        let (help, models) = tokio::join!(
            query.ask("--help", &["--help"]),
            query.ask("debug models", &["debug", "models", "--bundled"]),
        );
        let help = help?;
        let known = Self {
            version,
            flags: parse_flags(&help),
            profiles_are_files: help.contains("<CONFIG_PROFILE_V2>"),
            // Without a catalogue the offer is met on the screen.
            model_upgrades: models.map(|json| parse_upgrades(&json)).unwrap_or_default(),
            path,
        };
        let _only_a_cache = cache.parent().map(files::make_private_directory);
        if let Ok(bytes) = serde_json::to_vec(&known) {
            let _only_a_cache = files::write_private(&cache, &bytes, files::Durability::Cached);
        }
        Ok(known)
    }

    /// Forgets what is known of it: it refused its arguments.
    pub(crate) fn forget(&self, state: &Path) {
        let _not_there = fs::remove_file(cache_file(&self.path, &self.version, state));
    }

    /// Whether `--help` lists that long flag.
    #[must_use]
    pub fn has_flag(&self, flag: &str) -> bool {
        self.flags.contains(flag)
    }

    /// Whether the version is within the range that was tried.
    #[must_use]
    pub fn is_known(&self) -> bool {
        (number(KNOWN_VERSIONS.0)..=number(KNOWN_VERSIONS.1)).contains(&self.number())
    }

    /// The first two parts of the version.
    pub(super) fn number(&self) -> (u32, u32) {
        number(&self.version)
    }

    /// Asks codex itself whether it is signed in, as `codex login status` tells by its exit status.
    ///
    /// # Errors
    /// [`Error::Unusable`] when it gives no answer.
    pub async fn query_signed_in(&self, environment: &[(String, String)]) -> Result<bool, Error> {
        let query = Query {
            program: &self.path,
            environment,
            directory: Path::new("/"),
        };
        let said = query.output("login status", &["login", "status"]).await?;
        Ok(said.status.success())
    }
}

fn number(version: &str) -> (u32, u32) {
    let mut parts = version
        .split('.')
        .map(|part| part.parse().unwrap_or_default());
    (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    )
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
    let named = program.unwrap_or(Path::new("codex"));
    query::find(named, search.map(OsString::as_os_str)).ok_or_else(|| {
        Error::Missing(if named.components().count() > 1 {
            format!("{} is not a program", named.display())
        } else {
            format!("no `{}` on PATH", named.display())
        })
    })
}

/// One cache file per program, version and build: a new file at the same path has another time or size.
fn cache_file(path: &Path, version: &str, state: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    (path, version).hash(&mut hasher);
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

/// A program that is asked about itself.
struct Query<'a> {
    program: &'a Path,
    environment: &'a [(String, String)],
    directory: &'a Path,
}

impl Query<'_> {
    async fn version(&self) -> Result<String, Error> {
        let said = self.output("--version", &["--version"]).await?;
        if !said.status.success() {
            return Err(self.failed("--version", &said));
        }
        parse_version(&said.stdout).ok_or_else(|| {
            let message = format!("its answer is not codex's: {}", said.complaint());
            self.unusable("--version", message)
        })
    }

    async fn ask(&self, question: &'static str, arguments: &[&str]) -> Result<String, Error> {
        let said = self.output(question, arguments).await?;
        if said.status.success() {
            Ok(said.stdout)
        } else {
            Err(self.failed(question, &said))
        }
    }

    fn failed(&self, question: &'static str, said: &Said) -> Error {
        self.unusable(question, format!("{}: {}", said.status, said.complaint()))
    }

    fn unusable(&self, question: &'static str, message: String) -> Error {
        Error::Unusable {
            program: self.program.to_owned(),
            question,
            message,
        }
    }

    async fn output(&self, question: &'static str, arguments: &[&str]) -> Result<Said, Error> {
        let asked = query::ask(self.program, arguments, self.environment, self.directory);
        asked.await.map_err(|why| self.unusable(question, why))
    }
}

/// The version in what `--version` prints; a wrapper may say something of its own before.
fn parse_version(printed: &str) -> Option<String> {
    let mut versions = printed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("codex-cli "));
    versions
        .rfind(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
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
    // A wrapper may say something of its own before.
    let json = catalogue.find('{').map_or("", |at| &catalogue[at..]);
    let Ok(catalogue) = serde_json::from_str::<Catalogue>(json) else {
        return BTreeMap::new();
    };
    let upgrade = |model: Model| Some((model.slug, model.upgrade?.model));
    catalogue.models.into_iter().filter_map(upgrade).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    #[test]
    fn answers_are_parsed() {
        assert_eq!(
            parse_version("codex-cli 0.169.0\n").as_deref(),
            Some("0.169.0")
        );
        let noisy = "mise: codex\ncodex-cli 0.150.0\n";
        assert_eq!(parse_version(noisy).as_deref(), Some("0.150.0"));
        assert_eq!(parse_version("GNU bash, version 5"), None);
        let help = "Options:\n  -c, --config <key=value>\n          Words on --not-a-flag here\n      --no-daemon\n  -a, --ask-for-approval <P>\n";
        let flags: Vec<_> = parse_flags(help).into_iter().collect();
        assert_eq!(flags, ["--ask-for-approval", "--config", "--no-daemon"]);
        let models = r#"{"models":[{"slug":"a","upgrade":{"model":"b","x":1}},{"slug":"b","upgrade":null},{"slug":"c"}]}"#;
        assert_eq!(
            parse_upgrades(models),
            BTreeMap::from([("a".to_owned(), "b".to_owned())])
        );
        assert_eq!(parse_upgrades(&format!("mise: codex\n{models}")).len(), 1);
        assert!(parse_upgrades("<html>").is_empty());
    }

    #[test]
    fn known_versions_are_a_range() {
        let program = |version: &str| Program {
            path: PathBuf::new(),
            version: version.to_owned(),
            flags: BTreeSet::new(),
            profiles_are_files: true,
            model_upgrades: BTreeMap::new(),
        };
        assert!(program("0.130.0").is_known() && program("0.169.4").is_known());
        assert!(!program("0.99.0").is_known() && !program("1.0.0").is_known());
    }

    /// A program of that text, asked once.
    async fn asked(dir: &Path, script: &str) -> Result<Program, Error> {
        let program = dir.join("shim");
        fs::write(&program, script).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
        let environment = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
        Program::query(Some(&program), &environment, dir, &dir.join("state")).await
    }

    #[tokio::test]
    async fn a_shim_is_asked_each_time() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let script = "#!/bin/sh\necho using codex\necho codex-cli $(cat version)\n";
        for version in ["0.169.0", "0.150.0"] {
            fs::write(dir.path().join("version"), version).expect("written");
            let program = asked(dir.path(), script).await.expect("it answers");
            assert_eq!(program.version, version);
        }
    }

    #[tokio::test]
    async fn what_a_question_starts_ends_with_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let script = "#!/bin/sh\nsleep 300 &\necho $! > child\necho codex-cli 0.169.0\n";
        asked(dir.path(), script).await.expect("it answers");
        let child = fs::read_to_string(dir.path().join("child")).expect("a process");
        let stat = format!("/proc/{}/stat", child.trim());
        // After SIGTERM it may take a moment; and it may not be reaped yet.
        let runs = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        let limit = std::time::Instant::now() + Duration::from_secs(10);
        while runs() {
            assert!(std::time::Instant::now() < limit, "it runs");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
