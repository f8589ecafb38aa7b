//! From a run's start to the proof that its prompt was submitted: alone, and with others at the same moment.
//!
//! `cargo bench --bench scale [-- SIZE…]`, 1 20 200 without sizes. One process, the scripted agent without latencies of
//! its own. A crowd is run again until 20 runs are measured; all of them must succeed and leave nothing.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::time::{Duration, Instant};

use cx_operator::record::journal::Progress;
use cx_operator::{Operator, Run};

use testkit::crowd::Crowd;

/// Runs to measure at least.
const RUNS: usize = 20;

fn main() {
    let sizes: Vec<usize> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() {
        vec![1, 20, 200]
    } else {
        sizes
    };
    println!(
        "at once: start → submitted p50 / p95 / p99; start of the first → end of the last; memory so far"
    );
    for size in sizes {
        let (mut times, mut whole) = (Vec::new(), Duration::ZERO);
        while times.len() < RUNS {
            let (submitted, all) = measure(size, times.len() as u64);
            times.extend(submitted);
            whole = all;
        }
        times.sort();
        let [p50, p95, p99] = [50, 95, 99].map(|percent| times[(times.len() - 1) * percent / 100]);
        println!(
            "{size:>7}: {p50:.3?} / {p95:.3?} / {p99:.3?}; {whole:.2?}; {}",
            memory()
        );
    }
}

/// From the start to the submission for each, and from the first start to the last end.
fn measure(size: usize, seed: u64) -> (Vec<Duration>, Duration) {
    let crowd = Crowd::new(size, seed).without_latencies();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let begun = Instant::now();
    let (times, outcomes) = runtime.block_on(async {
        let operator = Operator::builder().state_directory(crowd.world.state());
        let operator = operator.build().expect("an operator");
        let followed: Vec<_> = crowd
            .members
            .iter()
            .map(|member| {
                let run = operator.start(crowd.task(member));
                (member.clone(), tokio::spawn(follow(run, Instant::now())))
            })
            .collect();
        let (mut times, mut outcomes) = (Vec::new(), Vec::new());
        for (member, followed) in followed {
            let (time, outcome) = followed.await.expect("it ends");
            times.push(time);
            outcomes.push((member, outcome));
        }
        (times, outcomes)
    });
    let whole = begun.elapsed();
    crowd.assert_own(&outcomes);
    crowd.assert_nothing_left(&outcomes);
    (times, whole)
}

/// When the prompt was submitted, and how the run ended.
async fn follow(mut run: Run, started: Instant) -> (Duration, cx_operator::record::Outcome) {
    let mut submitted = None;
    while let Some(entry) = run.events().next().await {
        if matches!(entry.progress, Progress::Submitted { .. }) {
            submitted.get_or_insert_with(|| started.elapsed());
        }
    }
    let outcome = run.outcome().await;
    (submitted.expect("it was submitted"), outcome)
}

/// The most memory that this process had.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.expect("Linux tells").trim().to_owned()
}
