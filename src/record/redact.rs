//! Keys that have a shape, taken out of what is shown.
//!
//! Owns the shapes. Refuses to touch a file: records stay as they are, at mode 0600, and so does a patch, which would apply
//! something else. What has no shape, such as a password, is not seen; nor is the rest of a key that a screen has wrapped.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// Every alternative begins with letters that are rare in a text, so that the search skips from one to the next of them.
///
/// Sources: the providers' pages on the formats of their keys; GitHub, "Behind GitHub's new authentication token formats".
static SHAPES: LazyLock<Regex> = LazyLock::new(|| {
    let shapes = [
        r"sk-[A-Za-z0-9_-]{20,300}",
        r"gh[opsur]_[A-Za-z0-9]{36,}",
        r"github_pat_[A-Za-z0-9_]{22,}",
        r"A(?:KIA|SIA)[A-Z0-9]{16}",
        r"xox[a-z]-[A-Za-z0-9-]{10,}",
        r"xapp-[0-9]-[A-Za-z0-9-]{10,}",
        r"hooks\.slack\.com(?:\\?/[A-Za-z0-9_-]{2,}){3,4}",
        r"eyJ[A-Za-z0-9_-]{17,}(?:\.[A-Za-z0-9_-]{8,}){2,}",
        // The id of an AWS key tells what it is; the secret beside it has no mark of its own.
        concat!(
            r"(?:(?:aws|AWS)[ _-](?:secret|SECRET)|(?:secret|Secret|SECRET)[ _-]?(?:access|Access|ACCESS)[ _-]?(?:key|Key|KEY))",
            r"[A-Za-z _-]{0,24}[^A-Za-z0-9/+]{1,10}[A-Za-z0-9/+]{40,}"
        ),
    ];
    Regex::new(&shapes.join("|")).expect("the pattern is constant")
});

/// Where a private key block begins.
static BLOCK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
        .expect("the pattern is constant")
});

/// Where it ends.
static BLOCK_END: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
        .expect("the pattern is constant")
});

/// The rest of a block that was cut: its lines, and the line ends of any writing between them.
static CUT_BLOCK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:(?:[^A-Za-z0-9/]|\\+[nrt]){1,12}[A-Za-z0-9+/=]{16,})+")
        .expect("the pattern is constant")
});

/// A text without its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted<'t> {
    /// The text; `[redacted: …]` replaces each key.
    pub text: Cow<'t, str>,
    /// How many there were.
    pub count: usize,
}

/// Takes out keys of OpenAI, Anthropic, GitHub, AWS and Slack, JSON web tokens, and private key blocks.
///
/// To do it again changes nothing.
#[must_use]
pub fn redact(text: &str) -> Redacted<'_> {
    // Blocks first: a key with a hyphen at its end would take the beginning of a block for more of itself.
    let last_end = BLOCK_END
        .find_iter(text)
        .last()
        .map_or(0, |end| end.start());
    let (blocks, block_count) = replace(text, |text, from| next_block(text, from, last_end));
    let (keys, key_count) = replace(blocks.as_deref().unwrap_or(text), next_key);
    Redacted {
        text: keys.or(blocks).map_or(Cow::Borrowed(text), Cow::Owned),
        count: block_count + key_count,
    }
}

