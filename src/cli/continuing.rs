//! `cx-operator continue`.

use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use clap_complete::engine::ArgValueCompleter;

use crate::Error;
use crate::operator::continuing::wait_for_close;
use crate::operator::listing::find_run;
use crate::operator::starting::Order;

use super::completions;
use super::delegate::Delegate;
use super::earlier::Continues;
use super::{block_on, usage};

/// The options of `delegate` that the earlier run decides.
const DECIDED: [&str; 3] = ["repo", "base", "include_dirty"];

/// Go on from a run that has ended: a new run, from its result, whose agent knows what was done.
///
/// Its session is gone on with where the agent's program can, else a summary of what was done is put before the brief. Task's name,
/// repository, agent, policy and sandbox are the earlier run's, unless they are given here; all else is as for `delegate`.
///
/// Example: `cx-operator continue fix-date-parser --prompt "Now the same for the formatter." --detach`
#[derive(Args)]
#[command(
    mut_arg("task", |arg| arg.required(false).default_value("").hide_default_value(true).help("The task's name [default: the earlier run's]")),
    mut_arg("repo", |arg| arg.hide(true)),
    mut_arg("base", |arg| arg.hide(true)),
    mut_arg("include_dirty", |arg| arg.hide(true)),
)]
pub(super) struct Continue {
    /// The earlier run's id, its beginning, or a task's name (then the newest run of it).
    #[arg(add = ArgValueCompleter::new(completions::runs))]
    run: String,
    /// Begin a new session of the agent's, with a summary of what was done.
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    delegate: Box<Delegate>,
    /// The options that were given.
    #[arg(skip)]
    given: Vec<String>,
}

impl Continue {
    /// Takes the call of another process for this one's.
    pub(super) fn be_told(&mut self, order: Order) {
        self.delegate.be_told(order);
    }

    /// The options of `delegate` that it has.
    pub(super) fn into_delegate(self) -> Box<Delegate> {
        self.delegate
    }

    /// Takes note of which options were given.
    pub(super) fn note(&mut self, given: Vec<String>) {
        self.given = given;
    }

    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let decided = DECIDED
            .iter()
            .find(|option| self.given.iter().any(|given| given == *option));
        if let Some(option) = decided {
            let option = option.replace('_', "-");
            return Err(usage(format!("--{option} is decided by the earlier run")));
        }
        let mut delegate = *self.delegate;
        let run = find_run(&delegate.state.open()?, &self.run)?;
        block_on(wait_for_close(&run))??;
        delegate.go_on(Continues {
            run,
            fresh: self.fresh,
            given: self.given,
        });
        delegate.run()
    }
}

/// The options of `continue` that are on the command line; what the environment says in general, the earlier run says in particular.
pub(super) fn given(matches: &ArgMatches) -> Vec<String> {
    let Some(matches) = matches.subcommand_matches("continue") else {
        return Vec::new();
    };
    let is_given = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let ids = matches.ids().map(clap::Id::as_str);
    ids.filter(is_given).map(str::to_owned).collect()
}
