//! The policy of a run as its hooks find it, and what they decided by it.
//!
//! ```text
//! policy.json             the policy, and where the run works; written before the agent starts
//! verdict-<seq>.json      one decision, written before the agent is told
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{is_seq, nanos_since_epoch, store};
use crate::policy::{Action, Ground, NamedPolicy, Policy, Request, Verdict};

/// Name of the file with the policy.
const STANDING_NAME: &str = "policy.json";

const PREFIX: &str = "verdict-";

/// The policy of a run, and the ground that it judges on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    policy: NamedPolicy,
    worktree: PathBuf,
    home: Option<PathBuf>,
}

/// One decision of a hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The agent's name of the tool.
    pub tool: String,
    /// The command, or the tool and what it is about.
    pub command: String,
    /// Whether the agent had asked for leave; else it was about to do it without.
    pub asked: bool,
    /// The verdict.
    pub verdict: Verdict,
}

impl Standing {
    /// The policy of a run in that worktree, of a user with that home.
    pub fn new(policy: NamedPolicy, worktree: PathBuf, home: Option<PathBuf>) -> Self {
        Self {
            policy,
            worktree,
            home,
        }
    }

    /// Writes it; to be done before the agent starts.
    ///
    /// # Errors
    /// Whatever the atomic write meets.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        store::write_atomic(dir, STANDING_NAME, &serde_json::to_vec(self)?)
    }

    /// The policy of a signal directory; `None` where it has none, or one that can't be read.
    pub fn load(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&load_file(&dir.join(STANDING_NAME))?).ok()
    }

    /// Judges a request.
    pub fn judge(&self, request: &Request) -> Option<Verdict> {
        let policy = Policy::parse_unchecked(self.policy.text()).ok()?;
        let ground = Ground::new(&self.worktree, self.home.as_deref());
        Some(policy.judge(request, &ground))
    }
}

impl Decided {
    /// Writes it down under a name of its own.
    ///
    /// # Errors
    /// Whatever the atomic write meets.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        let seq = format!("{:020}-{}", nanos_since_epoch(), std::process::id());
        let name = format!("{PREFIX}{seq}.json");
        store::write_atomic(dir, &name, &serde_json::to_vec(self)?)
    }

    /// The action and its rule, as one line has it.
    pub fn action(&self) -> Action {
        self.verdict.action
    }

    /// All decisions in a signal directory with their names, oldest first. One that can't be read is left out.
    pub fn list(dir: &Path) -> Vec<(String, Self)> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let is_one = |name: &String| {
            let seq = name
                .strip_prefix(PREFIX)
                .and_then(|rest| rest.strip_suffix(".json"));
            seq.is_some_and(is_seq)
        };
        let mut names: Vec<String> = names.filter(is_one).collect();
        names.sort_unstable();
        let decided = |name: String| {
            let decided = serde_json::from_slice(&load_file(&dir.join(&name))?).ok()?;
            Some((name, decided))
        };
        names.into_iter().filter_map(decided).collect()
    }
}

/// A regular file, and no link.
fn load_file(path: &Path) -> Option<Vec<u8>> {
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    is_file.then(|| fs::read(path).ok()).flatten()
}
