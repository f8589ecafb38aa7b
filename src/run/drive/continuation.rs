//! The terms on which a lost conversation is continued.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::agent::conversation::{Conversation, NoConversation, PastTurn, Session, Terms, Told};
use crate::agent::executor::Options;
use crate::record::journal::{Journal, Progress};

/// The longest that an attempt takes.
const LIMIT: Duration = Duration::from_secs(10);
/// How often the agent's server is asked for a prompt that it may be about to take, and the time between.
const SETTLING: u8 = 4;
const SETTLING_PACE: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub(crate) struct Continuation {
    pub(crate) socket: PathBuf,
    pub(crate) options: Options,
    pub(crate) worktree: PathBuf,
    pub(crate) directory: PathBuf,
}

impl Continuation {
    /// Continues the session of that id. Where a prompt was sent last, `has_it` tells whether it is there: the request may still
    /// be on its way.
    pub(crate) async fn rejoin(
        &self,
        session: &str,
        is_sent: bool,
        has_it: impl Fn(&dyn Conversation) -> bool,
    ) -> Result<Box<dyn Conversation>, NoConversation> {
        let began = Instant::now();
        let mut joined = self.converse(Some(session), "").await;
        for _ in 0..if is_sent { SETTLING } else { 0 } {
            if joined.as_deref().is_ok_and(&has_it) || began.elapsed() > LIMIT {
                break;
            }
            tokio::time::sleep(SETTLING_PACE).await;
            joined = self.converse(Some(session), "").await;
        }
        joined
    }

    /// Begins a conversation in which nothing was said yet.
    pub(crate) async fn begin(
        &self,
        task: &str,
        journal: &Journal,
    ) -> Result<Box<dyn Conversation>, NoConversation> {
        let name = format!("cx-operator: {task}");
        let begun = self.converse(None, &name).await?;
        let session = begun.session();
        journal.write(Progress::Connected {
            session_id: session.id.clone(),
            transcript: session.transcript.clone(),
            directory: Some(self.directory.clone()),
            after_turn: None,
        });
        Ok(begun)
    }

    async fn converse(
        &self,
        session: Option<&str>,
        name: &str,
    ) -> Result<Box<dyn Conversation>, NoConversation> {
        let terms = Terms {
            socket: &self.socket,
            options: &self.options,
            worktree: &self.worktree,
            directory: &self.directory,
            environment: &[],
            name,
            session,
        };
        let resumed = self.options.executor.converse(&terms);
        match tokio::time::timeout(LIMIT, resumed).await {
            Ok(resumed) => resumed,
            Err(_elapsed) => Err(NoConversation::Unusable(format!(
                "no answer within {} s",
                LIMIT.as_secs()
            ))),
        }
    }
}

/// The turns of a session from a known one on, or from behind it, where another prompt was sent since.
pub(super) fn since<'a>(session: &'a Session, known: Option<&str>, pasted: bool) -> &'a [PastTurn] {
    let turns = &session.turns;
    let at = known.and_then(|known| turns.iter().position(|turn| turn.id == known));
    let first = match (at, pasted) {
        (Some(at), false) => at,
        (Some(at), true) => at + 1,
        (None, true) => 0,
        (None, false) => turns.len(),
    };
    &turns[first..]
}

/// The name that the prompt of a run's turn is submitted under.
pub(crate) fn prompt_name(run: &str, turn: u32) -> String {
    format!("{run}-{turn}")
}

/// Whether the session has a prompt since that turn, as far as the program tells now: by its name, or where the program keeps none
/// by its text.
pub(crate) fn has_turn(
    conversation: &dyn Conversation,
    since_turn: Option<&str>,
    (name, prompt): (&str, &str),
) -> bool {
    let turns = since(conversation.session(), since_turn, true);
    turns.iter().any(|turn| {
        let by_text =
            |told: &Told| matches!(told, Told::Prompt { name: None, text, .. } if text == prompt);
        turn.names.iter().any(|known| known == name) || turn.told.iter().any(by_text)
    })
}
