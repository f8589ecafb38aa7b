//! The keys are put together at run time: no scanner shall find one in this file.

use std::time::Instant;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A key of each kind, by what is cut out of it before and after the middle.
fn keys() -> Vec<(&'static str, String)> {
    let of = |length: usize| "aB3xY9kQ7mZ2".repeat(length / 12 + 1)[..length].to_owned();
    let upper = |length: usize| of(length).to_uppercase();
    let block = |kind: &str| {
        let lines = [of(64), of(64), of(20)].join("\n");
        format!("-----BEGIN {kind}-----\n{lines}==\n-----END {kind}-----")
    };
    vec![
        ("OpenAI key", format!("sk-{}T3BlbkFJ{}", of(20), of(20))),
        (
            "OpenAI key",
            format!("sk-proj-{}_{}-{}", of(40), of(30), of(50)),
        ),
        ("OpenAI key", format!("sk-svcacct-{}", of(80))),
        (
            "Anthropic key",
            format!("sk-ant-api03-{}-{}AA", of(50), of(41)),
        ),
        ("GitHub token", format!("ghp_{}", of(36))),
        ("GitHub token", format!("gho_{}", of(36))),
        ("GitHub token", format!("ghu_{}", of(36))),
        ("GitHub token", format!("ghs_{}", of(36))),
        ("GitHub token", format!("ghr_{}", of(76))),
        ("GitHub token", format!("github_pat_{}_{}", of(22), of(59))),
        ("AWS key id", format!("AKIA{}", upper(16))),
        ("AWS key id", format!("ASIA{}", upper(16))),
        ("Slack token", format!("xoxb-2345678901-{}", of(24))),
        ("Slack token", format!("xoxp-2345678901-234567-{}", of(32))),
        ("Slack token", format!("xapp-1-A0{}-{}", upper(9), of(64))),
        (
            "Slack webhook",
            format!(
                "hooks.slack.com/services/T{}/B{}/{}",
                upper(8),
                upper(8),
                of(24)
            ),
        ),
        (
            "JSON web token",
            format!("eyJ{}.eyJ{}.{}", of(33), of(60), of(43)),
        ),
        ("private key", block("PRIVATE KEY")),
        ("private key", block("RSA PRIVATE KEY")),
        ("private key", block("OPENSSH PRIVATE KEY")),
        ("private key", block("PGP PRIVATE KEY BLOCK")),
        ("private key", block("EC PRIVATE KEY").replace('\n', "\\n")),
        (
            "private key",
            block("ENCRYPTED PRIVATE KEY").replace('\n', "\n+  "),
        ),
    ]
}

/// The secret of an AWS key, 40 characters.
fn secret() -> String {
    "wJalrXUtnFEMI/K7MDENG+bPxRfiCY4ZzQ9tLm2a".to_owned()
}

#[test]
fn each_kind_is_taken_out_and_named() {
    for (name, key) in keys() {
        for (before, after) in [
            ("", ""),
            ("a=", ";"),
            ("\"", "\""),
            ("\\n", "\\n"),
            ("%3D", "&b"),
            ("ü", "ü"),
            ("\\u003d", "\\u0026"),
        ] {
            let text = format!("{before}{key}{after}");
            let clean = redact(&text);
            assert_eq!(clean.text, format!("{before}[redacted: {name}]{after}"));
            assert_eq!(clean.count, 1);
        }
    }
}

/// Found among a million cases.
#[test]
fn keys_that_touch_are_taken_out_at_once() {
    let key = |name: &str| {
        keys()
            .into_iter()
            .find(|key| key.0 == name)
            .expect("known")
            .1
    };
    let (id, other, token) = (
        key("AWS key id"),
        key("Anthropic key"),
        key("JSON web token"),
    );
    for text in [format!("{id}{other}"), format!("{token}.{token}")] {
        let clean = redact(&text).text;
        assert!(
            !clean.contains("3XY9") && !clean.contains("3xY9"),
            "{clean}"
        );
    }
}

#[test]
fn a_secret_of_aws_is_known_by_the_words_before_it() {
    let key = secret();
    for before in [
        "aws_secret_access_key = ",
        "AWS_SECRET_ACCESS_KEY=",
        "\"SecretAccessKey\": \"",
        "\\\"SecretAccessKey\\\": \\\"",
        "AWS secret access key is: ",
        "secretAccessKey: '",
        "<SecretAccessKey>",
    ] {
        let text = format!("{before}{key}\n");
        assert_eq!(
            redact(&text).text,
            format!("{before}[redacted: AWS access key]\n")
        );
    }
    assert_eq!(redact(&key).count, 0, "40 characters are anything");
}

