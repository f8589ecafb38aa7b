//! Recovery: what becomes of a run whose operator died.
//!
//! A run is taken over by taking its lock, which the kernel let go of when its operator died. Its journal tells what
//! was made, reality what is left of it, and the files of hooks and transcript what happened in the meantime. Then the run
//! is either followed on, where its agent still works, or ended: by the same code as any other.
//!
//! Only what is provably ours is touched: the processes with the run's mark, the session on our own socket that runs
//! the run's launcher, the worktree whose marker names run and state directory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;

use crate::error::{Error, io as io_error};
use crate::os::given;
use crate::os::process::{Process, RunProcesses, boot_id, holds_this_process};
use crate::os::time::millis;
use crate::record::journal::{Entry, Journal, Progress};
use crate::record::{self, Failure, FoundMark, Lock, Outcome, RunDir, Status, Store};
use crate::run::cancel::Cancel;
use crate::run::collect::miss_worktree;
use crate::run::context::{Agent, RunContext};
use crate::run::drive::{Driver, Ending, Parts};
use crate::run::inbox::{self, CancelByMessage};
use crate::run::judging::Judging;
use crate::run::notify::Notifier;
use crate::run::recovery::evidence::{Judgement, judge};
use crate::run::shared::Shared;
use crate::run::teardown;
use crate::task::judge::Policy;
use crate::task::policy::Keep;
use crate::task::respond::{Context, Responder};
use crate::tmux::Server;
use crate::turn::{End, Machine, Plan};
use journal_state::JournalState;

pub(crate) use sweep::sweep_once;

mod evidence;
mod journal_state;
mod reality;
mod rejoin;
mod sweep;

/// The traces of a run that may have no owner.
pub(crate) enum Claim {
    /// Its operator lives, or another process recovers it.
    Alive,
    /// It ended in the meantime.
    Ended,
    /// Its operator died before it made anything.
    Empty,
    /// It is ours now.
    Taken(Box<TakenOverRun>),
}

/// The remains of a run, as far as looking tells.
struct DeadRun {
    store: Store,
    tmux: Server,
    dir: RunDir,
    journal_state: JournalState,
}

/// A run that was taken over.
pub(crate) struct TakenOverRun {
    found: DeadRun,
    journal: Journal,
    notifier: Notifier,
    _lock: Lock,
}

impl DeadRun {
    /// `None` where the run's operator died before it made anything.
    fn load(store: &Store, dir: &RunDir) -> Result<Option<Self>, Error> {
        Ok(JournalState::load(dir)?.map(|journal_state| Self {
            tmux: Server::at(store.tmux_socket()),
            store: store.clone(),
            dir: dir.clone(),
            journal_state,
        }))
    }

    /// Whether the agent is there and no file tells of an end; a question that a responder of the run may answer is not an end.
    async fn is_working(&self) -> bool {
        let answered = !self.journal_state.order.responders.is_empty();
        let is_made = self.journal_state.made;
        let goes_on = || self.is_told_more() || self.judge(answered).0.is_none();
        is_made && goes_on() && self.find_agent().await.is_some()
    }

    /// What the journal and the files of hooks and transcript say of the run's end. `responder`: whether a responder can answer.
    fn judge(&self, responder: bool) -> (Option<End>, Ending) {
        let resume_point = self.journal_state.resume_point();
        let machine = Machine::resume(self.plan(responder), resume_point.clone(), Instant::now());
        let Judgement { end, mut ending } = judge(
            machine,
            (
                &self.dir,
                self.journal_state.transcript.as_deref(),
                self.journal_state.resumed(),
            ),
            (&resume_point, &self.journal_state.replies),
            self.is_running(),
        );
        let Some(ended) = self.journal_state.ended.clone() else {
            return (end, ending);
        };
        ending.end = ended.clone();
        ending.turns = resume_point.turns;
        ending.last_message = resume_point.last_message;
        (Some(ended), ending)
    }

