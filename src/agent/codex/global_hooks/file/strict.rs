//! Reading a `hooks.json` as strictly as codex does, and keeping all of it.
//!
//! Refuses what would be lost or misread: a key that occurs twice in one object (codex refuses the whole file for it), and
//! containers of another type than codex reads. What is in a hook beside its containers is its owner's.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde_json::{Map, Number, Value};

/// Parses a file into a value whose containers have the expected types.
///
/// # Errors
/// The parser's, with the line and column.
pub(super) fn parse(bytes: &[u8]) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Part::File.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Which part of the file a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    File,
    Events,
    Groups,
    Group,
    Hooks,
    Hook,
    HookType,
    Other,
}

impl Part {
    fn member(self, key: &str) -> Part {
        match (self, key) {
            (Part::File, "hooks") => Part::Events,
            (Part::Events, _) => Part::Groups,
            (Part::Group, "hooks") => Part::Hooks,
            (Part::Hook, "type") => Part::HookType,
            _ => Part::Other,
        }
    }

    fn item(self) -> Part {
        match self {
            Part::Groups => Part::Group,
            Part::Hooks => Part::Hook,
            _ => Part::Other,
        }
    }

    fn scalar<E: serde::de::Error>(self, value: Value, found: Unexpected<'_>) -> Result<Value, E> {
        match self {
            Part::Other => Ok(value),
            Part::HookType if value.is_string() => Ok(value),
            _ => Err(E::invalid_type(found, &self)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::File => "an object with `hooks`",
            Part::Events => "an object of events",
            Part::Groups => "an array of groups",
            Part::Group => "a group: an object with `hooks`",
            Part::Hooks => "an array of hooks",
            Part::Hook => "a hook: an object with `type`",
            Part::HookType => "the name of a hook's type",
            Part::Other => "any value",
        })
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.scalar(Value::Null, Unexpected::Unit)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.scalar(Value::Bool(value), Unexpected::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.scalar(Value::from(value), Unexpected::Unsigned(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.scalar(Value::from(value), Unexpected::Signed(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        self.scalar(Value::Number(number), Unexpected::Float(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.scalar(Value::from(value), Unexpected::Str(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        if !matches!(self, Part::Groups | Part::Hooks | Part::Other) {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self.item())? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        if matches!(self, Part::Groups | Part::Hooks | Part::HookType) {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        }
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
            }
            let value = members.next_value_seed(self.member(&key))?;
            object.insert(key, value);
        }
        if self == Part::Hook && !object.contains_key("type") {
            return Err(A::Error::missing_field("type"));
        }
        Ok(Value::Object(object))
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
