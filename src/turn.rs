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

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::agent::codex::transcript::TurnError;
use crate::run::{Failure, Pending, Status};
use crate::signals::SignalFile;
use crate::tmux::Key;
use classify::{Verdict, classify};

pub mod classify;
pub(crate) mod driver;
pub(crate) mod sources;

/// Enter is pressed so often at most, when a pasted prompt stands in the composer.
const ENTERS: u8 = 3;
/// A dialog is confirmed so often at most.
const CONFIRMATIONS: u8 = 2;
/// Keys that one dialog may take at most, the focus's moves included.
const KEYS: u8 = 16;
/// A dialog that looks the same so long after a key did not take the key.
const KEY_ECHO: Duration = Duration::from_secs(1);
/// What nobody knows must stand so long before it is believed: a screen can be caught half drawn.
const SETTLED: Duration = Duration::from_millis(700);
/// From a paste to the first look at the screen; the event usually comes within 0.1 s.
const FIRST_LOOK: Duration = Duration::from_millis(600);
/// Said to an agent whose turn ended with words about what it is about to do.
pub(crate) const CONTINUE: &str = "Please continue until the task is done.";

/// The deadlines and the number of turns of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the agent's start to a composer that takes a prompt.
    pub startup: Duration,
    /// From a paste to the proof that the prompt was submitted.
    pub submit: Duration,
    /// For each turn.
    pub turn: Duration,
    /// For the whole run.
    pub run: Duration,
    /// Prompts at most.
    pub turns: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            startup: Duration::from_secs(20),
            submit: Duration::from_secs(15),
            turn: Duration::from_secs(15 * 60),
            run: Duration::from_secs(60 * 60),
            turns: 8,
        }
    }
}

/// What happens to an approval that the agent asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Permissions {
    /// The responder decides; where it doesn't, the run ends with the question.
    #[default]
    Ask,
    /// "No", through the permission hook: the agent goes on without.
    Deny,
    /// "Yes".
    Allow,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The screen was read.
    Screen(Sight),
    /// A session began.
    SessionStarted {
        /// Whose event it is.
        session: String,
        /// Its working directory.
        cwd: Option<PathBuf>,
        /// `startup`, `clear`, …
        source: String,
    },
    /// A prompt was really submitted.
    PromptSubmitted {
        /// Whose event it is.
        session: String,
        /// The turn that begins.
        turn_id: Option<String>,
        /// Its working directory.
        cwd: Option<PathBuf>,
        /// The whole text.
        prompt: String,
    },
    /// The agent wants an approval.
    PermissionAsked {
        /// Whose event it is.
        session: String,
        /// The hook that waits for the decision.
        signal: SignalFile,
        /// The command.
        command: String,
        /// Why, where it says so.
        reason: Option<String>,
    },
    /// A turn ended by itself.
    TurnStopped {
        /// Whose event it is.
        session: String,
        /// The turn.
        turn_id: Option<String>,
        /// What the agent said last.
        message: Option<String>,
    },
    /// A turn failed.
    TurnFailed {
        /// The turn.
        turn_id: String,
        /// Why.
        error: Option<TurnError>,
    },
    /// A turn was cut short by somebody.
    TurnAborted {
        /// The turn, where it is named.
        turn_id: Option<String>,
        /// `interrupted`, …
        reason: String,
    },
    /// A hook got something that is no event.
    Malformed {
        /// The file that keeps it.
        file: String,
        /// Its beginning.
        content: String,
    },
    /// The agent's program ended.
    AgentExited {
        /// Its exit status, where one is known; 128 + n after signal n.
        code: Option<i32>,
        /// The last screen.
        screen: String,
    },
    /// The responder is done with what it was asked.
    Answered(Option<Answer>),
    /// The user or the parent wants the run to end.
    Cancelled {
        /// By what: `SIGINT`, `SIGTERM`, `cancelled`.
        by: &'static str,
    },
    /// The time of [`Machine::deadline`] has come.
    Deadline,
}

