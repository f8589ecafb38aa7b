//! Everything that a run touches, below one temporary directory, and an environment that names nothing else.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::mock_model::{self, MockModel};
use crate::processes::{self, Process};
use crate::wait::wait_for;
use crate::{built, git, schemas};

/// A machine of its own: `home`, `codex` (its `CODEX_HOME`), `repo`, `worktrees`, `state` and what a test adds.
///
/// Every process that names it ends when it is dropped.
#[derive(Debug)]
pub struct World {
    dir: PathBuf,
    environment: Vec<(String, String)>,
    /// Removed when dropped; absent where the directory is the caller's.
    _temporary: Option<TempDir>,
}

impl World {
    /// A world whose repository has one commit with these files.
    ///
    /// # Panics
    /// It can not be made.
    #[must_use]
    pub fn new(files: &[(&str, &str)]) -> Self {
        let world = Self::bare();
        for (name, text) in files {
            write(&world.repo().join(name), text);
        }
        git::init(&world.repo()).unwrap_or_else(|message| panic!("{message}"));
        world
    }

    /// A world whose `repo` is an empty directory.
    ///
    /// # Panics
    /// It can not be made.
    #[must_use]
    pub fn bare() -> Self {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let dir = temporary.path().canonicalize().expect("it is there");
        let mut world = Self::below(&dir).expect("directories");
        world._temporary = Some(temporary);
        world
    }

    /// A bare world in a directory of the caller's, which stays.
    ///
    /// # Errors
    /// It can not be made.
    pub fn below(dir: &Path) -> std::io::Result<Self> {
        for name in ["home", "codex", "repo", "worktrees"] {
            fs::create_dir_all(dir.join(name))?;
        }
        fs::set_permissions(dir.join("codex"), fs::Permissions::from_mode(0o700))?;
        let path = |name: &str| dir.join(name).display().to_string();
        let variables = [
            ("HOME", path("home")),
            ("CODEX_HOME", path("codex")),
            ("SHELL", "/bin/sh".to_owned()),
            // The model is on loopback.
            ("NO_PROXY", "127.0.0.1".to_owned()),
            ("no_proxy", "127.0.0.1".to_owned()),
        ];
        let environment = variables.map(|(name, value)| (name.to_owned(), value));
        Ok(Self {
            dir: dir.to_owned(),
            environment: environment.into(),
            _temporary: None,
        })
    }

    /// Has codex talk to that model.
    ///
    /// # Panics
    /// Its configuration can not be written.
    pub fn use_model(&mut self, model: &MockModel) {
        mock_model::write_codex_home(&self.path("codex"), model.port()).expect("a codex home");
        self.set("OPENAI_API_KEY", "no-secret");
    }

    /// Has Claude Code talk to that model.
    ///
    /// # Panics
    /// Its settings can not be written.
    pub fn use_model_for_claude(&mut self, model: &MockModel) {
        let home = self.path("home");
        let variables = mock_model::write_claude_home(&home, model.port()).expect("its settings");
        self.environment.extend(variables);
    }

    /// Has codex be signed in with a key.
    pub fn sign_in(&self) {
        let key = r#"{"OPENAI_API_KEY":"no-secret","tokens":null,"last_refresh":null}"#;
        self.write("codex/auth.json", key);
    }

