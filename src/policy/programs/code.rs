//! Programs that run code which is not looked into: builds, tests, interpreters, and those that reach other machines.

use super::super::act::{Act, Effect, EffectKind, Word};
use super::super::ground::Place;
use super::super::shell::Walk;
use super::{Command, runners};

/// Builds and tests: the code is the repository's.
const BUILDS: [&str; 50] = [
    "cargo",
    "npm",
    "pnpm",
    "yarn",
    "npx",
    "make",
    "ninja",
    "cmake",
    "ctest",
    "meson",
    "just",
    "pytest",
    "tox",
    "mypy",
    "ruff",
    "black",
    "flake8",
    "isort",
    "pylint",
    "go",
    "gofmt",
    "gradle",
    "mvn",
    "dotnet",
    "tsc",
    "eslint",
    "prettier",
    "jest",
    "vitest",
    "mocha",
    "rspec",
    "rake",
    "bundle",
    "mix",
    "rustfmt",
    "clippy-driver",
    "rubocop",
    "phpunit",
    "composer",
    "pre-commit",
    "bazel",
    "sbt",
    "stack",
    "cabal",
    "zig",
    "swift",
    "poetry",
    "uv",
    "hatch",
    "nox",
];

/// Interpreters, which take a file of code.
const INTERPRETERS: [&str; 14] = [
    "python",
    "python2",
    "python3",
    "node",
    "deno",
    "bun",
    "ruby",
    "perl",
    "php",
    "lua",
    "Rscript",
    "ts-node",
    "tsx",
    "osascript",
];

/// Programs that reach other machines, whatever else they do.
const REACHING: [&str; 47] = [
    "curl",
    "wget",
    "scp",
    "sftp",
    "rsync",
    "nc",
    "ncat",
    "netcat",
    "telnet",
    "ftp",
    "dig",
    "host",
    "nslookup",
    "ping",
    "traceroute",
    "whois",
    "socat",
    "gh",
    "glab",
    "aws",
    "gcloud",
    "az",
    "kubectl",
    "docker",
    "podman",
    "helm",
    "terraform",
    "apt",
    "apt-get",
    "yum",
    "dnf",
    "brew",
    "apk",
    "pacman",
    "snap",
    "pip",
    "pip3",
    "pipx",
    "gem",
    "twine",
    "rustup",
    "nvm",
    "http",
    "mosh",
    "lftp",
    "aria2c",
    "httpie",
];

/// Commands of builds that fetch or publish.
const FETCHING: [(&str, &[&str]); 12] = [
    (
        "cargo",
        &[
            "install",
            "fetch",
            "add",
            "update",
            "publish",
            "search",
            "login",
            "logout",
            "owner",
            "yank",
            "vendor",
            "generate-lockfile",
        ],
    ),
    (
        "npm",
        &[
            "install", "i", "ci", "add", "update", "up", "publish", "login", "adduser", "audit",
            "view", "info", "search", "outdated", "exec", "create", "init", "x", "pack", "whoami",
        ],
    ),
    (
        "pnpm",
        &[
            "install", "i", "add", "update", "publish", "dlx", "login", "create", "audit",
        ],
    ),
    (
        "yarn",
        &[
            "install", "add", "upgrade", "publish", "dlx", "login", "create", "audit", "",
        ],
    ),
    ("npx", &["*"]),
    ("go", &["get", "install", "mod"]),
    ("bundle", &["install", "update", "add"]),
    ("dotnet", &["restore", "add", "nuget", "publish"]),
    ("composer", &["*"]),
    ("poetry", &["install", "add", "update", "publish"]),
    ("uv", &["pip", "sync", "add", "tool", "publish"]),
    ("mix", &["deps.get", "hex.publish"]),
];

pub(super) fn is_one(name: &str) -> bool {
    let lists: [&[&str]; 3] = [&BUILDS, &INTERPRETERS, &REACHING];
    lists.iter().any(|list| list.contains(&name))
}

pub(super) fn describe(walk: &mut Walk<'_>, command: &Command<'_>, act: &mut Act) {
    if REACHING.contains(&command.name) {
        act.add(EffectKind::Network);
        act.add(EffectKind::Unknown);
    } else if INTERPRETERS.contains(&command.name) {
        interpret(walk, command, act);
    } else {
        build(walk, command, act);
    }
}

