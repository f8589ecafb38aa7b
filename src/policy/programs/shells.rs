//! Shells, and the builtins that run a script they are given.

use super::super::act::{Act, EffectKind, Word};
use super::super::shell::{Stdin, Walk};
use super::{Command, code};

/// Shells of that kind read a script alike, as far as it is understood here.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "ksh", "ash"];

pub(super) fn is_one(name: &str) -> bool {
    SHELLS.contains(&name) || ["eval", "trap", "source", "."].contains(&name)
}

pub(super) fn describe(walk: &mut Walk<'_>, command: &Command<'_>, act: &mut Act) {
    match command.name {
        "eval" => eval(walk, command.arguments, act),
        "trap" => trap(walk, command.arguments, act),
        "source" | "." => match command.arguments {
            [Word::Known(file), ..] => {
                act.doubt("it can't be told what that file sets");
                code::run_file(walk, file, act);
                walk.directories = None;
            }
            _ => unknown(act, "it can't be told what it runs"),
        },
        _ => shell(walk, command, act),
    }
}

fn unknown(act: &mut Act, why: &str) {
    act.add(EffectKind::Unknown);
    act.doubt(why);
}

fn eval(walk: &mut Walk<'_>, arguments: &[Word], act: &mut Act) {
    let words: Option<Vec<&str>> = arguments.iter().map(Word::known).collect();
    match words {
        Some(words) => walk.script(&words.join(" ")),
        None => unknown(act, "it can't be told what it runs"),
    }
}

fn trap(walk: &mut Walk<'_>, arguments: &[Word], act: &mut Act) {
    match arguments {
        [Word::Known(flag)] if ["-l", "-p"].contains(&flag.as_str()) => {}
        [Word::Known(script), rest @ ..] if rest.iter().all(|word| word.known().is_some()) => {
            let directories = walk.directories.take();
            walk.inner(script);
            walk.directories = directories;
        }
        [] => {}
        _ => unknown(act, "it can't be told what it runs"),
    }
}

/// `bash -c SCRIPT`, `bash FILE`, or a script on standard input.
fn shell(walk: &mut Walk<'_>, command: &Command<'_>, act: &mut Act) {
    let mut arguments = command.arguments.iter();
    let mut is_command = false;
    while let Some(word) = arguments.clone().next() {
        let Some(text) = word
            .known()
            .filter(|text| text.starts_with(['-', '+']) && text.len() > 1)
        else {
            break;
        };
        arguments.next();
        if text == "--" {
            break;
        }
        let takes_value = text.ends_with('o') && !text.starts_with("--");
        if takes_value
            && arguments
                .next()
                .and_then(Word::known)
                .is_none_or(|value| !["pipefail", "errexit", "nounset"].contains(&value))
        {
            act.doubt(format!("nothing is known of {text}"));
        }
        is_command |= !text.starts_with("--") && text.starts_with('-') && text.contains('c');
        let is_mild = matches!(text, "--norc" | "--noprofile" | "--login" | "--posix")
            || !text.starts_with("--") && text[1..].chars().all(|c| "ceulxo".contains(c));
        if !is_mild {
            act.doubt(format!("nothing is known of {text}"));
        }
    }
    let first = arguments.next();
    match (first, is_command, command.stdin) {
        (Some(Word::Known(script)), true, _) => walk.inner(script),
        (Some(Word::Known(file)), false, _) if file != "-" => code::run_file(walk, file, act),
        (None, false, Stdin::Text(script)) => walk.inner(script),
        _ => unknown(act, "it can't be told what it runs"),
    }
}
