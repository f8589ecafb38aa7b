//! Messages of other processes to a run, see [`crate::record::inbox`].

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::task::JoinHandle;

use crate::os::watch::{FileWatcher, Source, Wakeup};
use crate::record::RunDir;
use crate::run::cancel::Cancel;
use crate::task::question::{Answer, Question};
use crate::task::respond::{Chain, Context, Recipe, RespondError, Responder};

/// How a run is said to be ended by a message.
const BY: &str = "a message";
/// Between two looks where nothing is notified.
const RESCAN: Duration = Duration::from_secs(10);

/// Waits until `look` finds something in the run's inbox.
async fn wait_for<T>(
    dir: &RunDir,
    watch: &Arc<FileWatcher>,
    look: impl Fn() -> Option<T>,
) -> notify::Result<T> {
    let wakeup = Arc::new(Wakeup::default());
    let _watched = watch.watch(&dir.inbox(), None, (Source::Inbox, &wakeup))?;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        let _at_intervals = tokio::time::timeout(RESCAN, wakeup.notified()).await;
    }
}

/// By what a run is said to be ended, for that reason.
pub(crate) fn by_message(reason: &str) -> String {
    match reason.trim() {
        "" => BY.to_owned(),
        _ => format!("{BY}: {reason}"),
    }
}

/// Cancels a run when a message asks for it, until dropped.
pub(crate) struct CancelByMessage(JoinHandle<()>);

impl CancelByMessage {
    pub(crate) fn listen(dir: &RunDir, watch: &Arc<FileWatcher>, cancel: &Cancel) -> Self {
        let (dir, watch, cancel) = (dir.clone(), Arc::clone(watch), cancel.clone());
        Self(tokio::spawn(async move {
            match wait_for(&dir, &watch, || dir.load_abort()).await {
                Ok(abort) => cancel.cancel(by_message(&abort.reason)),
                Err(error) => tracing::warn!(%error, "the run's inbox can't be watched"),
            }
        }))
    }
}

impl Drop for CancelByMessage {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The responders of a run; those that wait for a message read the run's inbox.
pub(crate) fn responders(
    dir: &RunDir,
    watch: &Arc<FileWatcher>,
    given: &[Arc<dyn Responder>],
) -> Chain {
    let reading = |responder: &Arc<dyn Responder>| match responder.recipe() {
        Some(Recipe::Message { limit }) => Arc::new(ByMessage {
            dir: dir.clone(),
            watch: Arc::clone(watch),
            limit,
        }),
        _ => Arc::clone(responder),
    };
    Chain(given.iter().map(reading).collect())
}

/// Waits for an answer from another process.
struct ByMessage {
    dir: RunDir,
    watch: Arc<FileWatcher>,
    limit: Duration,
}

impl ByMessage {
    /// How long the answer to a question may still take: an operator before may have waited for it.
    fn left(&self, question: &str) -> Duration {
        let open = self.dir.load_question().ok().flatten();
        let until = open
            .filter(|open| open.id == question)
            .and_then(|open| open.until);
        let until = until.and_then(|until| humantime::parse_rfc3339(&until).ok());
        until.map_or(self.limit, |until| {
            let left = until.duration_since(SystemTime::now());
            left.unwrap_or_default().min(self.limit)
        })
    }
}

#[async_trait]
impl Responder for ByMessage {
    fn name(&self) -> &'static str {
        "message"
    }

    fn recipe(&self) -> Option<Recipe> {
        Some(Recipe::Message { limit: self.limit })
    }

    async fn respond(
        &self,
        _question: &Question,
        context: &Context,
    ) -> Result<Option<Answer>, RespondError> {
        let answer = wait_for(&self.dir, &self.watch, || {
            self.dir.load_answer(&context.question)
        });
        match tokio::time::timeout(self.left(&context.question), answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(RespondError::Failed(error.to_string())),
            Err(_elapsed) => Err(RespondError::TimedOut(self.limit)),
        }
    }
}
