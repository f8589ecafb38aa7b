//! Builds that run another command, which their arguments have or name.

use super::super::act::{Act, Word};
use super::super::shell::{Stdin, Walk};
use super::{Call, Command};

/// A program, the words after which the command comes, and how many operands are between.
const RUNNERS: [(&str, &[&str], usize); 33] = [
    ("asdf", &["exec"], 0),
    ("bundle", &["exec"], 0),
    ("bunx", &[], 0),
    ("cmake", &["-E", "chdir"], 1),
    ("cmake", &["-E", "env"], 0),
    ("cmake", &["-E", "time"], 0),
    ("composer", &["exec"], 0),
    ("conda", &["run"], 0),
    ("cross-env", &[], 0),
    ("direnv", &["exec"], 1),
    ("dotenv", &[], 0),
    ("hatch", &["run"], 0),
    ("just", &["--command"], 0),
    ("just", &["-c"], 0),
    ("meson", &["devenv"], 0),
    ("mise", &["exec"], 0),
    ("mise", &["x"], 0),
    ("mix", &["cmd"], 0),
    ("npm", &["exec"], 0),
    ("npm", &["x"], 0),
    ("npx", &[], 0),
    ("pdm", &["run"], 0),
    ("pipenv", &["run"], 0),
    ("pixi", &["run"], 0),
    ("pnpm", &["dlx"], 0),
    ("pnpm", &["exec"], 0),
    ("poetry", &["run"], 0),
    ("rustup", &["run"], 1),
    ("rye", &["run"], 0),
    ("tox", &["exec"], 0),
    ("uv", &["run"], 0),
    ("uvx", &[], 0),
    ("yarn", &["exec"], 0),
];

/// Options of runners without a value.
const FLAGS: [&str; 14] = [
    "--",
    "-q",
    "-s",
    "-v",
    "-y",
    "--frozen",
    "--isolated",
    "--locked",
    "--no-install",
    "--no-sync",
    "--offline",
    "--quiet",
    "--silent",
    "--yes",
];

/// Options of runners with a shell's script.
const SCRIPTS: [&str; 2] = ["-c", "--call"];

/// Adds the acts of the command that a runner runs.
pub(super) fn take_inner(walk: &mut Walk<'_>, command: &Command<'_>) {
    let runner = RUNNERS.iter().find_map(|(name, words, operands)| {
        let rest = after(words, command.arguments).filter(|_| *name == command.name)?;
        Some((rest, *operands))
    });
    let Some((mut rest, mut operands)) = runner else {
        return;
    };
    loop {
        let mut is_sure = true;
        while let [Word::Known(text), after @ ..] = rest {
            let name = text.split('=').next().unwrap_or(text);
            if SCRIPTS.contains(&name) && ["npx", "npm", "pnpm", "bunx"].contains(&command.name) {
                let glued = text.split_once('=').map(|(_, script)| script);
                let script = glued.or_else(|| after.first().and_then(Word::known));
                return script.into_iter().for_each(|script| walk.inner(script));
            }
            if !text.starts_with('-') && !text.contains('=') {
                break;
            }
            is_sure &= FLAGS.contains(&text.as_str()) || text.contains('=');
            rest = after;
        }
        rest = rest.get(operands..).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
        let call = Call {
            words: rest.to_vec(),
            stdin: Stdin::Unknown,
            doubts: Vec::new(),
        };
        super::act(walk, call);
        if is_sure {
            return;
        }
        // An option that is not known may have had a value.
        (rest, operands) = (&rest[1..], 0);
    }
}

/// What comes after these words; options between them don't count.
fn after<'w>(words: &[&str], mut arguments: &'w [Word]) -> Option<&'w [Word]> {
    for wanted in words {
        let at = arguments.iter().position(|word| {
            word.known() == Some(wanted) || !word.known().is_some_and(|word| word.starts_with('-'))
        })?;
        if arguments[at].known() != Some(wanted) {
            return None;
        }
        arguments = &arguments[at + 1..];
    }
    Some(arguments)
}

/// Options that name what else is run. One counts with its value, and in its short spelling where it is a long one.
const NAMING: [(&str, &[&str]); 15] = [
    ("ctest", &["--build-and-test", "--test-command"]),
    (
        "dotnet",
        &["-p:*", "/p:*", "-property:*", "/property:*", "--property"],
    ),
    (
        "go",
        &[
            "-exec",
            "--exec",
            "-toolexec",
            "--toolexec",
            "-vettool",
            "--vettool",
            "-compiler",
            "-gccgoflags",
        ],
    ),
    (
        "just",
        &[
            "--shell",
            "--shell-arg",
            "--shell-command",
            "--chooser",
            "--choose",
            "--edit",
            "-e",
            "--dotenv-command",
        ],
    ),
    ("make", &["--eval", "-E*"]),
    ("gmake", &["--eval", "-E*"]),
    ("meson", &["--wrapper", "--gdb", "--gdb-path"]),
    ("mypy", &["--install-types", "--python-executable"]),
    (
        "node",
        &[
            "-e",
            "--eval",
            "-p",
            "--print",
            "--import",
            "-r",
            "--require",
            "--loader",
            "--experimental-loader",
        ],
    ),
    ("npm", &["--script-shell", "--node-options"]),
    ("npx", &["--script-shell", "--node-options"]),
    ("pnpm", &["--script-shell", "--node-options"]),
    ("pytest", &["--pastebin"]),
    ("tox", &["-x*", "--override"]),
    ("yarn", &["--script-shell", "--node-options"]),
];

