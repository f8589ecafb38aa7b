//! The server of the Model Context Protocol: what the operator does, as tools of a parent agent, over stdin and stdout.
//!
//! Owns the tools, their words for a model, and what a parent may ask for: the repositories ([`reach`]) and the options
//! ([`Risk`]). Refuses decisions about runs: each call is one of `operator`'s, and its result is the document that the command of
//! that name prints.
//!
//! Invariants: stdout has the protocol alone. A repository out of reach, and its runs, are neither shown nor touched. No call is
//! needed for a run to go on: a client that goes away loses nothing. At the end of stdin the server ends.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use clap::ValueEnum;
use clap::builder::PossibleValue;
use rmcp::service::ServerInitializeError;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, io as io_error};
use crate::operator::Operator;
use reach::Reach;
use server::Server;

mod asking;
mod call;
mod continuing;
mod delegate;
mod diff;
mod reach;
mod read;
mod resources;
mod resume;
mod server;
mod starting;
mod tasks;
mod tooling;
mod tools;
mod wait;
mod words;

/// An option that lets a parent do more than the person who configured the server may think of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Risk {
    /// `delegate` and `continue` with `sandbox: danger-full-access`.
    DangerFullAccess,
    /// `delegate` with `permissions: allow`: every approval is given.
    PermissionsAllow,
    /// `delegate` with a policy that is no preset: its rules may allow anything.
    PolicyFile,
    /// `delegate` with an answers file, which may allow anything.
    Answers,
    /// `delegate` with a command that answers for the user.
    Responder,
    /// `delegate` with further arguments for the agent.
    AgentArg,
    /// `delegate` and `doctor` with another program of the agent's.
    Program,
    /// `delegate` with variables for the agent's environment.
    Env,
    /// `delegate` with another place for worktrees.
    WorktreeRoot,
    /// `apply` with a shell command that checks the result.
    Check,
}

/// What a server may do, and for whom.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The state directory.
    pub(crate) state: PathBuf,
    /// The directories whose repositories are in reach.
    pub(crate) roots: Vec<PathBuf>,
    /// The options that a parent may use all the same.
    pub(crate) allowed: Vec<Risk>,
    /// Says what is wrong with a command line.
    pub(crate) check: fn(&[String]) -> Result<(), Error>,
}

/// What the calls of a client share.
#[derive(Debug)]
struct Desk {
    operator: Operator,
    reach: Reach,
    allowed: Vec<Risk>,
    check: fn(&[String]) -> Result<(), Error>,
    /// The client is gone.
    gone: CancellationToken,
}

/// The refusal of an option that the person who configured the server did not allow.
fn refuse(risk: Risk, what: &str) -> Error {
    let flag = risk.to_possible_value();
    let flag = flag.as_ref().map_or("", PossibleValue::get_name);
    Error::NotAllowed(format!(
        "{what} is not allowed by this server, which was started without --allow-option {flag}"
    ))
}

/// Serves the client at stdin and stdout until stdin ends.
///
/// # Errors
/// [`Error::Usage`] for a root that is no directory; as [`crate::Builder::build`]; [`Error::Io`] where the client does not speak the protocol.
pub(crate) async fn serve(settings: Settings) -> Result<(), Error> {
    let operator = Operator::builder()
        .state_directory(settings.state)
        .build()?;
    let desk = Desk {
        operator,
        reach: Reach::new(&settings.roots)?,
        allowed: settings.allowed,
        check: settings.check,
        gone: CancellationToken::new(),
    };
    let (stdin, stdout) = rmcp::transport::io::stdio_pipes();
    let stdin = Stdin {
        stdin,
        ended: desk.gone.clone(),
    };
    match rmcp::serve_server(Server::new(desk), (stdin, stdout)).await {
        Ok(running) => {
            let _reason = running.waiting().await;
            Ok(())
        }
        // It went before it said anything.
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(io_error("begin a session with the client")(
            io::Error::other(error),
        )),
    }
}

/// Stdin, which says that it has ended.
#[derive(Debug)]
struct Stdin<R> {
    stdin: R,
    ended: CancellationToken,
}

impl<R: AsyncRead + Unpin> AsyncRead for Stdin<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stdin).poll_read(context, buffer));
        if read.is_err() || buffer.filled().len() == before {
            self.ended.cancel();
        }
        Poll::Ready(read)
    }
}
