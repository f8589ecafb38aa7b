//! The user's own configuration of codex, and of the machine around it: a table.
//!
//! Whatever it says, a run completes with proof and the right result, or ends before anything is made with a sentence that
//! names the setting. A newcomer's `cargo test` plays some rows, the gate all of them, the main ones on older versions too.

mod more;
mod rows;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;

use cx_operator::agent::conversation::Drive;
use cx_operator::record::Status;

use crate::rig::{Agent, Rig, on};
use testkit::agents::{OLDER, PINNED, native_codex};
use testkit::size::{size, thorough};

/// A configuration, and what must come of it. `@DIR@` is the rig's directory, `@CODEX@` the program.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    /// Whether the model that answers is configured in `config.toml`.
    mock: bool,
    /// Settings of `config.toml` that stand before its tables.
    top: &'static str,
    /// Its tables.
    tables: &'static str,
    /// Other files below the rig's directory; those in `repo/` are committed.
    files: &'static [(&'static str, &'static str)],
    /// Variables of the agent.
    environment: &'static [(&'static str, &'static str)],
    profile: Option<&'static str>,
    /// Arguments of the caller's own.
    arguments: &'static [&'static str],
    /// What is done to `config.toml` in the end.
    change: fn(&Path),
    /// Whether older versions play it too.
    main: bool,
    ends: Ends,
    /// Whether only the terminal minds: by requests the run completes.
    of_terminal: bool,
}

/// How a run must end.
#[derive(Clone, Copy)]
enum Ends {
    Completed,
    /// Before anything is made: with this code, and this in its message.
    Refused(&'static str, &'static str),
    /// At the agent's start, with this in its message: the agent alone can tell.
    Died(&'static str),
}

const PLAIN: Row = Row {
    name: "plain",
    mock: true,
    top: "",
    tables: "",
    files: &[],
    environment: &[],
    profile: None,
    arguments: &[],
    change: |_| {},
    main: false,
    ends: Ends::Completed,
    of_terminal: false,
};

/// Every row.
fn rows() -> impl Iterator<Item = &'static Row> {
    rows::ROWS.iter().chain(more::ROWS)
}

/// As many rows at once as there are slots for the real program.
const WORKERS: usize = 4;

#[test]
fn thorough_every_configuration() {
    let (keys, requests) = (Agent::Codex(PINNED), Agent::Requests(PINNED));
    let main = || rows().filter(|row| row.main);
    let mut plays: Vec<(Agent, &Row)> = match thorough() {
        true => rows()
            .flat_map(|row| [(keys, row), (requests, row)])
            .collect(),
        false => main()
            .take(size(6, 0))
            .flat_map(|row| [(keys, row), (requests, row)])
            .collect(),
    };
    if thorough() {
        for agent in [
            Agent::Codex(OLDER[0]),
            Agent::Requests(OLDER[0]),
            Agent::Codex(OLDER[1]),
        ] {
            plays.extend(main().map(|row| (agent, row)));
        }
    }
    plays.reverse();
    let (plays, failed) = (Mutex::new(plays), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let Some((agent, row)) = plays.lock().expect("not poisoned").pop() else {
                        return;
                    };
                    let play = || on(agent, async |rig| row.play(rig).await);
                    if catch_unwind(AssertUnwindSafe(play)).is_err() {
                        let mut failed = failed.lock().expect("not poisoned");
                        failed.push(format!("{} on {agent:?}", row.name));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("not poisoned");
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn the_table_is_long_enough() {
    let mut names: Vec<&str> = rows().map(|row| row.name).collect();
    assert!(names.len() >= 100, "{}", names.len());
    assert!(rows().filter(|row| row.main).count() >= 10);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows().count(), "each name is there once");
}

impl Row {
    async fn play(&self, rig: &Rig) {
        let (Agent::Codex(version) | Agent::Requests(version)) = rig.agent else {
            panic!("it is codex's configuration");
        };
        let codex = native_codex(version).expect("the rig has it");
        let fill = |text: &str| {
            text.replace("@DIR@", &rig.path("").display().to_string())
                .replace("@CODEX@", &codex.display().to_string())
        };
        self.write(rig, fill);
        let mut task = rig.task("[[shell touch made]]");
        let wrapper = rig.path("wrapper");
        if wrapper.exists() {
            task.agent.program = Some(wrapper);
        }
        let variables = self.environment.iter();
        task.environment
            .extend(variables.map(|(name, value)| ((*name).to_owned(), fill(value))));
        task.agent.profile = self.profile.map(str::to_owned);
        task.agent.arguments = self
            .arguments
            .iter()
            .map(|argument| fill(argument))
            .collect();
        if rig.is_by_requests() {
            // Some arguments are the terminal's.
            task.agent.drive = Drive::Auto;
        }
        let outcome = rig.delegate(task).await;
        let told = format!("{} on {:?}: {outcome:#?}", self.name, rig.agent);
        match self.ends {
            _ if self.of_terminal && rig.is_by_requests() => {
                assert_eq!(outcome.status, Status::Completed, "{told}");
            }
            Ends::Completed => {
                assert_eq!(outcome.status, Status::Completed, "{told}");
                let files: Vec<_> = outcome
                    .files
                    .iter()
                    .map(|file| file.path.as_str())
                    .collect();
                assert_eq!(
                    (outcome.turns, files.as_slice()),
                    (1, &["made"][..]),
                    "{told}"
                );
                assert_eq!(outcome.agent_version.as_deref(), Some(version), "{told}");
                let history =
                    fs::read_to_string(rig.path("codex/history.jsonl")).unwrap_or_default();
                assert!(!history.contains("touch made"), "{told}");
            }
            Ends::Died(says) => {
                let error = outcome.error.as_ref().expect("it says why");
                // A server tells what failed; of a terminal only the end is seen.
                let code = match says {
                    "required" if rig.is_by_requests() => "agent_configuration",
                    _ => "agent_died",
                };
                assert_eq!((error.code.as_str(), outcome.turns), (code, 0), "{told}");
                assert!(error.message.contains(says), "{told}");
            }
            Ends::Refused(code, says) => {
                let error = outcome.error.as_ref().expect("it says why");
                assert_eq!(
                    (error.code.as_str(), &outcome.run_dir),
                    (code, &None),
                    "{told}"
                );
                assert!(
                    error.message.contains(says) && error.hint.is_some(),
                    "{told}"
                );
            }
        }
    }

    fn write(&self, rig: &Rig, fill: impl Fn(&str) -> String) {
        let config = rig.path("codex/config.toml");
        let model = fs::read_to_string(&config).expect("the configuration");
        let (top, provider) = model.split_once("[model_providers").expect("it has one");
        let (top, provider) = match self.mock {
            true => (top.to_owned(), format!("[model_providers{provider}")),
            false => (
                top.replace("model_provider = \"mock\"", ""),
                format!("[model_providers{provider}"),
            ),
        };
        let text = fill(&format!(
            "{top}\n{}\n{provider}\n{}\n",
            self.top, self.tables
        ));
        fs::write(&config, text).expect("written");
        for (name, text) in self.files {
            let path = rig.path(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
            fs::write(&path, fill(text)).expect("written");
            if text.starts_with("#!") {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
            }
        }
        if self.files.iter().any(|(name, _)| name.starts_with("repo/")) {
            rig.git(&["add", "-A"]);
            rig.git(&["commit", "-q", "-m", "settings"]);
        }
        (self.change)(&config);
        rig.note_the_callers_state();
    }
}
