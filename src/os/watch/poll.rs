//! Looking again and again, where the kernel gives no more watches.
//!
//! Linux allows a user 128 inotify instances, editors take some of them, and every operator process needs one: the
//! 129th looks at its few files itself. One look costs a `stat` for each of them.
//!
//! `notify::PollWatcher` is no substitute: it compares times in whole seconds, so that a second write within one is missed
//! unless it hashes every file, and it reads whole directories at one fixed pace.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Weak};
use std::thread;
use std::time::{Duration, SystemTime};

use super::{Route, Routes, lock};

/// Between two looks while something changes.
const BUSY: Duration = Duration::from_millis(10);
/// Between two looks when nothing has changed for a while.
const QUIET: Duration = Duration::from_millis(160);
/// A change may hide behind an equal time for as long as a clock tick takes: what is younger counts as changed.
const TICK: Duration = Duration::from_millis(20);

/// Whether an error of the watcher's says that the kernel gives no more.
pub(super) fn is_limit(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => true,
        notify::ErrorKind::Io(error) => {
            let limits = [
                rustix::io::Errno::MFILE,
                rustix::io::Errno::NFILE,
                rustix::io::Errno::NOSPC,
            ];
            let code = error.raw_os_error();
            limits
                .iter()
                .any(|limit| code == Some(limit.raw_os_error()))
        }
        _ => false,
    }
}

/// The directories that are looked at.
#[derive(Debug, Default)]
pub(super) struct Poller {
    dirs: Mutex<Dirs>,
}

#[derive(Debug, Default)]
struct Dirs {
    seen: HashMap<PathBuf, HashMap<Option<OsString>, FileState>>,
    thread: bool,
}

/// A file or a directory as it was: its length and the time of its change; `None` where it wasn't there.
type FileState = Option<(u64, SystemTime)>;

impl Poller {
    /// Looks at a directory from now on.
    pub(super) fn add(self: &std::sync::Arc<Self>, dir: &Path, routes: &Routes) {
        let mut dirs = lock(&self.dirs);
        dirs.seen.insert(dir.to_owned(), HashMap::new());
        if !std::mem::replace(&mut dirs.thread, true) {
            let (poller, routes) = (
                std::sync::Arc::downgrade(self),
                std::sync::Arc::downgrade(routes),
            );
            thread::spawn(move || look_on(&poller, &routes));
        }
    }

    /// Stops polling it. Returns whether it was polled.
    pub(super) fn remove(&self, dir: &Path) -> bool {
        lock(&self.dirs).seen.remove(dir).is_some()
    }

    /// Marks what has changed since the last look; `None` where there is nothing to look at any more.
    fn look(&self, routes: &Routes) -> Option<bool> {
        let mut dirs = lock(&self.dirs);
        if dirs.seen.is_empty() {
            dirs.thread = false;
            return None;
        }
        let routes = lock(routes);
        let mut changed = false;
        for (dir, seen) in &mut dirs.seen {
            for route in routes.get(dir).into_iter().flatten() {
                changed |= look_at(dir, route, seen);
            }
        }
        Some(changed)
    }
}

fn look_at(dir: &Path, route: &Route, seen: &mut HashMap<Option<OsString>, FileState>) -> bool {
    let path = match &route.file {
        Some(file) => dir.join(file),
        None => dir.to_owned(),
    };
    let now: FileState = fs::metadata(path)
        .ok()
        .and_then(|meta| Some((meta.size(), meta.modified().ok()?)));
    let young = |(_, at): (u64, SystemTime)| at.elapsed().is_ok_and(|age| age < TICK);
    let changed = seen.get(&route.file) != Some(&now) || now.is_some_and(young);
    seen.insert(route.file.clone(), now);
    if changed {
        route.wake.mark(route.part);
    }
    changed
}

fn look_on(poller: &Weak<Poller>, routes: &Weak<Mutex<HashMap<PathBuf, Vec<Route>>>>) {
    let mut pace = BUSY;
    loop {
        thread::sleep(pace);
        let (Some(poller), Some(routes)) = (poller.upgrade(), routes.upgrade()) else {
            return;
        };
        match poller.look(&routes) {
            Some(true) => pace = BUSY,
            Some(false) => pace = QUIET.min(pace * 2),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;
    use crate::os::watch::{FileWatcher, Source, Wakeup};

    /// Whether the part is marked before the limit.
    async fn is_marked(wake: &Wakeup, part: Source) -> bool {
        let limit = Instant::now() + Duration::from_secs(5);
        while Instant::now() < limit {
            let _woken_for_another_part =
                tokio::time::timeout(Duration::from_millis(100), wake.notified()).await;
            if wake.take(part) {
                return true;
            }
        }
        false
    }

    #[tokio::test]
    async fn without_a_watcher_changes_are_seen_all_the_same() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (signals, wake) = (dir.path().join("signals"), Arc::new(Wakeup::default()));
        fs::create_dir(&signals).expect("made");
        let watch = FileWatcher::without_watcher();
        let whole = watch
            .watch(&signals, None, (Source::Signals, &wake))
            .expect("watched");
        let file = watch
            .watch(dir.path(), Some("pane.log"), (Source::Pane, &wake))
            .expect("watched");
        assert!(
            wake.take(Source::Signals) && wake.take(Source::Pane),
            "the first look is due"
        );
        // What the poller's own first look marks.
        assert!(is_marked(&wake, Source::Pane).await && is_marked(&wake, Source::Signals).await);
        thread::sleep(TICK * 2);
        for round in 0..3 {
            wake.take(Source::Signals);
            fs::write(signals.join(format!("{round}")), b"x").expect("written");
            assert!(is_marked(&wake, Source::Signals).await, "round {round}");
            wake.take(Source::Pane);
            fs::write(dir.path().join("pane.log"), "x".repeat(round + 1)).expect("written");
            assert!(is_marked(&wake, Source::Pane).await, "round {round}");
        }
        drop((whole, file));
        assert!(lock(&watch.poller.dirs).seen.is_empty());
    }
}
