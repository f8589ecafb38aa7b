//! A whole delegation, by keys and by requests, beside the bare TUI and `codex exec`, in turn, on the real codex with the mock
//! model.
//!
//! The floor of keys is `codex "<prompt>"` in a tmux of its own, from its start to the moment its Stop hook wrote:
//! no worktree, no proof, no snapshot, no teardown. The delegation is the whole `cx-operator delegate`
//! process, from its start to its exit; so is `codex exec`, the floor of requests. `CX_BENCH_ROUNDS` changes the number of rounds (default 15).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use testkit::agents;
use testkit::mock_model::MockModel;
use testkit::world::World;

use cx_operator::agent::codex::program::Program;
use cx_operator::agent::executor::Options;
use cx_operator::agent::executor::{Hooks, Installed, Launch};
use cx_operator::agent::helper::Helper;

const PROMPT: &str = "Say that you are done.";
const LIMIT: Duration = Duration::from_secs(60);

struct Site {
    world: World,
    codex: PathBuf,
    _model: MockModel,
}

impl Site {
    fn new(codex: PathBuf) -> Self {
        let mut world = World::new(&[("a.txt", "hello\n")]);
        let model = MockModel::start().expect("the mock model starts");
        world.use_model(&model);
        Self {
            world,
            codex,
            _model: model,
        }
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
            .args(["--prompt", PROMPT])
            .arg("--codex")
            .arg(&self.codex)
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

    /// `codex exec` with the prompt, as a process.
    fn exec(&self) -> Duration {
        let begun = Instant::now();
        let output = Command::new(&self.codex)
            .args(["exec", "--sandbox", "workspace-write", PROMPT])
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
    fn bare(&self, program: &Program, round: usize) -> Duration {
        let signals = self.path(&format!("signals-{round}"));
        fs::create_dir(&signals).expect("created");
        let socket = self.path("bare.sock");
        let hooks = Hooks {
            helper: &Helper::find(Some(Self::bins())).expect("cx-helper"),
            signals: &signals,
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
        let launch = Launch {
            options: &Options::default(),
            repository: &repository,
            worktree: &repository,
            directory: &repository,
            settings: &[],
            hooks,
            environment: &[],
            home: &self.path("home"),
        };
        let begun = Instant::now();
        let started = tmux(&["new-session", "-d", "-x", "200", "-y", "50", "-c"])
            .arg(self.path("repo"))
            .args(program.command_line(&launch).argv)
            .arg(PROMPT)
            .envs(self.world.environment())
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
    let Some(codex) = agents::native_codex(agents::PINNED) else {
        return;
    };
    let site = Site::new(codex);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let environment = [std::env::vars().collect(), site.world.environment()].concat();
    let state = site.path("state");
    let query = Program::query(Some(&site.codex), &environment, site.world.dir(), &state);
    let program = runtime.block_on(query).expect("codex answers");
    let rounds = std::env::var("CX_BENCH_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(15);
    let mut times: [Vec<Duration>; 4] = Default::default();
    // The first round warms the caches and does not count.
    for round in 0..=rounds {
        let taken = [
            site.bare(&program, round),
            site.exec(),
            site.delegate(round, "keys"),
            site.delegate(round, "requests"),
        ];
        if round > 0 {
            for (times, taken) in times.iter_mut().zip(taken) {
                times.push(taken);
            }
        }
    }
    let [bare, exec, keys, requests] = &times;
    writeln!(
        std::io::stdout(),
        "codex {}, {rounds} rounds, medians: bare TUI start→Stop {:.3?}, codex exec {:.3?}\n\
         whole delegation by keys {:.3?}: {:.2} of the bare TUI (median of pairs)\n\
         whole delegation by requests {:.3?}: {:.2} of the bare TUI, {:.2} of codex exec",
        agents::PINNED,
        median(bare.clone()),
        median(exec.clone()),
        median(keys.clone()),
        ratio(keys, bare),
        median(requests.clone()),
        ratio(requests, bare),
        ratio(requests, exec),
    )
    .expect("stdout is open");
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
