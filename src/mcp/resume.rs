//! The tool `resume`: has a process of its own take over a run whose operator died.

use schemars::JsonSchema;
use serde::Deserialize;

use super::call::{Answer, Call, WithNext};
use super::starting::{Begun, start};
use super::tooling::{Effect, Tooling};
use super::wait;
use crate::error::Error;
use crate::operator::starting::Detached;
use crate::operator::status::RunStatus;

/// The arguments of `resume`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Resume {
    /// The run: its id, or its task's name.
    run: String,
}

impl Tooling for Resume {
    type Output = WithNext<Detached>;
    const NAME: &str = "resume";
    const TITLE: &str = "Take over an orphaned run";
    const EFFECT: Effect = Effect::Adds;
    const DESCRIPTION: &str = "\
Takes over a run whose `status` is orphaned: its operator died. An agent that still works is followed on, a question still waits for its \
`reply`, and a turn that ended in the meantime is not lost; if the agent is gone, the run is ended and its work kept.";

    async fn call(self, call: &Call) -> Result<Answer, Error> {
        let run = call.find(&self.run).await?;
        let state = call.desk.operator.store().root().display().to_string();
        let line = ["cx-operator", "resume", "--detach", "--json"].map(str::to_owned);
        let mut arguments = line.to_vec();
        arguments.push(format!("--state-dir={state}"));
        arguments.push(run.name().to_owned());
        let task = run.task().unwrap_or_default().to_owned();
        let begun = start(call, (arguments, ""), task.clone()).await?;
        let document = match begun {
            // A run that was ended is no failure of this call.
            Begun::Over(Answer::Failed(record)) => Detached {
                schema_version: 1,
                run_id: record.run_id.to_string(),
                task,
                status: record.status.as_str().to_owned(),
                run_dir: record.run_dir,
            },
            Begun::Over(answer) => return Ok(answer),
            Begun::Run(document) => document,
        };
        let status = RunStatus::load(&run)?;
        Answer::with_next(document, wait::next(&status))
    }
}
