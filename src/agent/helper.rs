//! The program that a run starts beside its agent: the agent's hooks, and the launcher of the pane.
//!
//! Owns its command line, and where it is found. `cx-helper` is one, which starts fast; so is every program that calls
//! [`helper_main`] first.
//!
//! ```text
//! cx-helper session-start|prompt|stop|permission [DIR [EXECUTOR]]
//! cx-helper policy DIR EXECUTOR
//! cx-helper launch CWD ENVIRONMENT STATUS CGROUP PROGRAM [ARG]...
//! ```
//!
//! Another program is started with `cx-helper` as its first argument. These command lines are in files of users and of
//! runs under way: a later version understands them too.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;

use super::ExecutorId;
use super::report::Reported;
use super::signals::{self, Kind, Target};
use crate::os::given;
use crate::os::launcher;
use crate::os::process::RUN_VARIABLE;
use crate::os::search_path::{find_program, is_executable, search_path};
use crate::os::shell::{shell_quote, shell_words};

mod judging;

const HELPER: &str = "cx-helper";
const LAUNCH: &str = "launch";
/// The role of a hook that judges a call by the policy of its run, and reports nothing else.
const POLICY: &str = "policy";

/// This very program, if it is one that serves as a helper.
static HOST: OnceLock<PathBuf> = OnceLock::new();

/// Makes this program one that serves as the helper of its own runs. To be called first in `main`: where the process was
/// started as a helper, this does the helper's work and ends the process; else it returns at once. A `main` that starts a
/// runtime first works too, and is slower.
#[expect(clippy::exit, reason = "the caller's `main` is not a helper's")]
pub fn helper_main() {
    let words: Vec<OsString> = env::args_os().collect();
    if let Some(words) = find_words(&words) {
        process::exit(serve(words).into());
    }
    if let Ok(executable) = given::program() {
        HOST.get_or_init(|| executable);
    }
}

/// The role and its arguments, in the command line of a helper.
fn find_words(words: &[OsString]) -> Option<&[OsString]> {
    let (program, words) = words.split_first()?;
    if Path::new(program).file_name() == Some(OsStr::new(HELPER)) {
        return Some(words);
    }
    let (first, words) = words.split_first()?;
    (first == HELPER).then_some(words)
}

/// Does a helper's work; returns its exit status.
fn serve(words: &[OsString]) -> u8 {
    let Some((role, arguments)) = words.split_first() else {
        return refuse(OsStr::new(""));
    };
    if role == LAUNCH {
        return launcher::run(arguments.iter().cloned());
    }
    if role == POLICY {
        judging::judge_alone(arguments);
        return 0;
    }
    let Some(kind) = Kind::ALL.into_iter().find(|kind| role == kind.name()) else {
        return refuse(role);
    };
    report(kind, arguments);
    0
}

/// Not with the status 2: to agents it means that they shall go on.
fn refuse(role: &OsStr) -> u8 {
    let _unheard = writeln!(io::stderr(), "cx-helper: no helper is called {role:?}");
    1
}

/// Writes the files of an event, and answers a permission by the policy beside them, if there is one. A hook that fails
/// or prints more disturbs the agent; the operator notices a missing file by itself.
fn report(kind: Kind, arguments: &[OsString]) {
    // A run has hooks of its own, and in its worktree only the agent's files.
    if arguments.is_empty() && given::variable(RUN_VARIABLE).is_some() {
        return;
    }
    let target = Target::new(arguments.first());
    let executor = match arguments.get(1) {
        Some(name) => name.to_str().and_then(ExecutorId::parse),
        None => Some(ExecutorId::default()),
    };
    let settled = |payload: &[u8]| match (kind, executor, target.chosen()) {
        (Kind::Permission, Some(executor), Some(dir)) => judging::judge(dir, executor, payload),
        _ => false,
    };
    // A permission without its record is not decided either.
    let (Ok(Some((asked, payload))), Some(executor)) =
        (signals::receive_unless(&target, kind, settled), executor)
    else {
        return;
    };
    let is_form = || {
        let report = executor.report(kind, &payload);
        report.is_some_and(|report| matches!(report.event, Reported::Form { .. }))
    };
    if kind == Kind::Permission
        && let Some(answer) = executor.decision(&payload, &target.decide(&asked, is_form()))
    {
        say(&answer);
    }
}

fn say(answer: &str) {
    let mut stdout = io::stdout();
    let _unheard = stdout
        .write_all(answer.as_bytes())
        .and_then(|()| stdout.flush());
}

