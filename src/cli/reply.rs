//! `cx-operator reply`.

use std::process::ExitCode;

use clap::{ArgGroup, Args};
use clap_complete::engine::ArgValueCompleter;

use crate::Error;
use crate::operator::listing::find_run;
use crate::operator::replying::reply;
use crate::task::question::Answer;

use super::said::{Text, tell_unread};
use super::{State, block_on, completions, print_json, print_text, safe};

/// Answer the question that a run waits with. The agent goes on in the same session.
///
/// A reply to a question that is no longer open is refused (`stale_reply`), and nothing is typed. A run without an operator
/// gets the reply when it is taken over.
///
/// Examples: `cx-operator reply fix-date-parser --text "Use ISO 8601."`,
/// `cx-operator reply fix-date-parser --to 1-1 --deny --message "Use the vendored copy."`
#[derive(Args)]
#[command(group = ArgGroup::new("said").args(["text", "text_file", "allow", "deny", "leave"]).required(true))]
pub(crate) struct Reply {
    /// A run's id, its beginning, or a task's name (then the newest run of it).
    #[arg(add = ArgValueCompleter::new(completions::runs))]
    run: String,
    #[command(flatten)]
    text: Text,
    /// Permit what the agent asks for.
    #[arg(long)]
    allow: bool,
    /// Don't permit it.
    #[arg(long)]
    deny: bool,
    /// Give no answer: the run ends with the question.
    #[arg(long)]
    leave: bool,
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

impl Reply {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let answer = self.answer()?;
        let run = find_run(&self.state.open()?, &self.run)?;
        let replied = block_on(reply(&run, self.to.as_deref(), answer.as_ref()))??;
        if self.json {
            print_json(&replied)?;
        } else {
            let text = format!("{} has the reply to {}\n", run.name(), replied.question);
            print_text(&safe(&text))?;
        }
        tell_unread(run.name(), replied.taken);
        Ok(ExitCode::SUCCESS)
    }

    /// The answer; `None` for none.
    fn answer(&self) -> Result<Option<Answer>, Error> {
        Ok(Some(match self.text.load()? {
            Some(text) => Answer::Text(text),
            None if self.leave => return Ok(None),
            None if self.allow => Answer::Allow,
            None => Answer::Deny(self.message.clone().unwrap_or_default()),
        }))
    }
}
