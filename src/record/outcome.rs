//! `run.json`: the one document that tells how a run ended, for the file and for `--json` alike.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{Display, EnumString, IntoStaticStr};

use crate::agent::ExecutorId;
use crate::agent::conversation::Drive;
use crate::agent::report::Usage;
use crate::agent::screen_state::AnswerOption;
use crate::agent::signals::Decided;
use crate::os::signal::exit_after;
use crate::os::time::timestamp;
use crate::policy::Action;
use crate::record::code::Code;
use crate::task::budget::{Budget, Usd};
use crate::task::judge::Policy;
use crate::task::name::{RunId, TaskName};
use crate::worktree::diff::FileChange;
use crate::worktree::{AgentCommit, Changes};

/// The version of the record's format that this cx-operator writes.
const SCHEMA_VERSION: u32 = 1;

/// How a run ended.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
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
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// A turn ended with what reads as a result.
    Completed,
    /// A question, or an unclear message, without an answer.
    NeedsInput,
    /// An approval without an answer.
    NeedsPermission,
    /// A dialog that we don't know or may not answer.
    BlockedDialog,
    /// As many turns as allowed, and no result.
    TurnCap,
    /// The limit of tokens or of money.
    OverBudget,
    /// The turn failed: an API error, a usage limit.
    AgentFailed,
    /// The agent's program ended.
    AgentDied,
    /// A deadline passed.
    TimedOut,
    /// Ended by the user or the parent.
    Aborted,
    /// Could not be done: not ready, a repository's trouble, a wrong use, or anything else.
    Failed,
}

impl Status {
    /// The name in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The question that is still open.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pending {
    /// `question`, `unclear`, `permission` or `dialog`.
    pub kind: String,
    /// The question, the message, the command or the screen.
    pub text: String,
    /// Why the agent asks, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The answers that the agent offers, if its question is a form. Any other text is an answer, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<AnswerOption>,
}

/// Why a run did not complete.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// A stable name in snake case.
    pub code: String,
    /// The message, for people.
    pub message: String,
    /// The advice on what to do now.
    pub hint: Option<String>,
    /// The signal that ended the run: `SIGINT`, `SIGTERM`, …
    pub signal: Option<String>,
}

/// Something that was said to the agent in the user's place.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reply {
    /// The turn whose end, or in whose course, it was asked.
    pub turn: u32,
    /// Its author: `answers`, `command`, `message`, `policy`, `operator`, `hook`, `person` (at the terminal), or a library user's
    /// own name.
    pub by: String,
    /// The question.
    pub question: String,
    /// The reply: a text, or `allow` / `deny`.
    pub reply: String,
}

/// The run that another one goes on from.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Continued {
    /// Its id.
    pub run_id: RunId,
    /// The session of its agent that was gone on with; absent where a summary was put before the brief.
    pub session_id: Option<String>,
}

/// The policy of a run, and what was decided by it.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PolicyRecord {
    /// The preset, the file as it was named, or the name of a program's own policy.
    pub name: String,
    /// `sha256:` and 64 hex digits, of the document that was in force; absent where a program's own code decided.
    pub hash: Option<String>,
    /// The decisions, oldest first: each denial, and the answer to each approval that the agent asked for.
    pub decisions: Vec<PolicyDecision>,
}

/// One decision by a run's policy.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PolicyDecision {
    /// The agent's name of the tool.
    pub tool: String,
    /// The command, or the tool and what it is about.
    pub command: String,
    /// `allow`, `deny`, or `ask`: then others were asked, see `replies` and `pending`.
    pub action: Action,
    /// The rule that says it, or `default`.
    pub rule: String,
    /// What the agent was told, of a `deny`.
    pub message: Option<String>,
}

