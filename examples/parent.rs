//! A parent: starts a run, answers its questions, decides its approvals, and tells what the agent does meanwhile.
//!
//! ```text
//! cargo build --bins
//! cargo run --example parent -- REPOSITORY NAME BRIEF ANSWER
//! ```

#![expect(clippy::print_stdout, reason = "an example prints what it sees")]

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cx_operator::{Answer, OpenQuestion, Operator, Progress, Prompt, Recipe, Task, TaskName};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    // Hooks and launcher of a run are this very program.
    cx_operator::helper_main();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [repository, name, brief, answer] = arguments.as_slice() else {
        return Err("usage: parent REPOSITORY NAME BRIEF ANSWER".into());
    };
    let mut task = Task::new(
        TaskName::parse(name)?,
        std::path::absolute(repository)?,
        Prompt::parse(brief.as_bytes())?,
    );
    // A question waits so long; the agent keeps its session, and the run's own deadlines are paused.
    let limit = Duration::from_secs(30 * 60);
    task.responders = vec![Arc::new(Recipe::Message { limit })];

    let operator = Operator::builder().build()?;
    let mut run = operator.start(task);
    // By its id any process can do what follows.
    let id = run.id().clone();
    while let Some(entry) = run.events().next().await {
        match &entry.progress {
            Progress::Item { item, .. } => println!("did: {}", serde_json::to_string(item)?),
            Progress::Waiting { .. } => {
                if let Some(question) = operator.question(&id)? {
                    let said = decide(&question, answer);
                    println!("asks: {}\nsaid: {said:?}", question.text);
                    operator.answer(&id, &question.id, &said)?;
                }
            }
            _ => {}
        }
    }
    let outcome = run.outcome().await;
    println!("{}: {} files", outcome.status, outcome.files_changed);
    Ok(ExitCode::from(outcome.exit_code()))
}

/// What a parent of your own decides: here commands that only look are permitted, and each question has the same answer.
fn decide(question: &OpenQuestion, answer: &str) -> Answer {
    if question.kind != "permission" {
        return Answer::Text(answer.to_owned());
    }
    let looks = ["ls", "cat", "git status", "git diff"];
    if looks.contains(&question.text.trim()) {
        Answer::Allow
    } else {
        Answer::Deny("Not that. Go on without it.".to_owned())
    }
}
