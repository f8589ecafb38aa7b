//! The processes that name a directory in their environment or arguments: all that runs below it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::wait_for;

/// A process, as /proc shows it.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its arguments, for people.
    pub command: String,
    environment: Vec<Vec<u8>>,
}

impl Process {
    /// The program that it runs.
    #[must_use]
    pub fn program(&self) -> Option<PathBuf> {
        fs::read_link(format!("/proc/{}/exe", self.pid)).ok()
    }

    /// Whether one of its variables begins with that: `NAME=` or `NAME=VALUE`.
    #[must_use]
    pub fn has(&self, variable: &str) -> bool {
        let fits = |pair: &Vec<u8>| pair.starts_with(variable.as_bytes());
        self.environment.iter().any(fits)
    }
}

/// Every process that names `dir` or something below it, but for this one. A zombie names nothing.
///
/// # Panics
/// There is no /proc.
#[must_use]
pub fn mentioning(dir: &Path) -> Vec<Process> {
    let own = std::process::id();
    let pids = fs::read_dir("/proc").expect("/proc");
    pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| pid != own)
        .filter_map(|pid: u32| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let named = [&arguments, &environment].map(|text| names(text, dir.as_os_str()));
            named.contains(&true).then(|| Process {
                pid,
                command: String::from_utf8_lossy(&arguments).replace('\0', " "),
                environment: environment
                    .split(|&byte| byte == 0)
                    .map(<[u8]>::to_vec)
                    .collect(),
            })
        })
        .collect()
}

/// Whether the path is there with its end: `/tmp/1` is not named by `/tmp/10`.
fn names(text: &[u8], path: &OsStr) -> bool {
    let path = path.as_bytes();
    text.windows(path.len())
        .enumerate()
        .filter(|(_, part)| *part == path)
        .any(|(at, _)| {
            let next = text.get(at + path.len());
            next.is_none_or(|byte| !byte.is_ascii_alphanumeric())
        })
}

/// Kills processes.
pub fn kill(processes: &[Process]) {
    for process in processes {
        signal(process.pid, Signal::KILL);
    }
}

/// Sends a signal to a process; one that has ended needs none. After a SIGKILL it has ended: the kernel is asked to end
/// it, and on a busy machine a process has its locks and its connections for a while longer.
///
/// # Panics
/// The pid is 0. It is killed, and lives.
pub fn signal(pid: u32, signal: Signal) {
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let _ended_meanwhile = kill_process(process.expect("a pid"), signal);
    if signal == Signal::KILL {
        wait_for("the end of what was killed", || {
            has_ended(pid).then_some(())
        });
    }
}

/// Whether nothing of a process is left but, at most, its status for its parent: whoever runs the tests may be one that
/// buries nobody.
#[must_use]
pub fn has_ended(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return true;
    };
    // "PID (NAME) STATE PPID ...", the number of threads as the twentieth field; a zombie with a second thread runs.
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let mut fields = rest.split(' ');
    let state = fields.next();
    let threads = fields.nth(16).and_then(|count| count.parse::<u32>().ok());
    state == Some("X") || (state == Some("Z") && threads.is_none_or(|count| count <= 1))
}
