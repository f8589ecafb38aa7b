//! The commands that tell others of a run. Each is run once at most: it is in the journal before it begins. None takes longer than its
//! limit.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::agent::EXECUTORS;
use crate::os::given;
use crate::os::process::{RUN_VARIABLE, group_members};
use crate::os::time::words;
use crate::record::inbox::OpenQuestion;
use crate::record::journal::{self, Journal, Progress};
use crate::record::{Outcome, RunDir, shown};
use crate::run::cancel::Cancel;
use crate::task::Task;

/// What such commands print, in the run's directory.
const LOG: &str = "notifications.log";

/// The document that a command gets on its stdin.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Debug, Serialize)]
pub(crate) struct Notification<'a> {
    /// 1.
    schema_version: u32,
    /// `waiting` or `finished`.
    event: &'static str,
    /// The run's id.
    run_id: &'a str,
    /// The task's name.
    task: &'a str,
    /// The agent's CLI.
    executor: &'a str,
    /// Of `waiting`: the question.
    question: Option<&'a OpenQuestion>,
    /// Of `finished`: the run's record.
    record: Option<&'a Outcome>,
}

/// Between two looks whether what a command left still runs.
const PACE: Duration = Duration::from_millis(50);

/// The commands of a run.
#[derive(Debug)]
pub(crate) struct Notifier {
    order: Task,
    dir: RunDir,
    /// What is under way: it ends with why it failed.
    waiting: Mutex<Vec<JoinHandle<Option<String>>>>,
}

impl Notifier {
    pub(crate) fn new(order: &Task, dir: &RunDir) -> Self {
        Self {
            order: order.clone(),
            dir: dir.clone(),
            waiting: Mutex::default(),
        }
    }

    /// Tells that the run waits for a reply, and goes on at once.
    pub(crate) fn tell_waiting(&self, journal: &Journal, question: &OpenQuestion) {
        let command = &self.order.notifications.on_waiting;
        if command.is_empty() || !self.is_first(journal, "waiting", Some(&question.id)) {
            return;
        }
        let call = self.call(command, &self.document("waiting", Some(question), None));
        let told = tokio::spawn(async move { call.run().await.err() });
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(told);
    }

    /// Tells that the run has ended, and waits for that. Returns what failed, of what was told before as well.
    pub(crate) async fn tell_finished(
        &self,
        journal: &Journal,
        outcome: &Outcome,
        cancel: &Cancel,
    ) -> Vec<String> {
        let told: Vec<_> = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.drain(..).collect()
        };
        let mut failed = Vec::new();
        for told in told {
            let why = told.await.ok().flatten();
            failed.extend(why.map(|why| format!("on_waiting {why}")));
        }
        let command = &self.order.notifications.on_finished;
        if !command.is_empty() && self.is_first(journal, "finished", None) {
            let call = self.call(command, &self.document("finished", None, Some(outcome)));
            let ended = tokio::select! {
                ended = call.run() => ended,
                () = cancel.hurried() => Err("was cut short".to_owned()),
            };
            failed.extend(ended.err().map(|why| format!("on_finished {why}")));
        }
        failed
    }

    /// Whether nobody has told it before, an operator that is gone included. It counts as told from now on.
    fn is_first(&self, journal: &Journal, event: &str, id: Option<&str>) -> bool {
        let entries = journal::load(&self.dir.events()).unwrap_or_default();
        let is_told = entries.iter().any(|entry| {
            matches!(&entry.progress, Progress::Notified { of, question } if of == event && question.as_deref() == id)
        });
        if !is_told {
            journal.write(Progress::Notified {
                of: event.to_owned(),
                question: id.map(str::to_owned),
            });
        }
        !is_told
    }

    fn document(
        &self,
        event: &'static str,
        question: Option<&OpenQuestion>,
        record: Option<&Outcome>,
    ) -> String {
        shown::line(&Notification {
            schema_version: 1,
            event,
            run_id: self.dir.name(),
            task: self.order.name.as_str(),
            executor: self.order.agent.executor.name(),
            question,
            record,
        })
        .text
    }

    fn call(&self, command: &[String], document: &str) -> Call {
        Call {
            words: command.to_vec(),
            document: document.to_owned(),
            dir: self.dir.clone(),
            limit: self.order.notifications.limit,
        }
    }
}

/// One command that is run once.
struct Call {
    words: Vec<String>,
    document: String,
    dir: RunDir,
    limit: Duration,
}

impl Call {
    /// Runs it, and waits for what it leaves in the background too. The error is why it failed.
    async fn run(self) -> Result<(), String> {
        let (program, arguments) = self.words.split_first().ok_or("is empty")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .envs(environment())
            // Whoever ends what the run left finds it by this.
            .env(RUN_VARIABLE, self.dir.name())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(self.log())
            .stderr(self.log());
        let child = command
            .spawn()
            .map_err(|error| format!("could not be run: {error}"))?;
        let id = child.id().unwrap_or_default();
        let mut group = Group { child, id };
        let stdin = group.child.stdin.take();
        let tell = async {
            if let Some(mut stdin) = stdin {
                // One that reads nothing is told nothing.
                let _closed_early = stdin.write_all(self.document.as_bytes()).await;
            }
        };
        let ended = async {
            let status = tokio::join!(group.child.wait(), tell).0;
            while !group_members(id).is_empty() {
                tokio::time::sleep(PACE).await;
            }
            status
        };
        match tokio::time::timeout(self.limit, ended).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!(
                "failed ({status}): see {LOG} in the run's directory"
            )),
            Ok(Err(error)) => Err(format!("could not be waited for: {error}")),
            Err(_elapsed) => Err(format!(
                "took longer than {} and was ended",
                words(self.limit)
            )),
        }
    }

    fn log(&self) -> Stdio {
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        let file = options.open(self.dir.path().join(LOG));
        file.map_or_else(|_full| Stdio::null(), Stdio::from)
    }
}

/// A command with what it starts: all of it ends when it is let go of.
struct Group {
    child: Child,
    /// Of the group, which is the command's own.
    id: u32,
}

impl Drop for Group {
    fn drop(&mut self) {
        // The number of one that has been waited for is another's by now, unless a member holds it.
        let group = match self.child.id() {
            Some(pid) => Some(pid),
            None if !group_members(self.id).is_empty() => Some(self.id),
            None => None,
        };
        let group = group.and_then(|group| Pid::from_raw(i32::try_from(group).ok()?));
        if let Some(group) = group {
            let _gone_already = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The caller's variables without the agents' keys, and without those that are ours.
fn environment() -> impl Iterator<Item = (&'static std::ffi::OsStr, &'static std::ffi::OsStr)> {
    let is_secret = |name: &str| {
        let mut keys = EXECUTORS
            .iter()
            .flat_map(|executor| executor.key_variables());
        name.starts_with("CX_OPERATOR_") || keys.any(|key| *key == name)
    };
    let all = given::variables().iter();
    all.filter(move |(name, _)| name.to_str().is_none_or(|name| !is_secret(name)))
        .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
}
