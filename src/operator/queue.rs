//! The order of runs: at most N runs of a state directory at once, in the order of their arrival, over all
//! processes.
//!
//! Every run holds a ticket, a file in `queue/` that is named after its number: `<number>.waiting`, then
//! `<number>.running`. Its owner holds the file's lock (flock), which the kernel lets go of with the process: a ticket
//! that no process holds has no effect and is removed by the next one that sees it. Numbers are given, tickets become running
//! and dead ones are removed under `queue/lock`, which is held for a moment.
//!
//! A waiting operator watches the ticket before its own, and the first one all of them; a process that was killed changes no
//! file, so every waiting operator also polls. A run without a limit never waits, but counts for those that have
//! one.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, io as io_error};
use crate::os::blocking::blocking;
use crate::os::files::private_file;
use crate::os::watch::{FileWatcher, Source, Wakeup};
use crate::record::{self, Store};
use crate::task::name::RunId;

/// How often the first in the queue looks whether a run has died.
const FIRST_LOOKS: Duration = Duration::from_millis(500);
/// How often the others look whether the one before them has.
const OTHERS_LOOK: Duration = Duration::from_secs(5);

/// A run that waits for its place, as its ticket tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// The run's id.
    pub run_id: String,
    /// Its task.
    pub task: String,
    /// The executor of its agent; older versions didn't write it.
    #[serde(default)]
    pub executor: Option<String>,
    /// The path that led to its repository; older versions didn't write it.
    #[serde(default)]
    pub repository: Option<PathBuf>,
    /// Its place among those who wait, from 1.
    #[serde(skip)]
    pub position: usize,
}

impl Store {
    /// The runs that wait for their place, the next one first.
    ///
    /// # Errors
    /// [`record::Error::Io`](crate::record::Error::Io) when the queue can't be listed.
    pub fn load_queue(&self) -> Result<Vec<Queued>, record::Error> {
        let waiting = self.load_places(false)?.into_iter().enumerate();
        let placed = waiting.map(|(index, queued)| Queued {
            position: index + 1,
            ..queued
        });
        Ok(placed.collect())
    }

    /// The runs that have no directory yet: those whose turn has come, of position 0, and those that wait for their place.
    pub(crate) fn load_unbegun(&self) -> Result<Vec<Queued>, record::Error> {
        // First those that wait: one whose turn comes meanwhile is in both.
        let waiting = self.load_queue()?;
        let mut unbegun = self.load_places(true)?;
        unbegun.retain(|run| self.load(&RunId::of_directory(&run.run_id)).is_err());
        unbegun.extend(waiting);
        Ok(unbegun)
    }

    fn load_places(&self, running: bool) -> Result<Vec<Queued>, record::Error> {
        let queue = Queue::of(self.root(), None);
        let tickets = match queue.list() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(|source| record::Error::Io {
                what: "list",
                path: queue.dir.clone(),
                source,
            })?,
        };
        let held = tickets
            .into_iter()
            .filter(|ticket| ticket.running == running);
        let held = held.filter(|ticket| queue.is_held(*ticket));
        let named = held.filter_map(|ticket| {
            let text = fs::read(queue.dir.join(ticket.name())).ok()?;
            serde_json::from_slice(&text).ok()
        });
        Ok(named.collect())
    }
}

/// The tickets of a state directory.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    dir: PathBuf,
    limit: Option<NonZeroUsize>,
}

/// A ticket, as its file's name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticket {
    number: u64,
    running: bool,
}

impl Ticket {
    fn parse(name: &str) -> Option<Self> {
        let (number, state) = name.split_once('.')?;
        Some(Self {
            number: number.parse().ok()?,
            running: match state {
                "running" => true,
                "waiting" => false,
                _ => return None,
            },
        })
    }

    fn name(self) -> String {
        let state = if self.running { "running" } else { "waiting" };
        format!("{:08}.{state}", self.number)
    }
}

/// A ticket of ours; it is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct QueuePlace {
    path: PathBuf,
    ticket: Ticket,
    held: File,
}

