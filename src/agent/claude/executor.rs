//! Claude Code behind the boundary.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;

use super::program::{KNOWN_VERSIONS, Program};
use super::refusal::remedy;
use super::{access, home, launch, payload, screen, traces, transcript};
use crate::agent::executor::{
    Access, CommandLine, Executor, Expected, Installed, Launch, Options, Place, Refusal,
    ToolServer, Trouble, TrustPolicy,
};
use crate::agent::global_hooks::GlobalHooks;
use crate::agent::report::{Call, Report, TranscriptReader, TurnError, forbidding};
use crate::agent::screen_state::ScreenState;
use crate::agent::signals::{Decision, Kind};
use crate::tmux::{Composer, Key};

/// Anthropic's Claude Code.
#[derive(Clone, Copy, Debug)]
pub struct Claude;

#[async_trait]
impl Executor for Claude {
    fn name(&self) -> &'static str {
        "claude"
    }

    fn prefix(&self) -> &'static str {
        "cc"
    }

    fn known_versions(&self) -> (&'static str, &'static str) {
        KNOWN_VERSIONS
    }

    fn key_variables(&self) -> &'static [&'static str] {
        &[
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "CLAUDE_CODE_OAUTH_TOKEN",
        ]
    }

    fn home_variable(&self) -> Option<&'static str> {
        Some(home::VARIABLE)
    }

    fn is_own_setting(&self, variable: &str) -> bool {
        home::SETTINGS
            .iter()
            .any(|begin| variable.starts_with(begin))
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
        payload::as_prompt(text)
    }

    /// A trailing word with `@` or `/` opens a list that takes the Enter.
    fn keystrokes<'a>(&self, prompt: &'a str) -> Cow<'a, str> {
        payload::as_typed(prompt)
    }

    fn submit_key(&self) -> Key {
        Key::Enter
    }

    /// The program draws its cursor itself.
    fn composer(&self) -> Composer {
        Composer::Text(screen::COMPOSER)
    }

    fn screen_state(
        &self,
        screen: &str,
        expected: Expected<'_>,
        trust: TrustPolicy,
    ) -> ScreenState {
        screen::read(screen, expected, trust)
    }

    fn has_fields(&self, _dialog: &str) -> bool {
        false
    }

    fn failure(&self, screen: &str) -> Option<TurnError> {
        screen::failure(screen)
    }

    fn trouble(&self, screen: &str) -> Option<String> {
        screen::trouble(screen)
    }

    fn find_session(
        &self,
        _session: &str,
        kept: &Path,
        _environment: &[(String, String)],
    ) -> Option<PathBuf> {
        kept.is_file().then(|| kept.to_owned())
    }

    fn report(&self, kind: Kind, payload: &[u8]) -> Option<Report> {
        payload::report(kind, payload)
    }

    fn reader(&self) -> Box<dyn TranscriptReader> {
        Box::<transcript::Reader>::default()
    }

    /// Its sub-agents are told of by the session's own transcript.
    fn sub_agent_transcripts(&self, _own: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    fn transcripts_that_count(&self, own: &Path) -> Vec<PathBuf> {
        transcript::beside(own)
    }

    fn idle_since(&self, transcript: &Path, session: &str) -> Option<SystemTime> {
        home::idle_since(transcript, session)
    }

    fn decision(&self, payload: &[u8], decision: &Decision) -> Option<String> {
        payload::decision(payload, decision)
    }

    fn call(&self, payload: &[u8]) -> Option<Call> {
        super::call::call(payload)
    }

    fn refusal(&self, message: &str) -> Option<String> {
        Some(forbidding(message))
    }

    /// Source: 2.1.197 and 2.1.332.
    fn has_dialog_beside_hook(&self) -> bool {
        true
    }

    fn is_prompt(&self, submitted: &str, prompt: &str) -> bool {
        payload::is_prompt(submitted, prompt)
    }

    /// SIGTERM ends it and its commands in less time, with its SessionEnd hooks, and no question is asked.
    ///
    /// Source: 2.1.197 and 2.1.332.
    fn exit_command(&self) -> Option<&'static str> {
        None
    }

    fn remove_home(&self, home: &Path) {
        traces::remove(home);
        let _none_was_made = std::fs::remove_dir_all(home);
    }

    fn own_directories(&self) -> &'static [&'static str] {
        &[traces::SOCKETS]
    }

    fn leftovers(&self) -> &'static [&'static str] {
        &[]
    }

    fn repository_settings(&self) -> &'static [&'static str] {
        &[".claude/settings.json", ".mcp.json"]
    }

    /// Source: Claude Code 2.1.197 and 2.1.332, `mcp add --help`; `tests/scenarios/mcp.rs`.
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

    fn prepare(&self, launch: &Launch<'_>) -> std::io::Result<Vec<(String, String)>> {
        home::prepare(launch, &launch::EVENTS)
    }

    fn command_line(&self, launch: &Launch<'_>) -> CommandLine {
        let argv = |arguments: &[String]| launch::argv(&self.path, launch, arguments);
        CommandLine::of(&launch.options.arguments, argv)
    }

    fn forget(&self, _state: &Path) {}
}

/// Finds the program, and refuses what can't be started.
pub(super) async fn find(options: &Options, place: Place<'_>) -> Result<Program, Refusal> {
    let found = Program::query(options.program.as_deref(), place).await?;
    launch::check(options, place.environment)?;
    Ok(found)
}
