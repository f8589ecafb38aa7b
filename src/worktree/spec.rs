//! Which worktree, for whom.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::repository::CommitId;

/// Which worktree, for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorktreeSpec {
    /// The directory. Absolute; its parent must exist, it must not.
    pub path: PathBuf,
    /// The branch to create, without `refs/heads/`.
    pub branch: String,
    /// The commit it starts from.
    pub base: CommitId,
    /// The run it belongs to.
    #[serde(flatten)]
    pub owner: Owner,
}

/// The run that a worktree belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The run's id, `<yyyymmdd-hhmmss>-<task>-<4 hex>`.
    pub run_id: String,
    /// The state directory that has the run's record. Absolute.
    pub state_dir: PathBuf,
}
