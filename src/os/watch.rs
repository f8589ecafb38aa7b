//! Changes of files, as the kernel reports them.
//!
//! A notification only says that something is worth reading again. A lost notification costs latency, never
//! correctness: each user of this room also reads at intervals.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use strum::VariantArray;
use tokio::sync::Notify;

use poll::Poller;

mod poll;

/// A file that was open for writing is closed.
const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

/// What a run is woken for.
#[derive(Debug, Default)]
pub(crate) struct Wakeup {
    notify: Notify,
    changed: [AtomicBool; Source::VARIANTS.len()],
}

/// What a run waits for and that may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantArray)]
pub(crate) enum Source {
    Signals,
    Transcript,
    Pane,
    Queue,
    Inbox,
}

impl Wakeup {
    fn flag(&self, part: Source) -> &AtomicBool {
        &self.changed[part as usize]
    }

    pub(crate) fn mark(&self, part: Source) {
        self.flag(part).store(true, Ordering::Release);
        self.notify.notify_one();
    }

    pub(crate) fn take(&self, part: Source) -> bool {
        self.flag(part).swap(false, Ordering::AcqRel)
    }

    pub(crate) async fn notified(&self) {
        self.notify.notified().await;
    }
}

#[derive(Debug)]
struct Route {
    id: u64,
    file: Option<OsString>,
    part: Source,
    wake: Arc<Wakeup>,
}

type Routes = Arc<Mutex<HashMap<PathBuf, Vec<Route>>>>;

/// The one file watcher of a process: Linux allows a user 128 of them. What it can't watch is polled.
#[derive(Debug)]
pub(crate) struct FileWatcher {
    /// `None` where the kernel gave none.
    watcher: Mutex<Option<RecommendedWatcher>>,
    poller: Arc<Poller>,
    routes: Routes,
}

impl FileWatcher {
    pub(crate) fn new() -> notify::Result<Arc<Self>> {
        // notify panics where its own may not be had.
        let thread = std::thread::Builder::new().spawn(|| ());
        drop(thread.map_err(notify::Error::io)?.join());
        let routes = Routes::default();
        let for_handler = Arc::clone(&routes);
        let watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
                // Whoever held a lock has let go of it.
                Ok(event) if event.kind == CLOSED => dispatch(&for_handler, &event),
                Ok(event) if event.kind.is_access() => {}
                Ok(event) => dispatch(&for_handler, &event),
                // An overflow names no path: everybody reads again.
                Err(_) => everybody(&for_handler),
            });
        let watcher = match watcher {
            Err(error) if poll::is_limit(&error) => {
                tracing::info!(%error, "no more file watchers are available: polling");
                None
            }
            other => Some(other?),
        };
        Ok(Self::with(watcher, routes))
    }

    fn with(watcher: Option<RecommendedWatcher>, routes: Routes) -> Arc<Self> {
        Arc::new(Self {
            watcher: Mutex::new(watcher),
            poller: Arc::default(),
            routes,
        })
    }

    #[cfg(test)]
    fn without_watcher() -> Arc<Self> {
        Self::with(None, Routes::default())
    }

    /// Reports changes in a directory, of one file in it or of all, until the guard is dropped.
    pub(crate) fn watch(
        self: &Arc<Self>,
        dir: &Path,
        file: Option<&str>,
        (part, wake): (Source, &Arc<Wakeup>),
    ) -> notify::Result<Watched> {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let route = Route {
            id,
            file: file.map(OsString::from),
            part,
            wake: Arc::clone(wake),
        };
        // Never both: notify's thread takes the routes' lock while a watch waits for that thread.
        let mut watcher = lock(&self.watcher);
        let first = {
            let mut routes = lock(&self.routes);
            let here = routes.entry(dir.to_owned()).or_default();
            here.push(route);
            here.len() == 1
        };
        let watched = Watched {
            watch: Arc::clone(self),
            dir: dir.to_owned(),
            id,
        };
        if first {
            let began = watcher
                .as_mut()
                .map(|watcher| watcher.watch(dir, RecursiveMode::NonRecursive));
            match began {
                Some(Err(error)) if !poll::is_limit(&error) => {
                    // The guard takes the watcher's lock.
                    drop(watcher);
                    return Err(error);
                }
                Some(Ok(())) => {}
                Some(Err(_)) | None => self.poller.add(dir, &self.routes),
            }
        }
        drop(watcher);
        // The files that were there before the watch began.
        wake.mark(part);
        Ok(watched)
    }
}

/// Ends the watch of a directory when dropped, unless others watch it.
#[derive(Debug)]
pub(crate) struct Watched {
    watch: Arc<FileWatcher>,
    dir: PathBuf,
    id: u64,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut watcher = lock(&self.watch.watcher);
        let last = {
            let mut routes = lock(&self.watch.routes);
            let here = routes.get_mut(&self.dir);
            let empty = here.is_some_and(|here| {
                here.retain(|route| route.id != self.id);
                here.is_empty()
            });
            empty && routes.remove(&self.dir).is_some()
        };
        if last
            && !self.watch.poller.remove(&self.dir)
            && let Some(watcher) = watcher.as_mut()
        {
            let _removed_with_its_directory = watcher.unwatch(&self.dir);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn dispatch(routes: &Routes, event: &notify::Event) {
    if event.need_rescan() {
        return everybody(routes);
    }
    let routes = lock(routes);
    let is_closed = event.kind == CLOSED;
    for path in &event.paths {
        let (Some(dir), name) = (path.parent(), path.file_name()) else {
            continue;
        };
        for route in routes.get(dir).into_iter().flatten() {
            // All else that was written was told of before.
            let is_any = route.file.is_none() && !is_closed;
            if is_any || route.file.as_deref() == name {
                route.wake.mark(route.part);
            }
        }
    }
}

fn everybody(routes: &Routes) {
    for route in lock(routes).values().flatten() {
        route.wake.mark(route.part);
    }
}
