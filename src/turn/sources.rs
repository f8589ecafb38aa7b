//! Where events come from: the run's signal files and the agent's transcript, as the file watcher reports
//! their changes.
//!
//! A notification only says that something is worth reading again; what is there is read from the files
//! themselves. A lost notification costs latency, never correctness.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::{Event, Standing};
use crate::agent::codex::payload::Payload;
use crate::agent::codex::transcript::{Line, parse_line};
use crate::process::Exit;
use crate::run::Usage;
use crate::signals::{self, Kind, SignalFile};
use crate::tmux::Pane;
use poll::Poller;

mod poll;

#[cfg(test)]
mod tests;

/// The most that is shown of a payload that is none.
const EXCERPT: usize = 2_000;
/// The longest line of a transcript that is read, in bytes; what tells of a turn's course takes some hundred, and with
/// the agent's last message some thousand.
const LINE_LIMIT: usize = 4 << 20;
/// So much of a transcript is read at once, in bytes.
const BUFFER: usize = 128 << 10;

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
    /// The turns whose stop was told; `None` for one that was not named.
    stopped: HashSet<Option<String>>,
    transcripts: HashMap<String, PathBuf>,
}

impl Signals {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            seen: HashSet::new(),
            stopped: HashSet::new(),
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

    /// The transcript's events without the stops that the hook has told, as it should; for each that it has not, a word
    /// to people.
    pub(crate) fn untold(&self, events: Vec<Event>, notices: &mut Vec<String>) -> Vec<Event> {
        let untold = events.into_iter().filter(|event| match event {
            Event::TurnStopped { turn_id, .. } => {
                let told = self.stopped.contains(turn_id) || self.stopped.contains(&None);
                if !told {
                    let text = "the stop hook told nothing of a turn's end; the transcript did";
                    notices.push(text.to_owned());
                }
                !told
            }
            _ => true,
        });
        untold.collect()
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
        if let Some(path) = &payload.transcript_path {
            self.transcripts
                .insert(payload.session_id.clone(), path.clone());
        }
        let session = payload.session_id.clone();
        match file.kind {
            Kind::SessionStart => Event::SessionStarted {
                session,
                cwd: payload.cwd,
                source: payload.source.unwrap_or_default(),
            },
            Kind::Prompt => Event::PromptSubmitted {
                session,
                turn_id: payload.turn_id,
                cwd: payload.cwd,
                prompt: payload.prompt.unwrap_or_default(),
            },
            Kind::Permission => Event::PermissionAsked {
                session,
                signal: file.clone(),
                command: payload.asked_command(),
                reason: payload.asked_reason(),
            },
            Kind::Stop => {
                self.stopped.insert(payload.turn_id.clone());
                Event::TurnStopped {
                    session,
                    turn_id: payload.turn_id,
                    message: payload.last_assistant_message,
                }
            }
        }
    }
}

/// A transcript, read as it grows.
#[derive(Debug)]
pub(crate) struct Transcript {
    path: PathBuf,
    offset: u64,
    /// The beginning of a line whose end was not there yet.
    partial: Vec<u8>,
    /// Whether the line is too long, and the rest of it is passed over.
    skipping: bool,
    session: Option<String>,
    usage: Option<Usage>,
    in_turn: bool,
}

impl Transcript {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            offset: 0,
            partial: Vec::new(),
            skipping: false,
            session: None,
            usage: None,
            in_turn: false,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The tokens of the session so far.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Whether the last turn that began has not ended, as far as it was read.
    pub(crate) fn in_turn(&self) -> bool {
        self.in_turn
    }

    /// What the lines since the last reading say of a turn's end.
    pub(crate) fn read(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        match self.read_lines(&mut events) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, "the transcript can't be read"),
        }
        events
    }

    fn read_lines(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        let file = File::open(&self.path)?;
        if file.metadata()?.len() < self.offset {
            // Truncated or replaced: what is there now is read from its start.
            self.offset = 0;
            self.partial.clear();
            self.skipping = false;
        }
        let mut reader = BufReader::with_capacity(BUFFER, file);
        reader.seek(SeekFrom::Start(self.offset))?;
        loop {
            let room = (LINE_LIMIT - self.partial.len()) as u64;
            let mut within = reader.by_ref().take(room);
            let read = within.read_until(b'\n', &mut self.partial)?;
            self.offset += read as u64;
            if self.partial.last() == Some(&b'\n') {
                let line = std::mem::take(&mut self.partial);
                if !std::mem::take(&mut self.skipping) {
                    self.take_line(&String::from_utf8_lossy(&line), events);
                }
            } else if self.partial.len() == LINE_LIMIT {
                self.partial.clear();
                self.skipping = true;
            } else {
                return Ok(());
            }
        }
    }

    fn take_line(&mut self, line: &str, events: &mut Vec<Event>) {
        match parse_line(line) {
            Some(Line::TurnFailed { turn_id, error }) => {
                self.in_turn = false;
                events.push(Event::TurnFailed { turn_id, error });
            }
            Some(Line::TurnAborted { turn_id, reason }) => {
                self.in_turn = false;
                events.push(Event::TurnAborted { turn_id, reason });
            }
            Some(Line::Tokens(usage)) => self.usage = Some(usage),
            Some(Line::TurnStarted { .. }) => self.in_turn = true,
            Some(Line::TurnCompleted { turn_id, message }) => {
                self.in_turn = false;
                events.extend(self.session.clone().map(|session| Event::TurnStopped {
                    session,
                    turn_id: Some(turn_id),
                    message: Some(message),
                }));
            }
            Some(Line::Session { id }) => self.session = Some(id),
            None => {}
        }
    }
}

/// How long the reason of a failed turn may take to appear on the screen.
const ERROR_LINE: Duration = Duration::from_millis(500);
/// Between two looks for it.
const ERROR_LINE_PACE: Duration = Duration::from_millis(20);

/// Reads from the screen why a turn failed: before 0.150 the transcript doesn't tell.
///
/// Source: codex 0.130.0 draws the line some milliseconds after it wrote the end of the turn
/// (`tests/scenarios/failures.rs`).
pub(crate) async fn wait_for_error_line(pane: &Pane, exit: &Exit) -> Option<String> {
    let limit = Instant::now() + ERROR_LINE;
    loop {
        let screen = pane.query_screen().await.unwrap_or_default();
        let line = crate::agent::codex::screen::error_line(&screen);
        if line.is_some() || Instant::now() >= limit || exit.has_ended() {
            return line;
        }
        tokio::time::sleep(ERROR_LINE_PACE).await;
    }
}