/// What the screen means.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// Nothing to act on: blank, loading, in transition.
    Nothing,
    /// The composer takes a prompt.
    Ready {
        /// The prompt that was pasted still stands in it.
        holds_prompt: bool,
    },
    /// A turn runs.
    Working,
    /// A dialog is up.
    Dialog(DialogSight),
}

/// A dialog, and what the agent's module advises.
#[derive(Clone, Debug, PartialEq)]
pub struct DialogSight {
    /// Which dialog, for people and for counting: `directory_trust`, `unknown`, …
    pub name: &'static str,
    /// Title, options and focus: changes when a key was taken.
    pub face: String,
    /// What to do.
    pub advice: Advice,
    /// The whole screen.
    pub screen: String,
}

/// What to do about a dialog.
#[derive(Clone, Debug, PartialEq)]
pub enum Advice {
    /// Press one key, then look again.
    Press(Key),
    /// Look again: it will go by itself.
    Wait,
    /// Nobody may answer it.
    Surface(&'static str),
    /// codex wants to be signed in.
    SignIn,
    /// An approval: the policy decides.
    Approval {
        /// The command.
        command: String,
        /// Why, where it says so.
        reason: Option<String>,
        /// The key that leads to "yes".
        allow: Key,
    },
}

/// What the responder is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// `question`, `unclear` or `permission`.
    pub kind: QuestionKind,
    /// The message, or the command.
    pub text: String,
    /// Why an approval is wanted, where the agent says so.
    pub reason: Option<String>,
    /// The turn, from 1.
    pub turn: u32,
}

/// What kind of answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuestionKind {
    /// The agent's turn ended with a question.
    Question,
    /// The agent's turn ended with a request for permission, in words.
    Request,
    /// The agent's turn ended with something that can't be told.
    Unclear,
    /// The agent waits for an approval within its turn.
    Permission,
}

impl QuestionKind {
    /// The name in records and in a responder's JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Unclear => "unclear",
            Self::Request | Self::Permission => "permission",
        }
    }
}

