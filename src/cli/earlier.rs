//! What a call takes from an earlier run.

use crate::record::RunDir;

/// The options of `delegate` that are the earlier run's where they are not given.
const INHERITED: [&str; 12] = [
    "executor",
    "program",
    "model",
    "agent_profile",
    "drive",
    "sandbox",
    "ask",
    "trust",
    "permissions",
    "policy",
    "worktree_root",
    "cwd",
];

/// What a call goes on from.
pub(super) struct Continues {
    pub(super) run: RunDir,
    pub(super) fresh: bool,
    /// The options that were given.
    pub(super) given: Vec<String>,
}

impl Continues {
    /// Whether that option was given, and does not leave it to the earlier run.
    pub(super) fn is_given(&self, option: &str) -> bool {
        self.given.iter().any(|given| given == option)
    }
}

/// Whether an option is the earlier run's where it is not given: what your configuration says in general has no say in it.
pub(super) fn inherits(option: &str) -> bool {
    INHERITED.contains(&option)
}
