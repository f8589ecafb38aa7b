//! The recovery at a start of runs whose operator died, before it begins its own.

use std::time::Duration;

use super::{Claim, DeadRun, TakenOverRun};
use crate::record::{RunDir, Store};
use crate::run::shared::Shared;

/// How long a start waits for the runs that it recovers.
const SWEEP: Duration = Duration::from_secs(10);

/// Ends what dead operators left, but for agents that still work: those are named.
async fn sweep(store: &Store) -> Vec<String> {
    let mut notices = Vec::new();
    for dir in store.load_unfinished().unwrap_or_default() {
        if is_left_working(store, &dir).await {
            let name = dir.name();
            notices.push(format!(
                "the operator of run {name} died and its agent still works: `cx-operator resume {name}` follows it on"
            ));
            continue;
        }
        match TakenOverRun::claim(store, &dir, None) {
            Ok(Claim::Taken(taken_over)) if taken_over.holds_this_process() => {}
            Ok(Claim::Taken(taken_over)) => {
                let outcome = taken_over.finish(taken_over.keep()).await;
                tracing::info!(
                    run = dir.name(),
                    status = outcome.status.as_str(),
                    "recovered"
                );
            }
            Ok(Claim::Empty) => dir.discard(),
            Ok(Claim::Alive | Claim::Ended) => {}
            Err(error) => {
                tracing::warn!(run = dir.name(), error = error.message(), "not recovered")
            }
        }
    }
    notices
}

/// Whether a dead operator's agent still works. Looks without owning the run: an operator that wants to follow it at this moment
/// shall not find it owned.
async fn is_left_working(store: &Store, dir: &RunDir) -> bool {
    if dir.is_alive() {
        return false;
    }
    match DeadRun::load(store, dir) {
        Ok(Some(found)) => found.is_working().await && !dir.is_alive(),
        _ => false,
    }
}

/// Recovers what dead operators left, the first time that it is called. Returns what people should know.
pub(crate) async fn sweep_once(shared: &Shared) -> &[String] {
    let sweep = || sweep_in_time(&shared.store);
    shared.swept.get_or_init(sweep).await
}

/// The same as far as it comes in ten seconds; what hangs shall not keep a new run from its start.
async fn sweep_in_time(store: &Store) -> Vec<String> {
    let store = store.clone();
    let work = tokio::spawn(async move { sweep(&store).await });
    match tokio::time::timeout(SWEEP, work).await {
        Ok(Ok(notices)) => notices,
        Ok(Err(error)) => vec![format!(
            "the runs of dead operators were not examined: {error}"
        )],
        Err(_elapsed) => vec![format!(
            "recovering the runs of dead operators takes longer than {SWEEP:?} and continues"
        )],
    }
}
