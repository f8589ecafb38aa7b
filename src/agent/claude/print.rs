//! `claude -p`: Claude Code without a terminal, for one prompt.
//!
//! What Claude Code is, is the same in both forms, the run's own directory included; this one differs in its command line, and in
//! that nothing is known of it but the events that it prints, one JSON object a line, and the permissions that its hook is asked
//! for. Source: 2.1.197 and 2.1.332, `tests/scenarios/headless.rs`.

mod stream;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::Claude;
use super::home;
use super::launch::{HEADLESS_EVENTS, headless_argv};
use super::program::Program;
use crate::agent::conversation::{Drive, headless_drive};
use crate::agent::executor::{
    Access, CommandLine, Executor, Expected, Installed, Launch, Options, Place, Refusal, Trouble,
    TrustPolicy,
};
use crate::agent::report::{Call, Report, TranscriptReader};
use crate::agent::screen_state::ScreenState;
use crate::agent::signals::{Decision, Kind};
use crate::tmux::Key;

/// Anthropic's Claude Code, headless.
#[derive(Clone, Copy, Debug)]
pub struct ClaudePrint;

#[async_trait]
impl Executor for ClaudePrint {
    fn name(&self) -> &'static str {
        "claude-print"
    }

    fn is_headless(&self) -> bool {
        true
    }

    fn prefix(&self) -> &'static str {
        "cp"
    }

    fn known_versions(&self) -> (&'static str, &'static str) {
        Claude.known_versions()
    }

    fn key_variables(&self) -> &'static [&'static str] {
        Claude.key_variables()
    }

    fn home_variable(&self) -> Option<&'static str> {
        Claude.home_variable()
    }

    fn is_own_setting(&self, variable: &str) -> bool {
        Claude.is_own_setting(variable)
    }

    fn remedy(&self, trouble: Trouble) -> &'static str {
        Claude.remedy(trouble)
    }

    async fn find(
        &self,
        options: &Options,
        place: Place<'_>,
    ) -> Result<Arc<dyn Installed>, Refusal> {
        Ok(Arc::new(Headless(
            super::executor::find(options, place).await?,
        )))
    }

    /// A `/` at the beginning is a command here, too.
    fn prompt<'a>(&self, text: &'a str) -> Cow<'a, str> {
        Claude.prompt(text)
    }

    fn submit_key(&self) -> Key {
        Claude.submit_key()
    }

    fn screen_state(&self, _: &str, _: Expected<'_>, _: TrustPolicy) -> ScreenState {
        ScreenState::Nothing
    }

    fn report(&self, kind: Kind, payload: &[u8]) -> Option<Report> {
        Claude.report(kind, payload)
    }

    fn reader(&self) -> Box<dyn TranscriptReader> {
        Box::<stream::Reader>::default()
    }

    fn call(&self, payload: &[u8]) -> Option<Call> {
        Claude.call(payload)
    }

    fn refusal(&self, message: &str) -> Option<String> {
        Claude.refusal(message)
    }

    fn decision(&self, payload: &[u8], decision: &Decision) -> Option<String> {
        Claude.decision(payload, decision)
    }

    fn remove_home(&self, home: &Path) {
        Claude.remove_home(home);
    }

    fn own_directories(&self) -> &'static [&'static str] {
        Claude.own_directories()
    }

    fn leftovers(&self) -> &'static [&'static str] {
        Claude.leftovers()
    }

    fn repository_settings(&self) -> &'static [&'static str] {
        Claude.repository_settings()
    }
}

/// The program, which is started in its headless form.
#[derive(Debug)]
struct Headless(Program);

#[async_trait]
impl Installed for Headless {
    fn path(&self) -> &Path {
        &self.0.path
    }

    fn version(&self) -> &str {
        &self.0.version
    }

    fn is_known(&self) -> bool {
        self.0.is_known()
    }

    async fn query_access(&self, options: &Options, place: Place<'_>) -> Result<Access, Refusal> {
        self.0.query_access(options, place).await
    }

    fn drive(&self, options: &Options) -> Result<Drive, String> {
        headless_drive(options)
    }

    fn refuses_approvals(&self) -> Option<String> {
        let (version, since) = (&self.0.version, stream::ASKING_HOOKS);
        (!stream::asks_hooks(version)).then(|| {
            format!(
                "claude {version} asks no hook without a terminal, so that nothing can be allowed: use --executor claude, or {since} or newer"
            )
        })
    }

    fn prepare(&self, launch: &Launch<'_>) -> std::io::Result<Vec<(String, String)>> {
        home::prepare(launch, &HEADLESS_EVENTS)
    }

    fn takes_schema(&self) -> bool {
        true
    }

    fn command_line(&self, launch: &Launch<'_>) -> CommandLine {
        let argv = |arguments: &[String]| headless_argv(&self.0.path, launch, arguments);
        CommandLine::of(&launch.options.arguments, argv)
    }

    fn forget(&self, _state: &Path) {}
}
