//! The order: what a caller asks for.

pub mod budget;
pub mod earlier;
mod error;
pub mod judge;
pub mod name;
pub mod notifications;
pub mod policy;
pub mod prompt;
pub mod question;
pub mod respond;

pub use error::Error;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::agent::executor::Options;
use crate::task::budget::Budget;
use crate::task::earlier::Earlier;
use crate::task::judge::Policy;
use crate::task::name::{Names, TaskName};
use crate::task::notifications::Notifications;
use crate::task::policy::{Keep, Limits, Permissions};
use crate::task::prompt::Prompt;
use crate::task::respond::Responder;

/// One task for an agent. Made by [`Task::new`]; every field has a default but the first three.
///
/// As a document it is the order that a run carries out: `order.json` in the run's directory, from which an operator takes
/// the run over. What may hold a credential is not in it: [`Task::environment`] and [`Options::arguments`]. A responder of a
/// caller's own, without a [`Recipe`](respond::Recipe), is not in it either, and of a policy of its own only the name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Task {
    /// The task's name.
    pub name: TaskName,
    /// A path in the repository.
    pub repository: PathBuf,
    /// The brief.
    pub prompt: Prompt,
    /// The revision to start from. Default: `HEAD`.
    pub base: String,
    /// Whether the caller's uncommitted changes are part of the base. Default: no.
    pub include_dirty: bool,
    /// Whether the brief is preceded by our short preamble. Default: yes.
    pub preamble: bool,
    /// Whether the agent is asked, once, how the task is going when its last message is unclear. Default: yes.
    pub probe: bool,
    /// How the agent is started.
    pub agent: Options,
    /// Variables for the agent, beyond the caller's environment.
    #[serde(skip)]
    pub environment: Vec<(String, String)>,
    /// The policy for approvals.
    pub permissions: Permissions,
    /// Who decides what the agent may do, before all other answers. Default: nobody.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "judge::document"
    )]
    pub policy: Option<Arc<dyn Policy>>,
    /// Who may answer, asked in order.
    #[serde(with = "respond::recipes")]
    pub responders: Vec<Arc<dyn Responder>>,
    /// The deadlines and the number of turns.
    pub limits: Limits,
    /// What the run may use. Default: no limit.
    #[serde(default)]
    pub budget: Budget,
    /// The commands that tell others of the run. Default: none.
    #[serde(default)]
    pub notifications: Notifications,
    /// The configuration file that the task was made with, for the journal. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Configuration>,
    /// Where worktrees are made. Default: `/tmp`.
    pub worktree_root: PathBuf,
    /// Where in the worktree the agent works, relative to its top. Default, `None`: where [`Task::repository`] is in its
    /// checkout, if the base has that directory, and else the top.
    pub directory: Option<PathBuf>,
    /// The things that stay after the run.
    pub keep: Keep,
    /// The run that it goes on from; see [`Operator::continuation`](crate::Operator::continuation). Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Earlier>,
}

/// What a configuration file gave to a task.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Configuration {
    /// The file.
    pub file: PathBuf,
    /// The profile.
    pub profile: Option<String>,
    /// The values that are in force by it, by their keys.
    pub values: BTreeMap<String, String>,
}

impl Configuration {
    /// What that file gave.
    #[must_use]
    pub fn new(file: PathBuf, profile: Option<String>, values: BTreeMap<String, String>) -> Self {
        Self {
            file,
            profile,
            values,
        }
    }
}

impl Task {
    /// A task with the defaults.
    #[must_use]
    pub fn new(name: TaskName, repository: PathBuf, prompt: Prompt) -> Self {
        Self {
            name,
            repository,
            prompt,
            base: "HEAD".to_owned(),
            include_dirty: false,
            preamble: true,
            probe: true,
            agent: Options::default(),
            environment: Vec::new(),
            permissions: Permissions::default(),
            policy: None,
            responders: Vec::new(),
            limits: Limits::default(),
            budget: Budget::default(),
            notifications: Notifications::default(),
            configuration: None,
            worktree_root: PathBuf::from("/tmp"),
            directory: None,
            keep: Keep::default(),
            earlier: None,
        }
    }

    /// The names of what a run of the task makes.
    pub(crate) fn names(&self) -> Names {
        let prefix = self.agent.executor.prefix();
        Names::new(prefix, &self.name, &self.worktree_root)
    }
}
