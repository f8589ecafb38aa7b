//! The agent's transcript, read as it grows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::agent::ExecutorId;
use crate::agent::executor::Resumed;
use crate::agent::report::{Item, Line, TranscriptReader, TurnError, Usage};
use crate::os::process::Exit;
use crate::tmux::Pane;
use crate::turn::classify::Evidence;
use crate::turn::{Asker, Event};
use children::Children;

mod children;

#[cfg(test)]
mod tests;

/// The longest line of a transcript that is read, in bytes; what tells of a turn's course takes some hundred, and with
/// the agent's last message some thousand.
const LINE_LIMIT: usize = 4 << 20;
/// So much of a transcript is read at once, in bytes.
const BUFFER: usize = 128 << 10;

/// A transcript, read as it grows.
#[derive(Debug)]
pub(crate) struct Transcript {
    executor: ExecutorId,
    reader: Box<dyn TranscriptReader>,
    path: PathBuf,
    offset: u64,
    /// The beginning of a line whose end was not there yet.
    partial: Vec<u8>,
    /// Whether the line is too long, and the rest of it is passed over.
    skipping: bool,
    session: Option<String>,
    /// The version of the program that writes it.
    version: Option<String>,
    /// The sub-agents, whose transcripts are beside this one.
    children: Children,
    usage: Option<Usage>,
    /// Those of the session before the run.
    before: Usage,
    /// The steps that nobody has taken note of yet.
    items: Vec<(String, Item)>,
    in_turn: bool,
    /// Whether a turn has begun at all.
    has_begun: bool,
    evidence: Evidence,
    /// The call of the form that is open.
    inquired: Option<String>,
    /// The commands whose calls have returned, by their hashes.
    returned: HashSet<u64>,
    /// The commands that were called, by the call's id.
    called: HashMap<String, String>,
    /// The commands that still run though their calls have returned, by the process.
    running: BTreeMap<String, String>,
    /// Whether it tells of a command's end. Source: codex 0.150.0 and 0.169.0, not 0.130.0.
    tells_ends: bool,
    /// The commands that were refused, and why.
    refused: Vec<(String, String)>,
    /// Why a hook of the user's refused the last prompt.
    blocked: Option<String>,
    /// The last trouble that was told.
    trouble: Option<String>,
}

impl Transcript {
    pub(crate) fn new(path: PathBuf, executor: ExecutorId) -> Self {
        Self {
            reader: executor.reader(),
            executor,
            path,
            offset: 0,
            partial: Vec::new(),
            skipping: false,
            session: None,
            version: None,
            children: Children::default(),
            usage: None,
            before: Usage::default(),
            items: Vec::new(),
            in_turn: false,
            has_begun: false,
            evidence: Evidence::default(),
            inquired: None,
            returned: HashSet::new(),
            called: HashMap::new(),
            running: BTreeMap::new(),
            tells_ends: false,
            refused: Vec::new(),
            blocked: None,
            trouble: None,
        }
    }

    /// The transcript of a run's session. Of one that the agent goes on with, what an earlier run left in it is passed over.
    pub(crate) fn of_run(path: PathBuf, executor: ExecutorId, resumed: Option<&Resumed>) -> Self {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let resumed = resumed.filter(|resumed| name.ends_with(&resumed.session_id));
        let length = resumed.map(|resumed| resumed.length);
        let mut transcript = Self::new(path, executor);
        if let Some(length) = length {
            let read = transcript.read_lines(length, &mut Vec::new());
            if let Err(error) = read {
                tracing::warn!(%error, "the transcript of the earlier run can't be read");
            }
            transcript = Self {
                before: transcript.usage.unwrap_or_default(),
                reader: transcript.reader,
                offset: transcript.offset,
                partial: transcript.partial,
                skipping: transcript.skipping,
                session: transcript.session,
                version: transcript.version,
                ..Self::new(transcript.path, executor)
            };
        }
        transcript
    }

    /// The session, as the first line names it.
    pub(crate) fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// The last trouble that was told since the last call.
    pub(crate) fn take_trouble(&mut self) -> Option<String> {
        self.trouble.take()
    }

