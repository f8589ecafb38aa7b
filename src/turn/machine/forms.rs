//! The agent's own question: a form that its program shows within a turn. It is asked like any other, and answered by keys.

use std::time::Instant;

use super::super::Reaction;
use super::super::end::unanswered;
use super::{Machine, State};
use crate::agent::screen_state::{Form, FormStep, Inquiry};
use crate::task::question::{Answer, Question, QuestionKind};

/// A form that is open, as the transcript tells.
#[derive(Clone, Debug)]
pub(super) struct OpenForm {
    call: String,
    inquiries: Vec<Inquiry>,
    /// Whether the answers are given by a word, and not by keys.
    is_typed: bool,
    /// The answers to the first of them.
    answers: Vec<String>,
    /// The question whose keys are counted.
    number: usize,
}

impl Machine {
    /// The form that is open, and what is answered of it.
    pub(crate) fn form(&self) -> Option<Form<'_>> {
        let open = self.form.as_ref()?;
        Some(Form {
            inquiries: &open.inquiries,
            answers: &open.answers,
        })
    }

    /// The same, if it is answered by keys.
    pub(crate) fn form_by_keys(&self) -> Option<Form<'_>> {
        self.form().filter(|_| !self.has_typed_form())
    }

    /// Whether a form is open that is answered by a word.
    pub(crate) fn has_typed_form(&self) -> bool {
        self.form.as_ref().is_some_and(|open| open.is_typed)
    }

    /// Whether all the answers to the form that is open are known.
    pub(crate) fn is_form_answered(&self) -> bool {
        let open = self.form.as_ref();
        open.is_some_and(|open| open.answers.len() >= open.inquiries.len())
    }

    /// The call of the form that is open.
    pub(crate) fn form_call(&self) -> Option<&String> {
        self.form.as_ref().map(|open| &open.call)
    }

    /// Whether a question of a form waits for its answer.
    pub(crate) fn is_consulting(&self) -> bool {
        matches!(self.state, State::Consulting { .. })
    }

    /// The question of the open form that has no answer yet, or else the first: nothing was sent.
    pub(crate) fn inquired(&self) -> Option<Question> {
        let open = self.form.as_ref()?;
        let next = open.inquiries.get(open.answers.len());
        next.or(open.inquiries.first())
            .map(|inquiry| self.question(inquiry))
    }

    fn question(&self, inquiry: &Inquiry) -> Question {
        Question {
            kind: QuestionKind::Question,
            text: inquiry.text.clone(),
            reason: None,
            options: inquiry.options.clone(),
            turn: self.turns,
        }
    }

    /// The agent asks by a form. One that is answered by keys must be seen first: a hook of the user's may refuse it.
    pub(crate) fn on_inquiry(
        &mut self,
        now: Instant,
        call: String,
        (inquiries, is_typed): (Vec<Inquiry>, bool),
    ) -> Reaction {
        self.form = Some(OpenForm {
            call,
            inquiries,
            is_typed,
            answers: Vec::new(),
            number: 0,
        });
        let first = self.form.as_ref().and_then(|open| open.inquiries.first());
        match first.cloned().filter(|_| is_typed) {
            Some(first) => self.on_form(now, &first),
            None => Reaction::Look,
        }
    }

    /// A form was closed: by our keys, by a person in the pane, or by a hook.
    pub(crate) fn on_inquiry_closed(&mut self, now: Instant, call: &str) -> Reaction {
        if self.form.as_ref().is_none_or(|open| open.call != call) {
            return Reaction::Ignore("the end of a form that is not open");
        }
        self.form = None;
        self.dialog_state = None;
        self.presses.clear();
        self.work_on(now);
        Reaction::Wait
    }

    /// A form is up, and its answers are not known.
    pub(crate) fn on_form(&mut self, now: Instant, drawn: &Inquiry) -> Reaction {
        let question = self.inquired().unwrap_or_else(|| self.question(drawn));
        let known = self.form.is_some();
        let until = self.answer_until(now);
        match &mut self.state {
            State::Working {
                turn_id,
                until: turn,
            } if known && self.plan.responder => {
                self.dialog_state = None;
                self.state = State::Consulting {
                    question: question.clone(),
                    turn_id: turn_id.take(),
                    left: turn.saturating_duration_since(now),
                    until,
                };
                Reaction::Ask(question)
            }
            _ => self.end(unanswered(&question)),
        }
    }

    /// Handles a responder's answer to a form's question.
    pub(crate) fn consulted(&mut self, now: Instant, answer: Option<Answer>) -> Reaction {
        let (State::Consulting { question, .. }, Some(open)) = (&self.state, &mut self.form) else {
            return Reaction::Ignore("an answer without a question");
        };
        let Some(Answer::Text(text)) = answer else {
            let end = unanswered(question);
            return self.end(end);
        };
        open.answers.push(text);
        match open.inquiries.get(open.answers.len()).cloned() {
            Some(inquiry) => {
                let (next, answer_until) = (self.question(&inquiry), self.answer_until(now));
                if let State::Consulting {
                    question, until, ..
                } = &mut self.state
                {
                    *question = next.clone();
                    *until = answer_until;
                }
                Reaction::Ask(next)
            }
            None => {
                let (call, answers) = (open.call.clone(), open.answers.clone());
                self.work_on(now);
                if self.has_typed_form() {
                    Reaction::Fill { call, answers }
                } else {
                    Reaction::Look
                }
            }
        }
    }

    /// Back to a turn whose clock stood still.
    fn work_on(&mut self, now: Instant) {
        if let State::Consulting { turn_id, left, .. } = &mut self.state {
            self.state = State::Working {
                turn_id: turn_id.take(),
                until: now + *left,
            };
        }
    }

    /// A form is up whose answers are known.
    pub(crate) fn fill(
        &mut self,
        now: Instant,
        (name, screen): (&'static str, &str),
        (number, step): (usize, FormStep),
    ) -> Reaction {
        if let Some(open) = &mut self.form
            && open.number != number
        {
            open.number = number;
            self.presses.clear();
        }
        match step {
            FormStep::Wait => {
                self.dialog_state = None;
                Reaction::Wait
            }
            FormStep::Press(key) => self.press(now, name, key, screen),
            // Counted like a key: a field that takes no text must not be pasted into for ever.
            FormStep::Note(text) => match self.press(now, name, crate::tmux::Key::Tab, screen) {
                Reaction::Press(..) => Reaction::Note(text),
                end => end,
            },
        }
    }
}
