//! The state machine: its states, their deadlines, and which function handles which event.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Asker, End, Event, Reaction};
use crate::agent::ExecutorId;
use crate::agent::answer::AnswerSchema;
use crate::agent::conversation::Drive;
use crate::agent::screen_state::Holds;
use crate::record::Status;
use crate::task::policy::{Limits, Permissions};
use crate::task::question::{Question, QuestionKind};
pub use resume::ResumePoint;

use awaited::Awaited;
use forms::OpenForm;
use screen::DialogState;
use stopping::Stopping;
use told::Messages;

mod awaited;
mod deadlines;
mod forms;
mod replies;
mod resume;
mod screen;
mod sending;
mod stopping;
mod told;
mod turns;

/// How much longer than its budget an answer is waited for: the responder's caller then says that it is late.
const LATE: Duration = Duration::from_secs(5);
/// From a paste to the first look at the screen; the event usually comes within 0.1 s.
const FIRST_LOOK: Duration = Duration::from_millis(600);

/// The state of a run. Each one ends on evidence or at its deadline.
#[derive(Clone, Debug)]
enum State {
    /// The agent's program runs; its composer is not ready. Ends on the composer; guarded by the startup budget.
    Starting { until: Instant },
    /// A prompt was pasted; it is submitted once the composer shows it. Ends on the prompt event with the same text;
    /// guarded by the submit budget.
    Submitting(Submission),
    /// The agent works on a turn. Ends on what the transcript says of its end; guarded by the turn's budget, and where
    /// the transcript tells nothing by a short wait after the Stop hook.
    Working {
        turn_id: Option<String>,
        until: Instant,
    },
    /// The responder was asked about the end of a turn. Ends on its answer, or on one that a person types
    /// in the pane; guarded by the budget of an answer, while the run's clock is stopped.
    Asking { question: Question, until: Instant },
    /// The responder was asked for the first of these approvals; the others wait, and there is at least one.
    /// Ends on its decisions or with the turn; guarded by the budget of an answer for each, while the clocks of run
    /// and turn are stopped.
    Approving {
        asked: VecDeque<Approval>,
        turn_id: Option<String>,
        /// The rest of the turn's budget.
        left: Duration,
        until: Instant,
    },
    /// The responder was asked a question of the form that is open. Ends on the answer to its last question, or when it
    /// is closed in the pane; guarded by the budget of an answer, while the clocks of run and turn are stopped.
    Consulting {
        question: Question,
        turn_id: Option<String>,
        /// The rest of the turn's budget.
        left: Duration,
        until: Instant,
    },
    /// Over. Nothing ends it.
    Ended,
}

/// A prompt on its way.
#[derive(Clone, Debug)]
struct Submission {
    until: Instant,
    /// When the screen is looked at next for a sent prompt that is still in the composer.
    look: Instant,
    /// Whether that time has come.
    due: bool,
    sent: Sent,
    pastes: u8,
    /// Whether a dialog was up since the paste: it may have taken the text.
    covered: bool,
    /// How often Enter was pressed since.
    enters: u8,
}

/// Whether the key that submits was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    No,
    /// By the operator before, or not: the journal doesn't say.
    Perhaps,
    Yes,
}

/// An approval that the agent asks for, and who waits for it.
#[derive(Clone, Debug)]
struct Approval {
    asker: Asker,
    question: Question,
}

/// The parts of a [`Machine`].
#[derive(Clone, Debug)]
pub struct Plan {
    /// The first prompt, preamble included.
    pub prompt: String,
    /// The deadlines.
    pub limits: Limits,
    /// The policy for approvals.
    pub permissions: Permissions,
    /// Whether there are responders.
    pub responder: bool,
    /// Whether the agent itself is asked, once, what an unclear message means.
    pub probe: bool,
    /// The agent's working directory, links resolved.
    pub directory: PathBuf,
    /// The agent.
    pub executor: ExecutorId,
    /// The way in which it is driven: what by keys is read from the screen is known by requests.
    pub drive: Drive,
    /// The form that its answer must have.
    pub answer: Option<AnswerSchema>,
}

/// The state machine of a run.
#[derive(Clone, Debug)]
pub struct Machine {
    plan: Plan,
    state: State,
    /// The prompt of the turn that is being submitted or worked on.
    prompt: String,
    session: Option<String>,
    turns: u32,
    last_message: Option<String>,
    /// The answer that has the form which is wanted.
    answer: Option<Value>,
    /// The message of an earlier turn, while the agent is asked how the task is going.
    probed: Option<Question>,
    run_until: Instant,
    /// Since when a responder is asked.
    asking_since: Option<Instant>,
    presses: BTreeMap<&'static str, (u8, u8)>,
    dialog_state: Option<DialogState>,
    awaited: Awaited,
    form: Option<OpenForm>,
    /// The last seen content of the composer.
    holds: Option<Holds>,
    stopping: Stopping,
    messages: Messages,
    /// How the run ends instead of going on: its budget is used up.
    spent: Option<End>,
}

