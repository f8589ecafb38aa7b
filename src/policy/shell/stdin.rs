//! What a command reads from its standard input.

/// The standard input of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stdin {
    /// The agent's own.
    Inherited,
    /// Exactly this text.
    Text(String),
    /// Nobody can tell: a pipe, a file, a text with something to expand.
    Unknown,
}
