//! How the processes of a run end: asked to, then stopped, then killed, and seen to be gone.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;

use super::cgroup::Cgroup;
use super::family::{Family, Look, Member, children};
use super::{Process, Stat};

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
    pub(crate) cgroup: Option<Cgroup>,
}

impl<'a> RunProcesses<'a> {
    /// Those of a run with the directory `dir` whose pane started `root`, where that is known.
    pub(crate) fn of(run_id: &'a str, dir: &Path, root: Option<Process>) -> Self {
        Self {
            run_id,
            root,
            cgroup: Cgroup::find(run_id, dir),
        }
    }
}

/// Why processes of a run are left.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum Left {
    #[error("this process is one of the run's, so they can't be ended")]
    Inside,
    #[error("{0} of the run's processes survived SIGKILL")]
    Outlived(usize),
}

/// Ends every process of a run: asked to terminate, killed after `grace` or as soon as the end `is_hurried`,
/// and seen to be gone. Touches nothing where this process is one of them.
pub(crate) async fn end_run_processes(
    run: &RunProcesses<'_>,
    grace: Duration,
    is_hurried: impl Fn() -> bool,
) -> Result<(), Left> {
    let family = Family::of_run(run);
    let mut end = End::new(family, run.cgroup.clone(), grace);
    loop {
        if let Some(ended) = end.step(&is_hurried) {
            return ended;
        }
        tokio::time::sleep(End::PACE).await;
    }
}

/// The processes of a run as they are now, but for its launcher.
pub(crate) fn members(run: &RunProcesses<'_>) -> HashSet<Process> {
    let look = Family::of_run(run).look();
    let members = look.members.into_iter();
    members.map(|member| member.process).collect()
}

/// Whether this process is one of the run's.
pub(crate) fn holds_this_process(run: &RunProcesses<'_>) -> bool {
    Family::of_run(run).look().inside
}

/// The end of a family, one look at a time.
///
/// The root is told last: it adopts what loses its parent, and by that is what the rest is found by.
pub(crate) struct End {
    family: Family,
    cgroup: Option<Cgroup>,
    /// Looks in a row that found nothing.
    empty_looks: u8,
    /// Whether the caller has a better proof of the end than any look.
    is_watched: bool,
    told: HashSet<Process>,
    stopped: HashSet<Process>,
    /// When those that are told to end are killed.
    escalation: Instant,
    /// When those that are killed must be gone.
    killed_by: Option<Instant>,
}

impl End {
    /// Between two looks at processes that were told to end; each look is evidence, this is only its pace.
    pub(crate) const PACE: Duration = Duration::from_millis(5);

    /// The end of all that is below this process, to which `own` refers. It must reap them between the steps, and is done
    /// when it has no child: the steps go on until their limit.
    pub(crate) fn below(own: Process, grace: Duration) -> Self {
        Self {
            is_watched: true,
            ..Self::new(Family::below(own), None, grace)
        }
    }

    fn new(family: Family, cgroup: Option<Cgroup>, grace: Duration) -> Self {
        Self {
            escalation: Instant::now() + grace,
            killed_by: None,
            family,
            cgroup,
            empty_looks: 0,
            is_watched: false,
            told: HashSet::new(),
            stopped: HashSet::new(),
        }
    }

    /// Looks once, and tells or kills what it finds; `None` while something is left to wait for.
    pub(crate) fn step(&mut self, is_hurried: impl Fn() -> bool) -> Option<Result<(), Left>> {
        // Searched again each time: a process that is ending may have started another one.
        let look = self.family.look();
        let running = look.members.len() + usize::from(look.root.is_some());
        if look.inside {
            return Some(Err(Left::Inside));
        }
        if running > 0 {
            self.empty_looks = 0;
        } else if self.is_proved() {
            return Some(Ok(()));
        }
        let now = Instant::now();
        if self.killed_by.is_none() && (is_hurried() || now >= self.escalation) {
            self.killed_by = Some(now + DYING);
        }
        match self.killed_by {
            None => self.ask(&look),
            Some(limit) if now > limit => return Some(self.give_up(running)),
            Some(limit) => self.kill(&look, now + DYING / 2 > limit),
        }
        None
    }

    /// Whether a look that found nothing is to be believed: once the kernel has removed the cgroup or, without one, with
    /// the second look, since what was born during the first was not in it.
    fn is_proved(&mut self) -> bool {
        self.empty_looks += 1;
        match &self.cgroup {
            _ if self.is_watched => false,
            Some(cgroup) => cgroup.remove(),
            None => self.empty_looks > 1,
        }
    }

    fn give_up(&self, running: usize) -> Result<(), Left> {
        if running > 0 || self.is_watched {
            return Err(Left::Outlived(running));
        }
        let path = self
            .cgroup
            .as_ref()
            .map(|cgroup| cgroup.path().display().to_string());
        tracing::warn!(path, "the run's cgroup can't be removed");
        Ok(())
    }

    /// Asks each once; a stopped one is continued, or it could not obey.
    fn ask(&mut self, look: &Look) {
        for member in &look.members {
            self.ask_one(member.process);
        }
        if let Some(root) = look.root.filter(|_| look.members.is_empty()) {
            self.ask_one(root);
        }
    }

    fn ask_one(&mut self, process: Process) {
        if self.told.insert(process) {
            process.signal(Signal::TERM);
            process.signal(Signal::CONT);
        }
    }

    /// Stops each at first sight, so that nothing forks or replaces what dies beside it, and kills it at the next.
    fn kill(&mut self, look: &Look, late: bool) {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
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
        if let Some(root) = look.root {
            self.end_root(root, look.members.is_empty(), late);
        }
        if let Some(adopter) = look.adopter {
            self.chase(adopter);
        }
    }

    /// Asks the root, once it seems to be alone: it ends by itself when it has no child, which it knows better than any
    /// look. Where it is late, it may itself be what starts the others, or be hung: it is stopped, which keeps it
    /// from nothing but that, and killed when it has no child.
    fn end_root(&mut self, root: Process, alone: bool, late: bool) {
        if late {
            root.signal(Signal::STOP);
            if alone && children(root).is_empty() {
                root.signal(Signal::KILL);
            }
        } else if alone {
            self.ask_one(root);
        }
    }

    /// Stops what is adopted just now: a chain of processes each of which forks and ends is never where a look at
    /// all processes saw it.
    fn chase(&mut self, adopter: Process) {
        for _ in 0..CHASES {
            for (pid, stat) in children(adopter) {
                let start = stat.start;
                let child = Process { pid, start };
                if self.stopped.insert(child) {
                    child.signal(Signal::STOP);
                }
            }
        }
    }
}

/// Kills a process group at once, so that none of it forks in the meantime; one that is stopped is in it, and so it is what
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
