//! Asking the responders, and passing on what they say.

use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;

use super::words::{as_prompts, sanitised};
use super::{Driver, denial};
use crate::agent::conversation::Drive;
use crate::agent::signals::{self, Decision};
use crate::record::inbox::OpenQuestion;
use crate::record::journal::Progress;
use crate::task::question::{Answer, Question};
use crate::task::respond::{Context, Recipe, Responder, Response};
use crate::turn::{Asker, Event};

pub(super) type Asking<'a> = Pin<Box<dyn Future<Output = Response> + Send + 'a>>;

impl<'a> Driver<'a> {
    pub(super) fn ask(&mut self, question: Question) {
        if let Some((by, answer)) = self.recorded.answer(&question) {
            // Asked and answered before: it is only to be told.
            let known = Response {
                by,
                answer: Some(answer),
                problems: Vec::new(),
            };
            self.asking = Some((question, Box::pin(std::future::ready(known))));
            return;
        }
        let responder = self.parts.responder;
        let open = self.open_question(&question);
        let context = Context {
            question: open.id.clone(),
            ..self.parts.context.clone()
        };
        let (turn, journal, notifier) = (question.turn, self.parts.journal, self.parts.notifier);
        let waiting = move |responder: &dyn Responder| {
            let waits = matches!(responder.recipe(), Some(Recipe::Message { .. }));
            if let (true, Some(until)) = (waits, open.until.clone()) {
                let id = open.id.clone();
                journal.write(Progress::Waiting { turn, id, until });
                notifier.tell_waiting(journal, &open);
            }
        };
        let limit = self.parts.machine.answer_limit();
        let asked = question.clone();
        let reply = async move {
            let reply = responder.ask(&asked, &context, waiting);
            match tokio::time::timeout(limit, reply).await {
                Ok(reply) => reply,
                Err(_elapsed) => Response::late(limit),
            }
        };
        self.asking = Some((question, Box::pin(reply)));
    }

    /// Writes the question down for other processes. An operator before may have asked the same one: then it is still that.
    fn open_question(&mut self, question: &Question) -> OpenQuestion {
        let known = self.parts.dir.load_question().ok().flatten();
        if let Some(known) = known.filter(|known| known.is_about(question)) {
            return known;
        }
        let half = self.half_asked.take();
        let half = half.filter(|half| half.is_about(question));
        let id = half.as_ref().map(|half| half.id.clone());
        let id = id.unwrap_or_else(|| {
            self.questions += 1;
            format!("{}-{}", question.turn, self.questions)
        });
        let limit = self.parts.responder.message_limit();
        let until = limit.map(|limit| SystemTime::now() + limit);
        let open = OpenQuestion::new(&id, question, until);
        if half.is_none() {
            self.parts.journal.write(Progress::Asked {
                turn: open.turn,
                id,
                kind: open.kind.clone(),
                text: open.text.clone(),
                reason: open.reason.clone(),
                options: open.options.clone(),
            });
        }
        if let Err(error) = self.parts.dir.write_question(&open) {
            tracing::warn!(%error, "the question can't be written down");
        }
        open
    }

    pub(super) fn take_reply(&mut self, reply: Response) {
        let Some((question, _)) = self.asking.take() else {
            return;
        };
        for text in reply.problems {
            self.parts
                .journal
                .write(Progress::Notice { text: text.clone() });
            self.notices.push(text);
        }
        self.given = reply.answer.as_ref().map(|answer| {
            let question = question.text.clone();
            (reply.by, question, answer.words())
        });
        // A form takes a text as it is: its field obeys nothing.
        let said = if self.parts.machine.is_consulting() {
            reply.answer.map(sanitised)
        } else {
            let literally = self.parts.machine.drive() != Drive::Keys;
            reply.answer.map(|answer| match sanitised(answer) {
                safe if literally => safe,
                safe => as_prompts(self.parts.executor, safe),
            })
        };
        self.queue.push_back(Event::Answered(question, said));
    }

    pub(super) fn decide(&mut self, asker: &Asker, answer: &Answer) {
        let decision = match answer {
            Answer::Allow => Decision::Allow,
            Answer::Deny(why) => Decision::Deny {
                message: denial(why),
            },
            Answer::Text(_) => Decision::Pass,
        };
        match asker {
            Asker::Request(request) => self.say(request, decision),
            Asker::Nobody => {}
            Asker::Hook(hook) => {
                let signals = self.parts.dir.signals();
                if let Err(error) = signals::write_decision(&signals, hook, &decision) {
                    // The hook then passes, and the dialog comes up on the screen.
                    tracing::warn!(%error, "the decision can't be written");
                }
            }
        }
    }

    /// Sends the answers of a form.
    pub(super) fn fill(&mut self, call: String, answers: Vec<String>) {
        let decision = Decision::Answers(answers);
        if self.parts.conversation.is_some() {
            self.say(&call, decision);
        } else if let Some(hook) = self.signals.hook_of(&call) {
            let signals = self.parts.dir.signals();
            if let Err(error) = signals::write_decision(&signals, hook, &decision) {
                tracing::warn!(%error, "the answers can't be written");
            }
        }
        // It is closed by that: the server tells of an end that others brought about.
        self.queue.push_back(Event::InquiryClosed { call });
    }
}

pub(super) async fn replied(asking: &mut Option<(Question, Asking<'_>)>) -> Response {
    match asking {
        Some((_, reply)) => reply.await,
        None => std::future::pending().await,
    }
}
