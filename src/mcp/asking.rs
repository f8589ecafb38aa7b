//! Questions to the client's own user: forms (the protocol's elicitation), and the answers in them.

use rmcp::RoleServer;
use rmcp::model::{
    ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema, ProtocolVersion,
};
use rmcp::service::RequestContext;
use serde_json::{Value, json};

use super::call::safe;
use crate::record::inbox::OpenQuestion;
use crate::task::question::Answer;

/// How a client asks its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// It does not say that it can.
    Never,
    /// By a request of the server's within the call.
    ByRequest,
    /// By a result that has it call again; from the version 2026-07-28 on a server sends no requests.
    ByResult,
}

/// How the client of a request asks its user.
pub(super) fn asking(context: &RequestContext<RoleServer>) -> Asking {
    let offered = context
        .client_capabilities()
        .and_then(|client| client.elicitation);
    // Without a mode it is by forms.
    let forms = offered.is_some_and(|offered| offered.form.is_some() || offered.url.is_none());
    match (forms, is_newest(context)) {
        (false, _) => Asking::Never,
        (true, true) => Asking::ByResult,
        (true, false) => Asking::ByRequest,
    }
}

/// Whether the client of a request speaks a version in which a server sends no requests, and nothing that nobody listens for.
pub(super) fn is_newest(context: &RequestContext<RoleServer>) -> bool {
    let version = context.protocol_version();
    version.is_some_and(|version| version.as_str() >= ProtocolVersion::NO_INITIALIZE.as_str())
}

/// The form for a question.
pub(super) fn form(run: &str, open: &OpenQuestion) -> ElicitRequestParams {
    let takes_decision = open.accepts.iter().any(|kind| kind == "allow");
    let schema = if takes_decision {
        json!({
            "type": "object",
            "properties": {
                "decision": {"type": "string", "title": "Decision", "enum": ["allow", "deny"]},
                "message": {"type": "string", "title": "If not: what it is told to do instead"},
            },
            "required": ["decision"],
        })
    } else {
        json!({
            "type": "object",
            "properties": {"answer": {"type": "string", "title": "Answer"}},
            "required": ["answer"],
        })
    };
    let Value::Object(schema) = schema else {
        unreachable!("it is written as an object")
    };
    let what = if takes_decision {
        "wants an approval"
    } else {
        "asks"
    };
    let mut message = format!("The agent of {run} {what}:\n\n{}", open.text);
    if let Some(reason) = &open.reason {
        message += &format!("\n\nIts reason: {reason}");
    }
    for option in &open.options {
        message += &format!("\n* {}: {}", option.label, option.description);
    }
    ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: safe(&message).0,
        requested_schema: ElicitationSchema::from_json_schema(schema)
            .expect("it is a flat object of strings"),
    }
}

/// The user's answer; `None` where they gave none.
pub(super) fn answer_of(response: &ElicitResult) -> Option<Answer> {
    if response.action != ElicitationAction::Accept {
        return None;
    }
    let content = response.content.as_ref()?;
    let text = |name: &str| content[name].as_str().map(str::trim);
    match text("decision") {
        Some("allow") => Some(Answer::Allow),
        Some("deny") => Some(Answer::Deny(text("message").unwrap_or("").to_owned())),
        _ => {
            let answer = text("answer").filter(|answer| !answer.is_empty())?;
            Some(Answer::Text(answer.to_owned()))
        }
    }
}
