//! Where one run takes place: a repository, a state directory, a home of the agent's and a model, all below one directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Result;
use super::plan::{Plan, Story};
use crate::git;
use crate::mock_model::{MockModel, write_codex_home};

/// The programs of a soak.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The directory of `cx-operator` and its hook binaries.
    pub binaries: PathBuf,
    /// The program that plays the agent.
    pub agent: PathBuf,
}

/// What one run needs, and what it was before.
pub(crate) struct Scene {
    pub(crate) dir: PathBuf,
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
        for name in ["repo", "home", "worktrees"] {
            fs::create_dir_all(dir.join(name))?;
        }
        let repo = dir.join("repo");
        fs::write(repo.join("README"), "one\n")?;
        git::init(&repo)?;
        fs::write(dir.join("answers.toml"), answers(plan, &dir))?;
        let model = MockModel::start()?;
        write_codex_home(&dir.join("codex"), model.port())?;
        let mut scene = Self {
            dir,
            task: format!("soak-{}-{}", std::process::id(), plan.number),
            programs: programs.clone(),
            _model: model,
            default_place: plan.default_place,
            checkout: String::new(),
            configuration: String::new(),
        };
        scene.checkout = scene.look_at_checkout()?;
        scene.configuration = scene.load_configuration()?;
        Ok(scene)
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.dir.join("repo")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.state().join("tmux.sock")
    }

    /// Where the worktrees of the scene are made.
    pub(crate) fn worktrees(&self) -> PathBuf {
        match self.default_place {
            true => "/tmp".into(),
            false => self.dir.join("worktrees"),
        }
    }

    /// The file that the agent's command writes when its work is done: outside of all that an operator may remove.
    pub(crate) fn evidence(&self) -> PathBuf {
        evidence(&self.dir)
    }

    /// The binary, in an environment of its own; what it prints goes to files named after `name`.
    pub(crate) fn command(&self, name: &str, arguments: &[&str]) -> Result<Command> {
        let path = |name: &str| self.dir.join(name);
        let mut command = Command::new(self.programs.binaries.join("cx-operator"));
        command
            .args(arguments)
            .current_dir(self.repo())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", path("home"))
            .env("CODEX_HOME", path("codex"))
            .env("CX_OPERATOR_STATE", self.state())
            .env("OPENAI_API_KEY", "of-no-use")
            .env("SHELL", "/bin/sh")
            .envs([("NO_PROXY", "127.0.0.1"), ("no_proxy", "127.0.0.1")])
            .stdin(Stdio::null())
            .stdout(fs::File::create(path(&format!("{name}.out")))?)
            .stderr(fs::File::create(path(&format!("{name}.err")))?);
        Ok(command)
    }

    /// The binary's `delegate` of the plan.
    pub(crate) fn delegation(&self, plan: &Plan) -> Result<Command> {
        let mut command = self.delegation_of("operator", &self.task, &brief(plan, &self.dir))?;
        if plan.story != Story::Question {
            command.arg("--answers").arg(self.dir.join("answers.toml"));
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
        command.args(["--prompt", brief, "--codex"]);
        command.arg(&self.programs.agent);
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
            Some(program) == agent.as_deref() || program.file_name() == Some("codex".as_ref())
        })
    }

    /// Runs a tmux command on the operator's own server; whether that worked.
    pub(crate) fn tmux(&self, arguments: &[&str]) -> bool {
        let mut command = Command::new("tmux");
        command
            .args(["-f", "/dev/null", "-S"])
            .arg(self.socket())
            .args(arguments)
            .env_remove("TMUX")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Without the socket tmux would start a server for some commands.
        self.socket().exists() && command.status().is_ok_and(|status| status.success())
    }

    /// Commit, changes, branches and worktrees of the checkout.
    pub(crate) fn look_at_checkout(&self) -> Result<String> {
        let mut seen = String::new();
        for arguments in [
            &["rev-parse", "HEAD"][..],
            &["status", "--porcelain"],
            &["branch", "--all"],
            &["worktree", "list"],
        ] {
            seen += &git::query(&self.repo(), arguments)?;
            seen.push('\n');
        }
        Ok(seen)
    }

    /// The agent's `config.toml`.
    pub(crate) fn load_configuration(&self) -> Result<String> {
        Ok(fs::read_to_string(self.dir.join("codex/config.toml"))?)
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
