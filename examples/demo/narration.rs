//! A run's events in words.

use cx_operator::Item;
use cx_operator::record::journal::{Progress, Step};

/// The line of an event for people; `None` if another event has it.
pub(crate) fn line(progress: &Progress) -> Option<String> {
    Some(match progress {
        Progress::Started {
            run_id,
            base_commit,
            ..
        } => format!("run {run_id} from commit {base_commit:.12}"),
        Progress::Done(step) => done(step)?,
        Progress::StepFailed { message, .. } => message.clone(),
        Progress::Launched { pane, pid, .. } => {
            let place = pane.as_ref().map(|pane| format!(" in tmux pane {pane}"));
            format!("the agent started{} (pid {pid})", place.unwrap_or_default())
        }
        Progress::Connected { session_id, .. } => {
            format!("the agent's server answers, with session {session_id}")
        }
        Progress::Witnessed { turn, .. } => format!("turn {turn}: a hook told the same text"),
        Progress::Item {
            item: Item::Command {
                command, exit_code, ..
            },
            ..
        } => format!("it ran `{command}` ({exit_code:?})"),
        Progress::Notice { text } => format!("note: {text}"),
        Progress::KeyPressed { key, on } => format!("pressed {key} ({on})"),
        Progress::Pasted { turn, bytes, .. } => {
            format!("turn {turn}: prompt sent ({bytes} bytes)")
        }
        Progress::Submitted {
            turn, session_id, ..
        } => {
            format!("turn {turn}: proven, session {session_id} has the prompt")
        }
        Progress::TurnEnded {
            turn,
            verdict,
            rule,
            ..
        } => format!("turn {turn}: ended, the message reads as a {verdict} ({rule})"),
        Progress::TurnFailed { turn, message } => format!("turn {turn}: failed, {message}"),
        Progress::PermissionAsked { turn, command } => {
            format!("turn {turn}: the agent asks for an approval of `{command}`")
        }
        Progress::Replied {
            turn, by, reply, ..
        } => format!("turn {turn}: {by} replied: {reply}"),
        Progress::Ignored { why, what } => format!("ignored {what}: {why}"),
        Progress::Ended { status, .. } => format!("the turns are over: {}", status.as_str()),
        Progress::Recorded { status } => format!("recorded as {}", status.as_str()),
        _ => return None,
    })
}

fn done(step: &Step) -> Option<String> {
    Some(match step {
        Step::Worktree { path, branch, .. } => {
            format!("worktree {} on branch {branch}", path.display())
        }
        Step::EndAgent => "the agent has left, and all that it started".to_owned(),
        Step::Snapshot {
            result_ref,
            result_commit: Some(_),
        } => format!("all its work is in {result_ref}"),
        Step::Patch { path } => format!("the complete diff is in {}", path.display()),
        Step::RemoveSession => "tmux session removed".to_owned(),
        Step::RemoveWorktree => "worktree and branch removed".to_owned(),
        _ => return None,
    })
}
