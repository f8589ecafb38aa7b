//! The run that a task goes on from.

use serde::{Deserialize, Serialize};

use crate::agent::ExecutorId;
use crate::task::name::RunId;

/// The run that a task goes on from: it starts from that run's result, and its agent knows what was done. Made by
/// [`Operator::continuation`](crate::Operator::continuation).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Earlier {
    /// That run.
    pub run: RunId,
    /// Its executor, which alone can go on with the session.
    pub executor: ExecutorId,
    /// The session of its agent, which is gone on with where that is possible.
    pub session: Option<String>,
    /// What was done, which is put before the brief where there is no session to go on with.
    pub summary: String,
}