impl PolicyRecord {
    /// The record of a policy, with the decisions that the hooks wrote into `signals`.
    pub(crate) fn load(policy: &dyn Policy, signals: &Path) -> Self {
        let decision = |(_, decided): (String, Decided)| PolicyDecision {
            tool: decided.tool,
            command: decided.command,
            action: decided.verdict.action,
            rule: decided.verdict.rule,
            message: decided.verdict.message,
        };
        Self {
            name: policy.name().to_owned(),
            hash: policy.rules().map(|rules| rules.hash().to_owned()),
            decisions: Decided::list(signals).into_iter().map(decision).collect(),
        }
    }
}

/// The budget of a run.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BudgetRecord {
    /// The limit of tokens.
    pub max_tokens: Option<u64>,
    /// The limit of money, in US dollars.
    pub max_cost_usd: Option<Usd>,
    /// What the run cost by the prices that were given; absent without a limit of money, and where nothing told of tokens.
    pub cost_usd: Option<Usd>,
}

impl BudgetRecord {
    /// The record of a budget, of which that was used; `None` where there is no limit.
    pub(crate) fn of(budget: &Budget, usage: Option<&Usage>) -> Option<Self> {
        let cost = budget.cost.as_ref();
        budget.is_set().then(|| Self {
            max_tokens: budget.tokens,
            max_cost_usd: cost.map(|(limit, _)| *limit),
            cost_usd: cost
                .zip(usage)
                .map(|((_, prices), usage)| prices.cost(usage)),
        })
    }
}

/// A run's end, whole: the document of `run.json` and of `--json`.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Outcome {
    /// 1.
    pub schema_version: u32,
    /// The run's id; null where a run never began since its task has no valid name.
    #[cfg_attr(feature = "cli", schemars(with = "Option<RunId>"))]
    pub run_id: RunId,
    /// The task's name.
    pub task: TaskName,
    /// The CLI that did the work: `codex`.
    pub executor: String,
    /// Its version, when it was found.
    pub agent_version: Option<String>,
    /// The way in which it was driven: `requests`, `keys` or `headless`; absent where it was not started, and in records of older
    /// versions, which drove by keys.
    #[serde(default)]
    pub drive: Option<Drive>,
    /// How the run ended.
    pub status: Status,
    /// The agent's own session id, from its first event.
    pub session_id: Option<String>,
    /// Prompts submitted with proof.
    pub turns: u32,
    /// The commit that the worktree started from.
    pub base_commit: Option<String>,
    /// The snapshot, when anything changed.
    pub result_commit: Option<String>,
    /// The ref that keeps `result_commit`.
    pub result_ref: Option<String>,
    /// The branch of the worktree, until it is removed.
    pub branch: Option<String>,
    /// Whether the agent committed its work.
    pub changes: Changes,
    /// Files that differ from the base.
    pub files_changed: usize,
    /// Lines added.
    pub insertions: usize,
    /// Lines removed.
    pub deletions: usize,
    /// The complete diff base..result, `git apply`-able.
    pub patch: Option<PathBuf>,
    /// The run's directory; absent when the run never came to be.
    pub run_dir: Option<PathBuf>,
    /// The repository's root.
    pub repository: Option<PathBuf>,
    /// The git directory that all its worktrees share; absent in records of older versions.
    pub common_dir: Option<PathBuf>,
    /// The caller's work tree, which `--repo` led to; absent for a bare repository.
    pub checkout: Option<PathBuf>,
    /// Whether the agent started from the caller's uncommitted changes.
    #[serde(default)]
    pub base_dirty: bool,
    /// The worktree, where it was kept.
    pub worktree: Option<PathBuf>,
    /// The agent's last message.
    pub last_message: Option<String>,
    /// The agent's answer, where one of a form was wanted and has it.
    #[serde(default)]
    pub answer: Option<Value>,
    /// The question that is still open.
    pub pending: Option<Pending>,
    /// Tokens used.
    pub usage: Option<Usage>,
    /// Start, RFC 3339 in UTC.
    pub started_at: String,
    /// From start to record, in milliseconds.
    pub duration_ms: u64,
    /// The error.
    pub error: Option<Failure>,
    /// The agent's own commits, oldest first.
    pub commits: Vec<AgentCommit>,
    /// The changed files.
    pub files: Vec<FileChange>,
    /// The run that this one goes on from; absent in one that began anew.
    #[serde(default)]
    pub continues: Option<Continued>,
    /// The runs that go on from this one, in their order.
    #[serde(default)]
    pub continued_by: Vec<RunId>,
    /// The policy and its decisions; absent in a run without one.
    #[serde(default)]
    pub policy: Option<PolicyRecord>,
    /// What the run was allowed to use; absent in a run without a limit.
    #[serde(default)]
    pub budget: Option<BudgetRecord>,
    /// The replies to the agent in the user's place.
    pub replies: Vec<Reply>,
    /// Notices for people: warnings of the preflight, costs, things left alone.
    pub notices: Vec<String>,
}

