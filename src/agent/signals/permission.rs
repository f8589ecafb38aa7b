//! The answer to a permission that the agent asks for.
//!
//! The operator states a [`Policy`] before the agent starts; with [`Policy::Wait`] it answers each permission by a file.
//! A missing, late or malformed answer is no answer: the agent then shows its dialog.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use super::changes::Changes;
use super::{Kind, SignalFile, session_part, store};

/// Name of the file with the [`Policy`] of a signal directory.
pub const POLICY_NAME: &str = "permission-policy";

/// The longest message of a denial.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// The longest wait for a decision: a week, the most that a person is given, and a day.
pub const MAX_WAIT: Duration = Duration::from_secs(8 * 24 * 3600);

/// The permission hook's answer to every permission of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Leaves it to the agent's dialog.
    Ask,
    /// Grants it.
    Allow,
    /// Refuses it; the agent continues its turn.
    Deny {
        /// The message for the agent; may be empty.
        message: String,
    },
    /// Waits for a [`Decision`] by the operator. The agent has a limit of its own for a hook, in codex 600 s unless the hook's
    /// entry names another.
    Wait {
        /// For how long, in whole seconds and at most [`MAX_WAIT`]; afterwards the dialog has it.
        limit: Duration,
    },
}

/// The decision on one permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Grants it.
    Allow,
    /// Refuses it; the agent continues its turn.
    Deny {
        /// The message for the agent; may be empty.
        message: String,
    },
    /// Answers a form: one text for each of its questions.
    Answers(Vec<String>),
    /// Leaves it to the agent's dialog.
    Pass,
}

/// `allow`, `deny <message>`, `answers <JSON array>` or `pass`; the message to the end of the text, newlines included.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decision::Allow => f.write_str("allow"),
            Decision::Deny { message } => write!(f, "deny {message}"),
            Decision::Answers(answers) => write!(f, "answers {}", serde_json::json!(answers)),
            Decision::Pass => f.write_str("pass"),
        }
    }
}

/// `ask`, `allow`, `deny <message>` or `wait <seconds>`.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Policy::Ask => f.write_str("ask"),
            Policy::Allow => f.write_str("allow"),
            Policy::Deny { message } => write!(f, "deny {message}"),
            Policy::Wait { limit } => write!(f, "wait {}", limit.as_secs()),
        }
    }
}

/// Parses a decision; anything else passes.
fn parse_decision(text: &str) -> Decision {
    match text {
        "allow" => Decision::Allow,
        "deny" => Decision::Deny {
            message: String::new(),
        },
        _ => match text.split_once(' ') {
            Some(("deny", message)) => Decision::Deny {
                message: message.to_owned(),
            },
            Some(("answers", answers)) => {
                serde_json::from_str(answers).map_or(Decision::Pass, Decision::Answers)
            }
            _ => Decision::Pass,
        },
    }
}

/// Parses a policy; anything else asks.
fn parse_policy(text: &str) -> Policy {
    if let Some(seconds) = text.strip_prefix("wait ") {
        return match seconds.parse() {
            Ok(seconds) => Policy::Wait {
                limit: Duration::from_secs(seconds).min(MAX_WAIT),
            },
            Err(_) => Policy::Ask,
        };
    }
    match parse_decision(text) {
        Decision::Allow => Policy::Allow,
        Decision::Deny { message } => Policy::Deny { message },
        Decision::Answers(_) | Decision::Pass => Policy::Ask,
    }
}

/// Writes the policy of a signal directory; to be done before the agent starts.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for a message above [`MAX_MESSAGE_BYTES`]; else whatever the atomic write meets.
pub fn write_policy(dir: &Path, policy: &Policy) -> io::Result<()> {
    write_line(dir, POLICY_NAME, &policy.to_string())
}

/// Reads the policy of a signal directory; [`Policy::Ask`] if it is missing or invalid.
pub fn load_policy(dir: &Path) -> Policy {
    load_line(&dir.join(POLICY_NAME)).map_or(Policy::Ask, |text| parse_policy(&text))
}

/// The name of the file with the decision on a permission: `decision-<uuid>-<seq>`.
pub fn decision_name(asked: &SignalFile) -> String {
    let session = session_part(asked.session.as_deref());
    format!("decision-{session}-{}", asked.seq)
}

/// Answers a permission for which a hook waits.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for a message above [`MAX_MESSAGE_BYTES`]; else whatever the atomic write meets.
pub fn write_decision(dir: &Path, asked: &SignalFile, decision: &Decision) -> io::Result<()> {
    write_line(dir, &decision_name(asked), &decision.to_string())
}

