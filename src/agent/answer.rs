//! The form that an agent's answer must have: a JSON Schema whose top is an object.
//!
//! It is given to a program that can hold its model to it, and what comes back is checked here all the same. Nothing outside of
//! the schema is read: no file, no address.

use std::fmt;
use std::sync::Arc;

use jsonschema::{Retrieve, Uri, Validator};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// Why something is no form for an answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// It is longer than a program takes as one argument.
    #[error("the schema has {bytes} bytes; {LIMIT} are the most")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is not JSON.
    #[error("the schema is not JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// Something else than an object is described.
    #[error("the schema must have \"type\": \"object\" at its top")]
    NotAnObject,
    /// It is no JSON Schema, or refers to something outside of it.
    #[error("the schema can't be used: {0}")]
    Invalid(String),
}

/// The longest schema, in bytes: a program may get it as one argument, of which Linux takes 128 KiB.
pub const LIMIT: usize = 64 << 10;
/// The longest word about an answer that does not fit, in characters.
const WORDS: usize = 300;

/// The form of an answer. As a document it is the schema.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct AnswerSchema {
    document: Value,
    validator: Arc<Validator>,
}

impl AnswerSchema {
    /// Reads a schema.
    ///
    /// # Errors
    /// Each variant of [`Error`].
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        if text.len() > LIMIT {
            return Err(Error::TooLong { bytes: text.len() });
        }
        let document: Value = serde_json::from_slice(text).map_err(Error::NotJson)?;
        Self::try_from(document)
    }

    /// The schema as a text.
    #[must_use]
    pub fn text(&self) -> String {
        self.document.to_string()
    }

    /// The answer that a message is.
    ///
    /// # Errors
    /// Why it is none, in words: it is not JSON, or does not fit, and where.
    pub fn check(&self, message: &str) -> Result<Value, String> {
        let answer: Value =
            serde_json::from_str(message).map_err(|error| format!("it is not JSON: {error}"))?;
        let mut errors = self.validator.iter_errors(&answer);
        match errors.next() {
            None => Ok(answer.clone()),
            Some(error) => {
                let (at, why) = (
                    error.instance_path().to_string(),
                    error.masked().to_string(),
                );
                let why: String = why.chars().take(WORDS).collect();
                let at: String = at.chars().take(WORDS).collect();
                Err(if at.is_empty() {
                    why
                } else {
                    format!("{at}: {why}")
                })
            }
        }
    }
}

impl TryFrom<Value> for AnswerSchema {
    type Error = Error;

    fn try_from(document: Value) -> Result<Self, Error> {
        if document["type"] != "object" {
            return Err(Error::NotAnObject);
        }
        let validator = jsonschema::options()
            .with_retriever(Nothing)
            .build(&document)
            .map_err(|error| Error::Invalid(error.to_string().chars().take(WORDS).collect()))?;
        Ok(Self {
            document,
            validator: Arc::new(validator),
        })
    }
}

impl From<AnswerSchema> for Value {
    fn from(schema: AnswerSchema) -> Self {
        schema.document
    }
}

impl fmt::Debug for AnswerSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnswerSchema").field(&self.document).finish()
    }
}

impl PartialEq for AnswerSchema {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

impl Eq for AnswerSchema {}

/// Retrieves nothing.
struct Nothing;

impl Retrieve for Nothing {
    fn retrieve(
        &self,
        uri: &Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("it refers to {uri}, which is outside of it").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type":"object","properties":{"ok":{"type":"boolean"},"list":{"type":"array","items":{"type":"integer"}}},"required":["ok"],"additionalProperties":false}"#;

    #[test]
    fn an_answer_fits_or_says_where_it_does_not() {
        let schema = AnswerSchema::parse(SCHEMA.as_bytes()).expect("a schema");
        let ok = schema.check(" {\"ok\": true}\n").expect("it fits");
        assert_eq!(ok, serde_json::json!({"ok": true}));
        for (answer, word) in [
            ("Done.", "not JSON"),
            ("", "not JSON"),
            ("{}", "ok"),
            (r#"{"ok":3}"#, "/ok"),
            (r#"{"ok":true,"list":[1,"x"]}"#, "/list/1"),
            (r#"{"ok":true,"more":1}"#, "more"),
            ("[true]", "object"),
        ] {
            let why = schema.check(answer).expect_err("it does not fit");
            assert!(why.contains(word), "{answer}: {why}");
        }
        let deep = "[".repeat(100_000);
        schema.check(&deep).expect_err("it is too deep");
    }

    #[test]
    fn only_an_object_is_a_form() {
        for (text, word) in [
            ("{", "not JSON"),
            ("[]", "object"),
            (r#"{"type":"array"}"#, "object"),
            (r#"{"type":"object","properties":7}"#, "can't be used"),
            (r#"{"type":"object","required":"x"}"#, "can't be used"),
            (
                r#"{"type":"object","properties":{"a":{"$ref":"file:///etc/hostname"}}}"#,
                "outside of it",
            ),
            (
                r#"{"type":"object","properties":{"a":{"$ref":"https://example.org/x"}}}"#,
                "outside of it",
            ),
        ] {
            let error = AnswerSchema::parse(text.as_bytes()).expect_err("it is none");
            let words = crate::os::chain::chain(&error);
            assert!(words.contains(word), "{text}: {words}");
        }
        let long = format!(r#"{{"type":"object","title":"{}"}}"#, "x".repeat(LIMIT));
        AnswerSchema::parse(long.as_bytes()).expect_err("it is too long");
    }

    #[test]
    fn as_a_document_it_is_the_schema() {
        let schema = AnswerSchema::parse(SCHEMA.as_bytes()).expect("a schema");
        let text = serde_json::to_string(&schema).expect("a document");
        let read: AnswerSchema = serde_json::from_str(&text).expect("read");
        assert_eq!(read, schema);
    }
}
