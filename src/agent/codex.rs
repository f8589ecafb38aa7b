//! OpenAI's codex.
//!
//! | module | knows |
//! |---|---|
//! | [`program`] | where it is, its version and flags, whether it is signed in |
//! | [`setup`] | what it makes of its configuration |
//! | [`launch`] | its command line |
//! | [`trust`] | when it runs a hook without asking |
//! | [`screen`] | what its screens mean and which key answers a dialog |
//! | [`payload`] | what its hooks say |
//! | [`transcript`] | what its transcript says |
//! | [`app_server`] | the hooks as codex itself lists them, its configuration as it reads it |
//! | `requests` | its `app-server` as a partner in conversation |
//! | `exec` | its headless form, `codex exec`, and the stream of its events |
//! | `global_hooks` | its `hooks.json`, for people who want the hooks everywhere |

mod access;
pub mod app_server;
mod call;
mod exec;
mod executor;
mod global_hooks;
pub mod launch;
pub mod payload;
pub mod program;
mod requests;
pub mod screen;
pub mod setup;
pub mod transcript;
pub mod trust;

use std::borrow::Cow;

use serde_json::json;

use crate::agent::executor::{Expected, TrustPolicy};
use crate::agent::screen_state::{Advice, Form, Holds, ScreenState, ShownDialog};
use crate::agent::signals::Decision;
pub use exec::CodexExec;
pub use executor::Codex;
use executor::refusal;
use screen::{Dialog, DialogKind, DialogPolicy, Move, Reason, View};

/// The text that ends codex when it waits for a prompt.
///
/// Source: codex 0.130.0, 0.150.0 and 0.169.0 leave with status 0 within 0.15 s when it is pasted like a prompt. The blank
/// closes the list of commands, which would keep the key to itself.
pub(crate) const EXIT_COMMAND: &str = "/exit ";

/// The entries that its sandbox protects at the top of a worktree. If one is missing, it leaves an empty file as the place that it
/// mounted something over.
///
/// Source: codex 0.125.0.
pub(crate) const MOUNT_POINTS: [&str; 1] = [".codex"];

/// A text that codex takes for a prompt: behind a `!` at the beginning its composer runs a shell command,
/// with no sandbox and no question, and the bare path of an image becomes an attachment, so a line is put in front.
///
/// Source: codex 0.130.0 and 0.150.0 run it behind spaces too; 0.169.0 doesn't. The latter attaches no picture whose name has no
/// such ending (`tests/scenarios/exotic.rs`).
pub(crate) fn as_prompt(text: &str) -> Cow<'_, str> {
    if text.trim_start().starts_with('!') || is_image_path(text) {
        Cow::Owned(format!("Message:\n{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether a text may be nothing but the path of an image: one word, or what begins as a path does, with such an ending.
fn is_image_path(text: &str) -> bool {
    const ENDINGS: [&str; 18] = [
        "png", "jpg", "jpeg", "jpe", "jfif", "gif", "webp", "bmp", "dib", "tif", "tiff", "ico",
        "avif", "heic", "svg", "tga", "ppm", "qoi",
    ];
    let text = text.trim();
    if text.lines().count() > 1 {
        return false;
    }
    let bare = text.trim_matches(['"', '\'', '`', ' ']);
    let ending = bare
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase());
    let is_word = bare.replace("\\ ", "").split_whitespace().count() == 1;
    let begins_as_path = text.starts_with(['/', '~', '.', '"', '\'', '\\']) || text.contains(":/");
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) && (is_word || begins_as_path)
}

/// A prompt as it is pasted, so that codex takes it for nothing but a prompt: its composer obeys a `/` at
/// the beginning, and completes a word after `@` or `$` when the cursor is behind it. The space around
/// is cut off by codex before it tells its prompt hook.
///
/// Source: codex 0.130.0, 0.150.0 and 0.169.0, `tests/scenarios`.
pub(crate) fn as_typed(prompt: &str) -> Cow<'_, str> {
    let obeyed = prompt.starts_with('/');
    let completed = prompt
        .split_whitespace()
        .next_back()
        .is_some_and(|word| word.contains(['@', '$']));
    match (obeyed, completed) {
        (false, false) => Cow::Borrowed(prompt),
        (true, false) => Cow::Owned(format!(" {prompt}")),
        (false, true) => Cow::Owned(format!("{prompt}\n")),
        (true, true) => Cow::Owned(format!(" {prompt}\n")),
    }
}

/// The output of the permission hook.
///
/// Source: codex 0.130.0 to 0.169.0, the `PermissionRequest` hook's stdout.
fn decision_output(decision: &Decision) -> Option<String> {
    let decision = match decision {
        Decision::Allow => json!({"behavior": "allow"}),
        Decision::Deny { message } => json!({"behavior": "deny", "message": message}),
        Decision::Answers(_) | Decision::Pass => return None,
    };
    let event = json!({"hookEventName": "PermissionRequest", "decision": decision});
    Some(json!({"hookSpecificOutput": event}).to_string())
}

