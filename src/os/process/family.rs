//! Which processes are a run's.
//!
//! Those in its cgroup, those below its root (the process that its pane started), those that carry its mark in their
//! environment, those below one of these, and those in a session that one of these opened: a session is handed down, and never joined.
//! What was once seen to belong stays known by its start time, whatever it does to itself later.
//!
//! Never the process that looks nor what it is below: an operator may run in the pane of a run.

use std::collections::{HashMap, HashSet};
use std::fs;

use super::cgroup::Cgroup;
use super::{Process, RunProcesses, Stat, is_marked, pids};

/// A process that belongs to a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) process: Process,
    /// Its process group, where that holds members only, and not the root.
    pub(super) group: Option<u32>,
}

/// The findings of one look.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// All but the root, the newest first.
    pub(super) members: Vec<Member>,
    /// The root, while it runs; not where it is what looks.
    pub(super) root: Option<Process>,
    /// The root, in any case.
    pub(super) adopter: Option<Process>,
    /// Whether the process that looks is below one of them.
    pub(super) inside: bool,
}

/// The processes of a run, looked at again and again.
#[derive(Debug)]
pub(super) struct Family {
    /// The id of the run whose mark the members have.
    mark: Option<String>,
    root: Option<Process>,
    cgroup: Option<Cgroup>,
    known: HashSet<Process>,
    /// Sessions that members opened. Each is forgotten with its last member: its number may be used again.
    sessions: HashSet<u32>,
}

impl Family {
    /// The processes of a run.
    pub(super) fn of_run(run: &RunProcesses<'_>) -> Self {
        Self {
            mark: Some(run.run_id.to_owned()),
            root: run.root,
            cgroup: run.cgroup.clone(),
            known: HashSet::new(),
            sessions: HashSet::new(),
        }
    }

    /// The processes below `root`.
    pub(super) fn below(root: Process) -> Self {
        Self {
            mark: None,
            root: Some(root),
            cgroup: None,
            known: HashSet::new(),
            sessions: HashSet::new(),
        }
    }

    /// The processes as they are now.
    pub(super) fn look(&mut self) -> Look {
        let mut table = Table::load();
        let root = self.root.filter(|root| table.has(*root));
        if let Some(root) = root {
            let born_meanwhile = children(root).into_iter();
            born_meanwhile.for_each(|(pid, stat)| table.add(pid, stat));
        }
        let mut next: Vec<u32> = root.iter().map(|root| root.pid).collect();
        let known = self.known.iter().filter(|known| table.has(**known));
        next.extend(known.map(|known| known.pid));
        let pids = table.stats.keys().copied();
        next.extend(pids.filter(|&pid| self.has_mark(pid)));
        next.extend(self.cgroup.iter().flat_map(Cgroup::members));
        for &session in &self.sessions {
            next.extend(table.continued(session));
        }
        let (found, inside) = table.close(next, root);
        self.remember(&table, &found);
        let others = found
            .iter()
            .filter(|&&pid| root.is_none_or(|root| root.pid != pid));
        let mut members: Vec<Member> = others
            .filter_map(|pid| {
                let stat = table.stats.get(pid)?;
                Some(Member {
                    process: table.process(*pid)?,
                    group: self.own_group(&table, stat),
                })
            })
            .collect();
        members.sort_by_key(|member| std::cmp::Reverse((member.process.start, member.process.pid)));
        Look {
            members,
            root: root.filter(|root| root.pid != table.own),
            adopter: root,
            inside,
        }
    }

    fn has_mark(&self, pid: u32) -> bool {
        let mark = self.mark.as_deref();
        mark.is_some_and(|run_id| is_marked(pid, run_id))
    }

    fn remember(&mut self, table: &Table, found: &HashSet<u32>) {
        let members = || found.iter().filter_map(|pid| table.stats.get(pid));
        self.known = found.iter().filter_map(|pid| table.process(*pid)).collect();
        self.sessions = members()
            .map(|stat| stat.session)
            .filter(|session| found.contains(session) || self.sessions.contains(session))
            .collect();
    }

