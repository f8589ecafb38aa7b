//! The binary whose streams, terminal or directories are not as one would wish.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A repository with one commit, and directories for all that a run needs, below one temporary directory.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for name in ["home", "codex", "worktrees", "repo"] {
            fs::create_dir(dir.path().join(name)).expect("created");
        }
        let key = r#"{"OPENAI_API_KEY":"k","tokens":null}"#;
        fs::write(dir.path().join("codex/auth.json"), key).expect("written");
        let place = Self { dir };
        place.git(&["init", "--quiet", "--initial-branch=main"]);
        fs::write(place.path("repo/a.txt"), "a\n").expect("written");
        place.git(&["add", "."]);
        place.git(&["commit", "--quiet", "--message=first"]);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("CODEX_HOME", self.path("codex"))
            .env("CX_OPERATOR_STATE", self.path("state"))
            .current_dir(self.path("repo"));
        command
    }

    fn git(&self, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"];
        let output = self.command("git").args(identity).args(arguments).output();
        let output = output.expect("git runs");
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn delegate(&self, prompt: &str, worktrees: &Path) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_cx-operator"));
        command
            .args(["delegate", "--task=streams", "--no-preamble", "--json"])
            .arg(format!("--prompt={prompt}"))
            .arg(format!("--codex={}", env!("CARGO_BIN_EXE_scripted-agent")))
            .arg("--worktree-root")
            .arg(worktrees);
        command
    }
}

fn status_of(json: &[u8]) -> String {
    let record: serde_json::Value = serde_json::from_slice(json).expect("one document");
    format!("{} {}", record["status"], record["error"])
}

#[test]
fn a_run_ends_in_good_order_where_nobody_reads_stderr() {
    let place = Place::new();
    let mut command = place.delegate("[[say Done.]]", &place.path("worktrees"));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = command.stderr(Stdio::from(writer)).output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(status_of(&output.stdout), "\"completed\" null");
    assert_eq!(place.git(&["branch", "--list", "cx-*"]), "");
}
