//! codex behind the boundary.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::launch::{SETTINGS, Start, joined_terminal, server_argv};
use super::payload::Payload;
use super::program::{self, KNOWN_VERSIONS, Program};
use super::requests::{self, Requests};
use super::{access, screen, setup, transcript};
use crate::agent::conversation::{Conversation, Joining, NoConversation, Terminal, Terms};
use crate::agent::executor::{
    Access, CommandLine, Executor, Expected, Installed, Launch, Options, Place, Refusal,
    ToolServer, Trouble, TrustPolicy,
};
use crate::agent::global_hooks::GlobalHooks;
use crate::agent::report::{Call, Report, TranscriptReader, TurnError, forbidding};
use crate::agent::screen_state::ScreenState;
use crate::agent::signals::{Decision, Kind};
use crate::tmux::Key;

/// OpenAI's codex.
#[derive(Clone, Copy, Debug)]
pub struct Codex;

const SIGN_IN: &str =
    "run `codex login` (ChatGPT account), or `codex login --with-api-key` with a key on its stdin";

#[async_trait]
impl Executor for Codex {
    fn name(&self) -> &'static str {
        "codex"
    }

    fn prefix(&self) -> &'static str {
        "cx"
    }

    fn known_versions(&self) -> (&'static str, &'static str) {
        KNOWN_VERSIONS
    }

    fn key_variables(&self) -> &'static [&'static str] {
        &["OPENAI_API_KEY", "CODEX_API_KEY"]
    }

    fn home_variable(&self) -> Option<&'static str> {
        Some("CODEX_HOME")
    }

    fn remedy(&self, trouble: Trouble) -> &'static str {
        remedy(trouble)
    }

    async fn find(
        &self,
        options: &Options,
        place: Place<'_>,
    ) -> Result<Arc<dyn Installed>, Refusal> {
        Ok(Arc::new(find(options, place).await?))
    }

    fn prompt<'a>(&self, text: &'a str) -> Cow<'a, str> {
        super::as_prompt(text)
    }

    fn keystrokes<'a>(&self, prompt: &'a str) -> Cow<'a, str> {
        super::as_typed(prompt)
    }

    fn submit_key(&self) -> Key {
        Key::Submit
    }

    fn screen_state(
        &self,
        screen: &str,
        expected: Expected<'_>,
        trust: TrustPolicy,
    ) -> ScreenState {
        super::screen_state(screen, expected, trust)
    }

    fn has_fields(&self, dialog: &str) -> bool {
        screen::has_fields(dialog)
    }

    fn failure(&self, screen: &str) -> Option<TurnError> {
        if let Some(why) = screen::stopped_turn(screen) {
            return Some(TurnError::stopped_by_hook(&why));
        }
        let failed = screen::error_line(screen).map(|line| transcript::error_in(&line));
        failed.or_else(|| screen::blocked_prompt(screen).map(|why| TurnError::blocked_prompt(&why)))
    }

    fn trouble(&self, screen: &str) -> Option<String> {
        screen::trouble(screen)
    }

    fn find_session(
        &self,
        session: &str,
        _kept: &Path,
        environment: &[(String, String)],
    ) -> Option<PathBuf> {
        transcript::find(session, environment)
    }

    fn report(&self, kind: Kind, payload: &[u8]) -> Option<Report> {
        let payload = Payload::parse(payload).ok()?;
        Some(payload.into_report(kind))
    }

    fn reader(&self) -> Box<dyn TranscriptReader> {
        Box::new(transcript::Reader)
    }

    fn sub_agent_transcripts(&self, own: &Path) -> Vec<PathBuf> {
        transcript::younger(own)
    }

    fn decision(&self, _payload: &[u8], decision: &Decision) -> Option<String> {
        super::decision_output(decision)
    }

    fn call(&self, payload: &[u8]) -> Option<Call> {
        super::call::call(payload)
    }

    fn refusal(&self, message: &str) -> Option<String> {
        Some(forbidding(message))
    }

    async fn converse(&self, terms: &Terms<'_>) -> Result<Box<dyn Conversation>, NoConversation> {
        Ok(Box::new(Requests::begin(terms).await?))
    }

    fn terminal(&self, joining: &Joining<'_>) -> Option<Terminal> {
        Some(joined_terminal(joining))
    }

    fn remove_socket(&self, socket: &Path) {
        requests::remove_socket(socket);
    }

    fn exit_command(&self) -> Option<&'static str> {
        Some(super::EXIT_COMMAND)
    }

    fn leftovers(&self) -> &'static [&'static str] {
        &super::MOUNT_POINTS
    }

    fn repository_settings(&self) -> &'static [&'static str] {
        &[SETTINGS]
    }

    /// Source: codex 0.130.0 and 0.169.0, `mcp add --help`; `tests/scenarios/mcp.rs`.
    fn tool_server(&self, name: &str, command: &[String]) -> Option<ToolServer> {
        Some(ToolServer::by_name(name, command))
    }

    fn global_hooks(&self) -> Option<&'static dyn GlobalHooks> {
        Some(&Self)
    }
}

