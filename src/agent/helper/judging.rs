//! The hook's judgement of what the agent is about to do, by the policy of its run.

use std::ffi::OsString;
use std::path::Path;

use super::say;
use crate::agent::ExecutorId;
use crate::agent::signals::{self, Decided, Decision, Standing};
use crate::policy::Action;

/// What the agent is told where nobody can judge.
const GONE: &str = "The policy of this run can't be read any more, so that nothing may be done. Say so, and end your turn.";

/// Judges the payload on stdin: for an agent that asks the operator itself where the policy has no word.
pub(super) fn judge_alone(arguments: &[OsString]) {
    let [dir, executor] = arguments else {
        return;
    };
    let executor = executor.to_str().and_then(ExecutorId::parse);
    let (Some(executor), Some(payload)) = (executor, signals::read_payload()) else {
        return;
    };
    // This hook is there for a policy alone: somebody has removed or damaged it.
    if Standing::load(Path::new(dir)).is_none() {
        if let Some(refusal) = executor.refusal(GONE) {
            say(&refusal);
        }
        return;
    }
    judge(Path::new(dir), executor, &payload);
}

/// Judges a payload, writes the decision down and tells the agent. Returns whether nobody else is to be asked.
///
/// Of what the agent does without asking only a "no" is told and written down.
pub(super) fn judge(dir: &Path, executor: ExecutorId, payload: &[u8]) -> bool {
    let (Some(standing), Some(call)) = (Standing::load(dir), executor.call(payload)) else {
        return false;
    };
    let Some(verdict) = standing.judge(dir, &call) else {
        return false;
    };
    let is_told = match verdict.action {
        Action::Deny => true,
        Action::Allow => call.asked,
        Action::Ask => false,
    };
    if !is_told && !call.asked {
        return false;
    }
    let decision = match verdict.action {
        Action::Allow => Decision::Allow,
        Action::Ask => Decision::Pass,
        Action::Deny => Decision::Deny {
            message: verdict.message.clone().unwrap_or_default(),
        },
    };
    let answer = match (&decision, call.asked) {
        (Decision::Deny { message }, false) => executor.refusal(message),
        (decision, _) => executor.decision(payload, decision),
    };
    let decided = Decided {
        tool: call.request.tool,
        command: call.command,
        asked: call.asked,
        verdict,
    };
    let is_written = decided.write(dir).is_ok();
    // A leave without its record is not given; a "no" is.
    let is_no = matches!(decision, Decision::Deny { .. });
    match answer {
        Some(answer) if is_written || is_no => {
            say(&answer);
            true
        }
        _ => false,
    }
}
