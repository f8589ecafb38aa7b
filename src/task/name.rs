//! The names of tasks and runs, parsed once at the edge.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::agent::EXECUTORS;
use crate::task::Error;

/// The name that a caller gives a task: `[a-z0-9][a-z0-9._-]{0,47}`, without `..` and not ending in
/// `.` or `.lock`, so that it is valid in a path, a branch and a tmux session.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskName(String);

impl TaskName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`Error`] when it breaks a rule; the message says which.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = name.as_bytes();
        let why = if bytes.is_empty() {
            Some("it is empty")
        } else if bytes.len() > 48 {
            Some("it is longer than 48 characters")
        } else if !plain(bytes[0]) {
            Some("it must start with a lower-case letter or a digit")
        } else if !bytes
            .iter()
            .all(|&b| plain(b) || matches!(b, b'.' | b'_' | b'-'))
        {
            Some("only lower-case letters, digits, `.`, `_` and `-` are allowed")
        } else if name.contains("..") {
            Some("`..` is not allowed")
        } else if name.ends_with('.') || name.ends_with(".lock") {
            Some("git allows no branch that ends in `.` or `.lock`")
        } else {
            None
        };
        match why {
            Some(why) => Err(Error::Name {
                name: name.escape_default().to_string(),
                why,
            }),
            None => Ok(Self(name.to_owned())),
        }
    }

    /// The name, for example `refactor-auth`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The names of what is made for a run, formed once and recorded: everything else takes them from here.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The branch of its worktree: `<prefix>-<task>`.
    pub branch: String,
    /// Its worktree: `<worktree-root>/<prefix>-<task>`.
    pub worktree: PathBuf,
    /// Its tmux session: `<prefix>-<task>`, with `_` for the dots that tmux would replace by itself.
    ///
    /// Source: tmux 3.3a renames a session `a.b` to `a_b` without a word.
    pub session: String,
}

impl Names {
    /// The names for a task whose executor has that prefix, with worktrees below `root`.
    #[must_use]
    pub fn new(prefix: &str, task: &TaskName, root: &Path) -> Self {
        let branch = format!("{prefix}-{task}");
        Self {
            worktree: root.join(&branch),
            session: branch.replace('.', "_"),
            branch,
        }
    }
}

/// The names that a session of the task may have, whichever its executor.
pub fn sessions_of(task: &TaskName) -> impl Iterator<Item = String> {
    let prefixes = EXECUTORS.iter().map(|executor| executor.prefix());
    prefixes.map(|prefix| Names::new(prefix, task, Path::new("")).session)
}

impl FromStr for TaskName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::parse(name)
    }
}

impl AsRef<str> for TaskName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TaskName {
    type Error = Error;
    fn try_from(name: String) -> Result<Self, Error> {
        Self::parse(&name)
    }
}

impl From<TaskName> for String {
    fn from(name: TaskName) -> Self {
        name.0
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A run's id: `<yyyymmdd-hhmmss>-<task>-<4 hex>`, in UTC; it sorts by start.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// Makes the id of a run of `task` that starts at `now`; its last four digits are random.
    pub(crate) fn new(task: &TaskName, now: SystemTime) -> Self {
        let stamp: String = humantime::format_rfc3339_seconds(now)
            .to_string()
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        let (day, time) = stamp.split_at(8);
        let random = uuid::Uuid::new_v4().as_u128() & 0xffff;
        Self(format!("{day}-{time}-{task}-{random:04x}"))
    }

    /// The id that a run's directory is named after.
    pub(crate) fn of_directory(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The ref that keeps the run's result: `refs/cx-operator/<run-id>`.
    pub(crate) fn result_ref(&self) -> String {
        format!("refs/cx-operator/{}", self.0)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The task's name within a run's id.
pub(crate) fn task_of(run_id: &str) -> Option<&str> {
    let rest = run_id.get(16..)?;
    rest.len().checked_sub(5).and_then(|end| rest.get(..end))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn task_names_follow_the_rule() {
        for good in ["a", "refactor-auth", "0.1_x", &"a".repeat(48)] {
            assert_eq!(TaskName::parse(good).expect(good).as_str(), good);
        }
        for bad in [
            "",
            "-a",
            ".a",
            "A",
            "a/b",
            "a..b",
            "a.lock",
            "a.",
            "ä",
            "a b",
            "a\n",
            &"a".repeat(49),
        ] {
            assert!(TaskName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_run_id_carries_its_start_and_task() {
        let task = TaskName::parse("fix-it").expect("valid");
        let id = RunId::new(&task, SystemTime::UNIX_EPOCH + Duration::from_secs(86_399));
        assert!(id.as_str().starts_with("19700101-235959-fix-it-"), "{id}");
        assert_eq!(task_of(id.as_str()), Some("fix-it"));
        assert_eq!(task_of("nonsense"), None);
    }
}
