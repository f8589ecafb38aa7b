//! The tool `continue`: a new run from one that has ended, as `cx-operator continue --detach` does it.

use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Risk;
use super::call::{Answer, Call, WithNext};
use super::delegate::{begin, command_line, is_file};
use super::tooling::{Effect, Tooling};
use crate::agent::executor::Sandbox;
use crate::error::Error;
use crate::operator::continuing::{continuation, wait_for_close};
use crate::operator::starting::Detached;
use crate::os::blocking::blocking;
use crate::task::Task;
use crate::task::name::TaskName;
use crate::task::policy::Permissions;
use crate::task::prompt::Prompt;

/// The arguments of `continue`: those of the command, by the same names.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Continue {
    /// The earlier run: its id, or its task's name, which a new run has from then on. It must have ended.
    run: String,
    /// What is to be done now.
    prompt: String,
    /// A name for the task [default: the earlier run's].
    task: Option<String>,
    /// Begin a new session of the agent's, with a summary of what was done.
    fresh: Option<bool>,
    /// The agent's model [default: the earlier run's].
    model: Option<String>,
    /// What the agent's commands may write to [default: as in the earlier run].
    sandbox: Option<Sandbox>,
    /// The answer to the agent's requests for an approval [default: as in the earlier run].
    permissions: Option<Permissions>,
    /// Rules on what the agent may do: a preset; a file, only where this server allows it [default: the earlier run's].
    policy: Option<String>,
    /// The largest number of prompts, this one included: 1 to 8.
    max_turns: Option<u32>,
    /// End the run when its session has used so many tokens; its work is kept.
    max_tokens: Option<u64>,
    /// The limit for each turn, such as `45m` [default: 15m].
    turn_timeout: Option<String>,
    /// The limit for the whole run, such as `2h` [default: 60m].
    timeout: Option<String>,
    /// How long a question of the agent's waits for a `reply`, such as `10m` [default: 30m].
    wait_for_reply: Option<String>,
    /// A key of yours for this call, as for `delegate`; name the earlier run by its id then.
    idempotency_key: Option<String>,
}

impl Tooling for Continue {
    type Output = WithNext<Detached>;
    const NAME: &str = "continue";
    const TITLE: &str = "Go on from a run that has ended";
    const EFFECT: Effect = Effect::Adds;
    const DESCRIPTION: &str = "\
Begins a new run from the result of one that has ended, in a worktree of its own; its agent knows what was said and done. For a result \
that is not right yet, or an answer to the question that a run ended with. Repository, agent and limits on what it may do are the earlier \
run's. Returns the new run_id as `delegate` does: `wait` for that one, and `apply` that one alone, which has the earlier work too.";

    async fn call(self, call: &Call) -> Result<Answer, Error> {
        let prompt = Prompt::parse(self.prompt.as_bytes())?;
        let named = self.task.as_deref().map(TaskName::parse).transpose()?;
        let run = call.find(&self.run).await?;
        wait_for_close(&run).await?;
        let (desk, id, brief) = (Arc::clone(&call.desk), run.id(), prompt.clone());
        let task = blocking(move || continuation(desk.operator.store(), &id, brief)).await?;
        self.refuse_risks(&task, &call.desk.allowed)?;
        let state = call.desk.operator.store().root();
        let arguments = self.arguments(run.name(), state);
        let name = named.unwrap_or(task.name);
        begin(call, &name, (arguments, &prompt)).await
    }
}

impl Continue {
    /// Refuses what only the person who configured the server can allow, also where the earlier run had it.
    fn refuse_risks(&self, earlier: &Task, allowed: &[Risk]) -> Result<(), Error> {
        let policy = self.policy.clone();
        let had = earlier.policy.as_ref().map(|had| had.name().to_owned());
        let default = Task::new(
            earlier.name.clone(),
            earlier.repository.clone(),
            earlier.prompt.clone(),
        );
        let risks = [
            (
                Risk::DangerFullAccess,
                "sandbox danger-full-access",
                self.sandbox.unwrap_or(earlier.agent.sandbox) == Sandbox::DangerFullAccess,
            ),
            (
                Risk::PermissionsAllow,
                "permissions allow",
                self.permissions.unwrap_or(earlier.permissions) == Permissions::Allow,
            ),
            (
                Risk::PolicyFile,
                "a policy that is no preset",
                policy.or(had).as_ref().is_some_and(is_file),
            ),
            (
                Risk::Program,
                "the earlier run's own program",
                earlier.agent.program.is_some(),
            ),
            (
                Risk::WorktreeRoot,
                "the earlier run's place for worktrees",
                earlier.worktree_root != default.worktree_root,
            ),
        ];
        let mut risks = risks.into_iter();
        match risks.find(|(risk, _, used)| *used && !allowed.contains(risk)) {
            Some((risk, what, _)) => Err(super::refuse(risk, what)),
            None => Ok(()),
        }
    }

    /// The command line that does the same.
    fn arguments(&self, run: &str, state: &Path) -> Vec<String> {
        let mut line = command_line("continue", state, (self, &["run", "prompt"]));
        line.push("--".to_owned());
        line.push(run.to_owned());
        line
    }
}
