//! Programs that run another command, which their own arguments have.

use super::super::act::{Act, EffectKind, Word};
use super::super::shell::{Stdin, Walk};
use super::{Call, Command};

/// How a wrapper's arguments are read, up to the command that it runs.
struct Wrapper {
    name: &'static str,
    /// Options without a value, and with one.
    flags: &'static [&'static str],
    valued: &'static [&'static str],
    /// Operands before the command.
    operands: usize,
}

const fn wrapper(
    name: &'static str,
    flags: &'static [&'static str],
    valued: &'static [&'static str],
    operands: usize,
) -> Wrapper {
    Wrapper {
        name,
        flags,
        valued,
        operands,
    }
}

const WRAPPERS: [Wrapper; 19] = [
    wrapper(
        "env",
        &["-i", "-", "--ignore-environment", "-0", "--null"],
        &["-u", "--unset"],
        0,
    ),
    wrapper(
        "sudo",
        &["-n", "-E", "-H", "-b", "-S", "-i", "-s", "--"],
        &["-u", "-g", "-p", "-h"],
        0,
    ),
    wrapper("doas", &["-n", "-s"], &["-u"], 0),
    wrapper(
        "timeout",
        &[
            "--preserve-status",
            "--foreground",
            "-v",
            "--verbose",
            "-p",
            "-f",
        ],
        &["-s", "-k", "--signal", "--kill-after"],
        1,
    ),
    wrapper("nice", &[], &["-n", "--adjustment"], 0),
    wrapper(
        "ionice",
        &["-t", "--ignore"],
        &["-c", "-n", "--class", "--classdata"],
        0,
    ),
    wrapper("nohup", &[], &[], 0),
    wrapper("setsid", &["-w", "-f", "-c", "--wait", "--fork"], &[], 0),
    wrapper(
        "stdbuf",
        &[],
        &["-i", "-o", "-e", "--input", "--output", "--error"],
        0,
    ),
    wrapper(
        "time",
        &["-p", "-v", "--verbose", "--portability"],
        &["-f", "--format"],
        0,
    ),
    wrapper("command", &["-p"], &[], 0),
    wrapper("builtin", &[], &[], 0),
    wrapper("exec", &["-c", "-l"], &["-a"], 0),
    wrapper("busybox", &[], &[], 0),
    wrapper("toybox", &[], &[], 0),
    wrapper(
        "xargs",
        &[
            "-0",
            "-r",
            "-t",
            "-x",
            "--null",
            "--no-run-if-empty",
            "--verbose",
        ],
        &[
            "-n",
            "-P",
            "-L",
            "-d",
            "-s",
            "-I",
            "-E",
            "--max-args",
            "--max-procs",
            "--delimiter",
        ],
        0,
    ),
    wrapper("taskset", &[], &[], 1),
    wrapper("noglob", &[], &[], 0),
    wrapper("nocorrect", &[], &[], 0),
];

/// Those that run a shell's script, or a command on another machine.
const OTHERS: [&str; 7] = [
    "watch", "script", "su", "ssh", "parallel", "flock", "runuser",
];

pub(super) fn is_one(name: &str) -> bool {
    OTHERS.contains(&name) || WRAPPERS.iter().any(|wrapper| wrapper.name == name)
}

pub(super) fn describe(walk: &mut Walk<'_>, command: &Command<'_>, act: &mut Act) {
    if let "sudo" | "doas" | "su" | "runuser" = command.name {
        act.add(EffectKind::Privilege);
    }
    if command.name == "command"
        && matches!(
            command.arguments.first().and_then(Word::known),
            Some("-v" | "-V")
        )
    {
        return act.add(EffectKind::Nothing);
    }
    match WRAPPERS.iter().find(|wrapper| wrapper.name == command.name) {
        Some(wrapper) => run_inner(walk, wrapper, command, act),
        None => other(walk, command, act),
    }
}

