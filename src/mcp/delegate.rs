//! The tool `delegate`: begins a run in a process of its own, as `cx-operator delegate --detach` does.

use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Risk;
use super::call::{Answer, Call, WithNext};
use super::starting::{Begun, start};
use super::tooling::{Effect, Tooling};
use super::{tasks, wait};
use crate::agent::executor::{Ask, Sandbox};
use crate::error::Error;
use crate::operator::starting::Detached;
use crate::os::blocking::blocking;
use crate::policy::PRESETS;
use crate::task::name::TaskName;
use crate::task::policy::Permissions;
use crate::task::prompt::Prompt;

/// The properties that a risk guards whatever their value.
pub(super) const GUARDED: [(Risk, &str); 6] = [
    (Risk::Answers, "answers"),
    (Risk::Responder, "responder"),
    (Risk::AgentArg, "agent_arg"),
    (Risk::Program, "program"),
    (Risk::Env, "env"),
    (Risk::WorktreeRoot, "worktree_root"),
];

/// The arguments of `delegate`: those of the command, by the same names.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Delegate {
    /// A short name for the task: lower-case letters, digits, `.`, `_`, `-`, 48 at most. It names the worktree and the run. Two runs
    /// that are under way can't have the same.
    task: String,
    /// The brief. The agent knows the repository and this text, nothing of your conversation. Say the goal in one sentence; where, by
    /// path, and what is out of bounds; how it must behave, by examples; every decision that it would have to ask for; and what
    /// must pass when it is done, such as `cargo test -p parser`. Don't ask for a commit: whatever it changes is the result.
    prompt: String,
    /// A path in the repository [default: the first root of this server]. The agent starts in the same directory of its worktree.
    repo: Option<String>,
    /// The revision to start from [default: HEAD].
    base: Option<String>,
    /// Start from a snapshot of the uncommitted changes too. Without it the agent sees committed files only.
    include_dirty: Option<bool>,
    /// The directory in which the agent starts, from the worktree's top.
    cwd: Option<String>,
    /// The agent: `codex` (default), `claude`, and headless `codex-exec` and `claude-print`, which can't ask.
    executor: Option<String>,
    /// The agent's model, instead of the configured one.
    model: Option<String>,
    /// A profile of the agent's own configuration.
    agent_profile: Option<String>,
    /// What the agent's commands may write to: `read-only`; `workspace-write` (default): its worktree, without network;
    /// `danger-full-access`, only where this server allows it.
    sandbox: Option<Sandbox>,
    /// When the agent asks for an approval: `on-request` (default) or `never`.
    ask: Option<Ask>,
    /// The answer to the agent's requests for an approval: `ask` (default): `reply` decides each; `deny`: none is given; `allow`, only
    /// where this server allows it.
    permissions: Option<Permissions>,
    /// Rules on what the agent may do: the preset `read-only`, `edit-and-test` or `local-only`; a file, only where this server allows it.
    policy: Option<String>,
    /// The largest number of prompts, the brief included: 1 to 8.
    max_turns: Option<u32>,
    /// End the run when its session has used so many tokens; its work is kept.
    max_tokens: Option<u64>,
    /// The limit for each turn, such as `45m` [default: 15m].
    turn_timeout: Option<String>,
    /// The limit for the whole run, such as `2h` [default: 60m].
    timeout: Option<String>,
    /// How long a question of the agent's waits for a `reply`, such as `10m` [default: 30m].
    wait_for_reply: Option<String>,
    /// Wait, in order of arrival, while so many runs or more are under way.
    max_parallel: Option<u32>,
    /// A key of yours for this call. Called again with it, you get the same run, and none begins anew: give one, so that you can repeat a
    /// call whose result you did not get.
    idempotency_key: Option<String>,
    /// A TOML file with answers to questions and approvals.
    answers: Option<String>,
    /// A shell command that answers questions.
    responder: Option<String>,
    /// Further arguments for the agent.
    agent_arg: Option<Vec<String>>,
    /// The agent's program.
    program: Option<String>,
    /// Variables for the agent, each as NAME=VALUE.
    env: Option<Vec<String>>,
    /// The directory in which the worktree is made.
    worktree_root: Option<String>,
}

