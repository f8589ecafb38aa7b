//! What a scenario runs in: a repository, a state directory, a home of the agent's and a model, all below one temporary
//! directory, and an environment of which everything that matters is set.

mod clean;
mod person;
mod submitted;

use std::fs;
use std::io::{self, Write};
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cx_operator::agent::ExecutorId;
use cx_operator::agent::conversation::Drive;
use cx_operator::operator::cleanup::Scope;
use cx_operator::record::Outcome;
use cx_operator::record::journal::{self, Entry, Progress};
use cx_operator::task::Task;
use cx_operator::task::name::TaskName;
use cx_operator::task::prompt::Prompt;
use cx_operator::task::respond::{Answers, Responder};
use cx_operator::{Operator, Run};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

use testkit::git::{self, git};
use testkit::wait::LIMIT as WAIT;
use testkit::world::{self, World};
use testkit::{alone, built, schemas};

pub(crate) use testkit::wait::wait_for_async as wait_for;

use testkit::agents::{native_codex, real_claude};
use testkit::mock_model::MockModel;
use testkit::size::thorough;

/// The longest that a scenario may take; the slowest takes a tenth of it on an idle machine.
const LIMIT: Duration = Duration::from_secs(90);

/// So many of the real programs run at once: each takes 100 MB and a good part of a core while it starts.
static REAL: Semaphore = Semaphore::const_new(4);