/// Takes the keys out of every string of a JSON value, and counts them.
pub fn redact_json(value: &mut Value) -> usize {
    match value {
        Value::String(text) => {
            let Redacted { text: clean, count } = redact(text);
            if let Cow::Owned(clean) = clean {
                *text = clean;
            }
            count
        }
        Value::Array(items) => items.iter_mut().map(redact_json).sum(),
        Value::Object(fields) => fields.values_mut().map(redact_json).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// A key in a text.
struct Key {
    range: Range<usize>,
    name: &'static str,
}

/// The text without what `next` finds, if it finds anything, and how much that was.
fn replace(text: &str, next: impl Fn(&str, usize) -> Option<Key>) -> (Option<String>, usize) {
    let mut clean = String::new();
    let (mut done, mut count) = (0, 0);
    while let Some(key) = next(text, done) {
        clean.push_str(&text[done..key.range.start]);
        clean.push_str("[redacted: ");
        clean.push_str(key.name);
        clean.push(']');
        (done, count) = (key.range.end, count + 1);
    }
    if count == 0 {
        return (None, 0);
    }
    clean.push_str(&text[done..]);
    (Some(clean), count)
}

/// The next block, cut or whole. Looks for an end only where there is one: it would look through all of the text each time.
fn next_block(text: &str, mut from: usize, last_end: usize) -> Option<Key> {
    loop {
        let begin = BLOCK.find_at(text, from)?;
        let end = if begin.end() <= last_end {
            BLOCK_END.find_at(text, begin.end())
        } else {
            None
        };
        let end = end.map(|end| end.end()).or_else(|| {
            let cut = CUT_BLOCK.find(&text[begin.end()..])?;
            Some(begin.end() + cut.end())
        });
        if let Some(end) = end {
            return Some(Key {
                range: begin.start()..end,
                name: "private key",
            });
        }
        // Words about such a block, and no block.
        from = begin.end();
    }
}

fn next_key(text: &str, mut from: usize) -> Option<Key> {
    loop {
        let found = SHAPES.find_at(text, from)?;
        if let Some(key) = key_of(text, found.range()) {
            return Some(key);
        }
        // What has a key's beginning may hold another's.
        from = found.start() + 1;
    }
}

/// The key that a piece of the right shape is, if it is one.
fn key_of(text: &str, mut range: Range<usize>) -> Option<Key> {
    let piece = &text[range.clone()];
    let is_apart = || starts_apart(&text.as_bytes()[..range.start]);
    let (name, is_key) = match &piece[..2] {
        "sk" if piece.starts_with("sk-ant-") => ("Anthropic key", is_random(piece)),
        "sk" => ("OpenAI key", is_random(piece) && is_apart()),
        "gh" | "gi" => ("GitHub token", true),
        "AK" | "AS" => {
            let more = text.as_bytes().get(range.end);
            let ends = more.is_none_or(|byte| !byte.is_ascii_uppercase() && !byte.is_ascii_digit());
            ("AWS key id", ends && is_apart())
        }
        "xo" | "xa" => ("Slack token", true),
        "ho" => ("Slack webhook", true),
        "ey" => ("JSON web token", true),
        _ => {
            let words = piece.rfind(|c: char| !c.is_ascii_alphanumeric() && !"/+".contains(c));
            let secret = words.map_or(0, |last| last + 1);
            range.start += secret;
            ("AWS access key", is_secret(&piece[secret..]))
        }
    };
    if is_key && piece.starts_with("sk") {
        // Its pattern has a limit, so that many beginnings in a row cost no more than that each.
        let more = text.as_bytes()[range.end..].iter();
        range.end += more
            .take_while(|&&byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
            .count();
    }
    is_key.then_some(Key { range, name })
}

/// Whether it may be the secret of an AWS key: exactly that long; and no commit.
fn is_secret(piece: &str) -> bool {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    piece.len() == 40 && !piece.bytes().all(hex)
}

/// Whether what comes next is the beginning of a word, be it after an escape of JSON or of a URL.
fn starts_apart(before: &[u8]) -> bool {
    let Some(last) = before.last().filter(|byte| byte.is_ascii_alphanumeric()) else {
        return true;
    };
    let at = |back: usize| before.len().checked_sub(back).map(|index| before[index]);
    let is_escape = b"bfnrt".contains(last) && at(2) == Some(b'\\');
    let is_unicode = at(6) == Some(b'\\') && at(5) == Some(b'u');
    is_escape || is_unicode || at(3) == Some(b'%')
}

/// Whether it was drawn by lot, as far as one can see: words with hyphens between them begin with `sk-` too.
fn is_random(piece: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| piece.as_bytes()[3..].iter().any(kind);
    let is_long = |word: &str| word.len() >= 16;
    let digit = has(u8::is_ascii_digit);
    digit
        && ((has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase))
            || piece.split(['-', '_']).any(is_long))
}

#[cfg(test)]
mod tests;
