//! The tool `wait`: bounded, since a client may give a call a minute. And what a parent does next.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc::unbounded_channel;

use super::call::{Answer, Call, WithNext};
use super::tooling::{Effect, Tooling};
use crate::error::Error;
use crate::operator::events::{Happening, RunEvent};
use crate::operator::status::RunStatus;
use crate::operator::waiting::{Patience, WaitReport};
use crate::os::blocking::blocking;

/// The longest wait, in seconds.
const LONGEST: u64 = 50;
/// The wait where nothing is said.
const USUAL: u64 = 45;

/// The arguments of `wait`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    /// The runs: ids, or names of tasks.
    runs: Vec<String>,
    /// Return when one of them has ended, instead of all.
    any: Option<bool>,
    /// How long to wait, 50 seconds at most [default: 45].
    timeout_seconds: Option<u64>,
}

impl Tooling for Wait {
    type Output = WithNext<WaitReport>;
    const NAME: &str = "wait";
    const TITLE: &str = "Wait for runs";
    const EFFECT: Effect = Effect::None;
    const DESCRIPTION: &str = "\
Waits, 50 seconds at most, until the runs have ended or one of them asks something, and says in `next` what to do. Call it again while \
a run goes on. You need not wait: a run goes on without it, and you can do other work in the meantime.";

    async fn call(self, call: &Call) -> Result<Answer, Error> {
        if self.runs.is_empty() {
            return Err(Error::Usage("wait names no run".to_owned()));
        }
        let (desk, names) = (Arc::clone(&call.desk), self.runs);
        let ids = blocking(move || {
            let store = desk.operator.store();
            let find = |name: &String| Ok(desk.reach.find(store, name)?.id());
            names.iter().map(find).collect::<Result<Vec<_>, Error>>()
        })
        .await?;
        let seconds = self.timeout_seconds.unwrap_or(USUAL).min(LONGEST);
        let patience = Patience {
            any: self.any.unwrap_or(false),
            or_waiting: true,
            timeout: Some(Duration::from_secs(seconds)),
        };
        let (tell, mut told) = unbounded_channel();
        let hear = move |event: &RunEvent| {
            if let Some(text) = in_words(event) {
                let _wait_is_over = tell.send(text);
            }
        };
        let waiting = call.desk.operator.wait(&ids, patience, hear);
        tokio::pin!(waiting);
        let mut step = 0;
        loop {
            tokio::select! {
                biased;
                Some(text) = told.recv() => {
                    step += 1;
                    call.tell_progress(step, text).await;
                }
                done = &mut waiting => {
                    let report = done?.1;
                    while let Ok(text) = told.try_recv() {
                        step += 1;
                        call.tell_progress(step, text).await;
                    }
                    let next: Vec<String> = report.runs.iter().map(next).collect();
                    return Answer::with_next(report, next.join("\n"));
                }
                () = call.given_up() => return Err(nobody_waits()),
            }
        }
    }
}

fn nobody_waits() -> Error {
    let cancelled = std::io::Error::other("the client cancelled the call");
    crate::error::io("wait; the runs go on")(cancelled)
}

/// An event in a line, if it is one that people follow.
fn in_words(event: &RunEvent) -> Option<String> {
    let what = match &event.event {
        Happening::Started { .. } => "it began".to_owned(),
        Happening::Submitted { turn, .. } => format!("turn {turn}: the agent has the prompt"),
        Happening::Tool {
            turn,
            name,
            command,
            outcome,
            ..
        } => {
            let what = command.as_ref().unwrap_or(name);
            format!("turn {turn}: {what} ({outcome})")
        }
        Happening::Message { turn, text } => format!("turn {turn}: {text}"),
        Happening::TurnEnded { turn, verdict, .. } => format!("turn {turn} ended: {verdict}"),
        Happening::TurnFailed { turn, message } => format!("turn {turn} failed: {message}"),
        Happening::Question(asked) | Happening::Permission(asked) => {
            format!("it asks: {}", asked.text)
        }
        Happening::Reply { by, .. } => format!("it was answered by {by}"),
        Happening::Collecting { .. } => "its work is collected".to_owned(),
        Happening::Finished { status, .. } => format!("it ended: {status}"),
        _ => return None,
    };
    let text = format!("{}: {what}", event.run_id);
    let line: String = text.chars().take(300).collect();
    Some(super::call::safe(&line).0.replace('\n', " "))
}

/// What to do after the start of a run.
pub(super) fn after_start(status: &str) -> String {
    match status {
        "starting" => "it is not under way yet: call `status` in a while".to_owned(),
        "queued" | "running" => "go on with your own work, or call `wait`".to_owned(),
        "waiting" => "it asks something: call `status`, then `reply`".to_owned(),
        "orphaned" => ORPHANED.to_owned(),
        _ => "an earlier call with this key began it, and it has ended: call `status`".to_owned(),
    }
}

const ORPHANED: &str = "its operator died: call `resume`, and it goes on";

/// What to do next about a run.
pub(super) fn next(status: &RunStatus) -> String {
    let what = match (&*status.status, &status.question) {
        ("waiting", Some(question)) => format!(
            "it asks ({}, {}): call `reply` with to `{}` ({})",
            question.kind,
            question.id,
            question.id,
            question.accepts.join(", ")
        ),
        ("waiting" | "queued" | "running", _) => "it goes on: call `wait` again".to_owned(),
        ("orphaned", _) => ORPHANED.to_owned(),
        ("completed", _) => {
            "the agent says that it is done: read the whole `diff`, then `apply` it".to_owned()
        }
        ("needs_input" | "needs_permission" | "blocked_dialog", _) => {
            "it ended with an open question: `diff` has what was done; `continue` it with a prompt that answers it".to_owned()
        }
        _ => "it ended without a result: see `error`; `diff` has the work that was kept".to_owned(),
    };
    format!("{}: {what}", status.run_id)
}
