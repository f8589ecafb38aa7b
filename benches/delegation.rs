//! A whole delegation beside its floor, in turn, on the real agents with the mock model.
//!
//! The floor of keys is `codex "<prompt>"` or `claude "<prompt>"` in a tmux of its own, from its start to the moment its Stop
//! hook wrote: no worktree, no proof, no snapshot, no teardown. The delegation is the whole `cx-operator delegate`
//! process, from its start to its exit; so are `codex exec`, the floor of requests, and `claude -p`, which are the floors of
//! the headless executors, too.
//! `CX_BENCH_ROUNDS` changes the number of rounds (default 15).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::agents;
use testkit::mock_model::MockModel;
use testkit::world::World;

use cx_operator::agent::ExecutorId;
use cx_operator::agent::executor::{Hooks, Installed, Launch, Options, Place};
use cx_operator::agent::helper::Helper;

const PROMPT: &str = "Say that you are done.";
const LIMIT: Duration = Duration::from_secs(60);

struct Site {
    world: World,
    executor: ExecutorId,
    program: PathBuf,
    _model: MockModel,
}

impl Site {
    fn new(executor: &str, program: PathBuf) -> Self {
        let mut world = World::new(&[("a.txt", "hello\n")]);
        let model = MockModel::start().expect("the mock model starts");
        world.use_model(&model);
        if executor.starts_with("claude") {
            world.use_model_for_claude(&model);
        }
        Self {
            world,
            executor: ExecutorId::parse(executor).expect("an executor"),
            program,
            _model: model,
        }
    }

    fn environment(&self) -> Vec<(String, String)> {
        [std::env::vars().collect(), self.world.environment()].concat()
    }

    fn options(&self) -> Options {
        let mut options = Options::default();
        options.executor = self.executor;
        options.program = Some(self.program.clone());
        options
    }

    /// The program, found as a run finds it.
    async fn find(&self) -> Arc<dyn Installed> {
        let (environment, state) = (self.environment(), self.path("state"));
        let place = Place {
            environment: &environment,
            repository: self.world.dir(),
            directory: self.world.dir(),
            state: &state,
        };
        let found = self.executor.find(&self.options(), place).await;
        found.expect("it answers")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    fn bins() -> &'static Path {
        Path::new(env!("CARGO_BIN_EXE_cx-operator"))
            .parent()
            .expect("it is in a directory")
    }

