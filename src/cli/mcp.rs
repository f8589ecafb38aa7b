//! `cx-operator mcp`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory};

use super::{Cli, State, block_on, usage};
use crate::Error;
use crate::mcp::{Risk, Settings, serve};

/// Serve a parent agent over the Model Context Protocol, on stdin and stdout, until stdin ends.
///
/// Its tools are `delegate`, `wait`, `status`, `reply`, `send`, `events`, `diff`, `apply`, `abort`, `list` and `doctor`, with the same documents as
/// the commands. A run goes on when the client goes away.
#[derive(Args)]
pub(crate) struct Mcp {
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    state: State,
}

/// What a parent may do.
#[derive(Args)]
struct Limits {
    /// Only repositories below this directory; may be repeated [default: the current directory]. The repository that it lies in is one of
    /// them. Symbolic links and worktrees that lead elsewhere are refused.
    #[arg(long, value_name = "DIR")]
    root: Vec<PathBuf>,
    /// Let the parent use an option that can do harm; may be repeated. None of them is allowed otherwise.
    #[arg(long, value_enum, value_name = "OPTION")]
    allow_option: Vec<Risk>,
}

impl Mcp {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let Limits {
            mut root,
            allow_option,
        } = self.limits;
        if root.is_empty() {
            root.push(PathBuf::from("."));
        }
        let settings = Settings {
            state: self.state.root()?,
            roots: root,
            allowed: allow_option,
            check,
        };
        block_on(serve(settings))??;
        Ok(ExitCode::SUCCESS)
    }
}

/// Says what is wrong with a command line.
fn check(words: &[String]) -> Result<(), Error> {
    if words.iter().any(|word| word.contains('\0')) {
        return Err(usage("an argument has a NUL byte"));
    }
    match Cli::command().try_get_matches_from(words) {
        Ok(_) => Ok(()),
        Err(error) => {
            // Its first paragraph: the rest is about the command line.
            let text = error.to_string();
            let text = text.split("\n\n").next().unwrap_or_default();
            Err(usage(text.trim_start_matches("error: ").trim_end()))
        }
    }
}
