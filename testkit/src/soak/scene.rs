//! Where one run takes place: a repository, a state directory, a home of the agent's and a model, all below one directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cx_operator::agent::ExecutorId;

use super::Result;
use super::plan::{Plan, Story};
use crate::git;
use crate::mock_model::MockModel;
use crate::world::World;

/// The programs of a soak.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The directory of `cx-operator` and `cx-helper`.
    pub binaries: PathBuf,
    /// The program that plays the agent.
    pub agent: PathBuf,
    /// The way in which the agent is driven: `--drive`.
    pub drive: String,
    /// The executor: `--executor`.
    pub executor: String,
}

impl Programs {
    /// The agent and how it is driven, for people.
    pub(crate) fn label(&self) -> String {
        match self.drive.as_str() {
            "auto" => self.executor.clone(),
            drive => format!("{} by {drive}", self.executor),
        }
    }
}

/// What one run needs, and what it was before.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) task: String,
    programs: Programs,
    _model: MockModel,
    default_place: bool,
    /// What git tells of the checkout before the run.
    pub(crate) checkout: String,
    /// The agent's `config.toml` before the run.
    pub(crate) configuration: String,
}

impl Scene {
    /// Makes everything, below a directory of the run's own in `root`.
    pub(crate) fn new(root: &Path, programs: &Programs, plan: &Plan) -> Result<Self> {
        let dir = root.join(plan.number.to_string());
        let mut world = World::below(&dir)?;
        let model = MockModel::start()?;
        world.use_model(&model);
        if programs.executor == "claude" {
            world.use_model_for_claude(&model);
        }
        world.write("repo/README", "one\n");
        world.write("answers.toml", answers(plan, &dir));
        git::init(&world.repo())?;
        Ok(Self {
            task: format!("soak-{}-{}", std::process::id(), plan.number),
            programs: programs.clone(),
            _model: model,
            default_place: plan.default_place,
            checkout: world.look_at_checkout(),
            configuration: world.codex_configuration(),
            world,
        })
    }

    /// The tmux session of the run.
    pub(crate) fn session(&self) -> String {
        let executor = ExecutorId::parse(&self.programs.executor).expect("an executor");
        format!("{}-{}", executor.prefix(), self.task)
    }

    /// Where the worktrees of the scene are made.
    pub(crate) fn worktrees(&self) -> PathBuf {
        match self.default_place {
            true => "/tmp".into(),
            false => self.world.worktrees(),
        }
    }

    /// The file that the agent's command writes when its work is done: outside of all that an operator may remove.
    pub(crate) fn evidence(&self) -> PathBuf {
        evidence(self.world.dir())
    }

    /// The binary, in an environment of its own; its output is in files named after `name`.
    pub(crate) fn command(&self, name: &str, arguments: &[&str]) -> Result<Command> {
        let path = |extension| self.world.path(name).with_extension(extension);
        let program = self.programs.binaries.join("cx-operator");
        let mut command = self.world.command(program);
        command
            .args(arguments)
            .stdout(fs::File::create(path("out"))?)
            .stderr(fs::File::create(path("err"))?);
        Ok(command)
    }

    /// The binary's `delegate` of the plan.
    pub(crate) fn delegation(&self, plan: &Plan) -> Result<Command> {
        let mut command =
            self.delegation_of("operator", &self.task, &brief(plan, self.world.dir()))?;
        if plan.story != Story::Question {
            command
                .arg("--answers")
                .arg(self.world.path("answers.toml"));
        }
        match plan.story {
            Story::Commit => command.args(["--sandbox", "danger-full-access"]),
            Story::Approval(policy) => command.args(["--permissions", policy]),
            _ => &mut command,
        };
        Ok(command)
    }

    /// The binary's `delegate` of another task, with short deadlines.
    pub(crate) fn delegation_of(&self, name: &str, task: &str, brief: &str) -> Result<Command> {
        let mut command = self.command(name, &["delegate", "--json", "--task", task])?;
        command.args(["--prompt", brief, "--executor", &self.programs.executor]);
        command.arg("--program").arg(&self.programs.agent);
        command.args(["--drive", &self.programs.drive]);
        command.args(["--startup-timeout", "20s", "--turn-timeout", "15s"]);
        command.args(["--timeout", "40s"]);
        if !self.default_place {
            command.arg("--worktree-root").arg(self.worktrees());
        }
        Ok(command)
    }

    /// Whether that is the program of the agent, or the one that a script of that name starts.
    pub(crate) fn is_agent(&self, program: Option<&Path>) -> bool {
        let agent = self.programs.agent.canonicalize().ok();
        program.is_some_and(|program| {
            let name = program.file_name().and_then(|name| name.to_str());
            Some(program) == agent.as_deref() || matches!(name, Some("codex" | "claude"))
        })
    }

    /// Runs a tmux command on the operator's own server; returns whether that worked.
    pub(crate) fn tmux(&self, arguments: &[&str]) -> bool {
        let mut command = self.world.tmux_command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // Without the socket tmux would start a server for some commands.
        self.world.socket().exists() && command.status().is_ok_and(|status| status.success())
    }
}

fn evidence(dir: &Path) -> PathBuf {
    dir.join("home/evidence")
}

/// What tells the model's stand-in what to do at the brief.
fn brief(plan: &Plan, dir: &Path) -> String {
    let pause = pause(plan);
    let rest = match plan.story {
        Story::File | Story::Commit | Story::Unreadable => work(plan, dir, "STATUS: DONE"),
        Story::Nothing => "[[say Done. There was nothing to do.]]".to_owned(),
        Story::Question | Story::Answered => "[[question]]".to_owned(),
        Story::Approval(_) => work(plan, dir, "STATUS: DONE") + " [[escalate]]",
        Story::FailsLater(_) => work(plan, dir, "Tabs or spaces? STATUS: QUESTION"),
        Story::Fails(failure) => failure.directive(),
    };
    format!("Write {} into work. {pause} {rest}", plan.token)
}

fn pause(plan: &Plan) -> String {
    format!("[[sleep {:.3}]]", plan.pause.as_secs_f64())
}

/// What tells the model's stand-in what to do at the answer.
fn answers(plan: &Plan, dir: &Path) -> String {
    let reply = match plan.story {
        Story::FailsLater(failure) => failure.directive(),
        _ => work(plan, dir, "STATUS: DONE"),
    };
    format!(
        "[[answer]]\npattern = \"tabs or spaces\"\nreply = '''Spaces. {} {reply}'''\n",
        pause(plan)
    )
}

/// A command that does the work, then notes it where no operator looks, and says some words.
fn work(plan: &Plan, dir: &Path, words: &str) -> String {
    let more = match plan.story {
        Story::Commit => {
            "&& git add work && git -c user.name=Ada -c user.email=ada@example.com commit -q -m work "
        }
        Story::Unreadable => "&& echo secret > closed && chmod 000 closed ",
        _ => "",
    };
    format!(
        "[[shell echo {} > work {more}&& echo done > {}; echo; echo {words}]]",
        plan.token,
        evidence(dir).display()
    )
}
