//! The payloads of codex's hooks: the JSON that arrives on their stdin.
//!
//! Source: codex 0.130.0, 0.150.0 and 0.169.0 send the fields read here; `tests/scenarios` follows
//! whole turns by them.

use std::path::PathBuf;

use serde::Deserialize;

use crate::agent::report::{Report, Reported};
use crate::agent::signals::Kind;

/// A hook's payload, as far as it is read. Unknown fields are left alone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Payload {
    /// The session, a UUIDv7: the same for all turns of one conversation.
    pub session_id: String,
    /// The turn, where the event belongs to one.
    pub turn_id: Option<String>,
    /// The agent within the session, where it is one that the session's own agent made; the transcript is then its own.
    pub agent_id: Option<String>,
    /// The session's transcript, a JSONL file that may not be there yet.
    pub transcript_path: Option<PathBuf>,
    /// The working directory of the session.
    pub cwd: Option<PathBuf>,
    /// `SessionStart` only: `startup`, `resume`, `clear`, `compact`.
    pub source: Option<String>,
    /// `UserPromptSubmit` only: the whole text.
    pub prompt: Option<String>,
    /// `Stop` only: what the agent said last; null where it said nothing.
    pub last_assistant_message: Option<String>,
    /// `PermissionRequest` only: the tool, such as `Bash`.
    pub tool_name: Option<String>,
    /// `PermissionRequest` only: what the tool is asked to do.
    pub tool_input: Option<serde_json::Value>,
}

impl Payload {
    /// Parses a payload.
    ///
    /// # Errors
    /// serde's message for a text that is not such an object.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The payload of a hook of that kind as a report.
    pub(super) fn into_report(self, kind: Kind) -> Report {
        let event = match kind {
            Kind::SessionStart => Reported::Session {
                source: self.source.unwrap_or_default(),
            },
            Kind::Prompt => Reported::Prompt {
                prompt: self.prompt.unwrap_or_default(),
            },
            Kind::Permission => Reported::Permission {
                command: self.asked_command(),
                reason: self.asked_reason(),
            },
            Kind::Stop => Reported::Stop {
                message: self.last_assistant_message,
            },
        };
        Report {
            session: self.session_id,
            turn_id: self.turn_id,
            agent_id: self.agent_id,
            transcript: self.transcript_path,
            cwd: self.cwd,
            event,
        }
    }

    /// The command for which permission is asked, or the tool's name and input if it is not a command.
    pub(super) fn asked_command(&self) -> String {
        let input = self.tool_input.as_ref();
        match input
            .and_then(|input| input.get("command"))
            .and_then(serde_json::Value::as_str)
        {
            Some(command) => command.to_owned(),
            None => {
                let tool = self.tool_name.as_deref().unwrap_or("a tool");
                let arguments = input.map(ToString::to_string).unwrap_or_default();
                format!("{tool} {arguments}").trim_end().to_owned()
            }
        }
    }

    /// Why the agent asks for it, where it says so.
    fn asked_reason(&self) -> Option<String> {
        let description = self.tool_input.as_ref()?.get("description")?.as_str()?;
        Some(description.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_payload_tells_its_command() {
        let text = br#"{"session_id":"s","turn_id":"t","hook_event_name":"PermissionRequest","tool_name":"Bash",
            "tool_input":{"command":"touch x","description":"needs it"},"new_field":1}"#;
        let payload = Payload::parse(text).expect("parses");
        assert_eq!(payload.asked_command(), "touch x");
        assert_eq!(payload.asked_reason().as_deref(), Some("needs it"));
        let other = br#"{"session_id":"s","tool_name":"apply_patch","tool_input":{"path":"a"}}"#;
        assert_eq!(
            Payload::parse(other).expect("parses").asked_command(),
            r#"apply_patch {"path":"a"}"#
        );
    }

    #[test]
    fn a_null_message_is_no_message() {
        let payload =
            Payload::parse(br#"{"session_id":"s","last_assistant_message":null}"#).expect("parses");
        assert_eq!(payload.last_assistant_message, None);
        assert!(Payload::parse(b"{}").is_err());
    }
}
