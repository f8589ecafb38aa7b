//! Processes that are ours: waiting for one to end, and ending all that a run started.
//!
//! A process is named by its pid and its start time, so that a pid used again is never mistaken, and
//! signalled by its pidfd, so that it is the one that was looked at. What belongs to a run is in [`family`] and
//! [`cgroup`], how it ends in [`end`]. Linux only: pidfds and /proc.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

pub(crate) use end::{End, RunProcesses, end_run_processes, holds_this_process, members};

pub(crate) mod cgroup;
mod end;
mod family;

/// How long the processes of a run may take to end when they are told to.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// The variable that marks every process of a run with the run's id.
pub(crate) const RUN_VARIABLE: &str = "CX_OPERATOR_RUN";

/// Tells when a process that is not our child ends.
#[derive(Debug)]
pub(crate) struct Exit {
    /// `None` where the process had ended before it could be watched.
    pidfd: Option<AsyncFd<OwnedFd>>,
}

impl Exit {
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        #[expect(
            deprecated,
            reason = "sound for an OwnedFd, which stays open while registered; the successor is unsafe"
        )]
        let register = |fd| AsyncFd::with_interest(fd, Interest::READABLE);
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => Ok(Self {
                pidfd: Some(register(fd)?),
            }),
            Err(rustix::io::Errno::SRCH) => Ok(Self { pidfd: None }),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Returns when the process has ended; at once, if it has.
    pub(crate) async fn wait(&self) {
        if let Some(pidfd) = &self.pidfd {
            let _ready: io::Result<Ready> = pidfd.readable().await.map(|guard| guard.ready());
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        let Some(pidfd) = &self.pidfd else {
            return true;
        };
        let mut fds = [rustix::event::PollFd::new(
            pidfd.get_ref(),
            rustix::event::PollFlags::IN,
        )];
        rustix::event::poll(&mut fds, Some(&rustix::event::Timespec::default()))
            .is_ok_and(|ready| ready > 0)
    }
}

/// A process of this boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Clock ticks after boot.
    pub(crate) start: u64,
}

impl Process {
    /// The process that has that pid now.
    pub(crate) fn find(pid: u32) -> Option<Self> {
        Stat::load(pid).map(|stat| Self {
            pid,
            start: stat.start,
        })
    }

    /// Its children that have not ended; none where it has.
    pub(crate) fn children(self) -> Vec<Self> {
        let child = |(pid, stat): (u32, Stat)| Self {
            pid,
            start: stat.start,
        };
        family::children(self).into_iter().map(child).collect()
    }

    /// Whether that very process runs; a zombie doesn't.
    pub(crate) fn is_running(self) -> bool {
        Stat::load(self.pid).is_some_and(|stat| stat.start == self.start && !stat.is_dead())
    }

    /// Sends a signal to that very process, if it runs.
    ///
    /// The pidfd is opened before the look at the start time: if that is right, then the pidfd is that process.
    pub(crate) fn signal(self, signal: Signal) {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return;
        };
        let pidfd = pidfd_open(pid, PidfdFlags::empty());
        if Stat::load(self.pid).is_none_or(|stat| stat.start != self.start || stat.is_dead()) {
            return;
        }
        let _gone_meanwhile = match pidfd {
            Ok(pidfd) => pidfd_send_signal(&pidfd, signal),
            // No file descriptor is to be had: better a small chance to hit another than to leave this one.
            Err(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => kill_process(pid, signal),
            Err(errno) => Err(errno),
        };
    }
}

/// A line of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug)]
struct Stat {
    state: u8,
    parent: u32,
    group: u32,
    session: u32,
    threads: u32,
    start: u64,
}

impl Stat {
    fn load(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads `pid (command) state ppid pgrp session … threads … starttime …`; the command may hold spaces and
    /// parentheses.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.get(text.rfind(')')? + 2..)?.split(' ').collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let id = |at: usize| u32::try_from(number(at)?).ok();
        Some(Self {
            state: *fields.first()?.as_bytes().first()?,
            parent: id(1)?,
            group: id(2)?,
            session: id(3)?,
            threads: id(17)?,
            start: number(19)?,
        })
    }

    /// Whether it has ended. A process whose first thread alone has ended looks like a zombie, and runs.
    fn is_dead(&self) -> bool {
        self.state == b'X' || (self.state == b'Z' && self.threads <= 1)
    }

    fn is_stopped(&self) -> bool {
        matches!(self.state, b'T' | b't')
    }
}

/// The pids of all processes.
pub(crate) fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The processes of a group that have not ended. As long as there is one, the number is not given to another group.
pub(crate) fn group_members(group: u32) -> Vec<Process> {
    let member = |pid| {
        let stat = Stat::load(pid)?;
        let start = stat.start;
        (stat.group == group && !stat.is_dead()).then_some(Process { pid, start })
    };
    pids().filter_map(member).collect()
}

/// Returns whether a process has the mark of that run in its environment.
pub(crate) fn is_marked(pid: u32, run_id: &str) -> bool {
    let mark = format!("{RUN_VARIABLE}={run_id}");
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mut variables = environment.split(|&byte| byte == 0);
    variables.any(|variable| variable == mark.as_bytes())
}

/// The id of the machine's present boot.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_past_its_command() {
        let line = "42 (a) b (c) S 7 41 40 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 4711 1 1 1";
        let stat = Stat::parse(line).expect("a stat line");
        assert_eq!((stat.state, stat.parent, stat.start), (b'S', 7, 4711));
        assert_eq!((stat.group, stat.session, stat.threads), (41, 40, 3));
        assert!(Stat::parse("42 (a").is_none());
    }

    #[test]
    fn a_zombie_is_dead_unless_a_thread_of_it_runs() {
        let of = |state, threads| {
            let line =
                format!("42 (a) {state} 7 41 40 0 -1 0 1 0 0 0 0 0 0 0 20 0 {threads} 0 4711 1");
            Stat::parse(&line).expect("a stat line")
        };
        assert!(of('Z', 1).is_dead() && of('X', 0).is_dead());
        assert!(!of('Z', 2).is_dead() && !of('T', 1).is_dead());
    }

    #[tokio::test]
    async fn an_exit_is_seen() {
        let mut child = std::process::Command::new("/bin/sh")
            .args(["-c", "read x"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("sh runs");
        let exit = Exit::of(child.id()).expect("watched");
        assert!(!exit.has_ended());
        drop(child.stdin.take());
        tokio::time::timeout(std::time::Duration::from_secs(5), exit.wait())
            .await
            .expect("it ended");
        assert!(exit.has_ended());
        child.wait().expect("reaped");
    }
}
