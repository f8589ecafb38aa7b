//! `cx-operator watch`: all runs on one screen.

use std::io::{self, IsTerminal};
use std::pin::pin;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_util::StreamExt;
use rustix::process::{Signal as Number, getpid, kill_process};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use crate::Error;
use crate::operator::replying;
use crate::os::signal::exit_after;
use crate::os::time::millis;
use crate::record::RunDir;
use crate::task::question::Answer;

use super::look::{Look, words_of};
use super::records::patch_so_far;
use super::reporting::patch::Patch;
use super::signals::Signals;
use super::{State, block_on, usage};
use load::Loader;
use model::{Action, Diff, DiffLine, Mode, Model};
use screen::Screen;

mod load;
mod model;
mod screen;
mod view;

/// Changes that follow one another within this time are read at once.
const PACE: Duration = Duration::from_millis(100);
/// The runs that live are read so often where nothing is notified.
const RESCAN: Duration = Duration::from_secs(10);

/// Watch all runs on one screen; `?` lists the keys.
///
/// It shows what they do, what they ask and what they cost. From it you join an agent's terminal, reply, allow and deny, read a diff, and end a run. Quitting ends no run.
#[derive(Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    state: State,
}

impl Watch {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(usage(
                "watch needs a terminal: `cx-operator list --json` tells the same to programs",
            ));
        }
        let loader = Loader::new(self.state.open()?)?;
        let watched = async {
            let mut watching = Watching::new(loader)?;
            watching.follow().await
        };
        block_on(watched)?
    }
}

/// The screen and all that it follows.
struct Watching {
    loader: Loader,
    model: Model,
    screen: Option<Screen>,
    keys: Option<EventStream>,
    ending: Signals,
    looks: Look,
    /// When the runs are read again; `None` until something happens.
    due: Option<Instant>,
    read: Instant,
}

/// What happened.
enum Cause {
    Key(Option<io::Result<Event>>),
    Changed,
    Time,
    Suspended,
    Ended(&'static str),
    Done(String),
}

impl Watching {
    fn new(loader: Loader) -> Result<Self, Error> {
        Ok(Self {
            ending: Signals::catch().map_err(failed)?,
            model: Model::default(),
            screen: Some(Screen::enter().map_err(failed)?),
            keys: Some(EventStream::new()),
            looks: Look::of_stdout(),
            due: Some(Instant::now()),
            read: Instant::now(),
            loader,
        })
    }

    async fn follow(&mut self) -> Result<ExitCode, Error> {
        let stop = SignalKind::from_raw(Number::TSTP.as_raw());
        let mut suspended = signal(stop).map_err(failed)?;
        let (sender, mut done) = unbounded_channel();
        loop {
            if self.due.is_some_and(|due| due <= Instant::now()) {
                (self.due, self.read) = (None, Instant::now());
                self.model.update(self.loader.load()?);
            }
            self.draw().map_err(failed)?;
            let next = self.next_look();
            let wakeup = std::sync::Arc::clone(&self.loader.wakeup);
            let mut looked = pin!(async move {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            });
            let keys = self.keys.get_or_insert_with(EventStream::new);
            let cause = tokio::select! {
                key = keys.next() => Cause::Key(key),
                () = wakeup.notified() => Cause::Changed,
                () = &mut looked => Cause::Time,
                _ = suspended.recv() => Cause::Suspended,
                by = self.ending.next() => Cause::Ended(by),
                Some(text) = done.recv() => Cause::Done(text),
            };
            match cause {
                Cause::Changed => {
                    self.due.get_or_insert(Instant::now() + PACE);
                }
                Cause::Time => {
                    if self.read.elapsed() >= RESCAN {
                        self.due.get_or_insert(Instant::now());
                    }
                }
                Cause::Suspended => self.suspend().map_err(failed)?,
                Cause::Ended(by) => return Ok(ExitCode::from(exit_after(by).unwrap_or(1))),
                Cause::Done(text) => self.model.message = text,
                Cause::Key(None | Some(Err(_))) => return Ok(ExitCode::SUCCESS),
                Cause::Key(Some(Ok(event))) => {
                    if let Some(end) = self.take(&event, &sender).await.map_err(failed)? {
                        return Ok(end);
                    }
                }
            }
        }
    }

