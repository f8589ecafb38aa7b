//! The hooks of a user who wants every session of codex reported, not only ours: entries in `$CODEX_HOME/hooks.json`.
//!
//! Owns four entries of that file, one per [`Kind`], and no other byte of meaning in it: everybody's entries keep their order and
//! their content. An entry is ours when its command is that of our helper for that event and names no directory (or, of
//! an older version, the path of a hook binary and nothing else); any other is the user's own. Refuses a file that is not plain
//! JSON of the shape that codex reads, and says where.
//!
//! Codex runs an entry only after the user has trusted it (`Hooks need review` at its next start); nothing here trusts anything.
//!
//! Source: codex 0.130.0, 0.150.0, 0.169.0, which refuse the same files, see `tests/agent/global_hooks.rs`.

mod entries;
mod file;

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::app_server::{self, HookList, ListedHook};
use super::trust;
use crate::agent::helper::Helper;
use crate::agent::signals::Kind;
use crate::os::chain::failed;
use crate::os::search_path::is_executable;
use file::HooksFile;

/// Why the user's hooks were left as they are.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory doesn't exist; codex creates it at its first start.
    #[error("codex's home directory {} does not exist", .path.display())]
    HomeMissing {
        /// `$CODEX_HOME`.
        path: PathBuf,
    },
    /// The helper's path is not UTF-8, so JSON cannot hold it.
    #[error("the path {} is not UTF-8, which JSON requires", .path.display())]
    PathNotUtf8 {
        /// Where the helper is.
        path: PathBuf,
    },
    /// The file could not be read.
    #[error("{}", failed(format_args!("read {}", .path.display())))]
    Read {
        /// `hooks.json`, or what it links to.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not JSON, or not of the shape that codex reads.
    #[error("{} is invalid, line {line}, column {column}", .path.display())]
    Malformed {
        /// `hooks.json`, or what it links to.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In bytes, from 1; 0 in an empty line.
        column: usize,
        /// The mistake there.
        source: serde_json::Error,
    },
    /// Somebody else wrote the file at the same time.
    #[error("{} was just changed by another program", .path.display())]
    Changed {
        /// `hooks.json`, or what it links to.
        path: PathBuf,
    },
    /// The file, or its backup, could not be written.
    #[error("{}", failed(format_args!("write {}", .path.display())))]
    Write {
        /// The file that could not be written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Codex could not be asked what it makes of the file.
    #[error("{}", failed(format_args!("ask codex for its hooks")))]
    Query(#[from] app_server::Error),
}

/// The action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `hooks.json`, or what it links to.
    pub file: PathBuf,
    /// The copy of the file as it was without our entries, if this call made one.
    pub backup: Option<PathBuf>,
    /// Per event; events without an entry of ours, before and after, are absent.
    pub changes: Vec<Change>,
}

/// The change of one event's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The event.
    pub kind: Kind,
    /// The command line of the entry, as codex's shell reads it.
    pub command: String,
    /// The action.
    pub action: Action,
}

/// The change of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The entry is new.
    Added,
    /// The entry had another command line.
    Updated {
        /// The old command line.
        from: String,
    },
    /// The entry was there already.
    Kept,
    /// The entry is gone.
    Removed {
        /// Entries of others that moved up; codex knows them by their position, and will ask for them to be reviewed again.
        displaced: usize,
    },
}

/// Adds our entries to the user's hooks, or corrects the path in those that are there.
///
/// Where nothing has to change, nothing is written. Before the first change the file is copied to
/// `hooks.json.cx-operator-backup-<n>`. The file's mode, its indentation and a symbolic link in its place are kept.
///
/// # Errors
/// As the variants of [`Error`] say; the file is then as it was.
pub fn install(codex_home: &Path, helper: &Helper) -> Result<Report, Error> {
    if helper.program().to_str().is_none() {
        let path = helper.program().to_owned();
        return Err(Error::PathNotUtf8 { path });
    }
    change(codex_home, |kind| Some(helper.hook_of_any_session(kind)))
}

