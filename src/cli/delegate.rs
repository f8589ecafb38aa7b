//! `cx-operator delegate`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::agent::conversation::Drive;
use crate::agent::executor::{Ask, Options, Sandbox, TrustPolicy};
use crate::operator::continuing::continuation;
use crate::operator::starting::{Order, say_name};
use crate::policy::NamedPolicy;
use crate::record::{Claim, Key, Outcome, Store};
use crate::task::name::{RunId, TaskName, task_of};
use crate::task::policy::{Keep, Limits, Permissions};
use crate::task::prompt::Prompt;
use crate::task::{Configuration, Task};
use crate::worktree::Repository;
use crate::{Error, Operator};
use clap::Args;
use serde_json::Value;

use super::asking;
use super::config::{self, InForce};
use super::detached::{self, Supervisor};
use super::earlier::{self, Continues};
use super::follow::{Audience, Responders, duration, follow};
use super::report::print_outcome;
use super::said::{is_name, key, load_brief, load_schema};
use super::spending::Spending;
use super::{AgentProgram, Command, State, block_on, print_failure, print_record, usage};

/// How long a person's reply is waited for, where nothing else is said.
const WAIT: Duration = Duration::from_secs(30 * 60);

/// Delegate one task and wait for its result.
#[derive(Args)]
pub(crate) struct Delegate {
    /// The task's name: lower-case letters, digits, `.`, `_`, `-`. It names branch, worktree and session.
    #[arg(long, value_name = "NAME")]
    task: String,

    /// The brief.
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_file")]
    prompt: Option<String>,
    /// A file with the brief; `-` means stdin, which is also the default.
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
    /// Send the brief alone, without the short preamble that asks for a status line.
    #[arg(long)]
    no_preamble: bool,
    /// Never ask the agent itself how the task is going when its last message is unclear.
    #[arg(long)]
    no_probe: bool,

    /// A path in the repository: the agent starts in the same directory of its worktree.
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
    /// The directory in which the agent starts, from the worktree's top [default: that of --repo in your checkout].
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// The revision to start from.
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    base: String,
    /// Start from a snapshot of your uncommitted changes, so that the agent sees them.
    #[arg(long)]
    include_dirty: bool,
    /// The directory in which the worktree is created.
    #[arg(long, value_name = "DIR", default_value = "/tmp")]
    worktree_root: PathBuf,

    #[command(flatten)]
    agent: Agent,
    #[command(flatten)]
    replies: Replies,
    #[command(flatten)]
    deadlines: Deadlines,
    #[command(flatten)]
    spending: Spending,

    /// Wait, in order of arrival, while N or more runs use the same state directory.
    #[arg(long, value_name = "N")]
    max_parallel: Option<NonZeroUsize>,
    /// What to keep after the run.
    #[arg(long, value_enum, value_name = "WHAT")]
    keep: Option<Keep>,
    /// Open the agent's terminal as soon as it has a turn, for people who attach with tmux; an agent that is driven by keys has
    /// it anyway.
    #[arg(long)]
    show: bool,
    /// Return once the agent has the prompt, with the run's id; the run goes on in a process of its own.
    #[arg(long)]
    detach: bool,
    /// A key of yours for this call: repeated with it, on the same repository, it is the same run, and none begins anew. It is free
    /// again once that run is on record no more.
    #[arg(long, value_name = "KEY", requires = "detach", value_parser = key)]
    idempotency_key: Option<String>,
    /// Say nothing of the progress on stderr.
    #[arg(short, long)]
    quiet: bool,
    /// Print the record as one JSON document on stdout.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) state: State,
    /// A profile of your configuration file (`cx-operator config show`), whose values hold where this command line has none.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The run that it goes on from.
    #[arg(skip)]
    continues: Option<Continues>,
    /// The call that this process carries out for another one.
    #[arg(skip)]
    order: Option<Order>,
    /// What the configuration file says.
    #[arg(skip)]
    in_force: InForce,
}

