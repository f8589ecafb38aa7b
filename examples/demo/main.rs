//! The main job, with no account and no trace: one task is delegated, a question is answered, an approval is
//! given, and every promise that was made about it is checked.
//!
//! ```text
//! cargo run --example demo [-- --codex PROGRAM | --executor claude [PROGRAM] | --scripted]
//! ```
//!
//! The agent is the real codex if there is one (`--codex`, else `codex` on PATH), with a configuration and a key of
//! the demo's own and a built-in stand-in for the model; else, or with `--scripted`, the scripted agent of the tests. With
//! `--executor claude` it is the real Claude Code, by the same script.
//! Everything is made below a temporary directory and removed, but for the record, which stays below `target/demo`.
//! Exits with 1 if anything was not as promised.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a demo tells what it does"
)]

use std::env;
use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Instant;

use cx_operator::Drive;
use cx_operator::agent::ExecutorId;
use cx_operator::agent::codex::program;
use cx_operator::operator::cleanup::{Scope, cleanup};
use cx_operator::record::Outcome;
use cx_operator::record::code::Code;
use cx_operator::task::Task;
use cx_operator::task::name::TaskName;
use cx_operator::task::prompt::Prompt;
use cx_operator::task::respond::Answers;
use cx_operator::{Operator, tmux};

use scene::{ANSWERS, BRIEF, Scene};

mod narration;
mod promises;
mod scene;

/// Whatever keeps the demo from going on: it is only told, never decided upon.
type Result<T> = std::result::Result<T, Box<dyn StdError>>;

/// The program that plays the agent's part.
struct Agent {
    program: PathBuf,
    what: &'static str,
    drive: Drive,
    executor: ExecutorId,
}

#[tokio::main]
async fn main() -> ExitCode {
    match demo().await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(broken) => {
            eprintln!("\n{broken} of the promises were not kept");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Shows one delegation, and counts the promises that were not kept.
async fn demo() -> Result<usize> {
    println!("cx-operator: delegate one task to an agent, with no account\n");
    check_tools().await?;
    let binaries = build()?;
    let agent = choose_agent(&binaries)?;
    println!("agent     {}: {}", agent.what, agent.program.display());

    let state = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/demo");
    let operator = Operator::builder()
        .state_directory(&state)
        .build()
        .map_err(|error| error.message())?;
    // What a demo left that was killed.
    cleanup(operator.store(), &Scope::default()).await?;

    let first = play(&operator, &agent, agent.drive).await?;
    if first.drive != Some(Drive::Requests) {
        return Ok(first.broken);
    }
    println!("\nThe same by keys, as with a codex older than 0.145\n");
    let second = play(&operator, &agent, Drive::Keys).await?;
    println!(
        "\nby requests {:.2} s, by keys {:.2} s: the same promises",
        first.seconds, second.seconds
    );
    Ok(first.broken + second.broken)
}

/// What came of a delegation.
struct Played {
    drive: Option<Drive>,
    seconds: f64,
    broken: usize,
}

/// One delegation in a scene of its own.
async fn play(operator: &Operator, agent: &Agent, drive: Drive) -> Result<Played> {
    let scene = Scene::new(agent.executor)?;
    println!(
        "project   {} (src/main.rs, format.sh)",
        scene.world.repo().display()
    );
    println!("brief     {}", indented(BRIEF.trim()));
    println!("answers   {}", indented(ANSWERS.trim()));
    println!(
        "          ([[…]] are directives to the stand-in for the model: ask, run this, ask for an approval)\n"
    );

    let begun = Instant::now();
    let outcome = delegate(operator, &scene, (agent, drive)).await?;
    let seconds = begun.elapsed().as_secs_f64();
    show(&outcome)?;
    let broken = promises::check(operator, &scene, &outcome).await?;
    if let Some(record) = &outcome.run_dir {
        println!("\nThe record stays in {}", record.display());
    }
    drop(scene);
    println!("The project and the agent's configuration are removed.");
    Ok(Played {
        drive: outcome.drive,
        seconds,
        broken,
    })
}

async fn check_tools() -> Result<()> {
    let install = Code::TmuxMissing.hint();
    let tmux = tmux::query_version()
        .await
        .map_err(|_| format!("tmux is missing; {install}"))?;
    if !tmux::is_recent(&tmux) {
        return Err(format!("tmux {tmux} is too old; {install}").into());
    }
    let git = Command::new("git").arg("--version").output().map_err(
        |_| "git is missing; install it: `apt-get install git`, `dnf install git` or `brew install git`",
    )?;
    let git = String::from_utf8_lossy(&git.stdout).trim().to_owned();
    println!("tools     tmux {tmux}, {git}");
    Ok(())
}

/// Builds what cargo does not build for an example, the helper and the scripted agent, into the directory
/// of this program; returns that directory.
fn build() -> Result<PathBuf> {
    let executable = env::current_exe()?;
    let binaries = executable
        .ancestors()
        .nth(2)
        .ok_or("not below target/<profile>/examples")?;
    let profile = match binaries.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    println!("build     cargo build --bins --example demo");
    let status = Command::new(&cargo)
        // With an example among the targets the features are those of the running one, and nothing is built twice;
        // they have the scripted agent's.
        .args(["build", "--quiet", "--bins", "--example", "demo"])
        .args(["--profile", profile, "--target-dir"])
        .arg(binaries.parent().ok_or("not below target")?)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("failed to run {}: {error}", Path::new(&cargo).display()))?;
    if status.success() {
        Ok(binaries.to_owned())
    } else {
        Err(format!("cargo build: {status}").into())
    }
}

fn choose_agent(binaries: &Path) -> Result<Agent> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let search = env::var_os("PATH");
    let find = |program| program::find(program, search.as_ref()).map_err(|error| error.to_string());
    let real = |program| Agent {
        program,
        what: "the real codex, with a model that is built in",
        drive: Drive::Auto,
        executor: ExecutorId::default(),
    };
    let claude = |path: PathBuf| -> Result<Agent> {
        Ok(Agent {
            program: path,
            what: "the real Claude Code, with a model that is built in",
            drive: Drive::Auto,
            executor: ExecutorId::parse("claude").ok_or("no executor is called claude")?,
        })
    };
    let scripted = |what| Agent {
        program: binaries.join("scripted-agent"),
        what,
        // It is a terminal program.
        drive: Drive::Keys,
        executor: ExecutorId::default(),
    };
    match arguments.as_slice() {
        ["--codex", path] => Ok(real(find(Some(Path::new(path)))?)),
        ["--executor", "claude"] => claude(find(Some(Path::new("claude"))).map_err(
            |_| "there is no `claude` on PATH: install it, or name the program behind --executor claude",
        )?),
        ["--executor", "claude", path] => claude(find(Some(Path::new(path)))?),
        ["--scripted"] => Ok(scripted("the scripted agent, as asked")),
        [] => Ok(find(None).map_or_else(
            |_| scripted("the scripted agent, since no `codex` is on PATH"),
            real,
        )),
        _ => Err("usage: cargo run --example demo [-- --codex PROGRAM | --executor claude [PROGRAM] | --scripted]".into()),
    }
}

