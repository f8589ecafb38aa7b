//! The labelled corpora and the properties of `turn::classify`.
//!
//! `corpus/messages.jsonl` holds one message per line and says by its meaning what it is. Those marked `held_out` were written
//! before the rules that they were first measured with; they were looked at since.

#![expect(
    clippy::print_stdout,
    reason = "`--nocapture` shows the accuracy and the times"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cx_operator::agent::report::Phase;
use cx_operator::turn::classify::{
    Classification, Evidence, PREAMBLE, PROBE, RULES, Verdict, classify, classify_with,
};
use proptest::prelude::*;
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;

/// What a message of `corpus/messages.jsonl` is, by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Is {
    Result,
    Question,
    Permission,
    Status,
    /// The agent gave up, was blocked, or did a part.
    Stop,
    /// Nobody can tell.
    Unclear,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    is: Is,
    message: String,
    #[serde(default)]
    held_out: bool,
}

fn ends() -> Vec<End> {
    include_str!("../corpus/messages.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a labelled message"))
        .collect()
}

/// Prints how a part of the messages is read; returns the share of finished work that is read as a result.
fn recognised(name: &str, ends: &[End], evidence: Evidence) -> f64 {
    let (mut finished, mut right) = (0, 0);
    let mut table = BTreeMap::<String, usize>::new();
    for end in ends {
        let found = classify_with(&end.message, evidence);
        *table
            .entry(format!("{:?} as {:?}", end.is, found.verdict))
            .or_default() += 1;
        let is_result = found.verdict == Verdict::Result;
        if end.is == Is::Result {
            finished += 1;
            right += usize::from(is_result);
        }
        if (end.is == Is::Result) != is_result {
            println!(
                "  {:?}, read as {:?} by {}: {:?}",
                end.is, found.verdict, found.rule, end.message
            );
        }
    }
    let share = f64::from(right as u32) / f64::from(finished);
    println!("{name}: {table:#?}, {right} of {finished} results");
    share
}

/// What may be known beside a message: nothing, and that the agent called tools before.
const KNOWN: [Evidence; 2] = [
    evidence(false, Phase::Unknown, false),
    evidence(true, Phase::FinalAnswer, false),
];

const fn evidence(worked: bool, phase: Phase, overtaken: bool) -> Evidence {
    Evidence {
        worked,
        phase,
        overtaken,
    }
}

#[test]
fn finished_work_is_recognised() {
    for held_out in [false, true] {
        let mut part = ends();
        part.retain(|end| end.held_out == held_out);
        for known in KNOWN {
            let name = format!("held out: {held_out}, {known:?}");
            let share = recognised(&name, &part, known);
            let floor = if known.worked { 0.86 } else { 0.75 };
            assert!(share >= floor, "{name}: {share}");
        }
    }
}

/// The costly error.
#[test]
fn nothing_else_is_called_a_result() {
    for known in KNOWN {
        for end in ends()
            .into_iter()
            .filter(|end| !matches!(end.is, Is::Result | Is::Unclear))
        {
            let found = classify_with(&end.message, known);
            let (rule, message) = (found.rule, end.message);
            assert_ne!(found.verdict, Verdict::Result, "by {rule}: {message}");
            // Nor is who waits told to go on.
            let waits = matches!(end.is, Is::Question | Is::Permission);
            let told = waits && found.verdict == Verdict::Status;
            assert!(!told, "by {rule}: {message}");
        }
    }
}

#[test]
fn what_was_said_on_the_way_is_no_result() {
    let message = "I've added the flag and its test.";
    assert_eq!(classify(message).verdict, Verdict::Result);
    for known in [
        evidence(true, Phase::Commentary, false),
        evidence(true, Phase::FinalAnswer, true),
    ] {
        assert_eq!(classify_with(message, known).rule, "midway", "{known:?}");
    }
    let status = format!("{message}\n\nSTATUS: DONE");
    let overtaken = evidence(true, Phase::FinalAnswer, true);
    assert_eq!(classify_with(&status, overtaken).verdict, Verdict::Unclear);
    let announced = "Now the tests. Let me run them.";
    let last = evidence(true, Phase::FinalAnswer, false);
    assert_eq!(classify(announced).verdict, Verdict::Status);
    assert_eq!(classify_with(announced, last).rule, "midway");
}

/// What is unclear the agent is asked about; only what is taken for something else without asking stays wrong.
#[test]
fn with_the_agent_asked_nearly_all_is_right() {
    let known = KNOWN[1];
    let ends = ends();
    let wrong = |end: &&End| match classify_with(&end.message, known).verdict {
        Verdict::Unclear => false,
        Verdict::Result => !matches!(end.is, Is::Result | Is::Unclear),
        Verdict::Status => end.is != Is::Status,
        // Whoever stopped waits for somebody, too.
        Verdict::Question | Verdict::Permission => matches!(end.is, Is::Result | Is::Status),
    };
    let wrong = ends.iter().filter(wrong).count();
    println!("{wrong} of {} wrong", ends.len());
    assert!(wrong * 100 <= ends.len(), "{wrong} of {}", ends.len());
}

