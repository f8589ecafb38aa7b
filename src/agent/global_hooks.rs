//! The hooks of a user who wants every session of an agent reported, not only ours: entries in a file of the user's.
//!
//! Owns an entry of that file for each event that the agent has for a [`Kind`], and no other byte of meaning in it: everybody's
//! entries keep their order and their content. An entry is ours when its command is that of our helper for that event and names no
//! directory (or, of an older version, the path of a hook binary and nothing else); any other is the user's own. Refuses a file
//! that is not plain JSON of the shape that agents read, and says where.
//!
//! What differs between agents is behind [`GlobalHooks`]. Where an agent runs an entry only after its user has trusted it, nothing
//! here trusts anything.

mod entries;
mod file;

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use super::refusal::Refusal;
use crate::agent::helper::Helper;
use crate::agent::signals::Kind;
use crate::os::chain::failed;
use crate::os::files::PrivateDirectory;
use crate::os::search_path::is_executable;
use file::HooksFile;

/// The longest that a hook may take that is tried. It takes a millisecond.
const TRIAL_LIMIT: Duration = Duration::from_secs(5);

/// What an agent knows of its user's hooks.
pub trait GlobalHooks: fmt::Debug + Send + Sync {
    /// The agent, as a message names it.
    fn agent(&self) -> &'static str;

    /// Its directory, for a user with these variables.
    fn home(&self, variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf>;

    /// The name of the file in that directory.
    fn file(&self) -> &'static str;

    /// The names of the events in that file, each with what our hook reports of it.
    fn events(&self) -> &'static [(&'static str, Kind)];

    /// Whether it takes a file of blanks for an empty one, and no offence at a byte order mark.
    fn is_forgiving(&self) -> bool {
        false
    }

    /// Whether its user reviews each entry, which it knows by its position.
    fn is_reviewed(&self) -> bool {
        false
    }

    /// The program that [`Self::judge`] asks; `None` where the file tells everything.
    ///
    /// # Errors
    /// It is not there.
    fn find(&self, _named: Option<&Path>) -> Result<Option<PathBuf>, Refusal> {
        Ok(None)
    }

    /// Corrects and completes what the file tells by what the agent makes of it.
    ///
    /// # Errors
    /// [`Error::Query`].
    fn judge(&self, judged: Judged<'_>, found: &mut Verification) -> Result<(), Error>;
}

/// What an agent is to judge.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// The program of [`GlobalHooks::find`].
    pub program: Option<&'a Path>,
    /// The agent's directory.
    pub home: &'a Path,
    /// The content of the file.
    pub content: &'a Value,
}

/// Why the user's hooks were left as they are.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory doesn't exist; the agent creates it at its first start.
    #[error("{agent}'s home directory {} does not exist", .path.display())]
    HomeMissing {
        /// The agent.
        agent: &'static str,
        /// Where it should be.
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
        /// The file, or what it links to.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not JSON, or not of the shape that agents read.
    #[error("{} is invalid, line {line}, column {column}", .path.display())]
    Malformed {
        /// The file, or what it links to.
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
        /// The file, or what it links to.
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
    /// The agent could not be asked what it makes of the file.
    #[error("{}", failed(format_args!("ask {agent} for its hooks")))]
    Query {
        /// The agent.
        agent: &'static str,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// The action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The file, or what it links to.
    pub file: PathBuf,
    /// The copy of the file as it was without our entries, if this call made one.
    pub backup: Option<PathBuf>,
    /// Per event; events without an entry of ours, before and after, are absent.
    pub changes: Vec<Change>,
}

/// The change of one event's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The event, as the file names it.
    pub event: &'static str,
    /// What our hook reports of it.
    pub kind: Kind,
    /// The command line of the entry, as a shell reads it.
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
        /// Entries of others that moved up; an agent whose user reviews them knows them by their position.
        displaced: usize,
    },
}

/// Adds our entries to the user's hooks, or corrects the path in those that are there.
///
/// Where nothing has to change, nothing is written. Before the first change the file is copied to
/// `<its name>.cx-operator-backup-<n>`. The file's mode, its indentation, the ends of its lines and a symbolic link in its place
/// are kept. A file that nobody may write to is left alone.
///
/// # Errors
/// As the variants of [`Error`] say; the file is then as it was.
pub fn install(hooks: &dyn GlobalHooks, home: &Path, helper: &Helper) -> Result<Report, Error> {
    if helper.program().to_str().is_none() {
        let path = helper.program().to_owned();
        return Err(Error::PathNotUtf8 { path });
    }
    change(hooks, home, |kind| Some(helper.hook_of_any_session(kind)))
}

