//! Gives a run its own linked worktree, takes what the agent left there, and removes it again.
//!
//! The flow: [`Repository::discover`] → [`Repository::resolve_base`] → [`Worktree::add`] → the agent works →
//! [`Worktree::snapshot`] → [`crate::worktree::diff::write_patch`] → [`remove`]. All functions block.
//!
//! What this module owns: one directory, one branch, one administrative directory below `worktrees/` of the
//! repository, and refs below `refs/cx-operator/`. What it refuses: to write anything else. The user's HEAD, index,
//! configuration, branches, reflogs and files are read at most, but for [`apply`], which is called for nothing else.
//!
//! Invariants:
//!
//! * An ownership marker ([`Owner`]) exists before anything it names is made, and is removed last: a process killed
//!   at any point leaves something that [`owned`] lists and [`remove`] removes. The one exception has the run's id for
//!   its name: `cx-operator.<run-id>` in the shared git directory, empty, which [`remove`] removes as well.
//! * If the marker was removed by another program, the branch's reflog proves for whom the branch was made.
//! * A snapshot that returned is complete and on the disk; what it was taken from may go.
//! * The worktree's own `.git` file and index belong to the agent and are never believed: the repository is opened
//!   where it was found before the agent started.
//! * No hook, no pager, no editor, no prompt. The git program fills the worktree, takes its files and compares commits:
//!   what it makes of rules, attributes and settings is right by definition.
//!
//! The files import each other in one direction only, from the lowest: `error`, `files`, `git`; `discovery`,
//! `repository`; `ancestry`, `identity`, `refs`; `spec`, `marker`, `admin_dir`, `owned`; `branch`, `new_refs`; `add`;
//! then `adopt`, `remove`, `diff`, `durable`, `capture`, `agent_head`, `snapshot`, `dirty`; `merge`, `apply`. Nothing of the crate is
//! imported but `os`.

mod add;
mod admin_dir;
mod adopt;
mod agent_head;
mod ancestry;
pub mod apply;
mod branch;
pub mod caller;
mod capture;
pub mod diff;
mod dirty;
mod discovery;
mod durable;
mod error;
mod files;
mod git;
mod glance;
mod identity;
mod marker;
mod merge;
mod new_refs;
mod owned;
mod refs;
mod remove;
mod repository;
mod snapshot;
mod spec;

pub use add::Worktree;
pub use adopt::linked_git_dir;
pub use agent_head::AgentCommit;
pub use branch::BranchHolder;
pub use dirty::Dirty;
pub(crate) use discovery::refuse_unspeakable;
pub use error::Error;
pub(crate) use files::shown;
pub use glance::Glance;
pub use owned::{OwnedWorktree, owned};
pub use remove::{BranchRemoval, Removal, Removed, remove};
pub use repository::{CommitId, Repository};
pub use snapshot::{Changes, Snapshot, SnapshotSpec};
pub use spec::{Owner, WorktreeSpec};
