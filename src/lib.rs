//! Delegates a coding task to another agent's interactive CLI and returns a typed result.
//!
//! One delegation is a run:
//!
//! ```text
//! preflight → worktree → launch → dialogs → submit → (turn → classify → reply)* ≤ 8 → snapshot → diff → record → teardown
//! ```
//!
//! Three sources feed one stream of events, and none is trusted alone: files that hook binaries write
//! ([`agent::signals`]), the agent's transcript, and its screen. A pure state machine ([`turn::Machine`]) decides;
//! every wait ends on evidence or at a named deadline. Whatever ends a run, the agent's work is kept as a
//! commit and a patch, and everything made for the run is removed.
//!
//! ```no_run
//! use cx_operator::Operator;
//! use cx_operator::task::{Task, name::TaskName, prompt::Prompt};
//!
//! # async fn example() -> Result<(), cx_operator::Error> {
//! let operator = Operator::builder().build()?;
//! let name = TaskName::parse("refactor-auth")?;
//! let brief = Prompt::parse(b"Split src/auth.rs into one file per provider. Keep the tests green.")?;
//! let outcome = operator.delegate(Task::new(name, ".".into(), brief)).await;
//! println!("{}: {} files changed", outcome.status.as_str(), outcome.files_changed);
//! # Ok(())
//! # }
//! ```
//!
//! Each room imports only rooms below it (`tests/docs.rs` holds the order):
//!
//! | room | owns |
//! |---|---|
//! | [`operator`] | what a caller can ask for: runs, the queue, `cleanup`, `prune` |
//! | [`run`] | one run: preflight, launch, the turns, collecting the work, teardown, recovery |
//! | [`turn`] | pure: the state machine of the turns, the reading of messages |
//! | [`error`] | the one error on top |
//! | [`record`] | a run on disk: directories, locks, `run.json`, `events.jsonl`, what is hidden of it |
//! | [`task`] | the order: name, prompt, policy, responders |
//! | [`agent`] | all that is known about an agent's CLI, and what its hooks write |
//! | [`worktree`] | git: worktree, snapshot, patch |
//! | [`tmux`] | our own server, its sessions and panes |
//! | [`os`] | processes, files and their changes, time |

pub mod agent;
pub mod error;
pub mod operator;
pub mod os;
pub mod record;
pub mod run;
pub mod task;
pub mod tmux;
pub mod turn;
pub mod worktree;

pub use error::Error;
pub use operator::{Builder, Events, Operator, Run};
