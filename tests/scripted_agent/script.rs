//! Scripts: one instruction per line, `verb arguments`, run in order. A line that starts with `#` is a comment; in a TEXT `\n` is a
//! line feed and `\\` a backslash.
//!
//! | instruction | effect |
//! |---|---|
//! | `show NAME` | draws a dialog: `directory-trust`, `hook-review`, `model-offer`, `update`, `sign-in`, `unknown TITLE` |
//! | `show-file PATH` | draws a file's content |
//! | `expect-keys KEY…` | exactly these keys must come: `Enter Down Up Esc C-c` or characters |
//! | `await-file PATH` | waits until a file exists |
//! | `expect-prompt TEXT` or `*` | a bracketed paste of the text and Enter must come; begins a turn; a dialog is answered first |
//! | `strand-enter N`, `drop-paste` | arms a fault |
//! | `hook start\|prompt\|stop\|permission\|end\|interrupt [JSON]` | runs those hooks, with these fields replaced |
//! | `hook-raw start\|… TEXT` | runs those hooks with the text on stdin |
//! | `session new` | another session id, another transcript |
//! | `foreign-stop` | a stop of a session that isn't ours, through our hooks |
//! | `transcript JSON` | appends a line `{"type", "payload"}` |
//! | `say TEXT`, `fail STATUS`, `abort` | end the turn: by a message, by a failed request, as Esc does |
//! | `ask-permission CMD` | asks for and runs a command; ends the turn when it is cancelled |
//! | `write PATH TEXT`, `exec CMD` | writes a file, runs a command that must succeed |
//! | `hang` | reads keys and does nothing |
//! | `die SIGNAL`, `exit STATUS` | ends the program |
//! | `sleep MS` | simulates latency |
//! | `work-until PATH` | draws its working row anew, five times a second, until a file exists |
//! | `default` | from here on the directives decide; without it nothing may be submitted after the last line |

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::end::End;

/// A dialog a script can show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    DirectoryTrust,
    HookReview,
    ModelOffer,
    Update,
    SignIn,
    Unknown(String),
    File(PathBuf),
}

/// One instruction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Show(Shown),
    ExpectKeys(Vec<String>),
    AwaitFile(PathBuf),
    ExpectPrompt(Option<String>),
    StrandEnter(u32),
    DropPaste,
    Hook {
        event: &'static str,
        overrides: Map<String, Value>,
    },
    HookRaw {
        event: &'static str,
        text: String,
    },
    SessionNew,
    ForeignStop,
    Transcript {
        kind: String,
        payload: Value,
    },
    Say(String),
    Fail(u16),
    Abort,
    AskPermission(String),
    Write {
        path: PathBuf,
        text: String,
    },
    Exec(String),
    Hang,
    Die(i32),
    Exit(u8),
    Sleep(Duration),
    WorkUntil(PathBuf),
    Default,
}

/// Loads the script that `CX_SCRIPT` names; `None` without one.
pub(crate) fn load() -> Result<Option<Vec<Step>>, End> {
    let Some(path) = std::env::var_os("CX_SCRIPT") else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(&path).map_err(End::io(&path))?;
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(index, line)| {
            parse(line.trim()).map_err(|reason| End::Script {
                line: index + 1,
                reason,
            })
        })
        .collect::<Result<_, _>>()
        .map(Some)
}