    /// Why a hook of the user's refused the last prompt, as far as was read.
    pub(crate) fn blocked(&self) -> Option<&str> {
        self.blocked.as_deref()
    }

    /// The commands that the agent and its sub-agents left running, as far as was read.
    pub(crate) fn running(&self) -> impl Iterator<Item = &str> {
        self.left().chain(self.children.running())
    }

    /// The same without those of its sub-agents.
    fn left(&self) -> impl Iterator<Item = &str> {
        let told = self.running.values().filter(|_| self.tells_ends);
        told.map(String::as_str)
    }

    /// Whether an approval of that command was given or refused, as far as was read: the last call of it has returned.
    pub(crate) fn is_decided(&self, command: &str) -> bool {
        let open = self.called.values().any(|open| open == command);
        !open && self.returned.contains(&hash(command))
    }

    /// Looks again what the agent left at work: sub-agents and commands.
    pub(crate) fn look_for_work(&mut self) -> bool {
        if let Some(session) = &self.session {
            self.children.look(self.executor, &self.path, session);
        }
        self.running().next().is_some() || self.sub_agents().next().is_some()
    }

    /// Whether that is the session of a sub-agent.
    pub(crate) fn has_made(&mut self, session: &str) -> bool {
        self.look_for_work();
        self.children.has(session)
    }

    /// The sub-agents that are at work, as far as was looked.
    pub(crate) fn sub_agents(&self) -> impl Iterator<Item = &str> {
        self.children.at_work()
    }

    /// The version of the program that writes it.
    pub(crate) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The commands that were refused, and why.
    pub(crate) fn refused(&self) -> &[(String, String)] {
        &self.refused
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The tokens of the session so far, with those of the transcripts beside it.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let beside = self.executor.transcripts_that_count(&self.path);
        let beside = beside.into_iter().filter_map(|path| {
            let mut transcript = Self::new(path, self.executor);
            let _turns_are_over = transcript.read();
            transcript.usage
        });
        beside.fold(self.usage, |sum, usage| {
            Some(sum.unwrap_or_default().plus(usage))
        })
    }

    /// The tokens of the session so far, without those of the transcripts beside it.
    pub(crate) fn own_usage(&self) -> Option<Usage> {
        self.usage
    }

    /// The steps that were read since the last call.
    pub(crate) fn take_items(&mut self) -> Vec<(String, Item)> {
        std::mem::take(&mut self.items)
    }

    /// Whether a turn has begun, as far as it was read.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether the last turn that began has not ended, as far as it was read.
    pub(crate) fn in_turn(&self) -> bool {
        self.in_turn
    }

    /// Takes the turn that runs for one whose end will not be told.
    pub(crate) fn lose_turn(&mut self) {
        self.in_turn = false;
    }

