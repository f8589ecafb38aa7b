//! git: its options before the command, and what its commands do.

use super::super::act::{Act, EffectKind, Word};
use super::super::shell::Walk;
use super::{Command, table, touch_directory};

/// Options before the command that change nothing but the output.
const MILD: [&str; 6] = [
    "--no-pager",
    "-P",
    "--no-optional-locks",
    "--literal-pathspecs",
    "--no-advice",
    "--no-replace-objects",
];

/// Beginnings of settings that run nothing and lead nowhere.
const MILD_SETTINGS: [&str; 10] = [
    "color.",
    "advice.",
    "user.name=",
    "user.email=",
    "core.quotepath=",
    "core.quotePath=",
    "log.showSignature=false",
    "commit.gpgsign=false",
    "core.pager=cat",
    "init.defaultBranch=",
];

/// Commands that only read, those that write in the worktree, and those that reach another machine.
const READING: [&str; 26] = [
    "status",
    "diff",
    "log",
    "show",
    "blame",
    "rev-parse",
    "describe",
    "ls-files",
    "ls-tree",
    "cat-file",
    "shortlog",
    "rev-list",
    "merge-base",
    "name-rev",
    "for-each-ref",
    "show-ref",
    "show-branch",
    "count-objects",
    "check-ignore",
    "diff-tree",
    "diff-index",
    "diff-files",
    "cherry",
    "version",
    "grep",
    "range-diff",
];
const WRITING: [&str; 5] = ["add", "commit", "restore", "rm", "mv"];
const REACHING: [&str; 9] = [
    "push",
    "fetch",
    "pull",
    "clone",
    "ls-remote",
    "send-email",
    "request-pull",
    "fetch-pack",
    "send-pack",
];

pub(super) fn describe(walk: &mut Walk<'_>, command: &Command<'_>, act: &mut Act) {
    let before = walk.directories.clone();
    let arguments = skip_options(walk, command.arguments, act);
    let program = Word::Known(command.name.to_owned());
    act.words = std::iter::once(program)
        .chain(arguments.iter().cloned())
        .collect();
    match arguments.split_first() {
        Some((Word::Known(name), arguments)) => subcommand(walk, name, arguments, act),
        Some(_) => {
            act.add(EffectKind::Unknown);
            act.doubt("it can't be told which command of git that is");
        }
        None => act.add(EffectKind::Nothing),
    }
    walk.directories = before;
}

/// Leaves out the options before the command. `-C` counts for where it works.
fn skip_options(walk: &mut Walk<'_>, arguments: &[Word], act: &mut Act) -> Vec<Word> {
    let mut arguments = arguments.iter();
    while let Some(word) = arguments.clone().next() {
        let Some(text) = word.known().filter(|text| text.starts_with('-')) else {
            break;
        };
        arguments.next();
        if ["--version", "--help", "--exec-path", "-h", "-v"].contains(&text) {
            return Vec::new();
        }
        let is_mild = match text {
            "-C" => {
                let to = arguments.next().map_or(&[][..], std::slice::from_ref);
                super::change_directory(walk, to, act);
                true
            }
            "-c" => arguments
                .next()
                .and_then(Word::known)
                .is_some_and(|setting| MILD_SETTINGS.iter().any(|mild| setting.starts_with(mild))),
            "--git-dir" | "--work-tree" | "--namespace" | "--config-env" | "--attr-source"
            | "--super-prefix" => {
                arguments.next();
                false
            }
            text => MILD.contains(&text),
        };
        if !is_mild {
            act.doubt(format!("nothing is known of git's {text}"));
        }
    }
    arguments.cloned().collect()
}

fn subcommand(walk: &mut Walk<'_>, name: &str, arguments: &[Word], act: &mut Act) {
    if READING.contains(&name) {
        touch_directory(walk, EffectKind::Read, act);
        table::describe(walk, &format!("git {name}"), arguments, act);
    } else if WRITING.contains(&name) {
        touch_directory(walk, EffectKind::Write, act);
        if name == "commit" {
            // Its hooks.
            act.add(EffectKind::Code);
        }
        table::describe(walk, &format!("git {name}"), arguments, act);
    } else if REACHING.contains(&name) {
        act.add(EffectKind::Network);
        act.add(EffectKind::Unknown);
    } else if lists(name, arguments) {
        touch_directory(walk, EffectKind::Read, act);
    } else {
        let reaches = matches!(
            (name, words(arguments).first()),
            ("remote", Some(&"update" | &"show" | &"prune"))
                | ("submodule", Some(&"update" | &"add"))
                | ("lfs", _)
        );
        if reaches {
            act.add(EffectKind::Network);
        }
        alias_or_more(walk, name, arguments, act);
    }
}

/// What may change anything, or be an alias; some of these run a command that they are given.
fn alias_or_more(walk: &mut Walk<'_>, name: &str, arguments: &[Word], act: &mut Act) {
    act.add(EffectKind::Unknown);
    act.doubt(format!("it is not known what `git {name}` changes"));
    let words = words(arguments);
    let given = match (name, words.as_slice()) {
        ("bisect", ["run", rest @ ..]) => Some(rest.join(" ")),
        ("submodule", ["foreach", rest @ ..]) => {
            let rest: Vec<&str> = rest
                .iter()
                .copied()
                .filter(|word| !word.starts_with("--"))
                .collect();
            Some(rest.join(" "))
        }
        ("rebase", words) => words.iter().enumerate().find_map(|(at, word)| match *word {
            "-x" | "--exec" => words.get(at + 1).map(|script| (*script).to_owned()),
            word => word.strip_prefix("--exec=").map(str::to_owned),
        }),
        _ => None,
    };
    if let Some(script) = given {
        walk.inner(&script);
    }
}

fn words(arguments: &[Word]) -> Vec<&str> {
    arguments.iter().map(Word::shown).collect()
}

/// Whether a command that may change something only lists.
fn lists(name: &str, arguments: &[Word]) -> bool {
    if arguments.iter().any(|word| word.known().is_none()) {
        return false;
    }
    let words = words(arguments);
    let all = |mild: &[&str]| words.iter().all(|word| mild.contains(word));
    match (name, words.as_slice()) {
        ("branch", _) => all(&[
            "-a",
            "-r",
            "-v",
            "-vv",
            "--list",
            "--all",
            "--remotes",
            "--show-current",
            "--no-color",
            "--merged",
        ]),
        ("tag", _) => all(&["-l", "--list", "-n", "--sort=-creatordate"]),
        ("remote", []) | ("remote", ["-v" | "--verbose"]) | ("remote", ["get-url", _]) => true,
        ("stash", ["list"])
        | ("stash", ["show"])
        | ("worktree", ["list"])
        | ("submodule", ["status"]) => true,
        ("reflog", []) | ("reflog", ["show"]) => true,
        ("config", ["--get" | "--get-all" | "get", name]) => !name.starts_with('-'),
        ("config", ["--list" | "-l" | "list"]) => true,
        _ => false,
    }
}
