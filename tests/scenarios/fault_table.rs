//! What goes wrong with the agent, its API, tmux, the hooks, the transcript and the people around: a table.
//!
//! A row says how a fault is brought about, how the run must end, how soon and in which words. Each is a test per agent;
//! whatever the row, the work done so far is in the snapshot, and afterwards the rig is clean. All of it, with the times that
//! it took:
//!
//! ```text
//! cargo test --test scenarios fault_table::print -- --ignored
//! ```

use std::fs;
use std::future::Future;
use std::io::{self, Write};
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cx_operator::Run;
use cx_operator::record::journal::Progress;
use cx_operator::record::{Outcome, Status};
use cx_operator::task::Task;
use cx_operator::task::name::RunId;
use testkit::wait::on_this_machine;

use crate::rig::{Agent, Rig, on, until};

/// A fault, and what must come of it.
pub(super) struct Fault {
    /// How it is brought about, for people.
    how: &'static str,
    status: Status,
    code: Option<&'static str>,
    /// Seconds from the fault to the end of the run, at most.
    within: u64,
    /// What the error's message and hint must say, or the last message where there is no error.
    says: &'static [&'static str],
    /// Runs a task into the fault.
    provoke: for<'a> fn(&'a Rig) -> Provoked<'a>,
}

type Provoked<'a> = Pin<Box<dyn Future<Output = Ended> + 'a>>;

/// A run that has ended, and when its fault came.
pub(super) struct Ended {
    since: Instant,
    outcome: Outcome,
}

/// A fault and whom it is tried on.
pub(super) struct Row {
    name: &'static str,
    agents: &'static [Agent],
    fault: Fault,
}

/// The newest codex, and the oldest that is supported.
const NEWEST: Agent = Agent::Codex(testkit::agents::PINNED);
const OLDEST: Agent = Agent::Codex(testkit::agents::OLDER[1]);
/// The newest codex by requests.
const REQUESTS: Agent = Agent::Requests(testkit::agents::PINNED);
/// The newest Claude Code, and the oldest.
const CLAUDE: Agent = Agent::Claude(testkit::agents::PINNED_CLAUDE);
const OLD_CLAUDE: Agent = Agent::Claude(testkit::agents::OLDER_CLAUDE);

/// Makes a table of its rows, and of each a test per agent.
macro_rules! faults {
    ($($agents:ident $name:ident: $fault:expr;)+) => {
        pub(super) const ROWS: &[Row] = &[$(Row {
            name: stringify!($name),
            agents: agents!($agents),
            fault: $name::FAULT,
        }),+];
        $(mod $name {
            use super::*;

            pub(super) const FAULT: Fault = $fault;
            tests!($agents);
        })+
    };
}

macro_rules! agents {
    (scripted) => {
        &[Agent::Scripted]
    };
    (both) => {
        &[Agent::Scripted, NEWEST, REQUESTS]
    };
    (every) => {
        &[Agent::Scripted, NEWEST, OLDEST, REQUESTS]
    };
    (both_terminals) => {
        &[Agent::Scripted, NEWEST]
    };
    (every_terminal) => {
        &[Agent::Scripted, NEWEST, OLDEST]
    };
    (both_and_claude) => {
        &[Agent::Scripted, NEWEST, REQUESTS, CLAUDE]
    };
    (every_and_claude) => {
        &[
            Agent::Scripted,
            NEWEST,
            OLDEST,
            REQUESTS,
            CLAUDE,
            OLD_CLAUDE,
        ]
    };
    (both_terminals_and_claude) => {
        &[Agent::Scripted, NEWEST, CLAUDE]
    };
    (every_terminal_and_claude) => {
        &[Agent::Scripted, NEWEST, OLDEST, CLAUDE, OLD_CLAUDE]
    };
    (every_claude) => {
        &[CLAUDE, OLD_CLAUDE]
    };
    (claude) => {
        &[CLAUDE]
    };
    (real) => {
        &[NEWEST, OLDEST]
    };
    (newest) => {
        &[NEWEST]
    };
    (oldest) => {
        &[OLDEST]
    };
}

macro_rules! tests {
    (scripted) => { tests!(@ scripted Agent::Scripted); };
    (both) => { tests!(scripted); tests!(newest); tests!(requests); };
    (every) => { tests!(scripted); tests!(real); tests!(requests); };
    (both_terminals) => { tests!(scripted); tests!(newest); };
    (every_terminal) => { tests!(scripted); tests!(real); };
    (both_and_claude) => { tests!(both); tests!(claude); };
    (every_and_claude) => { tests!(every); tests!(every_claude); };
    (both_terminals_and_claude) => { tests!(both_terminals); tests!(claude); };
    (every_terminal_and_claude) => { tests!(every_terminal); tests!(every_claude); };
    (every_claude) => { tests!(claude); tests!(@@ thorough_claude_2_1_197 OLD_CLAUDE); };
    (claude) => { tests!(@@ thorough_claude_2_1_332 CLAUDE); };
    (requests) => { tests!(@@ thorough_requests_0_169 REQUESTS); };
    (real) => { tests!(newest); tests!(oldest); };
    (newest) => { tests!(@@ thorough_codex_0_169 NEWEST); };
    (oldest) => { tests!(@@ thorough_codex_0_130 OLDEST); };
    (@@ $test:ident $agent:expr) => {
        #[test]
        fn $test() {
            if testkit::size::thorough() {
                FAULT.hold($agent);
            }
        }
    };
    (@ $test:ident $agent:expr) => {
        #[test]
        fn $test() {
            FAULT.hold($agent);
        }
    };
}

