//! From the stop hook's start to the machine's decision, over many turns of one run of the scripted agent,
//! beside the bare file watcher: a rename in a watched directory to its notification.
//!
//! The hook names its file after the moment it had read its input; the event's entry is taken from the
//! run's stream. Targets: p50 ≤ 2 ms, p99 ≤ 10 ms.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant, SystemTime};
use testkit::built;
use testkit::mock_model::MockModel;
use testkit::world::World;

use cx_operator::Operator;
use cx_operator::agent::signals::{self, Kind};
use cx_operator::record::journal::Progress;
use cx_operator::task::Task;
use cx_operator::task::name::TaskName;
use cx_operator::task::prompt::Prompt;
use cx_operator::task::question::{Answer, Question};
use cx_operator::task::respond::{Context, RespondError, Responder};
use notify::{RecursiveMode, Watcher};

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

fn task(world: &World) -> Task {
    let prompt = Prompt::parse(b"[[question]]").expect("a prompt");
    let name = TaskName::parse("latency").expect("a name");
    let mut task = Task::new(name, world.repo(), prompt);
    task.worktree_root = world.worktrees();
    task.agent.program = Some(built::scripted_agent());
    task.environment = world.environment();
    task.limits.turns = TURNS;
    task.responders = vec![Arc::new(Again)];
    task
}

/// The moments at which the machine had decided about a stop, in nanoseconds since 1970.
async fn decided(world: &World) -> (Vec<u128>, std::path::PathBuf) {
    let operator = Operator::builder()
        .state_directory(world.state())
        .build()
        .expect("an operator");
    let mut run = operator.start(task(world));
    let mut moments = Vec::new();
    while let Some(entry) = run.events().next().await {
        if matches!(entry.progress, Progress::TurnEnded { .. }) {
            let since = SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .expect("after 1970");
            moments.push(since.as_nanos());
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

fn main() {
    let mut world = World::new(&[]);
    let model = MockModel::start().expect("the mock model starts");
    world.use_model(&model);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let (moments, dir) = runtime.block_on(decided(&world));
    let stops = signals::list(&dir.join("signals")).expect("listed");
    let stops = stops.iter().filter(|file| file.kind == Kind::Stop);
    let begun = stops.map(|file| {
        file.seq
            .split('-')
            .next()
            .and_then(|nanos| nanos.parse::<u128>().ok())
            .expect("nanoseconds")
    });
    let mut times: Vec<Duration> = begun
        .zip(&moments)
        .map(|(begun, decided)| Duration::from_nanos(u64::try_from(decided - begun).expect("soon")))
        .collect();
    let watched = world.path("watched");
    fs::create_dir(&watched).expect("created");
    let mut floor = watcher_alone(&watched);
    writeln!(
        std::io::stdout(),
        "{} stops: hook → decision p50 {:.3?}, p99 {:.3?}; file watcher alone p50 {:.3?}, p99 {:.3?}",
        times.len(),
        percentile(&mut times, 50),
        percentile(&mut times, 99),
        percentile(&mut floor, 50),
        percentile(&mut floor, 99),
    )
    .expect("stdout is open");
}
