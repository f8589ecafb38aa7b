//! A policy of the caller's own code: the hooks of a run wait for its word, whichever way the agent is driven.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::{JoinHandle, JoinSet};

use crate::agent::report::Call;
use crate::agent::signals::{self, MAX_WAIT};
use crate::os::watch::{FileWatcher, Source, Wakeup};
use crate::policy::Ruling;
use crate::record::RunDir;
use crate::task::judge::Policy;
use crate::task::respond::Context;

/// Between two looks where nothing is notified.
const RESCAN: Duration = Duration::from_secs(10);

/// How long a decision of that policy may take.
pub(crate) fn limit_of(policy: &dyn Policy) -> Duration {
    policy.limit().min(MAX_WAIT)
}

/// Asks a policy of the caller's own for each call that waits, until dropped.
pub(crate) struct Judging(Option<JoinHandle<()>>);

impl Judging {
    /// Begins. Where the hooks judge by rules themselves, no call waits.
    pub(crate) fn begin(
        policy: Option<&Arc<dyn Policy>>,
        dir: &RunDir,
        watch: &Arc<FileWatcher>,
        context: &Context,
    ) -> notify::Result<Self> {
        let Some(policy) = policy else {
            return Ok(Self(None));
        };
        let wakeup = Arc::new(Wakeup::default());
        let watched = watch.watch(&dir.signals(), None, (Source::Signals, &wakeup))?;
        let (policy, context) = (Arc::clone(policy), context.clone());
        let signals = dir.signals();
        Ok(Self(Some(tokio::spawn(async move {
            let _watched = watched;
            let mut asked = HashSet::new();
            let mut judged = JoinSet::new();
            loop {
                for (name, call) in signals::open_calls(&signals) {
                    if asked.insert(name.clone()) {
                        let (policy, context) = (Arc::clone(&policy), context.clone());
                        let signals = signals.clone();
                        judged.spawn(async move {
                            let ruling = judge(&*policy, &call, &context).await;
                            let written = signals::write_ruling(&signals, &name, &ruling);
                            if let Err(error) = written {
                                tracing::warn!(%error, "a decision can't be written: it will be a denial");
                            }
                        });
                    }
                }
                while judged.try_join_next().is_some() {}
                let _at_intervals = tokio::time::timeout(RESCAN, wakeup.notified()).await;
            }
        }))))
    }
}

/// The policy's word, within its time and whatever it does.
async fn judge(policy: &dyn Policy, call: &Call, context: &Context) -> Ruling {
    let word = AssertUnwindSafe(policy.judge(call, context)).catch_unwind();
    let how = match tokio::time::timeout(limit_of(policy), word).await {
        Ok(Ok(ruling)) => return ruling,
        Ok(Err(_panic)) => "failed",
        Err(_elapsed) => "gave no word in time",
    };
    let name = policy.name();
    let why = format!("The policy \"{name}\" {how}, so that may not be done. Go on without it.");
    Ruling::deny("default", why)
}

impl Drop for Judging {
    fn drop(&mut self) {
        if let Some(judging) = &self.0 {
            judging.abort();
        }
    }
}