    fn plan(&self, responder: bool) -> Plan {
        let worktree = self.journal_state.worktree.as_ref().map(|(path, _)| path);
        let launched = self.journal_state.launched.as_ref();
        let directory = launched.and_then(|launched| launched.directory.as_ref());
        Plan {
            prompt: self
                .dir
                .load_prompt(self.journal_state.turn().max(1))
                .unwrap_or_default(),
            limits: self.journal_state.order.limits,
            permissions: self.journal_state.order.permissions,
            // Who had replied was there to be asked.
            responder: responder || self.journal_state.has_responder(),
            probe: self.journal_state.order.probe,
            directory: directory.or(worktree).cloned().unwrap_or_default(),
            executor: self.journal_state.order.agent.executor,
            drive: self.journal_state.drive(),
            answer: self.journal_state.order.agent.output_schema.clone(),
        }
    }
}

impl TakenOverRun {
    /// Takes an unfinished run over, if no operator owns it.
    pub(crate) fn claim(
        store: &Store,
        dir: &RunDir,
        listener: Option<UnboundedSender<Entry>>,
    ) -> Result<Claim, Error> {
        let _nobody_else_looks = match dir.find_mark()? {
            FoundMark::Gone => return Ok(Claim::Ended),
            FoundMark::Held => return Ok(Claim::Alive),
            FoundMark::Taken(mark) => mark,
        };
        if !dir.path().exists() {
            return Ok(Claim::Empty);
        }
        match Self::claim_kept(store, dir, listener)? {
            // Closed by another one, between our look at the mark and its letting go of the lock.
            Claim::Taken(_) if dir.is_closed() => Ok(Claim::Ended),
            claim => Ok(claim),
        }
    }

    /// Takes a run over that may have been closed, if no operator owns it.
    pub(crate) fn claim_kept(
        store: &Store,
        dir: &RunDir,
        listener: Option<UnboundedSender<Entry>>,
    ) -> Result<Claim, Error> {
        let Some(lock) = Lock::take(&dir.lock())? else {
            return Ok(Claim::Alive);
        };
        let Some(found) = DeadRun::load(store, dir)? else {
            return Ok(Claim::Empty);
        };
        // One that this version can't read is not for it to replace.
        dir.load_record()?;
        let journal =
            Journal::resume(&dir.events(), listener).map_err(io_error("open the journal"))?;
        Ok(Claim::Taken(Box::new(Self {
            notifier: Notifier::new(&found.journal_state.order, dir),
            found,
            journal,
            _lock: lock,
        })))
    }

    fn take_over(&self, follows: bool) {
        self.journal.write(Progress::TakenOver {
            boot_id: boot_id(),
            operator_pid: std::process::id(),
            follows,
        });
    }

    /// Ends the run now, its agent with it.
    pub(crate) async fn finish(&self, keep: Keep) -> Outcome {
        self.take_over(false);
        let (_, ending) = self
            .found
            .judge(!self.found.journal_state.order.responders.is_empty());
        let agent = self.found.find_agent().await;
        self.conclude(agent, ending, (keep, &Cancel::new())).await
    }

    /// Why something would be left if the run were ended now, as far as a look tells.
    pub(crate) fn foresee(&self, keep: Keep) -> Option<String> {
        let journal_state = &self.found.journal_state;
        if let Err(error) = journal_state.open_repository() {
            return Some(error.message());
        }
        let (path, _) = journal_state.worktree.as_ref()?;
        let kept = matches!(keep, Keep::Worktree | Keep::Session) && path.exists();
        kept.then(|| format!("asked to keep {}", path.display()))
    }

    /// What the run asked to be kept.
    pub(crate) fn keep(&self) -> Keep {
        self.found.journal_state.order.keep
    }

