//! Ending a run early: the first word ends it in good order, the second one faster.

use std::sync::{Arc, OnceLock};

use rustix::process::Signal;
use tokio_util::sync::CancellationToken;

/// The signals that end a run in good order, under the names that its record has for them (`error.signal`): all that would
/// else end this process at once, but for those of a fault in it.
pub const ENDING: [(&str, Signal); 12] = [
    ("SIGINT", Signal::INT),
    ("SIGTERM", Signal::TERM),
    ("SIGHUP", Signal::HUP),
    ("SIGQUIT", Signal::QUIT),
    ("SIGALRM", Signal::ALARM),
    ("SIGUSR1", Signal::USR1),
    ("SIGUSR2", Signal::USR2),
    ("SIGVTALRM", Signal::VTALARM),
    ("SIGPROF", Signal::PROF),
    ("SIGXCPU", Signal::XCPU),
    ("SIGIO", Signal::IO),
    ("SIGPWR", Signal::POWER),
];

/// The exit status of a program that this signal ended, as shells have it.
pub(crate) fn exit_after(signal: &str) -> Option<u8> {
    let (_, number) = ENDING.iter().find(|(name, _)| *name == signal)?;
    u8::try_from(128 + number.as_raw()).ok()
}

/// A handle that ends one run. Clones end the same run.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    by: Arc<OnceLock<&'static str>>,
    ended: CancellationToken,
    hurried: CancellationToken,
}

impl Cancel {
    /// A handle that has not been used.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the run: its work is snapshotted, its record written and all of it torn down. Said again, the
    /// agent's processes get no time to end by themselves.
    ///
    /// `by` stands in the record: one of [`ENDING`], or a word of the caller's.
    pub fn cancel(&self, by: &'static str) {
        if self.by.set(by).is_err() {
            self.hurried.cancel();
        }
        self.ended.cancel();
    }

    /// Returns when the run is to be ended, and by what.
    pub(crate) async fn cancelled(&self) -> &'static str {
        self.ended.cancelled().await;
        self.by.get().copied().unwrap_or("cancelled")
    }

    /// By what the run is to be ended, if it is.
    pub(crate) fn asked(&self) -> Option<&'static str> {
        let by = || self.by.get().copied().unwrap_or("cancelled");
        self.ended.is_cancelled().then(by)
    }

    pub(crate) fn is_hurried(&self) -> bool {
        self.hurried.is_cancelled()
    }

    pub(crate) async fn hurried(&self) {
        self.hurried.cancelled().await;
    }
}

/// Cancels a run when it is dropped: whoever waited for the run is gone.
pub(crate) struct CancelOnDrop(pub(crate) Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel("its caller, who stopped waiting");
    }
}
