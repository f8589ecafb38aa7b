//! The command line: the part of codex's that a driver uses, refused in clap's words otherwise.
//!
//! Source: `codex --help`, `codex --bogus`, `codex -s bad`, `codex login status` of 0.169.0.

use std::path::PathBuf;

const USAGE: &str = "Usage: codex [OPTIONS] [PROMPT]\n       codex [OPTIONS] <COMMAND> [ARGS]";
const SANDBOX_MODES: [&str; 3] = ["read-only", "workspace-write", "danger-full-access"];
const APPROVAL_POLICIES: [&str; 2] = ["on-request", "never"];

/// What the command line asks for.
pub(crate) enum Command {
    /// Text on stdout.
    Print { text: String, status: u8 },
    /// Text on stderr.
    Refuse { text: String, status: u8 },
    /// The interactive program.
    Interact(Box<Args>),
}

/// Options of the interactive program.
#[derive(Default)]
pub(crate) struct Args {
    /// `-c key=value`, in order, split at the first `=`.
    pub(crate) overrides: Vec<(String, String)>,
    pub(crate) model: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) sandbox: Option<String>,
    pub(crate) approval: Option<String>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) prompt: Option<String>,
}

/// An option that takes a value: its two spellings and clap's name for it.
struct Valued {
    short: &'static str,
    long: &'static str,
    usage: &'static str,
}

const VALUED: [Valued; 7] = [
    Valued {
        short: "-c",
        long: "--config",
        usage: "--config <key=value>",
    },
    Valued {
        short: "-m",
        long: "--model",
        usage: "--model <MODEL>",
    },
    Valued {
        short: "-p",
        long: "--profile",
        usage: "--profile <CONFIG_PROFILE_V2>",
    },
    Valued {
        short: "-s",
        long: "--sandbox",
        usage: "--sandbox <SANDBOX_MODE>",
    },
    Valued {
        short: "-a",
        long: "--ask-for-approval",
        usage: "--ask-for-approval <APPROVAL_POLICY>",
    },
    Valued {
        short: "-C",
        long: "--cd",
        usage: "--cd <DIR>",
    },
    Valued {
        short: "",
        long: "--add-dir",
        usage: "--add-dir <DIR>",
    },
];

/// Version this program claims: `CX_SCRIPT_VERSION`, else 0.169.0.
pub(crate) fn version() -> String {
    std::env::var("CX_SCRIPT_VERSION").unwrap_or_else(|_| "0.169.0".to_owned())
}

/// Parses the arguments without the program's name.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Command {
    let arguments: Vec<String> = arguments.collect();
    if arguments.iter().map(String::as_str).eq(["login", "status"]) {
        return login_status();
    }
    if arguments.last().is_some_and(|last| last == "app-server") {
        return refuse(&format!(
            "error: unrecognized subcommand 'app-server'\n\n{USAGE}"
        ));
    }
    let mut args = Args::default();
    let mut rest = arguments.into_iter();
    let mut options_ended = false;
    while let Some(argument) = rest.next() {
        if options_ended || !argument.starts_with('-') || argument == "-" {
            if args.prompt.is_some() {
                return refuse(&format!(
                    "error: unexpected argument '{argument}' found\n\n{USAGE}"
                ));
            }
            args.prompt = Some(argument);
            continue;
        }
        match argument.as_str() {
            "--" => options_ended = true,
            "-V" | "--version" => {
                return Command::Print {
                    text: format!("codex-cli {}", version()),
                    status: 0,
                };
            }
            "-h" | "--help" => {
                return Command::Print {
                    text: help(),
                    status: 0,
                };
            }
            "--no-daemon" | "--no-alt-screen" | "--search" => {}
            _ => {
                if let Err(refusal) = valued(&mut args, &argument, &mut rest) {
                    return refusal;
                }
            }
        }
    }
    Command::Interact(Box::new(args))
}

/// Stores the value of an option that takes one: `-c v`, `-cv`, `--config v` and `--config=v`.
fn valued(
    args: &mut Args,
    argument: &str,
    rest: &mut impl Iterator<Item = String>,
) -> Result<(), Command> {
    let (name, inline) = match argument.split_once('=') {
        Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
        _ if !argument.starts_with("--") && argument.len() > 2 && argument.is_char_boundary(2) => {
            (&argument[..2], Some(argument[2..].to_owned()))
        }
        _ => (argument, None),
    };
    let Some(option) = VALUED
        .iter()
        .find(|option| option.short == name || option.long == name)
    else {
        return Err(refuse(&format!(
            "error: unexpected argument '{argument}' found\n\n  tip: to pass '{argument}' as a value, use '-- {argument}'\n\n{USAGE}"
        )));
    };
    let Some(value) = inline.or_else(|| rest.next()) else {
        return Err(refuse(&format!(
            "error: a value is required for '{}' but none was supplied",
            option.usage
        )));
    };
    match option.long {
        "--config" => match value.split_once('=') {
            Some((key, value)) => args.overrides.push((key.to_owned(), value.to_owned())),
            None => {
                let text =
                    format!("Error parsing -c overrides: Invalid override (missing '='): {value}");
                return Err(Command::Refuse { text, status: 1 });
            }
        },
        "--model" => args.model = Some(value),
        "--profile" => args.profile = Some(value),
        "--sandbox" => args.sandbox = Some(one_of(option, value, &SANDBOX_MODES)?),
        "--ask-for-approval" => args.approval = Some(one_of(option, value, &APPROVAL_POLICIES)?),
        "--cd" => args.cwd = Some(value.into()),
        _ => {}
    }
    Ok(())
}

/// Accepts a value that is in the list of possible ones.
fn one_of(option: &Valued, value: String, possible: &[&str]) -> Result<String, Command> {
    if possible.contains(&value.as_str()) {
        return Ok(value);
    }
    let possible = possible.join(", ");
    Err(refuse(&format!(
        "error: invalid value '{value}' for '{}'\n  [possible values: {possible}]",
        option.usage
    )))
}

/// A refusal of the command line, as clap ends one.
fn refuse(text: &str) -> Command {
    Command::Refuse {
        text: format!("{text}\n\nFor more information, try '--help'."),
        status: 2,
    }
}

/// `codex login status`: only `auth.json` counts; a provider of the user's own with an `env_key` is "not logged in" and works all the same.
fn login_status() -> Command {
    let auth = crate::config::codex_home().join("auth.json");
    let has_key = std::fs::read(auth)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
        .is_some_and(|auth| auth["OPENAI_API_KEY"].is_string());
    if has_key {
        let text =
            "API key configured - sk-*****\nAuthentication is checked when you send a request."
                .to_owned();
        return Command::Refuse { text, status: 0 };
    }
    Command::Refuse {
        text: "Not logged in".to_owned(),
        status: 1,
    }
}

/// The part of codex's `--help` that a driver reads before it uses a flag.
fn help() -> String {
    let mut text = format!(
        "Codex CLI\n\n{USAGE}\n\nArguments:\n  [PROMPT]\n          Optional user prompt to start the session\n\nOptions:\n"
    );
    for option in &VALUED {
        let short = if option.short.is_empty() {
            "    ".to_owned()
        } else {
            format!("{}, ", option.short)
        };
        text += &format!("  {short}{}\n", option.usage);
    }
    text += &format!(
        "          [possible values: {}]\n",
        SANDBOX_MODES.join(", ")
    );
    for flag in ["--search", "--no-alt-screen", "--no-daemon"] {
        text += &format!("      {flag}\n");
    }
    text + "  -h, --help\n          Print help\n\n  -V, --version\n          Print version"
}