/// A question that is read as unclear costs a turn; where it is plain, it need not.
#[test]
fn most_questions_are_recognised() {
    let waits = |end: &End| matches!(end.is, Is::Question | Is::Permission);
    let (mut all, mut right) = (0, 0);
    for end in ends().into_iter().filter(waits) {
        let verdict = classify(&end.message).verdict;
        all += 1;
        right += usize::from(matches!(verdict, Verdict::Question | Verdict::Permission));
    }
    println!("{right} of {all} questions");
    assert!(right * 4 > all * 3);
}

#[test]
fn every_rule_decides_some_message() {
    let midway = [evidence(true, Phase::Commentary, false)];
    let messages = ends().into_iter().map(|end| end.message);
    let messages: Vec<String> = messages.chain(["STATUS: CONTINUE".to_owned()]).collect();
    let reached: BTreeSet<_> = messages
        .iter()
        .flat_map(|message| {
            let known = KNOWN.iter().chain(&midway);
            known.map(|known| classify_with(message, *known).rule)
        })
        .collect();
    let rules: BTreeSet<_> = RULES.iter().map(|rule| rule.rule).collect();
    assert_eq!(rules.len(), RULES.len(), "two rules share a name");
    // Those of the probe decide its answers: `turn::tests::probe`.
    let of_messages = rules.into_iter().filter(|rule| !rule.starts_with("probe_"));
    assert_eq!(reached, of_messages.collect::<BTreeSet<_>>());
}

#[test]
fn preamble_is_short_and_plain() {
    assert!(PREAMBLE.len() < 400, "{} bytes", PREAMBLE.len());
    assert!(PREAMBLE.is_ascii() && !PREAMBLE.contains('\n'));
    for status in ["STATUS: DONE", "STATUS: QUESTION", "STATUS: BLOCKED"] {
        assert!(PREAMBLE.contains(status), "{status}");
    }
    assert!(PROBE.is_ascii() && !PROBE.contains('\n'));
    assert_ne!(
        classify(PREAMBLE).verdict,
        Verdict::Result,
        "an agent that echoes its brief has finished nothing"
    );
}

#[test]
fn serializes_as_the_command_prints_it() {
    let found = serde_json::to_value(classify("Should I go on?")).expect("plain data");
    assert_eq!(
        found,
        serde_json::json!({"verdict": "question", "rule": "question"})
    );
}

#[test]
fn status_line_is_read_in_any_markup() {
    for line in [
        "STATUS: DONE",
        "**STATUS: DONE**",
        "**Status:** done",
        "`STATUS: DONE`.",
        "_status: Done_",
        "## STATUS : DONE",
        "- STATUS: DONE",
        "STATUS: DONE (both parts)",
        "STATUS: DONE — nothing else was touched",
        "```\nSTATUS: DONE\n```",
        "```text\n**STATUS: DONE**\n```",
    ] {
        let found = classify(&format!("The flag is there.\r\n\r\n{line}\r\n\r\n"));
        assert_eq!(found.rule, "trailer_done", "{line}");
    }
    for line in [
        "STATUS: QUESTION",
        "Which one? STATUS: QUESTION",
        "STATUS: QUESTION - is the ticket's status: done or open?",
        "**STATUS: QUESTION** (see above)",
    ] {
        let found = classify(line);
        assert_eq!(found.rule, "trailer_question", "{line}");
    }
    for line in [
        "> STATUS: DONE",
        "\"STATUS: DONE\"",
        "It ends with:\n\n```\nSTATUS: DONE\n```",
        "STATUS: DONE except for the tests, which still fail",
        "Status: done with the first half; the second remains",
        "STATUS: UNDONE",
        "STATUS: DONE | QUESTION",
    ] {
        let found = classify(&format!("The flag.\n\n{line}"));
        assert_ne!(found.verdict, Verdict::Result, "{line}: {}", found.rule);
    }
}

/// Texts that make a careless scanner look back or ahead again and again.
const REPETITIVE: [&str; 16] = [
    "a ",
    "I've added it. ",
    "Should I go? ",
    "\"a ",
    "a\" ",
    "'a ",
    "“a ",
    "`",
    "` `` ",
    "``` ",
    "\n```",
    "\n> a",
    "\n- a?",
    "?",
    ".)",
    "STATUS: ",
];

