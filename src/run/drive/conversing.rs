//! Driving by requests: what the agent's server tells becomes events, and what the machine decides becomes requests.
//!
//! The server's word counts for the course of a turn. The transcript is kept by the same words, and is read from its file
//! only for what the server does not tell: sub-agents that still work, and the tokens at the end.

use std::time::Duration;

use crate::agent::conversation::{Conversation, Drive, NoConversation, Session, Told};
use crate::agent::report::{Item, Line};
use crate::agent::screen_state::Inquiry;
use crate::agent::signals::Decision;
use crate::record::journal::Progress;
use crate::record::redact::redact_json;
use crate::run::drive::denial;
use crate::task::policy::Permissions;
use crate::task::question::Answer;
use crate::turn::{Asker, Event};

use super::continuation::{has_turn, prompt_name, since};
use super::sources::Transcript;
use super::{Driver, End, ending};

/// How often a lost connection to a server that still runs is made again in a run.
const RECONNECTIONS: u8 = 3;
/// Before each attempt: a server that was killed takes a moment to be gone.
const PACE: Duration = Duration::from_millis(200);

/// The longest that a message of an ended server is waited for.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A request of the program's, and what was said to it.
#[derive(Debug)]
pub(super) struct Asked {
    /// The command, or the questions.
    words: String,
    answer: Option<Decision>,
}

/// The next message; none ever comes where there is no conversation.
pub(super) async fn told(conversation: &mut Option<Box<dyn Conversation>>) -> Told {
    match conversation {
        Some(conversation) => conversation.next().await,
        None => std::future::pending().await,
    }
}