#[test]
fn what_is_no_key_stays() {
    let image = "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg==".repeat(200);
    for text in [
        "0123456789abcdef0123456789abcdef01234567",
        "aws secret access key rotated in 0123456789abcdef0123456789abcdef01234567",
        "019a5b2c-1f00-7abc-8def-0123456789ab",
        "20260101-000000-sk-fix-the-login-page-of-admin-0a1b",
        "20260101-000000-sk-proj-migration-of-the-database-2-0a1b",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "class=\"sk-cube-grid sk-circle-fade-dot-animation\"",
        "task-risk-disk-abcdefghijklmnopqrstuvwxyz0123456789",
        "set OPENAI_API_KEY=sk-... or sk-ant-... and ghp_xxxx, AKIA… and xoxb-…",
        "AKIAB and XAKIA0123456789ABCDEF",
        "eyJhbGciOiJIUzI1NiJ9 and heyJude.something.somewhere",
        "a file that begins with -----BEGIN PRIVATE KEY----- and goes on",
        "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ8s3F0vS5mFhYw\n-----END CERTIFICATE-----",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB5m5m5m5m5m5m5m5m5m5m5m5m5m5m5m5m5m5m5m a@b",
        "https://hooks.slack.com/services",
        &image,
    ] {
        let clean = redact(text);
        assert_eq!((clean.count, clean.text.as_ref()), (0, text));
    }
}

#[test]
fn a_block_that_was_cut_is_taken_out_as_far_as_it_goes() {
    let (_, block) = keys().pop().expect("some");
    let cut = &block[..block.len() - 50];
    let clean = redact(cut);
    assert_eq!(clean.count, 1);
    assert!(!clean.text.contains("aB3xY9kQ7mZ2aB3x"), "{}", clean.text);
}

#[test]
fn every_string_of_a_document_is_looked_at() {
    let (_, key) = keys().remove(0);
    let mut document =
        json!({"a": [key, {"b": format!("x\n{key}")}], "c": 1, "d": null, "e": true});
    assert_eq!(redact_json(&mut document), 2);
    let clean = "[redacted: OpenAI key]";
    assert_eq!(
        document,
        json!({"a": [clean, {"b": format!("x\n{clean}")}], "c": 1, "d": null, "e": true})
    );
}

/// The beginnings of keys, and blocks that never end: what takes a square of the length takes hours.
#[test]
fn time_is_linear_in_the_length() {
    for piece in [
        "sk-",
        "eyJ",
        "-----BEGIN PRIVATE KEY-----\n",
        "aws_secret: ",
        "ghp_ab ",
        "eyJabcdefghijkl.",
        "xox",
    ] {
        let text = piece.repeat(200_000 / piece.len());
        let begun = Instant::now();
        drop(redact(&text));
        assert!(
            begun.elapsed().as_secs() < 30,
            "{piece}: {:?}",
            begun.elapsed()
        );
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "says something of an optimised build only")]
fn ten_megabytes_take_less_than_a_tenth_of_a_second() {
    let line = "2026-01-01T00:00:00.000Z INFO request id=019a5b2c-1f00-7abc-8def-0123456789ab took 12 ms, commit 0123456789abcdef0123456789abcdef01234567, see https://example.com/sketch?x=1 (désolé)\n";
    let text = line.repeat(10_000_000 / line.len());
    drop(redact(line));
    let begun = Instant::now();
    assert_eq!(redact(&text).count, 0);
    let took = begun.elapsed();
    assert!(took.as_millis() < 100, "{took:?}");
}

/// The surroundings of a key.
fn neighbour() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("\n".to_owned()),
        Just("\\n".to_owned()),
        Just("\\\"".to_owned()),
        Just("\\\\n".to_owned()),
        Just("%20".to_owned()),
        "[ -,./:-@\\[^`{-~]{1,3}",
        "\\PC{0,20} ",
    ]
}

proptest! {
    #[test]
    fn any_text_is_taken_and_the_second_time_changes_nothing(text in ".{0,300}") {
        let once = redact(&text);
        let twice = redact(&once.text);
        prop_assert_eq!((twice.count, &twice.text), (0, &once.text));
    }

    #[test]
    fn no_planted_key_is_left(
        parts in proptest::collection::vec((neighbour(), proptest::sample::select(keys()), neighbour()), 1..6),
    ) {
        let mut text = String::new();
        for (before, (_, key), after) in &parts {
            let glued = after.starts_with(|c: char| c.is_ascii_alphanumeric()) || after.is_empty();
            let after = if glued { " " } else { after };
            text += &format!("{before}{key}{after}");
        }
        let clean = redact(&text);
        for (_, (_, key), _) in &parts {
            let middle = &key[key.len() / 3..key.len() / 3 + 12];
            prop_assert!(!clean.text.contains(middle), "{text:?}: {:?}", clean.text);
        }
        prop_assert!(clean.count >= 1);
        let twice = redact(&clean.text);
        prop_assert_eq!((twice.count, &twice.text), (0, &clean.text));
    }

    #[test]
    fn pieces_of_keys_are_taken_too(
        parts in proptest::collection::vec((proptest::sample::select(keys()), 0usize..120, 0usize..120), 1..8),
    ) {
        let cut = |((_, key), from, length): ((&str, String), usize, usize)| {
            let from = from.min(key.len());
            key[from..(from + length).min(key.len())].to_owned()
        };
        let text: String = parts.into_iter().map(cut).collect();
        let once = redact(&text);
        let twice = redact(&once.text);
        prop_assert_eq!((twice.count, &twice.text), (0, &once.text), "{}", text);
    }
}
