//! `cx-operator peek`: an agent's screen as text.

use std::process::ExitCode;

use clap::Args;

use super::records::Which;
use super::{block_on, print_text, safe, usage};
use crate::Error;
use crate::operator::terminal::{self, WINDOW};
use crate::tmux::Server;

/// Print what an agent's screen shows at this moment, as text.
///
/// An agent that is driven by requests has a screen once somebody has opened it (`cx-operator attach`, `delegate --show`).
///
/// Example: `cx-operator peek fix-date-parser`
#[derive(Args)]
pub(crate) struct Peek {
    #[command(flatten)]
    which: Which,
}

impl Peek {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let (store, run) = self.which.find()?;
        let (name, task) = (run.name(), run.task().unwrap_or_default());
        if terminal::is_headless(&run) {
            return Err(usage(format!(
                "the run {name} is headless: it has no screen (`cx-operator log {task}` tells how far it is)"
            )));
        }
        let own = terminal::session_of(&run).filter(|_| run.is_alive());
        let server = Server::at(store.tmux_socket());
        let screen = block_on(async {
            let running = server.query_sessions().await?;
            let ended = || usage(format!("the run {name} is in no session: it has no screen"));
            let session = own.filter(|own| running.contains(own)).ok_or_else(ended)?;
            let window = terminal::is_by_requests(&run).then_some(WINDOW);
            let closed = || {
                usage(format!(
                    "{name} is driven by requests, and nobody has opened its screen: `cx-operator attach {task}` does"
                ))
            };
            let screen = server.query_screen_of(&session, window).await?;
            screen.ok_or_else(closed)
        })??;
        print_text(&safe(&format!("{}\n", screen.trim_end())))?;
        Ok(ExitCode::SUCCESS)
    }
}
