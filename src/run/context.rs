//! A run, as its end needs to know it.

use std::collections::HashSet;

use crate::agent::ExecutorId;
use crate::agent::conversation::Drive;
use crate::os::process::{Exit, Process};
use crate::record::RunDir;
use crate::record::journal::Journal;
use crate::run::cancel::Cancel;
use crate::run::notify::Notifier;
use crate::task::policy::Keep;
use crate::tmux::{Pane, Server};

/// A run, as its end needs to know it: the operator that made it may be gone.
pub(crate) struct RunContext<'a> {
    pub(crate) dir: &'a RunDir,
    pub(crate) journal: &'a Journal,
    pub(crate) tmux: &'a Server,
    pub(crate) keep: Keep,
    pub(crate) notifier: &'a Notifier,
    pub(crate) cancel: &'a Cancel,
    pub(crate) executor: ExecutorId,
}

/// A started agent.
#[derive(Debug)]
pub(crate) struct Agent {
    /// Its pane; a headless program has none.
    pub(crate) pane: Option<Pane>,
    pub(crate) exit: Exit,
    pub(crate) root: Option<Process>,
    pub(crate) drive: Drive,
    /// The processes that are its server's own: those that ran before its first turn. Not known of a run that was taken over.
    pub(crate) server: HashSet<Process>,
}
