//! How codex names a hook's event, runs its command and remembers that a person trusts it.

use std::path::Path;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::agent::signals::Kind;

/// Seconds that codex gives a hook whose entry names no timeout.
///
/// Source: codex 0.130.0, 0.150.0, 0.169.0, `timeoutSec` of `hooks/list`.
pub const DEFAULT_TIMEOUT_SECS: u64 = 600;

/// The names that codex gives to one event.
///
/// Source: codex 0.130.0, 0.150.0, 0.169.0, `hooks/list`; `tests/agent/global_hooks.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventNames {
    /// In `hooks.json`, in `-c hooks=…` and in payloads: `UserPromptSubmit`.
    pub configured: &'static str,
    /// In the keys of trusted hooks and in what is hashed: `user_prompt_submit`.
    pub trusted: &'static str,
    /// In `hooks/list`: `userPromptSubmit`.
    pub listed: &'static str,
}

/// The event of codex for which a hook binary of ours is meant.
pub const fn event_names(kind: Kind) -> EventNames {
    let (configured, trusted, listed) = match kind {
        Kind::SessionStart => ("SessionStart", "session_start", "sessionStart"),
        Kind::Prompt => ("UserPromptSubmit", "user_prompt_submit", "userPromptSubmit"),
        Kind::Stop => ("Stop", "stop", "stop"),
        Kind::Permission => (
            "PermissionRequest",
            "permission_request",
            "permissionRequest",
        ),
    };
    EventNames {
        configured,
        trusted,
        listed,
    }
}

/// The hash under which codex trusts a command hook that has no matcher: `sha256:` and 64 hex digits.
///
/// `event` is in snake case, `command` exactly as configured, `timeout_secs` the effective timeout.
///
/// Source: codex 0.130.0, 0.150.0, 0.169.0, `currentHash` of `hooks/list`; `tests/agent/global_hooks.rs`.
pub fn trusted_hash(event: &str, command: &str, timeout_secs: u64) -> String {
    // Codex hashes the compact text with sorted keys; the keys stand here in that order.
    let identity = json!({
        "event_name": event,
        "hooks": [{"async": false, "command": command, "timeout": timeout_secs, "type": "command"}],
    });
    let digest = Sha256::digest(identity.to_string().as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The command line by which codex's shell runs this program without arguments; `None` for a path that is not UTF-8.
///
/// Source: codex 0.169.0 runs `$SHELL -lc "<command>"`.
pub fn shell_command(program: &Path) -> Option<String> {
    let program = program.to_str()?;
    if !program.is_empty() && program.chars().all(is_plain) {
        return Some(program.to_owned());
    }
    Some(format!("'{}'", program.replace('\'', r"'\''")))
}

/// The program of a command line that [`shell_command`] may have written; `None` for one with arguments or any other syntax.
pub(crate) fn shell_program(command: &str) -> Option<String> {
    let mut program = String::new();
    let mut rest = command;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '\'' => {
                let (quoted, after) = rest.split_once('\'')?;
                program.push_str(quoted);
                rest = after;
            }
            '\\' => {
                rest = rest.strip_prefix('\'')?;
                program.push('\'');
            }
            plain if is_plain(plain) => program.push(plain),
            _ => return None,
        }
    }
    Some(program)
}

/// Whether no shell gives the character a meaning, anywhere in a word.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(character, '/' | '.' | '_' | '-' | '+' | ',' | '@')
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_hash_is_the_one_that_codex_lists() {
        // From `hooks/list` of codex 0.130.0, 0.150.0 and 0.169.0 alike.
        assert_eq!(
            trusted_hash("stop", "/a b/x", DEFAULT_TIMEOUT_SECS),
            "sha256:c3c1a6f787780b2d133d14c8421c4cbfaa3e3f3d0e4fbe9a262070baace05eee"
        );
        assert_eq!(
            trusted_hash("session_start", "/x/start", 10),
            "sha256:f133dad997e2260006e6df4537d5f2c74e83dad3fb2666fb26a7a615d6e089aa"
        );
        assert_eq!(
            trusted_hash("user_prompt_submit", "/x/p \"q\" é", DEFAULT_TIMEOUT_SECS),
            "sha256:e646e7d65d76b6a24cacdb9462b7a77b3048ad1fe5d1351512a137734a27df67"
        );
    }

    #[test]
    fn a_plain_path_stays_readable() {
        let path = Path::new("/usr/local/bin/cx-stop-hook");
        assert_eq!(
            shell_command(path).as_deref(),
            Some("/usr/local/bin/cx-stop-hook")
        );
    }

    #[test]
    fn a_command_with_more_than_a_program_is_not_ours() {
        for command in [
            "/x/cx-stop-hook /dir",
            "/x/cx-stop-hook;true",
            "X=1 /x/cx-stop-hook",
            "\"/x/cx-stop-hook\"",
            "$HOME/cx-stop-hook",
            "~/cx-stop-hook",
            "'/x/cx-stop-hook",
            "/x/cx-stop-hook\\",
        ] {
            assert_eq!(shell_program(command), None, "{command}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_shell_sees_the_program(program in "[^\0]{1,30}") {
            let command = shell_command(Path::new(&program)).expect("UTF-8");
            prop_assert_eq!(shell_program(&command), Some(program.clone()));
            let output = Command::new("sh")
                .args(["-c", &format!("printf %s {command}")])
                .output()
                .expect("a shell");
            prop_assert_eq!(output.stdout, program.into_bytes());
        }
    }
}