    /// The whole delegation, as a process.
    fn delegate(&self, round: usize, drive: &str) -> Duration {
        let begun = Instant::now();
        let task = format!("bench-{round}-{drive}");
        let arguments = [
            "delegate",
            "--json",
            "--no-preamble",
            "--drive",
            drive,
            "--task",
            &task,
        ];
        let output = self
            .world
            .operator(&arguments)
            .args(["--prompt", PROMPT, "--executor", self.executor.name()])
            .arg("--program")
            .arg(&self.program)
            .arg("--worktree-root")
            .arg(self.world.worktrees())
            .output()
            .expect("it runs");
        let taken = begun.elapsed();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&output.stdout)
        );
        taken
    }

    /// `codex exec` or `claude -p` with the prompt, as a process.
    fn headless(&self) -> Duration {
        let arguments = if self.executor.name().starts_with("codex") {
            ["exec", "--sandbox", "workspace-write", PROMPT]
        } else {
            ["-p", "--permission-mode", "acceptEdits", PROMPT]
        };
        let begun = Instant::now();
        let output = Command::new(&self.program)
            .args(arguments)
            .current_dir(self.path("repo"))
            .envs(self.world.environment())
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        let taken = begun.elapsed();
        assert!(output.status.success(), "{output:?}");
        taken
    }

    /// The bare TUI: the same flags, the prompt as an argument, until the Stop hook has written.
    fn bare(&self, program: &dyn Installed, round: usize) -> Duration {
        let signals = self.path(&format!("signals-{round}"));
        fs::create_dir(&signals).expect("created");
        let socket = self.path("bare.sock");
        let hooks = Hooks {
            helper: &Helper::find(Some(Self::bins())).expect("cx-helper"),
            signals: &signals,
            judged_within: None,
        };
        let tmux = |arguments: &[&str]| {
            let mut command = Command::new("tmux");
            command
                .args(["-f", "/dev/null", "-S"])
                .arg(&socket)
                .args(arguments)
                .stderr(Stdio::null());
            command
        };
        let repository = self.path("repo");
        let (options, environment) = (self.options(), self.environment());
        let launch = Launch {
            options: &options,
            repository: &repository,
            worktree: &repository,
            directory: &repository,
            settings: &[],
            resumed: None,
            hooks,
            environment: &environment,
            home: &self.path(&format!("home-{round}")),
        };
        let variables = program.prepare(&launch).expect("its directory");
        let begun = Instant::now();
        let started = tmux(&["new-session", "-d", "-x", "200", "-y", "50", "-c"])
            .arg(self.path("repo"))
            .args(program.command_line(&launch).argv)
            .arg(PROMPT)
            .envs(self.world.environment())
            .envs(variables)
            .status();
        assert!(started.expect("tmux runs").success());
        let done = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(".done-");
        while !fs::read_dir(&signals)
            .expect("listed")
            .flatten()
            .any(|entry| done(&entry.file_name()))
        {
            assert!(begun.elapsed() < LIMIT, "the bare TUI stops");
            std::thread::sleep(Duration::from_micros(500));
        }
        let taken = begun.elapsed();
        assert!(
            tmux(&["kill-server"])
                .status()
                .expect("tmux runs")
                .success()
        );
        taken
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn main() {
    let rounds = std::env::var("CX_BENCH_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(15);
    if let Some(codex) = agents::native_codex(agents::PINNED) {
        let site = Site::new("codex", codex.clone());
        measure(&site, &["keys", "requests"], rounds);
        measure_headless(&Site::new("codex-exec", codex), rounds);
    }
    if let Some(claude) = agents::real_claude(agents::PINNED_CLAUDE) {
        measure(&Site::new("claude", claude.clone()), &["keys"], rounds);
        measure_headless(&Site::new("claude-print", claude), rounds);
    }
}

/// Measures a headless executor beside the bare command.
fn measure_headless(site: &Site, rounds: usize) {
    let (mut bare, mut whole) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let taken = (site.headless(), site.delegate(round, "auto"));
        if round > 0 {
            bare.push(taken.0);
            whole.push(taken.1);
        }
    }
    let text = format!(
        "{}, {rounds} rounds, medians: bare command {:.3?}, whole delegation {:.3?}: {:.2} of the bare command (median of pairs)\n",
        site.executor.name(),
        median(bare.clone()),
        median(whole.clone()),
        ratio(&whole, &bare),
    );
    write!(std::io::stdout(), "{text}").expect("stdout is open");
}

/// Measures an executor's drives beside their floors.
fn measure(site: &Site, drives: &[&str], rounds: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let program = runtime.block_on(site.find());
    let (mut bare, mut headless) = (Vec::new(), Vec::new());
    let mut whole = vec![Vec::new(); drives.len()];
    // The first round warms the caches and does not count.
    for round in 0..=rounds {
        let floors = (site.bare(&*program, round), site.headless());
        let taken: Vec<Duration> = drives
            .iter()
            .map(|drive| site.delegate(round, drive))
            .collect();
        if round > 0 {
            bare.push(floors.0);
            headless.push(floors.1);
            for (times, taken) in whole.iter_mut().zip(taken) {
                times.push(taken);
            }
        }
    }
    let mut text = format!(
        "{} {}, {rounds} rounds, medians: bare TUI start→Stop {:.3?}, headless {:.3?}\n",
        site.executor.name(),
        program.version(),
        median(bare.clone()),
        median(headless.clone()),
    );
    for (drive, times) in drives.iter().zip(&whole) {
        text += &format!(
            "whole delegation by {drive} {:.3?}: {:.2} of the bare TUI, {:.2} of headless (medians of pairs)\n",
            median(times.clone()),
            ratio(times, &bare),
            ratio(times, &headless),
        );
    }
    write!(std::io::stdout(), "{text}").expect("stdout is open");
}

/// The median of the ratios of pairs.
fn ratio(whole: &[Duration], floor: &[Duration]) -> f64 {
    let pairs = whole.iter().zip(floor);
    let mut ratios: Vec<f64> = pairs
        .map(|(whole, floor)| whole.as_secs_f64() / floor.as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}
