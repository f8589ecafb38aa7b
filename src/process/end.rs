//! How the processes of a run end: asked to, then stopped, then killed, and seen to be gone.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;

use super::family::{Family, Look, Member};
use super::{Process, Stat};

/// Between two looks at processes that were told to end; each look is evidence, this is only its pace.
const PACE: Duration = Duration::from_millis(5);
/// How long what was killed may take to be gone.
const DYING: Duration = Duration::from_secs(5);
/// How often after one look the root is asked for what it has adopted since.
const CHASES: usize = 50;

/// What the processes of a run are found by.
#[derive(Clone, Debug)]
pub(crate) struct RunProcesses<'a> {
    pub(crate) run_id: &'a str,
    /// The process that the run's pane started.
    pub(crate) root: Option<Process>,
}

/// Why processes of a run are left.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum Left {
    #[error("end the run's processes: this process is one of them")]
    Inside,
    #[error("end the run's processes: {0} outlived SIGKILL")]
    Outlived(usize),
}

/// Ends every process of a run: asked to terminate, killed after `grace` or as soon as the end `is_hurried`,
/// and seen to be gone. Touches nothing where this process is one of them.
pub(crate) async fn end_run_processes(
    run: &RunProcesses<'_>,
    grace: Duration,
    is_hurried: impl Fn() -> bool,
) -> Result<(), Left> {
    let family = Family::of_run(run.run_id, run.root);
    end_family(family, grace, is_hurried).await
}

/// Ends, in the same way, all that is below this process, to which `own` refers; it must reap them meanwhile.
pub(crate) async fn end_below(own: Process, grace: Duration) -> Result<(), Left> {
    end_family(Family::below(own), grace, || false).await
}

async fn end_family(
    family: Family,
    grace: Duration,
    is_hurried: impl Fn() -> bool,
) -> Result<(), Left> {
    let mut end = End::new(family);
    let escalation = Instant::now() + grace;
    let mut killed_by = None;
    loop {
        // Looked for anew each time: what is told to end may have started something else.
        let look = end.family.look();
        let running = look.members.len() + usize::from(look.root.is_some());
        if look.inside {
            return Err(Left::Inside);
        }
        if running == 0 {
            return Ok(());
        }
        if killed_by.is_none() && (is_hurried() || Instant::now() >= escalation) {
            killed_by = Some(Instant::now() + DYING);
        }
        match killed_by {
            None => end.ask(&look),
            Some(limit) if Instant::now() > limit => return Err(Left::Outlived(running)),
            Some(limit) => end.kill(&look, Instant::now() + DYING / 2 > limit),
        }
        tokio::time::sleep(PACE).await;
    }
}

/// The end of a family, which goes on look by look.
///
/// The root is told last: it adopts what loses its parent, and by that is what the rest is found by.
struct End {
    family: Family,
    told: HashSet<Process>,
    stopped: HashSet<Process>,
}

impl End {
    fn new(family: Family) -> Self {
        Self {
            family,
            told: HashSet::new(),
            stopped: HashSet::new(),
        }
    }

    /// Asks each once; what is stopped goes on, or it could not obey.
    fn ask(&mut self, look: &Look) {
        let members = look.members.iter().map(|member| member.process);
        let last = look.root.filter(|_| look.members.is_empty());
        for process in members.chain(last) {
            if self.told.insert(process) {
                process.signal(Signal::TERM);
                process.signal(Signal::CONT);
            }
        }
    }

    /// Stops each at first sight, so that nothing forks or replaces what dies beside it, and kills it at the next.
    /// Where it is `late`, the root waits for none: it may itself be what starts the others.
    fn kill(&mut self, look: &Look, late: bool) {
        for member in &look.members {
            if self.stopped.insert(member.process) {
                member.process.signal(Signal::STOP);
                continue;
            }
            if let Some(group) = member.group {
                kill_group(member, group);
            }
            member.process.signal(Signal::KILL);
        }
        match look.root {
            Some(root) if late || look.members.is_empty() => root.signal(Signal::KILL),
            _ => {}
        }
        if let Some(adopter) = look.adopter {
            self.chase(adopter);
        }
    }

    /// Stops what is adopted just now: a chain of processes each of which forks and ends is never where a look at
    /// all processes saw it.
    fn chase(&mut self, adopter: Process) {
        let path = format!("/proc/{0}/task/{0}/children", adopter.pid);
        for _ in 0..CHASES {
            let Ok(children) = fs::read_to_string(&path) else {
                return;
            };
            let pids = children.split(' ').filter_map(|pid| pid.parse().ok());
            let news: Vec<Process> = pids
                .filter(|&pid| Stat::load(pid).is_some_and(|stat| stat.parent == adopter.pid))
                .filter_map(Process::find)
                .collect();
            if Process::find(adopter.pid) != Some(adopter) {
                return;
            }
            for child in news {
                if self.stopped.insert(child) {
                    child.signal(Signal::STOP);
                }
            }
        }
    }
}

/// Kills a process group at once, so that none of it forks meanwhile; one that is stopped is in it, and so it is what
/// has that number.
fn kill_group(member: &Member, group: u32) {
    let stat = Stat::load(member.process.pid);
    let pinned = stat.is_some_and(|stat| {
        stat.start == member.process.start && stat.is_stopped() && stat.group == group
    });
    if pinned && let Some(group) = i32::try_from(group).ok().and_then(Pid::from_raw) {
        let _gone_meanwhile = kill_process_group(group, Signal::KILL);
    }
}

#[cfg(test)]
mod tests;
