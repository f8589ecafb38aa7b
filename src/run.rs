//! A run, from preflight to teardown, in the order of its steps.
//!
//! ```text
//! preflight → worktree → launch → (dialogs, submit, turns) → snapshot → diff → record → teardown
//! ```
//!
//! Whatever ends a run after its worktree was made, the same steps take the work in and remove what is ours.

mod brief;
pub mod cancel;
pub(crate) mod collect;
pub(crate) mod context;
pub(crate) mod drive;
mod headless;
pub(crate) mod inbox;
mod judging;
mod launch;
pub(crate) mod notify;
pub mod preflight;
pub(crate) mod recovery;
pub(crate) mod shared;
pub(crate) mod teardown;

use std::fs;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use tokio::sync::mpsc::UnboundedSender;

use crate::agent::conversation::{Conversation, Drive};
use crate::agent::signals::Standing;
use crate::error::{Error, io as io_error};
use crate::os::blocking::blocking;
use crate::os::process::boot_id;
use crate::os::time::millis;
use crate::record::code::Code;
use crate::record::journal::{Entry, Journal, Progress, SCHEMA_VERSION, Step};
use crate::record::{Continued, Lock, Outcome, RunDir};
use crate::run::brief::Brief;
use crate::run::cancel::Cancel;
use crate::run::context::{Agent, RunContext};
use crate::run::drive::{Continuation, Driver, Ending, Parts};
use crate::run::inbox::CancelByMessage;
use crate::run::judging::Judging;
use crate::run::notify::Notifier;
use crate::run::recovery::sweep_once;
use crate::run::shared::Shared;
use crate::task::Task;
use crate::task::name::{Names, RunId};
use crate::task::respond::Context;
use crate::tmux;
use crate::turn::{End, Machine, Plan};
use crate::worktree::{self, Owner, Worktree, WorktreeSpec};
use preflight::Ready;

/// Runs a task to its end.
pub(crate) async fn delegate(
    shared: &Shared,
    (task, run_id): (Task, RunId),
    cancel: &Cancel,
    listener: Option<UnboundedSender<Entry>>,
) -> Outcome {
    let (now, started) = (SystemTime::now(), Instant::now());
    let mut outcome = Outcome::blank(&task.name, run_id.clone(), now);
    outcome.executor = task.agent.executor.name().to_owned();
    match Run::begin(shared, task, run_id, listener).await {
        Ok(run) => run.carry_out(cancel, &mut outcome).await,
        Err(error) => outcome.fail(error.to_failure()),
    }
    outcome.duration_ms = millis(started.elapsed());
    outcome
}

/// A run that has a directory, and all that its steps need.
pub(crate) struct Run<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) task: Task,
    pub(crate) run_id: RunId,
    pub(crate) ready: Ready,
    pub(crate) names: Names,
    pub(crate) dir: RunDir,
    pub(crate) journal: Journal,
    pub(crate) started: Instant,
    notifier: Notifier,
    _lock: Lock,
}

impl<'a> Run<'a> {
    /// Checks everything, then makes the run's directory and its journal.
    async fn begin(
        shared: &'a Shared,
        task: Task,
        run_id: RunId,
        listener: Option<UnboundedSender<Entry>>,
    ) -> Result<Self, Error> {
        let started = Instant::now();
        let swept = sweep_once(shared).await;
        let names = task.names();
        let mut ready = preflight::check(shared, &task, &names, &run_id).await?;
        ready.notices.extend(swept.iter().cloned());
        let (dir, lock) = shared.store.create(&run_id)?;
        dir.write_order(&task)?;
        let journal =
            Journal::create(&dir.events(), listener).map_err(io_error("create the journal"))?;
        journal.write(Progress::Started {
            run_id: run_id.clone(),
            task: task.name.clone(),
            repository: ready.repository.root().to_owned(),
            common_dir: Some(ready.repository.common_dir().to_owned()),
            base_commit: ready.base.to_string(),
            boot_id: boot_id(),
            operator_pid: std::process::id(),
            agent_version: ready.program.version().to_owned(),
            names: Some(names.clone()),
            terms: None,
            schema_version: SCHEMA_VERSION,
        });
        if let Some(configuration) = &task.configuration {
            journal.write(Progress::Configured(configuration.clone()));
        }
        dir.write("task.md", task.prompt.as_str().as_bytes())?;
        stand(&task, &names, &dir, &ready.environment)?;
        if let Some(earlier) = &task.earlier {
            let (store, from, by) = (shared.store.clone(), earlier.run.clone(), run_id.clone());
            let note = move || {
                store.note_continuation(&from, &by);
                Ok::<_, Error>(())
            };
            blocking(note).await?;
            journal.write(Progress::Continues {
                run_id: earlier.run.clone(),
                session: ready.resumed.clone(),
            });
        }
        let brief = Brief::of(&task, ready.resumed.is_some());
        ready.notices.extend(brief.notices(&task, ready.drive));
        let prompt = brief.prompt(&task, ready.drive);
        dir.write(&RunDir::prompt_name(1), prompt.as_bytes())?;
        for text in &ready.notices {
            journal.write(Progress::Notice { text: text.clone() });
        }
        Ok(Self {
            shared,
            notifier: Notifier::new(&task, &dir),
            task,
            run_id,
            ready,
            names,
            dir,
            journal,
            started,
            _lock: lock,
        })
    }

