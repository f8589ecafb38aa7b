//! `cx-operator completions`: what a shell needs to complete commands, options, tasks and runs.

use std::ffi::OsStr;
use std::io;
use std::process::ExitCode;

use clap::{Args, Command, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::Shells;

use crate::Error;
use crate::record::Store;

/// The variable by which the shell asks.
const VARIABLE: &str = "COMPLETE";
/// How many runs are offered.
const OFFERED: usize = 50;

/// The shells that are served.
#[derive(Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Print a script that has a shell complete commands, options, tasks and runs.
///
/// bash: `source <(cx-operator completions bash)` in ~/.bashrc; zsh the same in ~/.zshrc, after `compinit`; fish:
/// `cx-operator completions fish | source` in config.fish.
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, command: &Command) -> Result<ExitCode, Error> {
        let (shells, name) = (Shells::builtins(), command.get_name());
        let possible = self.shell.to_possible_value();
        let shell = possible
            .as_ref()
            .and_then(|shell| shells.completer(shell.get_name()));
        let shell = shell.expect("the shells are those of the completer");
        let mut script = Vec::new();
        shell
            .write_registration(VARIABLE, name, name, name, &mut script)
            .map_err(|source| Error::Io {
                what: "write the script".to_owned(),
                source,
            })?;
        super::print_text(&String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Answers a shell that asks what a command line may go on with; returns only where none does.
pub(super) fn answer_shell(command: fn() -> Command) {
    if std::env::var_os(VARIABLE).is_some_and(|shell| !shell.is_empty()) {
        CompleteEnv::with_factory(command).var(VARIABLE).complete();
    }
}

/// The names of tasks, newest first, and the ids of their runs. Nothing is made where no records are.
pub(super) fn runs(beginning: &OsStr) -> Vec<CompletionCandidate> {
    let beginning = beginning.to_string_lossy();
    let load = || -> io::Result<_> {
        let root = Store::default_root().map_err(io::Error::other)?;
        if !root.is_dir() {
            return Ok(Vec::new());
        }
        let store = Store::open(&root).map_err(io::Error::other)?;
        store.load_runs().map_err(io::Error::other)
    };
    let mut runs = load().unwrap_or_default();
    runs.reverse();
    let tasks = runs.iter().filter_map(|run| run.task());
    let mut names: Vec<&str> = Vec::new();
    // An id is long: it is offered to those who have begun it.
    let ids = runs.iter().map(|run| run.name());
    let ids = ids.filter(|_| !beginning.is_empty());
    for name in tasks
        .chain(ids)
        .filter(|name| name.starts_with(&*beginning))
    {
        if !names.contains(&name) && names.len() < OFFERED {
            names.push(name);
        }
    }
    names.into_iter().map(CompletionCandidate::new).collect()
}