impl Outcome {
    /// The end of a run that never came to be: nothing was created, and the id is in no record.
    pub(crate) fn not_begun(task: &TaskName, error: Failure) -> Self {
        let now = SystemTime::now();
        let mut outcome = Self::blank(task, RunId::new(task, now), now);
        outcome.fail(error);
        outcome
    }

    /// The process's exit status that tells of this end.
    ///
    /// | status | exit |
    /// |---|---|
    /// | completed | 0 |
    /// | needs_input, needs_permission, blocked_dialog | 3 |
    /// | turn_cap, over_budget | 4 |
    /// | agent_failed, agent_died | 5 |
    /// | timed_out | 6 |
    /// | aborted | after a signal 128 and its number (SIGINT 130, SIGTERM 143), else 9 |
    /// | failed | 1, 2, 7 or 8, by `error.code` |
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let signal = self
            .error
            .as_ref()
            .and_then(|error| error.signal.as_deref());
        match self.status {
            Status::Completed => 0,
            Status::NeedsInput | Status::NeedsPermission | Status::BlockedDialog => 3,
            Status::TurnCap | Status::OverBudget => 4,
            Status::AgentFailed | Status::AgentDied => 5,
            Status::TimedOut => 6,
            Status::Aborted => signal.and_then(exit_after).unwrap_or(9),
            Status::Failed => self
                .error
                .as_ref()
                .and_then(|error| error.code.parse().ok())
                .map_or(1, Code::exit),
        }
    }

    /// Reads a record, unless a newer cx-operator wrote it.
    pub(super) fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            schema_version: u32,
        }
        // Before anything else of it, which may mean something else by now.
        let Versioned { schema_version } = serde_json::from_slice(bytes)?;
        if schema_version > SCHEMA_VERSION {
            return Err(serde::de::Error::custom(format!(
                "it has schema version {schema_version}; this cx-operator knows {SCHEMA_VERSION}"
            )));
        }
        serde_json::from_slice(bytes)
    }

    /// A record of which nothing is known yet.
    pub(crate) fn blank(task: &TaskName, run_id: RunId, started: SystemTime) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            run_id,
            task: task.clone(),
            executor: ExecutorId::default().name().to_owned(),
            agent_version: None,
            drive: None,
            status: Status::Failed,
            session_id: None,
            turns: 0,
            base_commit: None,
            result_commit: None,
            result_ref: None,
            branch: None,
            changes: Changes::None,
            files_changed: 0,
            insertions: 0,
            deletions: 0,
            patch: None,
            run_dir: None,
            repository: None,
            common_dir: None,
            checkout: None,
            base_dirty: false,
            worktree: None,
            last_message: None,
            answer: None,
            pending: None,
            usage: None,
            started_at: timestamp(started),
            duration_ms: 0,
            error: None,
            commits: Vec::new(),
            files: Vec::new(),
            continues: None,
            continued_by: Vec::new(),
            policy: None,
            budget: None,
            replies: Vec::new(),
            notices: Vec::new(),
        }
    }

    pub(crate) fn fail(&mut self, error: Failure) {
        self.status = Status::Failed;
        self.error = Some(error);
    }
}
