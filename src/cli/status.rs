//! `cx-operator status`.

use std::process::ExitCode;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use crate::Error;
use crate::operator::status::{RunStatus, load_status};
use crate::record::inbox::OpenQuestion;

use super::look::{Look, time};
use super::report::item_line;
use super::{State, completions, one_line, print_json, print_text, safe};

/// Tell what a run does at this moment: its phase, its turn, and the question that is open.
///
/// Example: `cx-operator status fix-date-parser --json`
#[derive(Args)]
pub(crate) struct Status {
    /// A run's id, its beginning, or a task's name (then the newest run of it).
    #[arg(add = ArgValueCompleter::new(completions::runs))]
    run: String,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

impl Status {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let status = load_status(&self.state.open()?, &self.run)?;
        if self.json {
            print_json(&status)?;
        } else {
            print_text(&safe(&describe(&status)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A run in some lines.
pub(super) fn describe(status: &RunStatus) -> String {
    let look = Look::of_stdout();
    let since = status.since.as_deref().and_then(time::parse);
    let since = since.map_or_else(|| "?".to_owned(), |since| look.moment(since));
    let mut text = format!(
        "{}  {}: {} since {since}, turn {}\n",
        one_line(&status.run_id),
        status.status,
        status.phase,
        status.turn
    );
    if let Some(position) = status.position {
        text += &format!("  position {position} in the queue\n");
    }
    if let Some(line) = status.last_item.as_ref().and_then(item_line) {
        text += &format!("  last: {}\n", one_line(&line));
    }
    if let Some(usage) = &status.usage {
        text += &format!("  tokens: {}\n", usage.total_tokens);
    }
    if status.status == "orphaned" {
        text += "  its operator died: `cx-operator resume` takes it over\n";
    }
    if let Some(question) = &status.question {
        text += &describe_question(question);
    }
    text
}

/// A question with what it takes for an answer.
pub(super) fn describe_question(question: &OpenQuestion) -> String {
    let mut text = format!("  asks ({}, {}):\n", question.kind, question.id);
    for line in question.text.lines() {
        text += &format!("    {line}\n");
    }
    if let Some(reason) = &question.reason {
        text += &format!("  reason: {}\n", one_line(reason));
    }
    for option in &question.options {
        let (label, description) = (one_line(&option.label), one_line(&option.description));
        text += &format!("  * {label}: {description}\n");
    }
    if let Some(until) = &question.until {
        let moment = time::parse(until).map(|until| Look::of_stdout().moment(until));
        text += &format!(
            "  waits for an answer until {}\n",
            moment.as_ref().unwrap_or(until)
        );
    }
    text
}
