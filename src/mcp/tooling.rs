//! What a tool is.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::call::{Answer, Call};
use crate::error::Error;

/// A tool.
pub(super) trait Tooling: DeserializeOwned + JsonSchema + 'static {
    /// What it comes back with.
    type Output: JsonSchema + 'static;
    const NAME: &str;
    const TITLE: &str;
    const DESCRIPTION: &str;
    /// What it changes, for people who decide what a model may call unasked.
    const EFFECT: Effect;

    /// Does it.
    fn call(self, call: &Call) -> impl Future<Output = Result<Answer, Error>> + std::marker::Send;
}

/// What a tool changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// It adds something: a run, a word to one.
    Adds,
    /// It ends or changes something of the user's.
    Changes,
}