/// Leaves undecided permissions, and all later ones, to the agent's dialog.
///
/// # Errors
/// Whatever the listing or an atomic write meets.
pub fn pass_undecided(dir: &Path) -> io::Result<()> {
    write_policy(dir, &Policy::Ask)?;
    super::Standing::release(dir)?;
    for asked in super::list(dir)? {
        if asked.kind == Kind::Permission && !dir.join(decision_name(&asked)).exists() {
            write_decision(dir, &asked, &Decision::Pass)?;
        }
    }
    Ok(())
}

/// See [`Target::decide`](super::Target::decide), which says in which directories.
pub(super) fn decide(dir: &Path, asked: &SignalFile, is_form: bool) -> Decision {
    if asked.session.is_none() {
        return Decision::Pass;
    }
    let decision = dir.join(decision_name(asked));
    match load_policy(dir) {
        Policy::Ask => Decision::Pass,
        Policy::Allow | Policy::Deny { .. } if is_form => wait_decision(&decision, MAX_WAIT),
        Policy::Allow => Decision::Allow,
        Policy::Deny { message } => Decision::Deny { message },
        Policy::Wait { limit } => wait_decision(&decision, limit),
    }
}

fn wait_decision(path: &Path, limit: Duration) -> Decision {
    let started = Instant::now();
    let changes = Changes::of(path.parent().unwrap_or(path));
    loop {
        // Read the clock first: a decision written in the last interval still counts.
        let late = started.elapsed() >= limit;
        if let Some(text) = load_line(path) {
            return parse_decision(&text);
        }
        if late {
            return Decision::Pass;
        }
        changes.wait(limit.saturating_sub(started.elapsed()));
    }
}

fn write_line(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let line = format!("{text}\n");
    if line.len() > MAX_LINE_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the message of a denial is too long",
        ));
    }
    store::write_atomic(dir, name, line.as_bytes())
}

const MAX_LINE_BYTES: usize = MAX_MESSAGE_BYTES + "deny \n".len();

/// Reads a small regular file without its last newline; `None` for anything else, also for a pipe, which could block.
fn load_line(path: &Path) -> Option<String> {
    let metadata = fs::symlink_metadata(path).ok()?;
    if !metadata.is_file() {
        return None;
    }
    let mut text = String::new();
    let limit = MAX_LINE_BYTES + 1;
    File::open(path)
        .ok()?
        .take(limit as u64)
        .read_to_string(&mut text)
        .ok()?;
    if text.len() == limit {
        return None;
    }
    if text.ends_with('\n') {
        text.pop();
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_a_policy_asks() {
        for text in [
            "",
            "ask",
            "Allow",
            "allow ",
            " allow",
            "allow\n",
            "denyx",
            "wait",
            "wait x",
            "wait -1",
            "wait 1.5",
            "pass",
            "allow\nallow",
        ] {
            assert_eq!(parse_policy(text), Policy::Ask, "{text:?}");
        }
        assert_eq!(
            parse_policy("wait 864000"),
            Policy::Wait { limit: MAX_WAIT },
            "capped"
        );
        assert_eq!(parse_decision("wait 5"), Decision::Pass);
    }

    #[test]
    fn too_long_a_message_is_an_error_not_another_policy() {
        let dir = tempfile::tempdir().expect("a directory");
        let deny = |bytes| Policy::Deny {
            message: "x".repeat(bytes),
        };
        let longest = deny(MAX_MESSAGE_BYTES);
        write_policy(dir.path(), &longest).expect("as long as is allowed");
        let error = write_policy(dir.path(), &deny(MAX_MESSAGE_BYTES + 1)).expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(load_policy(dir.path()), longest);
    }

    #[test]
    fn a_policy_that_is_no_regular_file_asks() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(load_policy(dir.path()), Policy::Ask);
        let real = dir.path().join("real");
        fs::write(&real, "allow\n").expect("a file");
        std::os::unix::fs::symlink(&real, dir.path().join(POLICY_NAME)).expect("a link");
        assert_eq!(load_policy(dir.path()), Policy::Ask);
    }

    proptest! {
        #[test]
        fn policies_and_decisions_read_back(message in any::<String>(), seconds in 0..=3600_u64) {
            let dir = tempfile::tempdir().expect("a directory");
            let policies = [
                Policy::Ask,
                Policy::Allow,
                Policy::Deny { message: message.clone() },
                Policy::Wait { limit: Duration::from_secs(seconds) },
            ];
            for policy in policies {
                write_policy(dir.path(), &policy).expect("writable");
                prop_assert_eq!(load_policy(dir.path()), policy);
            }
            for decision in [Decision::Allow, Decision::Deny { message }, Decision::Pass] {
                prop_assert_eq!(parse_decision(&decision.to_string()), decision);
            }
        }
    }
}
