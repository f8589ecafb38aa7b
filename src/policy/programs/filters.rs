//! Programs with a small language of their own, and those whose operands need a closer look.

use super::super::act::{Act, EffectKind, Word};
use super::super::shell::{Stdin, Walk};
use super::{Call, Command, table};

mod find;
mod sed;

pub(super) fn is_one(name: &str) -> bool {
    [
        "find", "sed", "awk", "gawk", "mawk", "cp", "mv", "ln", "dd", "install",
    ]
    .contains(&name)
}

pub(super) fn describe(walk: &mut Walk<'_>, command: &Command<'_>, act: &mut Act) {
    match command.name {
        "find" => find::describe(walk, command, act),
        "sed" => sed::describe(walk, command.arguments, act),
        "awk" | "gawk" | "mawk" => awk(walk, command.arguments, act),
        "dd" => dd(walk, command.arguments, act),
        "cp" | "mv" | "ln" => copy(walk, command, act),
        name => table::describe(walk, name, command.arguments, act),
    }
}

/// A program of awk with none of these neither starts a command nor opens a file.
fn awk(walk: &mut Walk<'_>, arguments: &[Word], act: &mut Act) {
    let mut rest = arguments;
    while let [Word::Known(option), after @ ..] = rest {
        match option.as_str() {
            "-F" | "-v" => rest = after.get(1..).unwrap_or_default(),
            "--" => {
                rest = after;
                break;
            }
            option if option.starts_with("-F") || option.starts_with("-v") => rest = after,
            option if option.starts_with('-') => {
                act.add(EffectKind::Unknown);
                return act.doubt(format!("nothing is known of awk's {option}"));
            }
            _ => break,
        }
    }
    let Some((Word::Known(program), files)) = rest.split_first() else {
        act.add(EffectKind::Unknown);
        return act.doubt("it can't be told what it runs");
    };
    let opens = [
        "|", ">", "<", "@", "system", "getline", "fflush", "close", "ENVIRON", "PROCINFO", "ARGV",
    ];
    if let Some(word) = opens.iter().find(|word| program.contains(*word)) {
        act.add(EffectKind::Unknown);
        act.doubt(format!("its program has `{word}`"));
    }
    for file in files {
        // `NAME=VALUE` is no file.
        let is_assignment = file.known().is_some_and(|file| file.contains('='));
        if !is_assignment {
            walk.touch(EffectKind::Read, file, act);
        }
    }
}

fn dd(walk: &mut Walk<'_>, arguments: &[Word], act: &mut Act) {
    for word in arguments {
        let pair = word.known().and_then(|text| text.split_once('='));
        match pair {
            Some(("if", file)) => walk.touch(EffectKind::Read, &Word::Known(file.to_owned()), act),
            Some(("of", file)) => walk.touch(EffectKind::Write, &Word::Known(file.to_owned()), act),
            Some(("bs" | "ibs" | "obs" | "count" | "skip" | "seek" | "status" | "conv", _)) => {}
            _ => act.doubt(format!("nothing is known of dd's {}", word.shown())),
        }
    }
}

/// The options of these three that only say how, and those that copy or make links.
const MILD: &str = "afinpTuvrRbLHPdsx";
const MILD_LONG: [&str; 12] = [
    "--archive",
    "--force",
    "--interactive",
    "--no-clobber",
    "--parents",
    "--recursive",
    "--update",
    "--verbose",
    "--symbolic",
    "--no-dereference",
    "--preserve",
    "--dereference",
];

fn copy(walk: &mut Walk<'_>, command: &Command<'_>, act: &mut Act) {
    let (mut files, mut into, mut may_link) = (Vec::new(), None, command.name == "ln");
    let mut rest = command.arguments.iter();
    while let Some(word) = rest.next() {
        match word.known() {
            Some("--") => files.extend(rest.by_ref()),
            Some("-t") => into = rest.next(),
            Some(text) if text.len() > 1 && text.starts_with('-') => {
                let is_mild = MILD_LONG.contains(&text)
                    || !text.starts_with("--") && text[1..].chars().all(|c| MILD.contains(c));
                may_link |= text.contains(['a', 'd', 'P', 's', 'r', 'R']);
                if !is_mild {
                    act.doubt(format!("nothing is known of {text}"));
                }
            }
            _ => files.push(word),
        }
    }
    let last = into.or_else(|| if files.len() > 1 { files.pop() } else { None });
    let Some(last) = last else {
        act.add(EffectKind::Unknown);
        return act.doubt("it can't be told what it writes to");
    };
    walk.touch(EffectKind::Write, last, act);
    for file in files {
        match (command.name, file.known()) {
            // A link leads from where it lies.
            ("ln", Some(target)) if !target.starts_with('/') => {
                let at = last.known().unwrap_or_default();
                let below = at.rsplit_once('/').map_or("", |(parent, _)| parent);
                let from = |place: &str| {
                    Word::Known(format!(
                        "{}/{target}",
                        if place.is_empty() { "." } else { place }
                    ))
                };
                walk.touch(EffectKind::Write, &from(below), act);
                walk.touch(EffectKind::Write, &from(at), act);
            }
            ("ln" | "mv", _) => walk.touch(EffectKind::Write, file, act),
            _ => walk.touch(EffectKind::Read, file, act),
        }
    }
    // What is moved may be a link, or have some.
    walk.has_links |= may_link || command.name == "mv";
}

/// The command of `find -exec`, with the file in it.
fn run(walk: &mut Walk<'_>, words: Vec<Word>, act: &Act) {
    let doubts = act.doubts.clone();
    super::act(
        walk,
        Call {
            words,
            stdin: Stdin::Inherited,
            doubts,
        },
    );
}
