//! Which single key answers a dialog.

use super::{Choice, Dialog, DialogKind};
use crate::agent::executor::TrustPolicy;
use crate::tmux::Key;

/// The policy for dialogs without a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DialogPolicy {
    /// The dialog of directory trust; accepting it changes the user's `config.toml` for good.
    pub trust: TrustPolicy,
}

/// The reaction to a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Move {
    /// Press this one key, then wait until the screen differs before anything else is pressed: a second key sent on the
    /// old screen can overtake what is read next. Where nothing has changed after half a second the key was lost (codex
    /// drops what arrives within some 20 ms of drawing a dialog at the start); then look and decide again.
    ///
    /// Source: codex 0.150.0 and 0.169.0: a Down sent as soon as the dialog could be captured was lost in 6 of 10 starts,
    /// 20 ms later in none of 10; 0.130.0 lost none in 2.
    Press(Key),
    /// Nothing has the focus at the moment: look again.
    Wait,
    /// Nobody here may answer. A screen can be caught half drawn: look again once before acting on this.
    Surface(Reason),
    /// codex has no credentials: end the run and tell the user how to sign in. No key is pressed.
    SignIn,
}

/// Why a dialog is surfaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The dialog is not known.
    UnknownDialog,
    /// The caller wants to decide about trust.
    TrustIsAsked,
    /// The agent asks for a permission or for an answer.
    AgentAsks,
    /// The option to take is not there, or not once.
    NoSuchOption,
}

/// Decides the next key: arrows until the wanted option has the focus, Enter only when it has it.
///
/// Digits are never used: on ≥ 0.160 they select at once in one dialog and move the focus in another.
///
/// Source: codex 0.130.0, 0.150.0 and 0.169.0, `tests/agent/real_dialogs.rs`.
pub fn answer(dialog: &Dialog, policy: &DialogPolicy) -> Move {
    match dialog.kind {
        DialogKind::SignIn => Move::SignIn,
        DialogKind::DirectoryTrust => match policy.trust {
            TrustPolicy::Accept => steer(&dialog.options, &["Yes, continue", "Trust and continue"]),
            TrustPolicy::Ask => Move::Surface(Reason::TrustIsAsked),
        },
        DialogKind::HookReview => steer(
            &dialog.options,
            &[
                "Continue without trusting",
                "Continue without trusting (hooks won't run)",
            ],
        ),
        DialogKind::ModelOffer => steer(&dialog.options, &["Use existing model"]),
        // The third option, to keep it and never be asked again, would write to the user's CODEX_HOME.
        DialogKind::RateLimits => steer(&dialog.options, &["Keep current model"]),
        // "Skip until next version" would write to the user's CODEX_HOME.
        DialogKind::Update => steer(&dialog.options, &["Skip"]),
        DialogKind::CommandApproval
        | DialogKind::EditApproval
        | DialogKind::ToolApproval
        | DialogKind::Question => Move::Surface(Reason::AgentAsks),
        DialogKind::Unknown => Move::Surface(Reason::UnknownDialog),
    }
}

/// Decides the next key towards a plain "yes" to an approval, one that allows nothing beyond what is shown.
///
/// Source: codex 0.130.0, 0.150.0 and 0.169.0, `tests/screens`.
pub fn approve(dialog: &Dialog) -> Move {
    steer(
        &dialog.options,
        &["Yes, proceed (y)", "Yes, proceed", "Allow"],
    )
}

/// The next key towards the option whose label is one of these.
fn steer(options: &[Choice], labels: &[&str]) -> Move {
    let is_wanted = |choice: &Choice| labels.contains(&choice.label.as_str());
    let mut wanted = (0..options.len()).filter(|&at| is_wanted(&options[at]));
    let (Some(wanted), None) = (wanted.next(), wanted.next()) else {
        return Move::Surface(Reason::NoSuchOption);
    };
    match options.iter().position(|choice| choice.focused) {
        None => Move::Wait,
        Some(focus) if focus == wanted => Move::Press(Key::Enter),
        Some(focus) if focus < wanted => Move::Press(Key::Down),
        Some(_) => Move::Press(Key::Up),
    }
}