    async fn conclude(
        &self,
        agent: Option<Agent>,
        ending: Ending,
        (keep, cancel): (Keep, &Cancel),
    ) -> Outcome {
        let context = RunContext {
            dir: &self.found.dir,
            journal: &self.journal,
            tmux: &self.found.tmux,
            keep,
            notifier: &self.notifier,
            cancel,
            executor: self.found.journal_state.order.agent.executor,
        };
        let mut outcome = self.found.journal_state.to_outcome(&self.found.dir);
        let found = self.found.find_worktree();
        // Without its worktree an agent can't be talked to; it is a process to end.
        let agent = agent.filter(|_| matches!(found, Ok(Some(_))));
        // Before a process is ended: a later recovery must not take our signal for the agent's own end.
        teardown::announce(&context, &ending);
        let left = match &agent {
            Some(_) => Vec::new(),
            None => self.end_orphans(&context).await,
        };
        let mut clean = left.is_empty();
        match (found, self.found.dir.load_record()) {
            // The work was collected, and its removal has begun: the rest is incomplete.
            (Ok(Some(worktree)), Ok(Some(record))) if self.found.journal_state.removing => {
                outcome = Outcome {
                    worktree: None,
                    ..record
                };
                clean &= teardown::remove_worktree(&context, &worktree, &mut outcome).await;
            }
            // It went after the record was written.
            (Ok(None), Ok(Some(record))) => {
                let kept = keep == Keep::Branch;
                outcome = Outcome {
                    worktree: None,
                    branch: record.branch.filter(|_| kept),
                    ..record
                };
            }
            (found, _) => {
                let trouble = found.as_ref().err().map(Error::to_failure);
                let worktree = found.ok().flatten();
                let missed =
                    worktree.is_none() && trouble.is_none() && self.found.journal_state.made;
                let closing = (worktree.as_ref(), ending);
                clean &= teardown::finish(&context, agent.as_ref(), closing, &mut outcome).await;
                if let (true, Some((path, _))) = (missed, &self.found.journal_state.worktree) {
                    miss_worktree(path, &mut outcome);
                }
                if let Some(trouble) = trouble {
                    // Work may be in a repository that is only away, though its worktree is gone.
                    self.leave_tree(trouble, &mut outcome);
                    clean = false;
                }
            }
        }
        outcome.notices.extend(left);
        teardown::record(&context, &mut outcome, clean).await;
        outcome
    }

    async fn end_orphans(&self, context: &RunContext<'_>) -> Vec<String> {
        let session = self.found.journal_state.session.as_deref();
        if session.is_none() && !self.found.journal_state.is_headless {
            return Vec::new();
        }
        teardown::end_orphans(context, self.root(), session).await
    }

    /// The root of what the run's pane started; a pid of another boot belongs to another process by now.
    fn root(&self) -> Option<Process> {
        let root = self
            .found
            .journal_state
            .launched
            .as_ref()
            .and_then(|at| at.root);
        root.filter(|_| !self.found.journal_state.is_of_another_boot())
    }

    /// Whether the run's agent started this very process: it would end itself.
    pub(crate) fn holds_this_process(&self) -> bool {
        holds_this_process(&RunProcesses::of(
            self.found.dir.name(),
            self.found.dir.path(),
            self.root(),
        ))
    }

    /// Says that nothing can be collected without the repository, and that it can be tried again.
    fn leave_tree(&self, trouble: Failure, outcome: &mut Outcome) {
        let (tree, branch) = self.found.journal_state.worktree.clone().unzip();
        outcome.branch = branch;
        outcome.worktree = tree.filter(|path| path.exists());
        let mut text = trouble.message.clone();
        if let Some(path) = &outcome.worktree {
            text += &format!("; nothing was removed: the work is in {}", path.display());
        }
        outcome.notices.push(text);
        (outcome.status, outcome.error) = (Status::Failed, Some(trouble));
    }

    /// Those who are named, else those that the run had, as far as they can be made again.
    pub(crate) fn deciders(
        &self,
        responders: Option<Vec<Arc<dyn Responder>>>,
        policy: Option<Arc<dyn Policy>>,
    ) -> Deciders {
        let order = &self.found.journal_state.order;
        Deciders {
            responders: responders.unwrap_or_else(|| order.responders.clone()),
            policy: policy.or_else(|| order.policy.clone()),
        }
    }

    /// Follows the agent on, as its first operator would have, and ends the run.
    pub(crate) async fn follow(
        &self,
        shared: &Shared,
        deciders: Deciders,
        cancel: &Cancel,
    ) -> Outcome {
        let _until_the_end = CancelByMessage::listen(&self.found.dir, &shared.watch, cancel);
        let started = Instant::now();
        let (found, mut ending) = self.found.judge(!deciders.responders.is_empty());
        let agent = self.found.find_agent().await;
        let found = found.filter(|_| agent.is_none() || !self.found.is_told_more());
        // A server may have been started beside a worktree that never came to be.
        let is_made = self.found.journal_state.made && self.found.dir.load_prompt(1).is_some();
        let followed = agent.as_ref().filter(|_| is_made && found.is_none());
        self.take_over(followed.is_some());
        if let Some(agent) = followed {
            ending = self
                .drive((shared, agent), &deciders, cancel)
                .await
                .unwrap_or_else(|error| Ending::failed(error.to_failure()));
        }
        let keep = self.found.journal_state.order.keep;
        let mut outcome = self.conclude(agent, ending, (keep, cancel)).await;
        outcome.duration_ms += millis(started.elapsed());
        outcome
    }

