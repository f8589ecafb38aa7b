//! How Claude Code is started: its arguments, and the settings that a run relies on.

use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use serde_json::{Map, Value, json};

use super::refusal::refusal;
use crate::agent::environment::value;
use crate::agent::executor::{Ask, Launch, Options, Refusal, Sandbox, Trouble};
use crate::agent::signals::{self, Kind};

/// How long a hook that only reports may take, in seconds.
const HOOK_LIMIT: u64 = 30;

/// Arguments that a run can't do with, and why.
const REFUSED: [(&str, &str); 14] = [
    (
        "--settings",
        "of two settings files only one counts, and the run needs its own: put yours into your settings.json",
    ),
    ("--print", "the executor claude-print is the headless form"),
    ("-p", "the executor claude-print is the headless form"),
    ("--json-schema", "the option --output-schema is that"),
    ("--output-format", "a run reads the program's events itself"),
    (
        "--input-format",
        "a run gives the program its prompt itself",
    ),
    (
        "--resume",
        "`cx-operator continue` goes on with the session of an earlier run",
    ),
    (
        "-r",
        "`cx-operator continue` goes on with the session of an earlier run",
    ),
    (
        "--continue",
        "`cx-operator continue` goes on with the session of an earlier run",
    ),
    (
        "-c",
        "`cx-operator continue` goes on with the session of an earlier run",
    ),
    (
        "--session-id",
        "`cx-operator continue` goes on with the session of an earlier run",
    ),
    ("--worktree", "a run has a worktree of its own"),
    ("-w", "a run has a worktree of its own"),
    ("--tmux", "a run has a tmux session of its own"),
];

/// The events that a run's hooks are told of, which every known version has: the name of another one would be a dialog.
///
/// Source: 2.1.197 and 2.1.332.
pub(super) const EVENTS: [(&str, Kind); 5] = [
    ("SessionStart", Kind::SessionStart),
    ("UserPromptSubmit", Kind::Prompt),
    ("PermissionRequest", Kind::Permission),
    ("Stop", Kind::Stop),
    ("StopFailure", Kind::Stop),
];

/// Those that a headless run needs beside its stream: the prompt's is a second witness, the permission's can decide.
pub(super) const HEADLESS_EVENTS: [(&str, Kind); 2] = [
    ("UserPromptSubmit", Kind::Prompt),
    ("PermissionRequest", Kind::Permission),
];

/// Refuses what can't be started, or not as safely as it was asked for.
pub(super) fn check(options: &Options, environment: &[(String, String)]) -> Result<(), Refusal> {
    if let Some(profile) = &options.profile {
        let message = format!("claude has no profiles, and --profile {profile} is one of codex's");
        return Err(refusal(Trouble::Configuration, message));
    }
    for argument in &options.arguments {
        let name = argument.split('=').next().unwrap_or(argument);
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            let message = format!("the argument {name} of claude can't be passed: {why}");
            return Err(refusal(Trouble::Configuration, message));
        }
    }
    // Source: 2.1.332 as root ends with "--dangerously-skip-permissions cannot be used with root/sudo privileges".
    let is_contained = value(environment, "IS_SANDBOX").is_some_and(|value| value == "1");
    if options.sandbox == Sandbox::DangerFullAccess && geteuid().is_root() && !is_contained {
        let message = "claude refuses --sandbox danger-full-access for root (set IS_SANDBOX=1 in a container)";
        return Err(refusal(Trouble::Restricted, message));
    }
    Ok(())
}

/// The permission mode in which a start is as strict as the options ask for.
///
/// What the mode does not allow is asked for, or refused where nobody may be asked. The program's own sandbox is left to the
/// user's settings: it writes into the repository's git directory and into the checkout, and git can't add files in it.
///
/// Source: 2.1.332, in a linked worktree: `git add -A` fails on the devices that stand for `.bashrc`, `.gitconfig`, ….
fn mode(options: &Options) -> &'static str {
    match (options.sandbox, options.ask) {
        (Sandbox::DangerFullAccess, _) => "bypassPermissions",
        (_, Ask::Never) => "dontAsk",
        (Sandbox::WorkspaceWrite, Ask::OnRequest) => "acceptEdits",
        (Sandbox::ReadOnly, Ask::OnRequest) => "default",
    }
}