/// Removes our entries from the user's hooks, and what [`install`] made to hold them. A file that then says what it said
/// before is the same byte for byte.
///
/// # Errors
/// As the variants of [`Error`] say; the file is then as it was.
pub fn uninstall(hooks: &dyn GlobalHooks, home: &Path) -> Result<Report, Error> {
    change(hooks, home, |_| None)
}

/// Gives each event the entry that is wanted for it, or none.
fn change(
    hooks: &dyn GlobalHooks,
    home: &Path,
    wanted: impl Fn(Kind) -> Option<String>,
) -> Result<Report, Error> {
    let mut file = load(hooks, home)?;
    let events = hooks.events();
    let is_ours = events
        .iter()
        .any(|&event| entries::find(&file.value, event).is_some());
    let original = is_ours.then(|| file.load_backup()).flatten();
    let empty = Value::Null;
    let changes: Vec<_> = events
        .iter()
        .filter_map(|&event| {
            let original = original.as_ref().unwrap_or(&empty);
            entries::merge(&mut file.value, event, wanted(event.1), original)
        })
        .collect();
    let mut backup = None;
    if changes.iter().any(|change| change.action != Action::Kept) {
        if !is_ours {
            backup = file.back_up()?;
        }
        // As texts: their order counts.
        let now = file.value.to_string();
        let before = original.as_ref().map(Value::to_string);
        let is_as_before = before.is_some_and(|before| before == now);
        if original.is_none() && file.value == json!({}) {
            file.delete()?;
        } else if is_as_before {
            file.restore()?;
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
    /// The file, or what it links to.
    pub file: PathBuf,
    /// One per event, in the order of [`GlobalHooks::events`].
    pub hooks: Vec<HookState>,
    /// What speaks against the file as a whole, such as a refusal by the agent.
    pub complaints: Vec<String>,
}

/// The state of one event's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookState {
    /// The event, as the file names it.
    pub event: &'static str,
    /// What our hook reports of it.
    pub kind: Kind,
    /// The entry's command line, if the file has an entry of ours.
    pub command: Option<String>,
    /// Whether it was run, with success.
    pub runnable: bool,
    /// What the agent says of it, where its user reviews entries; `None` also where it does not see the entry.
    pub review: Option<Review>,
    /// Whether the agent runs it.
    pub works: bool,
}

/// What an agent says of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Its word for it, for example `untrusted`.
    pub trust: String,
    /// What it knows the reviewed entry by.
    pub hash: String,
}

/// Checks our entries: the file, the helper, and what the agent itself says. Blocks some seconds at most.
///
/// # Errors
/// [`Error::Read`], [`Error::Malformed`] and [`Error::HomeMissing`] for the file, [`Error::Query`] for the agent. A missing entry
/// or helper is not an error but a state.
pub fn verify(
    hooks: &dyn GlobalHooks,
    program: Option<&Path>,
    home: &Path,
) -> Result<Verification, Error> {
    let file = load(hooks, home)?;
    let state = |&(event, kind): &(&'static str, Kind)| {
        let command = entries::find(&file.value, (event, kind)).map(str::to_owned);
        let runnable = command
            .as_deref()
            .is_some_and(|command| runs(command, kind));
        HookState {
            event,
            kind,
            command,
            runnable,
            review: None,
            works: runnable,
        }
    };
    let mut found = Verification {
        hooks: hooks.events().iter().map(state).collect(),
        complaints: Vec::new(),
        file: file.path.clone(),
    };
    let content = &file.value;
    let judged = Judged {
        program,
        home,
        content,
    };
    hooks.judge(judged, &mut found)?;
    Ok(found)
}

/// Whether the hook runs: it is started as an agent would, in a directory of its own and with an empty payload.
fn runs(command: &str, kind: Kind) -> bool {
    let is_there = Helper::program_of(command, kind).is_some_and(|program| is_executable(&program));
    is_there && try_out(command).unwrap_or(false)
}

fn try_out(command: &str) -> io::Result<bool> {
    let place = PrivateDirectory::make()?;
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .current_dir(&place.path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let group = Pid::from_child(&child);
    let started = Instant::now();
    let ended = loop {
        match child.try_wait() {
            Ok(None) if started.elapsed() <= TRIAL_LIMIT => thread::sleep(Duration::from_millis(1)),
            ended => break ended,
        }
    };
    // What it started is a trial's too.
    let _all_have_ended = kill_process_group(group, Signal::KILL);
    child.wait()?;
    Ok(ended?.is_some_and(|status| status.success()))
}

fn load(hooks: &dyn GlobalHooks, home: &Path) -> Result<HooksFile, Error> {
    if !home.is_dir() {
        return Err(Error::HomeMissing {
            agent: hooks.agent(),
            path: home.to_owned(),
        });
    }
    HooksFile::load(home.join(hooks.file()), hooks.is_forgiving())
}
