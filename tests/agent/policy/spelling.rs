//! No spelling of a denied command is an allowed one.

use cx_operator::policy::Action;
use proptest::prelude::*;

use super::{judge, preset};

/// Denied by `edit-and-test` and `local-only` alike.
const DENIED: [&[&str]; 6] = [
    &["git", "push"],
    &["git", "push", "origin", "main"],
    &["rm", "-rf", "/"],
    // Outside also from below `cd src`, as often as that is put around it.
    &["touch", "../../../../x"],
    &["sudo", "ls"],
    &["npm", "publish"],
];

/// How a character is spelled.
fn spelled(c: char, how: u8) -> String {
    match how % 9 {
        0..=2 => c.to_string(),
        3 => format!("\\{c}"),
        4 => format!("'{c}'"),
        5 => format!("\"{c}\""),
        6 => format!("$'\\x{:02x}'", u32::from(c)),
        7 => format!("''{c}"),
        _ => format!("\\\n{c}"),
    }
}

/// A word in which every character is spelled in some way.
fn word(text: &str, hows: &[u8]) -> String {
    let mut hows = hows.iter().cycle();
    text.chars()
        .map(|c| spelled(c, *hows.next().unwrap_or(&0)))
        .collect()
}

fn quoted(script: &str) -> String {
    format!("'{}'", script.replace('\'', "'\\''"))
}

/// A command within something that runs it.
fn wrapped(script: &str, how: u8) -> String {
    let q = quoted(script);
    match how % 42 {
        0 => format!("bash -c {q}"),
        1 => format!("sh -ec {q}"),
        2 => format!("eval {q}"),
        3 => format!("({script})"),
        4 => format!("{{ {script}; }}"),
        5 => format!("if true; then {script}; fi"),
        6 => format!("while {script}; do :; done"),
        7 => format!("for i in 1; do {script}; done"),
        8 => format!("case x in *) {script};; esac"),
        9 => format!("f() {{ {script}; }}; f"),
        10 => format!("echo $({script})"),
        11 => format!("true && {script}"),
        12 => format!("ls | {script}"),
        13 => format!("{script} &"),
        14 => format!("! {script}"),
        15 => format!("cd src && {script}"),
        16 => format!("timeout 5 bash -c {q}"),
        17 => format!("env bash -c {q}"),
        18 => format!("nohup sh -c {q}"),
        19 => format!("find . -exec sh -c {q} \\;"),
        20 => format!("xargs sh -c {q}"),
        21 => format!("cat <(({script}))"),
        22 => format!("cat <<E\n$({script})\nE"),
        23 => format!("bash <<'E'\n{script}\nE"),
        24 => format!("bash <<< {q}"),
        25 => format!("trap {q} EXIT"),
        26 => format!("x=1\n{script}\n"),
        27 => format!("[[ -n $({script}) ]]"),
        28 => format!("echo \"a $({script}) b\""),
        29 => format!("x={q}; eval \"$x\""),
        30 => format!("x={q}; $x"),
        31 => format!("git -c alias.z={} z", quoted(&format!("!{script}"))),
        32 => format!("awk 'BEGIN {{ system({}) }}'", "\"x\"") + "; " + script,
        33 => format!("echo {q} | sh"),
        34 => format!("bundle exec sh -c {q}"),
        35 => format!("npx --no-install -c {q}"),
        36 => format!("npm exec -- sh -c {q}"),
        37 => format!("cmake -E env A=b sh -c {q}"),
        38 => format!("tox exec -e py -- sh -c {q}"),
        39 => format!("just --command sh -c {q}"),
        40 => format!("poetry run sh -c {q}"),
        _ => format!("rustup run stable sh -c {q}"),
    }
}

/// Other spellings of the whole: variables, brace expansion, IFS, aliases, paths, unicode.
fn replaced(words: &[&str], spelled: &[String], how: u8) -> String {
    let line = spelled.join(" ");
    let rest = spelled[1..].join(" ");
    match how % 14 {
        0 => format!("x={}; $x {rest}", spelled[0]),
        1 => spelled.join("$IFS"),
        2 => spelled.join("${IFS}"),
        3 => format!("{{{}}}", words.join(",")),
        4 => format!("alias z='{}'\nz", words.join(" ")),
        5 => format!("/usr/bin/{line}"),
        6 => format!("/bin/../usr/bin/{line}"),
        7 => format!(
            "{}?{} {rest}",
            &words[0][..1],
            words[0].get(2..).unwrap_or("")
        ),
        8 => format!("$(echo {}) {rest}", words[0]),
        9 => spelled.join("\u{a0}"),
        10 => format!("\u{200b}{line}"),
        11 => format!("command {line}"),
        12 => format!("PATH=/x {line}"),
        _ => line,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_spelling_of_a_denied_command_is_allowed(
        which in 0..DENIED.len(),
        hows in prop::collection::vec(any::<u8>(), 1..12),
        form in any::<u8>(),
        wraps in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let words = DENIED[which];
        let spelled: Vec<String> = words.iter().map(|text| word(text, &hows)).collect();
        let mut script = replaced(words, &spelled, form);
        for how in wraps {
            script = wrapped(&script, how);
        }
        for name in ["edit-and-test", "local-only"] {
            let verdict = judge(&preset(name), &script);
            prop_assert_ne!(verdict.action, Action::Allow, "{}: {}\n{:?}", name, script, verdict);
        }
    }

    /// Whatever comes after or before it.
    #[test]
    fn a_denied_command_is_not_hidden_by_its_company(
        before in "[ -~\n]{0,12}",
        after in "[ -~\n]{0,12}",
    ) {
        let script = format!("{before}\ngit push\n{after}");
        let verdict = judge(&preset("edit-and-test"), &script);
        // Within quotes or a heredoc it is a text.
        let is_text = before.contains(['\'', '"', '#', '\\', '<', '`', '$']);
        prop_assert!(is_text || verdict.action != Action::Allow, "{script}: {verdict:?}");
    }
}

/// Quoted in full, it is denied, not only asked for.
#[test]
fn a_plain_spelling_is_denied_in_every_wrapper() {
    let policy = preset("edit-and-test");
    // What is run by a variable, an alias or a pipe can't be told.
    let untold = [29, 30, 31, 33];
    for how in (0..42).filter(|how| !untold.contains(how)) {
        let script = wrapped("git push", how);
        assert_eq!(judge(&policy, &script).action, Action::Deny, "{script}");
    }
    for how in 0..9 {
        let script = format!("{} {}", word("git", &[how]), word("push", &[how]));
        assert_eq!(judge(&policy, &script).action, Action::Deny, "{script}");
    }
}
