//! The commands that tell others of a run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::os::time::milliseconds;

/// The commands that tell others of a run: each a program and its arguments, with a JSON document on its stdin. Empty: none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Notifications {
    /// Run when the run begins to wait for a reply.
    pub on_waiting: Vec<String>,
    /// Run when the run has ended and its record is written.
    pub on_finished: Vec<String>,
    /// How long either may take.
    #[serde(rename = "limit_ms", with = "milliseconds")]
    pub limit: Duration,
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            on_waiting: Vec::new(),
            on_finished: Vec::new(),
            limit: Duration::from_secs(10),
        }
    }
}