/// Whom a scenario drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agent {
    Scripted,
    /// The real codex of that version, by keys.
    Codex(&'static str),
    /// The same, by requests.
    Requests(&'static str),
    /// The real Claude Code of that version.
    Claude(&'static str),
    /// The real codex of that version, headless.
    Exec(&'static str),
    /// The real Claude Code of that version, headless.
    Print(&'static str),
    /// The program of the executor `scripted`.
    Plain,
}

impl Agent {
    pub(crate) fn program(self) -> Option<PathBuf> {
        match self {
            Agent::Scripted => Some(built::scripted_agent()),
            Agent::Codex(version) | Agent::Requests(version) | Agent::Exec(version) => {
                native_codex(version)
            }
            Agent::Claude(version) | Agent::Print(version) => real_claude(version),
            Agent::Plain => Some(built::program("plain-agent")),
        }
    }

    pub(crate) fn drive(self) -> Drive {
        match self {
            Agent::Scripted | Agent::Codex(_) => Drive::Keys,
            Agent::Requests(_) => Drive::Requests,
            Agent::Claude(_) | Agent::Exec(_) | Agent::Print(_) | Agent::Plain => Drive::Auto,
        }
    }

    pub(crate) fn executor(self) -> ExecutorId {
        let name = match self {
            Agent::Scripted | Agent::Codex(_) | Agent::Requests(_) => "codex",
            Agent::Claude(_) => "claude",
            Agent::Exec(_) => "codex-exec",
            Agent::Print(_) => "claude-print",
            Agent::Plain => "scripted",
        };
        ExecutorId::parse(name).expect("an executor")
    }
}

/// The same, only where everything is played: `CX_THOROUGH=1`.
pub(crate) fn on_thoroughly(agent: Agent, scenario: impl AsyncFn(&Rig)) {
    if thorough() {
        on(agent, scenario);
    }
}

/// Runs a scenario on an agent, and sees that nothing is left. Without that agent nothing is run, which is said loudly.
pub(crate) fn on(agent: Agent, scenario: impl AsyncFn(&Rig)) {
    on_for(LIMIT, agent, scenario);
}

/// The same for a scenario that takes longer than others.
pub(crate) fn on_for(limit: Duration, agent: Agent, scenario: impl AsyncFn(&Rig)) {
    let Some(program) = agent.program() else {
        return;
    };
    let _beside_others = alone::beside_others();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let _slot = match agent {
            Agent::Scripted | Agent::Plain => None,
            _ => Some(REAL.acquire().await.expect("never closed")),
        };
        let rig = Rig::new(agent, program);
        let done = tokio::time::timeout(limit, scenario(&rig)).await;
        assert!(done.is_ok(), "the scenario did not end within {limit:?}");
        rig.assert_clean();
    });
}

/// What a scenario runs in.
pub(crate) struct Rig {
    pub(crate) agent: Agent,
    pub(crate) model: MockModel,
    pub(crate) operator: Operator,
    world: World,
    program: PathBuf,
    before: Mutex<clean::Before>,
    outcomes: Mutex<Vec<Outcome>>,
}

impl Deref for Rig {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Rig {
    fn new(agent: Agent, program: PathBuf) -> Self {
        let mut world = World::bare();
        let model = MockModel::start().expect("a model");
        world.use_model(&model);
        if matches!(agent, Agent::Claude(_) | Agent::Print(_)) {
            world.use_model_for_claude(&model);
        }
        let log = world.path("log").display().to_string();
        world.set("CX_SCRIPT_LOG", &log);
        let home = world.path("plain").display().to_string();
        world.set("PLAIN_HOME", &home);
        world.write("plain/account", "");
        make_repository(&world.repo());
        let operator = Operator::builder()
            .state_directory(world.state())
            .build()
            .expect("an operator");
        let before = Mutex::new(clean::Before::of(world.dir()));
        Self {
            agent,
            model,
            operator,
            world,
            program,
            before,
            outcomes: Mutex::default(),
        }
    }

    /// The worktree of the task that [`Rig::task`] makes.
    pub(crate) fn worktree(&self) -> PathBuf {
        self.worktrees().join(self.session())
    }

    /// The session of that task, also the name of its branch and worktree.
    pub(crate) fn session(&self) -> String {
        format!("{}-t", self.agent.executor().prefix())
    }

    /// Takes the repository as it is now for what it must be in the end.
    pub(crate) fn note_the_callers_state(&self) {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        *before = clean::Before::of(self.dir());
    }

    /// Adds a line to the configuration of the model that the agent talks to.
    pub(crate) fn configure(&self, line: &str) {
        let path = self.path("codex/config.toml");
        let text = fs::read_to_string(&path).expect("the configuration");
        fs::write(&path, text + line).expect("the configuration");
        self.note_the_callers_state();
    }

    /// A task `t` for the agent.
    pub(crate) fn task(&self, brief: &str) -> Task {
        self.task_named("t", brief)
    }

    /// A task of that name.
    pub(crate) fn task_named(&self, name: &str, brief: &str) -> Task {
        let prompt = Prompt::parse(brief.as_bytes()).expect("a prompt");
        let name = TaskName::parse(name).expect("a task's name");
        let mut task = Task::new(name, self.repo(), prompt);
        task.agent.executor = self.agent.executor();
        task.agent.drive = self.agent.drive();
        task.agent.program = Some(self.program.clone());
        task.worktree_root = self.worktrees();
        task.environment = self.environment();
        task.limits.turn = WAIT;
        task.limits.run = LIMIT;
        task
    }

    /// A task whose agent obeys a script.
    pub(crate) fn scripted(&self, script: &str) -> Task {
        let path = self.path("script");
        fs::write(&path, script).expect("the script");
        let mut task = self.task("Do what the script says.");
        task.environment
            .push(("CX_SCRIPT".to_owned(), path.display().to_string()));
        task
    }

    /// Runs a task to its end.
    pub(crate) async fn delegate(&self, task: Task) -> Outcome {
        let outcome = self.operator.delegate(task).await;
        self.keep_in_mind(&outcome);
        outcome
    }

    /// Starts a task and follows it until its agent has the prompt.
    pub(crate) async fn start(&self, task: Task) -> Run {
        let mut run = self.operator.start(task);
        until(&mut run, "the prompt's proof", |progress| {
            matches!(progress, Progress::Submitted { .. })
        })
        .await;
        run
    }

    /// Waits for the end of a run.
    pub(crate) async fn outcome(&self, run: Run) -> Outcome {
        let outcome = run.outcome().await;
        self.keep_in_mind(&outcome);
        outcome
    }

    /// Takes an outcome for one whose record and ref are to be there in the end.
    pub(crate) fn keep_in_mind(&self, outcome: &Outcome) {
        self.outcomes().push(outcome.clone());
    }

    /// Takes a run's record for what is expected of it now: something ended it anew.
    pub(crate) fn expect_record(&self, outcome: Outcome) {
        let mut outcomes = self.outcomes();
        outcomes.retain(|known| known.run_id != outcome.run_id);
        outcomes.push(outcome);
    }

    fn outcomes(&self) -> std::sync::MutexGuard<'_, Vec<Outcome>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers from a file of that text.
    pub(crate) fn answers(&self, text: &str) -> Vec<Arc<dyn Responder>> {
        let path = self.path("answers.toml");
        fs::write(&path, text).expect("the answers");
        vec![Arc::new(Answers::load(&path).expect("valid answers"))]
    }

    /// The binary, in an environment of its own.
    pub(crate) fn binary(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(self.program(&built::operator()));
        command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.into()
    }

    /// Copies the programs to where another user may run them: a checkout may lie in a home that is closed to others.
    pub(crate) fn open_programs(&self) {
        let bin = self.path("bin");
        fs::create_dir(&bin).expect("a directory");
        for entry in fs::read_dir(built::directory()).expect("it is listed") {
            let entry = entry.expect("it is listed");
            let name = entry.file_name();
            let is_ours = name.to_str().is_some_and(|name| {
                name == "scripted-agent" || name.starts_with("cx-") && !name.contains('.')
            });
            if is_ours {
                let copy = bin.join(name);
                fs::copy(entry.path(), &copy).expect("a copy");
                fs::set_permissions(copy, fs::Permissions::from_mode(0o755)).expect("a mode");
            }
        }
    }

    /// The copy of a program, where one was made.
    fn program(&self, built: &Path) -> PathBuf {
        let copy = self.path("bin").join(built.file_name().expect("a name"));
        if copy.exists() {
            copy
        } else {
            built.to_owned()
        }
    }

    /// The binary's `delegate` of a task `t`.
    pub(crate) fn delegation(&self, brief: &str, arguments: &[&str]) -> Command {
        self.delegation_of("t", brief, arguments)
    }

    /// The binary's `delegate` of a task of that name.
    pub(crate) fn delegation_of(&self, task: &str, brief: &str, arguments: &[&str]) -> Command {
        let mut command = self.binary(&["delegate", "--task", task, "--prompt", brief, "--json"]);
        command
            .args(["--drive", self.agent.drive().as_str()])
            .args(["--executor", self.agent.executor().name(), "--program"])
            .arg(self.program(&self.program))
            .arg("--worktree-root")
            .arg(self.worktrees())
            .args(arguments);
        command
    }

    /// Starts the binary and waits until its agent has the prompt.
    pub(crate) async fn spawn_delegation(&self, brief: &str, arguments: &[&str]) -> Child {
        let child = self
            .delegation(brief, arguments)
            .spawn()
            .expect("cx-operator starts");
        self.wait_for_event("the prompt's proof", |progress| {
            matches!(progress, Progress::Submitted { .. })
        })
        .await;
        child
    }

    /// Waits for an event of the newest run, as its file tells it.
    pub(crate) async fn wait_for_event(&self, what: &str, fits: impl Fn(&Progress) -> bool) {
        wait_for(what, || {
            let run = self.operator.store().load_runs().ok()?.pop()?;
            let entries = journal::load(&run.path().join("events.jsonl")).ok()?;
            entries
                .iter()
                .any(|entry| fits(&entry.progress))
                .then_some(())
        })
        .await;
    }

    /// Waits until the newest run asks that.
    pub(crate) async fn wait_for_question(&self, text: &str) {
        wait_for(text, || {
            let run = self.operator.store().load_runs().ok()?.pop()?;
            let asked = fs::read_to_string(run.path().join("question.json")).ok()?;
            asked.contains(text).then_some(())
        })
        .await;
    }

    /// Whether the agent is driven by requests.
    pub(crate) fn is_by_requests(&self) -> bool {
        self.agent.drive() == Drive::Requests
    }

    /// The one document on the binary's stdout, and its exit status.
    pub(crate) fn document(&self, output: &Output) -> (Outcome, i32) {
        let outcome: Outcome = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            let (out, err) = (&output.stdout, &output.stderr);
            let (out, err) = (String::from_utf8_lossy(out), String::from_utf8_lossy(err));
            panic!("stdout is no record: {error}\n{out}\nstderr:\n{err}")
        });
        let document = serde_json::from_slice(&output.stdout).expect("a document");
        schemas::check_document("run", &document);
        self.keep_in_mind(&outcome);
        (outcome, output.status.code().expect("it exited by itself"))
    }

    /// The journal of a run.
    pub(crate) fn journal(&self, outcome: &Outcome) -> Vec<Entry> {
        let dir = outcome.run_dir.as_ref().expect("the run came to be");
        journal::load(&dir.join("events.jsonl")).expect("the journal")
    }

    /// The lines of the scripted agent's log that tell of an event.
    pub(crate) fn log(&self, event: &str) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.path("log")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a JSON line"))
            .filter(|line: &serde_json::Value| line["event"] == event)
            .collect()
    }

    /// The patch of a run, applied to its base in a new clone, gives exactly the snapshot's tree; returns the clone.
    pub(crate) fn apply(&self, outcome: &Outcome) -> PathBuf {
        let clone = self.path(&format!("clone-{}", outcome.task));
        let (base, result) = (&outcome.base_commit, &outcome.result_commit);
        let (base, result) = (base.as_deref().expect("a base"), result.as_deref());
        let result = result.expect("a snapshot");
        git(self.dir(), &["init", "-q", &clone.to_string_lossy()]);
        // By the commit's id: an included state of the caller's is on no branch.
        let repo = self.repo();
        git(
            &clone,
            &[
                "fetch",
                "-q",
                &repo.to_string_lossy(),
                "+refs/*:refs/theirs/*",
            ],
        );
        git(&clone, &["checkout", "-q", base]);
        let patch = outcome.patch.as_ref().expect("a patch");
        git(&clone, &["apply", "--index", &patch.to_string_lossy()]);
        assert_eq!(
            git(&clone, &["write-tree"]),
            git(&repo, &["rev-parse", &format!("{result}^{{tree}}")]),
            "the patch gives the snapshot's tree"
        );
        clone
    }

    /// Whether the agent is Claude Code.
    pub(crate) fn is_claude(&self) -> bool {
        matches!(self.agent, Agent::Claude(_) | Agent::Print(_))
    }
}

