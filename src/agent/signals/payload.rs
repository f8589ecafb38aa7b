//! What of a payload the hooks must understand: that it is one JSON object, and its top-level `session_id`.

/// Bytes of a UUID in its hyphenated form.
pub(super) const UUID_LEN: usize = 36;

/// Containers that may be open at once, the payload's own object included: the limit of `serde_json`, with which agents write
/// and the operator reads the payload.
const MAX_DEPTH: usize = 127;

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
/// `None` unless the whole payload is one well-formed JSON object in UTF-8 without a byte order mark, nested at most 127 deep,
/// whose `session_id` is a string with a UUID. Of a key that occurs twice the last one counts. A `session_id` in a nested object
/// is another one's.
pub fn parse_session_id(payload: &[u8]) -> Option<String> {
    let text = str::from_utf8(payload).ok()?;
    scan(text)?.filter(|id| is_uuid(id))
}

/// The string at the top-level key `session_id`; the outer `None` is a malformed document.
fn scan(text: &str) -> Option<Option<String>> {
    let mut scanner = Scanner { text, at: 0 };
    let mut session_id = None;
    scanner.space();
    scanner.object(MAX_DEPTH, &mut |scanner, key, depth| {
        if key != "session_id" {
            return scanner.value(depth);
        }
        if scanner.peek() == Some(b'"') {
            let mut id = String::new();
            scanner.string(&mut id)?;
            session_id = Some(id);
        } else {
            session_id = None;
            scanner.value(depth)?;
        }
        Some(())
    })?;
    scanner.space();
    scanner.peek().is_none().then_some(session_id)
}

/// Reads the member's value, given its key and the containers that may still be opened.
type Member<'f, 'a> = &'f mut dyn FnMut(&mut Scanner<'a>, &str, usize) -> Option<()>;

/// A position in a document of RFC 8259; each method reads one construct and returns `None` where it is not well-formed.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, expected: u8) -> Option<()> {
        self.take_if(|byte| byte == expected)
    }

    fn take_if(&mut self, accept: impl FnOnce(u8) -> bool) -> Option<()> {
        self.peek().filter(|&byte| accept(byte))?;
        self.at += 1;
        Some(())
    }

    fn space(&mut self) {
        while self
            .take_if(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
            .is_some()
        {}
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'{' => self.object(depth, &mut |scanner, _, depth| scanner.value(depth)),
            b'[' => self.array(depth),
            b'"' => self.string(&mut Discard),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize, member: Member<'_, 'a>) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let mut key = String::new();
        self.items(b'{', b'}', &mut |scanner| {
            key.clear();
            scanner.string(&mut key)?;
            scanner.space();
            scanner.take(b':')?;
            scanner.space();
            member(scanner, &key, depth)
        })
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.items(b'[', b']', &mut |scanner| scanner.value(depth))
    }

    fn items(
        &mut self,
        open: u8,
        close: u8,
        item: &mut dyn FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.take(open)?;
        self.space();
        if self.take(close).is_some() {
            return Some(());
        }
        loop {
            item(self)?;
            self.space();
            if self.take(close).is_some() {
                return Some(());
            }
            self.take(b',')?;
            self.space();
        }
    }

    fn literal(&mut self, word: &str) -> Option<()> {
        self.text[self.at..].starts_with(word).then_some(())?;
        self.at += word.len();
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let _sign = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if self.take_if(|byte| matches!(byte, b'e' | b'E')).is_some() {
            let _sign = self.take_if(|byte| matches!(byte, b'+' | b'-'));
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        self.take_if(|byte| byte.is_ascii_digit())?;
        while self.take_if(|byte| byte.is_ascii_digit()).is_some() {}
        Some(())
    }

    fn string(&mut self, sink: &mut impl Sink) -> Option<()> {
        self.take(b'"')?;
        loop {
            let run = &self.text[self.at..];
            // Every stop byte is ASCII, so the run ends between two characters.
            let len = run
                .bytes()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
            sink.text(&run[..len]);
            self.at += len;
            if self.take(b'"').is_some() {
                return Some(());
            }
            self.take(b'\\')?;
            sink.text(self.escape()?.encode_utf8(&mut [0; 4]));
        }
    }

    fn escape(&mut self) -> Option<char> {
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return None,
        })
    }

    /// What follows `\u`; half a surrogate pair is no character, so it is malformed.
    fn unicode_escape(&mut self) -> Option<char> {
        let first = self.hex4()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        self.take(b'\\')?;
        self.take(b'u')?;
        let second = self.hex4()?;
        if !(0xdc00..0xe000).contains(&second) {
            return None;
        }
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    }

    fn hex4(&mut self) -> Option<u32> {
        let mut code = 0;
        for _ in 0..4 {
            code = code * 16 + char::from(self.peek()?).to_digit(16)?;
            self.at += 1;
        }
        Some(code)
    }
}

