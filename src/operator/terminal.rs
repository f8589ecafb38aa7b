//! The agent's own terminal, joined to a run that is driven by requests: on request only, since a run needs none.
//!
//! It is a second window of the run's session, behind the same launcher and with the run's mark, so that whatever ends the
//! run ends it. Its home is in the run's directory: nothing that it writes is the user's.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::agent::conversation::Drive;
use crate::agent::conversation::{Joining, Terminal};
use crate::agent::helper::Helper;
use crate::error::{Error, io as io_error};
use crate::os::files::make_private_directory;
use crate::os::process::Process;
use crate::record::journal::{self, Entry, Progress, Step};
use crate::record::{self, RunDir, Store};
use crate::tmux::{Server, WindowSpec};

/// The name of the window.
pub(crate) const WINDOW: &str = "terminal";
/// The longest wait for the first turn, without which there is nothing to join, and the time between two looks.
const TURN_LIMIT: Duration = Duration::from_secs(10);
const PACE: Duration = Duration::from_millis(50);

/// What the journal tells of the agent's server.
#[derive(Debug, Default)]
struct Served {
    is_by_requests: bool,
    root: Option<Process>,
    /// tmux's id of the run's session.
    tmux_session: String,
    program: PathBuf,
    directory: PathBuf,
    session: Option<String>,
    has_turn: bool,
}

impl Served {
    fn load(run: &RunDir) -> Result<Self, Error> {
        let entries = journal::load(&run.events()).map_err(io_error("read the journal"))?;
        let mut served = Self::default();
        for Entry { progress, .. } in entries {
            served.take(progress);
        }
        Ok(served)
    }

    fn take(&mut self, progress: Progress) {
        match progress {
            Progress::Launched {
                session_id,
                pid,
                pid_start,
                directory,
                argv,
                drive,
                ..
            } => {
                *self = Self {
                    is_by_requests: drive == Some(Drive::Requests),
                    tmux_session: session_id.unwrap_or_default(),
                    root: pid_start.map(|start| Process { pid, start }),
                    program: argv.first().map(PathBuf::from).unwrap_or_default(),
                    directory: directory.unwrap_or_default(),
                    ..Self::default()
                };
            }
            Progress::Connected {
                session_id,
                directory,
                ..
            } => {
                self.session = Some(session_id);
                self.directory = directory.unwrap_or_else(|| self.directory.clone());
            }
            Progress::Submitted { .. } => self.has_turn = true,
            _ => {}
        }
    }
}

/// Whether the run's agent has no terminal, as far as its journal tells.
pub(crate) fn is_headless(run: &RunDir) -> bool {
    load_drive(run) == Some(Drive::Headless)
}

/// Whether it has one on request only.
pub(crate) fn is_by_requests(run: &RunDir) -> bool {
    load_drive(run) == Some(Drive::Requests)
}

/// The name of the run's own session; a run of another agent may have the same task, and a later one the same session.
pub(crate) fn session_of(run: &RunDir) -> Option<String> {
    session_in(journal::load(&run.events()).unwrap_or_default())
}

fn session_in(entries: Vec<Entry>) -> Option<String> {
    let last = entries
        .into_iter()
        .rev()
        .find_map(|entry| match entry.progress {
            Progress::Begun(Step::Session { session, .. })
            | Progress::Done(Step::Session { session, .. }) => Some(Some(session)),
            // Another run has the name.
            Progress::StepFailed {
                step: Step::Session { .. },
                ..
            } => Some(None),
            _ => None,
        });
    last.flatten()
}

fn load_drive(run: &RunDir) -> Option<Drive> {
    let entries = journal::load(&run.events()).unwrap_or_default();
    entries
        .iter()
        .rev()
        .find_map(|entry| match &entry.progress {
            Progress::Launched { drive, .. } => *drive,
            _ => None,
        })
}