impl Machine {
    /// A machine whose agent was started at `now`.
    #[must_use]
    pub fn new(mut plan: Plan, now: Instant) -> Self {
        plan.limits = plan.limits.within_reason();
        Self {
            state: State::Starting {
                until: now + plan.limits.startup,
            },
            prompt: plan.prompt.clone(),
            session: None,
            turns: 0,
            last_message: None,
            answer: None,
            probed: None,
            run_until: now + plan.limits.run,
            asking_since: None,
            presses: BTreeMap::new(),
            dialog_state: None,
            awaited: Awaited::default(),
            form: None,
            holds: None,
            stopping: Stopping::default(),
            messages: Messages::default(),
            spent: None,
            plan,
        }
    }

    /// The agent's session, once an event told it.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// The agent's name of the turn that runs.
    #[must_use]
    pub fn turn_id(&self) -> Option<&str> {
        match &self.state {
            State::Working { turn_id, .. }
            | State::Approving { turn_id, .. }
            | State::Consulting { turn_id, .. } => turn_id.as_deref(),
            _ => None,
        }
    }

    /// The way in which the agent is driven.
    pub(crate) fn drive(&self) -> Drive {
        self.plan.drive
    }

    /// The turn that runs, and whether a prompt is on its way.
    pub(crate) fn under_way(&self) -> (Option<String>, bool) {
        let is_submitting = matches!(self.state, State::Submitting(_));
        (self.turn_id().map(str::to_owned), is_submitting)
    }

    /// Whether a turn runs and nobody is asked.
    pub(crate) fn is_at_work(&self) -> bool {
        matches!(self.state, State::Working { .. })
    }

    /// The question about the approval that this side waits for, if a responder was asked.
    pub(crate) fn asked_by(&self, asker: &Asker) -> Option<Question> {
        let State::Approving { asked, .. } = &self.state else {
            return None;
        };
        let mut asked = asked.iter();
        let approval = asked.find(|approval| approval.asker == *asker)?;
        Some(approval.question.clone())
    }

    /// How long an answer may take.
    pub(crate) fn answer_limit(&self) -> Duration {
        self.plan.limits.answer
    }

    /// When an answer that is asked for now is waited for no longer.
    fn answer_until(&self, now: Instant) -> Instant {
        now + self.plan.limits.answer + LATE
    }

    /// The policy for approvals.
    pub(crate) fn permissions(&self) -> Permissions {
        self.plan.permissions
    }

    /// The question that waits for an answer.
    pub(crate) fn asked(&self) -> Option<&Question> {
        match &self.state {
            State::Asking { question, .. } | State::Consulting { question, .. } => Some(question),
            State::Approving { asked, .. } => asked.front().map(|first| &first.question),
            _ => self.probed.as_ref(),
        }
    }

    /// The agent.
    #[must_use]
    pub fn executor(&self) -> ExecutorId {
        self.plan.executor
    }

    /// Prompts submitted with proof.
    #[must_use]
    pub fn turns(&self) -> u32 {
        self.turns
    }

    /// The agent's last message.
    #[must_use]
    pub fn last_message(&self) -> Option<&str> {
        self.last_message.as_deref()
    }

    /// The prompt that needs proof.
    #[must_use]
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// Whether nothing of the agent is known by its screen, and nothing is typed.
    fn is_without_keys(&self) -> bool {
        matches!(self.plan.drive, Drive::Requests | Drive::Headless)
    }

    /// Whether the screen can change what happens next: at the start, while a prompt waits for its proof, right after
    /// an approval was asked for that may bring a dialog, while a form is open, and while a message is typed.
    #[must_use]
    pub fn watches_screen(&self) -> bool {
        if self.is_without_keys() {
            return false;
        }
        match self.state {
            State::Starting { .. } | State::Submitting(_) => true,
            State::Working { .. } => {
                self.awaited.is_due() || self.form_by_keys().is_some() || self.watches_composer()
            }
            _ => false,
        }
    }

    /// Whether nothing will be typed before another event comes, and the screen matters only for a dialog that comes up: while
    /// the agent works, and while somebody is asked.
    pub(crate) fn leaves_screen(&self) -> bool {
        match self.state {
            State::Working { .. } => {
                let is_busy =
                    self.form.is_some() || self.is_steering() || self.dialog_state.is_some();
                let is_ending = self.is_stopping() || self.is_holding();
                !is_busy && !is_ending && !self.watches_screen()
            }
            State::Asking { .. } | State::Approving { .. } | State::Consulting { .. } => true,
            State::Starting { .. } | State::Submitting(_) | State::Ended => false,
        }
    }