#[derive(Args)]
#[command(next_help_heading = "Agent")]
struct Agent {
    #[command(flatten)]
    program: AgentProgram,
    /// How the agent is driven: by typed requests to its server, or by keys in its terminal. auto: by requests where it has a
    /// server, else by keys.
    #[arg(long, value_enum, env = "CX_OPERATOR_DRIVE", default_value = "auto")]
    drive: Drive,
    /// What the agent's commands may write to.
    #[arg(long, value_enum, default_value = "workspace-write")]
    sandbox: Sandbox,
    /// When the agent asks for an approval.
    #[arg(long, value_enum, default_value = "on-request")]
    ask: Ask,
    /// The model, instead of the configured one.
    #[arg(long)]
    model: Option<String>,
    /// A profile of the agent's own configuration.
    #[arg(long, value_name = "NAME")]
    agent_profile: Option<String>,
    /// Answer the agent's question about trust in the folder with yes, or end the run with the question.
    #[arg(long, value_enum, default_value = "accept")]
    trust: TrustPolicy,
    /// A JSON Schema that the agent's last message must fit; the record has it as `answer`. Only headless executors take it.
    #[arg(long, value_name = "FILE")]
    output_schema: Option<PathBuf>,
    /// An additional argument for the agent; may be repeated.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    agent_arg: Vec<String>,
    /// An environment variable for the agent; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
}

#[derive(Args)]
#[command(next_help_heading = "Replies")]
struct Replies {
    /// The answer to the agent's requests for an approval.
    #[arg(long, value_enum, default_value = "ask")]
    permissions: Permissions,
    /// Rules on what the agent may do, which go before all other answers: a preset (read-only, edit-and-test, local-only) or
    /// a TOML file.
    #[arg(long, value_name = "FILE|PRESET")]
    policy: Option<String>,
    #[command(flatten)]
    responders: Responders,
    /// The largest number of prompts, the brief included.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=8))]
    max_turns: u32,
}

#[derive(Args)]
#[command(next_help_heading = "Deadlines (90s, 15m, 1h)")]
struct Deadlines {
    /// From the agent's start to its composer.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = duration)]
    startup_timeout: Duration,
    /// For each turn.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = duration)]
    turn_timeout: Duration,
    /// For the whole run.
    #[arg(long, value_name = "TIME", default_value = "60m", value_parser = duration)]
    timeout: Duration,
    /// For sub-agents and background commands that still work when a turn ends; 0s: none.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    linger: Duration,
    /// For waiting in the queue, before all of these.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    queue_timeout: Duration,
}

impl Delegate {
    /// Takes the call of another process for this one's.
    pub(super) fn be_told(&mut self, order: Order) {
        self.order = Some(order);
    }

    /// The same call, with what the configuration file says where the command line says nothing.
    fn completed(self) -> Result<Self, Error> {
        let words = match &self.order {
            Some(order) => order.arguments().collect(),
            None => std::env::args_os().collect::<Vec<_>>(),
        };
        let (cli, in_force) = config::complete(&words)?;
        let completed = match cli.command {
            Command::Delegate(delegate) => delegate,
            Command::Continue(again) => again.into_delegate(),
            _ => return Ok(self),
        };
        let mut completed = Self {
            order: self.order,
            in_force,
            ..*completed
        };
        if let Some(continues) = self.continues {
            completed.go_on(continues);
        }
        Ok(completed)
    }

