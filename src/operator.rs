//! The library's front door: an operator, and the runs that it drives.

pub mod apply;
pub mod cleanup;
pub(crate) mod continuing;
mod earlier;
pub mod events;
pub mod following;
pub mod listing;
pub mod prune;
pub mod queue;
pub(crate) mod replying;
pub(crate) mod starting;
pub mod status;
pub(crate) mod terminal;
pub(crate) mod waiting;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use futures_core::Stream;
use tokio::sync::OnceCell;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::operator::queue::{Queue, QueuePlace, Queued};
use crate::os::time::{millis, timestamp};
use crate::os::watch::FileWatcher;
use crate::record::code::Code;
use crate::record::inbox::OpenQuestion;
use crate::record::journal::{Entry, Progress};
use crate::record::{Outcome, RunDir, Store};
use crate::run::cancel::{Cancel, CancelOnDrop};
use crate::run::inbox::by_message;
use crate::run::preflight::find_helper;
use crate::run::recovery::{sweep_once, take_over};
use crate::run::shared::Shared;
use crate::run::{delegate, preflight};
use crate::task::Task;
use crate::task::judge::Policy;
use crate::task::name::RunId;
use crate::task::question::Answer;
use crate::task::respond::Responder;
use crate::tmux::Server;
use crate::turn::End;

/// How long a run waits for others to end, where nothing else is said.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Drives any number of runs at once. Cheap to clone; clones share one file watcher and one tmux server.
#[derive(Clone, Debug)]
pub struct Operator {
    shared: Arc<Shared>,
    queue: Queue,
    queue_timeout: Duration,
}

/// Builds an [`Operator`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    state: Option<PathBuf>,
    without_cgroups: bool,
    helpers: Option<PathBuf>,
    max_parallel: Option<NonZeroUsize>,
    queue_timeout: Option<Duration>,
}

impl Builder {
    /// Puts records and socket into this directory. Default: `$CX_OPERATOR_STATE`, else `$XDG_STATE_HOME/cx-operator`, else
    /// `~/.local/state/cx-operator`.
    #[must_use]
    pub fn state_directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.state = Some(path.into());
        self
    }

    /// Makes no cgroup for a run below the one that this process is in, as is else done where it is permitted. For a
    /// service whose cgroups another program manages. A run's processes are then found by the other marks alone.
    #[must_use]
    pub fn without_cgroups(mut self) -> Self {
        self.without_cgroups = true;
        self
    }

    /// Takes hooks and launcher from the `cx-helper` in this directory. Default: the directory that `CX_OPERATOR_HOOKS` names;
    /// else that of the executable; else the executable itself, if it called [`helper_main`](crate::helper_main); else
    /// those on PATH.
    #[must_use]
    pub fn helpers(mut self, directory: impl Into<PathBuf>) -> Self {
        self.helpers = Some(directory.into());
        self
    }

    /// Begins a run only while fewer than `runs` are under way with the same state directory, those of other processes
    /// included; until then it waits, in the order of arrival. Nothing is made for a run that waits, and none of its
    /// own deadlines has begun. Default: no limit; such a run never waits, but counts for those that do.
    #[must_use]
    pub fn max_parallel(mut self, runs: NonZeroUsize) -> Self {
        self.max_parallel = Some(runs);
        self
    }

    /// Ends a run that has waited so long for others ([`Builder::max_parallel`]) with the code `queue_timeout`. Default:
    /// a day.
    #[must_use]
    pub fn queue_timeout(mut self, limit: Duration) -> Self {
        self.queue_timeout = Some(limit);
        self
    }

    /// Opens the state directory and starts the file watcher.
    ///
    /// # Errors
    /// [`Error::Run`] for the directory, [`Error::Watch`] where no watcher is to be had.
    pub fn build(self) -> Result<Operator, Error> {
        let root = self.state.map_or_else(Store::default_root, Ok)?;
        let store = Store::open(&root)?;
        let tmux = Server::at(store.tmux_socket());
        Ok(Operator {
            queue: Queue::of(store.root(), self.max_parallel),
            queue_timeout: self.queue_timeout.unwrap_or(QUEUE_TIMEOUT),
            shared: Arc::new(Shared {
                store,
                watch: FileWatcher::new()?,
                tmux,
                swept: OnceCell::new(),
                cgroups: !self.without_cgroups,
                helpers: self.helpers,
            }),
        })
    }
}

