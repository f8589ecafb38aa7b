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
use std::time::Duration;

use cx_operator::record::journal::{self, Entry, Progress};
use cx_operator::record::{Outcome, RunDir, Status};
use cx_operator::task::question::Answer;
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
            let output = run(rig, delegation(rig, class), class).await;
            let outcome = find_outcome(rig, &output, class).expect("it ends");
            assert_eq!(outcome.status, class.status, "{outcome:?}");
            let reference = Self {
                lines: rig.journal(&outcome).len(),
                journal: journal_lines(&outcome),
                tree: tree_of(rig, &outcome),
                asked: asked(rig, class),
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
    if class.detached {
        command.arg("--detach");
    }
    if let Some(script) = setup.script {
        fs::write(rig.path("script"), script).expect("the script");
        command.env("CX_SCRIPT", rig.path("script"));
    }
    command
}

/// The record of a run that came to its end; `None` where its operator was killed.
fn find_outcome(rig: &Rig, output: &Output, class: &Class) -> Option<Outcome> {
    if !class.detached {
        output.status.code()?;
        return Some(rig.document(output).0);
    }
    let run = rig.operator.store().find("t").ok();
    let ended = run.filter(RunDir::is_closed)?;
    let outcome = ended.load_record().expect("readable")?;
    rig.keep_in_mind(&outcome);
    Some(outcome)
}

/// Runs an operator to its end, a process of its own included, while another process replies to what the run asks.
async fn run(rig: &Rig, command: Command, class: &Class) -> Output {
    let ended = async {
        let output = run_alone(rig, command, class).await;
        if class.detached {
            // Whether it was handed over or not.
            wait_for("nobody drives the run", || {
                let run = rig.operator.store().find("t");
                let is_driven = run.is_ok_and(|run| run.is_alive());
                (!is_driven).then_some(())
            })
            .await;
        }
        output
    };
    match class.reply {
        None => ended.await,
        Some(answer) => tokio::select! {
            output = ended => output,
            () = reply_to_all(rig, answer) => unreachable!("it goes on"),
        },
    }
}

/// Replies to each question that the run `t` asks.
async fn reply_to_all(rig: &Rig, answer: fn() -> Answer) {
    loop {
        let run = rig.operator.store().find("t").ok();
        let asked = run
            .as_ref()
            .and_then(|run| run.load_question().ok().flatten());
        if let (Some(run), Some(open)) = (run, asked) {
            // One that has its reply, or is gone, refuses it.
            let _taken_once = run.send_answer(&open.id, &answer());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs an operator to its end; one of an interrupted class gets SIGINT when it follows the first turn.
async fn run_alone(rig: &Rig, mut command: Command, class: &Class) -> Output {
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

/// How often the responder was asked, or other processes.
fn asked(rig: &Rig, class: &Class) -> usize {
    if class.reply.is_some() {
        let is_asked = |entry: &&Entry| matches!(entry.progress, Progress::Asked { .. });
        return entries(rig).iter().filter(is_asked).count();
    }
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
    if find_outcome(rig, &output, kill.class).is_some() {
        // Two runs need not have the same number of lines: an event more or less is ignored.
        assert!(kill.line + 2 > reference.lines, "{kill}: it was not killed");
        return outcome::remove_kept(rig).await;
    }
    let killed = Killed::now(rig, kill.class);
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
    fn now(rig: &Rig, class: &Class) -> Self {
        Self {
            entries: entries(rig),
            tree: work_tree(rig),
            asked: asked(rig, class),
        }
    }
}

async fn recover(rig: &Rig, kill: Kill) {
    let mut command = match kill.heir {
        Heir::Resume if kill.class.detached => rig.binary(&["resume", "t", "--detach", "--json"]),
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
