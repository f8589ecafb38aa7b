//! Runs the git program: the one place that builds its command line and its environment.
//!
//! Owns each call of git and its end. Imported by the files of this module that ask git; imports `error`, and the
//! search path of `os`.
//!
//! Invariants: no hook, monitor, pager, prompt or housekeeping runs; no variable of the caller's leads git elsewhere;
//! no call is without a limit of time, and what git started ends with it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use crate::os::given;
use crate::os::search_path::search_path;

/// Long enough for a checkout of millions of files on a slow disk; git itself has no limit.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// Between two looks at whether it shall stop.
const PACE: Duration = Duration::from_millis(50);
/// How much of git's own words is in an error, in bytes.
const STDERR_KEPT: usize = 4096;
/// The variables of git that survive: how the user reaches a remote, where their configuration is, and what their
/// filters obey. All others (`GIT_DIR`, `GIT_INDEX_FILE`, `GIT_CONFIG_COUNT`, …) would aim git at something else.
const KEPT: [&str; 7] = [
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_EXEC_PATH",
    "GIT_PROXY_COMMAND",
    "GIT_ATTR_NOSYSTEM",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
];
/// Beginnings of such names.
const KEPT_PREFIXES: [&str; 5] = [
    "GIT_SSH",
    "GIT_SSL_",
    "GIT_HTTP_",
    "GIT_LFS_",
    "GIT_PROTOCOL",
];

/// Who the user is, and when: for commits of theirs.
const IDENTITY: [&str; 6] = [
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_DATE",
];

fn is_kept(name: &str) -> bool {
    KEPT.contains(&name) || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// One call of git on a repository and a work tree that are both given: nothing is searched, no `.git` file is read.
pub(crate) struct Git {
    command: Command,
    verb: &'static str,
    stop: CancellationToken,
    limit: Duration,
    settings: usize,
    /// The destination of stdout, unless it is read.
    output: Option<File>,
}

/// What a git says that writes an object while the user's `git gc` removes the empty directory that it has just made for it.
///
/// Source: git 2.47.3, `write-tree` beside `gc` (`tests/scenarios/scale/git.rs`).
const LOST_DIRECTORY: &str = "unable to create temporary file: No such file or directory";
/// How often a git is run that fails so.
const ATTEMPTS: u32 = 5;

/// How a git ended, and what it said until then.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    /// The end of its complaints.
    pub(super) stderr: String,
}

impl Git {
    pub(crate) fn new(git_dir: &Path, work_tree: &Path, verb: &'static str) -> Self {
        let mut git = Self::searching(work_tree, verb);
        git.command
            .env("GIT_DIR", git_dir)
            .env("GIT_WORK_TREE", work_tree);
        git
    }

    /// A call that finds the repository of `path` by itself, and judges by the user's configuration whether it may be
    /// used.
    pub(super) fn searching(path: &Path, verb: &'static str) -> Self {
        let mut command = Command::new("git");
        for (name, _) in given::variables() {
            let text = name.to_string_lossy();
            if text.starts_with("GIT_") && !is_kept(&text) {
                command.env_remove(name);
            }
        }
        command
            .env("PATH", search_path())
            // A commit is what its id says: libgit2 knows no replacements, and the result must mean the same
            // everywhere.
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            // Messages are shown, never parsed, but a log should read the same everywhere.
            .env("LC_ALL", "C")
            // Never ask: neither on the terminal nor through a window. `true` answers with nothing.
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            // A look must not rewrite the index it looks at.
            .env("GIT_OPTIONAL_LOCKS", "0")
            .current_dir(path)
            .arg("--no-pager");
        for setting in [
            // Code of the repository isn't ours to run.
            "core.hooksPath=/dev/null",
            // Would start a daemon that outlives us.
            "core.fsmonitor=false",
            // Housekeeping in the background, in a repository that isn't ours.
            "gc.auto=0",
            "maintenance.auto=false",
            // One process per core; 50,000 files take 0.66-0.73 s instead of 0.73-0.82 s on two.
            "checkout.workers=0",
            // Index formats that libgit2 can't read.
            "core.splitIndex=false",
            "index.sparse=false",
            "index.skipHash=false",
            // Others may hold a lock on the refs for a while; git tries for 1 s and 0.1 s otherwise.
            "core.packedRefsTimeout=5000",
            "core.filesRefLockTimeout=5000",
            // Would have a checkout mark its files as never changed.
            "core.ignoreStat=false",
            "core.untrackedCache=false",
            // A submodule is reported, not fetched.
            "submodule.recurse=false",
            // stderr is for an error message.
            "advice.detachedHead=false",
        ] {
            command.args(["-c", setting]);
        }
        command.arg(verb);
        Self {
            command,
            verb,
            stop: CancellationToken::new(),
            limit: LIMIT,
            settings: 0,
            output: None,
        }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Uses another index file than that of the repository.
    pub(super) fn index(mut self, path: &Path) -> Self {
        self.command.env("GIT_INDEX_FILE", path);
        self
    }

    /// Writes in the caller's name, as their variables and settings tell it.
    pub(super) fn of_caller(mut self) -> Self {
        for name in IDENTITY {
            if let Some(value) = given::variable(name) {
                self.command.env(name, value);
            }
        }
        self
    }

    /// Sets a variable of git's environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Overrides a setting of the user's and of the repository.
    pub(crate) fn setting(self, name: &str, value: &str) -> Self {
        let count = self.settings;
        let mut git = self
            .env(&format!("GIT_CONFIG_KEY_{count}"), name)
            .env(&format!("GIT_CONFIG_VALUE_{count}"), value)
            .env("GIT_CONFIG_COUNT", (count + 1).to_string());
        git.settings = count + 1;
        git
    }

    /// Ends git, and what it started, when `stop` is cancelled.
    pub(super) fn stop(mut self, stop: &CancellationToken) -> Self {
        self.stop = stop.clone();
        self
    }

    /// Ends it so when it takes longer than that.
    pub(super) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs git with `input` on stdin and returns what it wrote to stdout.
    pub(crate) fn query_output(self, input: Vec<u8>) -> Result<Vec<u8>, Error> {
        let verb = self.verb;
        self.query_end(input)?.into_output(verb)
    }

    /// Runs git with `input` on stdin, however it ends. Where the user's housekeeping was in its way, again.
    pub(super) fn query_end(mut self, input: Vec<u8>) -> Result<Ended, Error> {
        let is_read = self.output.is_none();
        for _ in 1..ATTEMPTS {
            let ended = self.run(input.clone())?;
            if ended.status.success() || !is_read || !ended.stderr.contains(LOST_DIRECTORY) {
                return Ok(ended);
            }
        }
        self.run(input)
    }

    fn run(&mut self, input: Vec<u8>) -> Result<Ended, Error> {
        let verb = self.verb;
        let failed = |source| Error::GitNotStarted { verb, source };
        let stdin = if input.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        };
        let child = self
            .command
            .stdin(stdin)
            .stdout(self.output.take().map_or_else(Stdio::piped, Stdio::from))
            .stderr(Stdio::piped())
            // A group of its own, so that filters end with it.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let group = Pid::from_child(&child);
        let output = converse(child, input)
            .map_err(failed)
            .and_then(|said| wait(&said, verb, self.limit, &self.stop))
            // Fails only when git and all it started are gone already.
            .inspect_err(|_| _ = kill_process_group(group, Signal::KILL))?;
        Ok(Ended {
            status: output.status,
            stdout: output.stdout,
            stderr: tail(&output.stderr),
        })
    }

