//! The one error on top: a stable code, what to do now, and an exit status.

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::path::PathBuf;

use thiserror::Error;

use crate::agent::codex::{global_hooks, program, setup};
use crate::{prompt, respond, run, tmux, worktree};

/// The stable names of what can go wrong before, around and after a run. How an agent's turn failed has
/// names of its own, such as `http_429`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "`exit`, `hint` and the README's table say of each what it is"
)]
pub enum Code {
    Usage,
    TaskName,
    Prompt,
    AnswersFile,
    ArgumentsTooLong,
    RunNotFound,
    RunAlive,
    NewerRun,
    StateDirectory,
    TmuxMissing,
    TmuxTooOld,
    GitMissing,
    AgentMissing,
    AgentUnusable,
    AgentHome,
    AgentConfiguration,
    AgentRestricted,
    AgentCredentials,
    NotSignedIn,
    ProviderKeyMissing,
    Limits,
    HooksMissing,
    DiskFull,
    Watch,
    Repository,
    NameTaken,
    WorktreeGone,
    Tmux,
    MalformedEvent,
    PromptAltered,
    Record,
    GlobalHooks,
    Io,
}

impl Code {
    /// All of them, in the order of the README's table.
    pub const ALL: [Self; 33] = [
        Self::Usage,
        Self::TaskName,
        Self::Prompt,
        Self::AnswersFile,
        Self::ArgumentsTooLong,
        Self::RunNotFound,
        Self::RunAlive,
        Self::NewerRun,
        Self::StateDirectory,
        Self::TmuxMissing,
        Self::TmuxTooOld,
        Self::GitMissing,
        Self::AgentMissing,
        Self::AgentUnusable,
        Self::AgentHome,
        Self::AgentConfiguration,
        Self::AgentRestricted,
        Self::AgentCredentials,
        Self::NotSignedIn,
        Self::ProviderKeyMissing,
        Self::Limits,
        Self::HooksMissing,
        Self::DiskFull,
        Self::Watch,
        Self::Repository,
        Self::NameTaken,
        Self::WorktreeGone,
        Self::Tmux,
        Self::MalformedEvent,
        Self::PromptAltered,
        Self::Record,
        Self::GlobalHooks,
        Self::Io,
    ];

