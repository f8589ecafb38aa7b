//! Time to read a screen of codex, over all recorded ones, beside two floors: counting its lines, with
//! and without stripping escapes first (`read` strips only where there is one).

use std::fs;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use cx_operator::agent::codex::screen;

/// How many times each round goes through all screens.
const ROUNDS: u32 = 200;

fn recorded() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens");
    let mut screens = Vec::new();
    for version in fs::read_dir(root).expect("the recordings are there") {
        let version = version.expect("an entry").path();
        if version.is_dir() {
            for file in fs::read_dir(version).expect("a directory of screens") {
                let path = file.expect("an entry").path();
                screens.push(fs::read_to_string(path).expect("a screen is UTF-8"));
            }
        }
    }
    screens
}

/// The median time for one screen.
fn measure(screens: &[String], mut work: impl FnMut(&str)) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            for screen in screens {
                work(black_box(screen));
            }
            begun.elapsed()
        })
        .collect();
    times.sort();
    let screens = u32::try_from(screens.len()).expect("few screens");
    times[times.len() / 2] / screens
}

fn main() {
    let screens = recorded();
    let lines = measure(&screens, |screen| {
        black_box(screen.lines().count());
    });
    let floor = measure(&screens, |screen| {
        black_box(strip_ansi_escapes::strip_str(screen).lines().count());
    });
    let read = measure(&screens, |screen| {
        black_box(screen::read(screen));
    });
    let held = measure(&screens, |screen| {
        black_box(screen::composer_holds(screen, "Explain the build"));
    });
    let mut out = std::io::stdout();
    let written = writeln!(
        out,
        "{} screens, ns per screen: lines alone {}, strip + lines {}, read {}, composer_holds {}",
        screens.len(),
        lines.as_nanos(),
        floor.as_nanos(),
        read.as_nanos(),
        held.as_nanos()
    );
    written.expect("stdout is open");
}
