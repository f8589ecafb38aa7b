//! The course of a turn: the proof of its prompt, and its end.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use super::super::classify::{self, Answered, Classification, Evidence, PROBE, Verdict};
use super::super::end::unanswered;
use super::super::{CONTINUE, End, Reaction};
use super::{Machine, State};
use crate::agent::answer::AnswerSchema;
use crate::agent::conversation::Drive;
use crate::agent::executor::Trouble;
use crate::agent::report::TurnError;
use crate::record::Status;
use crate::task::question::{Question, QuestionKind};

impl Machine {
    /// The open question of this turn that no responder has: a form's, or the last approval.
    pub(crate) fn awaited(&self) -> Option<Question> {
        self.inquired().or(self.awaited.last().cloned())
    }

    /// Whether the agent gets one prompt, and no other.
    pub(super) fn is_one_shot(&self) -> bool {
        self.plan.drive == Drive::Headless
    }

    pub(crate) fn on_session(
        &mut self,
        session: String,
        cwd: Option<&Path>,
        source: &str,
    ) -> Reaction {
        if self.is_ours(&session) {
            return Reaction::Wait;
        }
        let here = cwd.is_none_or(|cwd| cwd == self.plan.directory);
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

    pub(crate) fn on_prompt(
        &mut self,
        now: Instant,
        session: String,
        turn_id: Option<String>,
        (cwd, prompt): (Option<PathBuf>, String),
    ) -> Reaction {
        let here = cwd.as_ref().is_none_or(|cwd| *cwd == self.plan.directory);
        let same = self.plan.executor.is_prompt(&prompt, &self.prompt);
        let ours = self.is_ours(&session);
        let without_keys = self.is_without_keys();
        let is_message = ours && self.is_within_turn() && self.has_heard_by_hook(&prompt);
        match &mut self.state {
            State::Submitting(_) if same && !here => {
                let at = cwd.as_deref().unwrap_or(Path::new("?")).display();
                let message =
                    format!("the agent works in {at} and not in its directory of the worktree");
                let hint = self.plan.executor.remedy(Trouble::WrongDirectory);
                self.end(End::failed(
                    Status::Failed,
                    "wrong_directory",
                    message,
                    hint,
                ))
            }
            State::Submitting(_) if same => {
                // The text itself is proof of whose session it is, after a rotation too.
                self.session = Some(session);
                self.turns += 1;
                self.messages_arrived();
                self.dialog_state = None;
                self.form = None;
                self.state = State::Working {
                    turn_id,
                    until: now + self.plan.limits.turn,
                };
                Reaction::Wait
            }
            _ if !ours => Reaction::Ignore("a prompt of another session"),
            // A composer is shared, a server's requests are not.
            State::Submitting(_) if without_keys => {
                Reaction::Ignore("a prompt that is not ours, in the agent's session")
            }
            State::Submitting(_) => {
                let message =
                    "another prompt than the pasted one was submitted in the agent's session";
                let hint = "a person typed into the pane; run the task again and attach read-only";
                self.end(End::failed(Status::Failed, "prompt_altered", message, hint))
            }
            // Somebody attached and typed: the turn that now runs is the one that will stop.
            State::Working {
                turn_id: current, ..
            }
            | State::Approving {
                turn_id: current, ..
            }
            | State::Consulting {
                turn_id: current, ..
            } => {
                *current = turn_id;
                match is_message {
                    true => Reaction::Wait,
                    false => Reaction::Ignore("a prompt that is not ours, in the agent's session"),
                }
            }
            // Somebody answered in the pane: the responder's word would be typed into a turn that runs.
            State::Asking { .. } => {
                self.state = State::Working {
                    turn_id,
                    until: now + self.plan.limits.turn,
                };
                Reaction::Ignore("a prompt that is not ours: a person answered in the pane")
            }
            _ => Reaction::Ignore("a prompt that is not ours, in the agent's session"),
        }
    }

    /// Whether a turn runs, be it that somebody is asked within it.
    pub(super) fn is_within_turn(&self) -> bool {
        matches!(
            self.state,
            State::Working { .. } | State::Approving { .. } | State::Consulting { .. }
        )
    }

    /// Whether this turn is under way; one that is not named may be.
    pub(crate) fn runs(&self, turn_id: Option<&str>) -> bool {
        match &self.state {
            State::Working {
                turn_id: current, ..
            }
            | State::Approving {
                turn_id: current, ..
            }
            | State::Consulting {
                turn_id: current, ..
            } => current
                .as_deref()
                .zip(turn_id)
                .is_none_or(|(current, turn_id)| current == turn_id),
            _ => false,
        }
    }

    pub(crate) fn on_stop(
        &mut self,
        now: Instant,
        turn_id: Option<&str>,
        (message, evidence): (Option<String>, Evidence),
    ) -> Reaction {
        if !self.runs(turn_id) {
            return Reaction::Ignore("the stop of a turn that is not running");
        }
        let text = message.unwrap_or_default();
        if let Some(schema) = self.plan.answer.clone() {
            return self.on_formed(&schema, text);
        }
        let answered = self.answered(&text, evidence);
        let read = self.read(&text, evidence);
        let asked = self.probed.is_some();
        let mut question = match self.probed.take().zip(answered) {
            Some((question, answered)) => Question {
                reason: answered.words,
                turn: self.turns,
                ..question
            },
            None => {
                self.last_message = (!text.is_empty()).then(|| text.clone());
                Question {
                    kind: QuestionKind::Unclear,
                    text,
                    reason: None,
                    options: Vec::new(),
                    turn: self.turns,
                }
            }
        };
        if let Some(reaction) = self.pass_messages_on(now) {
            return reaction;
        }
        question.kind = match read.verdict {
            Verdict::Result => {
                return self.end(End {
                    status: Status::Completed,
                    error: None,
                    pending: None,
                });
            }
            Verdict::Status if !self.is_one_shot() => return self.go_on(now),
            Verdict::Question => QuestionKind::Question,
            Verdict::Permission => QuestionKind::Request,
            Verdict::Unclear | Verdict::Status => QuestionKind::Unclear,
        };
        let may_probe =
            self.plan.probe && !self.is_one_shot() && !asked && self.turns < self.plan.limits.turns;
        if question.kind == QuestionKind::Unclear && may_probe {
            self.probed = Some(question);
            return self.reply_with(now, PROBE.to_owned());
        }
        self.put(now, question)
    }

    /// The agent's answer, where one of a form is wanted and has it.
    pub(crate) fn answer(&self) -> Option<&Value> {
        self.answer.as_ref()
    }

    /// A turn has ended whose message must have a form.
    fn on_formed(&mut self, schema: &AnswerSchema, text: String) -> Reaction {
        let checked = schema.check(&text);
        self.last_message = (!text.is_empty()).then_some(text);
        match checked {
            Ok(answer) => {
                self.answer = Some(answer);
                self.end(End {
                    status: Status::Completed,
                    error: None,
                    pending: None,
                })
            }
            Err(why) => {
                let message = format!("the agent's answer does not fit the schema: {why}");
                let hint = "`last_message` has the answer, and its work is kept; say more in the brief, or want less in the schema";
                self.end(End::failed(
                    Status::AgentFailed,
                    "invalid_answer",
                    message,
                    hint,
                ))
            }
        }
    }

    /// How a message is read that the turn which runs has ended with.
    pub(crate) fn read(&self, text: &str, evidence: Evidence) -> Classification {
        if let Some(schema) = &self.plan.answer {
            return match schema.check(text) {
                Ok(_) => Classification {
                    verdict: Verdict::Result,
                    rule: "fits_schema",
                },
                Err(_) => Classification {
                    verdict: Verdict::Unclear,
                    rule: "fits_no_schema",
                },
            };
        }
        let answered = self.answered(text, evidence);
        answered.map_or_else(
            || classify::classify_with(text, evidence),
            |answered| answered.read,
        )
    }

    /// The agent's answer to the status question. One that went on working, rather than to answer, ended
    /// a turn as any other; one that looked something up and then answered did not.
    fn answered(&self, text: &str, evidence: Evidence) -> Option<Answered> {
        self.probed.as_ref()?;
        let answered = classify::classify_answer(text);
        let is_answer = answered.bare && answered.read.verdict != Verdict::Unclear;
        (!evidence.overtaken && (is_answer || !evidence.worked)).then_some(answered)
    }

    /// What an earlier turn ended with, where the agent was asked about it and did not get to answer: that turn's work is no
    /// worse for it.
    pub(crate) fn take_probed(&mut self, why: &str) -> Option<Question> {
        let question = self.probed.take()?;
        Some(Question {
            reason: Some(format!("asked how the task is going, {why}")),
            turn: self.turns,
            ..question
        })
    }

    /// Has the responders asked about the end of a turn.
    fn put(&mut self, now: Instant, question: Question) -> Reaction {
        if !self.plan.responder || self.is_one_shot() {
            return self.end(unanswered(&question));
        }
        if let Some(mut end) = self.spent.take() {
            end.pending = Some(question.to_pending());
            return self.end(end);
        }
        if self.turns >= self.plan.limits.turns {
            return self.turn_cap(Some(&question));
        }
        let until = self.answer_until(now);
        self.dialog_state = None;
        self.state = State::Asking {
            question: question.clone(),
            until,
        };
        Reaction::Ask(question)
    }

    /// The agent told what it is about to do, and stopped.
    pub(crate) fn go_on(&mut self, now: Instant) -> Reaction {
        if self.turns >= self.plan.limits.turns {
            return self.turn_cap(None);
        }
        self.reply_with(now, CONTINUE.to_owned())
    }

    pub(crate) fn turn_cap(&mut self, question: Option<&Question>) -> Reaction {
        let message = format!("{} turns, and no result", self.turns);
        let mut end = End::failed(
            Status::TurnCap,
            "turn_cap",
            message,
            "say more in the brief, or raise --max-turns (8 at most)",
        );
        end.pending = question.map(Question::to_pending);
        self.end(end)
    }

    /// The Stop hook ran: the turn may be over, and is when the transcript says so.
    pub(crate) fn on_stopping(
        &mut self,
        now: Instant,
        turn_id: Option<String>,
        message: Option<String>,
    ) -> Reaction {
        if !self.runs(turn_id.as_deref()) {
            return Reaction::Ignore("the stop of a turn that is not running");
        }
        self.stopping.announce(now, turn_id, message);
        Reaction::Wait
    }

    pub(crate) fn on_failure(
        &mut self,
        now: Instant,
        turn_id: &str,
        error: Option<TurnError>,
    ) -> Reaction {
        if !self.runs(Some(turn_id)) {
            return Reaction::Ignore("the failure of a turn that is not running");
        }
        if error.is_none() && self.stopping.is_silent(turn_id) {
            return self.on_stop(now, Some(turn_id), (None, Evidence::default()));
        }
        let error = error.unwrap_or_else(|| TurnError::new("the turn ended without a message"));
        if let Some(question) = self.take_probed(&format!("its turn failed: {}", error.message)) {
            return self.put(now, question);
        }
        let code = match (error.http_status, error.kind.as_deref()) {
            (_, Some("usage_limit_exceeded")) => "usage_limit".to_owned(),
            (Some(status), _) => format!("http_{status}"),
            (None, Some(kind)) => kind.to_owned(),
            (None, None) => "turn_failed".to_owned(),
        };
        let hint = match (error.http_status, error.kind.as_deref()) {
            (Some(401 | 403), _) => self.plan.executor.remedy(Trouble::Rejected),
            (Some(429), _) | (_, Some("usage_limit_exceeded")) => {
                "wait for the limit to pass, or use another account or model"
            }
            (Some(500..), _) => "the service has a problem: try again later",
            (None, Some("prompt_blocked" | "hook_stopped")) => {
                self.plan.executor.remedy(Trouble::PromptBlocked)
            }
            (None, Some("response_stream_disconnected")) => {
                "the connection to the API broke: try again"
            }
            _ => "see the transcript in the run's directory",
        };
        self.end(End::failed(Status::AgentFailed, &code, error.message, hint))
    }

    pub(crate) fn on_abortion(&mut self, turn_id: Option<&str>, reason: &str) -> Reaction {
        if !self.runs(turn_id) {
            return Reaction::Ignore("the abortion of a turn that is not running");
        }
        let message = format!("a person stopped the agent in its pane ({reason})");
        let hint = "run the task again; `cx-operator attach` without --write is read-only";
        self.cut_off(End::failed(Status::Aborted, "interrupted", message, hint))
    }

    pub(crate) fn on_exit(&mut self, code: Option<i32>, screen: &str) -> Reaction {
        let how = match code {
            Some(code @ 129..=192) => format!("by signal {}", code - 128),
            Some(code) => format!("with exit status {code}"),
            None => "without an exit status".to_owned(),
        };
        let last = last_words(screen);
        let shown = if self.is_one_shot() {
            "what it said last"
        } else {
            "its last screen"
        };
        let message = format!("the agent's program ended {how}; {shown}:\n{last}");
        let refused = code == Some(2) && self.turns == 0;
        let hint = limit_behind(code, &last).unwrap_or(if refused {
            "its cached flags are removed, since they may be another version's: run the task again"
        } else if self.turns == 0 && last.starts_with("Error: ") {
            self.plan.executor.remedy(Trouble::EndedAtStart)
        } else if self.is_one_shot() {
            "transcript.jsonl and stderr.log in the run's directory contain all it printed"
        } else {
            "pane.log in the run's directory contains all it printed"
        });
        self.cut_off(End::failed(Status::AgentDied, "agent_died", message, hint))
    }
}

/// The last rows with text: from the error that the program ended with, where it names one, and without a backtrace.
fn last_words(screen: &str) -> String {
    let lines = screen.lines().map(str::trim_end);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let is_trace = |line: &&str| line.eq_ignore_ascii_case("stack backtrace:");
    let traced = lines.iter().position(is_trace).unwrap_or(lines.len());
    let lines = &lines[..traced];
    let error = lines.iter().rposition(|line| line.starts_with("Error: "));
    let from = error.unwrap_or(lines.len().saturating_sub(12));
    let last: Vec<&str> = lines[from..].iter().take(12).copied().collect();
    last.join("\n")
}

/// The remedy for the limit that ended a program, if one did.
///
/// Source: codex 0.169.0 under `prlimit --fsize=20000`, `--as=400000000` and `--nproc=8`.
fn limit_behind(code: Option<i32>, last: &str) -> Option<&'static str> {
    let says = |words: &str| last.contains(words);
    if code == Some(128 + 25) || says("File too large") {
        return Some("raise the limit of a file's size: `ulimit -f unlimited`");
    }
    if says("memory allocation of") || says("Cannot allocate memory") {
        return Some("raise the limit of memory: `ulimit -v unlimited`");
    }
    let threads = says("Resource temporarily unavailable");
    threads.then_some("raise the limits of processes and of memory: `ulimit -u`, `ulimit -v`")
}