    /// The name, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::TaskName => "task_name",
            Self::Prompt => "prompt",
            Self::AnswersFile => "answers_file",
            Self::ArgumentsTooLong => "arguments_too_long",
            Self::RunNotFound => "run_not_found",
            Self::RunAlive => "run_alive",
            Self::NewerRun => "newer_run",
            Self::StateDirectory => "state_directory",
            Self::TmuxMissing => "tmux_missing",
            Self::TmuxTooOld => "tmux_too_old",
            Self::GitMissing => "git_missing",
            Self::AgentMissing => "agent_missing",
            Self::AgentUnusable => "agent_unusable",
            Self::AgentHome => "agent_home",
            Self::AgentConfiguration => "agent_configuration",
            Self::AgentRestricted => "agent_restricted",
            Self::AgentCredentials => "agent_credentials",
            Self::NotSignedIn => "not_signed_in",
            Self::ProviderKeyMissing => "provider_key_missing",
            Self::Limits => "limits",
            Self::HooksMissing => "hooks_missing",
            Self::DiskFull => "disk_full",
            Self::Watch => "watch",
            Self::Repository => "repository",
            Self::NameTaken => "name_taken",
            Self::WorktreeGone => "worktree_gone",
            Self::Tmux => "tmux",
            Self::MalformedEvent => "malformed_event",
            Self::PromptAltered => "prompt_altered",
            Self::Record => "record",
            Self::GlobalHooks => "global_hooks",
            Self::Io => "io",
        }
    }

    /// The code of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// The process's exit status: 2 for a wrong use, 7 for what is not ready, 8 for the repository, 1 otherwise.
    #[must_use]
    pub fn exit(self) -> u8 {
        match self {
            Self::Usage
            | Self::TaskName
            | Self::Prompt
            | Self::AnswersFile
            | Self::ArgumentsTooLong
            | Self::RunNotFound
            | Self::RunAlive => 2,
            Self::StateDirectory
            | Self::NewerRun
            | Self::TmuxMissing
            | Self::TmuxTooOld
            | Self::GitMissing
            | Self::AgentMissing
            | Self::AgentUnusable
            | Self::AgentHome
            | Self::AgentConfiguration
            | Self::AgentRestricted
            | Self::AgentCredentials
            | Self::NotSignedIn
            | Self::ProviderKeyMissing
            | Self::Limits
            | Self::HooksMissing
            | Self::DiskFull
            | Self::Watch => 7,
            Self::Repository | Self::NameTaken | Self::WorktreeGone => 8,
            Self::Tmux
            | Self::MalformedEvent
            | Self::PromptAltered
            | Self::Record
            | Self::GlobalHooks
            | Self::Io => 1,
        }
    }

    /// What to do now.
    #[must_use]
    pub fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::Usage => "see the command's --help",
            Self::TaskName => "see `cx-operator delegate --help`",
            Self::Prompt => {
                "give the brief by --prompt, --prompt-file or stdin; put what is longer into a file of the repository"
            }
            Self::AnswersFile => "see the answers file's format in the README",
            Self::ArgumentsTooLong => "put what is long into codex's configuration",
            Self::RunNotFound => "`cx-operator list` names the runs",
            Self::RunAlive => {
                "wait for it, watch it by `cx-operator attach`, or end its operator by SIGINT"
            }
            Self::NewerRun => "use the cx-operator that wrote it, or a newer one",
            Self::StateDirectory => "set CX_OPERATOR_STATE to a short absolute path",
            Self::TmuxMissing | Self::TmuxTooOld => {
                "install it: `apt-get install tmux`, `dnf install tmux` or `brew install tmux`"
            }
            Self::GitMissing => {
                "install it: `apt-get install git`, `dnf install git` or `brew install git`"
            }
            Self::AgentMissing => {
                "install it: `npm install -g @openai/codex`, or name it by --codex"
            }
            Self::AgentUnusable => "run it by hand once; --codex names another",
            Self::AgentHome => {
                "make that directory and sign in with it set, or unset CODEX_HOME for ~/.codex"
            }
            Self::AgentConfiguration => "mend or remove the setting that the message names",
            Self::AgentRestricted => "see the message: the setting goes before what a run passes",
            Self::AgentCredentials => {
                "run `codex login` anew (ChatGPT account), or `codex login --with-api-key` with a key on its stdin"
            }
            Self::NotSignedIn => {
                "run `codex login` (ChatGPT account), or `codex login --with-api-key` with a key on its stdin"
            }
            Self::ProviderKeyMissing => {
                "set that variable, which `env_key` of the provider in codex's configuration names"
            }
            Self::Limits => "raise the hard limit of open files, as by `ulimit -H -n 1024`",
            Self::HooksMissing => {
                "install cx-operator with its hook binaries, or name their directory by CX_OPERATOR_HOOKS"
            }
            Self::DiskFull => {
                "free some space; --worktree-root and --state-dir choose other places"
            }
            Self::Watch => {
                "Linux allows a user 128 inotify instances: see /proc/sys/fs/inotify/max_user_instances"
            }
            Self::WorktreeGone => {
                "what was committed there is kept; see whether the directory was moved, and run the task again"
            }
            Self::NameTaken => "take another --task, or see whether `cx-operator cleanup` frees it",
            Self::Tmux => "`cx-operator doctor` tells whether tmux works",
            Self::MalformedEvent => {
                "a codex newer than this cx-operator may send another format: see the run's signals"
            }
            Self::PromptAltered => {
                "somebody typed into the pane; run the task again and attach read-only"
            }
            Self::Repository | Self::Record | Self::GlobalHooks | Self::Io => return None,
        })
    }
}

