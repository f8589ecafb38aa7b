//! `cx-operator resume`.

use std::process::ExitCode;
use std::time::Duration;

use crate::operator::starting::Order;
use crate::record::{Outcome, RunDir};
use crate::{Error, Operator};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::detached::{self, Supervisor};
use super::follow::{Audience, Responders, follow};
use super::report::print_outcome;
use super::{State, block_on, completions};

/// Take over a run whose operator died, and wait for its result as `delegate` does.
///
/// An agent that still works is followed; a turn that ended in the meantime is not lost. If the agent is gone, the run
/// ends as its hooks and transcript say. Exit status and report are those of `delegate`.
#[derive(Args)]
pub(crate) struct Resume {
    /// A run's id, its beginning, or a task's name (then the newest run of it).
    #[arg(add = ArgValueCompleter::new(completions::runs))]
    run: String,
    /// Without --answers, --responder and --wait-for-reply, those of the run answer.
    #[command(flatten)]
    responders: Responders,
    /// Return once the run is taken over and its agent has the prompt; the run goes on in a process of its own. A run that only is
    /// to be ended is ended first, and its record printed.
    #[arg(long)]
    detach: bool,
    /// Say nothing of the progress on stderr.
    #[arg(short, long)]
    quiet: bool,
    /// Print the record as one JSON document on stdout.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
    /// Whether this process does it for another one.
    #[arg(skip)]
    supervises: bool,
}

impl Resume {
    /// Does what another process was asked for.
    pub(super) fn be_told(&mut self) {
        self.supervises = true;
    }

    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        if self.supervises {
            return Ok(self.supervise());
        }
        if self.detach {
            // What is wrong with the call is said before.
            self.responders.load(Duration::ZERO)?;
            let run = self.find(&self.operator()?)?;
            let order = Order::new(std::env::args_os(), "");
            let task = run.task().unwrap_or(&self.run);
            return detached::start(&order, (task, self.json));
        }
        let outcome = self.resume(Audience {
            quiet: self.quiet,
            ..Audience::default()
        })?;
        print_outcome(&outcome, self.json)
    }

    /// Does it for another process, to which it says how it began.
    fn supervise(&self) -> ExitCode {
        let mut supervisor = Supervisor::begin();
        let audience = Audience {
            supervisor: Some(&mut supervisor),
            ..Audience::default()
        };
        match self.resume(audience) {
            Ok(outcome) => {
                let exit = outcome.exit_code();
                supervisor.end(outcome);
                ExitCode::from(exit)
            }
            Err(error) => {
                supervisor.refuse(&error);
                ExitCode::from(error.code().exit())
            }
        }
    }

    fn resume(&self, audience: Audience<'_>) -> Result<Outcome, Error> {
        let given = self.responders.load(Duration::ZERO)?;
        let operator = self.operator()?;
        let run = self.find(&operator)?.id();
        let responders = (!given.is_empty()).then_some(given);
        block_on(follow(|| operator.resume(&run, responders, None), audience))?
    }

    fn operator(&self) -> Result<Operator, Error> {
        Operator::builder()
            .state_directory(self.state.root()?)
            .build()
    }

    fn find(&self, operator: &Operator) -> Result<RunDir, Error> {
        Ok(operator.store().find(&self.run)?)
    }
}