    fn context<'b>(&'b self, cancel: &'b Cancel) -> RunContext<'b> {
        RunContext {
            dir: &self.dir,
            journal: &self.journal,
            tmux: &self.shared.tmux,
            keep: self.task.keep,
            notifier: &self.notifier,
            cancel,
            executor: self.task.agent.executor,
        }
    }

    async fn carry_out(&self, cancel: &Cancel, outcome: &mut Outcome) {
        self.describe(outcome);
        let _until_the_end = CancelByMessage::listen(&self.dir, &self.shared.watch, cancel);
        if let Some(by) = cancel.asked() {
            // A long preflight is over, and nothing is made yet.
            let end = End::cancelled(by);
            (outcome.status, outcome.error) = (end.status, end.error);
            return teardown::record(&self.context(cancel), outcome, true).await;
        }
        // A server needs no worktree to start.
        let (added, server) = tokio::join!(self.add_worktree(), self.start_server());
        let clean = match added {
            Ok(worktree) => {
                let server = match server {
                    Some(Err(Error::Tmux(tmux::Error::SessionExists { .. }))) => {
                        self.start_server_again(cancel).await
                    }
                    server => server,
                };
                outcome.notices.extend(worktree.notices().iter().cloned());
                self.work_in((&worktree, server), cancel, outcome).await
            }
            Err(error) => {
                if let Some(server) = server {
                    let root = server.ok().and_then(|agent| agent.root);
                    let session = Some(self.names.session.as_str());
                    let left = teardown::end_orphans(&self.context(cancel), root, session).await;
                    outcome.notices.extend(left);
                }
                outcome.fail(error.to_failure());
                // A recovery tries again to undo the rest.
                !matches!(error, Error::Worktree(worktree::Error::LeftBehind { .. }))
            }
        };
        // clap's refusal: the flags are others than was thought.
        if fs::read_to_string(self.dir.exit_status()).is_ok_and(|status| status.trim() == "2") {
            self.ready.program.forget(self.shared.store.root());
        }
        outcome.duration_ms = millis(self.started.elapsed());
        teardown::record(&self.context(cancel), outcome, clean).await;
    }

    fn describe(&self, outcome: &mut Outcome) {
        outcome.agent_version = Some(self.ready.program.version().to_owned());
        outcome.base_commit = Some(self.ready.base.to_string());
        outcome.checkout = self.ready.repository.checkout().map(Into::into);
        outcome.base_dirty = self.ready.base_dirty;
        outcome.repository = Some(self.ready.repository.root().to_owned());
        outcome.common_dir = Some(self.ready.repository.common_dir().to_owned());
        outcome.run_dir = Some(self.dir.path().to_owned());
        outcome.notices.clone_from(&self.ready.notices);
        outcome.continues = self.task.earlier.as_ref().map(|earlier| Continued {
            run_id: earlier.run.clone(),
            session_id: self.ready.resumed.clone().map(|resumed| resumed.session_id),
        });
    }

    async fn add_worktree(&self) -> Result<Worktree, Error> {
        let spec = WorktreeSpec {
            path: self.names.worktree.clone(),
            branch: self.names.branch.clone(),
            base: self.ready.base,
            owner: Owner {
                run_id: self.run_id.as_str().to_owned(),
                state_dir: self.shared.store.root().to_owned(),
            },
        };
        let step = Step::Worktree {
            path: spec.path.clone(),
            branch: spec.branch.clone(),
            base_commit: spec.base.to_string(),
        };
        let (repository, names) = (self.ready.repository.clone(), self.names.clone());
        let add = blocking(move || {
            let added = Worktree::add(&repository, &spec).map_err(Error::from);
            added.map_err(|error| match error.code() {
                // Taken since the preflight.
                Code::NameTaken => preflight::find_holder(&repository, &names).unwrap_or(error),
                _ => error,
            })
        });
        self.journal.step(step, add).await
    }

