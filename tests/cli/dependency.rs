//! The library in a program of somebody else's, with nothing of cx-operator installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::built;
use testkit::world::Ran;

use crate::place::Place;

const MAIN: &str = r#"
use cx_operator::{Operator, Prompt, Task, TaskName};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    cx_operator::helper_main();
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().ok_or("an argument is missing");
    let (repository, worktrees, agent) = (word()?, word()?, word()?);
    let mut task = Task::new(TaskName::parse("t")?, repository.into(), Prompt::parse(b"x")?);
    task.worktree_root = worktrees.into();
    task.agent.program = Some(agent.into());
    task.environment = std::env::vars().collect();
    let outcome = Operator::builder().build()?.delegate(task).await;
    println!("{} {:?}", outcome.status.as_str(), outcome.error);
    Ok(())
}
"#;

/// Builds the program beside those of the tests, without the features that tests have.
fn build(crate_dir: &Path) {
    let root = built::checkout();
    let own = fs::read_to_string(root.join("Cargo.toml")).expect("the manifest");
    // With other settings each dependency would be built once more.
    let (_, profiles) = own.split_once("[profile.dev]").expect("a profile");
    let (profiles, _) = profiles.split_once("[profile.release]").expect("another");
    let manifest = format!(
        r#"
[package]
name = "depends-on-cx-operator"
version = "0.0.0"
edition = "2024"

[dependencies]
cx-operator = {{ path = "{}", default-features = false }}
tokio = {{ version = "1", features = ["macros", "rt-multi-thread"] }}

[profile.dev]{profiles}
[workspace]
"#,
        root.display()
    );
    fs::create_dir_all(crate_dir.join("src")).expect("a directory");
    fs::write(crate_dir.join("Cargo.toml"), manifest).expect("written");
    fs::write(crate_dir.join("src/main.rs"), MAIN).expect("written");
    fs::copy(root.join("Cargo.lock"), crate_dir.join("Cargo.lock")).expect("the same versions");
    let target = built::directory();
    let cargo = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--quiet", "--target-dir"])
        .arg(target.parent().expect("a target directory"))
        .current_dir(crate_dir)
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&cargo.stderr);
    assert!(cargo.status.success(), "{said}");
}

#[test]
fn a_program_that_depends_on_the_library_delegates() {
    let place = Place::new();
    build(&place.path("crate"));
    // No `cx-helper` is beside it there.
    let program = place.path("program");
    let built = built::directory().with_file_name("debug/depends-on-cx-operator");
    fs::copy(built, &program).expect("copied");
    let mut command = place.command(&program);
    command
        .env("PATH", "/usr/bin:/bin")
        .arg(place.repo())
        .arg(place.worktrees())
        .arg(built::scripted_agent());
    let ran = Ran::of(&mut command, b"");
    assert_eq!(ran.stdout, "completed None\n", "{}", ran.stderr);
    let mut runs = fs::read_dir(place.path("state/runs")).expect("records");
    let run = runs.next().expect("a run").expect("readable").path();
    let journal = fs::read_to_string(run.join("events.jsonl")).expect("a journal");
    let hook = format!("{} cx-helper stop", program.display());
    assert!(journal.contains(&hook), "{journal}");
}