fn run_inner(walk: &mut Walk<'_>, wrapper: &Wrapper, command: &Command<'_>, act: &mut Act) {
    let mut rest = command.arguments;
    let mut replaced: Option<String> = None;
    while let [Word::Known(text), after @ ..] = rest {
        if !text.starts_with('-') {
            break;
        }
        rest = after;
        let name = text.split('=').next().unwrap_or(text);
        let glued = wrapper
            .valued
            .iter()
            .find(|valued| valued.len() == 2 && text.starts_with(**valued) && text.len() > 2);
        if wrapper.name == "xargs" && text.starts_with("-I") {
            replaced = Some(match &text[2..] {
                "" => rest.first().map_or("", Word::shown).to_owned(),
                glued => glued.to_owned(),
            });
        }
        if wrapper.valued.contains(&text.as_str()) {
            rest = rest.get(1..).unwrap_or_default();
        } else if text == "--" {
            break;
        } else if !wrapper.flags.contains(&text.as_str())
            && glued.is_none()
            && !(text.contains('=') && wrapper.valued.contains(&name))
        {
            let is_level =
                wrapper.name == "nice" && text[1..].bytes().all(|byte| byte.is_ascii_digit());
            if !is_level {
                act.doubt(format!("nothing is known of {}'s {text}", wrapper.name));
            }
        }
    }
    rest = rest.get(wrapper.operands..).unwrap_or_default();
    if ["env", "sudo", "doas"].contains(&wrapper.name) {
        rest = assignments(rest, act);
    }
    if rest.is_empty() {
        let prints_secrets = wrapper.name == "env";
        if prints_secrets {
            act.doubt("it shows the environment, which may have keys");
        }
        return;
    }
    let mut words = rest.to_vec();
    if wrapper.name == "xargs" {
        fill_in(&mut words, replaced.as_deref());
    }
    let stdin = match wrapper.name {
        "xargs" => Stdin::Unknown,
        _ => command.stdin.clone(),
    };
    let doubts = act.doubts.clone();
    super::act(
        walk,
        Call {
            words,
            stdin,
            doubts,
        },
    );
}

/// The words that `xargs` reads are not known.
fn fill_in(words: &mut Vec<Word>, replaced: Option<&str>) {
    match replaced {
        Some(replaced) => {
            for word in words.iter_mut() {
                if word.known().is_some_and(|word| word.contains(replaced)) {
                    *word = Word::Unknown;
                }
            }
        }
        None => words.push(Word::Unknown),
    }
}

/// `NAME=VALUE` before a command.
fn assignments<'w>(mut rest: &'w [Word], act: &mut Act) -> &'w [Word] {
    while let [word, after @ ..] = rest {
        match word.known().map(|text| text.split_once('=')) {
            Some(Some((name, _))) => {
                if !super::is_harmless_variable(name) {
                    act.doubt(format!("it sets {name}"));
                }
            }
            Some(None) => break,
            None => {
                act.doubt("it can't be told what it sets or runs");
                break;
            }
        }
        rest = after;
    }
    rest
}

fn other(walk: &mut Walk<'_>, command: &Command<'_>, act: &mut Act) {
    let words: Vec<&str> = command.arguments.iter().map(Word::shown).collect();
    let after_flag = |flags: &[&str]| {
        let at = words.iter().position(|word| flags.contains(word))?;
        words.get(at + 1).copied()
    };
    act.add(EffectKind::Unknown);
    act.doubt(format!("it can't be told what {} runs", command.name));
    let script = match command.name {
        "ssh" => {
            act.add(EffectKind::Network);
            None
        }
        "su" | "script" | "runuser" => {
            after_flag(&["-c", "--command", "-qc", "-ec"]).map(str::to_owned)
        }
        "flock" => after_flag(&["-c"])
            .map(str::to_owned)
            .or_else(|| words.get(1..).map(|rest| rest.join(" "))),
        _ => {
            let first = words
                .iter()
                .position(|word| !word.starts_with('-') && word.parse::<f64>().is_err());
            first.map(|first| words[first..].join(" "))
        }
    };
    // Judged as well, so that what is denied stays denied.
    if let Some(script) = script {
        walk.inner(&script);
    }
}
