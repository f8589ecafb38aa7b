//! Ending a run early: the first word ends it in good order, the second one faster.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// A handle that ends one run. Clones end the same run.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    by: Arc<OnceLock<String>>,
    ended: CancellationToken,
    hurried: CancellationToken,
}

impl Cancel {
    /// A handle that has not been used.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Ends the run: its work is snapshotted, its record written and all of it torn down. Said again, the
    /// agent's processes get no time to end by themselves.
    ///
    /// `by` is in the record: the name of a signal, such as `SIGINT`, or a word of the caller's.
    pub fn cancel(&self, by: impl Into<String>) {
        if self.by.set(by.into()).is_err() {
            self.hurried.cancel();
        }
        self.ended.cancel();
    }

    /// Returns when the run is to be ended, and by what.
    pub(crate) async fn cancelled(&self) -> String {
        self.ended.cancelled().await;
        self.by.get().map_or("cancelled", String::as_str).to_owned()
    }

    /// By what the run is to be ended, if it is.
    pub(crate) fn asked(&self) -> Option<&str> {
        let by = || self.by.get().map_or("cancelled", String::as_str);
        self.ended.is_cancelled().then(by)
    }

    pub(crate) fn is_hurried(&self) -> bool {
        self.hurried.is_cancelled()
    }

    pub(crate) async fn hurried(&self) {
        self.hurried.cancelled().await;
    }
}

/// Cancels a run when it is dropped: its caller is gone.
pub(crate) struct CancelOnDrop(pub(crate) Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel("its caller, who stopped waiting");
    }
}