impl Drop for Rig {
    /// Shows how far a failed scenario came.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut text = format!("--- {:?} in {}\n", self.agent, self.dir().display());
            for run in self.operator.store().load_runs().unwrap_or_default() {
                let events = fs::read_to_string(run.path().join("events.jsonl"));
                text += &events.unwrap_or_default();
            }
            text += &self.screen();
            // Straight to the stream: a panic's output may be captured and cut.
            drop(io::stderr().write_all(text.as_bytes()));
        }
    }
}

/// Reads a run's events until one fits.
pub(crate) async fn until(run: &mut Run, what: &str, fits: impl Fn(&Progress) -> bool) -> Entry {
    let search = async {
        loop {
            match run.events().next().await {
                Some(entry) if fits(&entry.progress) => return entry,
                Some(_) => {}
                None => panic!("the run ended before {what}"),
            }
        }
    };
    let found = tokio::time::timeout(WAIT, search).await;
    found.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

fn make_repository(root: &Path) {
    for (name, text) in [
        ("README", "one\ntwo\nthree\n"),
        ("src/lib.rs", "pub fn f() {}\n"),
        ("src/old.rs", "fn g() {}\n"),
        ("run.sh", "#!/bin/sh\n"),
        (".gitignore", "*.log\n"),
    ] {
        world::write(&root.join(name), text);
    }
    let script = root.join("run.sh");
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("a mode");
    git::init(root).expect("a repository");
}

/// What a cleanup of the rig's repository goes for.
pub(crate) fn scope(rig: &Rig, dry_run: bool) -> Scope {
    Scope {
        repository: Some(rig.repo()),
        dry_run,
        ..Scope::default()
    }
}
