//! An answer to the question that a run waits with, or a message for its agent, from any process.

use std::time::Duration;

use serde::Serialize;

use super::following::wait_until;
use super::status::RunStatus;
use crate::error::Error;
use crate::record::inbox::OpenQuestion;
use crate::record::journal::{Follower, Progress};
use crate::record::{self, RunDir};
use crate::task::question::Answer;

/// How long the run may take to read a word, before it is said that it has not.
const READ: Duration = Duration::from_secs(10);

/// The document of a reply.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Replied {
    /// 1.
    pub(crate) schema_version: u32,
    /// The run's id.
    pub(crate) run_id: String,
    /// The question's id.
    pub(crate) question: String,
    /// Whether the run has read it.
    pub(crate) taken: bool,
}

/// The document of a message.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sent {
    /// 1.
    pub(crate) schema_version: u32,
    /// The run's id.
    pub(crate) run_id: String,
    /// The message's id.
    pub(crate) message: String,
    /// Whether the run has read it.
    pub(crate) taken: bool,
}

/// Answers the question of that id, by default the one that is open; `None` leaves it. Waits until the run has read it, some
/// seconds at most.
///
/// # Errors
/// [`Error::Usage`] for a question that waits for no reply, [`Error::Run`] for one that is not open, or takes another answer.
pub(crate) async fn reply(
    run: &RunDir,
    wanted: Option<&str>,
    answer: Option<&Answer>,
) -> Result<Replied, Error> {
    let question = find_question(run, wanted)?;
    match answer {
        Some(answer) => run.send_answer(&question.id, answer)?,
        None => run.leave_question(&question.id)?,
    }
    // The question is then another one, or none.
    let is_read = || {
        let open = run.load_question().ok().flatten();
        open.is_none_or(|open| open.id != question.id)
    };
    Ok(Replied {
        schema_version: 1,
        run_id: run.name().to_owned(),
        taken: wait_until(run, READ, is_read).await?,
        question: question.id,
    })
}

/// The question that is open, if it is that one and an answer is waited for.
///
/// # Errors
/// As [`reply`].
pub(crate) fn find_question(run: &RunDir, wanted: Option<&str>) -> Result<OpenQuestion, Error> {
    let has_ended = has_ended(run);
    let open = run.load_question()?.filter(|_| !has_ended);
    let name = || run.name().to_owned();
    match open {
        Some(open) if wanted.is_none_or(|wanted| open.id == wanted) => {
            if open.until.is_none() {
                return Err(Error::Usage(format!(
                    "the run {} waits for no reply: it was started without --wait-for-reply",
                    run.name()
                )));
            }
            Ok(open)
        }
        None if has_ended => Err(record::Error::Ended { name: name() }.into()),
        open => Err(record::Error::NotAsked {
            name: name(),
            question: wanted.unwrap_or("").to_owned(),
            open: open.map(|open| open.id),
        }
        .into()),
    }
}

/// Tells the agent something when its turn ends, or within it. Waits until the run has read it, some seconds at most.
///
/// # Errors
/// [`Error::Usage`] for a run that waits for an answer, [`Error::Run`] for one that has ended or whose agent is headless.
pub(crate) async fn send(run: &RunDir, (text, now): (&str, bool)) -> Result<Sent, Error> {
    refuse_ended(run)?;
    let question = RunStatus::load(run)?.question;
    let asks = question.filter(|open| open.accepts.iter().any(|kind| kind == "text"));
    if let Some(open) = asks {
        let name = run.name();
        return Err(Error::Usage(format!(
            "the run {name} asks the question {}: `cx-operator reply {name}` answers it",
            open.id
        )));
    }
    let message = match now {
        true => run.steer(text)?,
        false => run.send_message(text)?,
    };
    let mut journal = Follower::new(run.events());
    let is_it =
        |progress: &Progress| matches!(progress, Progress::Taken { id, .. } if *id == message);
    let mut is_read = || {
        let entries = journal.read().unwrap_or_default();
        entries
            .iter()
            .any(|numbered| is_it(&numbered.entry.progress))
    };
    let taken = wait_until(run, READ, &mut is_read).await?;
    if !taken && run.is_closed() {
        let name = run.name().to_owned();
        return Err(record::Error::Ended { name }.into());
    }
    Ok(Sent {
        schema_version: 1,
        run_id: run.name().to_owned(),
        taken,
        message,
    })
}

/// Whether the run has ended, though its operator may still tell others of it.
fn has_ended(run: &RunDir) -> bool {
    let has_exit = |now: RunStatus| now.exit_code.is_some();
    run.is_closed() || RunStatus::load(run).is_ok_and(has_exit)
}

fn refuse_ended(run: &RunDir) -> Result<(), Error> {
    match has_ended(run) {
        true => Err(record::Error::Ended {
            name: run.name().to_owned(),
        }
        .into()),
        false => Ok(()),
    }
}

/// The document of an abort.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Aborted {
    /// 1.
    pub(crate) schema_version: u32,
    /// The ids of the runs that end now.
    pub(crate) aborted: Vec<String>,
}

/// Ends runs in good order, and returns at once.
///
/// # Errors
/// As [`RunDir::send_cancel`], of the first that has ended.
pub(crate) fn abort(runs: &[RunDir], reason: &str) -> Result<Aborted, Error> {
    let mut aborted = Vec::new();
    for run in runs {
        refuse_ended(run)?;
        run.send_cancel(reason)?;
        aborted.push(run.name().to_owned());
    }
    Ok(Aborted {
        schema_version: 1,
        aborted,
    })
}