    /// When [`Event::Deadline`] is due, whatever else happens.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let own = match &self.state {
            State::Starting { until }
            | State::Working { until, .. }
            | State::Asking { until, .. }
            | State::Approving { until, .. }
            | State::Consulting { until, .. } => *until,
            State::Submitting(submission) => submission.look.min(submission.until),
            State::Ended => return None,
        };
        if self.asking_since.is_some() {
            return Some(own);
        }
        // A dialog that must prove to be settled, or that took no key, is looked at again.
        let dialog_state = self
            .dialog_state
            .as_ref()
            .map_or(own, |dialog_state| dialog_state.look);
        let stopping = self.stopping_deadline().unwrap_or(own);
        Some(own.min(self.run_until).min(dialog_state).min(stopping))
    }

    /// Takes note of an event.
    pub fn on(&mut self, now: Instant, event: Event) -> Reaction {
        let reaction = self.react(now, event);
        // Whoever is asked may be a person, whose time is not the run's.
        let asking = matches!(
            self.state,
            State::Asking { .. } | State::Approving { .. } | State::Consulting { .. }
        );
        match (self.asking_since, asking) {
            (None, true) => self.asking_since = Some(now),
            (Some(since), false) => {
                let asked = now.duration_since(since);
                self.run_until += asked;
                self.hold_longer(asked);
                self.asking_since = None;
            }
            _ => {}
        }
        reaction
    }

    fn react(&mut self, now: Instant, event: Event) -> Reaction {
        if matches!(self.state, State::Ended) {
            return Reaction::Ignore("the run is over");
        }
        if let Some(why) = self.foreign(&event) {
            return Reaction::Ignore(why);
        }
        if !self.is_prompt_of_another(&event) {
            self.stopping.note(&event);
        }
        match event {
            Event::Screen(sight) => self.on_sight(now, sight),
            Event::SessionStarted {
                session,
                cwd,
                source,
            } => self.on_session(session, cwd.as_deref(), &source),
            Event::PromptSubmitted {
                session,
                turn_id,
                cwd,
                prompt,
            } => self.on_prompt(now, session, turn_id, (cwd, prompt)),
            Event::Ready if matches!(self.state, State::Starting { .. }) => self.paste(now),
            Event::Ready => Reaction::Wait,
            Event::PermissionClosed { asker } => self.on_permission_closed(now, &asker),
            Event::PermissionAsked {
                asker,
                command,
                reason,
                ..
            } => {
                let question = Question {
                    kind: QuestionKind::Permission,
                    text: command,
                    reason,
                    options: Vec::new(),
                    turn: self.turns,
                };
                self.on_permission(now, asker, question)
            }
            Event::TurnStopped {
                turn_id,
                message,
                evidence,
                ..
            } => self.on_turn_end(now, turn_id, (message, evidence)),
            Event::TurnStopping {
                turn_id, message, ..
            } => self.on_stopping(now, turn_id, message),
            Event::TurnBegan { turn_id } => self.on_turn_began(now, turn_id),
            Event::LeftAtWork(false) => self.release(now),
            Event::LeftAtWork(true) | Event::TranscriptLost => Reaction::Wait,
            Event::Inquired {
                call,
                inquiries,
                is_typed,
            } => self.on_inquiry(now, call, (inquiries, is_typed)),
            Event::InquiryClosed { call } => self.on_inquiry_closed(now, &call),
            Event::SubAgent { .. } => Reaction::Ignore("an event of a sub-agent"),
            Event::TurnFailed { turn_id, error } => self.on_failure(now, &turn_id, error),
            Event::TurnAborted { turn_id, reason } => self.on_abortion(turn_id.as_deref(), &reason),
            Event::Malformed { content, .. } if content.is_empty() => {
                Reaction::Ignore("a hook without input: its caller was gone")
            }
            Event::Malformed { file, content } => self.on_malformed(&file, &content),
            Event::AgentExited { code, screen } => self.on_exit(code, &screen),
            Event::Message { id, text, at_once } => self.on_message(now, (id, text, at_once)),
            Event::Steered { text } => self.on_steered(&text),
            Event::NotSteered => self.on_not_steered(),
            Event::Answered(question, answer) => self.on_answer(now, &question, answer),
            Event::Cancelled { by } => self.cut_off(End::cancelled(&by)),
            Event::Spent => self.on_spent(now),
            Event::Deadline => self.on_deadline(now),
        }
    }

    /// Why an event within a turn is not ours. Prompts and starts say whose session it is: see there.
    fn foreign(&self, event: &Event) -> Option<&'static str> {
        match event {
            Event::PermissionAsked { session, .. } if !self.is_ours(session) => {
                Some("a permission asked by another session")
            }
            Event::TurnStopped { session, .. } | Event::TurnStopping { session, .. }
                if !self.is_ours(session) =>
            {
                Some("a stop of another session")
            }
            _ => None,
        }
    }

    fn on_malformed(&mut self, file: &str, content: &str) -> Reaction {
        let message = format!("a hook got a malformed event ({file}): {content}");
        let hint = "see the run's signals directory; an agent newer than this cx-operator may send another format";
        self.end(End::failed(
            Status::Failed,
            "malformed_event",
            message,
            hint,
        ))
    }

    fn is_ours(&self, session: &str) -> bool {
        self.session.as_deref() == Some(session)
    }

    fn end(&mut self, end: End) -> Reaction {
        self.state = State::Ended;
        Reaction::End(Box::new(end))
    }

    /// Ends the run from outside; the open question is recorded.
    fn cut_off(&mut self, mut end: End) -> Reaction {
        end.pending = self.asked().map(Question::to_pending);
        self.end(end)
    }
}