/// Parses one instruction.
fn parse(line: &str) -> Result<Step, String> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    let step = match verb {
        "show" => Step::Show(parse_shown(rest)?),
        "show-file" => Step::Show(Shown::File(required(rest)?.into())),
        "expect-keys" => Step::ExpectKeys(
            required(rest)?
                .split_whitespace()
                .map(parse_key)
                .collect::<Result<_, _>>()?,
        ),
        "await-file" => Step::AwaitFile(required(rest)?.into()),
        "expect-prompt" => Step::ExpectPrompt((required(rest)? != "*").then(|| unescape(rest))),
        "strand-enter" => Step::StrandEnter(number(rest)?),
        "drop-paste" => bare(rest, Step::DropPaste)?,
        "hook" => parse_hook(rest)?,
        "hook-raw" => {
            let (event, text) = rest.split_once(' ').unwrap_or((rest, ""));
            Step::HookRaw {
                event: parse_event(event)?,
                text: unescape(text),
            }
        }
        "session" if rest == "new" => Step::SessionNew,
        "foreign-stop" => bare(rest, Step::ForeignStop)?,
        "transcript" => parse_transcript(rest)?,
        "say" => Step::Say(unescape(required(rest)?)),
        "fail" => Step::Fail(number(rest)?),
        "abort" => bare(rest, Step::Abort)?,
        "ask-permission" => Step::AskPermission(required(rest)?.to_owned()),
        "write" => {
            let (path, text) = rest
                .split_once(' ')
                .ok_or("write needs a path and a text")?;
            Step::Write {
                path: path.into(),
                text: unescape(text),
            }
        }
        "exec" => Step::Exec(required(rest)?.to_owned()),
        "hang" => bare(rest, Step::Hang)?,
        "die" => Step::Die(number(rest)?),
        "exit" => Step::Exit(number(rest)?),
        "sleep" => Step::Sleep(Duration::from_millis(number(rest)?)),
        "work-until" => Step::WorkUntil(required(rest)?.into()),
        "default" => bare(rest, Step::Default)?,
        _ => return Err(format!("unknown instruction '{line}'")),
    };
    Ok(step)
}

fn parse_shown(rest: &str) -> Result<Shown, String> {
    match rest.split_once(' ').unwrap_or((rest, "")) {
        ("directory-trust", "") => Ok(Shown::DirectoryTrust),
        ("hook-review", "") => Ok(Shown::HookReview),
        ("model-offer", "") => Ok(Shown::ModelOffer),
        ("update", "") => Ok(Shown::Update),
        ("sign-in", "") => Ok(Shown::SignIn),
        ("unknown", title) if !title.is_empty() => Ok(Shown::Unknown(title.to_owned())),
        _ => Err(format!("unknown dialog '{rest}'")),
    }
}

fn parse_key(name: &str) -> Result<String, String> {
    let known = matches!(name, "Enter" | "Down" | "Up" | "Esc" | "Backspace" | "C-c")
        || name.chars().count() == 1;
    known
        .then(|| name.to_owned())
        .ok_or_else(|| format!("unknown key '{name}'"))
}

fn parse_event(name: &str) -> Result<&'static str, String> {
    match name {
        "start" => Ok("SessionStart"),
        "prompt" => Ok("UserPromptSubmit"),
        "stop" => Ok("Stop"),
        "permission" => Ok("PermissionRequest"),
        "end" => Ok("SessionEnd"),
        "interrupt" => Ok("Interrupt"),
        _ => Err(format!("unknown hook '{name}'")),
    }
}

fn parse_hook(rest: &str) -> Result<Step, String> {
    let (event, overrides) = rest.split_once(' ').unwrap_or((rest, "{}"));
    let overrides =
        serde_json::from_str(overrides).map_err(|error| format!("overrides of a hook: {error}"))?;
    Ok(Step::Hook {
        event: parse_event(event)?,
        overrides,
    })
}

fn parse_transcript(rest: &str) -> Result<Step, String> {
    let line: Value =
        serde_json::from_str(rest).map_err(|error| format!("transcript line: {error}"))?;
    let kind = line["type"]
        .as_str()
        .ok_or("a transcript line needs a type")?
        .to_owned();
    Ok(Step::Transcript {
        kind,
        payload: line["payload"].clone(),
    })
}

fn required(rest: &str) -> Result<&str, String> {
    if rest.is_empty() {
        Err("an argument is missing".to_owned())
    } else {
        Ok(rest)
    }
}

fn bare(rest: &str, step: Step) -> Result<Step, String> {
    if rest.is_empty() {
        Ok(step)
    } else {
        Err(format!("unexpected argument '{rest}'"))
    }
}

fn number<N: std::str::FromStr>(rest: &str) -> Result<N, String> {
    rest.parse()
        .map_err(|_| format!("'{rest}' is not a number that fits"))
}

/// Replaces `\n` and `\\`.
fn unescape(text: &str) -> String {
    text.split("\\\\")
        .map(|part| part.replace("\\n", "\n"))
        .collect::<Vec<_>>()
        .join("\\")
}