impl Tooling for Delegate {
    type Output = WithNext<Detached>;
    const NAME: &str = "delegate";
    const TITLE: &str = "Delegate a coding task";
    const EFFECT: Effect = Effect::Adds;
    const DESCRIPTION: &str = "\
Hands a self-contained coding task to another agent, in a git worktree of its own, and returns its run_id as soon as the agent has the \
brief; the run goes on by itself. Use it for a task of minutes that the brief describes completely and whose result can be verified. \
Afterwards: `wait`, `reply` if it asks, `diff`, `apply`. Independent tasks may run at the same time, each under a name of its own.";

    async fn call(self, call: &Call) -> Result<Answer, Error> {
        let name = TaskName::parse(&self.task)?;
        let prompt = Prompt::parse(self.prompt.as_bytes())?;
        self.refuse_risks(&call.desk.allowed)?;
        let (desk, path) = (Arc::clone(&call.desk), self.repo.clone());
        let repo = blocking(move || desk.reach.repository(path.as_deref())).await?;
        let state = call.desk.operator.store().root();
        let arguments = self.arguments(&repo, state);
        begin(call, &name, (arguments, &prompt)).await
    }
}

/// Begins the run that a command line describes, and tells of it.
pub(super) async fn begin(
    call: &Call,
    name: &TaskName,
    (arguments, prompt): (Vec<String>, &Prompt),
) -> Result<Answer, Error> {
    (call.desk.check)(&arguments)?;
    let begun = start(call, (arguments, prompt.as_str()), name.to_string());
    let document = match begun.await? {
        Begun::Run(document) => document,
        Begun::Over(answer) => return Ok(answer),
    };
    if tasks::are_followed(&call.context) {
        tasks::tell(call, &document.run_id);
        return Ok(Answer::Task(tasks::begun(&document.run_id)));
    }
    let next = wait::after_start(&document.status);
    Answer::with_next(document, next)
}

/// Whether a policy of that name is a file.
pub(super) fn is_file(policy: &String) -> bool {
    !PRESETS.iter().any(|(preset, _)| preset == policy)
}

/// The command of that name with the options that are given, but for those `without`.
pub(super) fn command_line(
    command: &str,
    state: &Path,
    (given, without): (&impl Serialize, &[&str]),
) -> Vec<String> {
    let beginning = ["cx-operator", command, "--detach", "--json"];
    let mut line = beginning.map(str::to_owned).to_vec();
    line.push(format!("--state-dir={}", state.display()));
    let given = serde_json::to_value(given).expect("it has string keys only");
    for (name, value) in given.as_object().into_iter().flatten() {
        let flag = format!("--{}", name.replace('_', "-"));
        match value {
            _ if without.contains(&name.as_str()) => {}
            Value::String(text) => line.push(format!("{flag}={text}")),
            Value::Number(number) => line.push(format!("{flag}={number}")),
            Value::Bool(true) => line.push(flag),
            Value::Array(several) => {
                let several = several.iter().filter_map(Value::as_str);
                line.extend(several.map(|text| format!("{flag}={text}")));
            }
            _ => {}
        }
    }
    line
}

impl Delegate {
    /// Refuses what only the person who configured the server can allow.
    fn refuse_risks(&self, allowed: &[Risk]) -> Result<(), Error> {
        let given = serde_json::to_value(self).expect("it has string keys only");
        let by_value = [
            (
                Risk::DangerFullAccess,
                "sandbox danger-full-access",
                self.sandbox == Some(Sandbox::DangerFullAccess),
            ),
            (
                Risk::PermissionsAllow,
                "permissions allow",
                self.permissions == Some(Permissions::Allow),
            ),
            (
                Risk::PolicyFile,
                "a policy that is no preset",
                self.policy.as_ref().is_some_and(is_file),
            ),
        ];
        let guarded = GUARDED.map(|(risk, name)| (risk, name, !given[name].is_null()));
        let mut risks = by_value.into_iter().chain(guarded);
        match risks.find(|(risk, _, used)| *used && !allowed.contains(risk)) {
            Some((risk, what, _)) => Err(super::refuse(risk, what)),
            None => Ok(()),
        }
    }

    /// The command line that does the same.
    fn arguments(&self, repo: &Path, state: &Path) -> Vec<String> {
        let mut line = command_line("delegate", state, (self, &["repo", "prompt"]));
        line.push(format!("--repo={}", repo.display()));
        line
    }
}
