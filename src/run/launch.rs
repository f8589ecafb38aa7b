//! The start of an agent: its session, its program in it, and the conversation with that where it is driven by requests.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::agent::conversation::{Conversation, Drive, NoConversation, Terms};
use crate::agent::executor::{CommandLine, Hooks, Launch};
use crate::agent::signals::{self, Policy};
use crate::error::{Error, io as io_error};
use crate::os::launcher::environment_file;
use crate::os::process::cgroup::Cgroup;
use crate::os::process::{Exit, Process};
use crate::os::time::words;
use crate::record::Outcome;
use crate::record::journal::{Progress, Step};
use crate::run::cancel::Cancel;
use crate::run::context::Agent;
use crate::run::drive::denial;
use crate::run::judging::limit_of;
use crate::run::{Run, preflight, teardown};
use crate::task::policy::Permissions;
use crate::tmux::{Pane, SessionSpec};
use crate::worktree::Worktree;

/// How long the server of a run that lost its name may take to end.
const RIVAL_ENDS: Duration = Duration::from_secs(5);
/// Between two looks at that.
const RIVAL_PACE: Duration = Duration::from_millis(100);

/// A started agent, and the conversation with it.
pub(super) type Started = (Agent, Option<Box<dyn Conversation>>);

impl Run<'_> {
    /// Starts the agent's server, if the agent is driven by requests: beside the making of the worktree.
    pub(super) async fn start_server(&self) -> Option<Result<Agent, Error>> {
        if self.ready.drive != Drive::Requests {
            return None;
        }
        let signals = self.dir.signals();
        let worktree = &self.names.worktree;
        let directory = preflight::below(worktree, &self.ready.directory);
        let home = self.dir.home();
        let launch = self.plan_launch((worktree, &directory), (&signals, &home));
        let command = self.ready.program.server(&launch, &self.dir.socket())?;
        Some(self.start(&launch, (command, Drive::Requests)).await)
    }

    /// Starts it again where another session had the name, once that has ended. That of two runs of one name which has the
    /// worktree has the name; the other's server may have been the first, and ends with its run. A session that stays is told of
    /// by the start.
    pub(super) async fn start_server_again(&self, cancel: &Cancel) -> Option<Result<Agent, Error>> {
        let until = Instant::now() + RIVAL_ENDS;
        while Instant::now() < until && cancel.asked().is_none() {
            let sessions = self.shared.tmux.query_sessions().await;
            if sessions.is_ok_and(|sessions| !sessions.contains(&self.names.session)) {
                break;
            }
            sleep(RIVAL_PACE).await;
        }
        self.start_server().await
    }

    fn plan_launch<'b>(
        &'b self,
        (worktree, directory): (&'b Path, &'b Path),
        (signals, home): (&'b Path, &'b Path),
    ) -> Launch<'b> {
        Launch {
            options: &self.task.agent,
            repository: preflight::trusted(&self.ready.repository),
            worktree,
            directory,
            settings: &self.ready.settings,
            resumed: self.ready.resumed.as_ref(),
            hooks: Hooks {
                helper: &self.ready.helper,
                signals,
                judged_within: self.task.policy.as_deref().map(limit_of),
            },
            environment: &self.ready.environment,
            home,
        }
    }

    /// Starts the agent, or begins the conversation with its `server`. Where that does not do, the agent is started by keys,
    /// and the record says why.
    pub(super) async fn launch(
        &self,
        (worktree, cancel): (&Worktree, &Cancel),
        server: Option<Result<Agent, Error>>,
        outcome: &mut Outcome,
    ) -> Result<Started, Error> {
        let signals = self.dir.signals();
        signals::write_policy(&signals, &self.policy())
            .map_err(io_error("write the permission policy"))?;
        let directory = self.directory(worktree);
        let home = self.dir.home();
        let launch = self.plan_launch((worktree.path(), &directory), (&signals, &home));
        if let Some(server) = server {
            let mut agent = server?;
            match self.converse(&agent, &launch, cancel).await {
                Ok(Some(conversation)) => {
                    agent.server = teardown::processes(&self.context(cancel), &agent);
                    return Ok((agent, Some(conversation)));
                }
                Ok(None) => return Ok((agent, None)),
                Err(NoConversation::Refused(refusal)) => {
                    outcome.drive = Some(Drive::Requests);
                    self.give_up(&agent, cancel).await?;
                    return Err(refusal.into());
                }
                Err(NoConversation::Unusable(why)) => {
                    self.give_up(&agent, cancel).await?;
                    let name = self.task.agent.executor.name();
                    let text = format!("{name} is driven by keys, since requests failed: {why}");
                    self.journal.write(Progress::Notice { text: text.clone() });
                    outcome.notices.push(text);
                }
            }
        }
        let command = self.ready.program.command_line(&launch);
        let agent = match self.ready.drive {
            Drive::Headless => self.start_headless(&launch, command).await?,
            _ => self.start(&launch, (command, Drive::Keys)).await?,
        };
        Ok((agent, None))
    }

    /// The answer of the permission hook.
    fn policy(&self) -> Policy {
        match self.task.permissions {
            Permissions::Allow => Policy::Allow,
            Permissions::Deny => Policy::Deny {
                message: denial(""),
            },
            Permissions::Ask if self.task.responders.is_empty() => Policy::Ask,
            // The operator answers every one, or the run is over: it is the operator that keeps the time.
            Permissions::Ask => Policy::Wait {
                limit: signals::MAX_WAIT,
            },
        }
    }

    /// Starts a program in the run's session.
    async fn start(
        &self,
        launch: &Launch<'_>,
        (command, drive): (CommandLine, Drive),
    ) -> Result<Agent, Error> {
        let environment = self.dir.environment();
        let mut variables = self.ready.environment.clone();
        let own = self.ready.program.prepare(launch);
        variables.extend(own.map_err(io_error("prepare the agent's directory"))?);
        self.dir
            .write("environment", environment_file(&variables).as_bytes())?;
        let name = &self.names.session;
        let step = Step::Session {
            socket: self.shared.tmux.socket().to_owned(),
            session: name.clone(),
        };
        let begin = async {
            let cgroup = self.make_cgroup();
            let spec = SessionSpec {
                name,
                run_id: self.run_id.as_str(),
                launcher: &self.ready.helper.launcher(),
                // The worktree may not be there yet; a server is told where to work with each session.
                cwd: match drive {
                    Drive::Requests => self.dir.path(),
                    _ => launch.directory,
                },
                environment: &environment,
                exit_status: &self.dir.exit_status(),
                cgroup: cgroup.as_ref().map(Cgroup::path),
                log: &self.dir.pane_log(),
                argv: &command.argv,
            };
            self.shared.tmux.new_session(&spec).await
        };
        let pane = self.journal.step(step, begin).await;
        let pane = pane?;
        self.watch_over((pane.pid(), Some(pane)), launch.directory, (command, drive))
    }

    pub(super) fn make_cgroup(&self) -> Option<Cgroup> {
        let wanted = self.shared.cgroups;
        wanted
            .then(|| Cgroup::create(self.run_id.as_str(), self.dir.path()))
            .flatten()
    }

    pub(super) fn watch_over(
        &self,
        (pid, pane): (u32, Option<Pane>),
        directory: &Path,
        (command, drive): (CommandLine, Drive),
    ) -> Result<Agent, Error> {
        let root = Process::find(pid);
        self.journal.write(Progress::Launched {
            session_id: pane.as_ref().map(|pane| pane.session_id().to_owned()),
            pane: pane.as_ref().map(|pane| pane.id().to_owned()),
            pid,
            pid_start: root.map(|process| process.start),
            directory: Some(directory.to_owned()),
            argv: command.recorded,
            drive: Some(drive),
        });
        let exit = Exit::of(pid).map_err(io_error("watch the agent's process"))?;
        Ok(Agent {
            pane,
            exit,
            root,
            drive,
            server: HashSet::new(),
        })
    }

    /// Whether somebody has ended the run's session: the one of a program that ends by itself stays.
    async fn is_session_gone(&self) -> bool {
        let (tmux, session) = (&self.shared.tmux, &self.names.session);
        let there = tmux.query_session_of(session, self.run_id.as_str()).await;
        matches!(there, Ok(false))
    }

    /// Begins the conversation with a started server; `None` if the run is cancelled or its session ended in the meantime.
    async fn converse(
        &self,
        agent: &Agent,
        launch: &Launch<'_>,
        cancel: &Cancel,
    ) -> Result<Option<Box<dyn Conversation>>, NoConversation> {
        let name = format!("cx-operator: {}", self.task.name);
        let terms = Terms {
            socket: &self.dir.socket(),
            options: launch.options,
            worktree: launch.worktree,
            directory: launch.directory,
            environment: &self.ready.environment,
            name: &name,
            session: launch.resumed.map(|resumed| resumed.session_id.as_str()),
        };
        let limit = self.task.limits.startup;
        let begun = tokio::select! {
            begun = self.task.agent.executor.converse(&terms) => begun,
            () = agent.exit.wait() => {
                if self.is_session_gone().await {
                    // A person ended it, and the run with it: nothing is started in its place.
                    return Ok(None);
                }
                let words = match &agent.pane {
                    Some(pane) => pane.query_last_words().await.unwrap_or_default(),
                    None => String::new(),
                };
                let why = last_error(&words).unwrap_or("it said nothing");
                // Whoever killed it: nothing was said to the agent yet, so that nothing is lost or done twice by keys.
                let how = match self.dir.load_exit_status() {
                    Some(code @ 129..=192) => format!(" by signal {}", code - 128),
                    _ => String::new(),
                };
                Err(NoConversation::Unusable(format!("its server ended{how}: {why}")))
            }
            () = tokio::time::sleep(limit) => {
                let limit = words(limit);
                Err(NoConversation::Unusable(format!("its server did not answer within {limit}")))
            }
            _by = cancel.cancelled() => return Ok(None),
        };
        let conversation = begun?;
        let session = conversation.session();
        self.journal.write(Progress::Connected {
            session_id: session.id.clone(),
            transcript: session.transcript.clone(),
            directory: Some(launch.directory.to_owned()),
            after_turn: session.turns.last().map(|turn| turn.id.clone()),
        });
        Ok(Some(conversation))
    }

    /// Ends a server that does not do, so that its place is free.
    async fn give_up(&self, agent: &Agent, cancel: &Cancel) -> Result<(), Error> {
        if fs::read_to_string(self.dir.exit_status()).is_ok_and(|status| status.trim() == "2") {
            self.ready.program.forget(self.shared.store.root());
        }
        let context = self.context(cancel);
        let session = Some(self.names.session.as_str());
        let left = teardown::end_orphans(&context, agent.root, session).await;
        // It was that program's, and would be read as the next one's.
        let _none = fs::remove_file(self.dir.exit_status());
        match left.into_iter().next() {
            None => Ok(()),
            Some(why) => Err(io_error("end the agent's server")(std::io::Error::other(
                why,
            ))),
        }
    }
}

/// The line of a program's last words that names an error, else the last of them.
fn last_error(words: &str) -> Option<&str> {
    let lines = words.lines().map(str::trim);
    // tmux's own word about the pane comes last.
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("Pane is dead"));
    let lines: Vec<&str> = lines.collect();
    let is_error = |line: &&&str| line.to_ascii_lowercase().starts_with("error");
    let error = lines.iter().rfind(is_error).or(lines.last());
    error.copied()
}