/// A program that serves as a helper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    program: PathBuf,
}

impl Helper {
    /// The `cx-helper` of the directory `named`, and no other. Where none is named: beside our executable (or one level
    /// up, for what cargo builds as an example or a test), since it starts faster than other programs; else this program
    /// itself, if it called [`helper_main`]; else `cx-helper` on PATH.
    pub fn find(named: Option<&Path>) -> Option<Self> {
        if let Some(dir) = named {
            return Self::of(&dir.join(HELPER));
        }
        let executable = given::program().unwrap_or_default();
        let mut near = executable.ancestors().skip(1).take(2);
        near.find_map(|dir| Self::of(&dir.join(HELPER)))
            .or_else(|| Self::of(HOST.get()?))
            .or_else(|| Self::of(&find_program(Path::new(HELPER), &search_path())?))
    }

    fn of(program: &Path) -> Option<Self> {
        let is_one = program.is_absolute() && is_executable(program);
        is_one.then(|| Self::at(program.to_owned()))
    }

    pub(crate) fn at(program: PathBuf) -> Self {
        Self { program }
    }

    /// The program's path, absolute.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The first words of a launcher's command line.
    pub fn launcher(&self) -> Vec<String> {
        self.command_line(LAUNCH)
    }

    /// The shell command of a hook that writes into `signals` and answers that executor.
    pub fn hook(&self, kind: Kind, signals: &Path, executor: &str) -> String {
        let mut words = self.command_line(kind.name());
        words.extend([signals.to_string_lossy().into_owned(), executor.to_owned()]);
        joined(&words)
    }

    /// The shell command of a hook that judges by the policy in `signals`, and answers that executor.
    pub fn judge(&self, signals: &Path, executor: &str) -> String {
        let mut words = self.command_line(POLICY);
        words.extend([signals.to_string_lossy().into_owned(), executor.to_owned()]);
        joined(&words)
    }

    /// The shell command of a hook that writes into the directory it is started in.
    pub fn hook_of_any_session(&self, kind: Kind) -> String {
        joined(&self.command_line(kind.name()))
    }

    fn command_line(&self, role: &str) -> Vec<String> {
        let mut words = vec![self.program.to_string_lossy().into_owned()];
        if self.program.file_name() != Some(OsStr::new(HELPER)) {
            words.push(HELPER.to_owned());
        }
        words.push(role.to_owned());
        words
    }

    /// The program of a shell command that [`Self::hook_of_any_session`] may have written, in this version or in one whose
    /// hooks were a program each; `None` for another command, also for one of ours with further arguments.
    pub(crate) fn program_of(command: &str, kind: Kind) -> Option<PathBuf> {
        let words = shell_words(command)?;
        let (program, arguments) = words.split_first()?;
        let name = Path::new(program).file_name()?;
        let role = kind.name();
        let is_ours = match arguments {
            [] => name == OsStr::new(&format!("cx-{role}-hook")),
            [word] => name == HELPER && word == role,
            [word, last] => word == HELPER && last == role,
            _ => false,
        };
        is_ours.then(|| program.into())
    }
}

fn joined(words: &[String]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| shell_quote(word)).collect();
    quoted.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_for_any_session_is_recognised() {
        for program in ["/x/cx-helper", "/it's \"a\" dir/my program"] {
            let helper = Helper::at(program.into());
            for kind in Kind::ALL {
                let command = helper.hook_of_any_session(kind);
                let found = Helper::program_of(&command, kind);
                assert_eq!(found.as_deref(), Some(Path::new(program)), "{command}");
                let others = Kind::ALL.into_iter().filter(|other| *other != kind);
                assert!(
                    others
                        .into_iter()
                        .all(|other| Helper::program_of(&command, other).is_none())
                );
                let of_a_run = helper.hook(kind, Path::new("/s"), "codex");
                assert_eq!(Helper::program_of(&of_a_run, kind), None, "{of_a_run}");
            }
        }
    }

    #[test]
    fn a_command_of_an_older_version_is_recognised() {
        let found = Helper::program_of("/usr/bin/cx-session-start-hook", Kind::SessionStart);
        assert_eq!(found, Some("/usr/bin/cx-session-start-hook".into()));
        assert_eq!(Helper::program_of("/x/cx-stop-hook /dir", Kind::Stop), None);
        assert_eq!(Helper::program_of("/x/other stop", Kind::Stop), None);
    }
}
