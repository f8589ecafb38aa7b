//! One tmux client: what it is run with, and how its answer is read.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::process::{Output, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};
use tmux_interface::Tmux;

use super::Error;
use crate::os::given;
use crate::os::search_path::search_path;

/// The variables that tmux itself needs beside PATH: mostly how characters are written.
const ENVIRONMENT: [&str; 5] = ["HOME", "LANG", "LC_ALL", "LC_CTYPE", "TERM"];

/// Runs a tmux command to its end.
pub(super) async fn execute(
    verb: &'static str,
    tmux: Tmux<'_>,
    input: Option<&[u8]>,
) -> Result<Output, Error> {
    let mut command = tokio::process::Command::from(tmux.into_command());
    let stdin = match input {
        Some(bytes) => whole_file(bytes).map_err(|source| Error::Io { verb, source })?,
        None => Stdio::null(),
    };
    command
        // The first command starts the server, which keeps its environment and shows it to every client: no credential
        // of the caller's has a place there. The agent gets its own from a file. And inside another tmux a client would
        // refuse to nest, or speak to that server.
        .env_clear()
        .envs(
            ENVIRONMENT
                .iter()
                .filter_map(|name| Some((name, given::variable(name)?))),
        )
        .env("PATH", search_path())
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = command.spawn().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::Missing,
        _ => Error::Io { verb, source },
    })?;
    let answer = child.wait_with_output().await;
    answer.map_err(|source| Error::Io { verb, source })
}

/// A file in memory as a child's input: the child reads all of it whatever becomes of us, where a pipe would end
/// in the middle of a prompt.
fn whole_file(bytes: &[u8]) -> io::Result<Stdio> {
    let mut file = File::from(memfd_create("cx-operator", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// The output of tmux, or the reason of its refusal.
pub(super) fn understood(verb: &'static str, output: &Output) -> Result<String, Error> {
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Error::Refused { verb, message })
    }
}

/// Whether tmux says that it has no server.
pub(super) fn no_server(message: &str) -> bool {
    message.contains("no server running")
        || message.contains("error connecting")
        || message.contains("server exited")
}

/// The answer to a command whose object may be gone.
///
/// Source: tmux 3.3a; of any target it says "no current target" where the server has no session at all.
pub(super) fn absent_is_fine(answer: Result<String, Error>) -> Result<(), Error> {
    let absent =
        |message: &str| message.contains("can't find") || message.contains("no current target");
    match answer {
        Err(Error::Refused { message, .. }) if absent(&message) || no_server(&message) => Ok(()),
        other => other.map(drop),
    }
}
