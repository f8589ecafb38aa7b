//! Delegates a coding task to another agent's interactive CLI and returns a typed result.
//!
//! One delegation is a run:
//!
//! ```text
//! preflight → worktree → launch → dialogs → submit → (turn → classify → reply)* ≤ 8 → snapshot → diff → record → teardown
//! ```
//!
//! Three sources feed one stream of events, and none is trusted alone: files that hooks write
//! (`agent::signals`), the agent's transcript, and its screen. A pure state machine (`turn`) decides;
//! every wait ends on evidence or at a named deadline. Whatever ends a run, the agent's work is kept as a
//! commit and a patch, and everything made for the run is removed.
//!
//! ```no_run
//! use cx_operator::{Operator, Prompt, Task, TaskName};
//!
//! # async fn example() -> Result<(), cx_operator::Error> {
//! let operator = Operator::builder().build()?;
//! let name = TaskName::parse("refactor-auth")?;
//! let brief = Prompt::parse(b"Split src/auth.rs into one file per provider. Keep the tests green.")?;
//! let outcome = operator.delegate(Task::new(name, ".".into(), brief)).await;
//! println!("{}: {} files changed", outcome.status, outcome.files_changed);
//! # Ok(())
//! # }
//! ```
//!
//! Each room imports only rooms below it (`tests/docs/rooms.rs` holds the order):
//!
//! | room | owns |
//! |---|---|
//! | `mcp` | the server of the Model Context Protocol, of the feature `cli` |
//! | `operator` | what a caller can ask for: runs, the queue, `cleanup`, `prune` |
//! | `run` | one run: preflight, launch, the turns, collecting the work, teardown, recovery |
//! | `turn` | pure: the state machine of the turns, the reading of messages |
//! | `error` | the one error on top |
//! | `record` | a run on disk: directories, locks, `run.json`, `events.jsonl`, what is hidden of it |
//! | `task` | the order: name, prompt, policy, responders |
//! | `agent` | all that is known about an agent's CLI, and what its hooks write |
//! | `policy` | what an agent may do: rules, and the reading of shell commands |
//! | `worktree` | git: worktree, snapshot, patch |
//! | `tmux` | our own server, its sessions and panes |
//! | `os` | processes, files and their changes, time |

#![cfg_attr(
    not(feature = "unstable"),
    expect(
        unreachable_pub,
        unused_imports,
        reason = "the rooms are public for the tests of this repository only"
    )
)]
#![cfg_attr(
    not(any(feature = "cli", feature = "unstable")),
    expect(dead_code, reason = "the command line uses the rest")
)]

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "cli")]
mod mcp;

#[cfg(not(feature = "unstable"))]
mod agent;
#[cfg(not(feature = "unstable"))]
mod error;
#[cfg(not(feature = "unstable"))]
mod operator;
#[cfg(not(feature = "unstable"))]
mod os;
#[cfg(not(feature = "unstable"))]
mod policy;
#[cfg(not(feature = "unstable"))]
mod record;
#[cfg(not(feature = "unstable"))]
mod run;
#[cfg(not(feature = "unstable"))]
mod task;
#[cfg(not(feature = "unstable"))]
mod tmux;
#[cfg(not(feature = "unstable"))]
mod turn;
#[cfg(not(feature = "unstable"))]
mod worktree;

#[cfg(feature = "unstable")]
pub mod agent;
#[cfg(feature = "unstable")]
pub mod error;
#[cfg(feature = "unstable")]
pub mod operator;
#[cfg(feature = "unstable")]
pub mod os;
#[cfg(feature = "unstable")]
pub mod policy;
#[cfg(feature = "unstable")]
pub mod record;
#[cfg(feature = "unstable")]
pub mod run;
#[cfg(feature = "unstable")]
pub mod task;
#[cfg(feature = "unstable")]
pub mod tmux;
#[cfg(feature = "unstable")]
pub mod turn;
#[cfg(feature = "unstable")]
pub mod worktree;

pub use agent::ExecutorId;
pub use agent::conversation::Drive;
pub use agent::executor::{Ask, Options, Sandbox, TrustPolicy};
pub use agent::helper::helper_main;
pub use agent::report::{Call, Item, Usage};
pub use agent::screen_state::AnswerOption;
pub use error::Error;
pub use operator::apply::{Applied, ApplyRequest};
pub use operator::events::{Asked, Happening, RunEvent};
pub use operator::following::RunEvents;
pub use operator::status::RunStatus;
pub use operator::{Builder, Events, Operator, Run};
pub use policy::{Action as PolicyAction, NamedPolicy, Request, Ruling, Wish};
pub use record::code::Code;
pub use record::inbox::OpenQuestion;
pub use record::journal::{Entry, Progress, Step};
pub use record::{
    BudgetRecord, Continued, Failure, Outcome, Pending, PolicyDecision, PolicyRecord, Reply, Status,
};
pub use run::cancel::Cancel;
pub use task::budget::{Budget, Prices, Usd};
pub use task::earlier::Earlier;
pub use task::judge::Policy;
pub use task::name::{RunId, TaskName};
pub use task::notifications::Notifications;
pub use task::policy::{Keep, Limits, Permissions};
pub use task::prompt::Prompt;
pub use task::question::{Answer, Question, QuestionKind};
pub use task::respond::{Context, Recipe, RespondError, Responder};
pub use task::{Configuration, Error as TaskError, Task};
pub use worktree::apply::Form as ApplyForm;
pub use worktree::diff::{FileChange, FileStatus};
pub use worktree::{AgentCommit, Changes};
