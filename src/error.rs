//! The one error on top: a stable code, what to do now, and an exit status.

use std::io::ErrorKind;
use std::path::PathBuf;

use thiserror::Error;

use crate::agent::GlobalHooksError;
use crate::agent::executor::{Refusal, Trouble};
use crate::os::blocking::Panicked;
use crate::os::chain::{chain, failed};
use crate::record::code::Code;
use crate::{policy, record, task, tmux, worktree};

/// Why something could not be done. The ends of a run are no errors: see [`crate::record::Status`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A part of the task is invalid.
    #[error(transparent)]
    Task(#[from] task::Error),
    /// The policy can't be used.
    #[error(transparent)]
    Policy(#[from] policy::LoadError),
    /// An argument is wrong.
    #[error("{0}")]
    Usage(String),
    /// The person who configured this process did not allow it.
    #[error("{0}")]
    NotAllowed(String),
    /// The configuration file is invalid.
    #[error("{}:{line}:{column}: {mistake}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The line of the mistake, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The mistake, with the key.
        mistake: String,
    },
    /// The configuration file can't be read, or is not the user's alone.
    #[error("{}", failed(format_args!("use the configuration {}", path.display())))]
    ConfigUnusable {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A name, a directory or a record is wrong.
    #[error(transparent)]
    Run(#[from] record::Error),
    /// The repository, the worktree, the snapshot or the patch is in trouble.
    #[error(transparent)]
    Worktree(#[from] worktree::Error),
    /// The worktree went while the run went on.
    #[error("the worktree {} was removed or moved during the run", path.display())]
    WorktreeGone {
        /// Its directory.
        path: PathBuf,
    },
    /// The check before an apply failed.
    #[error("the check `{command}` failed ({status}): nothing was applied")]
    CheckFailed {
        /// The shell command.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// A name that the run needs is taken.
    #[error("the {what} {name} is taken: {holder}")]
    Taken {
        /// `branch`, `worktree` or `tmux session`.
        what: &'static str,
        /// Its name.
        name: String,
        /// Its holder.
        holder: String,
    },
    /// tmux is missing or in trouble.
    #[error(transparent)]
    Tmux(#[from] tmux::Error),
    /// tmux is too old.
    #[error("tmux {version} is too old; a run needs 3.2 or later")]
    TmuxTooOld {
        /// Its version.
        version: String,
    },
    /// No `git` on PATH.
    #[error("git is missing: no `git` on PATH")]
    GitMissing,
    /// The agent's program can't be used.
    #[error(transparent)]
    Agent(#[from] Refusal),
    /// No program serves as hooks and launcher.
    #[error("there is no `cx-helper` {place}")]
    HooksMissing {
        /// Where it should be.
        place: String,
    },
    /// A disk is full.
    #[error("{} has {available_mb} MB free; a run needs {needed_mb} MB", path.display())]
    DiskFull {
        /// Where.
        path: PathBuf,
        /// The free space.
        available_mb: u64,
        /// The space that a run needs.
        needed_mb: u64,
        /// The flag that names another place.
        flag: &'static str,
    },
    /// The hooks for all of a user's sessions are in trouble.
    #[error(transparent)]
    GlobalHooks(#[from] GlobalHooksError),
    /// The file watcher can't be had.
    #[error("{}", failed(format_args!("watch files for changes")))]
    Watch(#[from] notify::Error),
    /// The operating system refused.
    #[error("{}", failed(what))]
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
            Self::Task(error) => match error {
                task::Error::Name { .. } => Code::TaskName,
                task::Error::PromptEmpty
                | task::Error::PromptTooLong { .. }
                | task::Error::PromptNotUtf8 { .. } => Code::Prompt,
                task::Error::AnswersUnreadable { .. }
                | task::Error::AnswersInvalid { .. }
                | task::Error::AnswersPattern { .. } => Code::AnswersFile,
            },
            Self::Policy(_) => Code::PolicyFile,
            Self::Usage(_) => Code::Usage,
            Self::NotAllowed(_) => Code::NotAllowed,
            Self::Config { .. } | Self::ConfigUnusable { .. } => Code::ConfigFile,
            Self::Run(error) => match error {
                record::Error::NotFound { .. } | record::Error::Ambiguous { .. } => {
                    Code::RunNotFound
                }
                record::Error::Alive { .. } => Code::RunAlive,
                record::Error::Ended { .. } => Code::RunEnded,
                record::Error::NotAsked { .. } | record::Error::Answered { .. } => Code::StaleReply,
                record::Error::NotAccepted { .. } => Code::Usage,
                record::Error::TakesNoMessage { .. } => Code::TakesNoMessage,
                record::Error::ResultGone { .. } => Code::ResultGone,
                record::Error::Dead { .. } => Code::RunOrphaned,
                record::Error::Newer { .. } => Code::NewerRun,
                record::Error::NoStateDirectory
                | record::Error::StatePathTooLong { .. }
                | record::Error::StateUnusable { .. } => Code::StateDirectory,
                record::Error::Io { source, .. }
                    if matches!(
                        source.kind(),
                        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
                    ) =>
                {
                    Code::DiskFull
                }
                record::Error::Unreadable { .. } | record::Error::Io { .. } => Code::Record,
            },
            Self::Worktree(
                worktree::Error::PathExists { .. } | worktree::Error::BranchExists { .. },
            ) => Code::NameTaken,
            Self::Worktree(worktree::Error::Conflict { .. }) => Code::ApplyConflict,
            Self::Worktree(worktree::Error::LocalChanges { .. }) => Code::LocalChanges,
            Self::Worktree(error) if error.is_disk_full() => Code::DiskFull,
            Self::Worktree(_) => Code::Repository,
            Self::WorktreeGone { .. } => Code::WorktreeGone,
            Self::CheckFailed { .. } => Code::CheckFailed,
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
            Self::Agent(refusal) => match refusal.trouble {
                Trouble::Missing => Code::AgentMissing,
                Trouble::Home => Code::AgentHome,
                Trouble::Configuration => Code::AgentConfiguration,
                Trouble::Restricted => Code::AgentRestricted,
                Trouble::Credentials | Trouble::Rejected => Code::AgentCredentials,
                Trouble::SignedOut => Code::NotSignedIn,
                Trouble::KeyMissing => Code::ProviderKeyMissing,
                Trouble::Limits => Code::Limits,
                Trouble::Unusable
                | Trouble::Dialog
                | Trouble::PromptBlocked
                | Trouble::WrongDirectory
                | Trouble::EndedAtStart => Code::AgentUnusable,
            },
            Self::HooksMissing { .. } => Code::HooksMissing,
            Self::DiskFull { .. } => Code::DiskFull,
            Self::GlobalHooks(_) => Code::GlobalHooks,
            Self::Watch(_) => Code::Watch,
            Self::Io { .. } => Code::Io,
        }
    }

    /// The message in one line, with its causes.
    #[must_use]
    pub fn message(&self) -> String {
        chain(self)
    }

    /// The advice: the code's, and what is known beyond that.
    #[must_use]
    pub fn hint(&self) -> String {
        let code = self.code();
        let flag = match self {
            Self::DiskFull { flag, .. } => flag,
            Self::Agent(refusal) => return refusal.hint.to_owned(),
            // A record's own directory, or what is beside it.
            Self::Run(_) if code == Code::DiskFull => "--state-dir",
            Self::Worktree(error) if code == Code::Repository => {
                return error.hint().unwrap_or(code.hint()).to_owned();
            }
            _ => return code.hint().to_owned(),
        };
        format!("free some space there, or choose another place with {flag}")
    }

    /// The error as a record carries it.
    pub(crate) fn to_failure(&self) -> record::Failure {
        record::Failure {
            code: self.code().as_str().to_owned(),
            message: self.message(),
            hint: Some(self.hint()),
            signal: None,
        }
    }
}

impl From<Panicked> for Error {
    fn from(Panicked(panic): Panicked) -> Self {
        io("finish a step")(std::io::Error::other(panic))
    }
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
        for &code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(code));
        }
        assert!("http_429".parse::<Code>().is_err());
    }
}
