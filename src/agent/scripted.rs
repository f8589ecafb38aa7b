//! The agent `plain-agent`, a program of this repository's tests (`tests/plain_agent/agent.rs`): a second executor, which shares
//! no screen, payload, transcript or flag with another one.
//!
//! It keeps what no room above may take for granted: it submits with Enter, tells of its session when it starts, numbers
//! its turns, writes its transcript in plain text, and says on its screen how many characters its composer holds. Its last
//! row says in brackets what it waits for. It has no sandbox, no profiles and no sub-agents.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;

use super::environment::value;
use super::executor::{
    Access, Ask, CommandLine, Executor, Expected, Installed, Launch, Options, Place, Refusal,
    Trouble, TrustPolicy,
};
use super::query::{self, Said};
use super::report::{EachLine, Line, Phase, Report, Reported, TranscriptReader, TurnError};
use super::screen_state::{Advice, Holds, ScreenState, ShownDialog};
use super::signals::{Decision, Kind};
use crate::tmux::Key;

const PROGRAM: &str = "plain-agent";
const EXIT_COMMAND: &str = "quit";
const KNOWN_VERSION: &str = "1.2.0";
/// A longer text is not shown in the composer, but counted.
const SHOWN_WHOLE: usize = 60;

/// The scripted agent.
#[derive(Clone, Copy, Debug)]
pub struct Scripted;

#[async_trait]
impl Executor for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn prefix(&self) -> &'static str {
        "sc"
    }

    fn known_versions(&self) -> (&'static str, &'static str) {
        (KNOWN_VERSION, KNOWN_VERSION)
    }

    fn key_variables(&self) -> &'static [&'static str] {
        &["PLAIN_CODE"]
    }

    fn home_variable(&self) -> Option<&'static str> {
        Some("PLAIN_HOME")
    }

    fn remedy(&self, trouble: Trouble) -> &'static str {
        match trouble {
            Trouble::Missing | Trouble::Unusable | Trouble::WrongDirectory => {
                "build it, and name it with --program"
            }
            Trouble::Configuration | Trouble::Restricted => {
                "it has no profiles: leave --profile out"
            }
            Trouble::Home | Trouble::Credentials | Trouble::SignedOut | Trouble::KeyMissing => {
                "create the file `account` in the directory that PLAIN_HOME names"
            }
            Trouble::Rejected => "create the file `account` again",
            Trouble::Limits | Trouble::EndedAtStart => {
                "start it once by hand, and fix what it says"
            }
            Trouble::Dialog => {
                "start it once by hand and answer it, or see its screen in `pending`"
            }
            Trouble::PromptBlocked => "change the task",
        }
    }

    async fn find(
        &self,
        options: &Options,
        place: Place<'_>,
    ) -> Result<Arc<dyn Installed>, Refusal> {
        if options.profile.is_some() {
            let message = "the scripted agent has no profiles";
            return Err(refusal(Trouble::Configuration, message));
        }
        let named = options.program.as_deref().unwrap_or(Path::new(PROGRAM));
        let search = value(place.environment, "PATH");
        let Some(path) = query::find(named, search.as_deref()) else {
            let message = format!("{} is not a program", named.display());
            return Err(refusal(Trouble::Missing, message));
        };
        let answer = query(&path, "--version", place).await?;
        let version = answer.stdout.strip_prefix("plain ").map(str::trim);
        let Some(version) = version.filter(|_| answer.status.success()) else {
            let message = format!("{} --version tells no version", path.display());
            return Err(refusal(Trouble::Unusable, message));
        };
        let version = version.to_owned();
        Ok(Arc::new(Program { path, version }))
    }

    /// The composer takes a first line that begins with a colon, and the word `quit`, for commands.
    fn prompt<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if text.trim_start().starts_with(':') || text.trim() == EXIT_COMMAND {
            Cow::Owned(format!("Request: {text}"))
        } else {
            Cow::Borrowed(text)
        }
    }

    fn keystrokes<'a>(&self, prompt: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(prompt)
    }

    fn submit_key(&self) -> Key {
        Key::Enter
    }

    fn screen_state(
        &self,
        screen: &str,
        expected: Expected<'_>,
        trust: TrustPolicy,
    ) -> ScreenState {
        let plain = strip_ansi_escapes::strip_str(screen);
        let rows = plain.lines().map(str::trim_end);
        let rows: Vec<&str> = rows.filter(|row| !row.is_empty()).collect();
        let [first, .., above, last] = rows.as_slice() else {
            return ScreenState::Nothing;
        };
        if !first.starts_with("== plain ") {
            return ScreenState::Nothing;
        }
        match *last {
            "[busy]" => ScreenState::Working {
                holds: Holds::Other,
            },
            "[waiting]" => match above.strip_prefix("?>").map(str::trim) {
                Some("") => ready(Holds::Nothing),
                Some(text) if text == shown(expected.prompt) => ready(Holds::Prompt),
                Some(_) => ready(Holds::Other),
                None => ScreenState::Nothing,
            },
            mark if mark.starts_with('[') => {
                ScreenState::Dialog(dialog(&rows, mark, trust, &plain))
            }
            _ => ScreenState::Nothing,
        }
    }

    fn has_fields(&self, _dialog: &str) -> bool {
        false
    }

    fn failure(&self, screen: &str) -> Option<TurnError> {
        let failed = |row: &str| turn_error(row.strip_prefix("| failed: ")?);
        screen.lines().rev().find_map(failed)
    }

    fn trouble(&self, _screen: &str) -> Option<String> {
        None
    }

    fn report(&self, kind: Kind, payload: &[u8]) -> Option<Report> {
        let payload: Payload = serde_json::from_slice(payload).ok()?;
        let event = match kind {
            Kind::SessionStart => Reported::Session {
                source: payload.why?,
            },
            Kind::Prompt => Reported::Prompt {
                prompt: payload.text?,
            },
            Kind::Permission => Reported::Permission {
                command: payload.run?,
                reason: payload.because,
            },
            Kind::Stop => Reported::Stop {
                message: payload.answer,
            },
        };
        Some(Report {
            session: payload.session_id,
            turn_id: payload.n.map(|n| n.to_string()),
            agent_id: None,
            transcript: Some(payload.talk),
            cwd: Some(payload.folder),
            event,
        })
    }

    fn reader(&self) -> Box<dyn TranscriptReader> {
        Box::new(EachLine(line))
    }

    fn sub_agent_transcripts(&self, _own: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    fn decision(&self, _payload: &[u8], decision: &Decision) -> Option<String> {
        match decision {
            Decision::Allow => Some("yes\n".to_owned()),
            Decision::Deny { message } => Some(format!("no: {message}\n")),
            Decision::Answers(_) | Decision::Pass => None,
        }
    }

    fn exit_command(&self) -> Option<&'static str> {
        Some(EXIT_COMMAND)
    }

    fn leftovers(&self) -> &'static [&'static str] {
        &[".plain-lock"]
    }

    fn repository_settings(&self) -> &'static [&'static str] {
        &[]
    }
}