/// What a responder says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The next prompt.
    Text(String),
    /// Yes, to an approval.
    Allow,
    /// No, to an approval, with a word to the agent.
    Deny(String),
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Reaction {
    /// Nothing.
    Wait,
    /// Nothing, and the journal says why.
    Ignore(&'static str),
    /// Paste the text and press Enter.
    Submit(String),
    /// Press one key, for that dialog.
    Press(Key, &'static str),
    /// Read the screen.
    Look,
    /// Ask the responder.
    Ask(Question),
    /// Let the permission hook print this decision.
    Decide(SignalFile, Answer),
    /// The run is over.
    End(Box<End>),
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// In one word.
    pub status: Status,
    /// What went wrong.
    pub error: Option<Failure>,
    /// What waits for somebody's word.
    pub pending: Option<Pending>,
}

impl End {
    fn failed(status: Status, code: &str, message: impl Into<String>, hint: &str) -> Self {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        Self {
            status,
            error: Some(Failure {
                code: code.to_owned(),
                message: message.into(),
                hint,
            }),
            pending: None,
        }
    }

    fn pending(status: Status, question: &Question) -> Self {
        let pending = Pending {
            kind: question.kind.as_str().to_owned(),
            text: question.text.clone(),
            reason: question.reason.clone(),
        };
        Self {
            status,
            error: None,
            pending: Some(pending),
        }
    }
}

/// Where a run stands. Each state ends on evidence or at its deadline.
#[derive(Clone, Debug)]
enum State {
    /// The agent's program runs; its composer is not ready. Ends on the composer; guarded by the startup budget.
    Starting { until: Instant },
    /// A prompt was pasted. Ends on the prompt event with the same text; guarded by the submit budget.
    Submitting {
        look: Instant,
        due: bool,
        until: Instant,
        enters: u8,
    },
    /// The agent works on a turn. Ends on its Stop, failure or abortion; guarded by the turn's budget.
    Working {
        turn_id: Option<String>,
        until: Instant,
    },
    /// The responder was asked. Ends on its answer; guarded by its own limit and the turn's budget.
    Asking {
        question: Question,
        hook: Option<SignalFile>,
        turn_id: Option<String>,
        until: Instant,
    },
    /// Over. Nothing ends it.
    Ended,
}

/// A dialog that is up, since when, and what was pressed.
#[derive(Clone, Debug)]
struct Face {
    face: String,
    since: Instant,
    pressed: Option<Instant>,
}

/// What a [`Machine`] is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The first prompt, preamble included.
    pub prompt: String,
    /// The deadlines.
    pub limits: Limits,
    /// What happens to approvals.
    pub permissions: Permissions,
    /// Whether somebody can be asked.
    pub responder: bool,
    /// The agent's working directory, links resolved.
    pub worktree: PathBuf,
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
    run_until: Instant,
    presses: BTreeMap<&'static str, (u8, u8)>,
    face: Option<Face>,
}

impl Machine {
    /// A machine whose agent was started at `now`.
    #[must_use]
    pub fn new(plan: Plan, now: Instant) -> Self {
        Self {
            state: State::Starting {
                until: now + plan.limits.startup,
            },
            prompt: plan.prompt.clone(),
            session: None,
            turns: 0,
            last_message: None,
            run_until: now + plan.limits.run,
            presses: BTreeMap::new(),
            face: None,
            plan,
        }
    }

    /// The agent's session, once an event told it.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Prompts submitted with proof.
    #[must_use]
    pub fn turns(&self) -> u32 {
        self.turns
    }

    /// What the agent said last.
    #[must_use]
    pub fn last_message(&self) -> Option<&str> {
        self.last_message.as_deref()
    }

    /// The prompt that stands for proof.
    #[must_use]
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// Whether the screen can change what happens next: at the start, and while a prompt waits for its proof.
    #[must_use]
    pub fn watches_screen(&self) -> bool {
        matches!(
            self.state,
            State::Starting { .. } | State::Submitting { .. }
        )
    }

    /// When [`Event::Deadline`] is due, whatever else happens.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let own = match &self.state {
            State::Starting { until }
            | State::Working { until, .. }
            | State::Asking { until, .. } => *until,
            State::Submitting { look, until, .. } => (*look).min(*until),
            State::Ended => return None,
        };
        // A dialog that must prove to be settled, or that took no key, is looked at again.
        let face = self.face.as_ref().map(|face| match face.pressed {
            Some(pressed) => pressed + KEY_ECHO,
            None => face.since + SETTLED,
        });
        Some(
            [Some(own), Some(self.run_until), face]
                .into_iter()
                .flatten()
                .min()
                .expect("two are there"),
        )
    }

    /// Takes note of an event.
    pub fn on(&mut self, now: Instant, event: Event) -> Reaction {
        if matches!(self.state, State::Ended) {
            return Reaction::Ignore("the run is over");
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
            Event::PermissionAsked {
                session,
                signal,
                command,
                reason,
            } => {
                if !self.is_ours(&session) {
                    return Reaction::Ignore("a permission asked by another session");
                }
                self.on_permission(signal, command, reason)
            }
            Event::TurnStopped {
                session,
                turn_id,
                message,
            } => {
                if !self.is_ours(&session) {
                    return Reaction::Ignore("a stop of another session");
                }
                self.on_stop(now, turn_id.as_deref(), message)
            }
            Event::TurnFailed { turn_id, error } => self.on_failure(&turn_id, error),
            Event::TurnAborted { turn_id, reason } => self.on_abortion(turn_id.as_deref(), &reason),
            Event::Malformed { file, content } => {
                let message =
                    format!("a hook was given something that is no event ({file}): {content}");
                let hint = "see the run's signals directory; a codex newer than this cx-operator may send another format";
                self.end(End::failed(
                    Status::Failed,
                    "malformed_event",
                    message,
                    hint,
                ))
            }
            Event::AgentExited { code, screen } => self.on_exit(code, &screen),
            Event::Answered(answer) => self.on_answer(now, answer),
            Event::Cancelled { by } => {
                let message = format!("ended by {by}");
                self.end(End::failed(
                    Status::Aborted,
                    "cancelled",
                    message,
                    "the work so far is in the snapshot",
                ))
            }
            Event::Deadline => self.on_deadline(now),
        }
    }

    fn is_ours(&self, session: &str) -> bool {
        self.session.as_deref() == Some(session)
    }

    fn end(&mut self, end: End) -> Reaction {
        self.state = State::Ended;
        Reaction::End(Box::new(end))
    }

    fn on_session(&mut self, session: String, cwd: Option<&Path>, source: &str) -> Reaction {
        if self.is_ours(&session) {
            return Reaction::Wait;
        }
        let here = cwd.is_none_or(|cwd| cwd == self.plan.worktree);
        // The first session that starts where we started the agent is ours. Later ones are, when the
        // program says that it replaced its session; `startup` then is another program.
        let replaced = matches!(source, "clear" | "resume" | "compact");
        if here && (self.session.is_none() || replaced) {
            self.session = Some(session);
            Reaction::Wait
        } else {
            Reaction::Ignore("a session that is not the agent's")
        }
    }

    fn on_prompt(
        &mut self,
        now: Instant,
        session: String,
        turn_id: Option<String>,
        (cwd, prompt): (Option<PathBuf>, String),
    ) -> Reaction {
        let here = cwd.is_none_or(|cwd| cwd == self.plan.worktree);
        let same = prompt == self.prompt;
        let ours = self.is_ours(&session);
        match &mut self.state {
            State::Submitting { .. } if here && same => {
                // The text itself is proof of whose session it is, after a rotation too.
                self.session = Some(session);
                self.turns += 1;
                self.face = None;
                self.state = State::Working {
                    turn_id,
                    until: now + self.plan.limits.turn,
                };
                Reaction::Wait
            }
            _ if !ours => Reaction::Ignore("a prompt of another session"),
            State::Submitting { .. } => {
                let message =
                    "another prompt than the one pasted was submitted in the agent's session";
                let hint = "somebody typed into the pane; run the task again and attach read-only";
                self.end(End::failed(Status::Failed, "prompt_altered", message, hint))
            }
            State::Working {
                turn_id: current, ..
            } => {
                // Somebody attached and typed: the turn that now runs is the one that will stop.
                *current = turn_id;
                Reaction::Ignore("a prompt that is not ours, in the agent's session")
            }
            _ => Reaction::Ignore("a prompt that is not ours, in the agent's session"),
        }
    }

    fn on_permission(
        &mut self,
        signal: SignalFile,
        command: String,
        reason: Option<String>,
    ) -> Reaction {
        let State::Working { turn_id, until } = &self.state else {
            return Reaction::Ignore("a permission asked outside a turn");
        };
        match self.plan.permissions {
            // The hook has answered by itself, from the policy file.
            Permissions::Allow | Permissions::Deny => Reaction::Wait,
            Permissions::Ask => {
                let question = Question {
                    kind: QuestionKind::Permission,
                    text: command,
                    reason,
                    turn: self.turns,
                };
                if !self.plan.responder {
                    return self.end(End::pending(Status::NeedsPermission, &question));
                }
                let (turn_id, until) = (turn_id.clone(), *until);
                self.state = State::Asking {
                    question: question.clone(),
                    hook: Some(signal),
                    turn_id,
                    until,
                };
                Reaction::Ask(question)
            }
        }
    }

    fn on_stop(
        &mut self,
        now: Instant,
        turn_id: Option<&str>,
        message: Option<String>,
    ) -> Reaction {
        let current = match &self.state {
            State::Working { turn_id, .. }
            | State::Asking {
                turn_id,
                hook: Some(_),
                ..
            } => turn_id.as_deref(),
            _ => return Reaction::Ignore("a stop outside a turn"),
        };
        if let (Some(current), Some(stopped)) = (current, turn_id)
            && current != stopped
        {
            return Reaction::Ignore("a stop of an earlier turn");
        }
        let text = message.unwrap_or_default();
        let verdict = classify(&text).verdict;
        self.last_message = (!text.is_empty()).then(|| text.clone());
        let kind = match verdict {
            Verdict::Result => {
                return self.end(End {
                    status: Status::Completed,
                    error: None,
                    pending: None,
                });
            }
            Verdict::Status => return self.go_on(now),
            Verdict::Question => QuestionKind::Question,
            Verdict::Permission => QuestionKind::Request,
            Verdict::Unclear => QuestionKind::Unclear,
        };
        let question = Question {
            kind,
            text,
            reason: None,
            turn: self.turns,
        };
        if !self.plan.responder {
            return self.end(unanswered(&question));
        }
        if self.turns >= self.plan.limits.turns {
            return self.turn_cap(Some(&question));
        }
        let until = now + self.plan.limits.turn;
        self.state = State::Asking {
            question: question.clone(),
            hook: None,
            turn_id: None,
            until,
        };
        Reaction::Ask(question)
    }

    /// The agent told what it is about to do, and stopped.
    fn go_on(&mut self, now: Instant) -> Reaction {
        if self.turns >= self.plan.limits.turns {
            return self.turn_cap(None);
        }
        self.submit(now, CONTINUE.to_owned())
    }

    fn turn_cap(&mut self, question: Option<&Question>) -> Reaction {
        let message = format!("{} turns, and no result", self.turns);
        let mut end = End::failed(
            Status::TurnCap,
            "turn_cap",
            message,
            "raise --max-turns, or say more in the brief",
        );
        end.pending = question.and_then(|question| End::pending(Status::TurnCap, question).pending);
        self.end(end)
    }

    fn submit(&mut self, now: Instant, text: String) -> Reaction {
        let until = now + self.plan.limits.submit;
        self.state = State::Submitting {
            look: now + FIRST_LOOK,
            due: false,
            until,
            enters: 0,
        };
        self.face = None;
        self.prompt.clone_from(&text);
        Reaction::Submit(text)
    }

    fn on_failure(&mut self, turn_id: &str, error: Option<TurnError>) -> Reaction {
        let current = match &self.state {
            State::Working { turn_id, .. }
            | State::Asking {
                turn_id,
                hook: Some(_),
                ..
            } => turn_id.as_deref(),
            _ => return Reaction::Ignore("a failure outside a turn"),
        };
        if current.is_some_and(|current| current != turn_id) {
            return Reaction::Ignore("the failure of an earlier turn");
        }
        let error =
            error.unwrap_or_else(|| TurnError::from_message("the turn ended without a message"));
        let code = match (error.http_status, error.kind.as_deref()) {
            (_, Some("usage_limit_exceeded")) => "usage_limit".to_owned(),
            (Some(status), _) => format!("http_{status}"),
            (None, Some(kind)) => kind.to_owned(),
            (None, None) => "turn_failed".to_owned(),
        };
        let hint = match error.http_status {
            Some(401 | 403) => "check the key, or sign in again with `codex login`",
            Some(429) => "wait for the limit to pass, or use another account or model",
            Some(500..) => "the service is in trouble: try again later",
            _ => "see the transcript in the run's directory",
        };
        self.end(End::failed(Status::AgentFailed, &code, error.message, hint))
    }

    fn on_abortion(&mut self, turn_id: Option<&str>, reason: &str) -> Reaction {
        let current = match &self.state {
            State::Working { turn_id, .. }
            | State::Asking {
                turn_id,
                hook: Some(_),
                ..
            } => turn_id.as_deref(),
            _ => return Reaction::Ignore("an abortion outside a turn"),
        };
        if let (Some(current), Some(aborted)) = (current, turn_id)
            && current != aborted
        {
            return Reaction::Ignore("the abortion of an earlier turn");
        }
        let message = format!("somebody stopped the agent in its pane ({reason})");
        self.end(End::failed(
            Status::Aborted,
            "interrupted",
            message,
            "the work so far is in the snapshot",
        ))
    }

    fn on_exit(&mut self, code: Option<i32>, screen: &str) -> Reaction {
        let how = match code {
            Some(code @ 129..=192) => format!("by signal {}", code - 128),
            Some(code) => format!("with exit status {code}"),
            None => "without an exit status".to_owned(),
        };
        let last: Vec<&str> = screen
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
            .collect();
        let last = last[last.len().saturating_sub(12)..].join("\n");
        let message = format!("the agent's program ended {how}; its last screen:\n{last}");
        self.end(End::failed(
            Status::AgentDied,
            "agent_died",
            message,
            "pane.log in the run's directory has all it printed",
        ))
    }

    fn on_answer(&mut self, now: Instant, answer: Option<Answer>) -> Reaction {
        let State::Asking {
            question,
            hook,
            turn_id,
            until,
        } = &self.state
        else {
            return Reaction::Ignore("an answer that nobody waits for");
        };
        let (question, hook, turn_id, until) =
            (question.clone(), hook.clone(), turn_id.clone(), *until);
        match (answer, hook) {
            (None, _) => self.end(unanswered(&question)),
            (Some(Answer::Text(text)), None) => self.submit(now, text),
            (Some(Answer::Allow), None) if question.kind == QuestionKind::Request => {
                self.submit(now, "Yes, you may.".to_owned())
            }
            (Some(Answer::Deny(why)), None) if question.kind == QuestionKind::Request => {
                self.submit(now, format!("No. {why}").trim_end().to_owned())
            }
            // A decision is no answer to a question, nor a text one to an approval: nothing is guessed.
            (Some(Answer::Allow | Answer::Deny(_)), None) | (Some(Answer::Text(_)), Some(_)) => {
                self.end(unanswered(&question))
            }
            (Some(decision), Some(hook)) => {
                self.state = State::Working { turn_id, until };
                Reaction::Decide(hook, decision)
            }
        }
    }

    fn on_deadline(&mut self, now: Instant) -> Reaction {
        let late = |code: &str, message: String, hint: &str| {
            End::failed(Status::TimedOut, code, message, hint)
        };
        if now >= self.run_until {
            let message = format!("the run took longer than {}", words(self.plan.limits.run));
            return self.end(late(
                "run_timeout",
                message,
                "raise --timeout; the work so far is in the snapshot",
            ));
        }
        match &mut self.state {
            State::Starting { until } if now >= *until => {
                let message = format!(
                    "the agent was not ready within {}",
                    words(self.plan.limits.startup)
                );
                let hint = "pane.log in the run's directory has its screen; raise --startup-timeout on a slow machine";
                self.end(late("startup_timeout", message, hint))
            }
            State::Submitting { until, enters, .. } if now >= *until => {
                let message = format!(
                    "no proof of the prompt within {} and {enters} more Enter",
                    words(self.plan.limits.submit)
                );
                let hint =
                    "the hooks may be off (`cx-operator doctor`), or the pane was typed into";
                self.end(late("not_submitted", message, hint))
            }
            State::Submitting { look, due, .. } if now >= *look => {
                *look = now + FIRST_LOOK;
                *due = true;
                Reaction::Look
            }
            State::Working { until, .. } | State::Asking { until, .. } if now >= *until => {
                let message = format!("the turn took longer than {}", words(self.plan.limits.turn));
                self.end(late(
                    "turn_timeout",
                    message,
                    "raise --turn-timeout; the work so far is in the snapshot",
                ))
            }
            // Due for a dialog's sake.
            _ => Reaction::Look,
        }
    }

    fn on_sight(&mut self, now: Instant, sight: Sight) -> Reaction {
        let Sight::Dialog(dialog) = sight else {
            self.face = None;
            return self.on_calm_sight(now, &sight);
        };
        if matches!(self.state, State::Asking { .. }) {
            return Reaction::Wait;
        }
        let known = self.face.take().filter(|face| face.face == dialog.face);
        let face = known.unwrap_or_else(|| Face {
            face: dialog.face.clone(),
            since: now,
            pressed: None,
        });
        let settled = now.duration_since(face.since) >= SETTLED;
        let echoing = face
            .pressed
            .is_some_and(|at| now.duration_since(at) < KEY_ECHO);
        self.face = Some(face);
        let working = matches!(self.state, State::Working { .. });
        match dialog.advice {
            Advice::Wait => {
                self.face = None;
                Reaction::Wait
            }
            Advice::SignIn => self.end(sign_in(&dialog.screen)),
            Advice::Approval {
                command,
                reason,
                allow,
            } => match self.plan.permissions {
                Permissions::Allow if working && !echoing => {
                    self.press(now, dialog.name, allow, &dialog.screen)
                }
                // The hook's event is the better source; it is on its way.
                _ if echoing || !settled => Reaction::Wait,
                _ => {
                    let question = Question {
                        kind: QuestionKind::Permission,
                        text: command,
                        reason,
                        turn: self.turns,
                    };
                    self.end(End::pending(Status::NeedsPermission, &question))
                }
            },
            Advice::Press(key) if !working => {
                if echoing {
                    Reaction::Wait
                } else {
                    self.press(now, dialog.name, key, &dialog.screen)
                }
            }
            Advice::Press(_) | Advice::Surface(_) if !settled => Reaction::Wait,
            Advice::Press(_) => self.end(blocked(
                dialog.name,
                "it came up in the middle of a turn",
                &dialog.screen,
            )),
            Advice::Surface(why) => self.end(blocked(dialog.name, why, &dialog.screen)),
        }
    }

    fn press(&mut self, now: Instant, name: &'static str, key: Key, screen: &str) -> Reaction {
        let (keys, confirmations) = self.presses.entry(name).or_default();
        *keys += 1;
        *confirmations += u8::from(key == Key::Enter);
        if *keys > KEYS || *confirmations > CONFIRMATIONS {
            return self.end(blocked(name, "it came back after it was answered", screen));
        }
        if let Some(face) = &mut self.face {
            face.pressed = Some(now);
        }
        Reaction::Press(key, name)
    }

    fn on_calm_sight(&mut self, now: Instant, sight: &Sight) -> Reaction {
        match (&mut self.state, sight) {
            (State::Starting { .. }, Sight::Ready { .. }) => {
                let prompt = self.prompt.clone();
                self.submit(now, prompt)
            }
            // Only at the appointed looks: right after a paste the text stands there, and that is no failure.
            (State::Submitting { due, enters, .. }, Sight::Ready { holds_prompt: true })
                if *due && *enters < ENTERS =>
            {
                *due = false;
                *enters += 1;
                Reaction::Press(Key::Enter, "composer")
            }
            _ => Reaction::Wait,
        }
    }
}

fn unanswered(question: &Question) -> End {
    let status = match question.kind {
        QuestionKind::Question | QuestionKind::Unclear => Status::NeedsInput,
        QuestionKind::Request | QuestionKind::Permission => Status::NeedsPermission,
    };
    End::pending(status, question)
}

fn blocked(name: &str, why: &str, screen: &str) -> End {
    let message = format!("a dialog ({name}) is in the way: {why}");
    let hint = "start codex once by hand in the repository and answer it, or see `pending` for what it shows";
    let mut end = End::failed(Status::BlockedDialog, "blocked_dialog", message, hint);
    end.pending = Some(Pending {
        kind: "dialog".to_owned(),
        text: screen.trim_end().to_owned(),
        reason: None,
    });
    end
}

fn sign_in(screen: &str) -> End {
    let hint = "run `codex login` (ChatGPT account), or `codex login --with-api-key` with a key on its stdin";
    let mut end = End::failed(
        Status::Failed,
        "not_signed_in",
        "codex asks to be signed in",
        hint,
    );
    end.pending = Some(Pending {
        kind: "dialog".to_owned(),
        text: screen.trim_end().to_owned(),
        reason: None,
    });
    end
}

/// A duration as people write it: `15m`, `90s`.
pub(crate) fn words(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
