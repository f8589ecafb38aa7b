//! No input takes long, and none ends the program.

use std::time::Duration;

use cx_operator::policy::Policy;
use proptest::prelude::*;
use rustix::time::{ClockId, clock_gettime};

use super::{judge, preset};

/// In a release build a command takes well below a millisecond.
const LIMIT: Duration = Duration::from_millis(if cfg!(debug_assertions) { 250 } else { 50 });

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(now).expect("a time")
}

/// The least of several attempts: other tests run in the same process.
fn least(script: &str) -> Duration {
    let policy = preset("edit-and-test");
    let mut least = Duration::MAX;
    for _ in 0..6 {
        let before = cpu();
        judge(&policy, script);
        least = least.min(cpu().saturating_sub(before));
        if least < LIMIT {
            break;
        }
    }
    least
}

#[test]
fn deep_nestings_take_no_time() {
    let openers = [
        "{",
        "(",
        "$(",
        "`",
        "((",
        "$((",
        "[[ ",
        "if ",
        "while ",
        "for x in ",
        "case x in ",
        "! ",
        "${",
        "${x:-",
        "f() {",
        "<(",
        "{ ",
        "( ",
        "[",
        "\"$(",
        "<<E ",
        "until ",
        "coproc ",
        "function f { ",
        "time ",
        "if (",
        "$((",
    ];
    let mut slow = Vec::new();
    for opener in openers {
        for count in [1, 2, 4, 6, 7, 8, 9, 10, 12, 20, 100, 2_000] {
            let closer: String = opener
                .chars()
                .rev()
                .filter_map(|c| match c {
                    '(' => Some(')'),
                    '{' => Some('}'),
                    '[' => Some(']'),
                    '`' | '"' => Some(c),
                    _ => None,
                })
                .collect();
            let open = opener.repeat(count);
            let whole = format!("{open}x{}", closer.repeat(count));
            let spaced = format!("{open}x{}", format!(" ;{closer}").repeat(count));
            for script in [open, whole, spaced] {
                let took = least(&script);
                if took >= LIMIT {
                    slow.push(format!("{took:?}: {count} of {opener:?}"));
                }
            }
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

#[test]
fn long_commands_take_no_time() {
    for script in [
        "a".repeat(16_000),
        "a ".repeat(8_000),
        "a;".repeat(8_000),
        "a|".repeat(7_000) + "a",
        "\\\n".repeat(8_000),
        "'a'".repeat(5_000),
        "$a".repeat(8_000),
        "a=b ".repeat(4_000),
        "x".repeat(1 << 20),
        ">a ".repeat(5_000),
        "a&&".repeat(5_000) + "a",
        "\"$a\"".repeat(4_000),
        "\n".repeat(16_000),
        "#".repeat(16_000),
        "~".repeat(16_000),
        "*".repeat(16_000),
    ] {
        let took = least(&script);
        let start: String = script.chars().take(8).collect();
        assert!(
            took < 4 * LIMIT,
            "{took:?}: {} bytes of {start}",
            script.len()
        );
    }
}

/// What a hook does for a command, as agents write them: it reads the policy and judges.
#[test]
fn a_decision_takes_less_than_five_milliseconds() {
    let limit = LIMIT / 10;
    let text = preset("edit-and-test").text().to_owned();
    let mut took: Vec<Duration> = Vec::new();
    for line in super::TABLE.lines() {
        let command = super::command(&line[18..]);
        let attempts = (0..3).map(|_| {
            let before = cpu();
            let policy = Policy::parse_unchecked(&text).expect("a policy");
            judge(&policy, &command);
            cpu().saturating_sub(before)
        });
        took.extend(attempts.min());
    }
    took.sort_unstable();
    let p99 = took[took.len() * 99 / 100];
    assert!(p99 < limit, "{p99:?}");
}

fn token() -> impl Strategy<Value = String> {
    let tokens = [
        "{", "}", "(", ")", "$(", "`", "'", "\"", "\\", "\n", ";", "&", "|", "<", ">", "<<", "<<<",
        "<(", "$", "${", "$((", "))", "[[", "]]", "if", "then", "fi", "while", "do", "done", "for",
        "in", "case", "esac", "!", "function", "time", "coproc", "=", "a", "git", "push", "bash",
        "-c", "eval", "find", "-exec", "{}", "sed", "-i", "s/a/b/", "é", "\u{a0}", "\r", "\0", "~",
        "*", "#", " ", "  ", "E", "-", "1",
    ];
    prop_oneof![
        8 => prop::sample::select(tokens.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_input_panics_or_takes_long(tokens in prop::collection::vec(token(), 0..60), spaced in any::<bool>()) {
        let script = tokens.join(if spaced { " " } else { "" });
        let took = least(&script);
        prop_assert!(took < LIMIT, "{took:?}: {script}");
    }
}