/// Removes our entries from the user's hooks, and what [`install`] made to hold them.
///
/// # Errors
/// As the variants of [`Error`] say; the file is then as it was.
pub fn uninstall(codex_home: &Path) -> Result<Report, Error> {
    change(codex_home, |_| None)
}

/// Gives each event the entry that is wanted for it, or none.
fn change(codex_home: &Path, wanted: impl Fn(Kind) -> Option<String>) -> Result<Report, Error> {
    let mut file = load(codex_home)?;
    let is_ours = Kind::ALL
        .iter()
        .any(|&kind| entries::find(&file.value, kind).is_some());
    let original = is_ours.then(|| file.load_backup()).flatten();
    let empty = Value::Null;
    let changes: Vec<_> = Kind::ALL
        .into_iter()
        .filter_map(|kind| {
            let original = original.as_ref().unwrap_or(&empty);
            entries::merge(&mut file.value, kind, wanted(kind), original)
        })
        .collect();
    let mut backup = None;
    if changes.iter().any(|change| change.action != Action::Kept) {
        if !is_ours {
            backup = file.back_up()?;
        }
        if original.is_none() && file.value == json!({}) {
            file.delete()?;
        } else {
            file.save()?;
        }
    }
    Ok(Report {
        file: file.path,
        backup,
        changes,
    })
}

/// The state of our entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// `hooks.json`, or what it links to.
    pub file: PathBuf,
    /// One per event, in the order of [`Kind::ALL`].
    pub hooks: Vec<HookState>,
    /// codex's complaints about its configuration, such as a refused file.
    pub complaints: Vec<String>,
}

/// The state of one event's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookState {
    /// The event.
    pub kind: Kind,
    /// The entry's command line, if the file has an entry of ours.
    pub command: Option<String>,
    /// Whether the entry's program is a file that may be executed.
    pub runnable: bool,
    /// The entry as codex sees it, if it does: hash, trust, whether it is switched off.
    pub listed: Option<ListedHook>,
}

/// Checks our entries: the file, the helper, and what codex itself says. Blocks up to 6 s.
///
/// # Errors
/// [`Error::Read`], [`Error::Malformed`] and [`Error::HomeMissing`] for the file, [`Error::Query`] for codex. A missing entry or
/// helper is not an error but a state.
pub fn verify(codex: &Path, codex_home: &Path) -> Result<Verification, Error> {
    let file = load(codex_home)?;
    // No project has a configuration there, so the answer is about the user's alone.
    let list = app_server::query_hooks(codex, codex_home, Path::new("/"))?;
    let hooks = Kind::ALL.map(|kind| hook_state(&file, kind, &list)).into();
    let errors = list
        .errors
        .iter()
        .map(|error| format!("{}: {}", error.path.display(), error.message));
    Ok(Verification {
        hooks,
        complaints: list.warnings.iter().cloned().chain(errors).collect(),
        file: file.path,
    })
}

fn hook_state(file: &HooksFile, kind: Kind, list: &HookList) -> HookState {
    let command = entries::find(&file.value, kind).map(str::to_owned);
    let program = command
        .as_deref()
        .and_then(|command| Helper::program_of(command, kind));
    // Codex names the file as it found it, a link or not.
    let is_ours = |path: &Path| path.canonicalize().ok() == file.path.canonicalize().ok();
    let listed = list.hooks.iter().find(|hook| {
        hook.event_name == trust::event_names(kind).listed
            && hook.command.is_some()
            && hook.command == command
            && is_ours(&hook.source_path)
    });
    HookState {
        kind,
        runnable: program.is_some_and(|program| is_executable(&program)),
        command,
        listed: listed.cloned(),
    }
}

fn load(codex_home: &Path) -> Result<HooksFile, Error> {
    if !codex_home.is_dir() {
        return Err(Error::HomeMissing {
            path: codex_home.to_owned(),
        });
    }
    HooksFile::load(codex_home.join("hooks.json"))
}
