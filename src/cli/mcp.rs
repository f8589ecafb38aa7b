//! `cx-operator mcp`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use clap::builder::PossibleValue;
use clap::{Args, CommandFactory, Subcommand, ValueEnum};
use serde_json::json;

use super::{Cli, State, block_on, config, print_json, usage};
use crate::Error;
use crate::agent::ExecutorId;
use crate::agent::executor::ToolServer;
use crate::error::io as io_error;
use crate::mcp::{Risk, Settings, serve};

/// Serve a parent agent over the Model Context Protocol, on stdin and stdout, until stdin ends.
///
/// Its tools are `delegate`, `wait`, `status`, `reply`, `send`, `events`, `diff`, `apply`, `continue`, `abort`, `resume`, `list` and `doctor`, with
/// the same documents as the commands. A run goes on when the client goes away.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Mcp {
    #[command(subcommand)]
    command: Option<Configure>,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    state: State,
}

#[derive(Subcommand)]
enum Configure {
    /// Have a client start the server in its sessions, by the client's own `mcp add`; or print the configuration.
    ///
    /// Without --root it is the directory of each session. A server of that name is replaced.
    ///
    /// Example: `cx-operator mcp install claude`
    Install {
        #[command(flatten)]
        client: Client,
        #[command(flatten)]
        limits: Limits,
        #[command(flatten)]
        state: State,
    },
    /// Have a client start it no more.
    Uninstall {
        #[command(flatten)]
        client: Client,
    },
}

/// The client.
#[derive(Args)]
struct Client {
    /// The client; `print`: none, the configuration is printed.
    #[arg(value_enum)]
    client: Which,
    /// Its program [default: the one on PATH].
    #[arg(long, value_name = "PROGRAM")]
    program: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Claude,
    Codex,
    Print,
}

/// The name of the server with its clients.
const NAME: &str = "cx-operator";

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
        match self.command {
            Some(Configure::Install {
                client,
                limits,
                state,
            }) => return client.install(&server(&limits, &state)?),
            Some(Configure::Uninstall { client }) => return client.uninstall(),
            None => {}
        }
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
        Ok(_) => {
            let words: Vec<_> = words.iter().map(Into::into).collect();
            config::complete(&words).map(drop)
        }
        Err(error) => {
            // Its first paragraph: the rest is about the command line.
            let text = error.to_string();
            let text = text.split("\n\n").next().unwrap_or_default();
            Err(usage(text.trim_start_matches("error: ").trim_end()))
        }
    }
}

/// The command line that starts the server.
fn server(limits: &Limits, state: &State) -> Result<Vec<String>, Error> {
    let text = |path: &Path| {
        let path = std::path::absolute(path).map_err(|_| usage("a path is empty"))?;
        let text = path.into_os_string().into_string();
        text.map_err(|path| usage(format!("{} is not UTF-8", path.display())))
    };
    let program = std::env::current_exe().map_err(io_error("find this program"))?;
    let mut line = vec![text(&program)?, "mcp".to_owned()];
    for root in &limits.root {
        line.push(format!("--root={}", text(root)?));
    }
    for risk in &limits.allow_option {
        let name = risk.to_possible_value();
        let name = name.as_ref().map_or("", PossibleValue::get_name);
        line.push(format!("--allow-option={name}"));
    }
    if let Some(state) = &state.state_dir {
        line.push(format!("--state-dir={}", text(state)?));
    }
    Ok(line)
}

impl Client {
    fn install(&self, server: &[String]) -> Result<ExitCode, Error> {
        if self.client == Which::Print {
            let (program, arguments) = server.split_first().expect("it has a program");
            let server = json!({"command": program, "args": arguments});
            print_json(&json!({"mcpServers": {NAME: server}}))?;
            return Ok(ExitCode::SUCCESS);
        }
        let commands = self.commands(server)?;
        // One that is there may be of another kind or place.
        let _none_is_there = self.call(&commands.remove, Stdio::null);
        self.succeed(&commands.add)
    }

    fn uninstall(&self) -> Result<ExitCode, Error> {
        if self.client == Which::Print {
            return Err(usage("uninstall wants a client"));
        }
        self.succeed(&self.commands(&[])?.remove)
    }

    fn name(&self) -> &'static str {
        match self.client {
            Which::Claude => "claude",
            Which::Codex | Which::Print => "codex",
        }
    }

    fn commands(&self, server: &[String]) -> Result<ToolServer, Error> {
        let executor = ExecutorId::parse(self.name());
        let commands = executor.and_then(|executor| executor.tool_server(NAME, server));
        commands.ok_or_else(|| usage(format!("{} takes no servers", self.name())))
    }

    fn succeed(&self, arguments: &[String]) -> Result<ExitCode, Error> {
        let status = self.call(arguments, Stdio::inherit)?;
        if status.success() {
            return Ok(ExitCode::SUCCESS);
        }
        let said = io::Error::other(format!("{} ended with {status}", self.name()));
        Err(io_error("configure the client")(said))
    }

    /// Calls the client's program; what it says is for people.
    fn call(&self, arguments: &[String], output: fn() -> Stdio) -> Result<ExitStatus, Error> {
        let program = self.program.clone();
        let program = program.unwrap_or_else(|| PathBuf::from(self.name()));
        let failed = io_error(format!("start {}", program.display()));
        Command::new(&program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .status()
            .map_err(failed)
    }
}
