//! `cx-operator recover`.

use std::process::ExitCode;

use crate::operator::cleanup::{Action, checks};
use crate::record::{Outcome, RunDir};
use crate::{Error, Operator};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use schemars::JsonSchema;
use serde::Serialize;

use super::follow::{Audience, follow};
use super::{State, block_on, completions, print_json, print_text, safe, tell};

/// End the runs whose operator died: collect their work, write their record, remove what they left.
///
/// An agent that still works is followed to the end of its run, as with `resume`; --end ends it now. Runs that are alive
/// are left alone.
#[derive(Args)]
pub(crate) struct Recover {
    /// Only this run: its id, its beginning, or a task's name (then the newest run of it).
    #[arg(add = ArgValueCompleter::new(completions::runs))]
    run: Option<String>,
    /// Also end agents that still work.
    #[arg(long)]
    end: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

/// The document of `recover --json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Document {
    /// 1.
    schema_version: u32,
    /// The runs whose operator had died, or the one that was named.
    runs: Vec<Recovered>,
}

/// The outcome for a run.
#[derive(Serialize, JsonSchema)]
struct Recovered {
    /// The run's id.
    run_id: String,
    /// `recovered`; `left`, where something of it could not be removed; `alive`; `failed`.
    action: &'static str,
    /// The run's record.
    record: Option<Outcome>,
    /// Why it was left or could not be recovered.
    error: Option<String>,
}

impl Recover {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let operator = Operator::builder()
            .state_directory(self.state.root()?)
            .build()?;
        let runs = match &self.run {
            Some(name) => vec![operator.store().find(name)?],
            None => operator.store().load_unfinished()?,
        };
        let (runs, checks) = block_on(async {
            let recovered = self.recover(&operator, runs).await;
            (recovered, checks(operator.store(), false).await)
        })?;
        for left in checks? {
            let verb = match left.action {
                Action::Left => "left alone",
                _ => "removed",
            };
            tell(&safe(&format!("{verb}: {} ({})", left.name, left.reason)));
        }
        let failed = runs.iter().any(|run| run.error.is_some());
        if self.json {
            print_json(&Document {
                schema_version: 1,
                runs,
            })?;
        } else {
            print_text(&safe(&in_words(&runs)))?;
        }
        Ok(ExitCode::from(u8::from(failed)))
    }

    /// All at once: agents that still work are waited for.
    async fn recover(&self, operator: &Operator, runs: Vec<RunDir>) -> Vec<Recovered> {
        let (end, named) = (self.end, self.run.is_some());
        let work: Vec<_> = runs
            .into_iter()
            .map(|run| {
                let operator = operator.clone();
                tokio::spawn(async move {
                    let outcome = if end {
                        operator.end(&run.id()).await
                    } else {
                        follow(
                            || operator.resume(&run.id(), None, None),
                            Audience::default(),
                        )
                        .await
                    };
                    describe(&run, outcome)
                })
            })
            .collect();
        let mut recovered = Vec::new();
        for run in work {
            match run.await {
                // Runs that are alive are skipped, unless one is named.
                Ok(run) if run.action == "alive" && !named => {}
                Ok(run) => recovered.push(run),
                Err(error) => tell(&format!("error: {error}")),
            }
        }
        recovered
    }
}

fn describe(run: &RunDir, outcome: Result<Outcome, Error>) -> Recovered {
    use crate::record::code::Code;
    let run_id = run.name().to_owned();
    let (action, record, error) = match outcome {
        Ok(outcome) if run.is_closed() => ("recovered", Some(outcome), None),
        Ok(outcome) => {
            let why = outcome.notices.last().cloned().unwrap_or_default();
            ("left", Some(outcome), Some(why))
        }
        Err(error) if error.code() == Code::RunAlive => ("alive", None, Some(error.message())),
        Err(error) => ("failed", None, Some(error.message())),
    };
    Recovered {
        run_id,
        action,
        record,
        error,
    }
}

fn in_words(runs: &[Recovered]) -> String {
    let mut text = String::new();
    for run in runs {
        let status = run.record.as_ref().map(|record| record.status.as_str());
        let words = [status, run.error.as_deref()];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        text.push_str(&format!(
            "{}: {} ({})\n",
            run.run_id,
            run.action,
            words.join("; ")
        ));
    }
    if runs.is_empty() {
        text.push_str("nothing to recover\n");
    }
    text
}