impl Operator {
    /// Begins an operator with the defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The records of this operator's runs, and of all others with the same state directory.
    #[cfg(feature = "unstable")]
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    #[cfg(not(feature = "unstable"))]
    pub(crate) fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Opens the agent's own terminal in a run that is driven by requests, in a window of the run's tmux session, and selects it
    /// for whoever is attached. Does nothing where it is open, and for a run that is driven by keys, which has it.
    ///
    /// # Errors
    /// [`Error::Usage`] where the agent has no turn within ten seconds; [`Error::Tmux`], [`Error::Io`].
    pub async fn open_terminal(&self, run: &RunId) -> Result<(), Error> {
        let run = self.store().load(run)?;
        let helper = find_helper(self.shared.helpers.as_deref())?;
        terminal::open(self.store(), &helper, &run).await
    }

    /// Runs a task to its end. A failure is in the outcome. Dropped before its end, as a timeout around it
    /// does, it cancels the run, which then still tears itself down.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn delegate(&self, task: Task) -> Outcome {
        let run = self.start(task);
        let _whoever_waits = CancelOnDrop(run.canceller());
        run.outcome().await
    }

    /// Starts a task, to be followed and perhaps cancelled. It continues when the handle is dropped.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start(&self, task: Task) -> Run {
        let run_id = RunId::new(&task.name, SystemTime::now());
        self.start_as(run_id, task)
    }

    /// The same, with an id that was made before.
    pub(crate) fn start_as(&self, run_id: RunId, task: Task) -> Run {
        let (sender, receiver) = unbounded_channel();
        let cancel = Cancel::new();
        let (operator, ours) = (self.clone(), cancel.clone());
        let id = run_id.clone();
        let handle = tokio::spawn(async move {
            let place = operator.wait_for_place((&task, &run_id), &ours, &sender);
            match place.await {
                // Held to the run's end.
                Ok(_place) => delegate(&operator.shared, (task, run_id), &ours, Some(sender)).await,
                Err(outcome) => *outcome,
            }
        });
        Run {
            id,
            operator: self.clone(),
            cancel,
            events: Events { receiver },
            handle,
        }
    }

    /// Takes over a run whose operator died, and brings it to its end: follows the agent on where that still works, else
    /// ends the run by what the files of its hooks and transcript tell. The record of a run that has ended is told again.
    ///
    /// `responders`: who may answer from now on; `None` for those that the run had, as far as they can be made again.
    /// `policy`: for a run whose policy was code of its program, that code again; without it every call is denied.
    ///
    /// # Errors
    /// [`Error::Run`] with the code [`RunAlive`](crate::Code::RunAlive) where an operator owns the run,
    /// [`RunNotFound`](crate::Code::RunNotFound) where it never began, [`NewerRun`](crate::Code::NewerRun) where a newer
    /// version wrote it; [`Error::Usage`] for a policy in place of rules or of none.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn resume(
        &self,
        run: &RunId,
        responders: Option<Vec<Arc<dyn Responder>>>,
        policy: Option<Arc<dyn Policy>>,
    ) -> Result<Run, Error> {
        let dir = self.store().load(run)?;
        if policy.is_some() {
            let had = dir.load_order()?.and_then(|order| order.policy);
            if had.is_none_or(|had| had.rules().is_some()) {
                let why = format!("the run {run} has no policy that was code of its program");
                return Err(Error::Usage(why));
            }
        }
        let (sender, receiver) = unbounded_channel();
        let cancel = Cancel::new();
        let (shared, ours) = (Arc::clone(&self.shared), cancel.clone());
        let handle = match take_over(&shared.store, &dir, Some(sender))? {
            Ok(taken_over) => {
                let who = taken_over.deciders(responders, policy);
                tokio::spawn(async move { taken_over.follow(&shared, who, &ours).await })
            }
            Err(ended) => tokio::spawn(async move { *ended }),
        };
        Ok(Run {
            id: run.clone(),
            operator: self.clone(),
            cancel,
            events: Events { receiver },
            handle,
        })
    }

    /// Takes over a run whose operator died and ends it now, with its agent, whatever that does.
    ///
    /// # Errors
    /// As [`Operator::resume`].
    pub async fn end(&self, run: &RunId) -> Result<Outcome, Error> {
        match take_over(self.store(), &self.store().load(run)?, None)? {
            Ok(taken_over) => Ok(taken_over.finish(taken_over.keep()).await),
            Err(ended) => Ok(*ended),
        }
    }

    /// Waits until the run may begin, or says how it ended before.
    async fn wait_for_place(
        &self,
        (task, run_id): (&Task, &RunId),
        cancel: &Cancel,
        listener: &UnboundedSender<Entry>,
    ) -> Result<QueuePlace, Box<Outcome>> {
        let not_begun = |error: Error| Box::new(Outcome::not_begun(&task.name, error.to_failure()));
        let whose = Queued {
            run_id: run_id.as_str().to_owned(),
            task: task.name.as_str().to_owned(),
            executor: Some(task.agent.executor.name().to_owned()),
            repository: Some(task.repository.clone()),
            position: 0,
        };
        let place = self.queue.enter(whose).await.map_err(not_begun)?;
        if place.is_running() {
            return Ok(place);
        }
        let (now, began) = (SystemTime::now(), Instant::now());
        // A failure that can be reported now is not reported after hours.
        sweep_once(&self.shared).await;
        let ready = preflight::check(&self.shared, task, &task.names(), run_id).await;
        ready.map_err(not_begun)?;
        let tell = |position| {
            let _gone_listeners_miss_nothing = listener.send(Entry {
                at: timestamp(SystemTime::now()),
                progress: Progress::Queued { position },
            });
        };
        let end = tokio::select! {
            biased;
            by = cancel.cancelled() => End::cancelled_in_queue(&by),
            () = tokio::time::sleep(self.queue_timeout) => End::queue_timeout(self.queue_timeout),
            place = self.queue.wait(place, &self.shared.watch, tell) => return place.map_err(not_begun),
        };
        let mut outcome = Outcome::blank(&task.name, run_id.clone(), now);
        outcome.executor = task.agent.executor.name().to_owned();
        (outcome.status, outcome.error) = (end.status, end.error);
        outcome.duration_ms = millis(began.elapsed());
        Err(Box::new(outcome))
    }
}