/// The command line with the caller's `arguments`.
pub(super) fn argv(program: &Path, launch: &Launch<'_>, arguments: &[String]) -> Vec<String> {
    let options = launch.options;
    let mut argv = vec![program.to_string_lossy().into_owned()];
    argv.extend(["--permission-mode", mode(options)].map(str::to_owned));
    if let Some(model) = &options.model {
        argv.extend(["--model".to_owned(), model.clone()]);
    }
    if let Some(resumed) = launch.resumed {
        argv.extend(["--resume".to_owned(), resumed.session_id.clone()]);
    }
    argv.extend_from_slice(arguments);
    let settings = settings_file(launch.home);
    argv.extend(["--settings".to_owned(), settings.to_string_lossy().into()]);
    argv
}

/// The command line of a headless start: the prompt comes on stdin, the events go to stdout.
pub(super) fn headless_argv(
    program: &Path,
    launch: &Launch<'_>,
    arguments: &[String],
) -> Vec<String> {
    let mut argv = argv(program, launch, arguments);
    let words = ["--print", "--output-format", "stream-json", "--verbose"];
    argv.extend(words.map(str::to_owned));
    if let Some(schema) = &launch.options.output_schema {
        argv.extend(["--json-schema".to_owned(), schema.text()]);
    }
    argv
}

/// The file with the run's own settings.
pub(super) fn settings_file(home: &Path) -> PathBuf {
    home.join("run-settings.json")
}

/// The settings of this one run, which go before those of every file but a company's.
pub(super) fn settings(launch: &Launch<'_>, events: &[(&str, Kind)]) -> Value {
    let mut hooks = Map::new();
    for &(event, kind) in events {
        let command = launch
            .hooks
            .helper
            .hook(kind, launch.hooks.signals, "claude");
        // A permission's hook waits for an answer, which may be a person's.
        let timeout = match kind {
            Kind::Permission => signals::MAX_WAIT.as_secs() + 60,
            _ => HOOK_LIMIT,
        };
        let hook = json!({"type": "command", "command": command, "timeout": timeout});
        hooks.insert(event.to_owned(), json!([{"hooks": [hook]}]));
    }
    if let Some(limit) = launch.hooks.judged_within {
        let command = launch.hooks.helper.judge(launch.hooks.signals, "claude");
        let timeout = (limit + signals::HOOK_GRACE).as_secs();
        let hook = json!({"type": "command", "command": command, "timeout": timeout});
        hooks.insert("PreToolUse".to_owned(), json!([{"hooks": [hook]}]));
    }
    let mut settings = json!({
        "hooks": hooks,
        "disableAllHooks": false,
        // Else a file is written for the desktop.
        "disableDeepLinkRegistration": "disable",
        // 0 would keep no transcript.
        "cleanupPeriodDays": 30,
    });
    let options = launch.options;
    if options.sandbox == Sandbox::ReadOnly {
        // In a sandbox of the user's commands may write to the worktree, which would then be no question.
        settings["sandbox"] = json!({"autoAllowBashIfSandboxed": false});
        // These go before what the user allows in general.
        settings["permissions"] = json!({"ask": ["Edit", "Write", "NotebookEdit"]});
    } else if options.sandbox == Sandbox::DangerFullAccess {
        settings["skipDangerousModePermissionPrompt"] = json!(true);
    } else if options.sandbox == Sandbox::WorkspaceWrite && options.ask == Ask::Never {
        let files = format!("Edit(/{}/**)", launch.worktree.display());
        settings["permissions"] = json!({"allow": [files]});
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(sandbox: Sandbox, ask: Ask) -> Options {
        Options {
            sandbox,
            ask,
            ..Options::default()
        }
    }

    #[test]
    fn no_mode_is_weaker_than_its_name() {
        let mode = |sandbox, ask| mode(&options(sandbox, ask));
        assert_eq!(mode(Sandbox::ReadOnly, Ask::OnRequest), "default");
        assert_eq!(mode(Sandbox::ReadOnly, Ask::Never), "dontAsk");
        assert_eq!(mode(Sandbox::WorkspaceWrite, Ask::OnRequest), "acceptEdits");
        assert_eq!(mode(Sandbox::WorkspaceWrite, Ask::Never), "dontAsk");
        assert_eq!(
            mode(Sandbox::DangerFullAccess, Ask::Never),
            "bypassPermissions"
        );
    }

    #[test]
    fn what_would_break_a_run_is_refused_by_name() {
        for argument in ["--settings=x", "-p", "--resume", "--worktree"] {
            let options = Options {
                arguments: vec![argument.to_owned()],
                ..Options::default()
            };
            let refused = check(&options, &[]).expect_err("refused");
            let name = argument.split('=').next().expect("a name");
            assert!(refused.message.contains(name), "{}", refused.message);
        }
        assert_eq!(check(&Options::default(), &[]), Ok(()));
    }
}
