//! Questions to a responder, and its answers.

use serde::{Deserialize, Serialize};

use crate::agent::screen_state::AnswerOption;

/// A question to the responders.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Question {
    /// `question`, `unclear` or `permission`.
    pub kind: QuestionKind,
    /// The message, or the command.
    pub text: String,
    /// Why an approval is wanted, where the agent says so.
    pub reason: Option<String>,
    /// The answers that the agent offers; empty unless it asks with a form. Any other text is an answer, too.
    pub options: Vec<AnswerOption>,
    /// The turn, from 1.
    pub turn: u32,
}

impl Question {
    /// A question of the first turn, without reason or options.
    #[must_use]
    pub fn new(kind: QuestionKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            reason: None,
            options: Vec::new(),
            turn: 1,
        }
    }
}

/// The kind of answer that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuestionKind {
    /// The agent's turn ended with a question, or it asks by a form within its turn.
    Question,
    /// The agent's turn ended with a request for permission, in words.
    Request,
    /// The agent's turn ended with something that can't be told.
    Unclear,
    /// The agent waits for an approval within its turn.
    Permission,
}

impl QuestionKind {
    /// The name in records and in a responder's JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Unclear => "unclear",
            Self::Request | Self::Permission => "permission",
        }
    }

    /// The kinds of answer that it takes.
    pub(crate) fn accepts(self) -> &'static [&'static str] {
        match self {
            Self::Question | Self::Unclear => &["text"],
            Self::Request => &["text", "allow", "deny"],
            Self::Permission => &["allow", "deny"],
        }
    }

    /// Whether it answers the question: a decision answers no question, a text no approval.
    pub(crate) fn takes(self, answer: &Answer) -> bool {
        match self {
            Self::Question | Self::Unclear => matches!(answer, Answer::Text(_)),
            Self::Request => true,
            Self::Permission => !matches!(answer, Answer::Text(_)),
        }
    }
}

/// A responder's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The next prompt.
    Text(String),
    /// Yes, to an approval.
    Allow,
    /// No, to an approval, with a word to the agent.
    Deny(String),
}

impl Answer {
    /// As records have it: the text, `allow` or `deny …`.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Allow => "allow".to_owned(),
            Self::Deny(why) => format!("deny {why}").trim_end().to_owned(),
        }
    }
}
