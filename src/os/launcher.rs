//! The program that a pane runs: it starts the agent, and ends after all that the agent started.
//!
//! It is the subreaper of its pane: whatever loses its parent becomes its child, so that nothing that the agent
//! starts leaves the tree below it, whatever that does to its session and its environment. Once the agent has ended,
//! or the pane has, it ends the rest, so that nothing is left even without an operator.
//!
//! Without a terminal it opens a session of its own, so that nothing which its caller's terminal sends reaches the agent.
//!
//! It stays in the agent's process group, as the shell of a terminal's only command would: the agent has the terminal
//! from the start. What the terminal sends to that group (Ctrl-C, a hang-up) does not end it before the agent's
//! status is written.
//!
//! Source: prctl(2), `PR_SET_CHILD_SUBREAPER`, Linux 3.4.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use rustix::process::{WaitOptions, WaitStatus, getpid, set_child_subreaper, setsid, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use thiserror::Error;

use crate::os::files::private_file;
use crate::os::process::{End, GRACE, Process, RUN_VARIABLE, cgroup};

/// The text of an environment file, for [`run`]: `NAME=value` and a NUL for each variable.
///
/// Entries that can't be variables are left out: an empty name, a `=` in a name, a NUL.
#[must_use]
pub fn environment_file(variables: &[(String, String)]) -> String {
    let is_variable = |name: &str, value: &str| {
        !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
    };
    let mut text = String::new();
    for (name, value) in variables {
        if is_variable(name, value) {
            text.push_str(&format!("{name}={value}\0"));
        }
    }
    text
}

/// A start of an agent by its launcher.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LauncherStart<'a> {
    /// The run's id.
    pub(crate) run_id: &'a str,
    /// The first words of the launcher's command line.
    pub(crate) launcher: &'a [String],
    /// The agent's working directory.
    pub(crate) cwd: &'a Path,
    /// The environment file; the launcher removes it.
    pub(crate) environment: &'a Path,
    /// The file for the agent's exit status.
    pub(crate) exit_status: &'a Path,
    /// The run's own cgroup, for the launcher to enter.
    pub(crate) cgroup: Option<&'a Path>,
    /// The program and its arguments.
    pub(crate) argv: &'a [String],
}

/// The files that an agent without a terminal reads and writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streams<'a> {
    pub(crate) stdin: &'a Path,
    pub(crate) stdout: &'a Path,
    pub(crate) stderr: &'a Path,
}

impl LauncherStart<'_> {
    /// The whole command line, in an environment that holds the run's mark alone: a tmux server passes on the environment of
    /// its first client, which may be that of another run.
    pub(crate) fn argv(&self) -> Vec<String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut argv = vec![
            // The absolute path: an agent's PATH is not ours.
            "/usr/bin/env".to_owned(),
            "-i".to_owned(),
            format!("{RUN_VARIABLE}={}", self.run_id),
        ];
        argv.extend_from_slice(self.launcher);
        argv.extend([
            text(self.cwd),
            text(self.environment),
            text(self.exit_status),
            self.cgroup.map_or_else(|| "-".to_owned(), text),
        ]);
        argv.extend_from_slice(self.argv);
        argv
    }

    /// Starts the launcher without a terminal; returns its pid. It outlives us; while we live its end is seen at once.
    ///
    /// # Errors
    /// Whatever opening the files or the start meets.
    pub(crate) fn spawn(&self, streams: &Streams<'_>) -> io::Result<u32> {
        let argv = self.argv();
        let output = |path| private_file().create(true).truncate(true).open(path);
        let child = tokio::process::Command::new(&argv[0])
            .args(&argv[1..])
            .current_dir("/")
            .stdin(fs::File::open(streams.stdin)?)
            .stdout(output(streams.stdout)?)
            .stderr(output(streams.stderr)?)
            .kill_on_drop(false)
            .spawn()?;
        // The runtime reaps it.
        Ok(child.id().expect("nobody has waited for it"))
    }
}

/// The exit status of a launcher that could not start an agent: a shell's "found, but can't be executed".
const CANNOT_START: u8 = 126;
/// A shell's "not found".
const NOT_FOUND: u8 = 127;

/// Why no agent was started.
#[derive(Debug, Error)]
enum Error {
    #[error("usage: cx-helper launch CWD ENVIRONMENT STATUS CGROUP PROGRAM [ARG]...")]
    Usage,
    #[error("{what}: {source}")]
    Io {
        what: &'static str,
        source: io::Error,
    },
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { what, source }
}

/// The parsed command line.
struct Order {
    cwd: PathBuf,
    environment: PathBuf,
    status: PathBuf,
    cgroup: PathBuf,
    program: OsString,
    arguments: Vec<OsString>,
}

impl Order {
    fn parse(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        Some(Self {
            cwd: arguments.next()?.into(),
            environment: arguments.next()?.into(),
            status: arguments.next()?.into(),
            cgroup: arguments.next()?.into(),
            program: arguments.next()?,
            arguments: arguments.collect(),
        })
    }

