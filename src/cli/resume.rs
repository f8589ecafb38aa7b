//! `cx-operator resume`.

use std::process::ExitCode;
use std::time::Duration;

use crate::{Error, Operator};
use clap::Args;

use super::follow::{Audience, Responders, follow};
use super::report::print_outcome;
use super::{State, block_on};

/// Take over a run whose operator died, and wait for its result as `delegate` does.
///
/// An agent that still works is followed; a turn that ended in the meantime is not lost. If the agent is gone, the run
/// ends as its hooks and transcript say. Exit status and report are those of `delegate`.
#[derive(Args)]
pub(crate) struct Resume {
    /// A run's id, its beginning, or a task's name (then the newest run of it).
    run: String,
    /// Without --answers, --responder and --wait-for-reply, those of the run answer.
    #[command(flatten)]
    responders: Responders,
    /// Print the record as one JSON document on stdout.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

impl Resume {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let given = self.responders.load(Duration::ZERO)?;
        let operator = Operator::builder()
            .state_directory(self.state.root()?)
            .build()?;
        let run = operator.store().find(&self.run)?.id();
        let responders = (!given.is_empty()).then_some(given);
        let outcome = block_on(follow(
            || operator.resume(&run, responders, None),
            Audience::default(),
        ))??;
        print_outcome(&outcome, self.json)
    }
}
