//! One thing that is about to be done: a simple command, a redirection, or the call of another tool.

use serde::{Deserialize, Serialize};

use super::ground::Place;

/// A word as the shell passes it on to a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Exactly this.
    Known(String),
    /// The files that fit; none of them is taken for an option.
    Pattern(String),
    /// Nobody can tell before it runs.
    Unknown,
}

impl Word {
    pub(crate) fn known(&self) -> Option<&str> {
        match self {
            Self::Known(text) => Some(text),
            Self::Pattern(_) | Self::Unknown => None,
        }
    }

    pub(crate) fn shown(&self) -> &str {
        match self {
            Self::Known(text) | Self::Pattern(text) => text,
            Self::Unknown => "…",
        }
    }
}

/// What an act does to the world.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// Nothing that anybody would notice.
    Nothing,
    /// Reads files.
    Read,
    /// Makes, changes or removes files.
    Write,
    /// Reaches other machines.
    Network,
    /// Runs code that was not looked into: a build, a test, a script of the repository.
    Code,
    /// Becomes another user.
    Privilege,
    /// Anything: the program is not known, or not what it would do.
    Unknown,
}

impl EffectKind {
    /// The name in files and records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Read => "read",
            Self::Write => "write",
            Self::Network => "network",
            Self::Code => "code",
            Self::Privilege => "privilege",
            Self::Unknown => "unknown",
        }
    }
}

/// One effect of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// What.
    pub kind: EffectKind,
    /// Where, of a reading or writing one.
    pub place: Option<Place>,
}

impl Effect {
    pub(crate) fn of(kind: EffectKind) -> Self {
        Self { kind, place: None }
    }

    pub(crate) fn at(kind: EffectKind, place: Place) -> Self {
        Self {
            kind,
            place: Some(place),
        }
    }
}

/// One thing that is about to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// As people read it.
    pub text: String,
    /// The names of the tool: the kind, and the agent's own.
    pub(crate) tools: [String; 2],
    /// Of a command the program, without its directory, and its arguments, without options that only say where to work.
    pub(crate) words: Vec<Word>,
    /// Other names of the program: where a link leads, and how it was spelled.
    pub(crate) names: Vec<String>,
    /// Whether the program is the system's own, as far as its spelling says.
    pub(crate) is_system: bool,
    /// At least one.
    pub effects: Vec<Effect>,
    /// Why it can't be allowed without a word of somebody.
    pub doubts: Vec<String>,
}

impl Act {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tools: ["shell".to_owned(), String::new()],
            words: Vec::new(),
            names: Vec::new(),
            is_system: true,
            effects: Vec::new(),
            doubts: Vec::new(),
        }
    }

    /// One of which nothing can be told but this.
    pub(crate) fn doubtful(text: impl Into<String>, why: impl Into<String>) -> Self {
        let mut act = Self::new(text);
        act.effects.push(Effect::of(EffectKind::Unknown));
        act.doubts.push(why.into());
        act
    }

    pub(crate) fn add(&mut self, kind: EffectKind) {
        self.effects.push(Effect::of(kind));
    }

    pub(crate) fn doubt(&mut self, why: impl Into<String>) {
        self.doubts.push(why.into());
    }
}
