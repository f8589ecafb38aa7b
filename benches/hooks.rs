//! A hook beside an empty `main`: spawn, one payload on stdin, exit.
//!
//! `cargo bench --bench hooks [-- <pairs>]`. The two run in turn, A B A B, so that the machine's load meets both alike.

#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports on standard output"
)]

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cx_operator::agent::signals::Kind;

const WARM_UP: usize = 20;
const UUID: &str = "019a5b2c-1f00-7abc-8def-0123456789ab";
const HELPER: &str = env!("CARGO_BIN_EXE_cx-helper");

fn main() {
    let pairs = env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(400);
    let empty = build_empty_main();
    println!("{pairs} pairs; times in µs: min / median / p99");
    for kind in Kind::ALL {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..WARM_UP + pairs {
            for (program, times) in [Path::new(HELPER), &empty].into_iter().zip(&mut times) {
                let took = time_run(program, kind, dir.path());
                if round >= WARM_UP {
                    times.push(took);
                }
            }
            empty_directory(dir.path());
        }
        let [hook, empty] = times.map(Summary::of);
        println!(
            "{:14} {hook}   empty main {empty}   ratio of medians {:.2}",
            kind.name(),
            hook.median.as_secs_f64() / empty.median.as_secs_f64()
        );
    }
}

/// Compiles `fn main() {}` with the options of the release profile.
fn build_empty_main() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = dir.join("empty_main.rs");
    let program = dir.join("empty-main");
    fs::write(&source, "fn main() {}\n").expect("the target directory is writable");
    let built = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args([
            "--edition=2024",
            "-O",
            "-Cpanic=abort",
            "-Cstrip=symbols",
            "-Ccodegen-units=1",
            "-o",
        ])
        .args([&program, &source])
        .status()
        .expect("rustc runs");
    assert!(built.success(), "rustc builds an empty main");
    program
}

fn time_run(program: &Path, kind: Kind, dir: &Path) -> Duration {
    let payload = format!(
        r#"{{"session_id":"{UUID}","turn_id":"1","cwd":"/","last_assistant_message":"{}"}}"#,
        "Done. ".repeat(100)
    );
    let started = Instant::now();
    let mut child = Command::new(program)
        .arg(kind.name())
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // The empty main may be gone before it could have read.
    let _ = stdin.write_all(payload.as_bytes());
    drop(stdin);
    let status = child.wait().expect("the program ends");
    let took = started.elapsed();
    assert!(status.success());
    took
}

fn empty_directory(dir: &Path) {
    let entries: Vec<_> = fs::read_dir(dir).expect("readable").collect();
    assert!(!entries.is_empty(), "the hook wrote its files");
    for entry in entries {
        fs::remove_file(entry.expect("an entry").path()).expect("a file of the hook");
    }
}

struct Summary {
    min: Duration,
    median: Duration,
    p99: Duration,
}

impl Summary {
    fn of(mut times: Vec<Duration>) -> Summary {
        times.sort();
        Summary {
            min: times[0],
            median: times[times.len() / 2],
            p99: times[times.len() * 99 / 100],
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        write!(
            f,
            "{:5.0} / {:5.0} / {:5.0}",
            micros(self.min),
            micros(self.median),
            micros(self.p99)
        )
    }
}
