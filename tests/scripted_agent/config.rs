//! The configuration: `$CODEX_HOME/config.toml`, the profile's file, and the `-c` overrides of this run, merged in that order.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::cli::Args;
use crate::end::End;

/// The directory of codex's files: `CODEX_HOME`, else `~/.codex`.
pub(crate) fn codex_home() -> PathBuf {
    std::env::var_os("CODEX_HOME")
        .filter(|home| !home.is_empty())
        .map_or_else(
            || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".codex"),
            PathBuf::from,
        )
}

/// The settings of this run.
pub(crate) struct Config {
    pub(crate) home: PathBuf,
    /// Everything, merged.
    merged: Table,
    /// The two layers that hooks can come from, unmerged: their source is part of a hook's identity.
    pub(crate) user: Table,
    pub(crate) flags: Table,
    pub(crate) cwd: PathBuf,
    pub(crate) model: String,
    pub(crate) sandbox: String,
    pub(crate) approval: String,
}

impl Config {
    /// Loads the files and applies the options.
    pub(crate) fn load(args: &Args) -> Result<Self, End> {
        let home = codex_home();
        let user = load_table(&home.join("config.toml"))?;
        let mut merged = user.clone();
        if let Some(profile) = &args.profile {
            let path = home.join(format!("{profile}.config.toml"));
            if !path.exists() {
                return Err(End::Config(format!("no profile {}", path.display())));
            }
            merge(&mut merged, load_table(&path)?);
        }
        let mut flags = Table::new();
        for (key, value) in &args.overrides {
            merge(&mut flags, override_table(key, value));
        }
        merge(&mut merged, flags.clone());
        let mut cwd = std::env::current_dir().map_err(End::io("."))?;
        if let Some(directory) = &args.cwd {
            cwd = cwd
                .join(directory)
                .canonicalize()
                .map_err(End::io(directory))?;
        }
        let text = |option: &Option<String>, key: &str, default: &str| {
            option
                .clone()
                .or_else(|| merged.get(key).and_then(Value::as_str).map(str::to_owned))
                .unwrap_or_else(|| default.to_owned())
        };
        let model = text(&args.model, "model", "gpt-5.5");
        let sandbox = text(&args.sandbox, "sandbox_mode", "workspace-write");
        let approval = text(&args.approval, "approval_policy", "on-request");
        Ok(Self {
            home,
            merged,
            user,
            flags,
            cwd,
            model,
            sandbox,
            approval,
        })
    }

    /// The value at a path of keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Value> {
        lookup(&self.merged, path)
    }

    /// A string at a path of keys.
    pub(crate) fn text(&self, path: &[&str]) -> Option<&str> {
        self.at(path).and_then(Value::as_str)
    }

    /// The name of the model provider.
    pub(crate) fn provider(&self) -> &str {
        self.text(&["model_provider"]).unwrap_or("openai")
    }

    /// The URL that requests would go to.
    pub(crate) fn responses_url(&self) -> String {
        let base = self.text(&["model_providers", self.provider(), "base_url"]);
        format!("{}/responses", base.unwrap_or("https://api.openai.com/v1"))
    }

    /// Whether a start shows no sign-in: `auth.json`, or a provider of the user's own, which has its own key.
    pub(crate) fn signed_in(&self) -> bool {
        self.provider() != "openai" || self.home.join("auth.json").exists()
    }

    /// The model as the status row names it: `gpt-5.5` is "GPT-5.5 default".
    pub(crate) fn model_label(&self) -> String {
        let mut parts = self.model.split('-');
        let mut label = parts.next().unwrap_or_default().to_uppercase();
        for part in parts {
            let mut characters = part.chars();
            label.push('-');
            label.extend(characters.next().into_iter().flat_map(char::to_uppercase));
            label.push_str(characters.as_str());
        }
        format!(
            "{label} {}",
            self.text(&["model_reasoning_effort"]).unwrap_or("default")
        )
    }

    /// The `permission_mode` of hook payloads.
    pub(crate) fn permission_mode(&self) -> &'static str {
        if self.approval == "never" {
            "bypassPermissions"
        } else {
            "default"
        }
    }

    /// Whether the directory's trust is known: asked for the repository's main root, not for a linked worktree.
    pub(crate) fn is_trusted(&self) -> bool {
        let root = main_root(&self.cwd);
        [root.as_path(), self.cwd.as_path()].iter().any(|path| {
            self.text(&["projects", &path.to_string_lossy(), "trust_level"]) == Some("trusted")
        })
    }

    /// Writes one value to the user's `config.toml`, as codex does when a dialog's answer is remembered.
    pub(crate) fn remember(&mut self, path: &[&str], value: Value) -> Result<(), End> {
        let mut nested = value;
        for key in path.iter().rev() {
            nested = Value::Table(Table::from_iter([((*key).to_owned(), nested)]));
        }
        if let Value::Table(table) = nested {
            merge(&mut self.user, table.clone());
            merge(&mut self.merged, table);
        }
        let file = self.home.join("config.toml");
        std::fs::write(&file, self.user.to_string()).map_err(End::io(file))
    }
}

/// The main root of the repository that holds a directory: for a linked worktree the root it is linked to.
pub(crate) fn main_root(cwd: &Path) -> PathBuf {
    for directory in cwd.ancestors() {
        let git = directory.join(".git");
        if git.is_dir() {
            return directory.to_owned();
        }
        let Ok(text) = std::fs::read_to_string(&git) else {
            continue;
        };
        // "gitdir: <root>/.git/worktrees/<name>"
        let linked = Path::new(text.trim().trim_start_matches("gitdir: "));
        if let Some(root) = linked.ancestors().nth(3) {
            return root.to_owned();
        }
    }
    cwd.to_owned()
}

/// The value at a path of keys below a table.
pub(crate) fn lookup<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(table.get(*first)?, |value, key| value.as_table()?.get(*key))
}

/// Reads a TOML file; a missing one is empty.
fn load_table(path: &Path) -> Result<Table, End> {
    match std::fs::read_to_string(path) {
        Ok(text) => text
            .parse()
            .map_err(|error| End::Config(format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Table::new()),
        Err(error) => Err(End::io(path)(error)),
    }
}

/// One `-c key=value` as a table: the key is split at every dot, a value that is not TOML is a string.
fn override_table(key: &str, value: &str) -> Table {
    let parsed = format!("value = {value}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("value"));
    let mut nested = parsed.unwrap_or_else(|| Value::String(value.to_owned()));
    let mut keys: Vec<&str> = key.split('.').collect();
    let first = keys.remove(0);
    for key in keys.into_iter().rev() {
        nested = Value::Table(Table::from_iter([(key.to_owned(), nested)]));
    }
    Table::from_iter([(first.to_owned(), nested)])
}

/// Lays one table over another; tables are merged, everything else replaced.
fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}
