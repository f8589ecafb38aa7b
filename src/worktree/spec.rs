//! Which worktree, for whom.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::files::known_path;
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

impl WorktreeSpec {
    /// The same with the links of its path resolved, as far as it exists.
    pub(super) fn resolved(&self) -> Result<Self, Error> {
        Ok(Self {
            path: known_path(&self.path)?,
            ..self.clone()
        })
    }
}

/// The run that a worktree belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The run's id, `<yyyymmdd-hhmmss>-<task>-<4 hex>`.
    pub run_id: String,
    /// The state directory that has the run's record. Absolute.
    pub state_dir: PathBuf,
}
