//! What a driver hands back.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Transcript;
use crate::agent::ExecutorId;
use crate::agent::conversation::Conversation;
use crate::agent::executor::Trouble;
use crate::agent::report::Usage;
use crate::record::{self, Failure, Pending, Status};
use crate::tmux::{self, Pane};
use crate::turn::End;

/// What the turns came to.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) end: End,
    pub(crate) session: Option<String>,
    pub(crate) turns: u32,
    pub(crate) last_message: Option<String>,
    pub(crate) answer: Option<Value>,
    pub(crate) replies: Vec<record::Reply>,
    pub(crate) transcript: Option<Transcript>,
    pub(crate) notices: Vec<String>,
    /// The conversation, where the agent was driven by requests and can still be reached.
    pub(crate) conversation: Option<Box<dyn Conversation>>,
}

impl Ending {
    /// The end of a run whose turns never began.
    pub(crate) fn failed(failure: Failure) -> Self {
        Self::before_turns(End {
            status: Status::Failed,
            error: Some(failure),
            pending: None,
        })
    }

    /// The same, for any reason.
    pub(crate) fn before_turns(end: End) -> Self {
        Self {
            end,
            session: None,
            turns: 0,
            last_message: None,
            answer: None,
            replies: Vec::new(),
            transcript: None,
            notices: Vec::new(),
            conversation: None,
        }
    }

    /// The tokens used, read to the transcript's end.
    pub(crate) fn load_usage(&mut self) -> Option<Usage> {
        let transcript = self.transcript.as_mut()?;
        let _turns_are_over = transcript.read();
        transcript.usage()
    }
}

/// Ends whose cause only the screen shows.
const SHOWN: [&str; 3] = ["startup_timeout", "not_submitted", "composer_in_use"];

/// The code of a prompt that a hook of the user's refused.
const BLOCKED: &str = "prompt_blocked";
/// The code of a turn that one stopped, and that of an interrupted turn, as which the transcript knows it.
const STOPPED: &str = "hook_stopped";
const INTERRUPTED: &str = "interrupted";
/// How long the screen may take to show why a turn was interrupted, and between two looks.
const SHOWING: Duration = Duration::from_millis(500);
const PACE: Duration = Duration::from_millis(20);

/// The end with what the agent shows, if nothing else says more: its trouble if a deadline passed in the meantime, and
/// the whole screen where no prompt got through.
pub(super) async fn explained(mut end: End, executor: ExecutorId, pane: &Pane) -> End {
    let Some(error) = &mut end.error else {
        return end;
    };
    if end.status == Status::Aborted && error.code == INTERRUPTED {
        return stopped_by_hook(executor, pane).await.unwrap_or(end);
    }
    let is_shown = SHOWN.contains(&error.code.as_str()) && end.pending.is_none();
    if end.status != Status::TimedOut && !is_shown {
        return end;
    }
    let Ok(screen) = pane.query_screen().await else {
        return end;
    };
    if let Some(trouble) = executor.trouble(&screen) {
        error.message.push_str("; the agent's screen says: ");
        error.message.push_str(&trouble);
    }
    let blocked = executor
        .failure(&screen)
        .filter(|failure| failure.kind.as_deref() == Some(BLOCKED));
    if let Some(failure) = blocked.filter(|_| error.code == "not_submitted") {
        // A hook for the start of the session comes before the hook that proves a prompt.
        return ended(
            Status::AgentFailed,
            BLOCKED,
            failure.message,
            executor.remedy(Trouble::PromptBlocked),
        );
    }
    if is_shown {
        end.pending = Some(Pending {
            kind: "screen".to_owned(),
            text: screen.trim_end().to_owned(),
            reason: None,
            options: Vec::new(),
        });
    }
    end
}

/// The end of a run whose turn a hook of the user's interrupted, and not a person.
async fn stopped_by_hook(executor: ExecutorId, pane: &Pane) -> Option<End> {
    let limit = Instant::now() + SHOWING;
    loop {
        let failure = executor.failure(&pane.query_screen().await.ok()?);
        match failure {
            Some(failure) if failure.kind.as_deref() == Some(STOPPED) => {
                let hint = executor.remedy(Trouble::PromptBlocked);
                return Some(ended(Status::AgentFailed, STOPPED, failure.message, hint));
            }
            // It shows the interruption.
            Some(_) => return None,
            None if Instant::now() >= limit => return None,
            None => tokio::time::sleep(PACE).await,
        }
    }
}

/// The end of a run whose pane can no longer be reached through tmux.
pub(super) fn tmux_failed(error: &tmux::Error) -> End {
    let hint = "`cx-operator doctor` checks whether tmux works";
    failed("tmux", crate::os::chain::chain(error), hint)
}

/// The end with the trouble that the program told of last, if a deadline passed in the meantime.
pub(super) fn troubled(mut end: End, trouble: Option<String>) -> End {
    if let (Status::TimedOut, Some(error), Some(trouble)) = (end.status, &mut end.error, trouble) {
        error.message.push_str("; the agent's server says: ");
        error.message.push_str(&trouble);
    }
    end
}

/// The end of a run whose prompt the program refused.
pub(super) fn refused(message: &str, executor: ExecutorId) -> End {
    let message = format!("{} refused the prompt: {message}", executor.name());
    failed(
        "not_submitted",
        message,
        "change the task: `task.md` in the run's directory has it",
    )
}

/// The end of a run whose agent works, and can't be reached any more.
pub(super) fn connection_lost(why: &str) -> End {
    let message = format!("the connection to the agent's server is lost: {why}");
    failed(
        "connection_lost",
        message,
        "run the task again, perhaps with --drive keys",
    )
}

fn failed(code: &str, message: String, hint: &str) -> End {
    ended(Status::Failed, code, message, hint)
}

fn ended(status: Status, code: &str, message: String, hint: &str) -> End {
    let failure = Failure {
        code: code.to_owned(),
        message,
        hint: Some(hint.to_owned()),
        signal: None,
    };
    End {
        status,
        error: Some(failure),
        pending: None,
    }
}