#[test]
fn time_is_linear_in_the_length() {
    let time = |text: &str, bytes: usize| {
        let message = text.repeat(bytes / text.len());
        // Of this thread alone: what else the machine does has no part in it.
        let now = || {
            let time = clock_gettime(ClockId::ThreadCPUTime);
            let seconds = u64::try_from(time.tv_sec).expect("a time");
            Duration::from_secs(seconds)
                + Duration::from_nanos(u64::try_from(time.tv_nsec).expect("a time"))
        };
        let start = now();
        let _: Classification = classify(&message);
        now() - start
    };
    time("warm up. ", 1 << 10);
    for text in REPETITIVE {
        // 16 times the length: 16 times the time if linear, 80 times where the regular expressions take their slower engine
        // for a long text, 256 times if quadratic.
        let linear = (0..3).any(|_| {
            let (short, long) = (time(text, 1 << 13), time(text, 1 << 17));
            println!("{text:?}: 8 KiB {short:?}, 128 KiB {long:?}");
            long < short.max(Duration::from_millis(1)) * 128
        });
        assert!(linear, "{text:?}");
    }
}

#[test]
fn a_mebibyte_is_read_to_its_end() {
    let report =
        "I've moved the flag to `src/flag.rs` and covered it with a test.\n".repeat(1 << 14);
    assert!(report.len() > 1 << 20);
    assert_eq!(classify(&report).verdict, Verdict::Result);
    assert_eq!(
        classify(&format!("{report}Should the old one stay?")).verdict,
        Verdict::Question
    );
    assert_eq!(
        classify(&format!("Should the old one stay?\n{report}")).verdict,
        Verdict::Question
    );
}

/// Pieces from which markdown that means something is more likely than from random characters.
fn message() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("I've added the flag. "),
        Just("All tests pass."),
        Just("\n"),
        Just("\r\n\n"),
        Just("```"),
        Just("\n```\n"),
        Just("> "),
        Just("- "),
        Just("## "),
        Just("**"),
        Just("`"),
        Just("\""),
        Just("'"),
        Just("“"),
        Just("”"),
        Just("Done. "),
        Just("What changed? "),
        Just("Let me know if you'd like more. "),
        Just("Should I? "),
        Just("No, it is. "),
        Just("STATUS: DONE"),
        Just("\nSTATUS: QUESTION\n"),
        Just("Reading the file now…"),
        Just("    "),
        Just("~~~"),
        Just("？"),
        Just("ß"),
        Just("I went with A. "),
    ];
    let pieces = prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat());
    prop_oneof![3 => pieces, 1 => any::<String>()]
}

fn direct_question() -> impl Strategy<Value = String> {
    let opening = prop_oneof![
        Just("Should I"),
        Just("Do you want me to"),
        Just("Do you want it to"),
        Just("Which one should I"),
        Just("Shall I"),
        Just("Could you tell me whether to"),
        Just("Would you rather have me"),
        Just("Which of the two would you"),
    ];
    let (verb, object) = (
        prop_oneof![
            Just("keep"),
            Just("drop"),
            Just("rename"),
            Just("use"),
            Just("migrate")
        ],
        prop_oneof![
            Just("the table"),
            Just("`old_name`"),
            Just("it"),
            Just("both"),
            Just("the \"legacy\" flag")
        ],
    );
    let end = prop_oneof![
        Just("?"),
        Just("?  "),
        Just("??"),
        Just("? 🙂"),
        Just("?\n\n"),
        Just("？")
    ];
    (opening, verb, object, end)
        .prop_map(|(opening, verb, object, end)| format!("{opening} {verb} {object}{end}"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_message_gets_a_known_rule(message in message()) {
        prop_assert!(RULES.contains(&classify(&message)));
    }

    #[test]
    fn a_question_trailer_always_asks(message in message()) {
        // Not even an unclosed fence hides the trailer.
        let found = classify(&format!("{message}\nSTATUS: QUESTION"));
        prop_assert_eq!(found.verdict, Verdict::Question, "by {}", found.rule);
    }

    #[test]
    fn a_closing_question_is_never_a_result(message in message(), question in direct_question()) {
        let decorations = [
            ("", ""),
            ("- ", ""),
            ("**", "**"),
            ("### ", ""),
            ("", "\nSTATUS: DONE"),
            ("", "\n\n**STATUS: DONE**"),
        ];
        for (before, after) in decorations {
            let whole = format!("{message}\n{before}{question}{after}");
            let found = classify(&whole);
            prop_assert_ne!(found.verdict, Verdict::Result, "by {}: {:?}", found.rule, whole);
        }
    }

    #[test]
    fn line_ends_change_nothing(message in message()) {
        let message = message.replace('\r', "");
        let unix = classify(&message);
        prop_assert_eq!(unix, classify(&message.replace('\n', "\r\n")));
        prop_assert_eq!(unix, classify(&format!("{message}\n\n")));
    }
}
