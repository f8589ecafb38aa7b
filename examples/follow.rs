//! Follows a run, and ends it in good order with Ctrl-C; a second Ctrl-C hurries.
//!
//! ```text
//! cargo build --bins
//! cargo run --example follow -- REPOSITORY NAME BRIEF
//! ```

#![expect(clippy::print_stdout, reason = "an example prints what it sees")]

use std::error::Error;
use std::process::ExitCode;

use cx_operator::{Operator, Progress, Prompt, Step, Task, TaskName};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [repository, name, brief] = arguments.as_slice() else {
        return Err("usage: follow REPOSITORY NAME BRIEF".into());
    };
    let task = Task::new(
        TaskName::parse(name)?,
        std::path::absolute(repository)?,
        Prompt::parse(brief.as_bytes())?,
    );

    let operator = Operator::builder().build()?;
    let mut run = operator.start(task);
    let canceller = run.canceller();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            canceller.cancel("SIGINT");
        }
    });
    while let Some(entry) = run.events().next().await {
        match &entry.progress {
            Progress::Done(Step::Worktree { path, .. }) => {
                println!("{} works in {}", entry.at, path.display());
            }
            Progress::Submitted { turn, .. } => println!("{} turn {turn} began", entry.at),
            Progress::TurnEnded { turn, verdict, .. } => {
                println!("{} turn {turn} ended with a {verdict}", entry.at);
            }
            Progress::PermissionAsked { command, .. } => {
                println!("{} wants to run: {command}", entry.at);
            }
            Progress::Notice { text } => println!("{} {text}", entry.at),
            _ => {}
        }
    }
    let outcome = run.outcome().await;
    println!("{}", outcome.status);
    Ok(ExitCode::from(outcome.exit_code()))
}