/// Why something could not be done. The ends of a run are no errors: see [`crate::run::Status`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The prompt is none.
    #[error(transparent)]
    Prompt(#[from] prompt::Error),
    /// The answers file is none.
    #[error(transparent)]
    Answers(#[from] respond::AnswersError),
    /// An argument is wrong.
    #[error("{0}")]
    Usage(String),
    /// A name, a directory or a record is wrong.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// The repository, the worktree, the snapshot or the patch is in trouble.
    #[error(transparent)]
    Worktree(#[from] worktree::Error),
    /// The worktree went while the run went on.
    #[error("find the worktree {}: it was removed or moved while the run went on", path.display())]
    WorktreeGone {
        /// Its directory.
        path: PathBuf,
    },
    /// A name that the run needs is taken.
    #[error("use the {what} {name}: {holder}")]
    Taken {
        /// `branch`, `worktree` or `tmux session`.
        what: &'static str,
        /// Its name.
        name: String,
        /// Who holds it.
        holder: String,
    },
    /// tmux is missing or in trouble.
    #[error(transparent)]
    Tmux(#[from] tmux::Error),
    /// tmux is too old.
    #[error("use tmux {version}: 3.2 or later is needed")]
    TmuxTooOld {
        /// Its version.
        version: String,
    },
    /// No `git` on PATH.
    #[error("find git on PATH")]
    GitMissing,
    /// codex is missing or no codex.
    #[error(transparent)]
    Program(#[from] program::Error),
    /// codex is not signed in.
    #[error("use codex: it is not signed in")]
    SignedOut,
    /// The configured provider's key is not in the environment.
    #[error(
        "use codex: {variable}, the key of its model provider {provider}, is not in the environment"
    )]
    ProviderKeyMissing {
        /// The provider's name.
        provider: String,
        /// The variable that its key should be in.
        variable: String,
    },
    /// codex would not do with its configuration.
    #[error(transparent)]
    Setup(#[from] setup::Error),
    /// What codex signs in with can't be used.
    #[error("sign in with {}: {why}", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The agent may open too few files.
    #[error("run codex with {files} open files at most: {needed} are needed")]
    Limit {
        /// The hard limit.
        files: u64,
        /// What it needs.
        needed: u64,
    },
    /// The hook binaries are not where they are looked for.
    #[error("find the hook binaries beside {} or on PATH", executable.display())]
    HooksMissing {
        /// Our own executable.
        executable: PathBuf,
    },
    /// There is no room.
    #[error("start with {available_mb} MB free in {}: {needed_mb} MB are needed", path.display())]
    DiskFull {
        /// Where.
        path: PathBuf,
        /// What is free.
        available_mb: u64,
        /// What a run needs.
        needed_mb: u64,
        /// The flag that names another place.
        flag: &'static str,
    },
    /// codex's `hooks.json` is in trouble.
    #[error(transparent)]
    GlobalHooks(#[from] global_hooks::Error),
    /// The file watcher can't be had.
    #[error("watch files for changes")]
    Watch(#[from] notify::Error),
    /// The operating system refused.
    #[error("{what}")]
    Io {
        /// The attempt, as a verb and an object.
        what: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// The stable name of what went wrong.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Prompt(_) => Code::Prompt,
            Self::Answers(_) => Code::AnswersFile,
            Self::Usage(_) => Code::Usage,
            Self::Run(error) => match error {
                run::Error::TaskName { .. } => Code::TaskName,
                run::Error::NotFound { .. } | run::Error::Ambiguous { .. } => Code::RunNotFound,
                run::Error::Alive { .. } => Code::RunAlive,
                run::Error::Newer { .. } => Code::NewerRun,
                run::Error::NoStateDirectory
                | run::Error::StatePathTooLong { .. }
                | run::Error::StateUnusable { .. } => Code::StateDirectory,
                run::Error::Io { source, .. }
                    if matches!(
                        source.kind(),
                        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
                    ) =>
                {
                    Code::DiskFull
                }
                run::Error::Unreadable { .. } | run::Error::Io { .. } => Code::Record,
            },
            Self::Worktree(
                worktree::Error::PathExists { .. } | worktree::Error::BranchExists { .. },
            ) => Code::NameTaken,
            Self::Worktree(error) if error.is_disk_full() => Code::DiskFull,
            Self::Worktree(_) => Code::Repository,
            Self::WorktreeGone { .. } => Code::WorktreeGone,
            Self::Taken { .. } => Code::NameTaken,
            Self::Tmux(error) => match error {
                tmux::Error::Missing => Code::TmuxMissing,
                tmux::Error::ArgumentsTooLong { .. } => Code::ArgumentsTooLong,
                tmux::Error::SessionExists { .. } => Code::NameTaken,
                tmux::Error::Io { .. }
                | tmux::Error::Refused { .. }
                | tmux::Error::Hung { .. }
                | tmux::Error::Unexpected { .. } => Code::Tmux,
            },
            Self::TmuxTooOld { .. } => Code::TmuxTooOld,
            Self::GitMissing => Code::GitMissing,
            Self::Program(program::Error::Missing(_)) => Code::AgentMissing,
            Self::Program(program::Error::Unusable { .. }) => Code::AgentUnusable,
            Self::SignedOut => Code::NotSignedIn,
            Self::ProviderKeyMissing { .. } => Code::ProviderKeyMissing,
            Self::Setup(error) => match error {
                setup::Error::Home { .. } => Code::AgentHome,
                setup::Error::Invalid(_) | setup::Error::Profile { .. } => Code::AgentConfiguration,
                setup::Error::Forced(_) => Code::AgentRestricted,
            },
            Self::Credentials { .. } => Code::AgentCredentials,
            Self::Limit { .. } => Code::Limits,
            Self::HooksMissing { .. } => Code::HooksMissing,
            Self::DiskFull { .. } => Code::DiskFull,
            Self::GlobalHooks(_) => Code::GlobalHooks,
            Self::Watch(_) => Code::Watch,
            Self::Io { .. } => Code::Io,
        }
    }

    /// What happened, causes included: completes "failed to …".
    #[must_use]
    pub fn message(&self) -> String {
        chain(self)
    }

    /// What to do now: what the code says, and of a full disk which one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let flag = match self {
            Self::DiskFull { flag, .. } => flag,
            // A record's own directory, or what is beside it.
            Self::Run(_) if self.code() == Code::DiskFull => "--state-dir",
            _ => return self.code().hint().map(str::to_owned),
        };
        Some(format!(
            "free some space there, or choose another place by {flag}"
        ))
    }

    /// The error as a record carries it.
    #[must_use]
    pub fn to_failure(&self) -> run::Failure {
        run::Failure {
            code: self.code().as_str().to_owned(),
            message: format!("failed to {}", self.message()),
            hint: self.hint(),
            signal: None,
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // A transparent variant repeats its cause.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_parsed_from_their_names() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(code));
        }
        assert_eq!(Code::parse("http_429"), None);
    }
}
