//! The boundary between an agent's CLI and the rooms above: what an executor must tell, and what it is told.
//!
//! Owns the trait [`Executor`] and the words of a start. An executor is facts and pure functions, but for its two questions
//! to the program: [`Executor::find`] and [`Installed::query_access`]. Everything that depends on a CLI is behind
//! this trait; no room above `agent` names one. Used by `task`, `record`, `turn`, `run` and `operator`.
//!
//! Every executor passes the conformance suite (`tests/scenarios/executors.rs`).

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::conversation::{Conversation, Joining, NoConversation, Terminal, Terms};
use super::global_hooks::GlobalHooks;
use super::helper::Helper;
pub use super::options::{Ask, Drive, Options, Sandbox, TrustPolicy};
pub use super::refusal::{Refusal, Trouble};
use super::report::Report;
use super::signals::{Decision, Kind};
use crate::agent::report::{Call, TranscriptReader, TurnError};
use crate::agent::screen_state::{Form, ScreenState};
use crate::tmux::{Composer, Key};

/// An agent's interactive CLI.
#[async_trait]
pub trait Executor: fmt::Debug + Send + Sync {
    /// The name that a caller chooses it by and that the record has as `executor`, for example `codex`.
    fn name(&self) -> &'static str;

    /// Whether it is headless: it has one prompt from its start, and takes nothing more.
    fn is_headless(&self) -> bool {
        false
    }

    /// The beginning of the names of its branches, worktrees and sessions, for example `cx`.
    fn prefix(&self) -> &'static str;

    /// The oldest and the newest version that every fact about it was seen on.
    fn known_versions(&self) -> (&'static str, &'static str);

