//! The processes of a rig, found by the rig's directory in their environment or arguments.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

/// A process, as /proc shows it.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Its arguments, for people.
    #[expect(dead_code, reason = "read by the Debug of a failed assertion")]
    command: String,
    environment: Vec<Vec<u8>>,
}

impl Process {
    /// The program that it runs.
    pub(crate) fn program(&self) -> Option<PathBuf> {
        fs::read_link(format!("/proc/{}/exe", self.pid)).ok()
    }

    /// Whether it has that variable with that value.
    pub(crate) fn has(&self, variable: &str) -> bool {
        self.environment
            .iter()
            .any(|pair| pair == variable.as_bytes())
    }
}

/// Every process that names `dir` or something below it, but for this one. What has ended and waits for its parent names nothing.
pub(crate) fn mentioning(dir: &Path) -> Vec<Process> {
    let own = std::process::id();
    let pids = fs::read_dir("/proc").expect("/proc");
    pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| pid != own)
        .filter_map(|pid: u32| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let named =
                contains(&arguments, dir.as_os_str()) || contains(&environment, dir.as_os_str());
            named.then(|| Process {
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

fn contains(text: &[u8], name: &OsStr) -> bool {
    let name = name.as_bytes();
    text.windows(name.len()).any(|part| part == name)
}

/// Kills processes of a rig.
pub(crate) fn kill(processes: &[Process]) {
    for process in processes {
        signal(process.pid, Signal::KILL);
    }
}

/// Sends a signal to a process of the rig; one that has ended needs none.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let _ended_meanwhile = kill_process(pid.expect("a pid"), signal);
}