    /// Runs git with its stdout in a file.
    pub(crate) fn write_output(mut self, to: File) -> Result<(), Error> {
        self.output = Some(to);
        self.query_output(Vec::new()).map(drop)
    }

    /// The command itself, for a conversation with git.
    pub(super) fn into_command(self) -> Command {
        self.command
    }
}

impl Ended {
    /// Its stdout, unless it ended with an error.
    pub(super) fn into_output(self, verb: &'static str) -> Result<Vec<u8>, Error> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        Err(Error::GitFailed {
            verb,
            status: self.status,
            stderr: self.stderr,
        })
    }
}

/// Gives git its input and reads what it says, each on a thread: no pipe waits for another.
fn converse(mut child: Child, input: Vec<u8>) -> io::Result<Receiver<io::Result<Output>>> {
    // A thread may be refused like a process: an error, where `thread::spawn` would panic.
    let thread = || thread::Builder::new().name("git".to_owned());
    if let Some(mut stdin) = child.stdin.take() {
        // A git that fails early closes the pipe: its status tells more than the broken pipe.
        thread().spawn(move || stdin.write_all(&input))?;
    }
    let (said, ended) = mpsc::channel();
    // The receiver is gone after the limit; nothing waits for this then.
    thread().spawn(move || said.send(child.wait_with_output()))?;
    Ok(ended)
}

/// Waits for what git has to say.
fn wait(
    said: &Receiver<io::Result<Output>>,
    verb: &'static str,
    limit: Duration,
    stop: &CancellationToken,
) -> Result<Output, Error> {
    let until = Instant::now() + limit;
    loop {
        match said.recv_timeout(PACE) {
            Ok(output) => return output.map_err(|source| Error::GitNotStarted { verb, source }),
            Err(_) if stop.is_cancelled() => return Err(Error::Stopped),
            Err(RecvTimeoutError::Timeout) if Instant::now() < until => {}
            Err(_) => return Err(Error::GitTimedOut { verb, limit }),
        }
    }
}

/// The last [`STDERR_KEPT`] bytes.
fn tail(said: &[u8]) -> String {
    let from = said.len().saturating_sub(STDERR_KEPT);
    String::from_utf8_lossy(&said[from..]).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_a_remote_or_a_filter_is_kept_and_what_aims_git_elsewhere_is_not() {
        for kept in [
            "GIT_LFS_SKIP_SMUDGE",
            "GIT_SSH_COMMAND",
            "GIT_SSL_CAINFO",
            "GIT_HTTP_USER_AGENT",
            "GIT_CONFIG_GLOBAL",
        ] {
            assert!(is_kept(kept), "{kept}");
        }
        for dropped in [
            "GIT_DIR",
            "GIT_INDEX_FILE",
            "GIT_QUARANTINE_PATH",
            "GIT_CONFIG_PARAMETERS",
            "GIT_CONFIG_COUNT",
            "GIT_OBJECT_DIRECTORY",
            "GIT_COMMON_DIR",
            "GIT_TRACE",
        ] {
            assert!(!is_kept(dropped), "{dropped}");
        }
    }

    #[test]
    fn only_the_end_of_a_long_complaint_is_kept() {
        let long = [vec![b'a'; 100_000], b"the reason\n".to_vec()].concat();
        let tail = tail(&long);
        assert!(tail.ends_with("the reason"));
        assert!(tail.len() <= STDERR_KEPT);
    }

    #[test]
    fn a_failure_carries_gits_words() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let error = Git::new(dir.path(), dir.path(), "status")
            .query_output(Vec::new())
            .expect_err("there is no repository");
        assert!(
            error.to_string().contains("not a git repository"),
            "{error}"
        );
    }
}