impl QueuePlace {
    /// Writes on the ticket whose it is.
    fn sign(&mut self, whose: &Queued) -> io::Result<()> {
        let mut whose = whose.clone();
        // A path that is no text is refused when the run begins.
        whose.repository.take_if(|path| path.to_str().is_none());
        let text = serde_json::to_vec(&whose).expect("a ticket is text");
        self.held.write_all(&text)
    }

    /// Whether its run may begin.
    pub(crate) fn is_running(&self) -> bool {
        self.ticket.running
    }
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the ticket can't be removed");
        }
    }
}

/// How far a ticket is.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// Its run may begin.
    Now,
    /// So many are before it, of whom this is the last.
    After { count: usize, last: Option<Ticket> },
}

impl Queue {
    /// The queue of a state directory, where at most `limit` runs may be at once. It is made on first use.
    pub(crate) fn of(state: &Path, limit: Option<NonZeroUsize>) -> Self {
        let dir = state.join("queue");
        Self { dir, limit }
    }

    /// Takes a ticket, which is a running one if no run has to be waited for.
    pub(crate) async fn enter(&self, whose: Queued) -> Result<QueuePlace, Error> {
        let queue = self.clone();
        blocking(move || {
            let place = queue.take_ticket().and_then(|mut place| {
                place.sign(&whose)?;
                Ok(place)
            });
            place.map_err(io_error("enter the queue"))
        })
        .await
    }

    /// Waits until the ticket is a running one; tells the position, from 1, whenever it has changed.
    pub(crate) async fn wait(
        &self,
        mut place: QueuePlace,
        watch: &Arc<FileWatcher>,
        mut tell: impl FnMut(usize),
    ) -> Result<QueuePlace, Error> {
        let wake = Arc::new(Wakeup::default());
        let mut watched = None;
        let mut told = None;
        loop {
            let queue = self.clone();
            let moved = blocking(move || {
                let turn = queue.advance(&mut place);
                turn.map(|turn| (place, turn))
                    .map_err(io_error("move up in the queue"))
            });
            let turn;
            (place, turn) = moved.await?;
            let Turn::After { count, last } = turn else {
                return Ok(place);
            };
            if told != Some(count) {
                told = Some(count);
                tell(count + 1);
            }
            let pace = match last {
                Some(_) => OTHERS_LOOK,
                None => FIRST_LOOKS,
            };
            if watched.as_ref().is_none_or(|(of, _)| *of != last) {
                let name = last.map(Ticket::name);
                let part = (Source::Queue, &wake);
                // It marks at once: what happened since the look is not missed.
                watched = Some((last, watch.watch(&self.dir, name.as_deref(), part)?));
            }
            tokio::select! {
                () = wake.notified() => {}
                () = tokio::time::sleep(pace) => {}
            }
        }
    }

