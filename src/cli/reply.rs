//! `cx-operator reply`.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::Error;
use crate::operator::listing::find_run;
use crate::operator::replying::reply;
use crate::task::prompt::Prompt;
use crate::task::question::Answer;

use super::{State, print_json, print_text, safe, tell, usage};

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

impl Reply {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let answer = self.answer()?;
        let run = find_run(&self.state.open()?, &self.run)?;
        let replied = reply(&run, self.to.as_deref(), answer.as_ref())?;
        if self.json {
            print_json(&replied)?;
        } else {
            let text = format!("{} has the reply to {}\n", run.name(), replied.question);
            print_text(&safe(&text))?;
        }
        if !replied.taken {
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