    /// Goes on from an earlier run, which may name the task.
    pub(super) fn go_on(&mut self, continues: Continues) {
        if let Ok(Some(order)) = continues.run.load_order() {
            self.repo = order.repository;
        }
        if self.task.is_empty() {
            self.task = continues.run.task().unwrap_or_default().to_owned();
        }
        self.continues = Some(continues);
    }

    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        if self.order.is_some() {
            return self.supervise();
        }
        self.completed()?.carry_out()
    }

    fn carry_out(self) -> Result<ExitCode, Error> {
        let done = if self.detach {
            self.detach()
        } else {
            let outcome = self.delegate(None, None);
            outcome.and_then(|outcome| print_outcome(&outcome, self.json))
        };
        match done {
            Err(error) if self.json && !super::refusal::has_printed() => {
                print_failure(&error.to_failure());
                print_record(&self.not_begun(&error))?;
                Ok(ExitCode::from(error.code().exit()))
            }
            done => done,
        }
    }

    /// Has another process do it. What is wrong with the call is said before.
    fn detach(&self) -> Result<ExitCode, Error> {
        let task = self.task()?;
        let order = Order::new(std::env::args_os(), task.prompt.as_str());
        detached::start(&order, (task.name.as_str(), self.json))
    }

    /// Does it for another process, to which it says how the start went.
    fn supervise(self) -> Result<ExitCode, Error> {
        let mut supervisor = Supervisor::begin();
        let task = self.task.clone();
        let claimed = self
            .completed()
            .and_then(|call| Ok((call.claim_key()?, call)));
        let done = match claimed {
            Ok((Some((store, Claim::Of(run))), _)) => {
                supervisor.tell_known(&store, &run);
                return Ok(ExitCode::SUCCESS);
            }
            // Held to the run's end.
            Ok((Some((_, Claim::Ours(mut key))), call)) => {
                call.delegate(Some(&mut supervisor), Some(&mut key))
            }
            Ok((None, call)) => call.delegate(Some(&mut supervisor), None),
            Err(error) => Err(error),
        };
        let outcome = match done {
            Ok(outcome) => outcome,
            Err(error) => {
                let name = TaskName::parse(&task)?;
                Outcome::not_begun(&name, error.to_failure())
            }
        };
        let exit = outcome.exit_code();
        supervisor.end(outcome);
        Ok(ExitCode::from(exit))
    }

    /// Claims the caller's key for its run, if it has one.
    fn claim_key(&self) -> Result<Option<(Store, Claim)>, Error> {
        let Some(key) = &self.idempotency_key else {
            return Ok(None);
        };
        let store = self.state.open()?;
        let repository = Repository::discover(&self.repo)?;
        let claim = store.claim_key(repository.common_dir(), key)?;
        match &claim {
            Claim::Of(run) if task_of(run.as_str()) != Some(self.task.as_str()) => Err(usage(
                format!("the key {key} is that of another task: {run}"),
            )),
            _ => Ok(Some((store, claim))),
        }
    }

    fn delegate(
        &self,
        supervisor: Option<&mut Supervisor>,
        key: Option<&mut Key>,
    ) -> Result<Outcome, Error> {
        let task = self.task()?;
        let run_id = RunId::new(&task.name, SystemTime::now());
        if let Some(key) = key {
            key.sign(&run_id)?;
        }
        if supervisor.is_some() {
            say_name(&run_id);
        }
        let mut operator = Operator::builder()
            .state_directory(self.state.root()?)
            .queue_timeout(self.deadlines.queue_timeout);
        if let Some(runs) = self.max_parallel {
            operator = operator.max_parallel(runs);
        }
        let operator = operator.build()?;
        let audience = Audience {
            shown: self.show.then(|| operator.clone()),
            supervisor,
            quiet: self.quiet,
        };
        block_on(follow(|| Ok(operator.start_as(run_id, task)), audience))?
    }

    /// The document of a run that never began. What is named after the task is null if the name is invalid.
    fn not_begun(&self, error: &Error) -> Value {
        let name = TaskName::parse(&self.task);
        let stand_in = TaskName::parse("none").expect("it is a name");
        let outcome = Outcome::not_begun(name.as_ref().unwrap_or(&stand_in), error.to_failure());
        let mut document = serde_json::to_value(outcome).expect("a record has string keys only");
        if name.is_err() {
            document["task"] = Value::from(self.task.as_str());
            document["run_id"] = Value::Null;
        }
        document
    }

    fn task(&self) -> Result<Task, Error> {
        let name = TaskName::parse(&self.task)?;
        let prompt = self.load_prompt()?;
        let absolute =
            |path: &PathBuf| std::path::absolute(path).map_err(|_| usage("a path is empty"));
        let is_given = |option: &str| {
            let continues = self.continues.as_ref();
            continues.is_none_or(|continues| continues.is_given(option))
        };
        let mut task = match &self.continues {
            Some(continues) => {
                let store = self.state.open()?;
                let mut task = continuation(&store, &continues.run.id(), prompt)?;
                if let Some(earlier) = task.earlier.as_mut().filter(|_| continues.fresh) {
                    earlier.session = None;
                }
                task.name = name;
                task
            }
            None => {
                let mut task = Task::new(name, absolute(&self.repo)?, prompt);
                task.base.clone_from(&self.base);
                task.include_dirty = self.include_dirty;
                task
            }
        };
        task.preamble = !self.no_preamble;
        task.probe = !self.no_probe;
        if is_given("worktree_root") {
            task.worktree_root = absolute(&self.worktree_root)?;
        }
        if is_given("cwd") {
            task.directory.clone_from(&self.cwd);
        }
        task.agent = self.agent.options((task.agent, &is_given))?;
        task.environment = self.agent.environment()?;
        if is_given("permissions") {
            task.permissions = self.replies.permissions;
        }
        let policy = self.replies.policy.as_ref();
        if let Some(name) = policy.filter(|_| is_given("policy")) {
            task.policy = Some(Arc::new(NamedPolicy::load(name)?));
        }
        task.responders = self.replies.responders.load(self.wait())?;
        task.limits = self.limits();
        let (model, prices) = (task.agent.model.as_deref(), &self.in_force.prices);
        task.budget = self.spending.budget(model, prices)?;
        task.notifications = self.in_force.notifications();
        let mut given = self.in_force.given();
        given.retain(|option, _| self.continues.is_none() || !earlier::inherits(option));
        let file = self.in_force.path.clone().filter(|_| !given.is_empty());
        let profile = self.in_force.profile.clone();
        task.configuration = file.map(|file| Configuration::new(file, profile, given));
        task.keep = self.keep.unwrap_or_default();
        Ok(task)
    }

    fn limits(&self) -> Limits {
        Limits {
            startup: self.deadlines.startup_timeout,
            turn: self.deadlines.turn_timeout,
            run: self.deadlines.timeout,
            answer: self.replies.responders.responder_timeout,
            linger: self.deadlines.linger,
            turns: self.replies.max_turns,
            ..Limits::default()
        }
    }

    /// How long a reply is waited for where nothing is said.
    fn wait(&self) -> Duration {
        if self.detach || asking::is_there() {
            WAIT
        } else {
            Duration::ZERO
        }
    }

    fn load_prompt(&self) -> Result<Prompt, Error> {
        if let Some(order) = &self.order {
            return Ok(Prompt::parse(order.prompt.as_bytes())?);
        }
        if let Some(text) = &self.prompt {
            return Ok(Prompt::parse(text.as_bytes())?);
        }
        load_brief(self.prompt_file.as_deref())
    }
}

