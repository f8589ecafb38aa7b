//! The policy of a run as its hooks find it, and what they decided by it.
//!
//! ```text
//! policy.json             the policy, and where the run works; written before the agent starts
//! verdict-<seq>.json      one decision, written before the agent is told
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{is_seq, nanos_since_epoch, ruling, store};
use crate::agent::report::Call;
use crate::os::time::milliseconds;
use crate::policy::{Action, Ground, NamedPolicy, Ruling, Verdict};

/// Name of the file with the policy.
const STANDING_NAME: &str = "policy.json";

const PREFIX: &str = "verdict-";

/// What an agent is told that nobody decided for in time.
const LATE: &str = "Nobody decided in time whether that may be done, so it may not. Go on without it, or say what you need.";

/// The policy of a run, and the ground that it judges on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    judge: Judge,
    worktree: PathBuf,
    home: Option<PathBuf>,
}

/// Who decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Judge {
    /// The hook, by these rules.
    Rules(NamedPolicy),
    /// The operator, within that time.
    Operator {
        #[serde(rename = "limit_ms", with = "milliseconds")]
        limit: Duration,
    },
    /// Nobody any more: the run is over, and its session was kept.
    Nobody,
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
    /// The rules of a run in that worktree, of a user with that home.
    pub fn new(rules: NamedPolicy, worktree: PathBuf, home: Option<PathBuf>) -> Self {
        Self {
            judge: Judge::Rules(rules),
            worktree,
            home,
        }
    }

    /// A policy that the operator's own process has, which decides within `limit`.
    pub fn of_operator(limit: Duration, worktree: PathBuf) -> Self {
        Self {
            judge: Judge::Operator { limit },
            worktree,
            home: None,
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
        serde_json::from_slice(&store::load_file(&dir.join(STANDING_NAME))?).ok()
    }

    /// Judges a call, or has it judged: then it waits. `None` for rules that can't be read.
    pub fn judge(&self, dir: &Path, call: &Call) -> Option<Verdict> {
        match &self.judge {
            Judge::Rules(rules) => {
                let ground = Ground::new(&self.worktree, self.home.as_deref());
                Some(rules.parse()?.judge(&call.request, &ground))
            }
            Judge::Operator { limit } => {
                let ruling = ruling::ask(dir, call, *limit);
                let late = || match Self::load(dir).map(|standing| standing.judge) {
                    // It was over just then.
                    Some(Judge::Nobody) => Ruling::ask("default"),
                    _ => Ruling::deny("default", LATE),
                };
                Some(ruling.unwrap_or_else(late).into())
            }
            Judge::Nobody => Some(Ruling::ask("default").into()),
        }
    }

    /// Leaves the calls that wait for the operator, and all later ones, to whoever is asked without a policy. Rules stay.
    ///
    /// # Errors
    /// Whatever an atomic write meets.
    pub(super) fn release(dir: &Path) -> io::Result<()> {
        let Some(mut standing) = Self::load(dir) else {
            return Ok(());
        };
        if !matches!(standing.judge, Judge::Operator { .. }) {
            return Ok(());
        }
        standing.judge = Judge::Nobody;
        standing.write(dir)?;
        for (name, _) in ruling::open_calls(dir) {
            ruling::write_ruling(dir, &name, &Ruling::ask("default"))?;
        }
        Ok(())
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
            let decided = serde_json::from_slice(&store::load_file(&dir.join(&name))?).ok()?;
            Some((name, decided))
        };
        names.into_iter().filter_map(decided).collect()
    }
}
