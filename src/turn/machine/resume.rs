//! A machine that continues where the machine of a dead operator was.

use std::time::{Duration, Instant};

use super::{Machine, Plan, Sent, State, Submission};
use crate::task::question::{Question, QuestionKind};

/// How far a run came under an operator that is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResumePoint {
    /// The agent's session.
    pub session: Option<String>,
    /// Prompts submitted with proof.
    pub turns: u32,
    /// The agent's name of the last of these turns.
    pub turn_id: Option<String>,
    /// Whether another prompt was pasted since, of which no proof was seen.
    pub pasted: bool,
    /// The agent's last message.
    pub last_message: Option<String>,
    /// The message that the agent is being asked about.
    pub probed: Option<String>,
    /// The message that was on its way into that turn, and whether the key that submits was pressed.
    pub steering: Option<(String, bool)>,
    /// Since the agent was started.
    pub run_spent: Duration,
    /// Since the last of these turns began, without the time that answers took.
    pub turn_spent: Duration,
    /// Since the last of these turns began.
    pub turn_age: Duration,
}

impl Machine {
    /// The machine of an operator that takes a run over.
    #[must_use]
    pub fn resume(plan: Plan, resume_point: ResumePoint, now: Instant) -> Self {
        let mut machine = Self::new(plan, now);
        let limits = machine.plan.limits;
        let left = |limit: Duration, spent: Duration| now + limit.saturating_sub(spent);
        machine.run_until = left(limits.run, resume_point.run_spent);
        machine.session = resume_point.session;
        machine.turns = resume_point.turns;
        machine.last_message = resume_point.last_message;
        machine.doubt(resume_point.steering);
        machine.probed = resume_point.probed.map(|text| Question {
            kind: QuestionKind::Unclear,
            text,
            reason: None,
            options: Vec::new(),
            turn: resume_point.turns,
        });
        if resume_point.pasted {
            machine.state = State::Submitting(Submission {
                look: now,
                ..machine.submission(now, Sent::Perhaps)
            });
        } else if resume_point.turns > 0 {
            machine.state = State::Working {
                turn_id: resume_point.turn_id,
                until: left(limits.turn, resume_point.turn_spent),
            };
        }
        machine
    }
}
