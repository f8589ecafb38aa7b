//! The server's own process, for when the server can't be asked: its socket was removed, or it was stopped.
//!
//! It is found by its command line, which names our socket for as long as it lives, so neither a journal nor an answer
//! is needed. Linux only: /proc.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::os::process::pids;

/// The name that a tmux server gives itself.
///
/// Source: tmux 3.3a, `/proc/<pid>/comm`.
const NAME: &str = "tmux: server\n";
/// How long a server may take to obey a signal.
const OBEY: Duration = Duration::from_secs(2);
/// How long a server may take from its start to its socket: some milliseconds, on a busy machine.
const STARTING: Duration = Duration::from_secs(1);
/// Between two looks whether it has; each look is evidence, this is only its pace.
const PACE: Duration = Duration::from_millis(2);

/// The server at a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServerProcess(Pid);

impl ServerProcess {
    /// The process whose command line has `-S` and the socket.
    pub(super) fn find(socket: &Path) -> Option<Self> {
        pids()
            .filter_map(|pid| Pid::from_raw(pid.cast_signed()))
            .map(Self)
            .find(|process| process.serves(socket))
    }

    /// The server with that pid.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Pid::from_raw(pid.cast_signed()).map(Self)
    }

    fn serves(self, socket: &Path) -> bool {
        if self.read("comm").as_deref() != Some(NAME.as_bytes()) {
            return false;
        }
        let arguments = self.read("cmdline").unwrap_or_default();
        let arguments: Vec<_> = arguments.split(|&byte| byte == 0).collect();
        arguments
            .windows(2)
            .any(|pair| pair == [b"-S", socket.as_os_str().as_bytes()])
    }

    fn read(self, name: &str) -> Option<Vec<u8>> {
        fs::read(format!("/proc/{}/{name}", self.0.as_raw_nonzero())).ok()
    }

    /// Whether it was stopped by a signal.
    fn is_stopped(self) -> bool {
        let stat = self.read("stat").unwrap_or_default();
        let after = stat.iter().rposition(|&byte| byte == b')');
        after.is_some_and(|at| matches!(stat.get(at + 2), Some(b'T' | b't')))
    }

    fn signal(self, signal: Signal) {
        let _gone_meanwhile = kill_process(self.0, signal);
    }

    /// Lets it go on, where it was stopped.
    pub(super) fn resume(self) {
        if self.is_stopped() {
            tracing::warn!("the tmux server was stopped, and is continued");
            self.signal(Signal::CONT);
        }
    }

    /// Has it create its socket again, unless it is just about to create it. Returns whether it did. A new socket cuts off
    /// the clients that are connecting: of many that start the server at once, one ended with "server exited unexpectedly".
    ///
    /// Source: tmux(1), "If the socket is accidentally removed, the SIGUSR1 signal may be sent to the tmux server process
    /// to recreate it".
    pub(super) async fn recreate(self, socket: &Path) -> bool {
        self.resume();
        if self.wait_for_socket(socket, STARTING).await {
            return true;
        }
        tracing::warn!(socket = %socket.display(), "the tmux server's socket is gone, and is created again");
        self.signal(Signal::USR1);
        self.wait_for_socket(socket, OBEY).await
    }

    async fn wait_for_socket(self, socket: &Path, time: Duration) -> bool {
        let limit = Instant::now() + time;
        while !socket.exists() {
            if !self.serves(socket) || Instant::now() >= limit {
                return false;
            }
            tokio::time::sleep(PACE).await;
        }
        true
    }

    /// Waits until it has ended, as it was told to; killed where it doesn't obey.
    pub(super) async fn wait_for_end(self, socket: &Path) {
        let limit = Instant::now() + OBEY;
        let mut told = false;
        while self.serves(socket) {
            if !told && Instant::now() >= limit {
                told = true;
                self.signal(Signal::KILL);
            } else if Instant::now() >= limit + OBEY {
                return;
            }
            tokio::time::sleep(PACE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_tmux_server_serves() {
        let own = ServerProcess(rustix::process::getpid());
        assert!(!own.serves(Path::new("/nonexistent")) && !own.is_stopped());
        assert_eq!(ServerProcess::find(Path::new("/nonexistent")), None);
    }
}
