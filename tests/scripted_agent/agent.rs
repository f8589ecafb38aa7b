//! A scripted stand-in for the interactive codex CLI, version 0.169.0, in a terminal.
//!
//! It draws codex's screens, runs the hooks it is configured with as codex does, writes the same transcript, and needs neither
//! an account nor a model: what the model would answer follows from directives in the prompt ([`directives`]).
//! With `CX_SCRIPT=<file>` it obeys a script instead ([`script`]) and fails loudly, by a message on the screen and exit status
//! 97, on anything the script does not expect. `CX_SCRIPT_LOG=<file>` collects what happened as JSON lines ([`log`]).
//!
//! Differences from the real program, all deliberate: commands run without a sandbox, times are UTC, the cursor stays at
//! the end of the composer, and the transcript leaves out the lines that only a model or a resumed session reads
//! (developer messages, `world_state`, `turn_context`, `thread_settings_applied`).
//!
//! Source: codex 0.169.0; `tests/agent/scripted_agent.rs` compares payloads and transcript field by field where it is installed.

mod cli;
mod composer;
mod config;
mod dialogs;
mod directives;
mod end;
mod hooks;
mod log;
mod patch;
mod play;
mod screen;
mod script;
mod session;
mod startup;
mod terminal;
mod tools;
mod transcript;
mod turn;

use std::io::Write;
use std::process::ExitCode;

use end::End;
use session::Agent;

/// Exit status of a run that met something its script, or this program, does not allow for.
const UNEXPECTED: u8 = 97;

fn main() -> ExitCode {
    match cli::parse(std::env::args().skip(1)) {
        cli::Command::Print { text, status } => {
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::from(status)
        }
        cli::Command::Refuse { text, status } => {
            let _ = writeln!(std::io::stderr(), "{text}");
            ExitCode::from(status)
        }
        cli::Command::Interact(args) => ExitCode::from(interact(&args)),
    }
}

/// Runs the interactive program and returns its exit status.
fn interact(args: &cli::Args) -> u8 {
    let log = log::Log::from_env();
    let end = match Agent::open(args, log.clone()) {
        Ok(mut agent) => {
            let end = agent.run();
            agent.close();
            end
        }
        Err(end) => end,
    };
    let status = match &end {
        End::Exit(status) => *status,
        End::NotATerminal => {
            let _ = writeln!(std::io::stderr(), "Error: {end}");
            1
        }
        failure => {
            // tmux scrolls a dead pane by one line to say that it is dead: the message must not be the first.
            let _ = writeln!(std::io::stdout(), "\nscripted-agent: {failure}");
            log.write(
                "failure",
                &serde_json::json!({ "message": failure.to_string() }),
            );
            UNEXPECTED
        }
    };
    log.write("exit", &serde_json::json!({ "status": status }));
    status
}
