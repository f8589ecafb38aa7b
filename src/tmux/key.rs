//! Keys that tmux knows by name.

/// A key that tmux knows by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Return.
    Enter,
    /// Escape.
    Escape,
    /// Cursor up.
    Up,
    /// Cursor down.
    Down,
    /// Tab.
    Tab,
    /// Shift-F12, which an agent may be told to take for "submit" in its composer, and which means nothing in a dialog without
    /// an open field for notes.
    Submit,
}

impl Key {
    /// tmux's name of the key.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enter => "Enter",
            Self::Escape => "Escape",
            Self::Up => "Up",
            Self::Down => "Down",
            Self::Tab => "Tab",
            Self::Submit => "S-F12",
        }
    }
}
