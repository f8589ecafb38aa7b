//! How codex is started: a start with no dialog and no trace.
//!
//! The hooks, their trust and the directory's trust are passed for one run by `-c`, and nothing is
//! written to the user's `CODEX_HOME`. Source: codex 0.125.0 to 0.169.0, `tests/scenarios`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::program::Program;
use super::trust::{BEFORE_TOOL, DEFAULT_TIMEOUT_SECS, EventNames, event_names, trusted_hash};
use crate::agent::conversation::{Joining, Terminal};
use crate::agent::executor::{Hooks, Launch, Sandbox, TrustPolicy};
use crate::agent::signals::{self, Kind};

/// Settings that a repository brings along; obeyed where the repository is trusted. A server for tools that they name is
/// started with the session, by codex itself and in no sandbox.
///
/// Source: codex 0.169.0, `tests/scenarios/hostile.rs`.
pub(crate) const SETTINGS: &str = ".codex/config.toml";

/// What a run relies on, whatever the files of user, profile and repository say; but for the last, which keeps the
/// briefs out of the list that the user's composer offers.
///
/// Source: codex 0.130.0, 0.150.0 and 0.169.0, `tests/scenarios/configurations.rs`.
pub(super) const RELIED_ON: [&str; 10] = [
    "check_for_update_on_startup=false",
    // A question between two turns, which the Enter of the next prompt would answer; 0.169.0 also shows it when the next
    // prompt has been sent (`tests/scenarios/between.rs`).
    "notice.hide_rate_limit_model_nudge=true",
    // The composer is ready when this row names the model.
    r#"tui.status_line=["model-with-reasoning","current-dir"]"#,
    // The keys that are pressed: Shift-F12, which no dialog takes but a form's open field, submits the prompt, see `Key::Submit`.
    r#"tui.keymap.composer.submit=["enter","shift-f12"]"#,
    r#"tui.keymap.list.accept="enter""#,
    r#"tui.keymap.list.move_up="up""#,
    r#"tui.keymap.list.move_down="down""#,
    "features.hooks=true",
    // With a goal codex begins turns by itself: the run would end at the first, a kept session would work on unattended.
    "features.goals=false",
    r#"history.persistence="none""#,
];

impl Hooks<'_> {
    /// The `-c hooks=…` that registers these and trusts exactly their command lines. A server tells of permissions itself,
    /// where the policy has no word.
    fn config(&self, kinds: &[Kind]) -> String {
        let entry = |names: EventNames, command: String, timeout: u64| Entry {
            names,
            command,
            timeout,
        };
        let mut entries: Vec<Entry> = Vec::new();
        for &kind in kinds {
            let command = self.helper.hook(kind, self.signals, "codex");
            // A permission's hook waits for an answer, which may be a person's.
            let timeout = match kind {
                Kind::Permission => signals::MAX_WAIT.as_secs() + 60,
                _ => DEFAULT_TIMEOUT_SECS,
            };
            entries.push(entry(event_names(kind), command, timeout));
        }
        if let Some(limit) = self.judged_within {
            let judge = || self.helper.judge(self.signals, "codex");
            let timeout = (limit + signals::HOOK_GRACE).as_secs();
            let timeout = timeout.max(DEFAULT_TIMEOUT_SECS);
            entries.push(entry(BEFORE_TOOL, judge(), timeout));
            if !kinds.contains(&Kind::Permission) {
                let names = event_names(Kind::Permission);
                entries.push(entry(names, judge(), timeout));
            }
        }
        let state: Vec<String> = entries.iter().map(Entry::state).collect();
        let events: Vec<String> = entries.iter().map(Entry::event).collect();
        format!(
            "hooks={{state={{{}}},{}}}",
            state.join(","),
            events.join(",")
        )
    }
}

/// One hook.
struct Entry {
    names: EventNames,
    command: String,
    timeout: u64,
}