    /// What the lines since the last reading say of a turn's end.
    pub(crate) fn read(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        match self.read_lines(u64::MAX, &mut events) {
            Ok(()) => {}
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, "the transcript can't be read");
                }
                if std::mem::take(&mut self.in_turn) {
                    events.push(Event::TranscriptLost);
                }
            }
        }
        events
    }

    /// Reads on, to that place at most.
    fn read_lines(&mut self, end: u64, events: &mut Vec<Event>) -> io::Result<()> {
        let mut file = File::open(&self.path)?;
        if file.metadata()?.len() < self.offset {
            // Truncated or replaced: what is there now is read from its start.
            self.offset = 0;
            self.reader = self.executor.reader();
            self.partial.clear();
            self.skipping = false;
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let rest = file.take(end.saturating_sub(self.offset));
        let mut reader = BufReader::with_capacity(BUFFER, rest);
        loop {
            let room = (LINE_LIMIT - self.partial.len()) as u64;
            let mut within = reader.by_ref().take(room);
            let read = within.read_until(b'\n', &mut self.partial)?;
            self.offset += read as u64;
            if self.partial.last() == Some(&b'\n') {
                let line = std::mem::take(&mut self.partial);
                if !std::mem::take(&mut self.skipping) {
                    self.take_line(&String::from_utf8_lossy(&line), events);
                }
            } else if self.partial.len() == LINE_LIMIT {
                self.partial.clear();
                self.skipping = true;
            } else {
                return Ok(());
            }
        }
    }

    fn take_line(&mut self, line: &str, events: &mut Vec<Event>) {
        for line in self.reader.read(line) {
            self.take(line, events);
        }
    }

    /// Takes note of a line, and of what it means for the turn.
    pub(crate) fn take(&mut self, line: Line, events: &mut Vec<Event>) {
        match line {
            Line::TurnFailed { turn_id, error } => {
                self.in_turn = false;
                events.push(Event::TurnFailed { turn_id, error });
            }
            Line::TurnAborted { turn_id, reason } => {
                self.in_turn = false;
                events.push(Event::TurnAborted { turn_id, reason });
            }
            Line::Steered { text } => events.push(Event::Steered { text }),
            Line::Refused { reason } => self.blocked = Some(reason),
            Line::Trouble(text) => self.trouble = Some(text),
            Line::Denied { command } => {
                events.extend(self.session.clone().map(|session| Event::PermissionAsked {
                    session,
                    asker: Asker::Nobody,
                    command,
                    reason: None,
                }));
            }
            Line::Tokens(usage) => self.usage = Some(usage.minus(self.before)),
            Line::TurnStarted { turn_id } => {
                self.in_turn = true;
                self.has_begun = true;
                self.blocked = None;
                events.push(Event::TurnBegan { turn_id });
                self.evidence = Evidence::default();
            }
            Line::Said { phase } => {
                self.evidence.phase = phase;
                self.evidence.overtaken = false;
            }
            Line::Returned {
                call,
                running,
                refused,
                made,
            } => {
                let inquired = self.inquired.take_if(|open| *open == call);
                events.extend(inquired.map(|call| Event::InquiryClosed { call }));
                self.children.expect(made);
                let command = self.called.remove(&call);
                self.returned.extend(command.as_deref().map(hash));
                let (running, refused) = (running.zip(command.clone()), command.zip(refused));
                self.running.extend(running);
                self.refused.extend(refused);
            }
            Line::Inquired {
                call,
                inquiries,
                is_hooked,
            } => {
                self.evidence.overtaken = true;
                self.inquired = Some(call.clone());
                if !is_hooked {
                    events.push(Event::Inquired {
                        call,
                        inquiries,
                        is_typed: false,
                    });
                }
            }
            Line::Item { id, item } => self.items.push((id, item)),
            Line::Ended { process } => {
                self.tells_ends = true;
                if let Some(process) = process {
                    self.running.remove(&process);
                }
            }
            Line::Called { command } => {
                self.called.extend(command);
                self.evidence.worked = true;
                self.evidence.overtaken = true;
            }
            Line::TurnCompleted { turn_id, message } => {
                self.in_turn = false;
                events.extend(self.session.clone().map(|session| Event::TurnStopped {
                    session,
                    turn_id: Some(turn_id),
                    message: Some(message),
                    evidence: self.evidence,
                }));
            }
            // A session that was forked off another has the other's line next.
            Line::Session { id, version, .. } if self.session.is_none() => {
                self.session = Some(id);
                self.version = version;
            }
            Line::Session { .. } => {}
        }
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// How long the reason of a failed turn may take to appear on the screen.
const ERROR_LINE: Duration = Duration::from_millis(500);
/// Between two looks for it.
const ERROR_LINE_PACE: Duration = Duration::from_millis(20);

/// Reads from the screen why a turn failed, of which a transcript may say nothing.
///
/// Source: codex 0.130.0 draws the line some milliseconds after it wrote the end of the turn
/// (`tests/scenarios/failures.rs`).
pub(crate) async fn wait_for_error(
    executor: ExecutorId,
    pane: &Pane,
    exit: &Exit,
) -> Option<TurnError> {
    let limit = Instant::now() + ERROR_LINE;
    loop {
        let screen = pane.query_screen().await.unwrap_or_default();
        let error = executor.failure(&screen);
        if error.is_some() || Instant::now() >= limit || exit.has_ended() {
            return error;
        }
        tokio::time::sleep(ERROR_LINE_PACE).await;
    }
}
