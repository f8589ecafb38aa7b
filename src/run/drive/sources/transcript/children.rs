//! The sub-agents of a session: each has a transcript of its own.
//!
//! The session's transcript tells of their ends in words that changed from version to version, and of a failure not at all.
//! Source: codex 0.130.0, 0.150.0 and 0.169.0, whose tools for sub-agents have two forms (`tests/scenarios/left_at_work.rs`).

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::{LINE_LIMIT, Transcript};
use crate::agent::ExecutorId;
use crate::agent::report::Line;

/// The transcripts that are younger than the session's own.
#[derive(Debug, Default)]
pub(super) struct Children {
    /// By path, in the order of their beginning; `None` for those that are not ours.
    seen: BTreeMap<PathBuf, Option<Child>>,
    /// The names of those that were made, by session, whose transcripts were not there yet.
    ///
    /// Source: codex 0.130.0 writes it some milliseconds after its maker's turn has ended.
    expected: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Child {
    session: String,
    name: String,
    transcript: Transcript,
}

impl Children {
    /// Takes note of one that was made.
    pub(super) fn expect(&mut self, made: Option<(String, String)>) {
        self.expected.extend(made);
    }

    /// Finds new ones, and reads on in those that are known.
    pub(super) fn look(&mut self, executor: ExecutorId, own: &Path, session: &str) {
        let known = self.seen.values().flatten();
        let mut family: HashSet<String> = known.map(|child| child.session.clone()).collect();
        family.insert(session.to_owned());
        for path in executor.sub_agent_transcripts(own) {
            if self.seen.contains_key(&path) {
                continue;
            }
            // Its first line may not be there yet.
            let Some((session, parent, name)) = introduction(executor, &path) else {
                continue;
            };
            let child = parent.is_some_and(|parent| family.contains(&parent));
            let child = child.then(|| Child {
                name: name.unwrap_or_else(|| session.clone()),
                session: session.clone(),
                transcript: Transcript::new(path.clone(), executor),
            });
            if child.is_some() {
                family.insert(session);
            } else {
                self.expected.remove(&session);
            }
            self.seen.insert(path, child);
        }
        for child in self.seen.values_mut().flatten() {
            // The agent that made it reads how its turns end.
            drop(child.transcript.read());
            // Its first turn may begin a moment after its transcript.
            if child.transcript.has_begun() {
                self.expected.remove(&child.session);
            }
        }
    }

    /// Whether that is the session of one of them.
    pub(super) fn has(&self, session: &str) -> bool {
        let mut known = self.seen.values().flatten();
        known.any(|child| child.session == session) || self.expected.contains_key(session)
    }

    /// The commands that those left running whose turn has ended.
    pub(super) fn running(&self) -> impl Iterator<Item = &str> {
        let all = self.seen.values().flatten();
        all.filter(|child| !child.transcript.in_turn())
            .flat_map(|child| child.transcript.left())
    }

    /// Those whose turn had not ended when they were looked at.
    pub(super) fn at_work(&self) -> impl Iterator<Item = &str> {
        let all = self.seen.values().flatten();
        all.filter(|child| child.transcript.in_turn())
            .map(|child| &child.name)
            .chain(self.expected.values())
            .map(String::as_str)
    }
}

/// Whose transcript it is, who made that agent and how it is called.
fn introduction(
    executor: ExecutorId,
    path: &Path,
) -> Option<(String, Option<String>, Option<String>)> {
    let mut line = String::new();
    let file = File::open(path).ok()?;
    BufReader::new(file.take(LINE_LIMIT as u64))
        .read_line(&mut line)
        .ok()?;
    let mut lines = executor.reader().read(&line).into_iter();
    lines.find_map(|line| match line {
        Line::Session {
            id, parent, name, ..
        } => Some((id, parent, name)),
        _ => None,
    })
}
