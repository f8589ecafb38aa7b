//! A call of a tool: what it has at hand, and what it comes back with.

use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, InputRequiredResult, Task};
use rmcp::model::{CreateTaskResult, InputResponses, ProgressNotificationParam};
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::Desk;
use crate::error::Error;
use crate::os::blocking::blocking;
use crate::record::redact::redact_json;
use crate::record::{Failure, Outcome, RunDir, shown};

/// A call of a tool.
pub(super) struct Call {
    pub(super) desk: Arc<Desk>,
    pub(super) context: RequestContext<RoleServer>,
    /// What the client has asked its user since the call came first.
    pub(super) responses: Option<InputResponses>,
}

/// What a tool comes back with.
pub(super) enum Answer {
    /// A document.
    Document(Value),
    /// The record of a run that is over before its agent had the brief.
    Failed(Box<Outcome>),
    /// Why nothing was begun.
    Refused(Failure),
    /// The client is to ask its user something and to call again.
    Ask(InputRequiredResult),
    /// A task that the client follows.
    Task(Task),
}

impl Answer {
    pub(super) fn document(document: &impl Serialize) -> Result<Self, Error> {
        let value = serde_json::to_value(document).expect("a document has string keys only");
        Ok(Self::Document(value))
    }

    /// The document with what to do next.
    pub(super) fn with_next(document: impl Serialize, next: String) -> Result<Self, Error> {
        Self::document(&WithNext { document, next })
    }
}

/// A document with what to do next.
#[derive(Serialize, JsonSchema)]
pub(super) struct WithNext<T> {
    #[serde(flatten)]
    document: T,
    /// What to do next.
    next: String,
}

impl Call {
    /// The run of that name, if it has begun.
    pub(super) async fn find(&self, name: &str) -> Result<RunDir, Error> {
        let (desk, name) = (Arc::clone(&self.desk), name.to_owned());
        blocking(move || desk.reach.find_begun(desk.operator.store(), &name)).await
    }

    /// Until nobody waits for the result any more: the client cancelled the call, or is gone.
    pub(super) async fn given_up(&self) {
        tokio::select! {
            () = self.context.ct.cancelled() => {}
            () = self.desk.gone.cancelled() => {}
        }
    }

    /// Tells the client how far the call is, where it wants to know.
    pub(super) async fn tell_progress(&self, step: u32, text: String) {
        let Some(token) = self.context.meta.get_progress_token() else {
            return;
        };
        let progress = ProgressNotificationParam::new(token, step.into()).with_message(text);
        let _client_is_gone = self.context.peer.notify_progress(progress).await;
    }
}

/// What the client gets: the document as the command of that name prints it, an error as `--json` prints it.
pub(super) fn response(answer: Result<Answer, Error>) -> CallToolResponse {
    match answer {
        Ok(Answer::Document(mut document)) => {
            redact_json(&mut document);
            let mut result = CallToolResult::structured(document);
            if let Some(document) = &result.structured_content {
                result.content = vec![ContentBlock::text(shown::line(document).text)];
            }
            result.into()
        }
        Ok(Answer::Failed(record)) => error_of(shown::record(&*record).text).into(),
        Ok(Answer::Refused(failure)) => error_of(error_document(&failure)).into(),
        Ok(Answer::Ask(asked)) => asked.into(),
        Ok(Answer::Task(task)) => CreateTaskResult::new(task).into(),
        Err(error) => error_of(error_document(&failure(&error))).into(),
    }
}

fn error_of(document: String) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(document)])
}

/// The error as a client's model is told of it.
pub(super) fn failure(error: &Error) -> Failure {
    let mut failure = error.to_failure();
    if let Error::Usage(_) = error {
        failure.hint = Some("see the tool's input schema".to_owned());
    }
    failure
}

fn error_document(failure: &Failure) -> String {
    let document = json!({"schema_version": 1, "status": "failed", "error": failure});
    shown::line(&document).text
}

/// A text as it may be shown: without keys, and without characters that a terminal obeys.
pub(super) fn safe(text: &str) -> (String, usize) {
    let clean = crate::record::redact::redact(text);
    (shown::harmless(&clean.text), clean.count)
}
