//! The transcript of an agent that is driven by keys.

use super::Driver;
use super::sources::Transcript;
use crate::os::watch::Source;

impl Driver<'_> {
    /// Follows the transcript of the session that the machine takes for the agent's.
    pub(super) async fn follow_transcript(&mut self) {
        if !self.is_by_keys() {
            return;
        }
        let Some(session) = self.parts.machine.session() else {
            return;
        };
        let Some(path) = self
            .signals
            .transcript_of(session)
            .map(std::path::Path::to_owned)
        else {
            return;
        };
        let current = self
            .transcript
            .as_ref()
            .is_some_and(|transcript| transcript.path() == path);
        if current && self.transcript_watched.is_some() {
            return;
        }
        if !current {
            self.transcript = Some(Transcript::new(path.clone(), self.parts.executor));
        }
        if let (Some(dir), Some(name)) = (
            path.parent(),
            path.file_name().and_then(|name| name.to_str()),
        ) {
            match self
                .parts
                .watch
                .watch(dir, Some(name), (Source::Transcript, &self.wake))
            {
                Ok(watched) => self.transcript_watched = Some(watched),
                // It is read at every rescan all the same.
                Err(error) => tracing::debug!(%error, "the transcript can't be watched yet"),
            }
        }
        self.read_transcript().await;
    }
}