    async fn drive(
        &self,
        (shared, agent): (&Shared, &Agent),
        deciders: &Deciders,
        cancel: &Cancel,
    ) -> Result<Ending, Error> {
        let responder = inbox::responders(&self.found.dir, &shared.watch, &deciders.responders);
        let (mut plan, mut resume_point) = (
            self.found.plan(!responder.is_empty()),
            self.found.journal_state.resume_point(),
        );
        plan.limits = responder.limits(plan.limits);
        let mut pane = agent.pane.clone();
        let continuation = self.continuation();
        let mut conversation = None;
        // The journal says that a prompt was about to be pasted; tmux knows whether it was, or the agent's server.
        let was_pasted = match (&continuation, &mut pane) {
            // A headless program has the prompt from its start.
            (None, None) => true,
            (None, Some(pane)) => pane.take_over().await? == Some(self.found.journal_state.turn()),
            (Some(continuation), _) => {
                let (joined, has_prompt) = self.rejoin(continuation, &resume_point).await?;
                resume_point.session = Some(joined.session().id.clone());
                conversation = Some(joined);
                has_prompt
            }
        };
        if resume_point.pasted && !was_pasted {
            (resume_point.pasted, resume_point.probed) = (false, None);
        }
        let mut context = Context::new(
            self.found.journal_state.run_id.as_str(),
            self.found.journal_state.task.as_str(),
            self.found
                .journal_state
                .worktree
                .as_ref()
                .map(|(path, _)| path.clone())
                .unwrap_or_default(),
        );
        context.home = given::variable("HOME").map(PathBuf::from);
        let parts = Parts {
            machine: Machine::resume(plan, resume_point.clone(), Instant::now()),
            pane: pane.as_ref(),
            conversation,
            continuation,
            exit: &agent.exit,
            dir: &self.found.dir,
            watch: &shared.watch,
            journal: &self.journal,
            responder: &responder,
            context: &context,
            permissions: self.found.journal_state.order.permissions,
            judges: self.found.journal_state.order.policy.is_some(),
            budget: &self.found.journal_state.order.budget,
            notifier: &self.notifier,
            resumed: self.found.journal_state.resumed(),
            trust: self.found.journal_state.order.agent.trust,
            executor: self.found.journal_state.order.agent.executor,
        };
        let dir = &self.found.dir;
        let _judging = Judging::begin(deciders.policy.as_ref(), dir, &shared.watch, &context)?;
        let driver = Driver::resume(
            parts,
            &resume_point,
            self.found.journal_state.replies.clone(),
            self.found.journal_state.items.clone(),
        )?;
        Ok(driver.follow(cancel.cancelled()).await)
    }
}

/// Who answers and decides in a run that is taken over.
pub(crate) struct Deciders {
    responders: Vec<Arc<dyn Responder>>,
    policy: Option<Arc<dyn Policy>>,
}

/// Takes a run over to bring it to its end; hands back the record of one that has ended.
///
/// # Errors
/// [`record::Error::Alive`] where an operator owns it, [`record::Error::NotFound`] where it never began.
pub(crate) fn take_over(
    store: &Store,
    dir: &RunDir,
    listener: Option<UnboundedSender<Entry>>,
) -> Result<Result<Box<TakenOverRun>, Box<Outcome>>, Error> {
    let name = dir.name().to_owned();
    if dir.is_closed()
        && let Some(record) = dir.load_record()?
    {
        return Ok(Err(Box::new(record)));
    }
    match TakenOverRun::claim(store, dir, listener)? {
        Claim::Alive => Err(record::Error::Alive { name }.into()),
        Claim::Empty => {
            dir.discard();
            Err(record::Error::NotFound { name }.into())
        }
        Claim::Ended => match dir.load_record()? {
            Some(record) => Ok(Err(Box::new(record))),
            None => Err(record::Error::NotFound { name }.into()),
        },
        Claim::Taken(taken_over) if taken_over.holds_this_process() => {
            let why =
                format!("the run {name} can't be taken over: this command runs in its session");
            Err(Error::Usage(why))
        }
        Claim::Taken(taken_over) => Ok(Ok(taken_over)),
    }
}