    /// The variables of a caller that may hold its credentials. Those of other executors are kept from it.
    fn key_variables(&self) -> &'static [&'static str];

    /// The variable that names its directory of settings, which the program resolves against its working directory.
    fn home_variable(&self) -> Option<&'static str> {
        None
    }

    /// Whether that variable, which begins like the mark of a parent agent, is a setting of the user's for this program.
    fn is_own_setting(&self, _variable: &str) -> bool {
        false
    }

    /// The advice for a trouble: a sentence that says what to do now.
    fn remedy(&self, trouble: Trouble) -> &'static str;

    /// Finds the program and asks it what it is, in the directory `place.directory`.
    ///
    /// # Errors
    /// A [`Refusal`] with [`Trouble::Missing`], [`Trouble::Unusable`] or [`Trouble::Limits`].
    async fn find(
        &self,
        options: &Options,
        place: Place<'_>,
    ) -> Result<Arc<dyn Installed>, Refusal>;

    /// A text that the program takes for nothing but a prompt. The result is what the prompt hook tells.
    fn prompt<'a>(&self, text: &'a str) -> Cow<'a, str>;

    /// A prompt as it is pasted.
    fn keystrokes<'a>(&self, prompt: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(prompt)
    }

    /// The key that submits the prompt in the composer; best one that means nothing in a dialog.
    fn submit_key(&self) -> Key;

    /// What tells its composer from its dialogs.
    fn composer(&self) -> Composer {
        Composer::Cursor
    }

    /// What a screen means. `screen` may hold escape sequences for colours.
    fn screen_state(&self, screen: &str, expected: Expected<'_>, trust: TrustPolicy)
    -> ScreenState;

    /// Whether the options of that dialog ([`ShownDialog::name`](super::screen_state::ShownDialog::name)) stand beside a field
    /// for text, so that a cursor may show in it.
    fn has_fields(&self, _dialog: &str) -> bool {
        false
    }

    /// Why a turn failed, as the screen shows it.
    fn failure(&self, _screen: &str) -> Option<TurnError> {
        None
    }

    /// A trouble that the screen shows while nothing has failed yet: a connection that is tried again, say.
    fn trouble(&self, _screen: &str) -> Option<String> {
        None
    }

    /// The transcript of an earlier run's session with which a start can go on; `None` where the program can't, or has it no more.
    /// `kept`: the copy that the run kept of it.
    fn find_session(
        &self,
        _session: &str,
        _kept: &Path,
        _environment: &[(String, String)],
    ) -> Option<PathBuf> {
        None
    }

    /// The report of a hook, read from its payload; `None` if the payload is invalid.
    fn report(&self, kind: Kind, payload: &[u8]) -> Option<Report>;

    /// A reader of a transcript from its first line on. The line that ends a turn is written after the turn's Stop hook has
    /// run.
    fn reader(&self) -> Box<dyn TranscriptReader>;

    /// The transcripts in which sub-agents of the session with the transcript `own` may write, in the order of their
    /// beginning.
    fn sub_agent_transcripts(&self, _own: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    /// The transcripts beside the session's own whose tokens the session's own does not count.
    fn transcripts_that_count(&self, _own: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Whether the program tells of its tokens only when it ends.
    fn tells_tokens_late(&self) -> bool {
        false
    }

    /// Since when the program says that the session has nothing to do, where neither hooks nor transcript tell of each end.
    fn idle_since(&self, _transcript: &Path, _session: &str) -> Option<SystemTime> {
        None
    }

    /// The line that tells the program a decision on a permission, from the hook that got `payload`; `None` where the
    /// program's dialog decides.
    fn decision(&self, payload: &[u8], decision: &Decision) -> Option<String>;

    /// What the agent is about to do, or asks leave for, from the payload of its hook; `None` where that is no policy's matter,
    /// such as a form.
    fn call(&self, _payload: &[u8]) -> Option<Call> {
        None
    }

    /// The line by which a hook keeps the program from a call that it did not ask for; the message is for the agent.
    fn refusal(&self, _message: &str) -> Option<String> {
        None
    }

    /// Whether a permission's dialog is on the screen while the hook that decides on it runs, and for a moment after.
    fn has_dialog_beside_hook(&self) -> bool {
        false
    }

    /// Whether `submitted`, which its hook tells of, is that prompt. Some composer changes blanks.
    fn is_prompt(&self, submitted: &str, prompt: &str) -> bool {
        submitted == prompt
    }

    /// Begins or continues a conversation with the server that [`Installed::server`] started. Waits for a server that is not
    /// up yet; the caller limits the time.
    ///
    /// # Errors
    /// [`NoConversation::Unusable`] where it does not speak as it should, [`NoConversation::Refused`] where what is in force
    /// is not what the options say.
    async fn converse(&self, terms: &Terms<'_>) -> Result<Box<dyn Conversation>, NoConversation> {
        let server = terms.socket.display();
        Err(NoConversation::Unusable(format!(
            "{} has no server, and none is at {server}",
            self.name()
        )))
    }

    /// The start of its terminal that joins a session of a server; `None` where it has no server.
    fn terminal(&self, _joining: &Joining<'_>) -> Option<Terminal> {
        None
    }

    /// Removes the socket of a server that has ended, and what it left with it.
    fn remove_socket(&self, socket: &Path) {
        let _not_there = std::fs::remove_file(socket);
    }

    /// Removes the directory that [`Installed::prepare`] made, and what the program wrote about the run elsewhere.
    fn remove_home(&self, home: &Path) {
        let _none_was_made = std::fs::remove_dir_all(home);
    }

    /// The text that ends the program when it is submitted like a prompt; `None` where a signal does as well.
    fn exit_command(&self) -> Option<&'static str> {
        None
    }

    /// Beginnings of names that the program itself gives to directories, where they begin like a run's.
    fn own_directories(&self) -> &'static [&'static str] {
        &[]
    }

    /// The files that the program itself leaves at the top of a worktree, empty, with no wish to change anything.
    fn leftovers(&self) -> &'static [&'static str];

    /// The files of a repository whose settings the program obeys where it trusts the repository.
    fn repository_settings(&self) -> &'static [&'static str];

    /// How the program takes a server of tools (MCP) of that name that `command` starts; `None` where another executor of the same
    /// program does.
    fn tool_server(&self, _name: &str, _command: &[String]) -> Option<ToolServer> {
        None
    }

    /// Where it reads hooks for all of a user's sessions; `None` where it reads none.
    fn global_hooks(&self) -> Option<&'static dyn GlobalHooks> {
        None
    }
}

/// The program's own commands about a server of tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolServer {
    /// The arguments by which it takes it.
    pub add: Vec<String>,
    /// Those by which it forgets it.
    pub remove: Vec<String>,
}

impl ToolServer {
    /// The commands of a program that takes `mcp add NAME -- COMMAND…` and `mcp remove NAME`.
    pub(crate) fn by_name(name: &str, command: &[String]) -> Self {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let mut add: Vec<String> = words(&["mcp", "add", name, "--"]);
        add.extend_from_slice(command);
        Self {
            add,
            remove: words(&["mcp", "remove", name]),
        }
    }
}

/// An executor's program on this machine.
#[async_trait]
pub trait Installed: fmt::Debug + Send + Sync {
    /// The program's path, absolute.
    fn path(&self) -> &Path;

    /// Its version, for example `0.169.0`.
    fn version(&self) -> &str;

    /// Whether the version is within [`Executor::known_versions`].
    fn is_known(&self) -> bool;