    /// The agent's command in exactly the environment that the file holds, which is removed before it is used.
    ///
    /// The directory is entered here since tmux would expand `#` in it and, where it can't be entered, start the agent
    /// somewhere else.
    fn command(&self) -> Result<Command, Error> {
        std::env::set_current_dir(&self.cwd).map_err(io_error("enter the working directory"))?;
        let variables =
            fs::read(&self.environment).map_err(io_error("read the environment file"))?;
        let _gone_already = fs::remove_file(&self.environment);
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear();
        command.env("PWD", &self.cwd).envs(parse(&variables));
        Ok(command)
    }

    fn write_status(&self, status: u8) -> io::Result<()> {
        let mut file = private_file()
            .create(true)
            .truncate(true)
            .open(&self.status)?;
        file.write_all(format!("{status}\n").as_bytes())
    }
}

/// The variables of an environment file: `NAME=value` and a NUL each.
fn parse(file: &[u8]) -> impl Iterator<Item = (&OsStr, &OsStr)> {
    file.split(|&byte| byte == 0).filter_map(|variable| {
        let at = variable.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (&variable[..at], &variable[at + 1..]);
        Some((OsStr::from_bytes(name), OsStr::from_bytes(value)))
    })
}

/// Starts the agent and stays until it has ended, with all that it started.
///
/// Arguments: the working directory, the environment file, the status file, the run's cgroup (`-` for none), the
/// program, its arguments. Returns the
/// agent's exit status as a shell reports it, which the status file has too; 126 where it could not be started.
pub fn run(arguments: impl Iterator<Item = OsString>) -> u8 {
    let status = Order::parse(arguments)
        .ok_or(Error::Usage)
        .and_then(|order| {
            let status = launch(&order)?;
            order
                .write_status(status)
                .map_err(io_error("write the exit status"))?;
            Ok(status)
        });
    status.unwrap_or_else(|error| {
        say(&error);
        CANNOT_START
    })
}

/// Prints to the pane.
fn say(error: &Error) {
    let _unheard = writeln!(io::stderr(), "cx-helper launch: {error}");
}

fn launch(order: &Order) -> Result<u8, Error> {
    // In a pane it is the leader of a session already.
    let _opened = setsid();
    // The agent obeys SIGINT and SIGQUIT; their default would end us.
    let heard = [SIGHUP, SIGTERM, SIGCHLD, SIGINT, SIGQUIT];
    let mut signals = Signals::new(heard).map_err(io_error("wait for signals"))?;
    let mut reaper = Reaper {
        agent: 0,
        status: None,
    };
    let mut command = order.command()?;
    set_child_subreaper(Some(getpid())).map_err(|errno| io_error("adopt orphans")(errno.into()))?;
    // Where that is forbidden, the run has none.
    let _entered = cgroup::enter(&order.cgroup);
    match command.spawn() {
        Ok(agent) => reaper.agent = agent.id(),
        Err(source) => {
            let status = match source.kind() {
                io::ErrorKind::NotFound => NOT_FOUND,
                _ => CANNOT_START,
            };
            say(&io_error("start the agent")(source));
            return Ok(status);
        }
    }
    // Its directory may have to be removed before we end.
    let _stays_there = std::env::set_current_dir(Path::new("/"));
    for signal in signals.forever() {
        match signal {
            SIGHUP => reaper.hang_up(),
            SIGTERM => {}
            SIGCHLD if !reaper.reap() || reaper.status.is_some() => {}
            _ => continue,
        }
        break;
    }
    let mut end = End::below(Process::find(std::process::id()).expect("it runs"), GRACE);
    // That no child is left is the kernel's own word for the end.
    while reaper.reap() {
        if let Some(Err(left)) = end.step(|| false) {
            say(&io_error("end the agent's processes")(io::Error::other(
                left,
            )));
            break;
        }
        thread::sleep(End::PACE);
    }
    Ok(reaper.status.unwrap_or(CANNOT_START))
}

/// Takes in what ends below.
struct Reaper {
    agent: u32,
    status: Option<u8>,
}

impl Reaper {
    /// Whether children are left.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if u32::try_from(pid.as_raw_pid()) == Ok(self.agent) {
                        self.status = Some(as_a_shell_tells(status));
                    }
                }
                Ok(None) => return true,
                Err(rustix::io::Errno::INTR) => {}
                Err(_none) => return false,
            }
        }
    }

    /// Tells the agent what the kernel would tell it, if its session's leader ended.
    fn hang_up(&self) {
        if let Some(agent) = Process::find(self.agent) {
            agent.signal(rustix::process::Signal::HUP);
        }
    }
}

fn as_a_shell_tells(status: WaitStatus) -> u8 {
    let code = status
        .exit_status()
        .or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(CANNOT_START)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_file_is_read_as_it_was_written() {
        let variables = [("A", "it's\n$(x)"), ("1X", ""), ("B C", "=d=")];
        let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let text = environment_file(&owned);
        let expected = variables.map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
        assert_eq!(parse(text.as_bytes()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_environment_file_holds_variables_only() {
        let variables = [
            ("A", "it's"),
            ("", "no"),
            ("B=C", "no"),
            ("N", "n\0o"),
            ("1 X", "a\nb"),
        ];
        let text =
            environment_file(&variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(text, "A=it's\x001 X=a\nb\0");
    }
}