    fn own_group(&self, table: &Table, stat: &Stat) -> Option<u32> {
        let holds_another = |pid: &u32| {
            let other = table.stats.get(pid);
            other.is_some_and(|other| other.group == stat.group)
        };
        let foreign = table.spared.iter().any(holds_another)
            || self.root.is_some_and(|root| holds_another(&root.pid));
        (self.sessions.contains(&stat.session) && !foreign).then_some(stat.group)
    }
}

/// The children of a process that have not ended; none where it has. Much faster than a look at all processes.
pub(super) fn children(parent: Process) -> Vec<(u32, Stat)> {
    let path = format!("/proc/{0}/task/{0}/children", parent.pid);
    let pids = fs::read_to_string(path).unwrap_or_default();
    let pids = pids.split(' ').filter_map(|pid| pid.parse().ok());
    let stats = pids.filter_map(|pid| Some((pid, Stat::load(pid)?)));
    let children = stats.filter(|(_, stat)| stat.parent == parent.pid && !stat.is_dead());
    let children = children.collect();
    // Only now: if it is still that one, then it was that one all the time.
    match Process::find(parent.pid) {
        Some(now) if now == parent => children,
        _ => Vec::new(),
    }
}

/// Every process of the machine that has not ended.
struct Table {
    stats: HashMap<u32, Stat>,
    children: HashMap<u32, Vec<u32>>,
    sessions: HashMap<u32, Vec<u32>>,
    own: u32,
    /// The process that looks, and all that it is below.
    spared: HashSet<u32>,
}

impl Table {
    fn load() -> Self {
        let mut table = Self {
            stats: HashMap::new(),
            children: HashMap::new(),
            sessions: HashMap::new(),
            own: std::process::id(),
            spared: HashSet::new(),
        };
        for pid in pids() {
            if let Some(stat) = Stat::load(pid).filter(|stat| !stat.is_dead()) {
                table.add(pid, stat);
            }
        }
        let mut above = Some(table.own);
        while let Some(pid) = above.filter(|pid| table.spared.insert(*pid)) {
            above = table.stats.get(&pid).map(|stat| stat.parent);
        }
        table
    }

    fn add(&mut self, pid: u32, stat: Stat) {
        if self.stats.insert(pid, stat).is_none() {
            self.children.entry(stat.parent).or_default().push(pid);
            self.sessions.entry(stat.session).or_default().push(pid);
        }
    }

    fn process(&self, pid: u32) -> Option<Process> {
        let start = self.stats.get(&pid)?.start;
        Some(Process { pid, start })
    }

    fn has(&self, process: Process) -> bool {
        self.process(process.pid) == Some(process)
    }

    /// The processes of a session that members were seen in, unless another has opened one of that number since.
    fn continued(&self, session: u32) -> impl Iterator<Item = u32> {
        let reopened = self.stats.contains_key(&session);
        let members = self.sessions.get(&session).filter(|_| !reopened);
        members.into_iter().flatten().copied()
    }

    /// All that is below `next` or in a session that one of these opened, and whether the process that looks is.
    fn close(&self, mut next: Vec<u32>, root: Option<Process>) -> (HashSet<u32>, bool) {
        let mut found = HashSet::new();
        let mut inside = false;
        while let Some(pid) = next.pop() {
            // The launcher looks for what is below itself.
            let looks_below_itself = pid == self.own && root.is_some_and(|root| root.pid == pid);
            if self.spared.contains(&pid) && !looks_below_itself {
                inside = true;
                continue;
            }
            if !found.insert(pid) {
                continue;
            }
            let Some(stat) = self.stats.get(&pid) else {
                continue;
            };
            let children = self.children.get(&pid).into_iter().flatten();
            let session = self.sessions.get(&pid).filter(|_| stat.session == pid);
            let below = children.chain(session.into_iter().flatten());
            // A table is not of one instant: what is older than its parent is the child of one that had the number before.
            next.extend(below.filter(|pid| self.is_born_after(**pid, stat)));
        }
        (found, inside)
    }

    fn is_born_after(&self, pid: u32, other: &Stat) -> bool {
        let stat = self.stats.get(&pid);
        stat.is_some_and(|stat| stat.start >= other.start)
    }
}
