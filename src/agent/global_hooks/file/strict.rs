//! Reading a file of hooks as strictly as the agents do, and keeping all of it.
//!
//! Refuses what would be lost or misread: a key that occurs twice in one object, anywhere in the file, and containers of
//! another type than an agent reads in the file, an event, a group or a hook (codex refuses the whole file for either). What
//! else is in it is its owner's.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Parses a file into a value whose containers have the expected types.
///
/// # Errors
/// The parser's, with the line and column.
pub(super) fn parse(bytes: &[u8]) -> serde_json::Result<Value> {
    let Unique(value) = serde_json::from_slice(bytes)?;
    let _shape: File = serde_json::from_slice(bytes)?;
    Ok(value)
}

// A flattened rest makes serde refuse an array in the place of an object.

#[derive(serde::Deserialize)]
struct File {
    #[serde(default, rename = "hooks")]
    _events: HashMap<String, Vec<Group>>,
    #[serde(flatten)]
    _rest: IgnoredAny,
}

#[derive(serde::Deserialize)]
struct Group {
    #[serde(default, rename = "hooks")]
    _hooks: Vec<Hook>,
    #[serde(flatten)]
    _rest: IgnoredAny,
}

#[derive(serde::Deserialize)]
struct Hook {
    #[serde(rename = "type")]
    _type: String,
    #[serde(flatten)]
    _rest: IgnoredAny,
}

/// A value whose objects have no key twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Unique)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
            }
            let Unique(value) = members.next_value()?;
            object.insert(key, value);
        }
        Ok(object.into())
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
        // In what is another program's, a lost key would be lost for its owner.
        for foreign in [
            "{\"description\":{\"a\":1,\n\"a\":2}}",
            "{\"hooks\":{},\"x\":[[{\"a\":1,\n\"a\":1}]]}",
            "{\"hooks\":{\"Stop\":[{\"x\":{\"a\":1,\n\"a\":2}}]}}",
            "{\"hooks\":{\"Stop\":[{\"hooks\":[{\"type\":\"t\",\"env\":{\"a\":1,\n\"\\u0061\":2}}]}]}}",
        ] {
            let (line, _, message) = refused_at(foreign);
            assert_eq!(line, 2, "{foreign}");
            assert!(message.contains("duplicate key `a`"), "{message}");
        }
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
