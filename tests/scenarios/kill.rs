//! The operator is killed at every line of its journal, and another one brings the run to its end.
//!
//! A run that nobody kills tells how many lines there are, and what must come out. Then the operator ends by SIGKILL before,
//! within or after one of them (the feature `crash-points`), and the run is followed on, or ended, by one of the commands
//! that do so. The agent's work, the record and what is left are looked at in the end.

mod again;
mod classes;
mod cut;
mod frozen;
mod matrix;
mod outcome;
mod real;
mod reboot;

use std::fs;
use std::process::Output;
use std::sync::Mutex;

use cx_operator::record::journal::{self, Entry, Progress};
use cx_operator::record::{Outcome, Status};
use rustix::process::Signal;
use tokio::process::Command;

use crate::rig::{Agent, Rig, on, wait_for};
use classes::Class;
use outcome::{Tree, tree_of, work_tree};

/// What brings a run to its end whose operator was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heir {
    Resume,
    Recover,
    End,
    Cleanup,
    /// The next start of something else, and `recover --end` where the agent still works.
    Start,
}

impl Heir {
    const ALL: [Self; 5] = [
        Self::Resume,
        Self::Recover,
        Self::End,
        Self::Cleanup,
        Self::Start,
    ];

    /// Whether it follows an agent on that still works.
    fn follows(self) -> bool {
        matches!(self, Self::Resume | Self::Recover)
    }
}

/// One killing.
#[derive(Clone, Copy)]
struct Kill {
    class: &'static Class,
    agent: Agent,
    /// `before`, `within`, `after`.
    when: &'static str,
    /// Of the journal, from 1.
    line: usize,
    heir: Heir,
}

impl std::fmt::Display for Kill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, when, line) = (self.class.name, self.when, self.line);
        write!(f, "{name}: {when} line {line}, then {:?}", self.heir)
    }
}

/// What comes out where nobody is killed.
struct Reference {
    lines: usize,
    /// The journal's lines.
    journal: Vec<String>,
    outcome: Outcome,
    tree: Tree,
    asked: usize,
}

impl Reference {
    fn of(class: &Class, agent: Agent) -> Self {
        let found = Mutex::new(None);
        on(agent, async |rig| {
            let (outcome, _) = rig.document(&run(rig, delegation(rig, class), class).await);
            assert_eq!(outcome.status, class.status, "{outcome:?}");
            let reference = Self {
                lines: rig.journal(&outcome).len(),
                journal: journal_lines(&outcome),
                tree: tree_of(rig, &outcome),
                asked: asked(rig),
                outcome,
            };
            *found.lock().expect("no panic holds it") = Some(reference);
            outcome::remove_kept(rig).await;
        });
        let found = found.into_inner().expect("no panic held it");
        found.expect("the run came to its end")
    }
}

fn delegation(rig: &Rig, class: &Class) -> Command {
    let setup = (class.setup)(rig);
    let arguments: Vec<&str> = setup.arguments.iter().map(String::as_str).collect();
    let mut command = rig.delegation(&setup.brief, &arguments);
    if let Some(script) = setup.script {
        fs::write(rig.path("script"), script).expect("the script");
        command.env("CX_SCRIPT", rig.path("script"));
    }
    command
}

/// Runs an operator to its end; one of an interrupted class gets SIGINT when it follows the first turn.
async fn run(rig: &Rig, mut command: Command, class: &Class) -> Output {
    let owners = owners(&entries(rig));
    let child = command.spawn().expect("cx-operator starts");
    let pid = child.id().expect("it was not waited for");
    let end = child.wait_with_output();
    tokio::pin!(end);
    if class.interrupted {
        let submitted = wait_for("the prompt's proof", || {
            let entries = entries(rig);
            let submitted = |entry: &Entry| matches!(entry.progress, Progress::Submitted { .. });
            let follows = self::owners(&entries) > owners;
            (follows && entries.iter().any(submitted)).then_some(())
        });
        tokio::select! {
            output = &mut end => return output.expect("it ends"),
            () = submitted => rig.signal(pid, Signal::INT),
        }
    }
    end.await.expect("it ends")
}

/// How many operators the run has had.
fn owners(entries: &[Entry]) -> usize {
    let owner = |entry: &&Entry| {
        matches!(
            entry.progress,
            Progress::Started { .. } | Progress::TakenOver { .. }
        )
    };
    entries.iter().filter(owner).count()
}

/// The journal of task `t`, as far as there is one.
fn entries(rig: &Rig) -> Vec<Entry> {
    let run = rig.operator.store().find("t").ok();
    run.and_then(|run| journal::load(&run.path().join("events.jsonl")).ok())
        .unwrap_or_default()
}

/// How often the responder was asked.
fn asked(rig: &Rig) -> usize {
    let text = fs::read_to_string(rig.path("asked")).unwrap_or_default();
    text.lines().count()
}

fn journal_lines(outcome: &Outcome) -> Vec<String> {
    let dir = outcome.run_dir.as_ref().expect("the run came to be");
    let text = fs::read_to_string(dir.join("events.jsonl")).expect("the journal");
    text.lines().map(str::to_owned).collect()
}

/// Runs an operator that is killed, unless it writes fewer lines than that.
async fn kill_operator(rig: &Rig, kill: Kill) -> Output {
    let mut command = delegation(rig, kill.class);
    command.env("CX_OPERATOR_CRASH", format!("{}:{}", kill.when, kill.line));
    run(rig, command, kill.class).await
}

/// Kills an operator, has the run brought to its end, and looks at what came out.
async fn kill_and_recover(rig: &Rig, kill: Kill, reference: &Reference) {
    let output = kill_operator(rig, kill).await;
    if output.status.code().is_some() {
        // Two runs need not have the same number of lines: an event more or less is ignored.
        assert!(kill.line + 2 > reference.lines, "{kill}: it was not killed");
        rig.document(&output);
        return outcome::remove_kept(rig).await;
    }
    let killed = Killed::now(rig);
    recover(rig, kill).await;
    killed.assert_recovered(rig, kill, reference);
    outcome::remove_kept(rig).await;
}

/// What an operator left when it was killed.
struct Killed {
    entries: Vec<Entry>,
    tree: Tree,
    asked: usize,
}

impl Killed {
    fn now(rig: &Rig) -> Self {
        Self {
            entries: entries(rig),
            tree: work_tree(rig),
            asked: asked(rig),
        }
    }
}

async fn recover(rig: &Rig, kill: Kill) {
    let mut command = match kill.heir {
        Heir::Resume => rig.binary(&["resume", "t", "--json"]),
        Heir::Recover => rig.binary(&["recover", "--json"]),
        Heir::End => rig.binary(&["recover", "--end", "--json"]),
        Heir::Cleanup => rig.binary(&["cleanup", "--json"]),
        Heir::Start => rig.delegation_of("other", "Say hello.", &[]),
    };
    if kill.heir.follows() {
        run(rig, command, kill.class).await;
        return;
    }
    let output = command.output().await.expect("it ends");
    if kill.heir == Heir::Start {
        let (outcome, _) = rig.document(&output);
        assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
        let end = rig.binary(&["recover", "--end", "--json"]).output().await;
        assert!(end.expect("it ends").status.success());
    }
}