impl Driver<'_> {
    pub(super) fn is_by_requests(&self) -> bool {
        self.parts.machine.drive() == Drive::Requests
    }

    pub(super) fn is_by_keys(&self) -> bool {
        self.parts.machine.drive() == Drive::Keys
    }

    /// Follows the conversation that the driver was given.
    pub(super) fn join(&mut self) {
        let Some(conversation) = &self.parts.conversation else {
            return;
        };
        let session = conversation.session().clone();
        self.transcript = Some(self.transcript_of(&session));
        let before = session.turns.last().map(|turn| turn.id.clone());
        self.turn_before = before.filter(|_| self.parts.machine.turns() == 0);
        self.queue.push_back(Event::SessionStarted {
            session: session.id,
            cwd: None,
            source: "startup".to_owned(),
        });
        self.queue.push_back(Event::Ready);
    }

    /// Tells again what happened in a continued session since the last prompt that is known to have arrived, or with it.
    pub(super) fn recount(&mut self, known_turn: Option<&str>, pasted: bool) {
        let Some(conversation) = &self.parts.conversation else {
            return;
        };
        let turns = since(conversation.session(), known_turn, pasted).to_vec();
        for told in turns.into_iter().flat_map(|turn| turn.told) {
            self.take_told(told);
        }
        self.queue.push_back(Event::Ready);
    }

    pub(super) fn take_told(&mut self, told: Told) {
        match told {
            Told::Submitted { turn_id } => self.take_proof(turn_id),
            Told::Refused { message } => self.refused = Some(message),
            Told::NotSteered { message } => {
                self.note(format!("a message waits for the turn's end: {message}"));
                self.queue.push_back(Event::NotSteered);
            }
            Told::Line(line) => self.take_line(line),
            Told::Prompt {
                turn_id,
                name,
                text,
            } => self.take_prompt(turn_id, name.as_deref(), text),
            Told::Approval {
                request,
                command,
                reason,
            } => self.take_approval(request, command, reason),
            Told::Form { call, inquiries } => self.take_form(call, inquiries),
            Told::Resolved { request } => self.take_resolved(request),
            Told::Item { id, item } => self.take_item(id, item),
            Told::Trouble(text) => self.trouble = Some(text),
            Told::Notice(text) => self.note(text),
            Told::Closed => self.is_cut_off = true,
        }
    }

    fn take_approval(&mut self, request: String, command: String, reason: Option<String>) {
        let asker = Asker::Request(request.clone());
        let is_open = self.parts.machine.asked_by(&asker).is_some();
        if self.is_known(&request, &command, is_open) {
            return;
        }
        let session = self.parts.machine.session().map(str::to_owned);
        self.queue
            .extend(session.map(|session| Event::PermissionAsked {
                session,
                asker,
                command,
                reason,
            }));
    }

    fn take_form(&mut self, call: String, inquiries: Vec<Inquiry>) {
        let texts = inquiries.iter().map(|inquiry| inquiry.text.as_str());
        let words = texts.collect::<Vec<_>>().join("\n");
        let is_open = self.parts.machine.form_call() == Some(&call);
        if self.is_known(&call, &words, is_open) {
            return;
        }
        if let Some(transcript) = &mut self.transcript {
            let mut events = Vec::new();
            let line = Line::Inquired {
                call: call.clone(),
                inquiries: inquiries.clone(),
                is_hooked: true,
            };
            transcript.take(line, &mut events);
            self.queue.extend(events);
        }
        self.queue.push_back(Event::Inquired {
            call,
            inquiries,
            is_typed: true,
        });
    }

    /// Whether a request is one of before, which the program tells of once more after a lost connection. One that was answered
    /// gets the same answer.
    fn is_known(&mut self, request: &str, words: &str, is_open: bool) -> bool {
        match self.asked.get(request) {
            Some(known) if known.words == words => {
                let Some(answer) = known.answer.clone() else {
                    return is_open;
                };
                self.say(request, answer);
                true
            }
            _ => {
                let (words, answer) = (words.to_owned(), None);
                self.asked
                    .insert(request.to_owned(), Asked { words, answer });
                false
            }
        }
    }

    /// Answers a request.
    pub(super) fn say(&mut self, request: &str, answer: Decision) {
        if let Some(conversation) = &mut self.parts.conversation {
            match &answer {
                Decision::Answers(answers) => conversation.answer(request, answers),
                decision => conversation.decide(request, decision),
            }
        }
        if let Some(asked) = self.asked.get_mut(request) {
            asked.answer = Some(answer);
        }
    }

    /// The program's word that it has the prompt.
    fn take_proof(&mut self, turn_id: String) {
        let Some(session) = self.session_id() else {
            return;
        };
        self.queue.push_back(Event::PromptSubmitted {
            session,
            turn_id: Some(turn_id),
            cwd: None,
            prompt: self.parts.machine.prompt().to_owned(),
        });
    }

    fn session_id(&self) -> Option<String> {
        let conversation = self.parts.conversation.as_ref()?;
        Some(conversation.session().id.clone())
    }

    /// A prompt that is in the session. Ours was proven by its own answer, unless its operator is gone.
    fn take_prompt(&mut self, turn_id: String, name: Option<&str>, text: String) {
        if name.is_some_and(|name| self.is_message_name(name)) {
            return self.queue.push_back(Event::Steered { text });
        }
        let next = self.parts.machine.turns() + 1;
        let ours = |turn: u32| self.prompt_name(turn);
        let is_known = name.is_some_and(|name| (1..next).any(|turn| name == ours(turn)))
            || self.parts.machine.turn_id() == Some(&turn_id)
                && text == self.parts.machine.prompt();
        if is_known {
            return;
        }
        self.queue
            .extend(self.session_id().map(|session| Event::PromptSubmitted {
                session,
                turn_id: Some(turn_id),
                cwd: None,
                prompt: text,
            }));
    }

    fn prompt_name(&self, turn: u32) -> String {
        prompt_name(self.parts.dir.name(), turn)
    }

    fn note(&mut self, text: String) {
        self.parts
            .journal
            .write(Progress::Notice { text: text.clone() });
        self.notices.push(text);
    }

    fn take_line(&mut self, line: Line) {
        let ends = matches!(
            line,
            Line::TurnCompleted { .. } | Line::TurnFailed { .. } | Line::TurnAborted { .. }
        );
        let Some(transcript) = &mut self.transcript else {
            return;
        };
        let mut events = Vec::new();
        transcript.take(line, &mut events);
        if ends {
            self.look_for_work();
        }
        self.queue.extend(events);
        if !ends && self.parts.machine.is_holding() {
            self.look_for_work();
        }
    }

    pub(super) fn take_item(&mut self, id: String, item: Item) {
        if let Item::Command {
            command, outcome, ..
        } = &item
            && let Some(at) = self.elsewhere.iter().position(|asked| asked == command)
        {
            let asked = self.elsewhere.remove(at);
            let decision = if outcome == "declined" {
                "deny"
            } else {
                "allow"
            };
            self.record_reply("person", &asked, decision);
        }
        if self.items.insert(id.clone()) {
            let (turn, item) = (self.parts.machine.turns(), redacted(item));
            self.parts.journal.write(Progress::Item { turn, id, item });
        }
    }

    /// A request is closed that we had not answered: a person did, or the turn is over.
    fn take_resolved(&mut self, request: String) {
        let asker = Asker::Request(request.clone());
        if self.parts.machine.form_call() == Some(&request) {
            self.forget_question();
            self.queue.push_back(Event::InquiryClosed { call: request });
            return;
        }
        if let Some(question) = self.parts.machine.asked_by(&asker) {
            self.elsewhere.push(question.text.clone());
            let asked = self.asking.as_ref().map(|(asked, _)| asked.clone());
            if asked.as_ref() == Some(&question) {
                self.forget_question();
            }
        }
        self.queue.push_back(Event::PermissionClosed { asker });
    }

    fn forget_question(&mut self) {
        if self.asking.take().is_some() {
            self.parts.dir.remove_question();
        }
    }

    /// Decides with the policy, as the hook does where the agent is driven by keys.
    pub(super) fn decide_by_policy(&mut self, event: &Event) {
        let Event::PermissionAsked {
            asker: asker @ Asker::Request(_),
            ..
        } = event
        else {
            return;
        };
        let answer = match self.parts.permissions {
            Permissions::Allow => Answer::Allow,
            Permissions::Deny => Answer::Deny(denial("")),
            Permissions::Ask => return,
        };
        self.decide(asker, &answer);
    }

    pub(super) fn submit(&mut self, turn: u32, text: &str) {
        let name = self.prompt_name(turn);
        if let Some(conversation) = &mut self.parts.conversation {
            conversation.submit(&name, text);
        }
    }

    /// The hook's word for a prompt that the server has: a second witness. Other events of hooks say nothing new.
    pub(super) fn witness(&mut self) {
        for event in self.signals.read() {
            self.take_witness(event);
        }
    }

    fn take_witness(&mut self, event: Event) {
        if let Event::PromptSubmitted {
            turn_id, prompt, ..
        } = event
            && prompt == self.parts.machine.prompt()
        {
            let turn = self.parts.machine.turns();
            self.parts
                .journal
                .write(Progress::Witnessed { turn, turn_id });
        }
    }

    /// What the hooks of a headless program say that its stream does not: a permission waits for its hook's word.
    pub(super) fn read_permissions(&mut self) -> Vec<Event> {
        let mut asked = Vec::new();
        for event in self.signals.read() {
            match event {
                Event::PermissionAsked { .. } | Event::Malformed { .. } => asked.push(event),
                other => self.take_witness(other),
            }
        }
        asked
    }

    /// The end of a run whose prompt the program refused.
    pub(super) fn refusal(&mut self) -> Option<End> {
        let message = self.refused.take()?;
        Some(ending::refused(&message, self.parts.executor))
    }

    /// Takes note of what the server said before it ended: it may explain the end.
    pub(super) async fn hear_out(&mut self) {
        while let Ok(told) =
            tokio::time::timeout(LAST_WORDS, told(&mut self.parts.conversation)).await
        {
            if told == Told::Closed {
                break;
            }
            self.take_told(told);
        }
        self.parts.conversation = None;
    }

    /// Makes a lost connection again. A server that has ended is told of by its exit.
    pub(super) async fn reconnect(&mut self, exited: bool) -> Option<End> {
        if !std::mem::take(&mut self.is_cut_off) || exited {
            return None;
        }
        let session = self.session_id()?;
        self.parts.conversation = None;
        let mut why = "it was lost too often".to_owned();
        let exit = self.parts.exit;
        while self.reconnections < RECONNECTIONS {
            if tokio::time::timeout(PACE, exit.wait()).await.is_ok() {
                return None;
            }
            self.reconnections += 1;
            // A server that is killed takes its time to write a core, and listens no more.
            let rejoined = tokio::select! {
                () = exit.wait() => return None,
                rejoined = self.rejoin(&session) => rejoined,
            };
            match rejoined {
                Ok((conversation, has_prompt)) => {
                    let text = "the connection to the agent's server was lost and made again";
                    self.note(text.to_owned());
                    self.go_on(conversation, has_prompt);
                    return None;
                }
                Err(error) => why = error.to_string(),
            }
        }
        (!self.parts.exit.has_ended()).then(|| ending::connection_lost(&why))
    }

    /// Continues the session. Tells too whether the agent has the prompt that was sent last.
    async fn rejoin(
        &mut self,
        session: &str,
    ) -> Result<(Box<dyn Conversation>, bool), NoConversation> {
        let Some(continuation) = self.parts.continuation.clone() else {
            let why = "its terms are not known".to_owned();
            return Err(NoConversation::Unusable(why));
        };
        let machine = &self.parts.machine;
        let ((turn_id, is_sent), turns) = (machine.under_way(), machine.turns());
        let turn_id = turn_id.or(self.turn_before.clone());
        let (name, prompt) = (self.prompt_name(turns + 1), machine.prompt().to_owned());
        let has_it = |conversation: &dyn Conversation| {
            has_turn(conversation, turn_id.as_deref(), (&name, &prompt))
        };
        let joined = match continuation.rejoin(session, is_sent, has_it).await {
            // A session without a turn is in no file, and can't be continued.
            Err(NoConversation::Unusable(_)) if turns == 0 && self.parts.resumed.is_none() => {
                let task = &self.parts.context.task;
                continuation.begin(task, self.parts.journal).await?
            }
            joined => joined?,
        };
        let has_prompt = has_it(&*joined);
        Ok((joined, has_prompt))
    }

    /// Goes on with a conversation, and learns what happened while there was none.
    fn go_on(&mut self, conversation: Box<dyn Conversation>, has_prompt: bool) {
        if self.parts.machine.turns() == 0 {
            // It may be another session.
            let session = conversation.session().clone();
            self.transcript = Some(self.transcript_of(&session));
        }
        self.parts.conversation = Some(conversation);
        let (turn_id, is_sent) = self.parts.machine.under_way();
        if is_sent && !has_prompt {
            let prompt = self.parts.machine.prompt().to_owned();
            self.submit(self.parts.machine.turns() + 1, &prompt);
        }
        let turn_id = turn_id.or(self.turn_before.clone());
        self.recount(turn_id.as_deref(), is_sent);
    }

    fn transcript_of(&self, session: &Session) -> Transcript {
        let path = session.transcript.clone().unwrap_or_default();
        let mut transcript = Transcript::of_run(path, self.parts.executor, self.parts.resumed);
        let line = Line::Session {
            id: session.id.clone(),
            parent: None,
            name: None,
            version: session.version.clone(),
        };
        transcript.take(line, &mut Vec::new());
        // The server tells of the end of each command, so that one of whose end it has not told still runs.
        transcript.take(Line::Ended { process: None }, &mut Vec::new());
        transcript
    }
}

/// A step without the keys that its texts show.
fn redacted(item: Item) -> Item {
    let Ok(mut value) = serde_json::to_value(&item) else {
        return item;
    };
    match redact_json(&mut value) {
        0 => item,
        _ => serde_json::from_value(value).unwrap_or(item),
    }
}
