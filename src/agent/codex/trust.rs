//! How codex names a hook's event and remembers that a person trusts it.

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

/// The names of the event before each call of a tool.
///
/// Source: codex 0.169.0, `tests/scenarios/policies.rs`.
pub const BEFORE_TOOL: EventNames = EventNames {
    configured: "PreToolUse",
    trusted: "pre_tool_use",
    listed: "preToolUse",
};

/// The event of codex for which a hook of ours is meant.
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
    // Codex hashes the compact text with sorted keys; the keys are here in that order.
    let identity = json!({
        "event_name": event,
        "hooks": [{"async": false, "command": command, "timeout": timeout_secs, "type": "command"}],
    });
    let digest = Sha256::digest(identity.to_string().as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests {
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
}