impl Entry {
    /// Its trust.
    fn state(&self) -> String {
        let snake = self.names.trusted;
        let hash = trusted_hash(snake, &self.command, self.timeout);
        format!(r#""/<session-flags>/config.toml:{snake}:0:0"={{trusted_hash="{hash}"}}"#)
    }

    fn event(&self) -> String {
        let (name, timeout) = (self.names.configured, self.timeout);
        let command = toml_string(&self.command);
        format!(r#"{name}=[{{hooks=[{{type="command",command={command},timeout={timeout}}}]}}]"#)
    }
}

/// A start of codex.
pub(super) struct Start<'a> {
    pub(super) program: &'a Program,
    pub(super) launch: &'a Launch<'a>,
}

impl Start<'_> {
    /// The command line with the caller's `arguments`.
    ///
    /// A flag is passed only if this version's `--help` lists it: clap refuses what it doesn't know. The directory is named
    /// as an argument too: a wrapper may change it.
    ///
    /// Source: `--add-dir` of codex 0.150.0 and 0.169.0; 0.130.0 takes it and lets the agent write below /tmp only.
    pub(super) fn argv(&self, arguments: &[String]) -> Vec<String> {
        let (program, launch) = (self.program, self.launch);
        let options = launch.options;
        let mut argv = vec![program.path.to_string_lossy().into_owned()];
        if let Some(resumed) = launch.resumed {
            argv.extend(["resume".to_owned(), resumed.session_id.clone()]);
        }
        if program.has_flag("--no-daemon") {
            argv.push("--no-daemon".to_owned());
        }
        let (directory, top) = (
            launch.directory.to_string_lossy(),
            launch.worktree.to_string_lossy(),
        );
        let is_below = launch.directory != launch.worktree;
        let add_top = is_below && options.sandbox == Sandbox::WorkspaceWrite;
        let flags = [
            ("--cd", Some(&*directory)),
            ("--add-dir", add_top.then_some(&*top)),
            ("--sandbox", Some(options.sandbox.as_str())),
            ("--ask-for-approval", Some(options.ask.as_str())),
            ("--model", options.model.as_deref()),
            ("--profile", options.profile.as_deref()),
        ];
        for (flag, value) in flags {
            if let Some(value) = value
                && program.has_flag(flag)
            {
                argv.extend([flag.to_owned(), value.to_owned()]);
            }
        }
        argv.extend_from_slice(arguments);
        // Last, since the later of two values counts: the run depends on these.
        for value in self.config() {
            argv.extend(["-c".to_owned(), value]);
        }
        argv
    }

    /// The settings of this one run, which go before those of every file.
    fn config(&self) -> Vec<String> {
        let launch = self.launch;
        let mut config = vec![launch.hooks.config(&Kind::ALL)];
        config.extend(trusting(launch));
        if !self.program.model_upgrades.is_empty() {
            let upgrades = inline_table(&self.program.model_upgrades);
            config.push(format!("notice.model_migrations={upgrades}"));
        }
        config.extend(RELIED_ON.map(str::to_owned));
        config.extend_from_slice(launch.settings);
        config
    }
}

