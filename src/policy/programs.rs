//! What programs do, as far as their command line says.
//!
//! A program is only as harmless as the options that are known of it: one that is not listed is a doubt.

mod code;
mod filters;
mod git;
mod runners;
mod shells;
mod table;
mod wrappers;

use std::path::Path;

use super::act::{Act, Effect, EffectKind, Word};
use super::ground::{self, Place};
use super::shell::{Stdin, Walk};

/// A command that is about to be run.
pub(super) struct Call {
    /// The program and its arguments.
    pub(super) words: Vec<Word>,
    pub(super) stdin: Stdin,
    pub(super) doubts: Vec<String>,
}

/// Variables that programs heed, and that change nothing but their words.
const HARMLESS: [&str; 22] = [
    "CARGO_TERM_COLOR",
    "CI",
    "CLICOLOR",
    "COLUMNS",
    "DEBUG",
    "FORCE_COLOR",
    "GIT_PAGER_IN_USE",
    "LANG",
    "LC_ALL",
    "LC_COLLATE",
    "LC_CTYPE",
    "LINES",
    "NODE_ENV",
    "NO_COLOR",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "RUST_TEST_THREADS",
    "TERM",
    "TZ",
    "TEST_THREADS",
];

/// Variables in lower case that a shell or programs heed.
const HEEDED: [&str; 12] = [
    "path",
    "cdpath",
    "fpath",
    "manpath",
    "mailpath",
    "module_path",
    "histchars",
    "prompt",
    "psvar",
    "argv",
    "commands",
    "aliases",
];

/// Whether a command may be started with that variable.
pub(super) fn is_harmless_variable(name: &str) -> bool {
    HARMLESS.contains(&name)
}

/// Whether a variable is one that nothing but the script itself heeds.
pub(super) fn is_private_variable(name: &str) -> bool {
    let is_lower = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let is_ours = is_lower && !HEEDED.contains(&name) && !name.ends_with("_proxy");
    is_ours || is_harmless_variable(name)
}

/// Whether anything is known of a program.
pub(super) fn is_known(name: &str) -> bool {
    table::is_listed(name)
        || wrappers::is_one(name)
        || filters::is_one(name)
        || shells::is_one(name)
        || code::is_one(name)
        || ["git", "cd", "pushd", "popd"].contains(&name)
}

/// Adds the act of a command, and of those that it starts.
pub(super) fn act(walk: &mut Walk<'_>, call: Call) {
    let shown: Vec<&str> = call.words.iter().map(Word::shown).collect();
    let mut act = Act::new(shown.join(" "));
    act.doubts.clone_from(&call.doubts);
    let Some(program) = call.words.first() else {
        act.add(EffectKind::Nothing);
        return walk.push(act);
    };
    let Some(program) = program.known().map(str::to_owned) else {
        act.words.clone_from(&call.words);
        act.add(EffectKind::Unknown);
        act.doubt("it can't be told which program that is");
        return walk.push(act);
    };
    let name = name_of(walk, &program, &mut act);
    act.words = std::iter::once(Word::Known(name.clone()))
        .chain(call.words[1..].iter().cloned())
        .collect();
    if !act.is_system {
        code::script_of(walk, &program, &mut act);
        return walk.push(act);
    }
    let command = Command {
        name: &name,
        arguments: &call.words[1..],
        stdin: &call.stdin,
    };
    describe(walk, &command, &mut act);
    runners::take_inner(walk, &command);
    if act.effects.is_empty() {
        act.add(EffectKind::Nothing);
    }
    walk.push(act);
}

/// The name of a program without its directory. What else it may be called is noted, and whether it is the system's.
fn name_of(walk: &Walk<'_>, program: &str, act: &mut Act) -> String {
    let base = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    if !program.contains('/') {
        return program.to_owned();
    }
    act.names.push(program.to_owned());
    let directories = walk.directories.as_deref().unwrap_or_default();
    let mut real = directories
        .iter()
        .filter_map(|directory| ground::resolve(&directory.join(program)));
    let real = real.next();
    // `/bin` is a link to `/usr/bin` on some machines.
    act.is_system = real.as_deref().is_some_and(ground::is_system) && program.starts_with('/');
    act.names.extend(real.as_deref().and_then(base));
    base(Path::new(program)).unwrap_or_else(|| program.to_owned())
}

