//! `codex exec`: codex without a terminal, for one prompt.
//!
//! What codex is, is the same in both forms; this one differs in its command line, and in that nothing is known of it but the
//! events that it prints, one JSON object a line. Source: codex 0.150.0 and 0.169.0, `tests/scenarios/headless.rs`.

mod stream;

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::Codex;
use super::launch::{headless_argv, schema_file};
use super::program::Program;
use crate::agent::conversation::{Drive, headless_drive};
use crate::agent::environment::value;
use crate::agent::executor::{
    Access, CommandLine, Executor, Expected, Installed, Launch, Options, Place, Refusal, Trouble,
    TrustPolicy,
};
use crate::agent::report::{Call, Report, TranscriptReader};
use crate::agent::screen_state::ScreenState;
use crate::agent::signals::{Decision, Kind};
use crate::os::files::{Durability, make_private_directory, write_private};
use crate::tmux::Key;

/// A key that this form alone takes from the environment.
///
/// Source: codex 0.169.0.
const KEY: &str = "CODEX_API_KEY";

/// OpenAI's codex, headless.
#[derive(Clone, Copy, Debug)]
pub struct CodexExec;

#[async_trait]
impl Executor for CodexExec {
    fn name(&self) -> &'static str {
        "codex-exec"
    }

    fn is_headless(&self) -> bool {
        true
    }

    fn prefix(&self) -> &'static str {
        "ce"
    }

    fn known_versions(&self) -> (&'static str, &'static str) {
        Codex.known_versions()
    }

    fn key_variables(&self) -> &'static [&'static str] {
        Codex.key_variables()
    }

    fn tells_tokens_late(&self) -> bool {
        true
    }

    fn home_variable(&self) -> Option<&'static str> {
        Codex.home_variable()
    }

    fn remedy(&self, trouble: Trouble) -> &'static str {
        Codex.remedy(trouble)
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

    fn prompt<'a>(&self, text: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(text)
    }

    fn submit_key(&self) -> Key {
        Codex.submit_key()
    }

    fn screen_state(&self, _: &str, _: Expected<'_>, _: TrustPolicy) -> ScreenState {
        ScreenState::Nothing
    }

    fn report(&self, kind: Kind, payload: &[u8]) -> Option<Report> {
        Codex.report(kind, payload)
    }

    fn reader(&self) -> Box<dyn TranscriptReader> {
        Box::<stream::Reader>::default()
    }

    fn call(&self, payload: &[u8]) -> Option<Call> {
        Codex.call(payload)
    }

    fn refusal(&self, message: &str) -> Option<String> {
        Codex.refusal(message)
    }

    fn decision(&self, payload: &[u8], decision: &Decision) -> Option<String> {
        Codex.decision(payload, decision)
    }

    fn leftovers(&self) -> &'static [&'static str] {
        Codex.leftovers()
    }

    fn repository_settings(&self) -> &'static [&'static str] {
        Codex.repository_settings()
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
        let access = self.0.query_access(options, place).await;
        let has_key = value(place.environment, KEY).is_some_and(|key| !key.is_empty());
        match access {
            Err(refusal) if refusal.trouble == Trouble::SignedOut && has_key => Ok(Access {
                is_billed: true,
                settings: Vec::new(),
            }),
            access => access,
        }
    }

    fn drive(&self, options: &Options) -> Result<Drive, String> {
        headless_drive(options)
    }

    fn refuses_approvals(&self) -> Option<String> {
        Some(
            "codex exec asks for no approval, so that nothing can be allowed: use --executor codex, or another --sandbox"
                .to_owned(),
        )
    }

    fn prepare(&self, launch: &Launch<'_>) -> io::Result<Vec<(String, String)>> {
        if let Some(schema) = &launch.options.output_schema {
            make_private_directory(launch.home)?;
            let file = schema_file(launch.home);
            write_private(&file, schema.text().as_bytes(), Durability::Cached)?;
        }
        Ok(Vec::new())
    }

    fn takes_schema(&self) -> bool {
        true
    }

    fn command_line(&self, launch: &Launch<'_>) -> CommandLine {
        let argv = |arguments: &[String]| headless_argv(&self.0, launch, arguments);
        CommandLine::of(&launch.options.arguments, argv)
    }

    fn forget(&self, state: &Path) {
        self.0.forget(state);
    }
}