    /// Adds a variable to the environment.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Every file below the home directory, with its content.
    #[must_use]
    pub fn home_files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut dirs = vec![self.path("home")];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let content = fs::read(&path).unwrap_or_default();
                    files.insert(path, content);
                }
            }
        }
        files
    }

    /// The directory of it all, with no symbolic link in it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A path below the directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The user's checkout.
    #[must_use]
    pub fn repo(&self) -> PathBuf {
        self.path("repo")
    }

    /// The operator's state directory.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// The root of the worktrees.
    #[must_use]
    pub fn worktrees(&self) -> PathBuf {
        self.path("worktrees")
    }

    /// The socket of the operator's tmux server.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("state/tmux.sock")
    }

    /// The variables that an agent gets.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        self.environment.clone()
    }

    /// Writes a file below the directory.
    ///
    /// # Panics
    /// It can not be written.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        write(&self.path(name), text);
    }

    /// Runs git on the repository; it must succeed.
    pub fn git(&self, arguments: &[&str]) -> String {
        git::git(&self.repo(), arguments)
    }

    /// Commits everything that is in the repository.
    pub fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }

    /// What git tells of the checkout: commit, changes, branches and worktrees.
    #[must_use]
    pub fn look_at_checkout(&self) -> String {
        let questions = [
            &["rev-parse", "HEAD"][..],
            &["status", "--porcelain"],
            &["branch", "--all"],
            &["worktree", "list"],
        ];
        let answers = questions.map(|arguments| self.git(arguments));
        answers.join("\n")
    }

    /// The agent's `config.toml`; empty without one.
    #[must_use]
    pub fn codex_configuration(&self) -> String {
        fs::read_to_string(self.path("codex/config.toml")).unwrap_or_default()
    }

    /// A program in the repository, in an environment that has nothing but this world.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.repo())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("CX_OPERATOR_STATE", self.state())
            // The stand-in for codex is a terminal program.
            .env("CX_OPERATOR_DRIVE", "keys")
            .envs(self.environment())
            .stdin(Stdio::null());
        command
    }

    /// The operator's program with these arguments.
    #[must_use]
    pub fn operator(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(built::operator());
        command.args(arguments);
        command
    }

    /// Runs the operator's program to its end.
    pub fn cli(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.operator(arguments), b"")
    }

    /// `delegate` of a task to the scripted agent, with everything but the prompt.
    #[must_use]
    pub fn delegate(&self, task: &str) -> Command {
        let mut command = self.operator(&["delegate", "--task", task]);
        command.arg("--repo").arg(self.repo());
        command.arg("--worktree-root").arg(self.worktrees());
        command.arg("--codex").arg(built::scripted_agent());
        command
    }

    /// A tmux command on the operator's server, which ends after 5 s where that server hangs.
    #[must_use]
    pub fn tmux_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["5", "tmux", "-f", "/dev/null", "-S"])
            .arg(self.socket())
            .args(arguments)
            .env_remove("TMUX")
            .stdin(Stdio::null());
        command
    }

    /// Runs a tmux command on the operator's server; returns what it printed.
    ///
    /// # Panics
    /// tmux can not be started.
    pub fn tmux(&self, arguments: &[&str]) -> String {
        let output = self.tmux_command(arguments).output().expect("tmux runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Every process, but for this one, that names the world.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        processes::mentioning(&self.dir)
    }
}

/// The names in a directory, sorted; none without a directory.
///
/// # Panics
/// It can not be read.
#[must_use]
pub fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

impl Drop for World {
    /// Ends what a failed test left: the tmux server, which may be one that no longer answers, and its agents.
    fn drop(&mut self) {
        // Nothing was started where nothing has a state. A look at all processes takes milliseconds.
        if self.state().exists() {
            processes::kill(&self.processes());
        }
    }
}

/// Writes a file, with the directories above it.
///
/// # Panics
/// It can not be written.
pub fn write(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, text).expect("a file");
}

/// What a process left behind when it ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its exit status.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
}

impl Ran {
    /// Runs a command that reads `stdin`.
    ///
    /// # Panics
    /// It can not be started, is ended by a signal, or prints no UTF-8.
    pub fn of(command: &mut Command, stdin: &[u8]) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // A program that was just written is busy while a child of another test, forked meanwhile, has its file open.
        let mut child = wait_for("a program that is not busy", || match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
            started => Some(started.expect("it starts")),
        });
        let mut pipe = child.stdin.take().expect("a pipe");
        // A program that refuses its arguments reads nothing.
        let _closed_early = pipe.write_all(stdin);
        drop(pipe);
        let output = child.wait_with_output().expect("it ends");
        let ran = Self {
            code: output.status.code().expect("an exit status"),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        };
        if command
            .get_program()
            .to_string_lossy()
            .ends_with("cx-operator")
        {
            let arguments: Vec<&str> = command.get_args().filter_map(OsStr::to_str).collect();
            schemas::check(&arguments, &ran.stdout);
        }
        ran
    }

    /// The one JSON document on stdout.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn document(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }

    /// Whether it has nothing in it that a terminal would obey.
    #[must_use]
    pub fn is_harmless(&self) -> bool {
        let tame = |c: char| !c.is_control() || c == '\n';
        self.stdout.chars().chain(self.stderr.chars()).all(tame)
    }
}
