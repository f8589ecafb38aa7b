//! `cx-operator attach`: look into an agent's pane.

use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use crate::Error;
use crate::operator::terminal;
use crate::run::preflight;
use crate::task::name::{TaskName, sessions_of};
use crate::tmux::Server;
use clap::Args;

use super::{State, runtime, usage};

/// Join the agent's terminal in a running task, read-only. Leave with `Ctrl-b d`.
///
/// An agent that is driven by requests gets its terminal when you ask for it, in a window of its own; the run neither needs nor
/// waits for it.
#[derive(Args)]
pub(crate) struct Attach {
    /// The task's name.
    task: String,
    /// Pass your keys to the agent.
    #[arg(long)]
    write: bool,
    #[command(flatten)]
    state: State,
}

impl Attach {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let task = TaskName::parse(&self.task)?;
        let store = self.state.open()?;
        let server = Server::at(store.tmux_socket());
        let running = runtime()?.block_on(server.query_sessions())?;
        let session = sessions_of(&task).find(|session| running.contains(session));
        let run = store.load_runs()?.into_iter().rev();
        let mut run = run.filter(|run| run.task() == Some(task.as_str()));
        let run = run.next();
        let Some(session) = session else {
            if let Some(run) = run.filter(|run| !run.is_closed() && terminal::is_headless(run)) {
                let name = run.name();
                return Err(usage(format!(
                    "the run {name} is headless: it has no terminal (`cx-operator log {task}` tells how far it is)"
                )));
            }
            let names = if running.is_empty() {
                "none".to_owned()
            } else {
                running.join(", ")
            };
            return Err(usage(format!(
                "no run of {task} is in a session; these are: {names}"
            )));
        };
        if !io::stdin().is_terminal() {
            return Err(usage("stdin is not a terminal"));
        }
        if let Some(run) = run {
            let helper = preflight::find_helper(None)?;
            runtime()?.block_on(terminal::open(&store, &helper, &run))?;
        }
        let failed = server.attach_command(&session, self.write).exec();
        Err(Error::Io {
            what: "run tmux".to_owned(),
            source: failed,
        })
    }
}