mod api;
mod claude;
mod dialogs;
mod hooks;
mod people;
mod program;
mod submitting;
mod terminal;
mod transcript;

impl Fault {
    /// Runs a task into the fault on an agent, and sees that it ends as it must; returns how long that took, or `None`
    /// without that agent.
    fn hold(&self, agent: Agent) -> Option<Duration> {
        let took = Mutex::new(None);
        on(agent, async |rig: &Rig| {
            let ended = (self.provoke)(rig).await;
            let time = ended.since.elapsed();
            self.assert_ended(rig, &ended.outcome, time);
            *took.lock().expect("nobody panicked") = Some(time);
        });
        took.into_inner().expect("nobody panicked")
    }

    fn assert_ended(&self, rig: &Rig, outcome: &Outcome, took: Duration) {
        let error = outcome.error.as_ref();
        assert_eq!(
            (outcome.status, error.map(|error| error.code.as_str())),
            (self.status, self.code),
            "{outcome:#?}"
        );
        let within = on_this_machine(Duration::from_secs(self.within));
        assert!(
            took <= within,
            "it took {took:?}, and not {within:?} at most: {outcome:#?}"
        );
        let words = match error {
            Some(error) => format!("{}\n{}", error.message, error.hint.as_deref().unwrap_or("")),
            None => outcome.last_message.clone().unwrap_or_default(),
        };
        for said in self.says {
            assert!(words.contains(said), "nothing says {said:?}: {words}");
        }
        let half = fs::read_to_string(rig.apply(outcome).join("half"));
        assert_eq!(half.ok().as_deref(), Some("done\n"), "the work is kept");
    }
}

/// Starts a task, and leaves half of the work in its worktree, as the agent would.
async fn launch(rig: &Rig, task: Task) -> Run {
    let mut run = rig.operator.start(task);
    until(&mut run, "the agent's start", |progress| {
        matches!(progress, Progress::Launched { .. })
    })
    .await;
    fs::write(rig.worktree().join("half"), "done\n").expect("half of the work");
    run
}

/// The same, and follows it until its agent has the prompt.
async fn submit(rig: &Rig, task: Task) -> Run {
    let mut run = launch(rig, task).await;
    until(&mut run, "the prompt's proof", |progress| {
        matches!(progress, Progress::Submitted { .. })
    })
    .await;
    run
}

/// Waits for the end of a run whose fault is there.
async fn end(rig: &Rig, run: Run) -> Ended {
    let since = Instant::now();
    let outcome = rig.outcome(run).await;
    Ended { since, outcome }
}

/// A brief whose model waits for the word before it answers as `then` says.
fn held(rig: &Rig, then: &str) -> String {
    format!("[[await {}]]{then}", word(rig).display())
}

/// The word that a model waits for, or a script by `await-file`.
fn word(rig: &Rig) -> PathBuf {
    rig.path("go")
}

/// Starts such a task, lets the fault come about, and gives the word.
async fn fault_in_a_turn(rig: &Rig, then: &str, fault: impl AsyncFnOnce(&Run)) -> Ended {
    let mut task = rig.task(&held(rig, then));
    // For some seconds, before it gives up.
    let asks_again = rig.is_claude() && then.contains("[[http");
    task.limits.turn = Duration::from_secs(if asks_again { 20 } else { 6 });
    let run = submit(rig, task).await;
    fault(&run).await;
    fs::write(word(rig), "").expect("the word");
    end(rig, run).await
}

/// The same before the agent has its prompt, as a rule: the fault is there when the agent has started.
async fn fault_at_the_start(rig: &Rig, fault: impl AsyncFnOnce(&Run)) -> Ended {
    let run = launch(rig, rig.task(&held(rig, ""))).await;
    fault(&run).await;
    fs::write(word(rig), "").expect("the word");
    end(rig, run).await
}

/// The id of the only run.
fn run_id(rig: &Rig) -> RunId {
    let dir = rig.operator.store().find("t").expect("the run");
    serde_json::from_value(dir.name().into()).expect("an id")
}

/// Every row on every agent of its own, one after another.
#[test]
#[ignore = "prints the table; each row is a test of its own"]
fn print() {
    let mut text = String::from(
        "| fault | brought about by | ends as | code | within s | took s: scripted | codex 0.169.0 | codex 0.130.0 | claude 2.1.332 | claude 2.1.197 |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let tables = [
        api::ROWS,
        claude::ROWS,
        program::ROWS,
        terminal::ROWS,
        hooks::ROWS,
        dialogs::ROWS,
        submitting::ROWS,
        transcript::ROWS,
        people::ROWS,
    ];
    for row in tables.into_iter().flatten() {
        let fault = &row.fault;
        text += &format!(
            "| {} | {} | {} | {} | {} |",
            row.name.replace('_', " "),
            fault.how,
            fault.status.as_str(),
            fault.code.unwrap_or("–"),
            fault.within
        );
        for agent in [Agent::Scripted, NEWEST, OLDEST, CLAUDE, OLD_CLAUDE] {
            let cell = match row.agents.contains(&agent) {
                true => match catch_unwind(|| fault.hold(agent)) {
                    Ok(Some(took)) => format!("{:.2}", took.as_secs_f64()),
                    Ok(None) => "skipped".to_owned(),
                    Err(_) => "FAILED".to_owned(),
                },
                false => "–".to_owned(),
            };
            text += &format!(" {cell} |");
        }
        text.push('\n');
    }
    // Straight to the stream: the harness swallows what a passing test prints.
    drop(io::stdout().write_all(text.as_bytes()));
    assert!(!text.contains("FAILED"), "some rows do not hold");
}
