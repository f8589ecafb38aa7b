//! The meaning of a screen, as an executor reads it.

use serde::{Deserialize, Serialize};

use crate::tmux::Key;

/// The meaning of a screen.
#[derive(Clone, Debug, PartialEq)]
pub enum ScreenState {
    /// Nothing to act on: blank, loading, in transition.
    Nothing,
    /// The composer takes a prompt.
    Ready {
        /// Its content.
        holds: Holds,
    },
    /// A turn runs.
    Working {
        /// The content of the composer, which some program shows in the meantime.
        holds: Holds,
    },
    /// A dialog is up.
    Dialog(ShownDialog),
}

/// The content of the composer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Nothing, or what the agent itself shows in an empty one.
    Nothing,
    /// The expected text, whole, and nothing else.
    Prompt,
    /// Another text: a person types, or the prompt has not arrived completely.
    Other,
}

/// A dialog, and what the agent's module advises.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownDialog {
    /// Which dialog, for people and for counting: `directory_trust`, `unknown`, …
    pub name: &'static str,
    /// Title, options and focus: changes when a key was taken.
    pub dialog_state: String,
    /// The advice.
    pub advice: Advice,
    /// The whole screen.
    pub screen: String,
}

/// The reaction to a dialog.
#[derive(Clone, Debug, PartialEq)]
pub enum Advice {
    /// Press one key, then look again.
    Press(Key),
    /// Look again: it will go by itself.
    Wait,
    /// Nobody may answer it.
    Surface(&'static str),
    /// The same, of one that the agent's work doesn't wait for: a person at the pane has opened it.
    Leave(&'static str),
    /// The agent wants to be signed in.
    SignIn,
    /// A question of a form without an answer, as it is drawn.
    Ask(Inquiry),
    /// A question of a form whose answers are known.
    Fill {
        /// Which one, from 1.
        number: usize,
        /// The step.
        step: FormStep,
    },
    /// An approval: the policy decides.
    Approval {
        /// The command.
        command: String,
        /// Why, where it says so.
        reason: Option<String>,
        /// The key that leads to "yes".
        allow: Key,
    },
}

/// A question of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// The question.
    pub text: String,
    /// The answers that are offered, in their order.
    pub options: Vec<AnswerOption>,
}

/// A label as people repeat it.
pub(crate) fn plain_label(label: &str) -> String {
    let label = label.trim().to_lowercase();
    let label = label.strip_suffix("(recommended)").unwrap_or(&label);
    let words: Vec<&str> = label.split_whitespace().collect();
    words
        .join(" ")
        .trim_matches(['"', '\'', '`', '.', '!', ' '])
        .to_owned()
}

/// A form's questions and what is answered, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    /// The questions, in their order.
    pub inquiries: &'a [Inquiry],
    /// The answers to the first of them; to all of them once they may be typed.
    pub answers: &'a [String],
}

/// The next step towards a form's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormStep {
    /// Press one key, then look again.
    Press(Key),
    /// Paste the text into the field for notes, then look again.
    Note(String),
    /// Look again: nothing is sure at the moment.
    Wait,
}

/// One of the answers that the agent offers with its question.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerOption {
    /// The answer: said in reply, it is chosen.
    pub label: String,
    /// Its meaning, in the agent's words.
    #[serde(default)]
    pub description: String,
}