/// Where the characters of a string go.
trait Sink {
    fn text(&mut self, text: &str);
}

impl Sink for String {
    fn text(&mut self, text: &str) {
        self.push_str(text);
    }
}

struct Discard;

impl Sink for Discard {
    fn text(&mut self, _: &str) {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const UUID: &str = "019a5b2c-1f00-7abc-8def-0123456789ab";

    /// What `serde_json` makes of a document, in the terms of `scan`.
    fn expected(text: &str) -> Option<Option<String>> {
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(object)) => Some(
                object
                    .get("session_id")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            ),
            _ => None,
        }
    }

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
    fn agrees_with_serde_json_on_corner_cases() {
        for value in [
            "0",
            "-0",
            "01",
            "-",
            "1.",
            ".5",
            "1.5e",
            "1e+",
            "1E-2",
            "+1",
            "0x1",
            "1e5",
            "NaN",
            "true",
            "tru",
            "nulll",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\ude00\"",
            "\"\\ud83d\\u0041\"",
            "\"\\u12g4\"",
            "\"\\x\"",
            "\"\\",
            "\"\t\"",
            "\"\u{7f}\u{2028}\"",
            "\"\\u0000\\/\\b\\f\\n\\r\\t\"",
            "[",
            "[]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{}",
            "{\"a\"}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":1 \"b\":2}",
            "'a'",
            "\u{a0}1",
        ] {
            for text in [
                format!("{{\"a\":{value}}}"),
                format!("{{\"session_id\":{value}}}"),
                format!("{{\"session_id\":\"x\",\"b\":[{value}]}}"),
                value.to_owned(),
            ] {
                assert_eq!(scan(&text), expected(&text), "{text}");
            }
        }
    }

    #[test]
    fn nesting_ends_where_it_ends_for_serde_json() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for depth in [1, 125, 126, 127, 128, 200_000] {
                let text = format!("{{\"a\":{}1{}}}", open.repeat(depth), close.repeat(depth));
                assert_eq!(scan(&text), expected(&text), "{open} {depth}");
                assert_eq!(scan(&text).is_some(), depth < MAX_DEPTH, "{open} {depth}");
            }
        }
    }

    /// JSON documents, with the key and the value we look for among the rest.
    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(Value::from(UUID)),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            let key = prop_oneof![Just("session_id".to_owned()), any::<String>()];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((key, inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_documents(document in documents(), pretty in any::<bool>()) {
            let text = match pretty {
                true => serde_json::to_string_pretty(&document),
                false => serde_json::to_string(&document),
            };
            let text = text.expect("a value is JSON");
            prop_assert_eq!(scan(&text), expected(&text));
        }

        #[test]
        fn agrees_with_serde_json_on_damaged_documents(
            document in documents(),
            at in any::<prop::sample::Index>(),
            cut in 0..4_usize,
            put in "[\\[\\]{}\",:\\\\u0-9a-f.eE+ \n-]{0,4}",
        ) {
            let text: Vec<char> = document.to_string().chars().collect();
            let at = at.index(text.len());
            let end = (at + cut).min(text.len());
            let damaged: String = text[..at].iter().copied().chain(put.chars()).chain(text[end..].iter().copied()).collect();
            // A number beyond f64 is well-formed JSON; only a reader of numbers can refuse it.
            if !serde_json::from_str::<Value>(&damaged).is_err_and(|e| e.to_string().starts_with("number out of range")) {
                prop_assert_eq!(scan(&damaged), expected(&damaged), "{}", damaged);
            }
        }

        #[test]
        fn agrees_with_serde_json_on_soup(text in "[\\[\\]{}\",:\\\\/bfnrtu0-9a-f.eE+ \n\u{e9}-]{0,24}") {
            for text in [format!("{{\"session_id\":{text}"), format!("{{\"session_id\":\"{text}\"}}"), text] {
                if !serde_json::from_str::<Value>(&text).is_err_and(|e| e.to_string().starts_with("number out of range")) {
                    prop_assert_eq!(scan(&text), expected(&text), "{}", text);
                }
            }
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let id = parse_session_id(&bytes);
            prop_assert!(id.is_none_or(|id| is_uuid(&id)));
        }
    }
}