fn build(walk: &mut Walk<'_>, command: &Command<'_>, act: &mut Act) {
    let mut arguments = command.arguments;
    // `cargo +nightly test` is `cargo test`.
    if command.name == "cargo"
        && let [Word::Known(toolchain), rest @ ..] = arguments
        && toolchain.starts_with('+')
    {
        arguments = rest;
        let program = Word::Known("cargo".to_owned());
        act.words = std::iter::once(program)
            .chain(rest.iter().cloned())
            .collect();
    }
    act.add(EffectKind::Code);
    let first = arguments.first().map_or("", Word::shown);
    let fetches = FETCHING.iter().find(|(name, _)| *name == command.name);
    let is_offline = arguments
        .iter()
        .any(|word| word.known() == Some("--no-install"));
    if !is_offline
        && fetches.is_some_and(|(_, names)| names.contains(&first) || names.contains(&"*"))
    {
        act.add(EffectKind::Network);
    }
    leads_outside(walk, arguments, act);
    runners::doubt_named(command.name, arguments, act);
}

/// What a program is told of other places may be written to.
fn leads_outside(walk: &mut Walk<'_>, arguments: &[Word], act: &mut Act) {
    for word in arguments {
        let Some(text) = word.known() else {
            if *word == Word::Unknown {
                act.doubt("it can't be told what an argument is");
            }
            continue;
        };
        let value = text.split_once('=').map_or(text, |(_, value)| value);
        let is_glued = text.starts_with('-') && !text.starts_with("--") && text.contains('/');
        if is_glued && !text.contains('=') {
            act.doubt(format!("it can't be told where `{text}` leads"));
        }
        if !value.contains('/') && value != ".." {
            continue;
        }
        let mut found = Act::new("");
        walk.touch(
            EffectKind::Write,
            &Word::Known(value.to_owned()),
            &mut found,
        );
        let is_inside =
            |effect: &Effect| matches!(effect.place, Some(Place::Path { inside: true, .. }));
        act.effects.extend(
            found
                .effects
                .into_iter()
                .filter(|effect| !is_inside(effect)),
        );
    }
}

fn interpret(walk: &mut Walk<'_>, command: &Command<'_>, act: &mut Act) {
    let words: Option<Vec<&str>> = command.arguments.iter().map(Word::known).collect();
    match words.as_deref() {
        Some(["--version" | "-V" | "-v" | "--help"]) => act.add(EffectKind::Nothing),
        Some(["-m", _, ..] | ["--test", ..]) => {
            act.add(EffectKind::Code);
            leads_outside(walk, command.arguments, act);
            // A module is a program: `python3 -m pytest`.
            let (name, arguments) = match command.arguments {
                [Word::Known(option), Word::Known(module), rest @ ..] if option == "-m" => {
                    (module.as_str(), rest)
                }
                arguments => (command.name, arguments),
            };
            runners::doubt_named(name, arguments, act);
        }
        Some([file, ..]) if !file.starts_with('-') && file.contains('.') => {
            run_file(walk, file, act)
        }
        _ => {
            act.add(EffectKind::Code);
            act.add(EffectKind::Unknown);
            act.doubt("it is not looked into code that comes with the command");
        }
    }
}

/// Runs a file of code.
pub(super) fn run_file(walk: &mut Walk<'_>, file: &str, act: &mut Act) {
    let word = Word::Known(file.to_owned());
    let mut found = Act::new("");
    walk.touch(EffectKind::Code, &word, &mut found);
    act.effects.append(&mut found.effects);
    act.doubts.append(&mut found.doubts);
}

/// A program that is named by its path, and is none of the system's.
pub(super) fn script_of(walk: &mut Walk<'_>, program: &str, act: &mut Act) {
    let arguments: Vec<Word> = act.words[1..].to_vec();
    run_file(walk, program, act);
    leads_outside(walk, &arguments, act);
    let name = program.rsplit('/').next().unwrap_or(program);
    runners::doubt_named(name, &arguments, act);
}
