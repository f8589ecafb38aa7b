//! `cx-operator events`.

use std::process::ExitCode;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use serde_json::Value;
use tokio::sync::mpsc::unbounded_channel;

use crate::operator::events::RunEvent;
use crate::task::name::RunId;
use crate::{Error, Operator};

use super::{State, block_on, completions, one_line, print_json_line, print_part, safe};

/// Tell the events of runs: tools, questions, replies, turns, the end.
///
/// With `--json` each is one JSON object in a line of its own, as docs/parents.md describes.
///
/// Example: `cx-operator events fix-date-parser --follow --json`
#[derive(Args)]
pub(crate) struct Events {
    /// Runs: ids, beginnings of ids, or names of tasks [default: all that are under way].
    #[arg(add = ArgValueCompleter::new(completions::runs))]
    runs: Vec<String>,
    /// Go on until the runs have ended.
    #[arg(long)]
    follow: bool,
    /// Only events with a greater number than this one.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    since: u64,
    /// Print JSON lines.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

impl Events {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        if !self.follow {
            let store = self.state.open()?;
            let runs = if self.runs.is_empty() {
                store.load_unfinished()?
            } else {
                let find = |name: &String| store.find(name);
                self.runs.iter().map(find).collect::<Result<_, _>>()?
            };
            for run in runs {
                for event in run.load_events(self.since)? {
                    if !self.print(&event)? {
                        return Ok(ExitCode::SUCCESS);
                    }
                }
            }
            return Ok(ExitCode::SUCCESS);
        }
        let operator = Operator::builder()
            .state_directory(self.state.root()?)
            .build()?;
        block_on(self.follow(&operator))??;
        Ok(ExitCode::SUCCESS)
    }

    async fn follow(&self, operator: &Operator) -> Result<(), Error> {
        let runs = self.find_all(operator)?;
        let (sender, mut receiver) = unbounded_channel();
        for name in runs {
            let (operator, sender, since) = (operator.clone(), sender.clone(), self.since);
            tokio::spawn(async move {
                let watched = match operator.wait_for_begin(&name).await {
                    Ok(()) => operator.watch(&name, since),
                    Err(error) => Err(error),
                };
                match watched {
                    Ok(mut events) => {
                        while let Some(event) = events.next().await {
                            if sender.send(Ok(event)).is_err() {
                                return;
                            }
                        }
                    }
                    Err(error) => drop(sender.send(Err(error))),
                }
            });
        }
        drop(sender);
        while let Some(event) = receiver.recv().await {
            if !self.print(&event?)? {
                break;
            }
        }
        Ok(())
    }

    /// The ids of the runs; a name that is nobody's is an error at once.
    fn find_all(&self, operator: &Operator) -> Result<Vec<RunId>, Error> {
        let store = operator.store();
        if self.runs.is_empty() {
            let runs = store.load_unfinished()?;
            return Ok(runs.iter().map(|run| run.id()).collect());
        }
        super::wait::ids(store, &self.runs)
    }

    /// `false` where nobody reads any more.
    fn print(&self, event: &RunEvent) -> Result<bool, Error> {
        if self.json {
            return print_json_line(event);
        }
        print_part(&format!("{}\n", one_line(&safe(&line_of(event)))))
    }
}

/// An event for people: when, which run, what, and its fields.
fn line_of(event: &RunEvent) -> String {
    let document = serde_json::to_value(event).unwrap_or_default();
    let mut line = String::new();
    for (name, value) in document.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            ("schema_version" | "seq", _) | (_, Value::Null) => {}
            ("at" | "run_id" | "type", Value::String(text)) => line += &format!("{text} "),
            (name, Value::String(text)) => line += &format!("{name}={text} "),
            (name, value) => line += &format!("{name}={value} "),
        }
    }
    line.truncate(line.trim_end().len());
    line
}
