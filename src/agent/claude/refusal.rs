//! Why no run of Claude Code can start, with what to do about it.

use crate::agent::executor::{Refusal, Trouble};

const SIGN_IN: &str = "run `claude auth login` (Claude account), or set ANTHROPIC_API_KEY";

/// A refusal with Claude Code's remedy.
pub(super) fn refusal(trouble: Trouble, message: impl Into<String>) -> Refusal {
    Refusal {
        trouble,
        message: message.into(),
        hint: remedy(trouble),
    }
}

/// What to do about it.
pub(super) fn remedy(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Missing => {
            "install it: `npm install -g @anthropic-ai/claude-code`, or name it with --program"
        }
        Trouble::Unusable => "run it once by hand; --program names another one",
        Trouble::Home => "fix CLAUDE_CONFIG_DIR, or unset it to use ~/.claude",
        Trouble::Configuration => "fix or remove what the message names",
        Trouble::Restricted => "see the message: the setting takes precedence over a run's own",
        Trouble::Credentials | Trouble::Rejected => {
            "sign in again with `claude auth login`, or check the key"
        }
        Trouble::SignedOut | Trouble::KeyMissing => SIGN_IN,
        Trouble::Limits => "raise the limit that the message names",
        Trouble::Dialog => {
            "start claude once by hand in the repository and answer it, or see its screen in `pending`"
        }
        Trouble::PromptBlocked => "change the task, or the UserPromptSubmit hook in your settings",
        Trouble::WrongDirectory => {
            "a wrapper around claude must not change the directory: name the program itself with --program"
        }
        Trouble::EndedAtStart => {
            "fix what it names; claude says the same when it is started by hand"
        }
    }
}
