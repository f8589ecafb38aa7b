//! Following a run by its journal, whichever process drives it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::unbounded_channel;

use super::events::{RunEvent, Teller};
use super::status::find_queued;
use super::{Events, Operator};
use crate::error::Error;
use crate::os::watch::{FileWatcher, Source, Wakeup};
use crate::record::RunDir;
use crate::record::journal::{Follower, Numbered, Progress};
use crate::task::name::RunId;
use tokio::sync::mpsc::UnboundedReceiver;

/// Between two looks whether the run's operator still lives, and at a journal, where nothing is notified.
const RESCAN: Duration = Duration::from_secs(10);
/// Between two looks at the queue.
const QUEUE_PACE: Duration = Duration::from_secs(1);

/// So many looks later a run whose turn has come has a directory.
const BEGINNING: u32 = 30;

/// The events of a run, numbered.
#[derive(Debug)]
pub struct RunEvents {
    receiver: UnboundedReceiver<RunEvent>,
}

impl RunEvents {
    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<RunEvent> {
        self.receiver.recv().await
    }
}

/// Waits until the journal of a run has what is looked for; `false` where nobody drives the run, or the limit is over.
pub(super) async fn wait_until(
    run: &RunDir,
    limit: Duration,
    mut has_come: impl FnMut() -> bool,
) -> Result<bool, Error> {
    let wakeup = Arc::new(Wakeup::default());
    let source = (Source::Signals, &wakeup);
    let watch = FileWatcher::new()?;
    let _watched = watch.watch(run.path(), None, source)?;
    let _lock = watch.watch(run.path(), Some("lock"), source)?;
    let until = Instant::now() + limit;
    loop {
        // Looked at before: a living operator may write more.
        let alive = run.is_alive();
        if has_come() {
            return Ok(true);
        }
        let left = until.saturating_duration_since(Instant::now());
        if !alive || left.is_zero() {
            return Ok(false);
        }
        let _at_intervals = tokio::time::timeout(left.min(RESCAN), wakeup.notified()).await;
    }
}

impl Operator {
    /// Waits until a run has its place and a directory.
    ///
    /// # Errors
    /// [`Error::Run`] where there is no such run.
    pub(crate) async fn wait_for_begin(&self, run: &RunId) -> Result<(), Error> {
        let mut patience = 0;
        loop {
            if find_queued(self.store(), run.as_str())?.is_some() {
                patience = BEGINNING;
            } else {
                match self.store().load(run) {
                    Err(_) if patience > 0 => patience -= 1,
                    loaded => return Ok(loaded.map(drop)?),
                }
            }
            tokio::time::sleep(QUEUE_PACE).await;
        }
    }

    /// Follows a run from its first event to its last, whichever process drives it. Ends also where its operator died.
    ///
    /// # Errors
    /// [`Error::Run`] where there is no such run, [`Error::Watch`] where its journal can't be watched.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn follow(&self, run: &RunId) -> Result<Events, Error> {
        let run = self.store().load(run)?;
        let receiver = self.tail(&run, |numbered| Some(numbered.entry))?;
        Ok(Events { receiver })
    }

    /// Follows a run as [`Operator::follow`] does, by the events that other programs are told: from the one after `since` on,
    /// where that is not 0.
    ///
    /// # Errors
    /// [`Error::Run`] where there is no such run, [`Error::Watch`] where its journal can't be watched.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn watch(&self, run: &RunId, since: u64) -> Result<RunEvents, Error> {
        let run = self.store().load(run)?;
        let mut teller = Teller::new(run.clone());
        let receiver = self.tail(&run, move |numbered| {
            teller.tell(numbered).filter(|event| event.seq > since)
        })?;
        Ok(RunEvents { receiver })
    }

    /// Tells what `tell` makes of each entry until nobody listens, the run has ended, or its operator is dead.
    fn tail<T: Send + 'static>(
        &self,
        run: &RunDir,
        mut tell: impl FnMut(Numbered) -> Option<T> + Send + 'static,
    ) -> Result<UnboundedReceiver<T>, Error> {
        let (sender, receiver) = unbounded_channel();
        let wakeup = Arc::new(Wakeup::default());
        let source = (Source::Signals, &wakeup);
        let watched = self
            .shared
            .watch
            .watch(run.path(), Some("events.jsonl"), source)?;
        // Its operator lets go of it when it dies.
        let lock = self.shared.watch.watch(run.path(), Some("lock"), source)?;
        let (run, mut journal) = (run.clone(), Follower::new(run.events()));
        tokio::spawn(async move {
            let _watched = (watched, lock);
            loop {
                // Looked at before the lines are read: a living operator may write more.
                let alive = run.is_alive();
                let mut is_over = false;
                for numbered in journal.read().unwrap_or_default() {
                    // One that was taken over after its end may have more.
                    is_over = matches!(numbered.entry.progress, Progress::Recorded { .. });
                    let told = tell(numbered);
                    if told.is_some_and(|told| sender.send(told).is_err()) {
                        return;
                    }
                }
                if is_over || !alive {
                    return;
                }
                tokio::select! {
                    () = wakeup.notified() => {}
                    () = tokio::time::sleep(RESCAN) => {}
                    () = sender.closed() => return,
                }
            }
        });
        Ok(receiver)
    }
}