/// The meaning of a screen.
fn screen_state(text: &str, expected: Expected<'_>, trust: TrustPolicy) -> ScreenState {
    // tmux 3.3a shows a joiner of the text in another row, between the words of the status row.
    let text = &text.replace('\u{200d}', "");
    let holds_prompt = || screen::composer_holds(text, &as_typed(expected.prompt));
    match screen::read(text) {
        View::Blank | View::Loading | View::Other => ScreenState::Nothing,
        View::Working if screen::awaits_servers(text) && holds_prompt() => ScreenState::Ready {
            holds: Holds::Prompt,
        },
        View::Working => ScreenState::Working {
            holds: match screen::has_empty_composer(text) {
                true => Holds::Nothing,
                false if holds_prompt() => Holds::Prompt,
                false => Holds::Other,
            },
        },
        // Its Stop hooks are running, and some version shows its composer in the meantime.
        View::Composer(_) if expected.is_stopping && screen::runs_hooks(text) => {
            ScreenState::Working {
                holds: Holds::Other,
            }
        }
        View::Composer(composer) => ScreenState::Ready {
            holds: match composer.text {
                None => Holds::Nothing,
                Some(_) if holds_prompt() => Holds::Prompt,
                Some(_) => Holds::Other,
            },
        },
        View::Dialog(dialog) => ScreenState::Dialog(ShownDialog {
            name: dialog.kind.name(),
            dialog_state: dialog_state(&dialog),
            advice: advice(&dialog, expected.form, trust),
            screen: screen::plain(text).into_owned(),
        }),
    }
}

/// The part of a dialog that changes when a key was taken.
fn dialog_state(dialog: &Dialog) -> String {
    // Two approvals in a row differ in their commands only. Other bodies may hold an animation.
    let body = match dialog.kind {
        DialogKind::CommandApproval | DialogKind::EditApproval | DialogKind::ToolApproval => {
            dialog.body.as_str()
        }
        _ => "",
    };
    let options = dialog
        .options
        .iter()
        .map(|option| format!("{}{}{}", option.number, option.focused, option.label));
    let options = options.collect::<Vec<_>>().join("|");
    let (number, notes) = (dialog.number.unwrap_or_default(), &dialog.notes);
    format!("{}|{body}|{options}|{number}|{notes:?}", dialog.title)
}

fn advice(dialog: &Dialog, form: Option<Form<'_>>, trust: TrustPolicy) -> Advice {
    if dialog.kind == DialogKind::Question {
        return match form.filter(|form| form.answers.len() == form.inquiries.len()) {
            None => Advice::Ask(screen::drawn(dialog)),
            Some(form) => match screen::fill(dialog, form) {
                Some((number, step)) => Advice::Fill { number, step },
                None => Advice::Surface("it is not the question that was answered"),
            },
        };
    }
    if matches!(
        dialog.kind,
        DialogKind::CommandApproval | DialogKind::EditApproval | DialogKind::ToolApproval
    ) && let Move::Press(allow) = screen::approve(dialog)
    {
        let command = dialog.command().unwrap_or(&dialog.body).to_owned();
        return Advice::Approval {
            command,
            reason: dialog.reason().map(str::to_owned),
            allow,
        };
    }
    match screen::answer(dialog, &DialogPolicy { trust }) {
        Move::Press(key) => Advice::Press(key),
        Move::Wait => Advice::Wait,
        Move::SignIn => Advice::SignIn,
        Move::Surface(Reason::UnknownDialog) if dialog.is_opened_by_hand() => {
            Advice::Leave("it is not known")
        }
        Move::Surface(reason) => Advice::Surface(match reason {
            Reason::UnknownDialog => "it is not known",
            Reason::TrustIsAsked => "the caller decides about trust",
            Reason::AgentAsks => "the agent asks something",
            Reason::NoSuchOption => "the option to choose is missing",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_never_a_command_of_the_composer() {
        for (text, typed) in [
            ("fix it", "fix it"),
            ("/exit", " /exit"),
            ("see @a.txt", "see @a.txt\n"),
            ("use $skill", "use $skill\n"),
            ("mail a@b.c now", "mail a@b.c now"),
        ] {
            assert_eq!(as_typed(&as_prompt(text)), typed);
        }
        for path in [
            "/tmp/a.png",
            "'/tmp/my pic.PNG'",
            "/tmp/my\\ pic.jpg",
            "file:///tmp/a.webp",
            "~/a.gif",
            "shot.jpeg",
        ] {
            assert_eq!(as_prompt(path), format!("Message:\n{path}"));
        }
        for text in ["Fix the layout in shot.png", "a.rs", "Look.\n/tmp/a.png"] {
            assert_eq!(as_prompt(text), text);
        }
        assert_eq!(as_prompt("!rm -rf x"), "Message:\n!rm -rf x");
        assert_eq!(as_typed(&as_prompt(" ! ls")), "Message:\n ! ls");
    }
}
