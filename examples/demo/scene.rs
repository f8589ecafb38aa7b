//! Where the demo plays: a project, a configuration of codex and a model, all below one temporary directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::Result;
use testkit::mock_model::{MockModel, write_codex_home};

/// What the agent is to do. `[[question]]` tells the model's stand-in to ask first.
pub(crate) const BRIEF: &str = "\
Indent src/main.rs consistently, by running format.sh. Ask how to indent before you change anything.

[[question]]
";

/// Who answers in the user's place. The reply's directives let the model run the script, and ask for an approval.
pub(crate) const ANSWERS: &str = r#"
[[answer]]
pattern = "tabs or spaces"
reply = "Spaces. [[shell sh format.sh]] [[escalate]]"

[[permission]]
pattern = 'sh format\.sh'
decision = "allow"
"#;

const MAIN: &str = "\
//! Prints each argument with its length.

fn main() {
\tfor word in std::env::args().skip(1) {
\t\tprintln!(\"{word} {}\", word.len());
\t}
}
";

const FORMAT: &str = "\
#!/bin/sh
# Indents src/main.rs by spaces and says so.
set -eu
expand -t 4 src/main.rs > src/main.rs.new
mv src/main.rs.new src/main.rs
echo 'Indented by four spaces.' > STYLE.md
echo 'src/main.rs is indented by spaces.'
";

/// The temporary directory and what is in it.
pub(crate) struct Scene {
    dir: TempDir,
    _model: MockModel,
    /// What git tells of the checkout before the run.
    pub(crate) checkout: String,
    /// The agent's `config.toml` before the run.
    pub(crate) configuration: String,
}

impl Scene {
    pub(crate) fn new() -> Result<Self> {
        let dir = TempDir::with_prefix("cx-operator-demo-")?;
        let at = |name: &str| dir.path().join(name);
        for name in ["project/src", "home", "worktrees"] {
            fs::create_dir_all(at(name))?;
        }
        fs::write(at("answers.toml"), ANSWERS)?;
        fs::write(at("project/src/main.rs"), MAIN)?;
        fs::write(at("project/format.sh"), FORMAT)?;
        for arguments in [
            &["init", "-q", "-b", "main"][..],
            &["add", "-A"],
            &["commit", "-q", "-m", "print the lengths of words"],
        ] {
            git(&at("project"), arguments)?;
        }
        let model = MockModel::start()?;
        write_codex_home(&at("codex"), model.port())?;
        let mut scene = Self {
            dir,
            _model: model,
            checkout: String::new(),
            configuration: String::new(),
        };
        scene.checkout = scene.look_at_checkout()?;
        scene.configuration = scene.load_configuration()?;
        Ok(scene)
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    pub(crate) fn worktrees(&self) -> PathBuf {
        self.dir.path().join("worktrees")
    }

    pub(crate) fn answers(&self) -> PathBuf {
        self.dir.path().join("answers.toml")
    }

    /// What keeps the agent off the user's account and configuration.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        [
            ("HOME", path("home")),
            ("CODEX_HOME", path("codex")),
            ("OPENAI_API_KEY", "of-no-use".to_owned()),
            ("NO_PROXY", "127.0.0.1".to_owned()),
            ("no_proxy", "127.0.0.1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Commit, changes, branches and worktrees of the project.
    pub(crate) fn look_at_checkout(&self) -> Result<String> {
        let mut seen = String::new();
        for arguments in [
            &["rev-parse", "HEAD"][..],
            &["status", "--porcelain"],
            &["branch", "--all"],
            &["worktree", "list"],
        ] {
            seen += &git(&self.repository(), arguments)?;
        }
        Ok(seen)
    }

    /// The agent's `config.toml`.
    pub(crate) fn load_configuration(&self) -> Result<String> {
        Ok(fs::read_to_string(
            self.dir.path().join("codex/config.toml"),
        )?)
    }

    /// The content of a file after the patch was applied to a fresh clone.
    pub(crate) fn apply(&self, patch: &Path, file: &str) -> Result<String> {
        let clone = self.dir.path().join("clone");
        git(
            self.dir.path(),
            &["clone", "-q", "--no-local", "project", "clone"],
        )?;
        git(&clone, &["apply", "--index", &patch.to_string_lossy()])?;
        Ok(fs::read_to_string(clone.join(file))?)
    }

    pub(crate) fn remove(self) -> Result<()> {
        Ok(self.dir.close()?)
    }
}

/// Runs git with an identity of the demo's own and without the user's configuration.
fn git(dir: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([
            ("GIT_AUTHOR_NAME", "demo"),
            ("GIT_AUTHOR_EMAIL", "demo@localhost"),
        ])
        .envs([
            ("GIT_COMMITTER_NAME", "demo"),
            ("GIT_COMMITTER_EMAIL", "demo@localhost"),
        ])
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("git {}: {}", arguments.join(" "), said.trim()).into())
    }
}
