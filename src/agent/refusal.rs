//! Why an executor can't be used: what its program, its settings or its sign-in lacks.

use strum::VariantArray;
use thiserror::Error;

use crate::os::blocking::Panicked;
use crate::os::chain::failed;

/// Why an executor can't be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct Refusal {
    /// The kind of trouble, which decides the code and the exit status.
    pub trouble: Trouble,
    /// The condition, as a sentence.
    pub message: String,
    /// What to do now.
    pub hint: &'static str,
}

impl From<Panicked> for Refusal {
    fn from(Panicked(panic): Panicked) -> Self {
        Self {
            trouble: Trouble::Unusable,
            message: failed(format_args!("finish a step: {panic}")),
            hint: "try again",
        }
    }
}

/// The kinds of trouble that an executor knows a remedy for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, VariantArray)]
pub enum Trouble {
    /// The program is not there.
    Missing,
    /// The program does not answer as it should.
    Unusable,
    /// Its directory of settings can't be used.
    Home,
    /// It refuses its configuration.
    Configuration,
    /// A setting with precedence over the run's own prevents the run.
    Restricted,
    /// Its credentials can't be used.
    Credentials,
    /// It is not signed in.
    SignedOut,
    /// The key of its model's provider is not in the environment.
    KeyMissing,
    /// The operating system grants it too little.
    Limits,
    /// The service refused its credentials in a turn.
    Rejected,
    /// A dialog that may not be answered is up.
    Dialog,
    /// A hook of the user's refused the prompt.
    PromptBlocked,
    /// It works in another directory than it was started in.
    WrongDirectory,
    /// It ended at its start, with an error.
    EndedAtStart,
}

impl Trouble {
    /// All of them.
    pub const ALL: &[Self] = Self::VARIANTS;
}