    /// Asks the program whether it can reach a model with its configuration and credentials.
    ///
    /// # Errors
    /// A [`Refusal`] that says why not.
    async fn query_access(&self, options: &Options, place: Place<'_>) -> Result<Access, Refusal>;

    /// Why the program can't be driven by requests with these options; `None` where it can.
    fn refuses_requests(&self, _options: &Options) -> Option<String> {
        Some("it has no server for requests".to_owned())
    }

    /// The way in which it is driven with these options: by requests or by keys.
    ///
    /// # Errors
    /// Requests are wanted and not possible: why.
    fn drive(&self, options: &Options) -> Result<Drive, String> {
        match (options.drive, self.refuses_requests(options)) {
            (Drive::Keys, _) | (Drive::Auto, Some(_)) => Ok(Drive::Keys),
            (Drive::Headless, _) => Err(format!("{} has a terminal", options.executor.name())),
            // The question whether a folder is trusted is the terminal's.
            (Drive::Auto, None) if options.trust == TrustPolicy::Ask => Ok(Drive::Keys),
            (Drive::Auto | Drive::Requests, None) => Ok(Drive::Requests),
            (Drive::Requests, Some(why)) => Err(format!(
                "{} can't be driven by requests here: {why}",
                options.executor.name()
            )),
        }
    }

    /// Why nothing that it asks an approval for can be allowed; `None` where it can.
    fn refuses_approvals(&self) -> Option<String> {
        None
    }

    /// Whether it holds its model to [`Options::output_schema`].
    fn takes_schema(&self) -> bool {
        false
    }

    /// The command line of its server for requests, which listens on `socket`; `None` where it has none.
    fn server(&self, _launch: &Launch<'_>, _socket: &Path) -> Option<CommandLine> {
        None
    }

    /// Writes what a start needs below [`Launch::home`]; returns the variables that it adds to the agent's environment.
    ///
    /// # Errors
    /// Whatever reading the user's files or writing meets.
    fn prepare(&self, _launch: &Launch<'_>) -> io::Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    /// The command line of a start.
    fn command_line(&self, launch: &Launch<'_>) -> CommandLine;

    /// Forgets what is kept about the program below `state`: it refused its arguments.
    fn forget(&self, state: &Path);
}

/// Where a program is asked.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The agent's environment.
    pub environment: &'a [(String, String)],
    /// The directory that contains the repository's git directory.
    pub repository: &'a Path,
    /// The directory in the caller's checkout that corresponds to the agent's own.
    pub directory: &'a Path,
    /// The state directory, which keeps the answers.
    pub state: &'a Path,
}

/// A program that can reach a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Whether it is paid by use, through an API key.
    pub is_billed: bool,
    /// Settings that this user's configuration makes necessary, for [`Launch::settings`].
    pub settings: Vec<String>,
}

/// The expected content of the screen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected<'a> {
    /// The run's present prompt.
    pub prompt: &'a str,
    /// The form whose answers the agent waits for.
    pub form: Option<Form<'a>>,
    /// Whether a turn is ending whose hooks may still run.
    pub is_stopping: bool,
}

/// A run's hooks.
#[derive(Clone, Copy, Debug)]
pub struct Hooks<'a> {
    /// The program that serves them.
    pub helper: &'a Helper,
    /// The run's `signals/`.
    pub signals: &'a Path,
    /// Where each call is judged by a policy: how long one decision may take.
    pub judged_within: Option<Duration>,
}

/// A session of an earlier run with which a start goes on.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// Its id.
    pub session_id: String,
    /// Its transcript.
    pub transcript: PathBuf,
    /// How long that was, in bytes, when the run began.
    pub length: u64,
}

/// A start of an agent.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// The caller's options.
    pub options: &'a Options,
    /// The directory that contains the repository's git directory: usually the main checkout.
    pub repository: &'a Path,
    /// The top of the worktree, all of which may be written to where the sandbox allows that of the workspace.
    pub worktree: &'a Path,
    /// Where in it the agent works.
    pub directory: &'a Path,
    /// [`Access::settings`].
    pub settings: &'a [String],
    /// The run's hooks.
    pub hooks: Hooks<'a>,
    /// The session that it goes on with; `None` for a new one.
    pub resumed: Option<&'a Resumed>,
    /// The agent's environment.
    pub environment: &'a [(String, String)],
    /// A directory of the run for what the program keeps for itself; it goes when the agent has ended.
    pub home: &'a Path,
}

impl CommandLine {
    /// What `argv` makes of the caller's arguments, and for the record of their number.
    pub(crate) fn of(callers: &[String], argv: impl Fn(&[String]) -> Vec<String>) -> Self {
        let words = format!("[{} arguments of the caller's]", callers.len());
        let recorded = match callers {
            [] => argv(callers),
            _ => argv(&[words]),
        };
        Self {
            argv: argv(callers),
            recorded,
        }
    }
}

/// A command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The whole of it, program first.
    pub argv: Vec<String>,
    /// The same for the record: without the caller's own arguments, which may hold a credential.
    pub recorded: Vec<String>,
}