/// Runs the task and tells what happens, as it happens. Ctrl-C ends it in good order.
async fn delegate(
    operator: &Operator,
    scene: &Scene,
    (agent, drive): (&Agent, Drive),
) -> Result<Outcome> {
    let name = TaskName::parse("demo")?;
    let mut task = Task::new(name, scene.world.repo(), Prompt::parse(BRIEF.as_bytes())?);
    task.agent.executor = agent.executor;
    task.agent.program = Some(agent.program.clone());
    task.agent.drive = drive;
    task.worktree_root = scene.world.worktrees();
    task.environment = scene.world.environment();
    task.responders = vec![Arc::new(Answers::load(&scene.answers())?)];

    let started = Instant::now();
    let mut run = operator.start(task);
    let canceller = run.canceller();
    let interrupt = tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            canceller.cancel("SIGINT");
        }
    });
    while let Some(entry) = run.events().next().await {
        if let Some(line) = narration::line(&entry.progress) {
            println!("{:>7.2} s  {line}", started.elapsed().as_secs_f64());
        }
    }
    let outcome = run.outcome().await;
    interrupt.abort();
    Ok(outcome)
}

/// The report and the diff.
fn show(outcome: &Outcome) -> Result<()> {
    println!(
        "\nresult    {} after {} turns: {} files, +{} -{}",
        outcome.status.as_str(),
        outcome.turns,
        outcome.files_changed,
        outcome.insertions,
        outcome.deletions
    );
    if let Some(error) = &outcome.error {
        println!("why       {} [{}]", error.message, error.code);
    }
    if let Some(message) = &outcome.last_message {
        println!("it says   {}", indented(message.trim()));
    }
    for reply in &outcome.replies {
        println!(
            "turn {}    {} replied: {}",
            reply.turn, reply.by, reply.reply
        );
    }
    for notice in &outcome.notices {
        println!("note      {notice}");
    }
    if let Some(patch) = &outcome.patch {
        println!("\n{}", std::fs::read_to_string(patch)?.trim_end());
    }
    Ok(())
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n          ")
}
