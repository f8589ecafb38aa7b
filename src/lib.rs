//! Delegates a coding task to another agent's interactive CLI and returns a typed result.
//!
//! One delegation is a run:
//!
//! ```text
//! preflight → worktree → launch → dialogs → submit → (turn → classify → reply)* ≤ 8 → snapshot → diff → record → teardown
//! ```
//!
//! Three sources feed one stream of events, and none is trusted alone: files that hook binaries write
//! ([`signals`]), the agent's transcript, and its screen. A pure state machine ([`turn::Machine`]) decides;
//! every wait ends on evidence or at a named deadline. Whatever ends a run, the agent's work is kept as a
//! commit and a patch, and everything made for the run is removed.
//!
//! ```no_run
//! use cx_operator::{Operator, prompt::Prompt, run::TaskName, task::Task};
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
//! | module | owns |
//! |---|---|
//! | [`task`] | what a caller asks for |
//! | [`run`] | names, directories, locks, `run.json` |
//! | [`journal`] | `events.jsonl`, the events as a stream |
//! | [`preflight`] | what must be there; `doctor` |
//! | [`worktree`], [`diff`] | git: worktree, snapshot, patch |
//! | [`tmux`] | our own server, its sessions and panes |
//! | [`agent`] | all that is known about an agent's CLI |
//! | [`launcher`] | what a pane runs: the agent's parent, and of all that it orphans |
//! | [`turn`] | the state machine, its sources, the reading of messages |
//! | [`respond`] | who answers in the user's place |
//! | [`cleanup`] | finding what dead runs left |
//! | [`prune`] | removing the records of old runs |
//! | [`redact`] | what is a key, and goes from what is shown |
//! | [`cleanup`] | what dead runs left |
//! | [`signals`] | what hook binaries write |

pub mod agent;
mod bounded;
pub mod cancel;
pub mod cleanup;
mod delegate;
pub mod diff;
pub mod error;
pub mod journal;
pub mod launcher;
mod operator;
pub mod preflight;
mod process;
pub mod prompt;
pub mod prune;
mod queue;
mod recovery;
pub mod redact;
pub mod respond;
pub mod run;
mod search_path;
pub mod signals;
pub mod task;
mod teardown;
pub mod tmux;
pub mod turn;
pub mod worktree;

pub use error::Error;
pub use operator::{Builder, Events, Operator, Run};
