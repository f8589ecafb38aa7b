//! Waiting for runs, whichever processes drive them.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::Operator;
use super::events::{Happening, RunEvent};
use super::following::wait_until;
use super::status::RunStatus;
use crate::error::Error;
use crate::record::code::Code;
use crate::task::name::RunId;

/// How long a run may take to be closed once its end is told.
const CLOSING: Duration = Duration::from_secs(5);

/// When a wait is over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    /// When one of the runs has ended; else when all have.
    pub(crate) any: bool,
    /// Also when one of them waits for an answer.
    pub(crate) or_waiting: bool,
    /// In any case after so long.
    pub(crate) timeout: Option<Duration>,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The time is up.
    TimeIsUp,
    /// A run waits for an answer.
    ForAnswer,
    /// The run of that place ended, with [`Patience::any`] the first one, else the last.
    Ended(usize),
}

/// The document of a wait.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WaitReport {
    /// 1.
    pub(crate) schema_version: u32,
    /// Whether the time was up.
    pub(crate) timed_out: bool,
    /// What each run does, in the order in which they were named.
    pub(crate) runs: Vec<RunStatus>,
}

/// What a wait hears of a run.
enum Heard {
    Event(Box<RunEvent>),
    Waits,
    Ended(Result<usize, Error>),
}

impl Operator {
    /// Waits for runs; `hear` is told the events of that time.
    ///
    /// # Errors
    /// [`Error::Run`] where a run is not there (any more), [`Error::Watch`].
    pub(crate) async fn wait(
        &self,
        ids: &[RunId],
        patience: Patience,
        mut hear: impl FnMut(&RunEvent),
    ) -> Result<(Waited, WaitReport), Error> {
        let waited = self.wait_until(ids, patience, &mut hear).await?;
        let runs = ids.iter().map(|id| self.status(id));
        let report = WaitReport {
            schema_version: 1,
            timed_out: waited == Waited::TimeIsUp,
            runs: runs.collect::<Result<_, _>>()?,
        };
        Ok((waited, report))
    }

    async fn wait_until(
        &self,
        ids: &[RunId],
        patience: Patience,
        hear: &mut impl FnMut(&RunEvent),
    ) -> Result<Waited, Error> {
        let (sender, mut receiver) = unbounded_channel();
        // They end with the wait.
        let mut listeners = JoinSet::new();
        for (at, id) in ids.iter().enumerate() {
            let (operator, id, sender) = (self.clone(), id.clone(), sender.clone());
            listeners.spawn(async move {
                let ended = listen(&operator, &id, &sender).await.map(|()| at);
                let _wait_is_over = sender.send(Heard::Ended(ended));
            });
        }
        let time = tokio::time::sleep(patience.timeout.unwrap_or(Duration::MAX));
        tokio::pin!(time);
        let mut left = ids.len();
        loop {
            let heard = tokio::select! {
                Some(heard) = receiver.recv() => heard,
                () = &mut time => return Ok(Waited::TimeIsUp),
            };
            match heard {
                Heard::Event(event) => hear(&event),
                Heard::Waits if patience.or_waiting => return Ok(Waited::ForAnswer),
                Heard::Waits => {}
                Heard::Ended(Ok(_)) if left > 1 && !patience.any => left -= 1,
                Heard::Ended(ended) => return Ok(Waited::Ended(ended?)),
            }
        }
    }
}

/// Follows a run to its end, and tells when it waits for an answer.
async fn listen(
    operator: &Operator,
    id: &RunId,
    sender: &UnboundedSender<Heard>,
) -> Result<(), Error> {
    operator.wait_for_begin(id).await?;
    let now = operator.status(id)?;
    if wants_an_answer(operator, &now) {
        let _wait_is_over = sender.send(Heard::Waits);
    }
    let mut events = operator.watch(id, now.seq)?;
    while let Some(event) = events.next().await {
        // It may have been answered since.
        let waits = matches!(event.event, Happening::Waiting { .. })
            && wants_an_answer(operator, &operator.status(id)?);
        let _wait_is_over = sender.send(Heard::Event(Box::new(event)));
        if waits {
            let _wait_is_over = sender.send(Heard::Waits);
        }
    }
    // Recorded, it is closed a moment later: then it can be gone on from.
    let run = operator.store().load(id)?;
    if !run.is_closed() {
        wait_until(&run, CLOSING, || run.is_closed()).await?;
    }
    Ok(())
}

/// Whether a run waits for an answer, and is not about to end.
fn wants_an_answer(operator: &Operator, now: &RunStatus) -> bool {
    let run = || operator.store().load(&RunId::of_directory(&now.run_id));
    now.status == "waiting" && run().is_ok_and(|run| run.load_abort().is_none())
}

/// The exit status that tells of a run's end; of one whose operator died that of the error.
pub(crate) fn exit_of(status: &RunStatus) -> u8 {
    status.exit_code.unwrap_or(Code::RunOrphaned.exit())
}
