//! Runs as tasks of the protocol's extension of that name: a task's id is its run's.
//!
//! A task is nothing but a view of the run's records: it is there for every server and after every restart.

use std::io;
use std::sync::Arc;

use rmcp::model::{
    CallToolResponse, DetailedTask, ElicitRequest, ElicitResult, InputRequest, InputRequests,
    InputResponses, JsonObject, Task, TaskPayload, TaskStatus, TaskStatusNotification,
    TaskStatusNotificationParams,
};
use rmcp::service::RequestContext;
use rmcp::{Peer, RoleServer};

use super::Desk;
use super::call::{Answer, Call, response};
use super::reach::Found;
use super::{asking, wait};
use crate::error::{Error, io as io_error};
use crate::operator::events::Happening;
use crate::operator::replying;
use crate::operator::starting::Detached;
use crate::operator::status::RunStatus;
use crate::os::blocking::blocking;
use crate::os::time::timestamp;
use crate::record::{RunDir, Status};
use crate::task::name::RunId;

/// How often a client should look.
const POLL_MS: u64 = 2_000;

/// Whether the client of a request follows tasks.
pub(super) fn are_followed(context: &RequestContext<RoleServer>) -> bool {
    let client = context.client_capabilities();
    client.is_some_and(|client| client.supports_tasks())
}

/// The task of a run that has just begun.
pub(super) fn begun(run_id: &str) -> Task {
    let now = timestamp(std::time::SystemTime::now());
    Task::new(run_id, TaskStatus::Working, now.clone(), now).with_poll_interval_ms(POLL_MS)
}

/// Tells the client of each change of a task, as it would be told if it asked. From the version 2026-07-28 on a server sends only what a
/// client listens for, and the protocol's library can't be listened to for tasks: such a client asks.
pub(super) fn tell(call: &Call, run_id: &str) {
    if asking::is_newest(&call.context) {
        return;
    }
    let can_ask = asking::asking(&call.context) != asking::Asking::Never;
    let (desk, peer) = (Arc::clone(&call.desk), call.context.peer.clone());
    let id = RunId::of_directory(run_id);
    tokio::spawn(async move {
        let gone = desk.gone.clone();
        tokio::select! {
            told = tell_changes(&desk, &peer, (&id, can_ask)) => {
                if let Err(error) = told {
                    tracing::info!(%error, "a task's client is told no more");
                }
            }
            () = gone.cancelled() => {}
        }
    });
}

async fn tell_changes(
    desk: &Arc<Desk>,
    peer: &Peer<RoleServer>,
    (id, can_ask): (&RunId, bool),
) -> Result<(), Error> {
    desk.operator.wait_for_begin(id).await?;
    let mut events = desk.operator.watch(id, 0)?;
    let mut told = None;
    loop {
        let event = events.next().await;
        let is_change = event.as_ref().is_none_or(|event| {
            matches!(
                event.event,
                Happening::Submitted { .. }
                    | Happening::Waiting { .. }
                    | Happening::Reply { .. }
                    | Happening::Finished { .. }
            )
        });
        if !is_change {
            continue;
        }
        let (there, name) = (Arc::clone(desk), id.to_string());
        let task = blocking(move || load(&there, &name, can_ask)).await?;
        if told.as_ref() != Some(&task.payload) {
            told = Some(task.payload.clone());
            let params = TaskStatusNotificationParams::new(task);
            let notification = TaskStatusNotification::new(params).into();
            let sent = peer.send_notification(notification).await;
            sent.map_err(|error| io_error("tell the client")(io::Error::other(error)))?;
        }
        if event.is_none() {
            return Ok(());
        }
    }
}

/// How a task is.
pub(super) fn load(desk: &Desk, id: &str, can_ask: bool) -> Result<DetailedTask, Error> {
    let (status, run_dir) = match desk.reach.load(desk.operator.store(), id)? {
        Found::Queued(queued) => (RunStatus::of_queued(&queued), None),
        Found::Begun(run) => (RunStatus::load(&run)?, Some(run.path().to_owned())),
    };
    let mut task = begun(&status.run_id).with_status_message(wait::next(&status));
    for (time, told) in [
        (&mut task.created_at, &status.started_at),
        (&mut task.last_updated_at, &status.since),
    ] {
        if let Some(told) = told {
            time.clone_from(told);
        }
    }
    let payload = match (&*status.status, &status.question) {
        ("waiting", Some(question)) => {
            let form = asking::form(&status.run_id, question);
            let request = InputRequest::Elicitation(ElicitRequest::new(form));
            // A client that can't ask answers by the tool `reply`.
            let requests = can_ask.then(|| (question.id.clone(), request));
            TaskPayload::InputRequired {
                input_requests: InputRequests::from_iter(requests),
            }
        }
        (aborted, _) if aborted == Status::Aborted.as_str() => TaskPayload::Cancelled,
        _ if status.phase == "ended" => TaskPayload::Completed {
            result: result(&status, run_dir)?,
        },
        _ => TaskPayload::Working,
    };
    Ok(DetailedTask::new(task, payload))
}

/// What the call of `delegate` would have come back with, had it waited.
fn result(status: &RunStatus, run_dir: Option<std::path::PathBuf>) -> Result<JsonObject, Error> {
    let document = Detached {
        schema_version: 1,
        run_id: status.run_id.clone(),
        task: status.task.clone().unwrap_or_default(),
        status: status.status.clone(),
        run_dir,
    };
    let CallToolResponse::Complete(mut done) =
        response(Answer::with_next(document, wait::next(status)))
    else {
        return Ok(JsonObject::new());
    };
    done.is_error = Some(status.exit_code != Some(0));
    match serde_json::to_value(done) {
        Ok(serde_json::Value::Object(object)) => Ok(object),
        _ => Ok(JsonObject::new()),
    }
}

/// Answers a task's questions.
pub(super) fn answer(desk: &Desk, id: &str, responses: &InputResponses) -> Result<(), Error> {
    let run = find(desk, id)?;
    for (question, response) in responses {
        let response: ElicitResult = serde_json::from_value(response.clone())
            .map_err(|error| Error::Usage(format!("the answer to {question}: {error}")))?;
        // `None`: the user gives no answer.
        let answer = asking::answer_of(&response);
        let reply = replying::reply(&run, Some(question), answer.as_ref());
        // The caller is on a thread that may block.
        tokio::runtime::Handle::current().block_on(reply)?;
    }
    Ok(())
}

/// Ends a task.
pub(super) fn cancel(desk: &Desk, id: &str) -> Result<(), Error> {
    replying::abort(&[find(desk, id)?], "the client cancelled the task").map(drop)
}

fn find(desk: &Desk, id: &str) -> Result<RunDir, Error> {
    desk.reach.load(desk.operator.store(), id)?;
    desk.reach.find_begun(desk.operator.store(), id)
}
