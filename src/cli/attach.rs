//! `cx-operator attach`: look into an agent's pane.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use crate::operator::listing::short_name;
use crate::operator::status::RunStatus;
use crate::operator::terminal;
use crate::operator::waiting::Patience;
use crate::record::RunDir;
use crate::run::preflight;
use crate::task::name::{TaskName, sessions_of};
use crate::tmux::Server;
use crate::{Error, Operator};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use rustix::process::{Pid, Signal, kill_process};

use super::signals::Signals;
use super::{State, advice, block_on, completions, print_text, runtime, safe, usage};

/// How long the end of a run is waited for whose agent has ended.
const COLLECTING: Duration = Duration::from_secs(60);

/// Join the agent's terminal in a running task, read-only. Leave with `Ctrl-b d`. It ends with the run, and says how that ended.
///
/// While the agent works or waits for an answer, its pane has the size of your terminal.
///
/// An agent that is driven by requests gets its terminal when you ask for it, in a window of its own; the run neither needs nor
/// waits for it.
#[derive(Args)]
pub(crate) struct Attach {
    /// The task's name.
    #[arg(add = ArgValueCompleter::new(completions::runs))]
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
        let runs = store.load_runs()?.into_iter().rev();
        let runs = runs.filter(|run| run.task() == Some(task.as_str()));
        let runs: Vec<RunDir> = runs.collect();
        // The newest that is in a session: a newer one may be another agent's, or wait for its place.
        let own = |run: &RunDir| terminal::session_of(run).filter(|own| running.contains(own));
        let shown = runs.iter().find_map(|run| Some((run, own(run)?)));
        let session = shown.as_ref().map(|(_, session)| session.clone());
        let stray = || sessions_of(&task).find(|session| running.contains(session));
        let Some(session) = session.or_else(stray) else {
            if let Some(run) = runs
                .first()
                .filter(|run| !run.is_closed() && terminal::is_headless(run))
            {
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
        let run = shown.map(|(run, _)| run);
        if let Some(run) = run {
            let helper = preflight::find_helper(None)?;
            runtime()?.block_on(terminal::open(&store, &helper, run))?;
        }
        let onlookers = run.map(RunDir::onlookers);
        let note = (onlookers.as_deref(), "Ctrl-b d leaves; the run goes on");
        let command = server.attach_command(&session, self.write, note);
        block_on(look_on(command))??;
        let Some(run) = run else {
            return Ok(ExitCode::SUCCESS);
        };
        let operator = Operator::builder().state_directory(store.root()).build()?;
        block_on(tell_end(&operator, run))?
    }
}

/// Runs tmux on our terminal until the person or the run ends it.
async fn look_on(command: std::process::Command) -> Result<(), Error> {
    let failed = |source| Error::Io {
        what: "run tmux".to_owned(),
        source,
    };
    let mut signals = Signals::catch().map_err(failed)?;
    let mut tmux = tokio::process::Command::from(command)
        .spawn()
        .map_err(failed)?;
    tokio::select! {
        ended = tmux.wait() => ended.map(drop).map_err(failed),
        by = signals.next() => {
            // It puts the terminal back, which nobody would do for us.
            let pid = tmux.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
            if let Some(pid) = pid {
                let _ended_by_itself = kill_process(pid, Signal::TERM);
            }
            drop(tmux.wait().await);
            Err(usage(format!("{by}: nobody looks on any more; the run goes on")))
        }
    }
}

/// Says how the run ended, or that it goes on.
async fn tell_end(operator: &Operator, run: &RunDir) -> Result<ExitCode, Error> {
    let patience = Patience {
        // Its work is collected in the meantime; whoever left while it goes on waits for nothing.
        timeout: (RunStatus::load(run)?.phase == "collecting").then_some(COLLECTING),
        ..Patience::default()
    };
    if patience.timeout.is_some() {
        operator.wait(&[run.id()], patience, |_| ()).await?;
    }
    let status = RunStatus::load(run)?;
    let name = short_name(operator.store(), run);
    let next = if status.phase == "ended" {
        "show"
    } else {
        "attach"
    };
    let words = status.status.replace('_', " ");
    let next = advice(&format!("cx-operator {next} {name}"));
    print_text(&safe(&format!("{words}: {next}\n")))?;
    Ok(ExitCode::SUCCESS)
}
