//! The brief: any UTF-8 text up to 1 MiB.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::task::Error;

/// The longest prompt, in bytes.
pub const LIMIT: usize = 1 << 20;

/// A prompt that a terminal can be given: newlines and tabs are its only control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prompt {
    text: String,
    neutralised: usize,
}

impl TryFrom<String> for Prompt {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(text.as_bytes())
    }
}

impl FromStr for Prompt {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text.as_bytes())
    }
}

impl From<Prompt> for String {
    fn from(prompt: Prompt) -> Self {
        prompt.text
    }
}

impl Prompt {
    /// Takes a text. Line ends become `\n`, blank ends are cut, and every control character that a
    /// terminal would obey becomes its visible picture (`␛` for escape): an escape could end the paste
    /// and press keys.
    ///
    /// # Errors
    /// [`Error`], with what is wrong and where.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > LIMIT {
            return Err(Error::PromptTooLong { bytes: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| Error::PromptNotUtf8 {
            at: error.valid_up_to(),
        })?;
        let text = text
            .strip_prefix('\u{feff}')
            .unwrap_or(text)
            .replace("\r\n", "\n");
        let mut neutralised = 0;
        let visible: String = text
            .chars()
            .map(|c| {
                let picture = picture(c);
                neutralised += usize::from(picture.is_some());
                picture.unwrap_or(c)
            })
            .collect();
        let text = visible.trim().to_owned();
        if text.is_empty() {
            Err(Error::PromptEmpty)
        } else {
            Ok(Self { text, neutralised })
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many control characters were made visible.
    #[must_use]
    pub fn neutralised(&self) -> usize {
        self.neutralised
    }
}

impl fmt::Display for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The picture of a control character that a terminal would obey.
fn picture(c: char) -> Option<char> {
    match c {
        '\n' | '\t' => None,
        '\u{7f}' => Some('\u{2421}'),
        c if c < ' ' => char::from_u32(0x2400 + u32::from(c)),
        // C1 controls: a terminal may take U+009B for the start of an escape sequence.
        '\u{80}'..='\u{9f}' => Some('\u{fffd}'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_made_visible() {
        let prompt = Prompt::parse(b"a\x1b[201~\rb\x7f\xc2\x9b\n\tc\r\n").expect("taken");
        assert_eq!(
            prompt.as_str(),
            "a\u{241b}[201~\u{240d}b\u{2421}\u{fffd}\n\tc"
        );
        assert_eq!(prompt.neutralised(), 4);
    }

    #[test]
    fn limits_are_named() {
        assert!(matches!(Prompt::parse(b" \n"), Err(Error::PromptEmpty)));
        assert!(matches!(
            Prompt::parse(b"ab\xff"),
            Err(Error::PromptNotUtf8 { at: 2 })
        ));
        assert!(matches!(
            Prompt::parse(&vec![b'a'; LIMIT + 1]),
            Err(Error::PromptTooLong { .. })
        ));
        assert_eq!(
            Prompt::parse(&vec![b'a'; LIMIT])
                .expect("taken")
                .as_str()
                .len(),
            LIMIT
        );
    }

    proptest::proptest! {
        #[test]
        fn no_control_character_gets_through(bytes in proptest::collection::vec(0u8..=255, 0..200)) {
            if let Ok(prompt) = Prompt::parse(&bytes) {
                assert!(prompt.as_str().chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t')));
            }
        }
    }
}
