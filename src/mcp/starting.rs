//! Having a process of its own drive a run: what `delegate` and `resume` have in common.

use std::time::Duration;

use super::call::{Answer, Call};
use crate::error::Error;
use crate::operator::starting::{Detached, Order, Start, Supervising};

/// A client may give a call a minute.
const START: Duration = Duration::from_secs(45);

/// How a call went for which a process was started.
pub(super) enum Begun {
    /// The run is under way.
    Run(Detached),
    /// Nobody has to wait for it.
    Over(Answer),
}

/// Has a process carry out that command line, with that brief, and hears how it begins. `task` is the task's name.
pub(super) async fn start(
    call: &Call,
    (arguments, prompt): (Vec<String>, &str),
    task: String,
) -> Result<Begun, Error> {
    let order = Order::new(arguments.into_iter().map(Into::into), prompt);
    let mut process = Supervising::start(&order, &task).await?;
    let start = tokio::select! {
        heard = process.hear() => Some(heard?),
        () = tokio::time::sleep(START) => None,
        () = call.given_up() => None,
    };
    let (run_id, status, run_dir) = match (start, process.run_id.take()) {
        (Some(Start::Over(record)), _) => return Ok(Begun::Over(Answer::Failed(record))),
        (Some(Start::Refused(failure)), _) => return Ok(Begun::Over(Answer::Refused(failure))),
        (
            Some(Start::UnderWay {
                run_id,
                status,
                run_dir,
            }),
            _,
        ) => (run_id, status, run_dir),
        (None, Some(run_id)) => (run_id, "starting".to_owned(), None),
        (None, None) => return Err(slow()),
    };
    Ok(Begun::Run(Detached {
        schema_version: 1,
        run_id,
        task,
        status,
        run_dir,
    }))
}

fn slow() -> Error {
    let slow = std::io::Error::other("the supervising process has said nothing yet");
    crate::error::io("learn the run's id; `list` names the run once it has begun")(slow)
}