    fn take_ticket(&self) -> io::Result<QueuePlace> {
        match DirBuilder::new().mode(0o700).create(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let _alone = self.lock()?;
        let tickets = self.list()?;
        let before = self.count_before(u64::MAX, &tickets)?;
        let ticket = Ticket {
            number: tickets.last().map_or(1, |last| last.number + 1),
            running: self.limit.is_none() || before.is_none(),
        };
        let path = self.dir.join(ticket.name());
        let held = private_file().create_new(true).open(&path)?;
        held.lock()?;
        Ok(QueuePlace { path, ticket, held })
    }

    /// Makes the ticket a running one, if it is its turn.
    fn advance(&self, place: &mut QueuePlace) -> io::Result<Turn> {
        let number = place.ticket.number;
        let waiting: Vec<Ticket> = self
            .list()?
            .into_iter()
            .filter(|ticket| !ticket.running && ticket.number < number)
            .collect();
        if let Some(last) = waiting.last().filter(|last| self.is_held(**last)) {
            return Ok(Turn::After {
                count: waiting.len(),
                last: Some(*last),
            });
        }
        let _alone = self.lock()?;
        let tickets = self.list()?;
        if let Some(turn) = self.count_before(number, &tickets)? {
            return Ok(turn);
        }
        let running = Ticket {
            running: true,
            ..place.ticket
        };
        let path = self.dir.join(running.name());
        fs::rename(&place.path, &path)?;
        (place.path, place.ticket) = (path, running);
        Ok(Turn::Now)
    }

    /// Whom a ticket of that number has to wait for; removes dead tickets. The queue's lock is held.
    fn count_before(&self, number: u64, tickets: &[Ticket]) -> io::Result<Option<Turn>> {
        let mut live = Vec::new();
        for ticket in tickets.iter().filter(|ticket| ticket.number != number) {
            if self.is_held(*ticket) {
                live.push(*ticket);
                continue;
            }
            match fs::remove_file(self.dir.join(ticket.name())) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let mut waiting = live
            .iter()
            .filter(|ticket| !ticket.running && ticket.number < number);
        let (count, last) = (waiting.clone().count(), waiting.next_back().copied());
        let running = live.iter().filter(|ticket| ticket.running).count();
        let free = self.limit.is_none_or(|limit| running < limit.get());
        Ok((count > 0 || !free).then_some(Turn::After { count, last }))
    }

    /// The tickets in the order of their numbers, dead ones too.
    fn list(&self) -> io::Result<Vec<Ticket>> {
        let mut tickets = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            tickets.extend(entry?.file_name().to_str().and_then(Ticket::parse));
        }
        tickets.sort_by_key(|ticket| ticket.number);
        Ok(tickets)
    }

    /// Returns whether a process holds it; one that disappeared in the meantime isn't held.
    fn is_held(&self, ticket: Ticket) -> bool {
        match File::open(self.dir.join(ticket.name())) {
            Ok(file) => matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)),
            // It can't be looked at: to take it for dead would let too many run.
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    fn lock(&self) -> io::Result<File> {
        let file = private_file().create(true).open(self.dir.join("lock"))?;
        file.lock()?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(dir: &tempfile::TempDir, limit: usize) -> Queue {
        Queue::of(dir.path(), NonZeroUsize::new(limit))
    }

    fn whose(number: usize) -> Queued {
        Queued {
            run_id: format!("20260101-000000-t{number}-0a1b"),
            task: format!("t{number}"),
            executor: None,
            repository: None,
            position: 0,
        }
    }

    fn names(queue: &Queue) -> Vec<String> {
        let tickets = queue.list().expect("listed");
        tickets.into_iter().map(Ticket::name).collect()
    }

    #[test]
    fn who_waits_is_told_by_the_tickets() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(dir.path()).expect("opens");
        assert_eq!(store.load_queue().expect("listed"), []);
        let queue = queue(&dir, 1);
        let mut places: Vec<QueuePlace> = (0..3)
            .map(|_| queue.take_ticket().expect("a ticket"))
            .collect();
        for (number, place) in places.iter_mut().enumerate() {
            place.sign(&whose(number)).expect("written");
        }
        let waiting = store.load_queue().expect("listed");
        let found: Vec<_> = waiting
            .iter()
            .map(|queued| (queued.task.as_str(), queued.position))
            .collect();
        assert_eq!(found, [("t1", 1), ("t2", 2)]);
        let unbegun = || {
            let unbegun = store.load_unbegun().expect("listed").into_iter();
            unbegun.map(|run| run.task).collect::<Vec<_>>()
        };
        assert_eq!(unbegun(), ["t0", "t1", "t2"]);
        let id = RunId::of_directory(&whose(0).run_id);
        let _begun = store.create(&id).expect("a directory");
        assert_eq!(unbegun(), ["t1", "t2"]);
        drop(places.remove(1));
        assert_eq!(store.load_queue().expect("listed").len(), 1);
    }

    #[test]
    fn tickets_move_up_in_the_order_of_their_numbers() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let queue = queue(&dir, 2);
        let mut places: Vec<QueuePlace> = (0..4)
            .map(|_| queue.take_ticket().expect("a ticket"))
            .collect();
        let running: Vec<bool> = places.iter().map(QueuePlace::is_running).collect();
        assert_eq!(running, [true, true, false, false]);
        let turn = queue.advance(&mut places[3]).expect("looked");
        let last = Some(places[2].ticket);
        assert_eq!(turn, Turn::After { count: 1, last });
        drop(places.remove(1));
        // There is room, but it is the other's turn.
        assert_ne!(queue.advance(&mut places[2]).expect("looked"), Turn::Now);
        assert_eq!(queue.advance(&mut places[1]).expect("looked"), Turn::Now);
        let turn = queue.advance(&mut places[2]).expect("looked");
        assert_eq!(
            turn,
            Turn::After {
                count: 0,
                last: None
            }
        );
        assert_eq!(
            names(&queue),
            ["00000001.running", "00000003.running", "00000004.waiting"]
        );
        drop(places);
        assert_eq!(names(&queue), [""; 0]);
    }

