//! What is said to the agent, and of events.

use crate::agent::ExecutorId;
use crate::agent::screen_state::{ScreenState, ShownDialog};
use crate::task::prompt::{self, Prompt};
use crate::task::question::Answer;
use crate::turn::Event;

/// What the agent is told with a "no".
pub(crate) fn denial(why: &str) -> String {
    if why.trim().is_empty() {
        "Not permitted. Go on without it, or say what you need.".to_owned()
    } else {
        why.to_owned()
    }
}

/// A reply passes the same terminal as the prompt, the reason of a "no" to words included.
pub(super) fn sanitised(answer: Answer) -> Answer {
    // An invalid prompt, such as an overlong text, is cut to a valid one.
    let safe = |text: String| match Prompt::parse(text.as_bytes()) {
        Ok(prompt) => prompt.as_str().to_owned(),
        Err(_) => text
            .chars()
            .filter(|c| !c.is_control())
            .take(prompt::LIMIT / 4)
            .collect(),
    };
    match answer {
        Answer::Text(text) => Answer::Text(safe(text)),
        Answer::Deny(why) => Answer::Deny(safe(why)),
        Answer::Allow => Answer::Allow,
    }
}

/// A text that is submitted like the prompt.
pub(super) fn as_prompts(executor: ExecutorId, answer: Answer) -> Answer {
    match answer {
        Answer::Text(text) => Answer::Text(executor.prompt(&text).into_owned()),
        decision => decision,
    }
}

/// What an event was, for the line that says it was ignored; screens are too many to be told.
pub(super) fn describe(event: &Event) -> Option<String> {
    match event {
        Event::Screen(ScreenState::Dialog(ShownDialog { name, .. })) => {
            Some(format!("dialog {name}"))
        }
        Event::Screen(_) | Event::Deadline => None,
        Event::SessionStarted {
            session, source, ..
        } => Some(format!("session {session} started ({source})")),
        Event::PromptSubmitted { session, .. } => Some(format!("prompt of session {session}")),
        Event::PermissionAsked {
            session, command, ..
        } => Some(format!("permission of session {session}: {command}")),
        Event::PermissionClosed { .. } => Some("the end of an approval".to_owned()),
        Event::Ready | Event::TurnBegan { .. } | Event::LeftAtWork(_) | Event::TranscriptLost => {
            None
        }
        Event::Inquired { call, .. } => Some(format!("form {call}")),
        Event::InquiryClosed { call } => Some(format!("the end of form {call}")),
        Event::SubAgent { agent, what } => Some(format!("{what} of the agent {agent}")),
        Event::TurnStopping { session, .. } => Some(format!("stop hook of session {session}")),
        Event::TurnStopped { session, .. } => Some(format!("stop of session {session}")),
        Event::TurnFailed { turn_id, .. } => Some(format!("failure of turn {turn_id}")),
        Event::TurnAborted { turn_id, .. } => Some(format!(
            "abortion of turn {}",
            turn_id.as_deref().unwrap_or("?")
        )),
        Event::Malformed { file, .. } => Some(format!("malformed {file}")),
        Event::AgentExited { .. } => Some("the agent's exit".to_owned()),
        Event::Message { .. } => Some("a message".to_owned()),
        Event::Steered { .. } | Event::NotSteered => Some("a message within the turn".to_owned()),
        Event::Answered(..) => Some("an answer".to_owned()),
        Event::Cancelled { by } => Some(by.clone()),
        Event::Spent => Some("the end of the budget".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_reply_presses_a_key() {
        let escape = "so\x1b[201~\r".to_owned();
        for answer in [Answer::Text(escape.clone()), Answer::Deny(escape)] {
            match sanitised(answer) {
                Answer::Text(text) | Answer::Deny(text) => {
                    assert_eq!(text, "so\u{241b}[201~\u{240d}");
                }
                Answer::Allow => panic!("it was another"),
            }
        }
        assert_eq!(sanitised(Answer::Allow), Answer::Allow);
    }
}
