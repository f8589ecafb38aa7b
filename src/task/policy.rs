//! The policy of a run: approvals, limits, and what stays.

use std::time::Duration;

use crate::os::time::milliseconds;
use serde::{Deserialize, Serialize};

/// The longest deadline.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The deadlines and the number of turns of a run. More than a year counts as a year, no turn as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// From the agent's start to a composer that takes a prompt.
    #[serde(rename = "startup_ms", with = "milliseconds")]
    pub startup: Duration,
    /// From a paste to the proof that the prompt was submitted.
    #[serde(rename = "submit_ms", with = "milliseconds")]
    pub submit: Duration,
    /// For each turn.
    #[serde(rename = "turn_ms", with = "milliseconds")]
    pub turn: Duration,
    /// For the whole run.
    #[serde(rename = "run_ms", with = "milliseconds")]
    pub run: Duration,
    /// For each answer of the responders, who may be people. The two before are paused in the meantime.
    #[serde(
        rename = "answer_ms",
        with = "milliseconds",
        default = "default_answer"
    )]
    pub answer: Duration,
    /// For what a turn leaves at work when it ends: sub-agents, commands in the background. It is part of the turn's time.
    #[serde(
        rename = "linger_ms",
        with = "milliseconds",
        default = "default_linger"
    )]
    pub linger: Duration,
    /// Prompts at most.
    pub turns: u32,
}

/// The value for journals without it.
fn default_answer() -> Duration {
    Duration::from_secs(60)
}

/// The same.
fn default_linger() -> Duration {
    Duration::from_secs(30)
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            startup: Duration::from_secs(20),
            submit: Duration::from_secs(15),
            turn: Duration::from_secs(15 * 60),
            run: Duration::from_secs(60 * 60),
            answer: default_answer(),
            linger: default_linger(),
            turns: 8,
        }
    }
}

impl Limits {
    /// The limits as a machine can keep them: a clock can't add up `Duration::MAX`, and the first prompt is
    /// always sent.
    pub(crate) fn within_reason(self) -> Self {
        let within = |limit: Duration| limit.min(LONGEST);
        Self {
            startup: within(self.startup),
            submit: within(self.submit),
            turn: within(self.turn),
            run: within(self.run),
            answer: within(self.answer),
            linger: within(self.linger),
            turns: self.turns.max(1),
        }
    }
}

/// The answer to the agent's requests for an approval.
#[cfg_attr(feature = "cli", derive(clap::ValueEnum, schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permissions {
    /// Ask the answers file and the responder; without an answer the run ends with the question.
    #[default]
    Ask,
    /// No: the agent goes on without it.
    Deny,
    /// Yes to everything it asks for.
    Allow,
}

/// The parts that stay after a run.
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Keep {
    /// The record and the result's ref.
    #[default]
    #[cfg_attr(feature = "cli", value(skip))]
    Nothing,
    /// The branch, at the result.
    Branch,
    /// The worktree and its branch.
    Worktree,
    /// Both, and the agent's session still running.
    Session,
}