/// A run in progress.
///
/// ```no_run
/// # use cx_operator::{Answer, Error, Outcome, Progress, Run};
/// # async fn follow(mut run: Run) -> Result<Outcome, Error> {
/// while let Some(entry) = run.events().next().await {
///     if let Progress::Waiting { .. } = entry.progress
///         && let Some(question) = run.question()?
///     {
///         run.reply(&question.id, &Answer::Text("Use ISO 8601.".to_owned())).await?;
///     }
/// }
/// let outcome = run.outcome().await;
/// # Ok(outcome)
/// # }
/// ```
#[derive(Debug)]
pub struct Run {
    id: RunId,
    operator: Operator,
    cancel: Cancel,
    events: Events,
    handle: JoinHandle<Outcome>,
}

impl Run {
    /// The events of the run, as they happen; ends with the run.
    pub fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    /// The run's id. No directory has it before the run has its place and has begun.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// The run's directory, once there is one.
    #[cfg_attr(
        not(feature = "cli"),
        expect(dead_code, reason = "the command line asks")
    )]
    pub(crate) fn directory(&self) -> Option<RunDir> {
        self.operator.store().load(&self.id).ok()
    }

    /// The question that the run asks at this moment.
    ///
    /// # Errors
    /// [`Error::Run`], with the code [`RunNotFound`](crate::Code::RunNotFound) before the run has begun, as with all that follow.
    pub fn question(&self) -> Result<Option<OpenQuestion>, Error> {
        self.operator.question(&self.id)
    }

    /// Answers the question of that id, as [`Operator::reply`] does.
    ///
    /// # Errors
    /// As [`Operator::reply`].
    pub async fn reply(&self, question: &str, answer: &Answer) -> Result<bool, Error> {
        self.operator.reply(&self.id, question, answer).await
    }

    /// Tells the agent more when its turn ends, as [`Operator::send`] does.
    ///
    /// # Errors
    /// As [`Operator::send`].
    pub async fn send(&self, text: &str) -> Result<String, Error> {
        self.operator.send(&self.id, text).await
    }

    /// Tells the agent more within the turn that runs, as [`Operator::steer`] does.
    ///
    /// # Errors
    /// As [`Operator::send`].
    pub async fn steer(&self, text: &str) -> Result<String, Error> {
        self.operator.steer(&self.id, text).await
    }

    /// Ends the run in good order, whether it has begun or waits for its place. The reason, which may be empty, is in the record.
    ///
    /// # Errors
    /// [`Error::Run`], with the code [`RunEnded`](crate::Code::RunEnded) where it has ended.
    pub fn abort(&self, reason: &str) -> Result<(), Error> {
        match self.operator.abort(&self.id, reason) {
            Err(error) if error.code() == Code::RunNotFound && !self.handle.is_finished() => {
                self.cancel.cancel(by_message(reason));
                Ok(())
            }
            aborted => aborted,
        }
    }

    /// A handle that ends the run.
    #[must_use]
    pub fn canceller(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// If the run panicked, which is a mistake of ours.
    pub async fn outcome(self) -> Outcome {
        match self.handle.await {
            Ok(outcome) => outcome,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// The events of a run: a [`Stream`], and [`Events::next`] for those who need no combinators.
#[derive(Debug)]
pub struct Events {
    receiver: UnboundedReceiver<Entry>,
}

impl Events {
    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Entry> {
        self.receiver.recv().await
    }
}

impl Stream for Events {
    type Item = Entry;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Entry>> {
        self.receiver.poll_recv(context)
    }
}
