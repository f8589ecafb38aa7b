//! The agent's environment, made from its caller's.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::EXECUTORS;
use super::executor::Executor;
use crate::os::given;
use crate::os::process::RUN_VARIABLE;
use crate::os::search_path::absolute_entries;

/// Names of variables that mark a parent session, lead git astray, or belong to another terminal.
const DROPPED: [&str; 29] = [
    "TMUX",
    "TMUX_PANE",
    "STY",
    RUN_VARIABLE,
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_CEILING_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "TERM",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "COLUMNS",
    "LINES",
    "PWD",
    "OLDPWD",
    "SHLVL",
];
/// Beginnings of such names.
const DROPPED_PREFIXES: [&str; 4] = [
    "GIT_CONFIG_KEY_",
    "GIT_CONFIG_VALUE_",
    "GIT_INTERNAL_",
    "GIT_PUSH_OPTION_",
];
/// Beginnings of the names by which an agent marks what it starts: a run's agent has no parent session.
const PARENT_MARKS: [&str; 12] = [
    "AI_AGENT",
    "CLAUDECODE",
    "CLAUDE_CODE_",
    "CLAUDE_EFFORT",
    "CLAUDE_ENV_FILE",
    "CLAUDE_PID",
    "CLAUDE_PROJECT_DIR",
    "CODEX_CI",
    "CODEX_SHELL",
    "CODEX_THREAD",
    "CODEX_SANDBOX",
    "CODEX_MANAGED_BY_",
];
/// Variables that hold the credentials of some agent: each executor gets its own ([`Executor::key_variables`]).
const KEYS: [&str; 10] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "XAI_API_KEY",
    "CURSOR_API_KEY",
    "AMP_API_KEY",
    "OPENAI_API_KEY",
    "CODEX_API_KEY",
];

/// Names the directory for temporary files; /tmp is taken where it is not set.
const TEMPORARY: &str = "TMPDIR";

/// The environment of an agent: the caller's without what is foreign to it, `additions`, and the run's mark.
pub(crate) fn agent_environment(
    executor: &dyn Executor,
    additions: &[(String, String)],
    run_id: &str,
) -> Vec<(String, String)> {
    let mut environment = caller_environment(executor);
    environment.extend(additions.iter().cloned());
    environment.insert("TERM".to_owned(), "screen-256color".to_owned());
    environment.insert(RUN_VARIABLE.to_owned(), run_id.to_owned());
    with_directories(executor, environment)
}

/// The environment in which an executor's program is asked without a run.
pub(crate) fn examining_environment(executor: &dyn Executor) -> Vec<(String, String)> {
    with_directories(executor, caller_environment(executor))
}

/// A relative directory is the caller's: the program would look for it in the worktree. A temporary directory that is not
/// there, or is in the worktree, is left out.
///
/// Source: codex 0.150.0 and 0.169.0, whose sandbox starts no command where TMPDIR is missing, and leaves a lock in the worktree
/// where it is relative.
fn with_directories(
    executor: &dyn Executor,
    mut environment: BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let is_place = |dir: &str| Path::new(dir).is_absolute() && Path::new(dir).is_dir();
    if environment.get(TEMPORARY).is_some_and(|dir| !is_place(dir)) {
        environment.remove(TEMPORARY);
    }
    if let Some(home) = executor
        .home_variable()
        .and_then(|name| environment.get_mut(name))
        && let Ok(path) = std::path::absolute(&*home)
        && let Some(path) = path.to_str()
    {
        *home = path.to_owned();
    }
    environment.into_iter().collect()
}

fn caller_environment(executor: &dyn Executor) -> BTreeMap<String, String> {
    let text = |(name, value): &(OsString, OsString)| {
        // The repository's programs are not to be taken for the system's: a wrapper may look for `node`.
        let value = if name == "PATH" {
            absolute_entries(value)
        } else {
            value.clone()
        };
        Some((name.to_str()?.to_owned(), value.into_string().ok()?))
    };
    given::variables()
        .iter()
        .filter_map(text)
        .filter(|(name, _)| !is_foreign(name, executor) && name != "_")
        .collect()
}

fn is_foreign(name: &str, executor: &dyn Executor) -> bool {
    let begins = |prefix: &&str| name.starts_with(*prefix);
    let mut keys = KEYS
        .iter()
        .chain(EXECUTORS.iter().flat_map(|other| other.key_variables()));
    DROPPED.contains(&name)
        || keys.any(|key| *key == name) && !executor.key_variables().contains(&name)
        || DROPPED_PREFIXES.iter().any(begins)
        || PARENT_MARKS.iter().any(begins) && !executor.is_own_setting(name)
}

/// The last value of a variable.
pub(crate) fn value(environment: &[(String, String)], name: &str) -> Option<OsString> {
    environment
        .iter()
        .rev()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::claude::Claude;
    use crate::agent::codex::Codex;

    #[test]
    fn a_temporary_directory_that_is_none_is_left_out() {
        for (dir, stays) in [
            ("/", true),
            ("/nonexistent/x", false),
            (".", false),
            ("", false),
        ] {
            let of_caller = BTreeMap::from([(TEMPORARY.to_owned(), dir.to_owned())]);
            let environment = with_directories(&Codex, of_caller);
            assert_eq!(value(&environment, TEMPORARY).is_some(), stays, "{dir}");
        }
    }

    #[test]
    fn a_parents_marks_and_foreign_keys_are_dropped() {
        for name in [
            "TMUX",
            "CLAUDECODE",
            "CLAUDE_CODE_ENTRYPOINT",
            "CODEX_THREAD_ID",
            "GIT_DIR",
            "GIT_QUARANTINE_PATH",
            "GIT_CONFIG_COUNT",
            "GIT_CONFIG_KEY_0",
            "ANTHROPIC_API_KEY",
        ] {
            assert!(is_foreign(name, &Codex), "{name}");
        }
        for name in [
            "PATH",
            "HOME",
            "OPENAI_API_KEY",
            "CODEX_HOME",
            "GIT_AUTHOR_NAME",
            "LANG",
        ] {
            assert!(!is_foreign(name, &Codex), "{name}");
        }
        for (name, foreign) in [
            ("CLAUDECODE", true),
            ("CLAUDE_CODE_CHILD_SESSION", true),
            ("CLAUDE_CODE_MESSAGING_SOCKET", true),
            ("CLAUDE_CODE_TMPDIR", true),
            ("CLAUDE_PID", true),
            ("OPENAI_API_KEY", true),
            ("CLAUDE_CODE_USE_BEDROCK", false),
            ("CLAUDE_CODE_OAUTH_TOKEN", false),
            ("CLAUDE_CONFIG_DIR", false),
            ("ANTHROPIC_API_KEY", false),
        ] {
            assert_eq!(is_foreign(name, &Claude), foreign, "{name}");
        }
    }
}