    /// Everything between the worktree's making and its removal. Says whether nothing is left.
    async fn work_in(
        &self,
        (worktree, server): (&Worktree, Option<Result<Agent, Error>>),
        cancel: &Cancel,
        outcome: &mut Outcome,
    ) -> bool {
        let launched = match (cancel.asked(), server) {
            (None, server) => {
                let launched = self.launch((worktree, cancel), server, outcome);
                launched.await.map(Ok)
            }
            (Some(by), Some(Ok(agent))) => {
                let ending = Ending::before_turns(End::cancelled(by));
                teardown::announce(&self.context(cancel), &ending);
                let closing = (Some(worktree), ending);
                let context = self.context(cancel);
                return teardown::finish(&context, Some(&agent), closing, outcome).await;
            }
            (Some(by), _) => Ok(Err(Ending::before_turns(End::cancelled(by)))),
        };
        let (agent, ending) = match launched {
            Ok(Err(ending)) => (None, ending),
            Ok(Ok((agent, conversation))) => {
                outcome.drive = Some(agent.drive);
                let ending = self.follow((&agent, conversation), worktree, cancel).await;
                (Some(agent), ending)
            }
            Err(error) => {
                // The session may be there all the same: tmux was late, or did a part of what it was told.
                let session = Some(self.names.session.as_str());
                let session = session.filter(|_| self.ready.drive != Drive::Headless);
                let left = teardown::end_orphans(&self.context(cancel), None, session).await;
                outcome.notices.extend(left);
                (None, Ending::failed(error.to_failure()))
            }
        };
        let context = self.context(cancel);
        teardown::announce(&context, &ending);
        let closing = (Some(worktree), ending);
        teardown::finish(&context, agent.as_ref(), closing, outcome).await
    }

    /// Where the agent works. What the base has can be hidden in the worktree, as it is in the caller's checkout.
    fn directory(&self, worktree: &Worktree) -> PathBuf {
        let directory = preflight::below(worktree.path(), &self.ready.directory);
        if directory.is_dir() {
            directory
        } else {
            worktree.path().to_owned()
        }
    }

    async fn follow(
        &self,
        (agent, conversation): (&Agent, Option<Box<dyn Conversation>>),
        worktree: &Worktree,
        cancel: &Cancel,
    ) -> Ending {
        let (watch, responders) = (&self.shared.watch, &self.task.responders);
        let responder = inbox::responders(&self.dir, watch, responders);
        let brief = Brief::of(&self.task, self.ready.resumed.is_some());
        let plan = Plan {
            prompt: brief.prompt(&self.task, agent.drive),
            limits: responder.limits(self.task.limits),
            permissions: self.task.permissions,
            responder: !responder.is_empty(),
            probe: self.task.probe,
            directory: self.directory(worktree),
            executor: self.task.agent.executor,
            drive: agent.drive,
            answer: self.task.agent.output_schema.clone(),
        };
        let mut context = Context::new(
            self.run_id.as_str(),
            self.task.name.as_str(),
            worktree.path().to_owned(),
        );
        context.home = home(&self.ready.environment);
        let parts = Parts {
            machine: Machine::new(plan, Instant::now()),
            pane: agent.pane.as_ref(),
            continuation: conversation.as_ref().map(|_| Continuation {
                socket: self.dir.socket(),
                options: self.task.agent.clone(),
                worktree: worktree.path().to_owned(),
                directory: self.directory(worktree),
            }),
            conversation,
            exit: &agent.exit,
            dir: &self.dir,
            watch: &self.shared.watch,
            journal: &self.journal,
            responder: &responder,
            context: &context,
            permissions: self.task.permissions,
            judges: self.task.policy.is_some(),
            budget: &self.task.budget,
            notifier: &self.notifier,
            resumed: self.ready.resumed.as_ref(),
            trust: self.task.agent.trust,
            executor: self.task.agent.executor,
        };
        let policy = self.task.policy.as_ref();
        let policy = policy.filter(|policy| policy.rules().is_none());
        let judging = Judging::begin(policy, &self.dir, watch, &context);
        match judging.and_then(|judging| Ok((judging, Driver::new(parts)?))) {
            Ok((_judging, driver)) => driver.follow(cancel.cancelled()).await,
            Err(error) => Ending::failed(Error::from(error).to_failure()),
        }
    }
}

/// The home directory that an environment names.
pub(crate) fn home(environment: &[(String, String)]) -> Option<PathBuf> {
    let home = environment.iter().rev().find(|(name, _)| name == "HOME");
    home.map(|(_, home)| PathBuf::from(home))
}

/// Puts the policy where the hooks find it.
fn stand(
    task: &Task,
    names: &Names,
    dir: &RunDir,
    environment: &[(String, String)],
) -> Result<(), Error> {
    let Some(policy) = &task.policy else {
        return Ok(());
    };
    let worktree = names.worktree.clone();
    let standing = match policy.rules() {
        Some(rules) => Standing::new(rules.clone(), worktree, home(environment)),
        None => Standing::of_operator(judging::limit_of(&**policy), worktree),
    };
    let written = standing.write(&dir.signals());
    written.map_err(io_error("write the policy for the hooks"))
}
