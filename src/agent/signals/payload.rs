//! The part of a payload that the hooks must understand: one JSON object, and its top-level `session_id`.

use serde_json::{Map, Value};

/// Bytes of a UUID in its hyphenated form.
pub(super) const UUID_LEN: usize = 36;

/// Whether the text is a UUID in its hyphenated form, of any version, in either case.
pub fn is_uuid(text: &str) -> bool {
    text.len() == UUID_LEN
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Parses the `session_id` of a payload: a UUID, spelled as the payload spells it.
///
/// `None` unless the whole payload is one JSON object as `serde_json` reads it (nested at most 127 deep), whose `session_id`
/// is a string with a UUID. Of a key that occurs twice the last one counts. A `session_id` in a nested object is another one's.
pub fn parse_session_id(payload: &[u8]) -> Option<String> {
    let payload: Map<String, Value> = serde_json::from_slice(payload).ok()?;
    let id = payload.get("session_id")?.as_str()?;
    is_uuid(id).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "019a5b2c-1f00-7abc-8def-0123456789ab";

    #[test]
    fn a_uuid_of_any_version_and_case() {
        assert!(is_uuid(UUID));
        assert!(is_uuid(&UUID.to_uppercase()));
        assert!(is_uuid("00000000-0000-0000-0000-000000000000"));
        for text in [
            "",
            "019a5b2c1f007abc8def0123456789ab",
            "{019a5b2c-1f00-7abc-8def-0123456789ab}",
            "019a5b2c-1f00-7abc-8def-0123456789a",
            "019a5b2c-1f00-7abc-8def-0123456789abc",
            "019a5b2c-1f00-7abc-8def-0123456789ag",
            "019a5b2c-1f00-7abc-8def_0123456789ab",
            "019a5b2c-1f00-7abc-8def-0123456789é",
            "../../../../../../../../etc/passwd-x",
        ] {
            assert!(!is_uuid(text), "{text}");
        }
    }

    #[test]
    fn only_the_top_level_id_counts() {
        let found = |text: &str| parse_session_id(text.as_bytes());
        let id = Some(UUID.to_owned());
        assert_eq!(found(&format!(r#"{{"session_id":"{UUID}"}}"#)), id);
        assert_eq!(
            found(&format!(r#" {{ "a":[1], "session\u005fid" : "{UUID}" }} "#)),
            id
        );
        assert_eq!(
            found(&format!(
                r#"{{"session_id":"x","x":{{}},"session_id":"{UUID}"}}"#
            )),
            id,
            "the last one counts"
        );
        for text in [
            format!(r#"{{"a":{{"session_id":"{UUID}"}}}}"#),
            format!(r#"[{{"session_id":"{UUID}"}}]"#),
            format!(r#"{{"session_id":"{UUID}"}}x"#),
            format!(r#"{{"session_id":"{UUID}"}} {{}}"#),
            format!(r#"{{"session_id":"{UUID}","session_id":1}}"#),
            format!(r#"{{"session_id":["{UUID}"]}}"#),
            format!(r#"{{"session_id":"{UUID} "}}"#),
            format!("\u{feff}{{\"session_id\":\"{UUID}\"}}"),
            format!(r#"{{"session_id":"{UUID}""#),
            format!("\"{UUID}\""),
            String::new(),
        ] {
            assert_eq!(found(&text), None, "{text}");
        }
        let latin1 = format!("{{\"session_id\":\"{UUID}\",\"a\":\"\u{1}\"}}");
        let bytes: Vec<u8> = latin1
            .bytes()
            .map(|b| if b == 1 { 0xe9 } else { b })
            .collect();
        assert_eq!(parse_session_id(&bytes), None);
    }

    #[test]
    fn nesting_has_an_end() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for depth in [1, 126, 127, 200_000] {
                let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                let text = format!(r#"{{"a":{nested},"session_id":"{UUID}"}}"#);
                let found = parse_session_id(text.as_bytes());
                assert_eq!(found.is_some(), depth < 127, "{open} {depth}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let id = parse_session_id(&bytes);
            prop_assert!(id.is_none_or(|id| is_uuid(&id)));
        }
    }
}
