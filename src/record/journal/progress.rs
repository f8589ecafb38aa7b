//! The events of a run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::conversation::Drive;
use crate::agent::executor::Resumed;
use crate::agent::report::{Item, Usage};
use crate::agent::screen_state::AnswerOption;
use crate::policy::Action;
use crate::record::{Failure, Pending, Status};
use crate::task::Configuration;
use crate::task::name::{Names, RunId, TaskName};

/// The format of the journals that this version writes, and the newest that it understands.
pub const SCHEMA_VERSION: u32 = 1;

/// Something that a run creates or removes.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// The worktree and its branch.
    Worktree {
        /// The directory.
        path: PathBuf,
        /// The branch.
        branch: String,
        /// The commit it starts from.
        base_commit: String,
    },
    /// The tmux session with the agent in it.
    Session {
        /// Our server's socket.
        socket: PathBuf,
        /// The session's name.
        session: String,
    },
    /// The headless program of the agent.
    Program {
        /// The file with what it prints.
        stream: PathBuf,
    },
    /// The end of the agent's program and of all that it started.
    EndAgent,
    /// The snapshot of the work.
    Snapshot {
        /// The ref that keeps it, where there is work to keep.
        result_ref: String,
        /// The kept commit, once that is done; absent if nothing had changed, and in older journals.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result_commit: Option<String>,
    },
    /// The diff base..snapshot.
    Patch {
        /// The file.
        path: PathBuf,
    },
    /// The removal of the tmux session.
    RemoveSession,
    /// The removal of the worktree.
    RemoveWorktree,
    /// The removal of the branch.
    RemoveBranch,
}

