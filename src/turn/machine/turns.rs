//! What becomes of a turn: its prompt's proof, its approvals, its end, and the reply to it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::super::classify::{Verdict, classify};
use super::super::end::unanswered;
use super::super::{Answer, CONTINUE, End, Permissions, Question, QuestionKind, Reaction};
use super::{Machine, State};
use crate::agent::codex::transcript::TurnError;
use crate::run::Status;
use crate::signals::SignalFile;

impl Machine {
    pub(super) fn on_session(
        &mut self,
        session: String,
        cwd: Option<&Path>,
        source: &str,
    ) -> Reaction {
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

    pub(super) fn on_prompt(
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
            // Somebody attached and typed: the turn that now runs is the one that will stop.
            State::Working {
                turn_id: current, ..
            }
            | State::Asking {
                turn_id: current,
                hook: Some(_),
                ..
            } => {
                *current = turn_id;
                Reaction::Ignore("a prompt that is not ours, in the agent's session")
            }
            // Somebody answered in the pane: the responder's word would be typed into a turn that runs.
            State::Asking { hook: None, .. } => {
                self.state = State::Working {
                    turn_id,
                    until: now + self.plan.limits.turn,
                };
                Reaction::Ignore("a prompt that is not ours: somebody answered in the pane")
            }
            _ => Reaction::Ignore("a prompt that is not ours, in the agent's session"),
        }
    }

    pub(super) fn on_permission(
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
                self.face = None;
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

    pub(super) fn on_stop(
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
        self.face = None;
        self.state = State::Asking {
            question: question.clone(),
            hook: None,
            turn_id: None,
            until,
        };
        Reaction::Ask(question)
    }

    /// The agent told what it is about to do, and stopped.
    pub(super) fn go_on(&mut self, now: Instant) -> Reaction {
        if self.turns >= self.plan.limits.turns {
            return self.turn_cap(None);
        }
        self.submit(now, CONTINUE.to_owned())
    }

    pub(super) fn turn_cap(&mut self, question: Option<&Question>) -> Reaction {
        let message = format!("{} turns, and no result", self.turns);
        let mut end = End::failed(
            Status::TurnCap,
            "turn_cap",
            message,
            "raise --max-turns, or say more in the brief",
        );
        end.pending = question.map(Question::to_pending);
        self.end(end)
    }

    pub(super) fn on_failure(&mut self, turn_id: &str, error: Option<TurnError>) -> Reaction {
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

    pub(super) fn on_abortion(&mut self, turn_id: Option<&str>, reason: &str) -> Reaction {
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

    pub(super) fn on_exit(&mut self, code: Option<i32>, screen: &str) -> Reaction {
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

    pub(super) fn on_answer(
        &mut self,
        now: Instant,
        answered: &Question,
        answer: Option<Answer>,
    ) -> Reaction {
        let State::Asking {
            question,
            hook,
            turn_id,
            until,
        } = &self.state
        else {
            return Reaction::Ignore("an answer that nobody waits for");
        };
        // The answer may have been on its way while the turn ended and another question was asked.
        if question != answered {
            return Reaction::Ignore("the answer to an earlier question");
        }
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
}
