//! Approvals without a responder: the agent's dialog ends the run, unless a hook of the user's decides before it comes
//! up.

use crate::agent::screen_state::{Advice, ShownDialog};
use crate::task::question::Question;

/// After this number of looks an approval's dialog is no longer expected at any moment.
const LOOKS: u8 = 50;

/// The approvals of this turn, and how often the screen has shown no dialog since.
#[derive(Clone, Debug, Default)]
pub(super) struct Awaited {
    questions: Vec<Question>,
    looks: u8,
}

impl Awaited {
    pub(crate) fn add(&mut self, question: Question) {
        self.questions.push(question);
        self.looks = 0;
    }

    /// Takes note of a screen without a dialog.
    pub(crate) fn looked(&mut self) {
        self.looks = self.looks.saturating_add(1);
    }

    /// Whether a dialog is expected at any moment.
    pub(crate) fn is_due(&self) -> bool {
        !self.questions.is_empty() && self.looks < LOOKS
    }

    /// What a dialog asks, in the whole words of its hook: the one that it names, or else the last.
    pub(crate) fn shown(&self, dialog: &ShownDialog) -> Option<Question> {
        let command = match &dialog.advice {
            Advice::Approval { command, .. } => command.as_str(),
            Advice::Surface(_) => "",
            _ => return None,
        };
        let named = |question: &&Question| question.text == command;
        let question = self.questions.iter().find(named);
        question.or(self.questions.last()).cloned()
    }

    /// The last of those that were asked.
    pub(crate) fn last(&self) -> Option<&Question> {
        self.questions.last()
    }
}
