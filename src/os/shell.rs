//! Words for a POSIX shell.

/// A word as one argument of a POSIX shell; a plain one stays readable.
pub(crate) fn shell_quote(word: &str) -> String {
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The words of a command line that [`shell_quote`] may have written; `None` for any other syntax.
pub(crate) fn shell_words(command: &str) -> Option<Vec<String>> {
    let mut words = vec![String::new()];
    let mut rest = command;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        let word = words.last_mut()?;
        match character {
            ' ' => words.push(String::new()),
            '\'' => {
                let (quoted, after) = rest.split_once('\'')?;
                word.push_str(quoted);
                rest = after;
            }
            '\\' => {
                rest = rest.strip_prefix('\'')?;
                word.push('\'');
            }
            plain if is_plain(plain) => word.push(plain),
            _ => return None,
        }
    }
    Some(words)
}

/// Whether no shell gives the character a meaning, anywhere in a word.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(character, '/' | '.' | '_' | '-' | '+' | ',' | '@')
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_word_stays_readable() {
        assert_eq!(shell_quote("/usr/bin/cx-helper"), "/usr/bin/cx-helper");
        assert_eq!(shell_quote(""), "''");
    }

    #[test]
    fn other_syntax_is_not_read() {
        for command in [
            "/x/hook;true",
            "X=1 /x/hook",
            "\"/x/hook\"",
            "$HOME/hook",
            "~/hook",
            "'/x/hook",
            "/x/hook\\",
        ] {
            assert_eq!(shell_words(command), None, "{command}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_shell_sees_the_words(words in prop::collection::vec("[^\0]{0,20}", 1..4)) {
            let quoted: Vec<_> = words.iter().map(|word| shell_quote(word)).collect();
            let command = quoted.join(" ");
            prop_assert_eq!(shell_words(&command), Some(words.clone()));
            let output = Command::new("sh")
                .args(["-c", &format!("printf '%s\\0' {command}")])
                .output()
                .expect("a shell");
            let expected: String = words.iter().map(|word| format!("{word}\0")).collect();
            prop_assert_eq!(output.stdout, expected.into_bytes());
        }
    }
}
