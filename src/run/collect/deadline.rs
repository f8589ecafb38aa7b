//! How long collecting the work may last: until its limit, and hardly longer once a second signal hurries.
//!
//! The work runs on a thread of its own, which can't be ended: it is told to stop, and left behind if it
//! hangs in the system, on a dead network disk say. Nothing is removed then.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::os::chain::chain;
use crate::record::{Failure, Outcome, Status};
use crate::run::cancel::Cancel;
use crate::turn::End;

/// As long as git itself has for one call.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// The rest of it once a second signal hurries.
const HURRIED: Duration = Duration::from_secs(5);
/// How long what was told to stop may take to do so.
const STOPPING: Duration = Duration::from_secs(1);

/// How long the end of a run waits until its work is collected.
#[derive(Clone, Debug)]
pub(super) struct CollectDeadline {
    limit: Duration,
    hurried: Duration,
    cancel: Cancel,
}

/// Why the work was not collected.
#[derive(Debug)]
pub(in crate::run) enum Refusal {
    /// It can't be.
    Failed(Error),
    /// It took longer than the limit.
    Late(Duration),
    /// It took longer than a hurried end waits; the name of what ended the run.
    Hurried(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => f.write_str(&chain(error)),
            Self::Late(limit) => write!(
                f,
                "the work could not be collected within {} s",
                limit.as_secs()
            ),
            Self::Hurried(_) => {
                f.write_str("the work could not be collected before the hurried end")
            }
        }
    }
}

impl Refusal {
    /// Puts it into the record. Whatever the result of the turns, a hurried end was requested.
    pub(in crate::run) fn tell(&self, outcome: &mut Outcome) {
        match self {
            Self::Failed(error) => outcome.fail(error.to_failure()),
            Self::Hurried(by) => {
                let end = End::cancelled(by);
                (outcome.status, outcome.error) = (end.status, end.error);
                outcome.notices.push(self.to_string());
            }
            Self::Late(_) => {
                outcome.status = Status::TimedOut;
                outcome.error = Some(Failure {
                    code: "snapshot_timeout".to_owned(),
                    message: self.to_string(),
                    hint: Some("`cx-operator cleanup` tries again".to_owned()),
                    signal: None,
                });
            }
        }
    }
}

impl CollectDeadline {
    /// CollectDeadline that ends soon after `cancel` was used a second time.
    pub(super) fn with(cancel: &Cancel) -> Self {
        Self {
            limit: LIMIT,
            hurried: HURRIED,
            cancel: cancel.clone(),
        }
    }

    /// Waits for what `stop` stops.
    pub(super) async fn wait<T>(
        &self,
        stop: &CancellationToken,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Refusal> {
        tokio::pin!(work);
        let hurried = async {
            self.cancel.hurried().await;
            tokio::time::sleep(self.hurried).await;
            self.cancel.asked().unwrap_or("cancelled").to_owned()
        };
        let refusal = tokio::select! {
            done = &mut work => return done.map_err(Refusal::Failed),
            () = tokio::time::sleep(self.limit) => Refusal::Late(self.limit),
            by = hurried => Refusal::Hurried(by),
        };
        stop.cancel();
        match tokio::time::timeout(STOPPING, work).await {
            Ok(Ok(done)) => Ok(done),
            _ => Err(refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::os::blocking::blocking;

    fn deadline(limit: u64) -> CollectDeadline {
        CollectDeadline {
            limit: Duration::from_millis(limit),
            hurried: Duration::from_millis(50),
            cancel: Cancel::new(),
        }
    }

    #[tokio::test]
    async fn what_heeds_the_stop_is_waited_for_and_its_end_is_the_deadlines() {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let work = async {
            stopped.cancelled().await;
            Err::<(), _>(Error::GitMissing)
        };
        let refusal = deadline(20).wait(&stop, work).await.expect_err("too late");
        assert!(matches!(refusal, Refusal::Late(_)), "{refusal}");
    }

    #[tokio::test]
    async fn what_is_done_at_the_last_moment_is_taken() {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let work = async {
            stopped.cancelled().await;
            Ok(7)
        };
        let done = deadline(20).wait(&stop, work).await;
        assert_eq!(done.expect("done"), 7);
    }

    #[tokio::test]
    async fn what_hangs_is_left_behind_and_a_hurry_shortens_the_wait() {
        let (release, hang) = std::sync::mpsc::channel::<()>();
        let work = blocking(move || {
            let _released = hang.recv();
            Ok(())
        });
        let deadline = deadline(60_000);
        deadline.cancel.cancel("one");
        deadline.cancel.cancel("two");
        let began = Instant::now();
        let stop = CancellationToken::new();
        let refusal = deadline.wait(&stop, work).await.expect_err("it hangs");
        assert!(
            matches!(&refusal, Refusal::Hurried(by) if by == "one"),
            "{refusal}"
        );
        assert!(stop.is_cancelled() && began.elapsed() < Duration::from_secs(30));
        drop(release);
    }

    #[tokio::test]
    async fn one_cancel_shortens_nothing() {
        let deadline = deadline(60_000);
        deadline.cancel.cancel("one");
        let work = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok(())
        };
        let done = deadline.wait(&CancellationToken::new(), work).await;
        assert!(done.is_ok());
    }
}