    #[test]
    fn dead_tickets_hold_nobody_up() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let queue = queue(&dir, 1);
        let first = queue.take_ticket().expect("a ticket");
        for dead in ["00000002.waiting", "00000003.running", "00000004.waiting"] {
            fs::write(dir.path().join("queue").join(dead), b"").expect("written");
        }
        let mut second = queue.take_ticket().expect("a ticket");
        let turn = queue.advance(&mut second).expect("looked");
        assert_eq!(
            turn,
            Turn::After {
                count: 0,
                last: None
            }
        );
        assert_eq!(names(&queue), ["00000001.running", "00000005.waiting"]);
        drop(first);
        assert_eq!(queue.advance(&mut second).expect("looked"), Turn::Now);
    }

    #[test]
    fn who_has_no_limit_waits_for_nobody_and_counts() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (limited, free) = (queue(&dir, 1), queue(&dir, 0));
        let one = limited.take_ticket().expect("a ticket");
        let mut two = limited.take_ticket().expect("a ticket");
        let three = free.take_ticket().expect("a ticket");
        assert!(one.is_running() && !two.is_running() && three.is_running());
        drop(one);
        assert_ne!(limited.advance(&mut two).expect("looked"), Turn::Now);
        drop(three);
        assert_eq!(limited.advance(&mut two).expect("looked"), Turn::Now);
    }

    #[test]
    fn other_files_are_no_tickets() {
        for name in ["lock", "1.walking", "x.waiting", "-1.running", "1"] {
            assert_eq!(Ticket::parse(name), None, "{name}");
        }
    }

    #[tokio::test]
    async fn a_hundred_get_their_places_in_order() {
        const CROWD: usize = 100;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (queue, watch) = (queue(&dir, 3), FileWatcher::new().expect("a watch"));
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let mut tasks = Vec::new();
        for number in 0..CROWD {
            let place = queue.enter(whose(number)).await.expect("a ticket");
            let (queue, watch, sender) = (queue.clone(), Arc::clone(&watch), sender.clone());
            tasks.push(tokio::spawn(async move {
                let mut positions = Vec::new();
                let place = if place.is_running() {
                    place
                } else {
                    queue
                        .wait(place, &watch, |at| positions.push(at))
                        .await
                        .expect("a place")
                };
                let tickets = queue.list().expect("listed");
                let running = tickets.iter().filter(|ticket| ticket.running).count();
                assert!((1..=3).contains(&running), "{running}");
                let mut waiting = tickets.iter().filter(|ticket| !ticket.running);
                let is_after = |waiting: &Ticket| waiting.number > place.ticket.number;
                assert!(waiting.all(is_after), "overtaken: {place:?} of {tickets:?}");
                assert!(positions.is_sorted_by(|a, b| a > b), "{positions:?}");
                sender.send(place).expect("received");
            }));
        }
        for _ in 0..CROWD {
            let next = tokio::time::timeout(Duration::from_secs(20), receiver.recv()).await;
            drop(next.expect("in time").expect("sent"));
        }
        for task in tasks {
            task.await.expect("it ended");
        }
        assert_eq!(names(&queue), [""; 0]);
    }
}
