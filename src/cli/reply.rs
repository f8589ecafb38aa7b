//! `cx-operator reply`.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Error;
use crate::operator::listing::find_run;
use crate::record::inbox::OpenQuestion;
use crate::record::{self, RunDir};
use crate::task::prompt::Prompt;
use crate::task::question::Answer;

use super::{State, print_json, print_text, safe, tell, usage};

/// How long the run may take to read the reply, before it is said that it has not.
const READ: Duration = Duration::from_secs(10);
/// Between two looks whether it has.
const PACE: Duration = Duration::from_millis(20);

/// Answer the question that a run waits with. The agent goes on in the same session.
///
/// A reply to a question that is no longer open is refused (`stale_reply`), and nothing is typed. A run without an operator
/// gets the reply when it is taken over.
///
/// Examples: `cx-operator reply fix-date-parser --text "Use ISO 8601."`,
/// `cx-operator reply fix-date-parser --to 1-1 --deny --message "Use the vendored copy."`
#[derive(Args)]
pub(crate) struct Reply {
    /// A run's id, its beginning, or a task's name (then the newest run of it).
    run: String,
    #[command(flatten)]
    said: Said,
    /// With --deny: what the agent is told.
    #[arg(long, value_name = "TEXT", requires = "deny")]
    message: Option<String>,
    /// The id of the question that is answered, as `status` and `events` tell it [default: the one that is open].
    #[arg(long, value_name = "ID")]
    to: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Said {
    /// The answer: the agent's next prompt, or a form's answer.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// A file with it; `-` means stdin.
    #[arg(long, value_name = "FILE")]
    text_file: Option<PathBuf>,
    /// Permit what the agent asks for.
    #[arg(long)]
    allow: bool,
    /// Don't permit it.
    #[arg(long)]
    deny: bool,
    /// Give no answer: the run ends with the question.
    #[arg(long)]
    leave: bool,
}

/// The document of `reply --json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Document {
    /// 1.
    schema_version: u32,
    /// The run's id.
    run_id: String,
    /// The id of the question that was answered.
    question: String,
    /// Whether the run has read the reply.
    taken: bool,
}

impl Reply {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let answer = self.answer()?;
        let run = find_run(&self.state.open()?, &self.run)?;
        let question = find_question(&run, self.to.as_deref())?;
        match &answer {
            Some(answer) => run.send_answer(&question.id, answer)?,
            None => run.leave_question(&question.id)?,
        }
        let taken = is_taken(&run, &question.id);
        if self.json {
            print_json(&Document {
                schema_version: 1,
                run_id: run.name().to_owned(),
                question: question.id,
                taken,
            })?;
        } else {
            let text = format!("{} has the reply to {}\n", run.name(), question.id);
            print_text(&safe(&text))?;
        }
        if !taken {
            let name = safe(run.name());
            tell(&format!(
                "note: nobody has read it yet: `cx-operator status {name}` tells whether it is driven"
            ));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The answer; `None` for none.
    fn answer(&self) -> Result<Option<Answer>, Error> {
        let said = &self.said;
        Ok(Some(match (&said.text, &said.text_file) {
            (Some(text), _) => Answer::Text(parse(text.as_bytes())?),
            (_, Some(path)) => Answer::Text(parse(&load(path)?)?),
            _ if said.leave => return Ok(None),
            _ if said.allow => Answer::Allow,
            _ => Answer::Deny(self.message.clone().unwrap_or_default()),
        }))
    }
}

/// The text of a reply, which passes the same terminal as a brief.
pub(super) fn parse(bytes: &[u8]) -> Result<String, Error> {
    Ok(Prompt::parse(bytes)?.as_str().to_owned())
}

pub(super) fn load(path: &PathBuf) -> Result<Vec<u8>, Error> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        return read.map(|_| bytes).map_err(|source| Error::Io {
            what: "read the reply from stdin".to_owned(),
            source,
        });
    }
    fs::read(path).map_err(|error| {
        usage(format!(
            "the reply can't be read from {}: {error}",
            path.display()
        ))
    })
}

/// The question that is open, if it is that one and an answer is waited for.
fn find_question(run: &RunDir, wanted: Option<&str>) -> Result<OpenQuestion, Error> {
    let open = run.load_question()?.filter(|_| !run.is_closed());
    match open {
        Some(open) if wanted.is_none_or(|wanted| open.id == wanted) => {
            if open.until.is_none() {
                return Err(usage(format!(
                    "the run {} waits for no reply: it was started without --wait-for-reply",
                    run.name()
                )));
            }
            Ok(open)
        }
        None if run.is_closed() => Err(record::Error::Ended {
            name: run.name().to_owned(),
        }
        .into()),
        open => Err(record::Error::NotAsked {
            name: run.name().to_owned(),
            question: wanted.unwrap_or("").to_owned(),
            open: open.map(|open| open.id),
        }
        .into()),
    }
}

/// Waits until the run has read the reply: the question is then another one, or none. Not where nobody drives the run.
fn is_taken(run: &RunDir, question: &str) -> bool {
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
