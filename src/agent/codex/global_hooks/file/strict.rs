//! Reading a `hooks.json` as strictly as codex does, and keeping all of it.
//!
//! Refuses what would be lost or misread: a key that occurs twice in the file, an event, a group or a hook (codex refuses the
//! whole file for it), and containers of another type than codex reads. What else is in a hook is its owner's.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// Parses a file into a value whose containers have the expected types.
///
/// # Errors
/// The parser's, with the line and column.
pub(super) fn parse(bytes: &[u8]) -> serde_json::Result<Value> {
    let _shape: File = serde_json::from_slice(bytes)?;
    serde_json::from_slice(bytes)
}

#[derive(serde::Deserialize)]
struct File {
    #[serde(default, rename = "hooks")]
    _events: Object<Vec<Group>>,
    #[serde(flatten)]
    _rest: Object<IgnoredAny>,
}

#[derive(serde::Deserialize)]
struct Group {
    #[serde(default, rename = "hooks")]
    _hooks: Vec<Hook>,
    #[serde(flatten)]
    _rest: Object<IgnoredAny>,
}

#[derive(serde::Deserialize)]
struct Hook {
    #[serde(rename = "type")]
    _type: String,
    #[serde(flatten)]
    _rest: Object<IgnoredAny>,
}

/// An object without a key that occurs twice, whose members are such values.
struct Object<T>(PhantomData<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self::default())
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
            }
            members.next_value::<T>()?;
            keys.insert(key);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused_at(text: &str) -> (usize, usize, String) {
        let error = parse(text.as_bytes()).expect_err("refused");
        (error.line(), error.column(), error.to_string())
    }

    #[test]
    fn keeps_order_and_everything_else() {
        let text = r#"{"z":1,"hooks":{"Stop":[{"matcher":"x","hooks":[{"type":"command","timeout":5,"b":null,"a":1.5}]}],"A":[]},"b":[-3,true,"é"]}"#;
        let value = parse(text.as_bytes()).expect("well-formed");
        assert_eq!(value.to_string(), text);
        assert_eq!(parse(b"{}").expect("empty"), serde_json::json!({}));
    }

    #[test]
    fn says_where_a_key_occurs_twice() {
        let (line, _, message) = refused_at("{\"hooks\": {\"Stop\": [],\n  \"Stop\": []}}");
        assert_eq!(line, 2);
        assert!(message.contains("duplicate key `Stop`"), "{message}");
        let inner = "{\"hooks\":{\"Stop\":[{\"hooks\":[{\"type\":\"command\",\"command\":\"a\",\n\"command\":\"b\"}]}]}}";
        assert_eq!(refused_at(inner).0, 2);
    }

    #[test]
    fn says_where_the_shape_is_another() {
        for text in [
            "\n[]",
            "\n3",
            "{\n\"hooks\":null}",
            "{\n\"hooks\":[]}",
            "{\"hooks\":{\n\"Stop\":null}}",
            "{\"hooks\":{\n\"Stop\":{}}}",
            "{\"hooks\":{\"Stop\":[\n3]}}",
            "{\"hooks\":{\"Stop\":[\n[]]}}",
            "{\"hooks\":{\"Stop\":[{\n\"hooks\":{}}]}}",
            "{\"hooks\":{\"Stop\":[{\"hooks\":[\n\"x\"]}]}}",
            "{\"hooks\":{\"Stop\":[{\"hooks\":[\n{}]}]}}",
            "{\"hooks\":{\"Stop\":[{\"hooks\":[{\n\"type\":1}]}]}}",
            "{\n// a comment\n}",
            "{}\n{}",
            "{\n\"hooks\":{},}",
        ] {
            let (line, column, message) = refused_at(text);
            let second = text.lines().nth(1).expect("two lines");
            assert_eq!(line, 2, "{text:?}: {message}");
            assert!(column <= second.len(), "{text:?}: {message}");
        }
        assert_eq!(refused_at("").0, 1);
        assert_eq!(refused_at("\u{feff}{}").0, 1);
    }
}
