//! The executors: the interactive CLIs that a task can be handed to.
//!
//! One folder each. Everything that is known about a CLI (its flags, dialogs, payloads, transcript, and the versions that
//! a fact holds for) is in its folder and nowhere else. [`executor`] is the boundary; [`conversation`], [`screen_state`] and [`report`] are its words;
//! [`answer`] is the form that one must have; [`helper`] is the program that serves as hooks and launcher, [`signals`] are the files that hooks write; [`global_hooks`] are those of all of a user's sessions; [`environment`]
//! is what an agent gets of its caller's.

use std::fmt;
use std::ops::Deref;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use executor::Executor;
pub use global_hooks::Error as GlobalHooksError;

pub mod answer;
pub mod claude;
pub mod codex;
pub mod conversation;
pub mod environment;
pub mod executor;
pub mod global_hooks;
pub mod helper;
pub(crate) mod options;
pub(crate) mod query;
pub(crate) mod refusal;
pub mod report;
pub mod screen_state;
#[cfg(feature = "scripted-agent")]
pub mod scripted;
pub mod signals;

/// All executors; the first is taken where none is named.
pub static EXECUTORS: &[&dyn Executor] = &[
    &codex::Codex,
    &claude::Claude,
    &codex::CodexExec,
    &claude::ClaudePrint,
    #[cfg(feature = "scripted-agent")]
    &scripted::Scripted,
];

/// The leftovers ([`Executor::leftovers`]) of all executors: for work whose executor is unknown.
pub(crate) static ALL_LEFTOVERS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let all = EXECUTORS.iter().flat_map(|executor| executor.leftovers());
    all.copied().collect()
});

/// The executor that a caller chose. Documents have its name.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExecutorId(&'static dyn Executor);

impl ExecutorId {
    /// The executor of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut all = EXECUTORS.iter();
        all.find(|executor| executor.name() == name)
            .map(|executor| Self(*executor))
    }
}

impl Default for ExecutorId {
    fn default() -> Self {
        Self(EXECUTORS[0])
    }
}

impl Deref for ExecutorId {
    type Target = dyn Executor;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl PartialEq for ExecutorId {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for ExecutorId {}

impl fmt::Debug for ExecutorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<ExecutorId> for String {
    fn from(chosen: ExecutorId) -> Self {
        chosen.name().to_owned()
    }
}

impl TryFrom<String> for ExecutorId {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::parse(&name).ok_or_else(|| format!("no executor is called `{name}`"))
    }
}
