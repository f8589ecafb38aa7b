//! The stable codes of what can go wrong.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// The stable names of what can go wrong before, around and after a run. How an agent's turn failed has
/// names of its own, such as `http_429`.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "`exit`, `hint` and the table of `docs/result.md` say what each one is"
)]
pub enum Code {
    Usage,
    NotAllowed,
    TaskName,
    Prompt,
    AnswersFile,
    PolicyFile,
    ConfigFile,
    ArgumentsTooLong,
    RunNotFound,
    RunAlive,
    RunEnded,
    RunOrphaned,
    StaleReply,
    TakesNoMessage,
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
    ResultGone,
    WorktreeGone,
    ApplyConflict,
    LocalChanges,
    CheckFailed,
    Tmux,
    MalformedEvent,
    PromptAltered,
    ConnectionLost,
    Record,
    GlobalHooks,
    Io,
}

impl Code {
    /// All of them, in the order of the table in `docs/result.md`.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The process's exit status: 2 for wrong usage, 7 if something is not ready, 8 for the repository, 1 otherwise.
    #[must_use]
    pub fn exit(self) -> u8 {
        match self {
            Self::Usage
            | Self::NotAllowed
            | Self::TaskName
            | Self::Prompt
            | Self::AnswersFile
            | Self::PolicyFile
            | Self::ConfigFile
            | Self::ArgumentsTooLong
            | Self::RunNotFound
            | Self::RunAlive
            | Self::RunEnded
            | Self::StaleReply
            | Self::TakesNoMessage => 2,
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
            Self::Repository
            | Self::NameTaken
            | Self::ResultGone
            | Self::WorktreeGone
            | Self::ApplyConflict
            | Self::LocalChanges => 8,
            Self::Tmux
            | Self::MalformedEvent
            | Self::PromptAltered
            | Self::ConnectionLost
            | Self::CheckFailed
            | Self::Record
            | Self::RunOrphaned
            | Self::GlobalHooks
            | Self::Io => 1,
        }
    }

    /// The advice on what to do now.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Usage => "see the command's --help",
            Self::NotAllowed => {
                "the person who configured the server decides: see `cx-operator mcp --help`"
            }
            Self::TaskName => "see `cx-operator delegate --help`",
            Self::Prompt => {
                "give the brief with --prompt, --prompt-file or on stdin; put a longer text into a file of the repository"
            }
            Self::AnswersFile => "see `--answers` in `cx-operator delegate --help`",
            Self::PolicyFile => {
                "`cx-operator policy show` lists the presets; `cx-operator policy test FILE` checks a file"
            }
            Self::ConfigFile => {
                "`cx-operator config check` reads that file; only you may be able to write it and its directory"
            }
            Self::ArgumentsTooLong => "put long values into the agent's configuration",
            Self::RunNotFound => "`cx-operator list` names the runs",
            Self::RunAlive => {
                "wait for it, watch it with `cx-operator attach`, or end its operator with SIGINT"
            }
            Self::RunEnded => "`cx-operator show` says how",
            Self::RunOrphaned => "`cx-operator resume` takes it over",
            Self::StaleReply => "answer the question that is open now",
            Self::TakesNoMessage => {
                "say all of it in the brief, or take the executor's form with a terminal"
            }
            Self::NewerRun => "use the cx-operator that wrote it, or a newer one",
            Self::StateDirectory => "set CX_OPERATOR_STATE to a short absolute path",
            Self::TmuxMissing | Self::TmuxTooOld => {
                "install it: `apt-get install tmux`, `dnf install tmux` or `brew install tmux`"
            }
            Self::GitMissing => {
                "install it: `apt-get install git`, `dnf install git` or `brew install git`"
            }
            Self::AgentMissing => "install the agent's CLI, or name its program",
            Self::AgentUnusable => "run the agent's program once by hand, or name another one",
            Self::AgentHome => "create that directory, or unset the variable that names it",
            Self::AgentConfiguration => "fix or remove the setting that the message names",
            Self::AgentRestricted => {
                "see the message: the setting takes precedence over a run's own arguments"
            }
            Self::AgentCredentials | Self::NotSignedIn => "sign in with the agent's CLI",
            Self::ProviderKeyMissing => "set the variable that the message names",
            Self::Limits => "raise the limit that the message names",
            Self::HooksMissing => {
                "install `cx-helper`, or name its directory with CX_OPERATOR_HOOKS; a program that uses the library calls `helper_main()` first"
            }
            Self::DiskFull => {
                "free some space; --worktree-root and --state-dir choose other places"
            }
            Self::Watch => {
                "Linux allows a user 128 inotify instances: see /proc/sys/fs/inotify/max_user_instances"
            }
            Self::ResultGone => {
                "`prune` removed it, or somebody deleted the ref; `patch.diff` in the run's directory has it as a patch"
            }
            Self::WorktreeGone => {
                "commits made there are kept; look whether the directory was moved, and run the task again"
            }
            Self::ApplyConflict => {
                "name a --branch without those changes, or merge by hand: `cx-operator show` names the result's commit; after --include-dirty take --patch"
            }
            Self::LocalChanges => "commit or stash them, then try again",
            Self::CheckFailed => "nothing was changed; see what it printed",
            Self::NameTaken => {
                "choose another --task, or see whether `cx-operator cleanup` frees it"
            }
            Self::Tmux => "`cx-operator doctor` checks whether tmux works",
            Self::MalformedEvent => {
                "an agent newer than this cx-operator may send another format: see the run's signals"
            }
            Self::PromptAltered => {
                "a person typed into the pane; run the task again and attach read-only"
            }
            Self::ConnectionLost => "run the task again, perhaps with --drive keys",
            Self::Repository => {
                "see what git says of that repository (`git status`, `git worktree list`, `git fsck`), then try again"
            }
            Self::Record => {
                "see whether the file that the message names is yours, and its disk in order; `cx-operator doctor` checks the state directory"
            }
            Self::GlobalHooks => {
                "fix the file that the message names, or move it away; `cx-operator hooks verify` tells what it has"
            }
            Self::Io => "the system's own reason is in the message: see to it, then try again",
        }
    }
}
