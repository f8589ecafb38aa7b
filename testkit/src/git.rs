//! The git program, as it runs for a user without any configuration.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// git in a directory, as Ada, without the user's configuration.
#[must_use]
pub fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(dir)
        .args(arguments)
        .env("HOME", "/nonexistent")
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::null());
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "Ada")
            .env(format!("GIT_{role}_EMAIL"), "ada@example.com");
    }
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(variable);
    }
    command
}

/// Runs git and returns whatever came of it.
///
/// # Panics
/// git can not be started.
pub fn output(dir: &Path, arguments: &[&str]) -> Output {
    command(dir, arguments).output().expect("git runs")
}

/// Runs git and returns what it printed, trimmed.
///
/// # Errors
/// git can not be started, or it fails; the text has its message.
pub fn query(dir: &Path, arguments: &[&str]) -> Result<String, String> {
    let words = arguments.join(" ");
    let output = command(dir, arguments)
        .output()
        .map_err(|error| format!("git {words}: {error}"))?;
    if output.status.success() {
        let printed = String::from_utf8_lossy(&output.stdout);
        Ok(printed.trim_end().to_owned())
    } else {
        let message = String::from_utf8_lossy(&output.stderr);
        Err(format!("git {words}: {}", message.trim()))
    }
}

/// Runs git, which must succeed, and returns what it printed, trimmed.
///
/// # Panics
/// git fails.
pub fn git(dir: &Path, arguments: &[&str]) -> String {
    query(dir, arguments).unwrap_or_else(|message| panic!("{message}"))
}

/// Makes a repository on branch `main` whose one commit has everything that is in the directory.
///
/// # Errors
/// git fails; the text has its message.
pub fn init(dir: &Path) -> Result<(), String> {
    query(dir, &["init", "-q", "-b", "main"])?;
    query(dir, &["add", "-A"])?;
    query(dir, &["commit", "-q", "--allow-empty", "-m", "base"])?;
    Ok(())
}
