//! A program that is asked about itself.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use crate::os::search_path::{find_program, is_executable};

/// How long a question to the program may take.
const QUERY_LIMIT: Duration = Duration::from_secs(15);
/// How long the rest of an answer may take, once the program has ended.
const REST_LIMIT: Duration = Duration::from_millis(500);
/// Of an answer so much is read; codex's catalogue of models takes a tenth of it.
const ANSWER_LIMIT: u64 = 4 * 1024 * 1024;
/// A file that somebody still writes is tried so often, with a pause of [`BUSY_PACE`]: an update of the program, say.
const BUSY_TRIES: u32 = 50;
const BUSY_PACE: Duration = Duration::from_millis(10);

/// The program of that path; one that is no more than a name is looked up in a PATH. Absolute; links are kept, since a wrapper may
/// find its package through its own path. `None` where there is none.
pub(crate) fn find(named: &Path, search: Option<&OsStr>) -> Option<PathBuf> {
    let found = if named.components().count() > 1 {
        is_executable(named).then(|| named.to_owned())
    } else {
        find_program(named, search?)
    };
    std::path::absolute(found?).ok()
}

/// The answer.
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// The first line that tells what is wrong.
    pub(crate) fn complaint(&self) -> &str {
        let lines = self.stderr.lines().chain(self.stdout.lines());
        let mut lines = lines.map(str::trim).filter(|line| !line.is_empty());
        lines.next().unwrap_or("it said nothing")
    }
}

/// Runs the program to its end, [`QUERY_LIMIT`] at most, in that environment alone. What it started ends with it: a wrapper's
/// child, too, that holds on to the output. A program that a signal ended is asked once more: somebody meant another process of
/// its name, or the machine had no memory left.
///
/// # Errors
/// Why there is no answer, in words.
pub(crate) async fn ask(
    program: &Path,
    arguments: &[&str],
    environment: &[(String, String)],
    directory: &Path,
) -> Result<Said, String> {
    let asked = || ask_once(program, arguments, environment, directory);
    let said = asked().await?;
    if said.status.signal().is_none() {
        return Ok(said);
    }
    asked().await
}

async fn ask_once(
    program: &Path,
    arguments: &[&str],
    environment: &[(String, String)],
    directory: &Path,
) -> Result<Said, String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = spawn(&mut command)
        .await
        .map_err(|error| error.to_string())?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let read = async {
        tokio::join!(read(out, &mut stdout), read(err, &mut stderr));
    };
    let ended = async {
        let status = child.wait().await;
        drop(group);
        status
    };
    let status = tokio::time::timeout(QUERY_LIMIT, async {
        tokio::pin!(read, ended);
        tokio::select! {
            status = &mut ended => {
                // The rest of what it said; a process that left the group may hold the pipes open.
                let _as_far_as_it_came = tokio::time::timeout(REST_LIMIT, read).await;
                status
            }
            () = &mut read => ended.await,
        }
    });
    let status = status
        .await
        .map_err(|_elapsed| format!("no answer within {QUERY_LIMIT:?}"))?
        .map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said {
        status,
        stdout: text(&stdout),
        stderr: text(&stderr),
    })
}

/// Starts it, as soon as nobody writes its file any more.
async fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut tries = 0;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => {
                tries += 1;
                tokio::time::sleep(BUSY_PACE).await;
            }
            started => return started,
        }
    }
}

/// A process group that ends when this is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _has_ended = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) {
    if let Some(pipe) = pipe {
        let _as_far_as_it_goes = pipe.take(ANSWER_LIMIT).read_to_end(into).await;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_program_that_was_killed_is_asked_once_more() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("program");
        let ask = async |script: &str| {
            fs::write(&path, script).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
            let environment = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
            let said = ask(&path, &[], &environment, dir.path()).await;
            said.expect("an answer")
        };
        let once = "#!/bin/sh\nmkdir killed 2>/dev/null && kill -9 $$\necho here\n";
        assert_eq!(ask(once).await.stdout, "here\n");
        let always = "#!/bin/sh\necho asked >> times\nkill -9 $$\n";
        assert_eq!(ask(always).await.status.signal(), Some(9));
        let times = fs::read_to_string(dir.path().join("times")).expect("it ran");
        assert_eq!(times.lines().count(), 2);
    }

    #[tokio::test]
    async fn a_program_that_is_being_written_is_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("program");
        fs::write(&path, "#!/bin/sh\necho here\n").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
        let writing = fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .expect("open");
        let asked = ask(&path, &[], &[], dir.path());
        let written = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            drop(writing);
        };
        let (said, ()) = tokio::join!(asked, written);
        assert_eq!(said.expect("an answer").stdout, "here\n");
    }
}