impl Agent {
    /// The options that are given, and else those of an earlier run: of another executor only what it may do.
    fn options(
        &self,
        (earlier, is_given): (Options, &dyn Fn(&str) -> bool),
    ) -> Result<Options, Error> {
        let schema = self.output_schema.as_deref().map(load_schema);
        let is_other = is_given("executor") && self.program.executor != earlier.executor;
        let mut options = match is_other {
            true => Options {
                sandbox: earlier.sandbox,
                ask: earlier.ask,
                trust: earlier.trust,
                ..self.program.options()
            },
            false => earlier,
        };
        options.output_schema = schema.transpose()?;
        options.arguments.clone_from(&self.agent_arg);
        let given = |name: &str, given: &Option<String>, earlier: Option<String>| {
            if is_given(name) {
                given.clone()
            } else {
                earlier
            }
        };
        options.model = given("model", &self.model, options.model);
        options.profile = given("agent_profile", &self.agent_profile, options.profile);
        if is_given("program") {
            options.program = self.program.options().program;
        }
        if is_given("drive") {
            options.drive = self.drive;
        }
        if is_given("sandbox") {
            options.sandbox = self.sandbox;
        }
        if is_given("ask") {
            options.ask = self.ask;
        }
        if is_given("trust") {
            options.trust = self.trust;
        }
        Ok(options)
    }

    fn environment(&self) -> Result<Vec<(String, String)>, Error> {
        let parse = |pair: &String| match pair.split_once('=') {
            Some((name, value)) if is_name(name) => Ok((name.to_owned(), value.to_owned())),
            // The value may be a secret: it is not repeated.
            _ => Err(usage(
                "--env must be NAME=VALUE, with a name of letters, digits and `_`",
            )),
        };
        self.env.iter().map(parse).collect()
    }
}