/// A command whose program is the system's.
struct Command<'c> {
    name: &'c str,
    arguments: &'c [Word],
    stdin: &'c Stdin,
}

fn describe(walk: &mut Walk<'_>, command: &Command<'_>, act: &mut Act) {
    match command.name {
        "cd" => change_directory(walk, command.arguments, act),
        "pushd" | "popd" => {
            walk.directories = None;
            act.doubt("it can't be told where that leads");
        }
        "git" => git::describe(walk, command, act),
        "set" => {
            let is_mild = |word: &Word| {
                word.known()
                    .is_some_and(|word| MILD_SETTINGS.contains(&word))
            };
            if !command.arguments.iter().all(is_mild) {
                act.doubt("it changes how the shell reads");
            }
        }
        "export" | "local" | "declare" | "readonly" | "typeset" | "unset" | "read" => {
            declare(walk, command.arguments, act)
        }
        name if wrappers::is_one(name) => wrappers::describe(walk, command, act),
        name if shells::is_one(name) => shells::describe(walk, command, act),
        name if filters::is_one(name) => filters::describe(walk, command, act),
        name if code::is_one(name) => code::describe(walk, command, act),
        name => table::describe(walk, name, command.arguments, act),
    }
}

/// What `set` may change.
const MILD_SETTINGS: [&str; 14] = [
    "-e", "+e", "-u", "+u", "-x", "+x", "-eu", "-ex", "-eux", "-euo", "-euxo", "-o", "pipefail",
    "-exo",
];

fn declare(walk: &mut Walk<'_>, arguments: &[Word], act: &mut Act) {
    for word in arguments {
        let Some(text) = word.known() else {
            act.doubt("it can't be told what it sets");
            continue;
        };
        let name = text.split('=').next().unwrap_or(text);
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let is_mild = if text.starts_with('-') {
            ["-r", "-i", "-x"].contains(&text)
        } else {
            // An exported one is in the environment of all that follows.
            is_name && walk.assigned(name)
        };
        if !is_mild {
            act.doubt(format!("it sets {name}"));
        }
    }
}

fn change_directory(walk: &mut Walk<'_>, arguments: &[Word], act: &mut Act) {
    let arguments: Vec<&Word> = arguments
        .iter()
        .filter(|word| word.known() != Some("--"))
        .collect();
    let target = match arguments.as_slice() {
        [] => walk.ground.home().and_then(Path::to_str).map(str::to_owned),
        [Word::Known(to)] if !to.starts_with('-') && !to.is_empty() => Some(to.clone()),
        _ => None,
    };
    let moved = match (target, &walk.directories) {
        (Some(to), Some(from)) => {
            let joined = from.iter().map(|from| ground::resolve(&from.join(&to)));
            joined
                .collect::<Option<Vec<_>>>()
                .filter(|_| !walk.has_links)
        }
        (Some(to), None) if to.starts_with('/') => {
            ground::resolve(Path::new(&to)).map(|to| vec![to])
        }
        _ => None,
    };
    if moved.is_none() {
        act.doubt("it can't be told where that leads");
    }
    walk.directories = moved;
}

/// Adds the effect on the worktree as a whole, seen from where the command runs.
fn touch_directory(walk: &Walk<'_>, kind: EffectKind, act: &mut Act) {
    match &walk.directories {
        Some(directories) => {
            for directory in directories {
                let place = walk.ground.place(directory, ".");
                act.effects.push(Effect::at(kind, place));
            }
        }
        None => {
            act.effects.push(Effect::at(kind, Place::Unsure));
            act.doubt("it can't be told in which directory it runs");
        }
    }
}
