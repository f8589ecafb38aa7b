//! Many delegations at once: none lost, none mixed up, nothing left, and little spent on waiting.
//!
//! The crowds of 200 take minutes: `cargo test --release --test scenarios scale -- --ignored`.

use std::fs;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use cx_operator::record::Outcome;
use cx_operator::record::journal::Progress;
use cx_operator::{Operator, Run};

use testkit::alone::{alone, in_own_process};
use testkit::crowd::{Crowd, Member};

mod git;
mod queue;

#[test]
fn a_crowd_in_one_process() {
    in_own_process("scale::a_crowd_in_one_process", || one_process(24, 1));
}

#[test]
#[ignore = "takes a minute"]
fn two_hundred_in_one_process() {
    in_own_process("scale::two_hundred_in_one_process", || one_process(200, 2));
}

#[test]
#[ignore = "takes a minute"]
fn two_hundred_that_wait() {
    in_own_process("scale::two_hundred_that_wait", || {
        waiting(200, 6, Duration::from_secs(20));
    });
}

#[test]
fn a_crowd_of_processes() {
    many_processes(12, 3);
}

#[test]
#[ignore = "takes minutes"]
fn two_hundred_processes() {
    many_processes(200, 4);
}

fn one_process(size: usize, seed: u64) {
    let crowd = Crowd::new(size, seed);
    let outcomes = runtime().block_on(async {
        let runs = start(&crowd);
        finish(runs).await
    });
    crowd.assert_own(&outcomes);
    crowd.assert_nothing_left(&outcomes);
    assert_small();
}

fn start(crowd: &Crowd) -> Vec<(Member, Run)> {
    let operator = Operator::builder().state_directory(crowd.world.state());
    let operator = operator.build().expect("an operator");
    let start = |member: &Member| (member.clone(), operator.start(crowd.task(member)));
    crowd.members.iter().map(start).collect()
}

async fn finish(runs: Vec<(Member, Run)>) -> Vec<(Member, Outcome)> {
    let mut outcomes = Vec::new();
    for (member, run) in runs {
        outcomes.push((member, run.outcome().await));
    }
    outcomes
}

/// While all agents work, and draw that they do, the operator is idle.
fn waiting(size: usize, seed: u64, window: Duration) {
    let crowd = Crowd::new(size, seed);
    crowd.hold();
    let outcomes = runtime().block_on(async {
        let mut runs = start(&crowd);
        for (_, run) in &mut runs {
            while let Some(entry) = run.events().next().await {
                if matches!(entry.progress, Progress::Submitted { .. }) {
                    break;
                }
            }
        }
        assert_idle(window).await;
        crowd.release();
        finish(runs).await
    });
    crowd.assert_own(&outcomes);
    crowd.assert_nothing_left(&outcomes);
    assert_small();
}

/// This process and what it starts take 5 % of a core at most.
async fn assert_idle(window: Duration) {
    let (before, begun) = (cpu_time(), Instant::now());
    tokio::time::sleep(window).await;
    let used = (cpu_time() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    let files = open_files();
    say(&format!(
        "{:.1} % of a core, {files} files open",
        used * 100.0
    ));
    assert!(used <= 0.05, "{used}");
}

fn many_processes(size: usize, seed: u64) {
    let _alone = alone();
    let crowd = Crowd::new(size, seed);
    let spawn = |member: &Member| crowd.command(member).spawn().expect("cx-operator starts");
    let children: Vec<_> = crowd.members.iter().map(spawn).collect();
    for mut child in children {
        child.wait().expect("it ends");
    }
    let printed = |member: &Member| (member.clone(), crowd.printed(member));
    let outcomes: Vec<_> = crowd.members.iter().map(printed).collect();
    crowd.assert_own(&outcomes);
    crowd.assert_nothing_left(&outcomes);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// The processor time of this process and of its children that have ended: tmux's clients and git.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc");
    let (_, fields) = stat.rsplit_once(") ").expect("a stat line");
    // utime, stime, cutime and cstime, in ticks of 10 ms.
    let ticks = fields.split(' ').skip(11).take(4);
    Duration::from_millis(
        10 * ticks
            .map(|ticks| ticks.parse::<u64>().expect("a number"))
            .sum::<u64>(),
    )
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// This process never had more than 64 MB.
fn assert_small() {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let kb = kb.expect("Linux tells");
    say(&format!("the operator had {} MB at most", kb / 1024));
    assert!(kb <= 64 * 1024, "{kb} kB");
}

/// Straight to the stream: a figure is said by a test that passes, too.
fn say(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}