/// Builds that take several goals, those that publish nothing, and the options with a value of its own.
const GOALS: [(&str, &[&str], &[&str]); 3] = [
    (
        "gradle",
        &[
            "assemble",
            "build",
            "check",
            "classes",
            "clean",
            "compile*",
            "lint*",
            "test*",
            "spotless*",
        ],
        &["--tests", "-x", "--exclude-task", "--max-workers"],
    ),
    (
        "mvn",
        &[
            "clean",
            "compile",
            "integration-test",
            "package",
            "test",
            "test-compile",
            "validate",
            "verify",
        ],
        &[
            "-pl",
            "--projects",
            "-rf",
            "--resume-from",
            "-T",
            "--threads",
        ],
    ),
    (
        "rake",
        &["clean", "spec*", "test*", "lint*", "rubocop*"],
        &["-j"],
    ),
];

/// Parts of the names of make's variables that say which program is run.
const PROGRAMS: [&str; 26] = [
    "AR", "AS", "CC", "CPP", "CXX", "LD", "FC", "NM", "CARGO", "CMD", "COMMAND", "COMPILER",
    "EDITOR", "GIT", "GO", "LAUNCHER", "MAKE", "NODE", "NPM", "PAGER", "PROG", "PROGRAM", "PYTHON",
    "RUSTC", "SHELL", "WRAPPER",
];

/// Doubts what names another program, script or goal.
pub(super) fn doubt_named(name: &str, arguments: &[Word], act: &mut Act) {
    let words: Vec<&str> = arguments.iter().filter_map(Word::known).collect();
    let naming = NAMING.iter().find(|(program, _)| *program == name);
    let plain = name.trim_end_matches('w');
    let goals = GOALS.iter().find(|(program, ..)| *program == plain);
    for (at, word) in words.iter().copied().enumerate() {
        let is_naming =
            naming.is_some_and(|(_, options)| options.iter().any(|option| is_option(option, word)));
        let is_other = |goals: &[&str]| {
            let goal = word.rsplit(':').next().unwrap_or(word);
            // A goal of a plugin has its name before it, a task of gradle the path to its project.
            let is_of_plugin = plain == "mvn" && word.contains(':');
            is_of_plugin || !goals.iter().any(|known| fits(known, goal))
        };
        let is_value = |valued: &[&str]| at > 0 && valued.contains(&words[at - 1]);
        let is_goal = at > 0
            && !word.starts_with('-')
            && goals.is_some_and(|(_, goals, valued)| !is_value(valued) && is_other(goals));
        let is_set = match name {
            "make" | "gmake" => word
                .split_once('=')
                .is_some_and(|(variable, value)| sets_program(variable, value)),
            "cmake" => word.strip_prefix("-D").is_some_and(|set| {
                let variable = set.split(['=', ':']).next().unwrap_or(set);
                sets_program(variable, "")
            }),
            "go" => word.contains("extld"),
            "mvn" | "mvnw" => word.starts_with("-Dexec."),
            _ => false,
        };
        if is_naming || is_goal || is_set {
            act.doubt(format!("it can't be told what `{word}` makes {name} run"));
        }
    }
}

/// Whether a word is that option, with a value or not; a long one may be cut short.
fn is_option(option: &str, word: &str) -> bool {
    let given = word.split('=').next().unwrap_or(word);
    let is_cut = given.len() > 3 && given.starts_with("--") && option.starts_with(given);
    fits(option, given) || is_cut
}

fn fits(pattern: &str, word: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => word.starts_with(start),
        None => word == pattern,
    }
}

/// Whether a variable of a build names a program, or has what a shell would run.
fn sets_program(variable: &str, value: &str) -> bool {
    let variable = variable.trim_end_matches([':', '?', '+', '!']);
    let mut parts = variable
        .split(|c: char| !c.is_ascii_alphabetic())
        .filter(|part| !part.is_empty());
    let is_program = parts.any(|part| PROGRAMS.contains(&part.to_ascii_uppercase().as_str()));
    let is_script = value.contains(['$', '`', ';', '&', '|', '<', '>', '(', ')', '\n', '#']);
    is_program || is_script || variable.starts_with('.')
}
