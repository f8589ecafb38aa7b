//! Following a headless program: its stream of events is read from its file as it grows, and is all that is known of it.
//!
//! The program has its prompt from its start, so that a turn which the stream tells of has it. A turn's end is the end of the
//! run when the program has ended: until then it may go on by itself, with what it left at work.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::Driver;
use super::sources::{
    StreamState, Transcript, command_of, denied_by_policy, forget_refused, stream_events,
};
use crate::agent::conversation::Drive;
use crate::os::watch::Source;
use crate::record::TRANSCRIPT;
use crate::turn::Event;

/// So much of what a program said is shown, in bytes.
const LAST_WORDS: u64 = 8 << 10;

impl Driver<'_> {
    /// Reads the stream of a headless program from its beginning.
    pub(super) fn open_stream(&mut self) {
        if self.parts.machine.drive() != Drive::Headless {
            return;
        }
        self.transcript = Some(Transcript::new(
            self.parts.dir.stream(),
            self.parts.executor,
        ));
        let stream = (Source::Transcript, &self.wake);
        match self
            .parts
            .watch
            .watch(self.parts.dir.path(), Some(TRANSCRIPT), stream)
        {
            Ok(watched) => self.transcript_watched = Some(watched),
            // It is read at every rescan all the same.
            Err(error) => tracing::warn!(%error, "the stream can't be watched"),
        }
        // Whatever is there by now.
        self.wake.mark(Source::Transcript);
    }

    /// Reads on in the stream, and what hooks ask, which the program printed before it asked.
    pub(super) fn read_stream(&mut self, has_ended: bool) {
        let asked = self.read_permissions();
        self.by_hooks.extend(asked.iter().filter_map(command_of));
        if self.parts.judges {
            self.by_hooks
                .extend(denied_by_policy(&self.parts.dir.signals()));
        }
        let Some(stream) = &mut self.transcript else {
            return;
        };
        let state = StreamState {
            has_ended,
            is_proven: self.is_proven || self.parts.machine.turns() > 0,
        };
        let mut events = stream_events(stream, &self.parts.machine, state);
        forget_refused(&mut events, &self.by_hooks);
        let proves = |event: &Event| matches!(event, Event::PromptSubmitted { .. });
        self.is_proven |= events.iter().any(proves);
        let (done, trouble) = (stream.take_items(), stream.take_trouble());
        self.trouble = trouble.or(self.trouble.take());
        self.queue.extend(events);
        for (id, item) in done {
            self.take_item(id, item);
        }
        self.queue.extend(asked);
    }

    /// What the program said last: the end of what its pane shows, or of what it printed beside its events.
    pub(super) async fn last_words(&mut self) -> String {
        if let Some(pane) = self.parts.pane {
            return pane.query_last_words().await.unwrap_or_default();
        }
        // Some trouble with its arguments is told on stdout, and is no event.
        let printed = end_of(&self.parts.dir.stream());
        let plain = printed.lines().filter(|line| !line.starts_with('{'));
        let mut words: Vec<&str> = plain.collect();
        let said = end_of(&self.parts.dir.stderr_log());
        words.extend(said.lines());
        words.join("\n")
    }
}

/// The end of a file, without the line that it begins within.
fn end_of(path: &Path) -> String {
    let read = || {
        let mut file = File::open(path)?;
        let from = file.metadata()?.len().saturating_sub(LAST_WORDS);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(LAST_WORDS).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let text = match text.split_once('\n') {
            Some((_, rest)) if from > 0 => rest.to_owned(),
            None if from > 0 => String::new(),
            _ => text,
        };
        Ok::<_, std::io::Error>(text)
    };
    read().unwrap_or_default()
}
