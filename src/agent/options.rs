//! What a caller chooses about an agent: which one, how it is driven, what it may do without asking.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::ExecutorId;
use super::answer::AnswerSchema;

/// The way in which a run drives an agent's program.
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Drive {
    /// By requests where the program and the options allow it, else by keys.
    #[default]
    Auto,
    /// By typed requests to the program's own server; a terminal can join.
    Requests,
    /// By keys in the program's terminal.
    Keys,
    /// By one prompt on its stdin; the stream of events on its stdout tells the rest. It is the executor's own way: nobody
    /// chooses it.
    #[cfg_attr(feature = "cli", value(skip))]
    Headless,
}

impl Drive {
    /// Its name: `auto`, `requests`, `keys`, `headless`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Whether the agent may trust the repository that a task is for.
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustPolicy {
    /// Trust it: the caller chose the repository and the commit.
    #[default]
    Accept,
    /// Leave it to the caller.
    Ask,
}

/// The places that the agent's shell commands may write to.
#[cfg_attr(feature = "cli", derive(clap::ValueEnum, schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Sandbox {
    /// Nothing.
    ReadOnly,
    /// The worktree and /tmp, but no `.git`: the agent can't commit.
    #[default]
    WorkspaceWrite,
    /// Everything that the user may write to.
    DangerFullAccess,
}

impl Sandbox {
    /// Its name: `read-only`, …
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// When the agent asks before it runs something.
#[cfg_attr(feature = "cli", derive(clap::ValueEnum, schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Ask {
    /// When the model says that a command needs more than the sandbox gives.
    #[default]
    OnRequest,
    /// Never: what the sandbox refuses stays refused.
    Never,
}

impl Ask {
    /// Its name: `on-request` or `never`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The choices of a caller that an agent is started with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Options {
    /// The executor.
    pub executor: ExecutorId,
    /// The way in which it is driven.
    pub drive: Drive,
    /// The program; `None`: the executor's, on PATH.
    pub program: Option<PathBuf>,
    /// What its commands may write to.
    pub sandbox: Sandbox,
    /// When it asks.
    pub ask: Ask,
    /// The model, in place of the configured one.
    pub model: Option<String>,
    /// A profile of the user's configuration.
    pub profile: Option<String>,
    /// Whether its folder question is answered.
    pub trust: TrustPolicy,
    /// The form of its answer.
    pub output_schema: Option<AnswerSchema>,
    /// Further arguments, passed as they are. They may hold a credential, so no document has them.
    #[serde(skip)]
    pub arguments: Vec<String>,
}
