//! Arguments that `delegate` refuses before anything is created: exit status, words, document, and nothing left.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;

use crate::refusal::{Refusal, assert_refused, refusal, repository, usage};
use testkit::world::Ran;

use crate::place::Place;

#[test]
fn task_names_that_are_none() {
    let place = Place::new();
    for (name, why) in [
        ("", "it is empty"),
        ("Refactor", "must start with a lower-case letter"),
        ("a b", "only lower-case letters"),
        ("a/b", "only lower-case letters"),
        ("a..b", "`..` is not allowed"),
        ("a.lock", "`.lock`"),
        ("a\u{1b}[2J", "only lower-case letters"),
        (&"a".repeat(49), "longer than 48"),
    ] {
        let refused = Refusal {
            code: "task_name",
            exit: 2,
            names: &[why, "hint: "],
        };
        let ran = assert_refused(&place, || place.delegate(name), b"brief", &refused);
        let document = ran.document();
        assert_eq!(document["task"], name);
        assert_eq!(
            (&document["run_id"], &document["branch"]),
            (&Value::Null, &Value::Null)
        );
    }
    place.assert_told("task-names-that-are-none");
}

#[test]
fn prompts_that_are_none() {
    let place = Place::new();
    let (code, exit) = ("prompt", 2);
    let long = vec![b'a'; (1 << 20) + 1];
    for (bytes, why) in [
        (&b""[..], "the prompt is empty"),
        (b" \n\t", "the prompt is empty"),
        (b"ab\xffc", "not UTF-8 from byte 2 on"),
        (&long, "at most 1048576"),
    ] {
        assert_refused(
            &place,
            || place.delegate("t"),
            bytes,
            &refusal(code, exit, &[why, "--prompt-file"]),
        );
        let file = place.path("brief.md");
        fs::write(&file, bytes).expect("written");
        let from_file = || {
            let mut command = place.delegate("t");
            command.arg("--prompt-file").arg(&file);
            command
        };
        assert_refused(&place, from_file, b"", &refusal(code, exit, &[why]));
    }
    let missing = || {
        let mut command = place.delegate("t");
        command.args(["--prompt-file", "nowhere.md"]);
        command
    };
    assert_refused(
        &place,
        missing,
        b"",
        &usage(&["nowhere.md", "No such file"]),
    );
    let directory = || {
        let mut command = place.delegate("t");
        command.arg("--prompt-file").arg(place.repo());
        command
    };
    let refused = Refusal {
        code: "io",
        exit: 1,
        names: &["repo", "directory"],
    };
    assert_refused(&place, directory, b"", &refused);
    place.assert_told("prompts-that-are-none");
}

#[test]
fn bases_that_name_no_commit() {
    let place = Place::new();
    for base in [
        "no-such-branch",
        "-h",
        "--help",
        "HEAD^{tree}",
        "",
        "HEAD~99",
    ] {
        let command = || {
            let mut command = place.delegate("t");
            command.arg(format!("--base={base}"));
            command
        };
        assert_refused(
            &place,
            command,
            b"brief",
            &repository(&[&format!("'{base}'")]),
        );
    }
    place.assert_told("bases-that-name-no-commit");
}

#[test]
fn a_value_that_may_be_secret_is_never_repeated() {
    let place = Place::new();
    for pair in [
        "sk-secret",
        "=sk-secret",
        "1A=sk-secret",
        "A-B=sk-secret",
        "A B=sk-secret",
    ] {
        let command = || {
            let mut command = place.delegate("t");
            command.args(["--env", pair]);
            command
        };
        let ran = assert_refused(&place, command, b"brief", &usage(&["--env", "NAME=VALUE"]));
        assert!(!ran.stderr.contains("secret") && !ran.stdout.contains("secret"));
    }
    place.assert_told("a-value-that-may-be-secret-is-never-repeated");
}

#[test]
fn durations_are_checked_by_the_command_line() {
    let place = Place::new();
    for flag in [
        "--timeout",
        "--turn-timeout",
        "--startup-timeout",
        "--responder-timeout",
    ] {
        for value in ["0s", "soon", "-5m", "8d", "15"] {
            let argument = format!("{flag}={value}");
            let ran = Ran::of(place.delegate("t").args([&argument, "--json"]), b"brief");
            assert_eq!(ran.code, 2, "{argument}: {}", ran.stderr);
            assert_eq!(ran.document()["error"]["code"], "usage");
            assert!(
                ran.stderr.contains(flag) && ran.stderr.contains(value),
                "{}",
                ran.stderr
            );
        }
    }
    for (flag, value) in [
        ("--max-turns", "0"),
        ("--max-turns", "9"),
        ("--keep", "all"),
    ] {
        let ran = Ran::of(place.delegate("t").args([flag, value]), b"brief");
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
    }
    place.assert_untouched("refs/heads/main");
}

#[test]
fn policies_that_are_none() {
    let place = Place::new();
    let file = place.path("policy.toml");
    let command = || {
        let mut command = place.delegate("t");
        command.arg("--policy").arg(&file);
        command
    };
    let (code, exit) = ("policy_file", 2);
    let missing = refusal(code, exit, &["policy.toml", "No such file"]);
    assert_refused(&place, command, b"brief", &missing);
    for (text, why) in [
        ("[[rule]]\naction = \"maybe\"\n", "line 2, column 10"),
        (
            "[[rule]]\naction = \"deny\"\ncolour = 1\n",
            "line 3, column 1",
        ),
        (
            "[[rule]]\naction = \"deny\"\ncommand = [\"git push\"]\nmatch = [\"git pull\"]\n",
            "line 1: the rule",
        ),
        ("extends = \"everything\"\n", "names no preset"),
    ] {
        fs::write(&file, text).expect("written");
        assert_refused(&place, command, b"brief", &refusal(code, exit, &[why]));
    }
}

#[test]
fn answers_files_that_are_none() {
    let place = Place::new();
    let file = place.path("answers.toml");
    let command = || {
        let mut command = place.delegate("t");
        command.arg("--answers").arg(&file);
        command
    };
    let (code, exit) = ("answers_file", 2);
    assert_refused(
        &place,
        command,
        b"brief",
        &refusal(code, exit, &["answers.toml", "No such file"]),
    );
    for (text, why) in [
        ("[[answer]]\npattern = 1\n", "line 2"),
        (
            "[[answer]]\npattern = \"(\"\nreply = \"x\"\n",
            "pattern `(`",
        ),
        ("[[answer]]\npattern = \"a\"\nreply = \"\"\n", "is empty"),
        ("[[reply]]\n", "line 1"),
    ] {
        fs::write(&file, text).expect("written");
        assert_refused(
            &place,
            command,
            b"brief",
            &refusal(code, exit, &["answers.toml", why]),
        );
    }
    let responder = || {
        let mut command = place.delegate("t");
        command.args(["--responder", " "]);
        command
    };
    assert_refused(
        &place,
        responder,
        b"brief",
        &usage(&["--responder is empty"]),
    );
    place.assert_told("answers-files-that-are-none");
}

#[test]
fn arguments_that_are_no_text() {
    let place = Place::new();
    for flag in ["--task", "--prompt", "--base", "--env"] {
        let mut command = place.delegate("t");
        let ran = Ran::of(command.arg(flag).arg(OsStr::from_bytes(b"a\xff")), b"brief");
        assert_eq!(ran.code, 2, "{flag}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    let both = Ran::of(
        place
            .delegate("t")
            .args(["--prompt", "a", "--prompt-file", "b"]),
        b"",
    );
    assert_eq!(both.code, 2);
    place.assert_untouched("refs/heads/main");
}
