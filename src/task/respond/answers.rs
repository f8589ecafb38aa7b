//! Fixed answers from a file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::{Context, Recipe, RespondError, Responder};
use crate::os::bounded;
use crate::task::Error;
use crate::task::question::{Answer, Question, QuestionKind};

/// The longest answers file, in bytes.
const FILE_LIMIT: usize = 256 * 1024;

/// How long an answers file that is a pipe may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most entries, and the memory of each one's pattern in bytes: a short pattern may take as much as there is.
const ENTRIES_LIMIT: usize = 256;

const PATTERN_LIMIT: usize = 1 << 20;

/// Fixed answers from a TOML file.
///
/// ```toml
/// [[answer]]                        # a question, or a message that can't be told
/// pattern = "tabs or spaces"        # a regular expression; case is ignored; anywhere in the message
/// reply = "Spaces."
///
/// [[permission]]                    # an approval
/// pattern = "cargo (build|test)"    # `allow` must match the whole command, `deny` any part of it
/// decision = "allow"
///
/// [[permission]]
/// pattern = "curl"
/// decision = "deny"
/// message = "There is no network."
/// ```
///
/// The first entry that matches answers; a `deny` is looked for before any `allow`.
#[derive(Clone, Debug)]
pub struct Answers {
    path: PathBuf,
    answers: Vec<(Regex, String)>,
    denials: Vec<(Regex, String)>,
    allowances: Vec<Regex>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswersFile {
    #[serde(default)]
    answer: Vec<AnswerEntry>,
    #[serde(default)]
    permission: Vec<PermissionEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerEntry {
    pattern: String,
    reply: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PermissionEntry {
    pattern: String,
    decision: Verdict,
    #[serde(default)]
    message: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Allow,
    Deny,
}

impl Answers {
    /// Loads an answers file.
    ///
    /// # Errors
    /// [`Error`], with the line of a mistake.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
        let text = bounded::read(path, FILE_LIMIT, PATIENCE)
            .and_then(|bytes| String::from_utf8(bytes).map_err(not_text))
            .map_err(|source| Error::AnswersUnreadable {
                path: path.to_owned(),
                source,
            })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let file: AnswersFile = toml::from_str(text).map_err(|error| Error::AnswersInvalid {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        if file.answer.len() + file.permission.len() > ENTRIES_LIMIT {
            return Err(Error::AnswersInvalid {
                path: path.to_owned(),
                message: format!("it has more than {ENTRIES_LIMIT} entries"),
            });
        }
        let regex = |pattern: &str, whole: bool| {
            let source = if whole {
                format!("^(?:{pattern})$")
            } else {
                pattern.to_owned()
            };
            RegexBuilder::new(&source)
                .case_insensitive(!whole)
                .size_limit(PATTERN_LIMIT)
                .build()
                .map_err(|error| Error::AnswersPattern {
                    path: path.to_owned(),
                    pattern: pattern.to_owned(),
                    message: error.to_string(),
                })
        };
        let mut this = Self {
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            answers: Vec::new(),
            denials: Vec::new(),
            allowances: Vec::new(),
        };
        for entry in file.answer {
            if entry.reply.trim().is_empty() {
                let message = format!("the reply to `{}` is empty", entry.pattern);
                return Err(Error::AnswersInvalid {
                    path: path.to_owned(),
                    message,
                });
            }
            this.answers
                .push((regex(&entry.pattern, false)?, entry.reply));
        }
        for entry in file.permission {
            match entry.decision {
                Verdict::Allow => this.allowances.push(regex(&entry.pattern, true)?),
                Verdict::Deny => this
                    .denials
                    .push((regex(&entry.pattern, false)?, entry.message)),
            }
        }
        Ok(this)
    }

    fn decide(&self, command: &str) -> Option<Answer> {
        if let Some((_, message)) = self
            .denials
            .iter()
            .find(|(pattern, _)| pattern.is_match(command))
        {
            return Some(Answer::Deny(message.clone()));
        }
        self.allowances
            .iter()
            .any(|pattern| pattern.is_match(command))
            .then_some(Answer::Allow)
    }

    fn reply(&self, message: &str) -> Option<Answer> {
        let found = self
            .answers
            .iter()
            .find(|(pattern, _)| pattern.is_match(message));
        found.map(|(_, reply)| Answer::Text(reply.clone()))
    }
}

#[async_trait]
impl Responder for Answers {
    fn name(&self) -> &'static str {
        "answers"
    }

    fn recipe(&self) -> Option<Recipe> {
        Some(Recipe::Answers {
            path: self.path.clone(),
        })
    }

    async fn respond(
        &self,
        question: &Question,
        _context: &Context,
    ) -> Result<Option<Answer>, RespondError> {
        Ok(match question.kind {
            QuestionKind::Permission => self.decide(&question.text),
            QuestionKind::Question | QuestionKind::Request | QuestionKind::Unclear => {
                self.reply(&question.text)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [[answer]]
        pattern = "tabs or spaces"
        reply = "Spaces."
        [[permission]]
        pattern = "cargo (build|test)"
        decision = "allow"
        [[permission]]
        pattern = "--release"
        decision = "deny"
        message = "Too slow."
    "#;

    fn answers(text: &str) -> Result<Answers, Error> {
        Answers::parse(text, Path::new("answers.toml"))
    }

    #[test]
    fn an_allowance_covers_the_whole_command() {
        let answers = answers(FILE).expect("valid");
        assert_eq!(answers.decide("cargo test"), Some(Answer::Allow));
        assert_eq!(answers.decide("cargo test; rm -rf /"), None);
        assert_eq!(answers.decide("cargo test\nrm -rf /"), None);
        assert_eq!(answers.decide("sudo cargo test"), None);
        assert_eq!(
            answers.decide("cargo build --release"),
            Some(Answer::Deny("Too slow.".to_owned()))
        );
        assert_eq!(
            answers.reply("Tabs or spaces?"),
            Some(Answer::Text("Spaces.".to_owned()))
        );
        assert_eq!(answers.reply("Which port?"), None);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("[[answer]]\npattern = \"(\"\nreply = \"x\"", "pattern `(`"),
            ("[[answer]]\npattern = \"a\"\nreply = \" \"", "empty"),
            ("[[answers]]\npattern = \"a\"", "answers"),
            (
                "[[permission]]\npattern = \"a\"\ndecision = \"maybe\"",
                "maybe",
            ),
            ("[[answer]]\npattern = 1", "line 2"),
        ] {
            let message = answers(text).expect_err(text).to_string();
            assert!(message.contains(word), "{message}");
        }
    }
}
