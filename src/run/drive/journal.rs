//! What a driver writes down: the journal's lines about turns, the replies, the prompts.

use super::{Driver, Transcript};
use crate::agent::signals::Decided;
use crate::record;
use crate::record::inbox::OpenQuestion;
use crate::record::journal::{self, Entry, Progress};
use crate::task::policy::Permissions;
use crate::task::question::Answer;
use crate::turn::classify::Evidence;
use crate::turn::{Asker, Event, Reaction};

impl Driver<'_> {
    /// Takes an approval of a sub-agent's for one of the session that made it.
    ///
    /// Source: codex 0.130.0 names the sub-agent's own session, later ones that of its maker
    /// (`tests/scenarios/left_at_work.rs`).
    pub(super) fn adopt(&mut self, event: &mut Event) {
        self.parts.machine.complete(event);
        let (Event::PermissionAsked { session, .. }, Some(ours)) =
            (event, self.parts.machine.session())
        else {
            return;
        };
        let made = |transcript: &mut Transcript| transcript.has_made(session);
        if session != ours && self.transcript.as_mut().is_some_and(made) {
            ours.clone_into(session);
        }
    }

    pub(super) fn journal_before(&mut self, event: &Event) {
        let turn = self.parts.machine.turns();
        match event {
            Event::TurnStopped {
                message, evidence, ..
            } => self.journal_end(message.as_deref(), *evidence),
            Event::TurnFailed {
                turn_id,
                error: None,
            } if self.parts.machine.stops_silently(turn_id) => {
                self.journal_end(None, Evidence::default())
            }
            Event::PermissionAsked { command, asker, .. } => {
                self.parts.journal.write(Progress::PermissionAsked {
                    turn,
                    command: command.clone(),
                });
                match self.parts.permissions {
                    Permissions::Allow if *asker == Asker::Nobody => {}
                    Permissions::Allow => self.record_reply("policy", command, "allow"),
                    Permissions::Deny => self.record_reply("policy", command, "deny"),
                    Permissions::Ask => {}
                }
            }
            Event::TurnFailed { error, .. } => {
                let message = error
                    .as_ref()
                    .map_or("the turn ended without a message", |error| &error.message);
                self.parts.journal.write(Progress::TurnFailed {
                    turn,
                    message: message.to_owned(),
                });
            }
            Event::TurnAborted { reason, .. } => {
                self.parts.journal.write(Progress::TurnFailed {
                    turn,
                    message: format!("aborted: {reason}"),
                });
            }
            _ => {}
        }
    }

    /// Writes down how a turn's last message was read.
    pub(super) fn journal_end(&self, message: Option<&str>, evidence: Evidence) {
        let read = self
            .parts
            .machine
            .read(message.unwrap_or_default(), evidence);
        self.parts.journal.write(Progress::TurnEnded {
            turn: self.parts.machine.turns(),
            verdict: read.verdict.as_str().to_owned(),
            rule: read.rule.to_owned(),
            message: message.map(str::to_owned),
        });
    }

    pub(super) fn journal_after(
        &self,
        turns_before: u32,
        described: Option<String>,
        reaction: &Reaction,
    ) {
        let turn = self.parts.machine.turns();
        if turn > turns_before
            && let Some(session) = self.parts.machine.session()
        {
            self.parts.journal.write(Progress::Submitted {
                turn,
                session_id: session.to_owned(),
                turn_id: self.parts.machine.turn_id().map(str::to_owned),
            });
        }
        if let (Reaction::Ignore(why), Some(what)) = (reaction, described) {
            self.parts.journal.write(Progress::Ignored {
                why: (*why).to_owned(),
                what,
            });
        }
    }

    /// Writes the tokens down, where the transcript tells of more.
    pub(super) fn note_tokens(&mut self) {
        let told = self.transcript.as_ref().and_then(Transcript::own_usage);
        if let Some(usage) = told.filter(|_| told != self.tokens) {
            self.tokens = told;
            let turn = self.parts.machine.turns();
            self.parts.journal.write(Progress::Tokens { turn, usage });
        }
    }

    /// Takes the tokens that the journal of an operator before has, or the transcript: a server may tell of none before more are
    /// used.
    pub(super) fn load_tokens(&mut self) {
        let entries = journal::load(&self.parts.dir.events()).unwrap_or_default();
        let mut told = entries
            .iter()
            .rev()
            .filter_map(|entry| match entry.progress {
                Progress::Tokens { usage, .. } => Some(usage),
                _ => None,
            });
        self.tokens = told.next();
        let session = self
            .parts
            .conversation
            .as_ref()
            .map(|conversation| conversation.session());
        let path = session.and_then(|session| session.transcript.clone());
        if let Some(path) = path.filter(|_| self.parts.budget.is_set()) {
            let (executor, resumed) = (self.parts.executor, self.parts.resumed);
            let mut transcript = Transcript::of_run(path, executor, resumed);
            let _the_server_tells_of_turns = transcript.read();
            self.used_before = transcript.own_usage();
        }
    }

    /// Tells the machine when the budget is used up. What is there to be told is told before, a turn's end among it.
    pub(super) fn watch_budget(&mut self, rescans: bool) {
        let budget = self.parts.budget;
        let is_new = rescans || self.counted != self.tokens;
        if !budget.is_set() || self.parts.machine.is_spent() || !is_new {
            return;
        }
        self.counted = self.tokens;
        let told = self.transcript.as_ref().and_then(Transcript::usage);
        let used = [told, self.tokens, self.used_before].into_iter().flatten();
        let used = used.max_by_key(|usage| usage.total_tokens);
        if let Some(why) = used.and_then(|usage| budget.find_excess(&usage)) {
            self.parts.machine.note_spent(&why);
            self.queue.push_back(Event::Spent);
        }
    }

    /// The questions that the journal of an operator before has.
    pub(super) fn count_questions(&self) -> usize {
        let entries = journal::load(&self.parts.dir.events()).unwrap_or_default();
        let asked = |entry: &&Entry| matches!(entry.progress, Progress::Asked { .. });
        entries.iter().filter(asked).count()
    }

    /// The last question that the journal of an operator before has, if nothing became of it.
    pub(super) fn find_half_asked(&self) -> Option<OpenQuestion> {
        let entries = journal::load(&self.parts.dir.events()).unwrap_or_default();
        let events = entries.into_iter().map(|entry| entry.progress).rev();
        for progress in events {
            match progress {
                Progress::Asked {
                    turn,
                    id,
                    kind,
                    text,
                    reason,
                    options,
                } => {
                    return Some(OpenQuestion {
                        schema_version: 1,
                        id,
                        kind,
                        turn,
                        text,
                        reason,
                        options,
                        accepts: Vec::new(),
                        until: None,
                    });
                }
                Progress::Replied { .. } | Progress::Pasted { .. } | Progress::Submitted { .. } => {
                    return None;
                }
                _ => {}
            }
        }
        None
    }

    /// Writes down what was answered, once it is on its way to the agent. Until then the question is open for an operator that
    /// takes the run over.
    pub(super) fn record_given(&mut self, reaction: &Reaction, is_answered: bool) {
        self.record_reply_given(reaction);
        if is_answered && self.asking.is_none() {
            self.parts.dir.remove_question();
        }
    }

    fn record_reply_given(&mut self, reaction: &Reaction) {
        if let Some((by, question, said)) = self.given.take()
            && !matches!(
                reaction,
                Reaction::Ignore(_)
                    | Reaction::End(_)
                    | Reaction::Decide {
                        answer: Answer::Text(_),
                        ..
                    }
            )
        {
            self.record_reply(&by, &question, &said);
        }
    }

    /// Tells of commands and sub-agents that are still at work, and has the replies say what became of the approvals:
    /// another hook's denial takes precedence over ours.
    pub(super) fn tell_what_the_transcript_knows(&mut self) {
        let Some(transcript) = &self.transcript else {
            return;
        };
        let mut told = Vec::new();
        for command in transcript.running() {
            told.push(format!("still ran when the run ended: `{command}`"));
        }
        for agent in transcript.sub_agents() {
            told.push(format!(
                "a sub-agent still worked when the run ended: {agent}"
            ));
        }
        for (command, why) in transcript.refused() {
            let allowed =
                |reply: &&mut record::Reply| reply.question == *command && reply.reply == "allow";
            if let Some(reply) = self.replies.iter_mut().find(allowed) {
                told.push(format!("a hook of the user's denied `{command}`: {why}"));
                reply.by = "hook".to_owned();
                reply.reply = format!("deny {why}");
            }
        }
        for text in told {
            self.parts
                .journal
                .write(Progress::Notice { text: text.clone() });
            self.notices.push(text);
        }
    }

    /// Writes down what hooks decided by the policy since the last look.
    pub(super) fn take_verdicts(&mut self) {
        if !self.parts.judges {
            return;
        }
        for (id, decided) in Decided::list(&self.parts.dir.signals()) {
            if self.items.insert(id.clone()) {
                self.parts.journal.write(Progress::Decided {
                    turn: self.parts.machine.turns(),
                    id,
                    action: decided.action(),
                    rule: decided.verdict.rule,
                    tool: decided.tool,
                    command: decided.command,
                });
            }
        }
    }

    /// Writes a reply down, unless the operator before us has: it read the same event.
    pub(super) fn record_reply(&mut self, by: &str, question: &str, reply: &str) {
        let reply = record::Reply {
            turn: self.parts.machine.turns(),
            by: by.to_owned(),
            question: question.to_owned(),
            reply: reply.to_owned(),
        };
        if self.recorded.take(&reply) {
            return;
        }
        self.parts.journal.write(Progress::Replied {
            turn: reply.turn,
            by: reply.by.clone(),
            question: reply.question.clone(),
            reply: reply.reply.clone(),
        });
        self.replies.push(reply);
    }
}