/// Opens the terminal of a run that is driven by requests, if it is not open, and shows it to whoever is attached. Does nothing
/// for a run that is driven by keys: that has it.
///
/// # Errors
/// [`Error::Usage`] where no turn begins in time; what tmux refuses.
pub(crate) async fn open(store: &Store, helper: &Helper, run: &RunDir) -> Result<(), Error> {
    let mut served = Served::load(run)?;
    let until = std::time::Instant::now() + TURN_LIMIT;
    while served.is_by_requests && !served.has_turn {
        if std::time::Instant::now() >= until {
            let why =
                "the agent has no turn yet, so that its terminal has nothing to show: try again";
            return Err(Error::Usage(why.to_owned()));
        }
        tokio::time::sleep(PACE).await;
        served = Served::load(run)?;
    }
    let (true, Some(thread), Some(root)) = (served.is_by_requests, &served.session, served.root)
    else {
        return Ok(());
    };
    if !root.is_running() {
        return Ok(());
    }
    let server = Server::at(store.tmux_socket());
    if server.show_window(&served.tmux_session, WINDOW).await? {
        return Ok(());
    }
    let home = run.terminal();
    make_private_directory(&home).map_err(io_error("make the terminal's directory"))?;
    let executor = run
        .load_order()
        .map_err(record_error)?
        .map(|order| order.agent.executor)
        .unwrap_or_default();
    let joining = Joining {
        program: &served.program,
        socket: &run.socket(),
        session: thread,
        home: &home,
    };
    let Some(terminal) = executor.terminal(&joining) else {
        return Ok(());
    };
    let environment = home.join("environment");
    run.write("terminal/environment", &variables(root, &terminal)?)?;
    let spec = WindowSpec {
        session: &served.tmux_session,
        name: WINDOW,
        run_id: run.name(),
        launcher: &helper.launcher(),
        cwd: &served.directory,
        environment: &environment,
        exit_status: &home.join("exit-status"),
        argv: &terminal.argv,
    };
    Ok(server.new_window(&spec).await?)
}

fn record_error(error: record::Error) -> Error {
    error.into()
}

/// The environment of the server, which is the launcher's child, with the terminal's own variables.
fn variables(root: Process, terminal: &Terminal) -> Result<Vec<u8>, Error> {
    let failed = || io_error("read the environment of the agent's server");
    let children = format!("/proc/{0}/task/{0}/children", root.pid);
    let children = fs::read_to_string(children).map_err(failed())?;
    let child = children.split_whitespace().next().unwrap_or("self");
    let environment = Path::new("/proc").join(child).join("environ");
    let environment = fs::read(environment).map_err(failed())?;
    let is_other = |variable: &&[u8]| {
        let own = terminal.environment.iter();
        let mut own = own.map(|(name, _)| format!("{name}="));
        !own.any(|name| variable.starts_with(name.as_bytes()))
    };
    let mut text = Vec::new();
    for variable in environment.split(|byte| *byte == 0).filter(is_other) {
        text.extend_from_slice(variable);
        text.push(0);
    }
    for (name, value) in &terminal.environment {
        text.extend_from_slice(format!("{name}={value}\0").as_bytes());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_session_that_was_refused_is_another_runs() {
        let of = |events: &[&str]| {
            let step = |event: &&str| {
                let step = json!({"at": "2026-01-01T00:00:00.000Z", "event": event, "step": "session", "socket": "/s",
                    "session": "cx-t", "message": "it exists"});
                serde_json::from_value(step).expect("an entry")
            };
            session_in(events.iter().map(step).collect())
        };
        let own = Some("cx-t".to_owned());
        assert_eq!(
            of(&["begun"]),
            own,
            "its operator may have been killed there"
        );
        assert_eq!(of(&["begun", "done"]), own);
        assert_eq!(of(&["begun", "step_failed"]), None);
        assert_eq!(of(&["begun", "step_failed", "begun", "done"]), own);
        assert_eq!(of(&[]), None);
    }
}
