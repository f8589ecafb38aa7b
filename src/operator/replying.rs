//! An answer to the question that a run waits with, or a message for its agent, from any process.

use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::status::RunStatus;
use crate::error::Error;
use crate::record::inbox::OpenQuestion;
use crate::record::journal::{self, Progress};
use crate::record::{self, RunDir};
use crate::task::question::Answer;

/// How long the run may take to read a word, before it is said that it has not.
const READ: Duration = Duration::from_secs(10);
/// Between two looks whether it has.
const PACE: Duration = Duration::from_millis(20);

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

/// Answers the question of that id, by default the one that is open; `None` leaves it. Blocks until the run has read it, some
/// seconds at most.
///
/// # Errors
/// [`Error::Usage`] for a question that waits for no reply, [`Error::Run`] for one that is not open, or takes another answer.
pub(crate) fn reply(
    run: &RunDir,
    wanted: Option<&str>,
    answer: Option<&Answer>,
) -> Result<Replied, Error> {
    let question = find_question(run, wanted)?;
    match answer {
        Some(answer) => run.send_answer(&question.id, answer)?,
        None => run.leave_question(&question.id)?,
    }
    Ok(Replied {
        schema_version: 1,
        run_id: run.name().to_owned(),
        taken: is_answer_taken(run, &question.id),
        question: question.id,
    })
}

/// The question that is open, if it is that one and an answer is waited for.
///
/// # Errors
/// As [`reply`].
pub(crate) fn find_question(run: &RunDir, wanted: Option<&str>) -> Result<OpenQuestion, Error> {
    let open = run.load_question()?.filter(|_| !run.is_closed());
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
        None if run.is_closed() => Err(record::Error::Ended { name: name() }.into()),
        open => Err(record::Error::NotAsked {
            name: name(),
            question: wanted.unwrap_or("").to_owned(),
            open: open.map(|open| open.id),
        }
        .into()),
    }
}

/// Waits until the run has read the reply: the question is then another one, or none. Not where nobody drives the run.
fn is_answer_taken(run: &RunDir, question: &str) -> bool {
    let until = Instant::now() + READ;
    loop {
        let open = run.load_question().ok().flatten();
        if open.is_none_or(|open| open.id != question) {
            return true;
        }
        if Instant::now() >= until || !run.is_alive() {
            return false;
        }
        thread::sleep(PACE);
    }
}

/// Tells the agent something when its turn ends. Blocks until the run has read it, some seconds at most.
///
/// # Errors
/// [`Error::Usage`] for a run that waits for an answer, [`Error::Run`] for one that has ended.
pub(crate) fn send(run: &RunDir, text: &str) -> Result<Sent, Error> {
    let question = RunStatus::load(run)?.question;
    let asks = question.filter(|open| open.accepts.iter().any(|kind| kind == "text"));
    if let Some(open) = asks {
        let name = run.name();
        return Err(Error::Usage(format!(
            "the run {name} asks the question {}: `cx-operator reply {name}` answers it",
            open.id
        )));
    }
    let message = run.send_message(text)?;
    Ok(Sent {
        schema_version: 1,
        run_id: run.name().to_owned(),
        taken: is_message_taken(run, &message)?,
        message,
    })
}

/// Waits until the run has read the message. Not where nobody drives the run.
fn is_message_taken(run: &RunDir, message: &str) -> Result<bool, Error> {
    let until = Instant::now() + READ;
    loop {
        // Looked at before the journal: a living operator may write more.
        let (alive, over) = (run.is_alive(), run.is_closed());
        let entries = journal::load(&run.path().join("events.jsonl")).unwrap_or_default();
        let taken = entries
            .iter()
            .any(|entry| matches!(&entry.progress, Progress::Taken { id, .. } if id == message));
        if taken {
            return Ok(true);
        }
        if over {
            let name = run.name().to_owned();
            return Err(record::Error::Ended { name }.into());
        }
        if !alive || Instant::now() >= until {
            return Ok(false);
        }
        thread::sleep(PACE);
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
        run.send_cancel(reason)?;
        aborted.push(run.name().to_owned());
    }
    Ok(Aborted {
        schema_version: 1,
        aborted,
    })
}
