//! `find`: its tests, and the commands that it runs.

use super::super::super::act::{Act, EffectKind, Word};
use super::super::super::shell::Walk;
use super::super::Command;

/// Tests and actions without and with a value.
const PLAIN: [&str; 26] = [
    "-print",
    "-print0",
    "-ls",
    "-not",
    "!",
    "-o",
    "-or",
    "-a",
    "-and",
    "(",
    ")",
    ",",
    "-prune",
    "-empty",
    "-executable",
    "-readable",
    "-writable",
    "-quit",
    "-xdev",
    "-mount",
    "-true",
    "-false",
    "-depth",
    "-daystart",
    "-follow",
    "-noleaf",
];
const VALUED: [&str; 28] = [
    "-name",
    "-iname",
    "-path",
    "-ipath",
    "-wholename",
    "-regex",
    "-iregex",
    "-type",
    "-xtype",
    "-maxdepth",
    "-mindepth",
    "-size",
    "-mtime",
    "-mmin",
    "-ctime",
    "-cmin",
    "-atime",
    "-amin",
    "-newer",
    "-perm",
    "-user",
    "-group",
    "-links",
    "-inum",
    "-printf",
    "-regextype",
    "-lname",
    "-samefile",
];

pub(super) fn describe(walk: &mut Walk<'_>, command: &Command<'_>, act: &mut Act) {
    let mut rest = command.arguments;
    while let [Word::Known(flag), after @ ..] = rest {
        if !["-H", "-L", "-P", "-O1", "-O2", "-O3"].contains(&flag.as_str()) {
            break;
        }
        rest = after;
    }
    let is_root = |word: &Word| {
        word.known()
            .is_none_or(|word| !word.starts_with(['-', '(', '!']) || word == "-")
    };
    let roots = rest.iter().take_while(|word| is_root(word)).count();
    let (roots, mut rest) = rest.split_at(roots);
    let here = [Word::Known(".".to_owned())];
    let roots = if roots.is_empty() { &here[..] } else { roots };
    for root in roots {
        walk.touch(EffectKind::Read, root, act);
    }
    while let [word, after @ ..] = rest {
        rest = after;
        match word.known() {
            Some(plain) if PLAIN.contains(&plain) => {}
            Some(valued) if VALUED.contains(&valued) => {
                if rest.first() == Some(&Word::Unknown) {
                    act.doubt("it can't be told what an argument is");
                }
                rest = rest.get(1..).unwrap_or_default();
            }
            Some("-delete") => {
                for root in roots {
                    walk.touch(EffectKind::Write, root, act);
                }
            }
            Some("-exec" | "-execdir" | "-ok" | "-okdir") => {
                let is_end = |word: &Word| matches!(word.known(), Some(";" | "+"));
                let end = rest.iter().position(is_end).unwrap_or(rest.len());
                run_on_each(walk, &rest[..end], roots, act);
                rest = rest.get(end + 1..).unwrap_or_default();
            }
            _ => act.doubt(format!("nothing is known of find's {}", word.shown())),
        }
    }
}

/// `{}` is any file below the roots.
fn run_on_each(walk: &mut Walk<'_>, words: &[Word], roots: &[Word], act: &Act) {
    let below = match roots {
        [Word::Known(root)] if !root.starts_with('-') => {
            Word::Pattern(format!("{}/*", root.trim_end_matches('/')))
        }
        _ => Word::Unknown,
    };
    let filled = words.iter().map(|word| match word.known() {
        Some("{}") => below.clone(),
        Some(text) if text.contains("{}") => Word::Unknown,
        _ => word.clone(),
    });
    super::run(walk, filled.collect(), act);
}