    /// When something is to be done though nothing happens: runs that are due, and the next second of a run that lives.
    fn next_look(&self) -> Option<Instant> {
        let is_live = self.model.all().iter().any(model::Row::is_live);
        let into_second = now() % 1000;
        let second = Instant::now() + Duration::from_millis(1000 - into_second);
        let second = is_live.then_some(second);
        match (self.due, second) {
            (Some(due), Some(second)) => Some(due.min(second)),
            (due, second) => due.or(second),
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let look = view::Look {
            now: now(),
            has_colours: self.looks.colour,
            has_unicode: self.looks.unicode,
        };
        match &mut self.screen {
            Some(screen) => screen.draw(&mut self.model, look),
            None => Ok(()),
        }
    }

    /// Does what a key asks for; returns the exit status where that ends the program.
    async fn take(
        &mut self,
        event: &Event,
        done: &UnboundedSender<String>,
    ) -> io::Result<Option<ExitCode>> {
        let key = match event {
            Event::Key(key) => key,
            Event::Paste(text) => {
                self.model.paste(text);
                return Ok(None);
            }
            _ => return Ok(None),
        };
        if key.kind == KeyEventKind::Release {
            return Ok(None);
        }
        let area = self.screen.as_ref().map(Screen::area).unwrap_or_default();
        let page = view::page(&self.model, area);
        let Some(action) = self.model.press(*key, page) else {
            return Ok(None);
        };
        match action {
            Action::Quit => return Ok(Some(ExitCode::SUCCESS)),
            Action::Suspend => self.suspend()?,
            Action::Attach(run) => return self.attach(&run).await,
            Action::LoadDiff(run) => self.load_diff(&run),
            Action::Reply(run, id, text) => self.reply(&run, (id, Answer::Text(text)), done),
            Action::Allow(run, id) => self.reply(&run, (id, Answer::Allow), done),
            Action::Deny(run, id, text) => self.reply(&run, (id, Answer::Deny(text)), done),
            Action::Abort(run) => {
                let ended = self
                    .find(&run)
                    .and_then(|run| replying::abort(&[run], "ended in `cx-operator watch`"));
                self.model.message = match ended {
                    Ok(_) => "it ends; its work is kept".to_owned(),
                    Err(error) => words_of(&error.message()),
                };
            }
        }
        Ok(None)
    }

    fn find(&self, run: &str) -> Result<RunDir, Error> {
        Ok(self.loader.store.find(run)?)
    }

    /// Gives the terminal back, until the shell continues us.
    fn suspend(&mut self) -> io::Result<()> {
        (self.screen, self.keys) = (None, None);
        kill_process(getpid(), Number::STOP)?;
        self.screen = Some(Screen::enter()?);
        Ok(())
    }

    /// Joins the agent's terminal, and comes back from it.
    async fn attach(&mut self, run: &str) -> io::Result<Option<ExitCode>> {
        let row = self.model.all().iter().find(|row| row.run_id == *run);
        let Some(task) = row.map(|row| row.task.clone()) else {
            return Ok(None);
        };
        (self.screen, self.keys) = (None, None);
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("attach").arg(task).arg("--state-dir");
        command.arg(self.loader.store.root());
        let child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        let ended = tokio::select! {
            output = child.wait_with_output() => Ok(output?),
            by = self.ending.next() => Err(by),
        };
        let output = match ended {
            Ok(output) => output,
            Err(by) => return Ok(Some(ExitCode::from(exit_after(by).unwrap_or(1)))),
        };
        self.screen = Some(Screen::enter()?);
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let why = said.lines().next().unwrap_or("it can't be joined");
            self.model.message = words_of(why);
        }
        self.due = Some(Instant::now());
        Ok(None)
    }

    fn reply(&mut self, run: &str, (id, answer): (String, Answer), done: &UnboundedSender<String>) {
        let run = match self.find(run) {
            Ok(run) => run,
            Err(error) => return self.model.message = words_of(&error.message()),
        };
        "the answer is on its way".clone_into(&mut self.model.message);
        let done = done.clone();
        tokio::spawn(async move {
            let text = match replying::reply(&run, Some(&id), Some(&answer)).await {
                Ok(replied) if replied.taken => "the run has the answer".to_owned(),
                Ok(_) => "the answer is written, but the run has not read it yet".to_owned(),
                Err(error) => words_of(&error.message()),
            };
            let _quit = done.send(text);
        });
    }

    fn load_diff(&mut self, run: &str) {
        match self.find(run).and_then(|run| diff_of(&run)) {
            Ok(Found::Diff(diff)) => self.model.mode = Mode::Diff(diff),
            Ok(Found::Words(words)) => self.model.message = words,
            Err(error) => self.model.message = words_of(&error.message()),
        }
    }
}

fn failed(source: io::Error) -> Error {
    Error::Io {
        what: "use the terminal".to_owned(),
        source,
    }
}

/// What there is of a run's changes.
enum Found {
    Diff(Diff),
    Words(String),
}

fn diff_of(run: &RunDir) -> Result<Found, Error> {
    let Some(outcome) = run.load_record()? else {
        return so_far(run);
    };
    let Some(path) = outcome.patch.filter(|path| path.exists()) else {
        return Ok(Found::Words("it changed nothing".to_owned()));
    };
    let patch = Patch::load(&path).map_err(|source| Error::Io {
        what: "read the run's patch".to_owned(),
        source,
    })?;
    let title = format!(
        "{}: {}, +{} -{}",
        words_of(outcome.task.as_str()),
        super::report::files(outcome.files_changed),
        outcome.insertions,
        outcome.deletions
    );
    Ok(shown(title, patch))
}

/// What a run that has not ended has changed so far.
fn so_far(run: &RunDir) -> Result<Found, Error> {
    let Some(bytes) = patch_so_far(run)? else {
        return Ok(Found::Words("it has no worktree at this moment".to_owned()));
    };
    let patch = Patch::read(bytes.as_slice()).unwrap_or_default();
    if patch.files.is_empty() {
        return Ok(Found::Words("it has changed nothing so far".to_owned()));
    }
    let task = words_of(run.task().unwrap_or(run.name()));
    let files = super::report::files(patch.files.len());
    Ok(shown(format!("{task}, so far: {files}"), patch))
}

fn shown(title: String, patch: Patch) -> Found {
    let mut lines = Vec::new();
    for file in patch.files {
        let notes = file.notes.join(", ");
        let heading = format!("{}  {notes}", file.path);
        lines.push(DiffLine::Heading(words_of(heading.trim_end())));
        for mut line in file.lines {
            line.text = words_of(&line.text.replace('\t', "    "));
            lines.push(DiffLine::Line(line));
        }
        if file.left_out > 0 {
            let left_out = format!("… {} more lines", file.left_out);
            lines.push(DiffLine::Heading(left_out));
        }
    }
    if patch.is_cut {
        lines.push(DiffLine::Heading("… the diff goes on".to_owned()));
    }
    Found::Diff(Diff {
        title,
        lines,
        top: 0,
    })
}

/// In milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map(millis).unwrap_or(0)
}
