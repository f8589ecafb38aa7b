//! tmux: a server of our own, its sessions and panes.
//!
//! Owns every tmux command line. Refuses the user's server and configuration: the socket is ours and the
//! configuration is `/dev/null`. Commands are built with `tmux_interface`, run by tokio, and aim at ids
//! (`$1`, `%3`), never at names, once a session exists.
//!
//! The output of a pane is pushed: `pipe-pane` appends it to `pane.log`, whose growth the operator's file
//! watcher reports. Measured with tmux 3.3a: `pipe-pane` lost nothing in 200,000 lines, while control
//! mode needs a client per session and says nothing of a pane's death. A pane's death is seen by a pidfd,
//! its exit status by a file that the launcher writes, since tmux 3.3a loses one status in ten.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tmux_interface::{
    DisplayMessage, KillSession, ListSessions, NewSession, PipePane, SetOption, StartServer, Tmux,
    TmuxCommand,
};
use tokio::sync::Semaphore;

use crate::os::files::private_file;
use crate::os::shell::shell_quote;

pub use error::Error;
pub use key::Key;
pub use pane::{Composer, Pane};
pub(crate) use window::WindowSpec;

use client::{absent_is_fine, execute, no_server, understood};
use launch::{escape_format, escape_separator, launcher_argv};
use process::ServerProcess;
use screens::Screens;

mod attach;
mod client;
mod error;
mod fit;
mod key;
mod launch;
mod pane;
mod process;
mod screens;
mod window;

/// The columns and rows of every pane.
pub const SIZE: (usize, usize) = (200, 50);

/// tmux refuses a `new-session` whose arguments exceed its message size of 16 KiB.
///
/// Source: tmux 3.3a, "command too long".
const ARGV_LIMIT: usize = 15_000;

/// How long one tmux command may take: a server that doesn't answer by then is hung.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);
/// A server that doesn't answer for so long may have been stopped: it answers within milliseconds.
const SUSPICION: Duration = Duration::from_secs(1);

/// A format: `1` where the server has no session, else `0`.
const IDLE: &str = "#{?#{S:1},0,1}";

/// tmux answers one client after the other: of more at once the last would wait out their limit.
const CLIENTS: usize = 8;

/// The specification of a session.
#[derive(Clone, Debug)]
pub struct SessionSpec<'a> {
    /// The session's name, free of `.` and `:`.
    pub name: &'a str,
    /// The run's id.
    pub run_id: &'a str,
    /// The first words of the launcher's command line.
    pub launcher: &'a [String],
    /// The agent's working directory.
    pub cwd: &'a Path,
    /// A file of variables (see [`environment_file`](crate::os::launcher::environment_file)); the launcher removes it.
    pub environment: &'a Path,
    /// The file for the agent's exit status: a decimal number and a newline.
    pub exit_status: &'a Path,
    /// The run's own cgroup, for the launcher to enter.
    pub cgroup: Option<&'a Path>,
    /// The file for everything the pane prints.
    pub log: &'a Path,
    /// The program and its arguments.
    pub argv: &'a [String],
}

/// Our own tmux server, named by its socket.
#[derive(Clone, Debug)]
pub struct Server {
    socket: PathBuf,
    /// Shared by the clones, so that one client reads for all of them.
    screens: Arc<Screens>,
    clients: Arc<Semaphore>,
}

