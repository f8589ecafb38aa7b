//! Where events come from: the run's signal files and the agent's transcript, as the file watcher reports
//! their changes.
//!
//! A notification only says that something is worth reading again; what is there is read from the files
//! themselves. A lost notification costs latency, never correctness.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::{Event, Standing};
use crate::agent::codex::payload::Payload;
use crate::signals::{self, Kind, SignalFile};
use poll::Poller;

pub(crate) use transcript::{Transcript, wait_for_error};

mod poll;
mod transcript;

/// The most that is shown of a payload that is none.
const EXCERPT: usize = 2_000;
/// What a run is woken for.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    notify: Notify,
    signals: AtomicBool,
    transcript: AtomicBool,
    pane: AtomicBool,
    queue: AtomicBool,
}

/// What a run waits for and that may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Signals,
    Transcript,
    Pane,
    Queue,
}

impl Wake {
    fn flag(&self, part: Part) -> &AtomicBool {
        match part {
            Part::Signals => &self.signals,
            Part::Transcript => &self.transcript,
            Part::Pane => &self.pane,
            Part::Queue => &self.queue,
        }
    }

    pub(crate) fn mark(&self, part: Part) {
        self.flag(part).store(true, Ordering::Release);
        self.notify.notify_one();
    }

    pub(crate) fn take(&self, part: Part) -> bool {
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
    part: Part,
    wake: Arc<Wake>,
}

type Routes = Arc<Mutex<HashMap<PathBuf, Vec<Route>>>>;

/// The one file watcher of a process: Linux allows a user 128 of them. What it can't watch is polled.
#[derive(Debug)]
pub(crate) struct Watch {
    /// `None` where the kernel gave none.
    watcher: Mutex<Option<RecommendedWatcher>>,
    poller: Arc<Poller>,
    routes: Routes,
}

impl Watch {
    pub(crate) fn new() -> notify::Result<Arc<Self>> {
        // notify panics where its own may not be had.
        let thread = std::thread::Builder::new().spawn(|| ());
        drop(thread.map_err(notify::Error::io)?.join());
        let routes = Routes::default();
        let for_handler = Arc::clone(&routes);
        let watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
                Ok(event) if event.kind.is_access() => {}
                Ok(event) => dispatch(&for_handler, &event),
                // An overflow names no path: everybody reads again.
                Err(_) => everybody(&for_handler),
            });
        let watcher = match watcher {
            Err(error) if poll::is_limit(&error) => {
                tracing::info!(%error, "no more file watchers are to be had: polling");
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
        (part, wake): (Part, &Arc<Wake>),
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
        // What was there before the watch began.
        wake.mark(part);
        Ok(watched)
    }
}

/// Ends the watch of a directory when dropped, where nobody else watches it.
#[derive(Debug)]
pub(crate) struct Watched {
    watch: Arc<Watch>,
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
    for path in &event.paths {
        let (Some(dir), name) = (path.parent(), path.file_name()) else {
            continue;
        };
        for route in routes.get(dir).into_iter().flatten() {
            if route.file.is_none() || route.file.as_deref() == name {
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

/// The signal files of a run, each read once.
#[derive(Debug)]
pub(crate) struct Signals {
    dir: PathBuf,
    seen: HashSet<SignalFile>,
    transcripts: HashMap<String, PathBuf>,
}

impl Signals {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            seen: HashSet::new(),
            transcripts: HashMap::new(),
        }
    }

    /// Takes as read what another operator has acted upon: everything up to the prompt of its last turn, and approvals whose
    /// hooks have the decision. Returns the commands of such approvals of that turn. The transcripts that those files name
    /// are known afterwards.
    pub(crate) fn pass_over(&mut self, standing: &Standing) -> Vec<String> {
        let Some(session) = standing.session.as_deref() else {
            return Vec::new();
        };
        let mut events: Vec<(SignalFile, Event)> = Vec::new();
        for file in signals::list(&self.dir).unwrap_or_default() {
            if let Ok(bytes) = fs::read(self.dir.join(file.name())) {
                let event = self.event(&file, &bytes);
                events.push((file, event));
            }
        }
        let is_the_prompt = |(_, event): &(SignalFile, Event)| match event {
            Event::PromptSubmitted {
                session: of,
                turn_id,
                ..
            } => of == session && (standing.turn_id.is_none() || *turn_id == standing.turn_id),
            _ => false,
        };
        let passed = events.iter().rposition(is_the_prompt);
        let passed = passed.map_or(0, |prompt| prompt + 1);
        let mut decided = Vec::new();
        for (at, (file, event)) in events.into_iter().enumerate() {
            let has_decision = || self.dir.join(signals::decision_name(&file)).exists();
            match event {
                _ if at < passed => {}
                Event::PermissionAsked { command, .. } if has_decision() => decided.push(command),
                _ => continue,
            }
            self.seen.insert(file);
        }
        decided
    }

    /// Where a session said that its transcript is.
    pub(crate) fn transcript_of(&self, session: &str) -> Option<&Path> {
        self.transcripts.get(session).map(PathBuf::as_path)
    }

    /// The events of the files that are new, in the order of their writing.
    pub(crate) fn read(&mut self) -> Vec<Event> {
        let files = match signals::list(&self.dir) {
            Ok(files) => files,
            Err(error) => {
                tracing::warn!(%error, "the signals directory can't be listed");
                return Vec::new();
            }
        };
        let mut events = Vec::new();
        for file in files {
            if self.seen.contains(&file) {
                continue;
            }
            match fs::read(self.dir.join(file.name())) {
                Ok(bytes) => {
                    events.push(self.event(&file, &bytes));
                    self.seen.insert(file);
                }
                Err(error) => tracing::warn!(%error, file = file.name(), "a signal can't be read"),
            }
        }
        events
    }

    fn event(&mut self, file: &SignalFile, bytes: &[u8]) -> Event {
        let payload = match Payload::parse(bytes) {
            Ok(payload) if file.session.is_some() => payload,
            _ => {
                let content =
                    String::from_utf8_lossy(&bytes[..bytes.len().min(EXCERPT)]).into_owned();
                return Event::Malformed {
                    file: file.name(),
                    content,
                };
            }
        };
        let session = payload.session_id.clone();
        let cwd = payload
            .cwd
            .as_ref()
            .map(|cwd| cwd.canonicalize().unwrap_or_else(|_| cwd.clone()));
        match (&payload.agent_id, file.kind) {
            // The transcript is that agent's own, the session the one of the agent that made it.
            (Some(_), Kind::Permission) => {}
            (Some(agent), kind) => {
                return Event::SubAgent {
                    agent: agent.clone(),
                    what: kind.binary_name(),
                };
            }
            (None, kind) => self.note_transcript(kind, &payload),
        }
        match file.kind {
            Kind::SessionStart => Event::SessionStarted {
                session,
                cwd,
                source: payload.source.unwrap_or_default(),
            },
            Kind::Prompt => Event::PromptSubmitted {
                session,
                turn_id: payload.turn_id,
                cwd,
                prompt: payload.prompt.unwrap_or_default(),
            },
            Kind::Permission => Event::PermissionAsked {
                session,
                signal: file.clone(),
                command: payload.asked_command(),
                reason: payload.asked_reason(),
            },
            Kind::Stop => Event::TurnStopping {
                session,
                turn_id: payload.turn_id,
                message: payload.last_assistant_message,
            },
        }
    }

    /// Notes where a session's transcript is. Its start and its prompts say so; a permission, which an older codex lets a
    /// sub-agent ask without a name, only where nothing else has.
    fn note_transcript(&mut self, kind: Kind, payload: &Payload) {
        let Some(path) = &payload.transcript_path else {
            return;
        };
        let known = self.transcripts.contains_key(&payload.session_id);
        if !known || matches!(kind, Kind::SessionStart | Kind::Prompt) {
            self.transcripts
                .insert(payload.session_id.clone(), path.clone());
        }
    }
}
