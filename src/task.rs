//! What a caller asks for.

pub mod name;
pub mod policy;
pub mod prompt;
pub mod question;
pub mod respond;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::agent::codex::launch::Options;
use crate::agent::executor::TrustPolicy;
use crate::task::name::TaskName;
use crate::task::policy::Keep;
use crate::task::policy::{Limits, Permissions};
use crate::task::prompt::Prompt;
use crate::task::respond::{Recipe, Responder};

/// One task for an agent. Made by [`Task::new`]; every field has a default but the first three.
#[derive(Clone)]
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
    /// Whether the agent is asked, once, how the task stands where its last message doesn't tell. Default: yes.
    pub probe: bool,
    /// How codex is started.
    pub codex: Options,
    /// Variables for the agent, beyond the caller's environment.
    pub environment: Vec<(String, String)>,
    /// What happens to approvals.
    pub permissions: Permissions,
    /// Who may answer, asked in order.
    pub responders: Vec<Arc<dyn Responder>>,
    /// The deadlines and the number of turns.
    pub limits: Limits,
    /// Where worktrees are made. Default: `/tmp`.
    pub worktree_root: PathBuf,
    /// Where in the worktree the agent works, relative to its top. Default, `None`: where [`Task::repository`] is in its
    /// checkout, if the base has that directory, and else the top.
    pub directory: Option<PathBuf>,
    /// What stays.
    pub keep: Keep,
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
            codex: Options::default(),
            environment: Vec::new(),
            permissions: Permissions::default(),
            responders: Vec::new(),
            limits: Limits::default(),
            worktree_root: PathBuf::from("/tmp"),
            directory: None,
            keep: Keep::default(),
        }
    }

    /// The worktree's path: `<worktree-root>/cx-<task>`.
    #[must_use]
    pub fn worktree(&self) -> PathBuf {
        self.worktree_root.join(self.name.branch())
    }

    /// What of it an operator needs that takes the run over.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            permissions: self.permissions,
            probe: self.probe,
            trust: self.codex.trust,
            limits: self.limits,
            keep: self.keep,
            responders: self
                .responders
                .iter()
                .filter_map(|responder| responder.recipe())
                .collect(),
        }
    }
}

/// What of a task an operator needs that takes its run over: the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What happens to approvals.
    pub permissions: Permissions,
    /// Whether the agent is asked how the task stands.
    #[serde(default)]
    pub probe: bool,
    /// What happens to trust dialogs.
    pub trust: TrustPolicy,
    /// The deadlines and the number of turns.
    pub limits: Limits,
    /// What stays.
    pub keep: Keep,
    /// Who may answer, as far as they can be made anew.
    pub responders: Vec<Recipe>,
}
