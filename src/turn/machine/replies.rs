//! Questions to the responder, and the use of its answers.

use std::collections::VecDeque;
use std::time::Instant;

use super::super::end::unanswered;
use super::super::{Asker, Reaction};
use super::{Approval, Machine, State};
use crate::task::policy::Permissions;
use crate::task::question::{Answer, Question, QuestionKind};

impl Machine {
    pub(crate) fn on_permission(
        &mut self,
        now: Instant,
        asker: Asker,
        question: Question,
    ) -> Reaction {
        let answer_until = self.answer_until(now);
        let without_keys = self.is_without_keys();
        match &mut self.state {
            // It is refused for good, and was not to be.
            State::Working { .. }
                if asker == Asker::Nobody && self.plan.permissions != Permissions::Deny =>
            {
                self.end(unanswered(&question))
            }
            // The hook has answered by itself, from the policy file.
            State::Working { .. } if self.plan.permissions != Permissions::Ask => Reaction::Wait,
            State::Working { .. } if !self.plan.responder && without_keys => {
                self.end(unanswered(&question))
            }
            State::Working { .. } if !self.plan.responder => {
                self.awaited.add(question);
                Reaction::Look
            }
            State::Working { turn_id, until } => {
                let (turn_id, left) = (turn_id.take(), until.saturating_duration_since(now));
                let asked = VecDeque::from([Approval {
                    asker,
                    question: question.clone(),
                }]);
                self.dialog_state = None;
                self.state = State::Approving {
                    asked,
                    turn_id,
                    left,
                    until: answer_until,
                };
                Reaction::Ask(question)
            }
            State::Approving { asked, .. } => {
                asked.push_back(Approval { asker, question });
                Reaction::Wait
            }
            _ => Reaction::Ignore("a permission asked outside a turn"),
        }
    }

    /// An approval is decided that waited for a responder's word: no word is needed any more.
    pub(crate) fn on_permission_closed(&mut self, now: Instant, closed: &Asker) -> Reaction {
        let answer_until = self.answer_until(now);
        let State::Approving {
            asked,
            turn_id,
            left,
            until,
        } = &mut self.state
        else {
            return Reaction::Ignore("the end of an approval that nobody was asked for");
        };
        let was_first = asked.front().is_some_and(|first| first.asker == *closed);
        asked.retain(|approval| approval.asker != *closed);
        match asked.front() {
            Some(next) if was_first => {
                *until = answer_until;
                Reaction::Ask(next.question.clone())
            }
            Some(_) => Reaction::Wait,
            None => {
                self.state = State::Working {
                    turn_id: turn_id.take(),
                    until: now + *left,
                };
                Reaction::Wait
            }
        }
    }

    pub(crate) fn on_answer(
        &mut self,
        now: Instant,
        answered: &Question,
        answer: Option<Answer>,
    ) -> Reaction {
        match &mut self.state {
            State::Asking { question, .. } if question == answered => {
                self.reply(now, answered, answer)
            }
            State::Approving { asked, .. }
                if asked
                    .front()
                    .is_some_and(|first| first.question == *answered) =>
            {
                self.decide(now, answered, answer)
            }
            State::Consulting { question, .. } if question == answered => {
                self.consulted(now, answer)
            }
            // It may have been on its way while the turn ended and another question was asked.
            State::Asking { .. } | State::Approving { .. } | State::Consulting { .. } => {
                Reaction::Ignore("the answer to an earlier question")
            }
            _ => Reaction::Ignore("an answer without a question"),
        }
    }

    fn reply(&mut self, now: Instant, question: &Question, answer: Option<Answer>) -> Reaction {
        let is_request = question.kind == QuestionKind::Request;
        match answer {
            Some(Answer::Text(text)) => self.reply_with(now, text),
            Some(Answer::Allow) if is_request => self.reply_with(now, "Yes, you may.".to_owned()),
            Some(Answer::Deny(why)) if is_request => {
                self.reply_with(now, format!("No. {why}").trim_end().to_owned())
            }
            // A decision doesn't answer a question: nothing is guessed.
            Some(Answer::Allow | Answer::Deny(_)) | None => self.end(unanswered(question)),
        }
    }

    fn decide(&mut self, now: Instant, question: &Question, answer: Option<Answer>) -> Reaction {
        let answer_until = self.answer_until(now);
        let State::Approving {
            asked,
            turn_id,
            left,
            until,
        } = &mut self.state
        else {
            return Reaction::Ignore("an answer without a question");
        };
        let Some(Approval { asker, .. }) = asked.pop_front() else {
            return Reaction::Ignore("an answer without a question");
        };
        let next = asked.front().map(|approval| approval.question.clone());
        *until = answer_until;
        if next.is_none() {
            self.state = State::Working {
                turn_id: turn_id.take(),
                until: now + *left,
            };
        }
        let answer = match answer {
            Some(answer @ (Answer::Allow | Answer::Deny(_))) => answer,
            // Nor is a text one to an approval. A hook of the user's may decide; the agent's dialog ends the run.
            Some(Answer::Text(_)) | None if self.is_without_keys() => {
                return self.end(unanswered(question));
            }
            Some(Answer::Text(_)) | None => {
                self.awaited.add(question.clone());
                Answer::Text(String::new())
            }
        };
        Reaction::Decide {
            asker,
            answer,
            next,
        }
    }
}
