//! Which killings are tried: a sample by default, all of them in `full_matrix`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use super::classes::{ANSWERED, COMPLETED, Class, PROBED, all};
use super::{Heir, Kill, Reference, kill_and_recover};
use crate::rig::{Agent, on};
use testkit::size::size;

const WHEN: [&str; 3] = ["before", "within", "after"];
/// Killings at once.
const WORKERS: usize = 4;
/// Killings that a seed chooses; half of them by default.
const SAMPLE: usize = 12;

/// Tries every killing; what went wrong, by killing.
fn try_all(kills: &[Kill], references: &BTreeMap<&str, Reference>) -> Vec<(String, String)> {
    let (next, failures) = (Mutex::new(kills.iter()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let Some(&kill) = next.lock().expect("no panic holds it").next() else {
                return;
            };
            let reference = &references[kill.class.name];
            let tried = catch_unwind(AssertUnwindSafe(|| {
                on(kill.agent, async |rig| {
                    kill_and_recover(rig, kill, reference).await;
                });
            }));
            if let Err(panic) = tried {
                let said = panic.downcast_ref::<String>().cloned();
                let said = said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                let mut failures = failures.lock().expect("no panic holds it");
                failures.push((kill.to_string(), said.unwrap_or_default()));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(work);
        }
    });
    failures.into_inner().expect("no panic held it")
}

/// The same, in words.
pub(super) fn failures(kills: &[Kill], references: &BTreeMap<&str, Reference>) -> Vec<String> {
    let failures = try_all(kills, references).into_iter();
    let told = failures.map(|(kill, why)| format!("{kill}\n    {why}"));
    told.collect()
}

pub(super) fn assert_all(kills: &[Kill], references: &BTreeMap<&str, Reference>) {
    let (told, count) = (failures(kills, references), kills.len());
    assert!(
        told.is_empty(),
        "{} of {count} killings:\n{}",
        told.len(),
        told.join("\n")
    );
}

/// After every nth line.
fn after_lines(class: &'static Class, agent: Agent, every: usize) {
    let reference = Reference::of(class, agent);
    let kills: Vec<_> = (1..=reference.lines)
        .rev()
        .step_by(every)
        .map(|line| Kill {
            class,
            agent,
            when: "after",
            line,
            heir: Heir::Resume,
        })
        .collect();
    assert_all(&kills, &BTreeMap::from([(class.name, reference)]));
}

#[test]
fn killed_after_lines_of_a_completed_run_thorough() {
    after_lines(&COMPLETED, Agent::Scripted, size(3, 1));
}

#[test]
fn killed_after_lines_of_an_answered_question_thorough() {
    after_lines(&ANSWERED, Agent::Scripted, size(3, 1));
}

#[test]
fn killed_after_lines_of_a_run_that_was_asked_thorough() {
    after_lines(&PROBED, Agent::Scripted, size(3, 1));
}

/// Its operator is a process of its own, and so is the one that takes over.
#[test]
fn killed_after_lines_of_a_detached_run_that_is_parked_thorough() {
    let class = class_named("parked, detached");
    after_lines(class, Agent::Scripted, size(7, 1));
}

/// Some killings of all kinds; `CX_KILL_SEED` repeats a choice.
#[test]
fn killed_anywhere_thorough() {
    let seed = std::env::var("CX_KILL_SEED").ok();
    let seed = seed.map(|seed| seed.parse().expect("a number"));
    let mut random = Random(seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        u64::from(now.expect("after 1970").subsec_nanos())
    }));
    tell(&format!("CX_KILL_SEED={}", random.0));
    let classes = all();
    let mut references = BTreeMap::new();
    let mut kills = Vec::new();
    for _ in 0..size(SAMPLE / 2, SAMPLE) {
        let class = *random.choose(&classes);
        let reference = references
            .entry(class.name)
            .or_insert_with(|| Reference::of(class, Agent::Scripted));
        kills.push(Kill {
            class,
            agent: Agent::Scripted,
            when: WHEN[random.below(WHEN.len())],
            line: 1 + random.below(reference.lines),
            heir: *random.choose(&Heir::ALL),
        });
    }
    assert_all(&kills, &references);
}

/// Every line of every class, each way; `CX_KILL_CLASS` names the only classes to try, each behind a `;`.
#[test]
#[ignore = "takes half an hour"]
fn full_matrix() {
    let only = std::env::var("CX_KILL_CLASS").ok();
    let classes = all();
    let wanted = |class: &&&'static Class| is_wanted(only.as_deref(), class);
    let (mut table, mut told) = (Vec::new(), Vec::new());
    for class in classes.iter().filter(wanted) {
        let started = Instant::now();
        let reference = Reference::of(class, Agent::Scripted);
        let lines = reference.lines;
        let kills = every_way(class, lines);
        let references = BTreeMap::from([(class.name, reference)]);
        let failures = failures(&kills, &references);
        table.push(format!(
            "{} | {lines} | {} | {} failed | {} s",
            class.name,
            kills.len(),
            failures.len(),
            started.elapsed().as_secs()
        ));
        tell(table.last().expect("just pushed"));
        told.extend(failures);
    }
    let head = "class | lines | kills | result | time";
    tell(&format!(
        "{head}
{}",
        table.join(
            "
"
        )
    ));
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// Whether a class is to be tried, where only some are.
pub(super) fn is_wanted(only: Option<&str>, class: &Class) -> bool {
    only.is_none_or(|only| only.split(';').any(|name| name == class.name))
}

pub(super) fn class_named(name: &str) -> &'static Class {
    let mut all = all().into_iter();
    all.find(|class| class.name == name).expect("there is one")
}

/// Shown where the test fails, and with `--nocapture`.
pub(super) fn tell(text: &str) {
    drop(writeln!(io::stdout(), "{text}"));
}

/// Each line and each moment is followed on; the other ways take turns.
fn every_way(class: &'static Class, lines: usize) -> Vec<Kill> {
    let others = [Heir::Recover, Heir::End, Heir::Cleanup, Heir::Start];
    let mut kills = Vec::new();
    for line in 1..=lines {
        for (at, when) in WHEN.into_iter().enumerate() {
            for heir in [Heir::Resume, others[(line + at) % others.len()]] {
                kills.push(Kill {
                    class,
                    agent: Agent::Scripted,
                    when,
                    line,
                    heir,
                });
            }
        }
    }
    kills
}

/// Random enough to choose, and the same for the same seed: splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % u64::try_from(end).expect("small")).expect("small")
    }

    fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
