//! Records as they may be shown: without keys, and without characters that a terminal obeys. The agent's words are not ours.

use serde::Serialize;
use serde_json::Value;

use super::redact::redact_json;

/// A document as text, and the number of keys that were taken out of it.
pub struct Shown {
    /// JSON with indentation, ending in a newline.
    pub text: String,
    /// The number of keys that were taken out.
    pub redacted: usize,
}

/// A document as it may be shown.
#[must_use]
pub fn document(document: &impl Serialize) -> Shown {
    let mut value = serde_json::to_value(document).expect("a document has string keys only");
    let redacted = redact_json(&mut value);
    Shown {
        text: json_text(&value),
        redacted,
    }
}

/// A document of a stream of them, in a line.
#[must_use]
pub fn line(document: &impl Serialize) -> Shown {
    let mut value = serde_json::to_value(document).expect("a document has string keys only");
    let redacted = redact_json(&mut value);
    let text = value.to_string();
    Shown {
        text: escaped(&text),
        redacted,
    }
}

/// A record as [`document`] shows it, with the number of keys that were taken out of it as `redacted`.
#[must_use]
pub fn record(record: &impl Serialize) -> Shown {
    let mut value = serde_json::to_value(record).expect("a record has string keys only");
    let redacted = redact_json(&mut value);
    value["redacted"] = redacted.into();
    Shown {
        text: json_text(&value),
        redacted,
    }
}

fn json_text(document: &Value) -> String {
    let text = serde_json::to_string_pretty(document).expect("a document has string keys only");
    escaped(&text) + "\n"
}

fn escaped(text: &str) -> String {
    // serde_json leaves DEL, the C1 controls and changes of direction as they are. All of them are in strings.
    let mut escaped = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if c != '\n' && is_obeyed(c) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// A text whose control characters a terminal won't obey.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if is_obeyed(c) => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// A text that can't be taken for several lines: what others name may hold line ends.
pub(crate) fn one_line(text: &str) -> String {
    text.replace('\n', "\u{240a}")
}

/// Whether a terminal does something else with it than draw it.
fn is_obeyed(c: char) -> bool {
    // Directions can make a line read as what it is not, and tags are invisible words.
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
}