/// The setting that trusts the repository, if the caller does.
fn trusting(launch: &Launch<'_>) -> Option<String> {
    // codex remembers trust for the main repository's root, not for the worktree.
    let root = toml_string(&launch.repository.to_string_lossy());
    let trusts = launch.options.trust == TrustPolicy::Accept;
    trusts.then(|| format!(r#"projects={{{root}={{trust_level="trusted"}}}}"#))
}

/// The settings that a run by requests relies on: of [`RELIED_ON`] those that are not the terminal's.
pub(super) const SERVED: [&str; 4] = [
    "check_for_update_on_startup=false",
    "features.hooks=true",
    "features.goals=false",
    r#"history.persistence="none""#,
];

/// The command line of a server for requests, with the caller's `arguments`.
///
/// The prompt's hook is a second witness; the other three would tell what the server itself tells.
pub(super) fn server_argv(
    program: &Program,
    launch: &Launch<'_>,
    socket: &Path,
    arguments: &[String],
) -> Vec<String> {
    let mut argv = vec![program.path.to_string_lossy().into_owned()];
    argv.extend_from_slice(arguments);
    let hooks = launch.hooks.config(&[Kind::Prompt]);
    let ours = std::iter::once(hooks).chain(trusting(launch));
    // Last, since the later of two values counts: the run depends on these.
    for value in ours.chain(SERVED.map(str::to_owned)) {
        argv.extend(["-c".to_owned(), value]);
    }
    let listen = format!("unix://{}", socket.display());
    argv.extend(["app-server", "--listen", &listen].map(str::to_owned));
    argv
}

/// A provider of models that wants no sign-in, and that the terminal never asks: the server knows its own.
///
/// Source: codex 0.145.0 and 0.150.0, whose terminal shows its sign-in screen in a home without credentials; 0.160.0 and 0.169.0
/// do not. A prompt that is typed there is answered by the server's provider in all four.
const NO_SIGN_IN: [&str; 2] = [
    r#"model_provider="none""#,
    r#"model_providers.none={name="none",base_url="http://127.0.0.1:9/v1"}"#,
];

/// The command line of a headless start with the caller's `arguments`: the prompt comes on stdin, the events go to stdout.
///
/// It never asks for an approval, whatever the settings say: what the sandbox refuses stays refused.
///
/// Source: codex 0.150.0 and 0.169.0, `tests/scenarios/headless.rs`.
pub(super) fn headless_argv(
    program: &Program,
    launch: &Launch<'_>,
    arguments: &[String],
) -> Vec<String> {
    let options = launch.options;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut argv = vec![text(&program.path)];
    argv.extend(["exec", "--json", "--cd"].map(str::to_owned));
    argv.push(text(launch.directory));
    let is_below = launch.directory != launch.worktree;
    if is_below && options.sandbox == Sandbox::WorkspaceWrite {
        argv.extend(["--add-dir".to_owned(), text(launch.worktree)]);
    }
    argv.extend(["--sandbox", options.sandbox.as_str()].map(str::to_owned));
    for (flag, value) in [("--model", &options.model), ("--profile", &options.profile)] {
        if let Some(value) = value {
            argv.extend([flag.to_owned(), value.clone()]);
        }
    }
    argv.extend_from_slice(arguments);
    let hooks = launch.hooks.config(&[Kind::Prompt]);
    let ours = std::iter::once(hooks).chain(trusting(launch));
    // Last, since the later of two values counts: the run depends on these.
    for value in ours.chain(SERVED.map(str::to_owned)) {
        argv.extend(["-c".to_owned(), value]);
    }
    if options.output_schema.is_some() {
        argv.extend([
            "--output-schema".to_owned(),
            text(&schema_file(launch.home)),
        ]);
    }
    argv.push("-".to_owned());
    argv
}

/// The file with the form of the answer.
pub(super) fn schema_file(home: &Path) -> PathBuf {
    home.join("schema.json")
}

/// A terminal that joins a thread of that server, in a home of its own. The server's settings don't count for it, and it needs
/// no credentials.
///
/// Source: codex 0.145.0 to 0.169.0; the latter writes `tui.screen_reader_detection_done` into its home's `config.toml`, and
/// dialogs that a person answers write there too.
pub(super) fn joined_terminal(joining: &Joining<'_>) -> Terminal {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let remote = format!("unix://{}", joining.socket.display());
    let argv = [
        &text(joining.program),
        "-c",
        "check_for_update_on_startup=false",
        "-c",
        NO_SIGN_IN[0],
        "-c",
        NO_SIGN_IN[1],
        "--remote",
        &remote,
        "resume",
        joining.session,
    ];
    Terminal {
        argv: argv.map(str::to_owned).into(),
        environment: vec![("CODEX_HOME".to_owned(), text(joining.home))],
    }
}

fn inline_table(pairs: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(key, value)| format!("{}={}", toml_string(key), toml_string(value)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

/// A basic TOML string, which can be a key or a value of an inline table.
pub(super) fn toml_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::executor::Options;
    use crate::agent::helper::Helper;

    fn program(flags: &[&str]) -> Program {
        Program {
            path: "/opt/codex".into(),
            version: "0.169.0".into(),
            profiles_are_files: true,
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            model_upgrades: BTreeMap::from([("gpt-5.5".to_owned(), "gpt-6-sol".to_owned())]),
        }
    }

    fn argv(program: &Program, options: &Options) -> Vec<String> {
        let hooks = Hooks {
            helper: &Helper::at("/opt/it's here/cx-helper".into()),
            signals: Path::new("/s/\"x\""),
            judged_within: None,
        };
        let launch = Launch {
            options,
            repository: Path::new("/re\"po"),
            worktree: Path::new("/work tree"),
            directory: Path::new("/work tree"),
            settings: &["tui.keymap.composer.queue=[]".to_owned()],
            hooks,
            resumed: None,
            environment: &[],
            home: Path::new("/run/home"),
        };
        let launch = &launch;
        Start { program, launch }.argv(&options.arguments)
    }

    #[test]
    fn only_known_flags_are_passed() {
        let options = Options {
            model: Some("m".into()),
            arguments: vec!["--search".into()],
            ..Options::default()
        };
        let old = argv(&program(&["--sandbox"]), &options);
        assert!(old.contains(&"--sandbox".to_owned()) && !old.contains(&"--no-daemon".to_owned()));
        assert!(!old.contains(&"--model".to_owned()));
        let new = argv(&program(&["--no-daemon", "--model", "--cd"]), &options);
        assert_eq!(new[1..4], ["--no-daemon", "--cd", "/work tree"]);
        assert!(new.contains(&"--search".to_owned()));
    }

    #[test]
    fn every_override_is_toml_that_says_what_was_meant() {
        let values = argv(&program(&[]), &Options::default());
        let text: Vec<_> = values
            .iter()
            .filter(|value| value.contains('='))
            .cloned()
            .collect();
        let table: toml::Table = text.join("\n").parse().expect("valid TOML");
        assert_eq!(
            table["projects"]["/re\"po"]["trust_level"].as_str(),
            Some("trusted")
        );
        assert_eq!(
            table["notice"]["model_migrations"]["gpt-5.5"].as_str(),
            Some("gpt-6-sol")
        );
        let stop = table["hooks"]["Stop"][0]["hooks"][0]["command"]
            .as_str()
            .expect("a command");
        assert_eq!(stop, r#"'/opt/it'\''s here/cx-helper' stop '/s/"x"' codex"#);
        let hash = table["hooks"]["state"]["/<session-flags>/config.toml:stop:0:0"]["trusted_hash"]
            .as_str();
        assert_eq!(hash, Some(trusted_hash("stop", stop, 600).as_str()));
    }

    #[test]
    fn without_trust_the_folder_stays_unknown() {
        let options = Options {
            trust: TrustPolicy::Ask,
            ..Options::default()
        };
        let values = argv(&program(&[]), &options);
        assert!(!values.iter().any(|value| value.starts_with("projects=")));
    }
}
