//! A machine of its own: home, state, repository and worktrees, in one temporary directory.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_cx-operator");

/// What a process left behind when it ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The one JSON document on stdout.
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }

    /// Nothing in it that a terminal would obey.
    pub(crate) fn is_harmless(&self) -> bool {
        let tame = |c: char| !c.is_control() || c == '\n';
        self.stdout.chars().chain(self.stderr.chars()).all(tame)
    }
}

pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    /// A repository with one commit, and a codex that is signed in.
    pub(crate) fn new() -> Self {
        let place = Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
        };
        for name in ["home", "codex", "worktrees", "repo"] {
            fs::create_dir(place.path(name)).expect("a directory");
        }
        let key = r#"{"OPENAI_API_KEY":"x","tokens":null}"#;
        fs::write(place.path("codex/auth.json"), key).expect("a key");
        place.git(&["init", "-q", "-b", "main"]);
        place.git(&["commit", "-q", "--allow-empty", "-m", "first"]);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = self
            .command("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@localhost"])
            .args(arguments)
            .current_dir(self.path("repo"))
            .output()
            .expect("git runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A program in an environment that has nothing but this place.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("CODEX_HOME", self.path("codex"))
            .env("CX_OPERATOR_STATE", self.path("state"))
            .current_dir(self.dir.path());
        command
    }

    pub(crate) fn cli(&self, arguments: &[&str]) -> Ran {
        run(self.command(PROGRAM).args(arguments), b"")
    }

    /// `delegate` with all that it needs, so that each test breaks one thing.
    pub(crate) fn delegate(&self, task: &str) -> Command {
        let mut command = self.command(PROGRAM);
        command.args(["delegate", "--task", task]);
        command.arg("--repo").arg(self.path("repo"));
        command.arg("--worktree-root").arg(self.path("worktrees"));
        command
            .arg("--codex")
            .arg(env!("CARGO_BIN_EXE_scripted-agent"));
        command
    }

    /// Asserts that no run left anything here.
    pub(crate) fn assert_untouched(&self, branches: &str) {
        assert_eq!(names(&self.path("state/runs")), [""; 0], "records");
        assert_eq!(self.git(&["branch", "--format=%(refname)"]), branches);
    }
}

/// The names in a directory; none where there is no directory.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

pub(crate) fn run(command: &mut Command, stdin: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    // Whoever refuses its arguments reads nothing.
    let _closed_early = pipe.write_all(stdin);
    drop(pipe);
    let output = child.wait_with_output().expect("it ends");
    Ran {
        code: output.status.code().expect("an exit status"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}