/// The meaning of a line of its transcript.
fn line(line: &str) -> Option<Line> {
    let (word, rest) = line.trim_end().split_once(' ')?;
    let (id, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    match (word, rest.split_once(' ').unwrap_or((rest, ""))) {
        ("talk", ("plain", version)) => Some(Line::Session {
            id: id.to_owned(),
            parent: None,
            name: None,
            version: Some(version.to_owned()),
        }),
        ("turn", ("begins", "")) => Some(Line::TurnStarted {
            turn_id: id.to_owned(),
        }),
        ("turn", ("ends:", message)) => Some(Line::TurnCompleted {
            turn_id: id.to_owned(),
            message: serde_json::from_str(message).ok()?,
        }),
        ("turn", ("fails:", error)) => Some(Line::TurnFailed {
            turn_id: id.to_owned(),
            error: turn_error(error),
        }),
        ("said", ("", "")) => Some(Line::Said {
            phase: Phase::Unknown,
        }),
        ("run", _) => Some(Line::Called {
            command: Some((id.to_owned(), serde_json::from_str(rest).ok()?)),
        }),
        ("ran", ("", "")) => returned(id, None),
        ("refused", _) => returned(id, Some(serde_json::from_str(rest).ok()?)),
        _ => None,
    }
}

/// The program on this machine.
#[derive(Debug)]
struct Program {
    path: PathBuf,
    version: String,
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
        self.version == KNOWN_VERSION
    }

    async fn query_access(&self, _options: &Options, place: Place<'_>) -> Result<Access, Refusal> {
        if query(&self.path, "--check", place).await?.status.success() {
            Ok(Access::default())
        } else {
            let message = "the scripted agent is not signed in";
            Err(refusal(Trouble::SignedOut, message))
        }
    }

    fn command_line(&self, launch: &Launch<'_>) -> CommandLine {
        let options = launch.options;
        let mut argv = vec![self.path.to_string_lossy().into_owned()];
        argv.extend(["--in".to_owned(), launch.directory.to_string_lossy().into()]);
        if options.trust == TrustPolicy::Accept {
            argv.push("--trust".to_owned());
        }
        if options.ask == Ask::Never {
            argv.push("--never-ask".to_owned());
        }
        argv.extend(
            options
                .model
                .iter()
                .flat_map(|model| ["--model".to_owned(), model.clone()]),
        );
        for kind in Kind::ALL {
            let command = launch
                .hooks
                .helper
                .hook(kind, launch.hooks.signals, "scripted");
            argv.extend(["--tell".to_owned(), format!("{}={command}", told(kind))]);
        }
        let recorded = argv.clone();
        argv.extend_from_slice(&options.arguments);
        CommandLine { argv, recorded }
    }

    fn forget(&self, _state: &Path) {}
}

