//! The smallest use of the library: delegate one task, print where its diff is.
//!
//! ```text
//! cargo run --example delegate -- REPOSITORY NAME BRIEF
//! ```

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::error::Error;
use std::process::ExitCode;

use cx_operator::{Operator, Prompt, Task, TaskName};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    // Hooks and launcher of a run are this very program.
    cx_operator::helper_main();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [repository, name, brief] = arguments.as_slice() else {
        return Err("usage: delegate REPOSITORY NAME BRIEF".into());
    };
    let task = Task::new(
        TaskName::parse(name)?,
        std::path::absolute(repository)?,
        Prompt::parse(brief.as_bytes())?,
    );

    let operator = Operator::builder().build()?;
    let outcome = operator.delegate(task).await;

    println!("{}", outcome.status);
    if let Some(error) = &outcome.error {
        println!("{} [{}]", error.message, error.code);
    }
    if let Some(pending) = &outcome.pending {
        println!("{}: {}", pending.kind, pending.text);
    }
    if let Some(patch) = &outcome.patch {
        println!(
            "{} files changed: {}",
            outcome.files_changed,
            patch.display()
        );
    }
    Ok(ExitCode::from(outcome.exit_code()))
}