impl Server {
    /// The server at `socket`, running or not.
    #[must_use]
    pub fn at(socket: PathBuf) -> Self {
        Self {
            socket,
            screens: Arc::default(),
            clients: Arc::new(Semaphore::new(CLIENTS)),
        }
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Starts the server where none runs, and in it a session with one pane that runs the agent.
    ///
    /// # Errors
    /// [`Error::SessionExists`], [`Error::ArgumentsTooLong`], and what tmux refuses.
    pub async fn new_session(&self, spec: &SessionSpec<'_>) -> Result<Pane, Error> {
        let argv = launcher_argv(spec);
        let bytes = argv.iter().map(|arg| arg.len() + 1).sum();
        if bytes > ARGV_LIMIT {
            return Err(Error::ArgumentsTooLong { bytes });
        }
        let log = escape_format(&shell_quote(&spec.log.to_string_lossy()));
        let mut session = NewSession::new()
            .detached()
            .print()
            .format("#{session_id} #{pane_id} #{pane_pid}")
            .session_name(spec.name)
            .start_directory("/")
            .width(SIZE.0)
            .height(SIZE.1)
            .build();
        for arg in &argv {
            session.push_param(escape_separator(arg));
        }
        let tmux = self
            .tmux()
            .add_command(StartServer::new().build())
            .add_command(option("-s", "exit-empty", "off"))
            .add_command(option("-s", "escape-time", "0"))
            .add_command(option("-g", "status", "off"))
            .add_command(option("-g", "remain-on-exit", "on"))
            .add_command(option("-g", "default-terminal", "screen-256color"))
            .add_command(session)
            .add_command(
                PipePane::new()
                    .open()
                    .shell_command(format!("umask 077; exec cat >>{log}"))
                    .build(),
            )
            // The terminal of a person who attaches must not resize the pane: wrapped dialogs read otherwise. Set for the
            // window, since tmux 3.3a crashes at new-session where it is set for all.
            .add_command(
                SetOption::new()
                    .window()
                    .option("window-size")
                    .value("manual")
                    .build(),
            );
        // Taken shared: `stop_if_idle` must not end the server between its start and our session.
        let _starting = self.lock(Sharing::Shared).await?;
        match self.run("new-session", tmux).await {
            Ok(output) => self.parse_pane(&output, false),
            Err(Error::Refused { message, .. }) if message.contains("duplicate session") => {
                Err(Error::SessionExists {
                    name: spec.name.to_owned(),
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a session of that name is there.
    ///
    /// # Errors
    /// A refusal of tmux, other than having no server.
    pub async fn query_session(&self, name: &str) -> Result<bool, Error> {
        Ok(self
            .query_sessions()
            .await?
            .iter()
            .any(|session| session == name))
    }

    /// The names of all sessions; none where no server runs.
    ///
    /// # Errors
    /// A refusal of tmux, other than having no server.
    pub async fn query_sessions(&self) -> Result<Vec<String>, Error> {
        if !self.is_reachable().await {
            return Ok(Vec::new());
        }
        let list = ListSessions::new().format("#{session_name}").build();
        match self
            .run("list-sessions", self.tmux().add_command(list))
            .await
        {
            Ok(output) => Ok(output.lines().map(str::to_owned).collect()),
            Err(Error::Refused { message, .. }) if no_server(&message) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Ends the session of that name, where there is one, with all that runs in it.
    ///
    /// # Errors
    /// A refusal of tmux, other than the session's absence.
    pub async fn kill_session(&self, name: &str) -> Result<(), Error> {
        let kill = KillSession::new()
            .target_session(format!("={name}"))
            .build();
        absent_is_fine(
            self.run("kill-session", self.tmux().add_command(kill))
                .await,
        )
    }

    /// Whether the session of that name is there and runs what has `mark` in its command line. `mark`: letters, digits,
    /// `.`, `_` and `-`.
    ///
    /// # Errors
    /// A refusal of tmux, other than having no server.
    pub(crate) async fn query_session_of(&self, name: &str, mark: &str) -> Result<bool, Error> {
        if !self.is_reachable().await {
            return Ok(false);
        }
        let format = format!("#{{session_name}} #{{m:*{mark}*,#{{pane_start_command}}}}");
        let list = self
            .tmux()
            .add_command(ListSessions::new().format(format).build());
        match self.run("list-sessions", list).await {
            Ok(output) => Ok(output.lines().any(|line| line == format!("{name} 1"))),
            Err(Error::Refused { message, .. }) if no_server(&message) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The pane of that session id, pane id and pid; `None` where it is gone or another one.
    ///
    /// # Errors
    /// A refusal of tmux, other than the pane's absence.
    pub(crate) async fn find_pane(
        &self,
        session: &str,
        pane: &str,
        pid: u32,
    ) -> Result<Option<Pane>, Error> {
        if !self.is_reachable().await {
            return Ok(None);
        }
        let show = DisplayMessage::new()
            .print()
            .target_pane(pane)
            .message("#{session_id} #{pane_id} #{pane_pid}")
            .build();
        let shown = self
            .run("display-message", self.tmux().add_command(show))
            .await;
        match shown {
            Ok(output) if output.trim() == format!("{session} {pane} {pid}") => {
                // Whoever had it before may have fitted it to a person's terminal.
                self.parse_pane(&output, true).map(Some)
            }
            Ok(_) | Err(Error::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends the server when it holds no session, so that nothing of ours remains.
    ///
    /// # Errors
    /// A refusal of tmux, other than having no server.
    pub async fn stop_if_idle(&self) -> Result<(), Error> {
        if !self.is_reachable().await {
            return Ok(());
        }
        let _alone = self.lock(Sharing::Exclusive).await?;
        // In one call, and with no look at all processes: this is what a run ends with.
        let show = DisplayMessage::new()
            .print()
            .message(format!("#{{pid}} {IDLE}"))
            .build();
        let mut kill = TmuxCommand::new();
        kill.name("if-shell").push_flag("-F");
        kill.push_param(IDLE).push_param("kill-server");
        let tmux = self.tmux().add_command(show).add_command(kill);
        let process = match self.run("kill-server", tmux).await {
            Ok(shown) => match shown.trim().split_once(' ') {
                Some((pid, "1")) => pid.parse().ok().and_then(ServerProcess::of),
                _ => return Ok(()),
            },
            Err(Error::Refused { message, .. }) if no_server(&message) => {
                ServerProcess::find(&self.socket)
            }
            Err(error) => return Err(error),
        };
        // Whoever starts a server next must not meet one that is about to end.
        if let Some(process) = process {
            process.wait_for_end(&self.socket).await;
        }
        let _removed_by_tmux_or_stale = std::fs::remove_file(&self.socket);
        Ok(())
    }

    /// Whether the socket is there: removed from under a running server, it is created again.
    async fn is_reachable(&self) -> bool {
        if self.socket.exists() {
            return true;
        }
        match ServerProcess::find(&self.socket) {
            Some(process) => process.recreate(&self.socket).await,
            None => false,
        }
    }

    fn parse_pane(&self, output: &str, is_fitted: bool) -> Result<Pane, Error> {
        let unexpected = || Error::Unexpected {
            verb: "new-session",
            output: output.to_owned(),
        };
        let mut words = output.split_whitespace();
        let (Some(session), Some(pane), Some(pid), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(unexpected());
        };
        Ok(Pane {
            server: self.clone(),
            session: session.to_owned(),
            id: pane.to_owned(),
            pid: pid.parse().map_err(|_| unexpected())?,
            holder: String::new(),
            is_fitted: Arc::new(AtomicBool::new(is_fitted)),
        })
    }

    /// The options that every command line of ours begins with.
    fn tmux<'a>(&self) -> Tmux<'a> {
        Tmux::new()
            // Without it a client in a C locale prints `_` for every character beyond ASCII.
            .force_utf8()
            // A ~/.tmux.conf can break a driver: destroy-unattached, default-command, …
            .file("/dev/null")
            .socket_path(self.socket.to_string_lossy().into_owned())
    }

    async fn run(&self, verb: &'static str, tmux: Tmux<'_>) -> Result<String, Error> {
        self.run_with_input(verb, tmux, None).await
    }

    async fn run_with_input(
        &self,
        verb: &'static str,
        tmux: Tmux<'_>,
        input: Option<&[u8]>,
    ) -> Result<String, Error> {
        // Where none is there to be reached, tmux itself says so, or starts one.
        self.is_reachable().await;
        let _client = self.clients.acquire().await.expect("it is never closed");
        let answer = execute(verb, tmux, input);
        tokio::pin!(answer);
        let output = match tokio::time::timeout(SUSPICION, &mut answer).await {
            Ok(output) => output?,
            Err(_elapsed) => {
                if let Some(process) = ServerProcess::find(&self.socket) {
                    process.resume();
                }
                let rest = COMMAND_LIMIT - SUSPICION;
                let late = tokio::time::timeout(rest, answer).await;
                late.map_err(|_elapsed| Error::Hung { verb })??
            }
        };
        understood(verb, &output)
    }

    async fn lock(&self, sharing: Sharing) -> Result<File, Error> {
        let path = self.socket.with_extension("lock");
        let locked = tokio::task::spawn_blocking(move || {
            let file = private_file().create(true).truncate(false).open(path)?;
            match sharing {
                Sharing::Shared => file.lock_shared()?,
                Sharing::Exclusive => file.lock()?,
            }
            Ok(file)
        });
        let file: io::Result<File> = locked
            .await
            .unwrap_or_else(|panic| Err(io::Error::other(panic)));
        file.map_err(|source| Error::Io {
            verb: "lock",
            source,
        })
    }
}

#[derive(Clone, Copy)]
enum Sharing {
    Shared,
    Exclusive,
}

/// The version that `tmux -V` prints, for example `3.3a`.
///
/// # Errors
/// [`Error::Missing`] without a tmux on PATH.
pub async fn query_version() -> Result<String, Error> {
    let answer = execute("-V", Tmux::new().version(), None);
    let output = tokio::time::timeout(COMMAND_LIMIT, answer)
        .await
        .map_err(|_elapsed| Error::Hung { verb: "-V" })??;
    let printed = understood("-V", &output)?;
    Ok(printed.trim().trim_start_matches("tmux ").to_owned())
}

/// Whether that version can drive an agent: 3.2 or later.
#[must_use]
pub fn is_recent(version: &str) -> bool {
    let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    let mut numbers = digits
        .split(|c: char| !c.is_ascii_digit())
        .map(|word| word.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(3), Some(minor)) => minor >= 2,
        (Some(major), _) => major > 3,
        // `tmux master` and OpenBSD's `tmux openbsd-7.4` carry no number of their own or a newer one.
        (None, _) => version == "master",
    }
}

fn option<'a>(scope: &'a str, name: &'a str, value: &'a str) -> TmuxCommand<'a> {
    let set = SetOption::new().option(name).value(value);
    if scope == "-s" {
        set.server().build()
    } else {
        set.global().build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_from_3_2_on_will_do() {
        for good in ["3.2", "3.2a", "3.3a", "3.6", "4.0", "next-3.7", "master"] {
            assert!(is_recent(good), "{good}");
        }
        for bad in ["3.1c", "2.9", "1.8", "", "unknown"] {
            assert!(!is_recent(bad), "{bad}");
        }
    }
}