#[async_trait]
impl Installed for Program {
    fn path(&self) -> &Path {
        &self.path
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn is_known(&self) -> bool {
        Self::is_known(self)
    }

    async fn query_access(&self, options: &Options, place: Place<'_>) -> Result<Access, Refusal> {
        access::query_access(self, options, place).await
    }

    fn refuses_requests(&self, options: &Options) -> Option<String> {
        if self.number() < requests::SINCE {
            let (major, minor) = requests::SINCE;
            return Some(format!(
                "codex {} is older than {major}.{minor}",
                self.version
            ));
        }
        if let Some(argument) = setup::unserved(&options.arguments) {
            return Some(format!("{argument} is an argument of codex's terminal"));
        }
        let has_table = options.profile.is_some() && !self.profiles_are_files;
        has_table.then(|| "the profile is a table of config.toml".to_owned())
    }

    fn server(&self, launch: &Launch<'_>, socket: &Path) -> Option<CommandLine> {
        let callers = setup::served(&launch.options.arguments);
        let argv = |arguments: &[String]| server_argv(self, launch, socket, arguments);
        Some(CommandLine::of(&callers, argv))
    }

    fn command_line(&self, launch: &Launch<'_>) -> CommandLine {
        let start = Start {
            program: self,
            launch,
        };
        CommandLine::of(&launch.options.arguments, |arguments| start.argv(arguments))
    }

    fn forget(&self, state: &Path) {
        Self::forget(self, state);
    }
}

/// Finds the program.
pub(super) async fn find(options: &Options, place: Place<'_>) -> Result<Program, Refusal> {
    access::check_limits()?;
    let program = options.program.as_deref();
    let found = Program::query(program, place.environment, place.directory, place.state);
    Ok(found.await?)
}

/// A refusal with codex's remedy.
pub(super) fn refusal(trouble: Trouble, message: String) -> Refusal {
    Refusal {
        trouble,
        message,
        hint: remedy(trouble),
    }
}

impl From<program::Error> for Refusal {
    fn from(error: program::Error) -> Self {
        let trouble = match &error {
            program::Error::Missing(_) => Trouble::Missing,
            program::Error::Unusable { .. } => Trouble::Unusable,
        };
        refusal(trouble, error.to_string())
    }
}

impl From<setup::Error> for Refusal {
    fn from(error: setup::Error) -> Self {
        let trouble = match &error {
            setup::Error::Home { .. } => Trouble::Home,
            setup::Error::Invalid(_) | setup::Error::Profile { .. } => Trouble::Configuration,
            setup::Error::Forced(_) => Trouble::Restricted,
        };
        refusal(trouble, error.to_string())
    }
}

fn remedy(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Missing => "install it: `npm install -g @openai/codex`, or name it with --codex",
        Trouble::Unusable => "run it once by hand; --codex names another one",
        Trouble::Home => {
            "create that directory and sign in with CODEX_HOME set, or unset CODEX_HOME to use ~/.codex"
        }
        Trouble::Configuration => "fix or remove the setting that the message names",
        Trouble::Restricted => {
            "see the message: the setting takes precedence over a run's own arguments"
        }
        Trouble::Credentials => {
            "run `codex login` again (ChatGPT account), or `codex login --with-api-key` with a key on its stdin"
        }
        Trouble::SignedOut => SIGN_IN,
        Trouble::KeyMissing => {
            "set that variable; `env_key` of the provider in codex's configuration names it"
        }
        Trouble::Limits => {
            "raise the hard limit of open files, for example with `ulimit -H -n 1024`"
        }
        Trouble::Rejected => "check the key, or sign in again with `codex login`",
        Trouble::Dialog => {
            "start codex once by hand in the repository and answer it, or see its screen in `pending`"
        }
        Trouble::PromptBlocked => "change the task, or the hook in codex's hooks.json",
        Trouble::WrongDirectory => {
            "a wrapper around codex must not change the directory: name the program itself with --codex"
        }
        Trouble::EndedAtStart => {
            "fix what it names; codex says the same when it is started by hand"
        }
    }
}
