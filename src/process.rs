//! Processes that are ours: waiting for one to end, and ending all that a run started.
//!
//! A process is named by its pid and its start time, so that a pid used again is never mistaken. What
//! belongs to a run is found by its own mark in the environment and by descent from the pane's process.
//! Linux only: pidfds and /proc.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

/// The variable that marks every process of a run with the run's id.
pub(crate) const RUN_VARIABLE: &str = "CX_OPERATOR_RUN";

/// Between two looks at processes that were told to end; each look is evidence, this is only its pace.
const PACE: Duration = Duration::from_millis(5);

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

    /// Whether that very process runs; a zombie doesn't.
    pub(crate) fn is_running(self) -> bool {
        Stat::load(self.pid)
            .is_some_and(|stat| stat.start == self.start && !matches!(stat.state, b'Z' | b'X'))
    }

    fn signal(self, signal: Signal) {
        if self.is_running()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            let _gone_meanwhile = kill_process(pid, signal);
        }
    }
}

struct Stat {
    state: u8,
    parent: u32,
    start: u64,
}

impl Stat {
    fn load(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads `pid (command) state ppid … starttime …`; the command may hold spaces and parentheses.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.get(text.rfind(')')? + 2..)?.split(' ');
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        let start = fields.nth(17)?.parse().ok()?;
        Some(Self {
            state,
            parent,
            start,
        })
    }
}

/// The processes of a run: those below `root`, and those that carry the run's mark.
pub(crate) fn find_run_processes(run_id: &str, root: Option<Process>) -> Vec<Process> {
    let mut children: HashMap<u32, Vec<Process>> = HashMap::new();
    let mut found: HashSet<Process> = HashSet::new();
    let mark = format!("{RUN_VARIABLE}={run_id}");
    let own = std::process::id();
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        let Some(stat) = Stat::load(pid).filter(|stat| !matches!(stat.state, b'Z' | b'X')) else {
            continue;
        };
        let process = Process {
            pid,
            start: stat.start,
        };
        children.entry(stat.parent).or_default().push(process);
        let marked = || {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|&byte| byte == 0)
                .any(|variable| variable == mark.as_bytes())
        };
        if pid != own && marked() {
            found.insert(process);
        }
    }
    let mut next: Vec<Process> = found.iter().copied().collect();
    next.extend(root.filter(|root| root.is_running()));
    while let Some(process) = next.pop() {
        found.insert(process);
        let below = children.get(&process.pid).into_iter().flatten();
        next.extend(
            below
                .filter(|child| child.pid != own && !found.contains(child))
                .copied(),
        );
    }
    found.into_iter().collect()
}

/// Ends every process of a run: asked to terminate, killed after `grace` or as soon as the end `is_hurried`,
/// and seen to be gone. Returns those that outlived even that.
pub(crate) async fn end_run_processes(
    run_id: &str,
    root: Option<Process>,
    grace: Duration,
    is_hurried: impl Fn() -> bool,
) -> Vec<Process> {
    let mut signal = Signal::TERM;
    let mut escalation = Instant::now() + grace;
    let limit = escalation + Duration::from_secs(5);
    let mut told: HashSet<Process> = HashSet::new();
    loop {
        // Looked for anew each time: what is told to end may have started something else.
        let running = find_run_processes(run_id, root);
        if running.is_empty() || Instant::now() > limit {
            return running;
        }
        if signal != Signal::KILL && (is_hurried() || Instant::now() >= escalation) {
            signal = Signal::KILL;
            told.clear();
            escalation = limit;
        }
        for process in running {
            if told.insert(process) {
                process.signal(signal);
            }
        }
        tokio::time::sleep(PACE).await;
    }
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
        let line = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1 1";
        let stat = Stat::parse(line).expect("a stat line");
        assert_eq!((stat.state, stat.parent, stat.start), (b'S', 7, 4711));
        assert!(Stat::parse("42 (a").is_none());
    }

    #[tokio::test]
    async fn a_run_ends_with_all_that_it_started() {
        assert_ends(Duration::from_millis(50), false).await;
    }

    #[tokio::test]
    async fn a_hurried_end_waits_for_no_grace() {
        let started = Instant::now();
        assert_ends(Duration::from_secs(60), true).await;
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    async fn assert_ends(grace: Duration, hurried: bool) {
        let id = format!("test-{}", uuid::Uuid::new_v4());
        // A grandchild in a session of its own, which ignores SIGTERM, and whose parent ends at once.
        let script =
            "setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' </dev/null >/dev/null 2>&1 &";
        let status = std::process::Command::new("/bin/sh")
            .args(["-c", script])
            .env(RUN_VARIABLE, &id)
            .status();
        assert!(status.expect("sh runs").success());
        let limit = Instant::now() + Duration::from_secs(5);
        while find_run_processes(&id, None).is_empty() {
            assert!(Instant::now() < limit, "the grandchild appears");
            tokio::time::sleep(PACE).await;
        }
        assert_eq!(end_run_processes(&id, None, grace, || hurried).await, []);
        assert_eq!(find_run_processes(&id, None), []);
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
        tokio::time::timeout(Duration::from_secs(5), exit.wait())
            .await
            .expect("it ended");
        assert!(exit.has_ended());
        child.wait().expect("reaped");
    }
}