/// The program's name of an event.
fn told(kind: Kind) -> &'static str {
    match kind {
        Kind::SessionStart => "opened",
        Kind::Prompt => "asked",
        Kind::Permission => "wants",
        Kind::Stop => "answered",
    }
}

/// The payload of an event.
#[derive(Deserialize)]
struct Payload {
    session_id: String,
    talk: PathBuf,
    folder: PathBuf,
    n: Option<u64>,
    why: Option<String>,
    text: Option<String>,
    run: Option<String>,
    because: Option<String>,
    answer: Option<String>,
}

async fn query(path: &Path, question: &str, place: Place<'_>) -> Result<Said, Refusal> {
    let words = [question];
    let asked = query::ask(path, &words, place.environment, place.directory);
    asked.await.map_err(|why| {
        let message = format!("{} {question}: {why}", path.display());
        refusal(Trouble::Unusable, message)
    })
}

fn refusal(trouble: Trouble, message: impl Into<String>) -> Refusal {
    Refusal {
        trouble,
        message: message.into(),
        hint: Scripted.remedy(trouble),
    }
}

fn returned(call: &str, refused: Option<String>) -> Option<Line> {
    Some(Line::Returned {
        call: call.to_owned(),
        running: None,
        refused,
        made: None,
    })
}

/// `503 too busy`.
fn turn_error(text: &str) -> Option<TurnError> {
    let (status, message) = text.trim_end().split_once(' ')?;
    Some(TurnError {
        http_status: Some(status.parse().ok()?),
        ..TurnError::new(message)
    })
}

/// A text as the composer shows it.
fn shown(text: &str) -> String {
    let characters = text.chars().count();
    if characters <= SHOWN_WHOLE && !text.contains('\n') {
        return text.trim().to_owned();
    }
    let sum = text.bytes().fold(0_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    format!("({characters} characters, {sum:08x})")
}

fn ready(holds: Holds) -> ScreenState {
    ScreenState::Ready { holds }
}

/// The dialog whose last row is `mark`; `[y/N]` and `[Y/n]` have the chosen answer as a capital, Tab chooses the other one.
fn dialog(rows: &[&str], mark: &str, trust: TrustPolicy, screen: &str) -> ShownDialog {
    let key = match mark {
        "[y/N]" => Some(Key::Tab),
        "[Y/n]" => Some(Key::Enter),
        _ => None,
    };
    let text = |prefix: &str| rows.iter().rev().find_map(|row| row.strip_prefix(prefix));
    let command = text("Run ").and_then(|row| serde_json::from_str(row.strip_suffix('?')?).ok());
    let (name, advice) = match (mark, key, command) {
        ("[code]", ..) => ("sign_in", Advice::SignIn),
        (_, Some(allow), Some(command)) => {
            let reason = text("Because ").map(str::to_owned);
            (
                "approval",
                Advice::Approval {
                    command,
                    reason,
                    allow,
                },
            )
        }
        (_, Some(key), None) if text("Work in ").is_some() => match trust {
            TrustPolicy::Accept => ("folder", Advice::Press(key)),
            TrustPolicy::Ask => ("folder", Advice::Surface("the caller decides about trust")),
        },
        _ => ("unknown", Advice::Surface("it is not known")),
    };
    ShownDialog {
        name,
        dialog_state: rows[rows.len() - 2..].join("\n"),
        advice,
        screen: screen.to_owned(),
    }
}