/// An event of a run.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Progress {
    /// The run waits for others to end; only in the stream of events, since it has no directory yet.
    Queued {
        /// Its place among those who wait, from 1.
        position: usize,
    },
    /// The run has a directory.
    Started {
        /// Its id.
        run_id: RunId,
        /// Its task.
        task: TaskName,
        /// The repository's root.
        repository: PathBuf,
        /// The git directory that all its worktrees share; absent in journals of older versions.
        common_dir: Option<PathBuf>,
        /// The commit that it starts from.
        base_commit: String,
        /// The machine's boot, to tell pids of another one.
        boot_id: String,
        /// The operator's process.
        operator_pid: u32,
        /// The agent's version.
        agent_version: String,
        /// The names of what the run makes; absent in journals of older versions.
        names: Option<Names>,
        /// In journals of older versions, which have no `order.json`, what of the task an operator needs that takes the run
        /// over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terms: Option<Value>,
        /// The version of the journal's format.
        schema_version: u32,
    },
    /// The run goes on from an earlier one.
    Continues {
        /// That run.
        run_id: RunId,
        /// The session of its agent; absent where a summary is put before the brief.
        session: Option<Resumed>,
    },
    /// The user's configuration file gave something to the run.
    Configured(Configuration),
    /// A command that tells others of the run is about to be run; it is run once.
    Notified {
        /// `waiting` or `finished`.
        of: String,
        /// The question that the run waits with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        question: Option<String>,
    },
    /// Another operator took the run over, after the one before had died.
    TakenOver {
        /// The machine's boot.
        boot_id: String,
        /// The operator's process.
        operator_pid: u32,
        /// Whether its agent goes on; else the run is ended.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        follows: bool,
    },
    /// A step is about to be taken.
    Begun(Step),
    /// A step was taken.
    Done(Step),
    /// A step failed.
    StepFailed {
        /// The step.
        #[serde(flatten)]
        step: Step,
        /// Why.
        message: String,
    },
    /// The agent's program was started.
    Launched {
        /// tmux's id of the session, such as `$1`; absent where the program is headless.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session_id: Option<String>,
        /// tmux's id of the pane, such as `%3`; absent where the program is headless.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pane: Option<String>,
        /// The pid of the launcher, at the root of all that the run starts.
        pid: u32,
        /// When that process started, in clock ticks after boot.
        pid_start: Option<u64>,
        /// Where the agent works; absent in older journals, where it is the worktree.
        directory: Option<PathBuf>,
        /// The command line; the number of the caller's own arguments replaces them.
        argv: Vec<String>,
        /// The way in which it is driven; absent in journals of older versions, which drove by keys.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drive: Option<Drive>,
    },
    /// The agent's server answered, and has a session for the run.
    Connected {
        /// The agent's session.
        session_id: String,
        /// Its transcript, a file that may not be there yet.
        transcript: Option<PathBuf>,
        /// Where the agent works.
        directory: Option<PathBuf>,
        /// The last turn of the session before the run, where that goes on with one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_turn: Option<String>,
    },
    /// Something that people should know.
    Notice {
        /// In words.
        text: String,
    },
    /// A key was pressed.
    KeyPressed {
        /// tmux's name of the key.
        key: String,
        /// The dialog, or `composer`.
        on: String,
    },
    /// A prompt was pasted.
    Pasted {
        /// The turn that it shall begin.
        turn: u32,
        /// Its length in bytes.
        bytes: usize,
        /// The messages of other processes that it is made of.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        messages: Vec<String>,
    },
    /// The agent's own event proved that the prompt arrived.
    Submitted {
        /// The turn, from 1.
        turn: u32,
        /// The agent's session.
        session_id: String,
        /// The agent's name of the turn.
        turn_id: Option<String>,
    },
    /// A hook of the agent's told the same prompt of the same turn.
    Witnessed {
        /// The turn.
        turn: u32,
        /// The agent's name of the turn.
        turn_id: Option<String>,
    },
    /// A step of a turn is done.
    Item {
        /// The turn.
        turn: u32,
        /// The agent's name of the step.
        id: String,
        /// The step.
        #[serde(flatten)]
        item: Item,
    },
    /// A turn ended, and its message was read as this.
    TurnEnded {
        /// The turn.
        turn: u32,
        /// `result`, `question`, …
        verdict: String,
        /// The rule that decided.
        rule: String,
        /// The message.
        message: Option<String>,
    },
    /// A turn failed or was cut short.
    TurnFailed {
        /// The turn.
        turn: u32,
        /// Why.
        message: String,
    },
    /// The agent asks for an approval.
    PermissionAsked {
        /// The turn.
        turn: u32,
        /// The command.
        command: String,
    },
    /// A question was put to those who may answer it.
    Asked {
        /// The turn.
        turn: u32,
        /// The id that an answer from another process names.
        id: String,
        /// `question`, `unclear` or `permission`.
        kind: String,
        /// The message, or the command.
        text: String,
        /// Why an approval is wanted, where the agent says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The answers that the agent offers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        options: Vec<AnswerOption>,
    },
    /// The run waits for an answer from another process.
    Waiting {
        /// The turn.
        turn: u32,
        /// The question's id.
        id: String,
        /// Until when, RFC 3339.
        until: String,
    },
    /// A message of another process was taken.
    Taken {
        /// The turn.
        turn: u32,
        /// The message's id.
        id: String,
        /// The message.
        text: String,
        /// Whether it is told within the turn that runs.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        now: bool,
    },
    /// A message is about to be told within the turn that runs.
    Steering {
        /// The turn.
        turn: u32,
        /// The message's id.
        id: String,
    },
    /// The agent has it, with proof.
    Steered {
        /// The turn.
        turn: u32,
        /// The message's id.
        id: String,
    },
    /// The tokens of the session so far, as the transcript counts them.
    Tokens {
        /// The turn.
        turn: u32,
        /// The tokens.
        usage: Usage,
    },
    /// A hook decided by the run's policy.
    Decided {
        /// The turn.
        turn: u32,
        /// The name of the hook's file.
        id: String,
        /// The agent's name of the tool.
        tool: String,
        /// The command, or the tool and what it is about.
        command: String,
        /// `allow`, `deny` or `ask`.
        action: Action,
        /// The rule that says it, or `default`.
        rule: String,
    },
    /// Somebody answered in the user's place.
    Replied {
        /// The turn.
        turn: u32,
        /// Who.
        by: String,
        /// The question.
        question: String,
        /// The reply.
        reply: String,
    },
    /// An event that changes nothing.
    Ignored {
        /// Why it changes nothing.
        why: String,
        /// The event.
        what: String,
    },
    /// The turns are over; the work is collected.
    Ended {
        /// How.
        status: Status,
        /// The error.
        error: Option<Failure>,
        /// The question that is still open.
        pending: Option<Pending>,
        /// The agent's last message.
        last_message: Option<String>,
    },
    /// The record is written.
    Recorded {
        /// How the run ended.
        status: Status,
    },
}

/// One line of the journal.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// When, RFC 3339 in UTC with milliseconds.
    pub at: String,
    /// What.
    #[serde(flatten)]
    pub progress: Progress,
}
