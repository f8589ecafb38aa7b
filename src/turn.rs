//! The turns of a run, from a started agent to the reason why the run ends.
//!
//! [`Machine`] is pure: it is told what happened and when, and says what to do. It has no clock, no file
//! and no process, so every decision can be tested without one. `sources` turns files and screens into
//! its events, `driver` carries out its reactions, [`mod@classify`] reads the agent's messages.
//!
//! ```text
//! Starting ──composer ready──▶ Submitting ──prompt event──▶ Working ──Stop──▶ (classified)
//!                                  ▲                          │  ▲               │ result ▶ Ended
//!                                  │                permission│  │decision       │ otherwise
//!                                  └───────────reply────── Asking ◀──────────────┘
//! ```
//!
//! Invariants: a run ends at most once; nothing is typed while the agent works, but for an approval
//! that the policy gives; the prompt of a turn is pasted once; an event of another session changes nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use end::End;
pub use event::{
    Advice, Answer, DialogSight, Event, Form, Holds, Inquiry, Question, QuestionKind, Reaction,
    Sight, Step,
};
pub use machine::{Machine, Plan, Standing};

pub mod classify;
pub(crate) mod driver;
mod end;
mod event;
pub(crate) mod evidence;
mod machine;
mod recorded;
pub(crate) mod sources;
#[cfg(test)]
mod tests;

/// Said to an agent whose turn ended with words about what it is about to do.
pub(crate) const CONTINUE: &str = "Please continue until the task is done.";

/// What a key is for that submits a prompt.
pub(crate) const COMPOSER: &str = "composer";

/// The longest deadline.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The deadlines and the number of turns of a run. More than a year counts as a year, no turn as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// For each answer of the responders, who may be people. The two before stand still meanwhile.
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

/// What journals stand for that say nothing of it.
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
    fn within_reason(self) -> Self {
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

/// What happens to an approval that the agent asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permissions {
    /// The responder decides; where it doesn't, the run ends with the question.
    #[default]
    Ask,
    /// "No", through the permission hook: the agent goes on without.
    Deny,
    /// "Yes".
    Allow,
}

/// A duration as people write it: `15m`, `90s`.
pub(crate) fn words(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// A duration as a whole number of milliseconds.
pub(crate) mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::run::millis;

    pub(crate) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(millis(*duration))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
