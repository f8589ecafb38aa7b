//! From the end of a turn to the machine's decision, over many turns of one run, whose entry is taken from the run's stream.
//!
//! By keys, of the scripted agent: from the stop hook's start, after which the hook names its file, beside the bare file
//! watcher: a rename in a watched directory to its notification. Targets: p50 ≤ 2 ms, p99 ≤ 10 ms. By requests, of codex with
//! the mock model: from the reading of `turn/completed` from the socket. Target: p50 ≤ 0.5 ms.

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use testkit::agents;
use testkit::built;
use testkit::mock_model::MockModel;
use testkit::world::World;

use cx_operator::Operator;
use cx_operator::agent::conversation::Drive;
use cx_operator::agent::signals::{self, Kind};
use cx_operator::record::journal::Progress;
use cx_operator::task::Task;
use cx_operator::task::name::TaskName;
use cx_operator::task::prompt::Prompt;
use cx_operator::task::question::{Answer, Question};
use cx_operator::task::respond::{Context, RespondError, Responder};
use notify::{RecursiveMode, Watcher};
use tokio::runtime::Runtime;
use tracing::field::Field;
use tracing::span::{Attributes, Id};
use tracing::{Metadata, Subscriber};

const TURNS: u32 = 200;

/// Has every turn end with a question again.
struct Again;

#[async_trait::async_trait]
impl Responder for Again {
    fn name(&self) -> &'static str {
        "again"
    }

    async fn respond(
        &self,
        _question: &Question,
        _context: &Context,
    ) -> Result<Option<Answer>, RespondError> {
        Ok(Some(Answer::Text("once more [[question]]".to_owned())))
    }
}

fn task(world: &World, program: PathBuf, drive: Drive) -> Task {
    let prompt = Prompt::parse(b"[[question]]").expect("a prompt");
    let name = TaskName::parse("latency").expect("a name");
    let mut task = Task::new(name, world.repo(), prompt);
    task.worktree_root = world.worktrees();
    (task.agent.program, task.agent.drive) = (Some(program), drive);
    task.environment = world.environment();
    task.limits.turns = TURNS;
    task.responders = vec![Arc::new(Again)];
    task
}

/// Nanoseconds since 1970.
fn now() -> u128 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("after 1970").as_nanos()
}

/// The moments at which the machine had decided about the end of a turn.
async fn decided(world: &World, task: Task) -> (Vec<u128>, PathBuf) {
    let operator = Operator::builder()
        .state_directory(world.state())
        .build()
        .expect("an operator");
    let mut run = operator.start(task);
    let mut moments = Vec::new();
    while let Some(entry) = run.events().next().await {
        if matches!(entry.progress, Progress::TurnEnded { .. }) {
            moments.push(now());
        }
    }
    let outcome = run.outcome().await;
    assert_eq!(outcome.turns, TURNS, "{:?}", outcome.error);
    (moments, outcome.run_dir.expect("it has a directory"))
}

fn watcher_alone(dir: &Path) -> Vec<Duration> {
    let (sender, receiver) = channel();
    let mut watcher = notify::recommended_watcher(move |_| {
        let _received = sender.send(Instant::now());
    })
    .expect("a watcher");
    watcher
        .watch(dir, RecursiveMode::NonRecursive)
        .expect("watched");
    let temp = dir.with_extension("tmp");
    (0..TURNS)
        .map(|number| {
            fs::write(&temp, b"x").expect("written");
            while receiver.try_recv().is_ok() {}
            let begun = Instant::now();
            fs::rename(&temp, dir.join(number.to_string())).expect("renamed");
            receiver.recv().expect("an event").duration_since(begun)
        })
        .collect()
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() - 1) * percent / 100]
}

/// The moments at which the ends of turns were read from the server's socket.
static READ: Mutex<Vec<u128>> = Mutex::new(Vec::new());

/// Takes note of them.
struct Reader;

impl Subscriber for Reader {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "cx_operator::read"
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let at = now();
        event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
            if field.name() == "method" && format!("{value:?}").contains("turn/completed") {
                READ.lock().expect("no panic holds it").push(at);
            }
        });
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}
    fn enter(&self, _span: &Id) {}
    fn exit(&self, _span: &Id) {}
}

fn world(model: &MockModel) -> World {
    let mut world = World::new(&[]);
    world.use_model(model);
    world
}

fn times(begun: impl Iterator<Item = u128>, decided: &[u128]) -> Vec<Duration> {
    let nanos = |(begun, decided): (u128, &u128)| u64::try_from(decided - begun).expect("soon");
    let pairs = begun.zip(decided);
    pairs.map(nanos).map(Duration::from_nanos).collect()
}

fn tell(what: &str, times: &mut [Duration]) {
    writeln!(
        std::io::stdout(),
        "{what}: {} times, p50 {:.3?}, p99 {:.3?}",
        times.len(),
        percentile(times, 50),
        percentile(times, 99),
    )
    .expect("stdout is open");
}

fn main() {
    let model = MockModel::start().expect("the mock model starts");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    by_keys(&runtime, &world(&model));
    if let Some(codex) = agents::native_codex(agents::PINNED) {
        tracing::subscriber::set_global_default(Reader).expect("the only one");
        let world = world(&model);
        let task = task(&world, codex, Drive::Requests);
        let (moments, _) = runtime.block_on(decided(&world, task));
        let read = READ.lock().expect("no panic holds it").clone();
        assert_eq!(read.len(), moments.len());
        let mut times = times(read.into_iter(), &moments);
        tell("by requests, turn/completed → decision", &mut times);
    }
}

fn by_keys(runtime: &Runtime, world: &World) {
    let task = task(world, built::scripted_agent(), Drive::Keys);
    let (moments, dir) = runtime.block_on(decided(world, task));
    let stops = signals::list(&dir.join("signals")).expect("listed");
    let stops = stops.iter().filter(|file| file.kind == Kind::Stop);
    let begun = stops.map(|file| {
        let nanos = file.seq.split('-').next();
        let nanos = nanos.and_then(|nanos| nanos.parse::<u128>().ok());
        nanos.expect("nanoseconds")
    });
    tell("by keys, stop hook → decision", &mut times(begun, &moments));
    let watched = world.path("watched");
    fs::create_dir(&watched).expect("created");
    tell("file watcher alone", &mut watcher_alone(&watched));
}
