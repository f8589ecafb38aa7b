//! The journal of a dead operator is cut short or damaged: what recovers the run then loses none of its work, and touches
//! nothing that is not the run's.

use std::collections::BTreeSet;

use cx_operator::operator::cleanup::{Action, force_orphan};
use cx_operator::record::journal;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::classes::{ANSWERED, COMPLETED, FAILED};
use super::frozen::{ENDED, Frozen, PATCHED, SUBMITTED, TURN_ENDED, killed_after};
use super::outcome::tree_at;
use testkit::size::size;

/// Everywhere within a byte of a line's end; every `step`-th of these.
fn cuts(whole: &[u8], step: usize) -> BTreeSet<usize> {
    let ends = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.flat_map(|(at, _)| [at, at + 1, at + 2])
        .filter(|&cut| cut <= whole.len())
        .step_by(step)
        .chain([0, whole.len()])
        .collect()
}

async fn cut(frozen: &mut Frozen<'_>, step: usize) {
    let whole = frozen.whole.clone();
    for cut in (0..=whole.len()).step_by(size(17, 1)) {
        frozen.write_journal(&whole[..cut]);
        let read = journal::load(&frozen.run.path().join("events.jsonl"));
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        let read = read.expect("readable").len();
        assert!(
            read == lines || read == lines + 1,
            "{cut}: {read} of {lines}"
        );
    }
    for cut in cuts(&whole, step) {
        frozen.put_back();
        frozen.write_journal(&whole[..cut]);
        frozen.recover(&format!("cut at {cut}")).await;
    }
}

#[test]
fn cut_in_a_completed_run_whose_work_is_taken_in_thorough() {
    killed_after(&COMPLETED, PATCHED, async |_, frozen| {
        cut(frozen, size(21, 7)).await;
    });
}

/// Nothing says what the run is; a person does what `cleanup` tells of.
#[test]
fn a_run_whose_journal_is_lost_is_taken_in_by_force() {
    killed_after(&COMPLETED, TURN_ENDED, async |rig, frozen| {
        frozen.put_back();
        frozen.write_journal(b"");
        assert_eq!(frozen.recover("no journal").await, None);
        let away = rig.path("away");
        std::fs::rename(frozen.run.path(), &away).expect("moved");
        let store = rig.operator.store();
        let found = force_orphan(store, &rig.worktree(), None, false).await;
        assert_eq!(found.expect("it is ours").action, Action::Removed);
        let kept = tree_at(rig, &format!("refs/cx-operator/{}", frozen.run.name()));
        let kept = kept.expect("a result");
        assert_eq!(kept.get("new").map(Vec::as_slice), Some(&b"work\n"[..]));
        frozen.assert_nothing_left("by force");
    });
}

#[test]
#[ignore = "takes minutes"]
fn cut_at_every_line() {
    for (class, text) in [
        (&COMPLETED, PATCHED),
        (&COMPLETED, TURN_ENDED),
        (&ANSWERED, SUBMITTED),
        (&ANSWERED, ENDED),
        (&FAILED, ENDED),
    ] {
        killed_after(class, text, async |_, frozen| cut(frozen, 1).await);
    }
}

/// Damage to a journal.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Swap(Index, Index),
    Repeat(Index),
    Drop(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
        (at(), at()).prop_map(|(one, other)| Damage::Swap(one, other)),
        at().prop_map(Damage::Repeat),
        at().prop_map(Damage::Drop),
    ]
}

fn apply(damage: &Damage, journal: &[u8]) -> Vec<u8> {
    if journal.is_empty() {
        return Vec::new();
    }
    let mut lines: Vec<&[u8]> = journal.split_inclusive(|&byte| byte == b'\n').collect();
    let count = lines.len();
    match damage {
        Damage::Flip(at, bit) => {
            let mut bytes = journal.to_vec();
            bytes[at.index(journal.len())] ^= bit;
            return bytes;
        }
        Damage::Swap(one, other) => lines.swap(one.index(count), other.index(count)),
        Damage::Repeat(at) => lines.insert(at.index(count), lines[at.index(count)]),
        Damage::Drop(at) => drop(lines.remove(at.index(count))),
    }
    lines.concat()
}

/// So many journals with up to three damages each.
async fn damaged(frozen: &mut Frozen<'_>, cases: usize) {
    let (mut runner, damages) = (TestRunner::default(), prop::collection::vec(damage(), 1..4));
    for _ in 0..cases {
        let damages = damages.new_tree(&mut runner).expect("a value").current();
        let journal = damages
            .iter()
            .fold(frozen.whole.clone(), |journal, damage| {
                apply(damage, &journal)
            });
        frozen.put_back();
        frozen.write_journal(&journal);
        let text = String::from_utf8_lossy(&journal);
        frozen.recover(&format!("{damages:?}\n{text}\n")).await;
    }
}

#[test]
fn damaged_in_an_answered_run_thorough() {
    killed_after(&ANSWERED, ENDED, async |_, frozen| {
        damaged(frozen, size(3, 6)).await;
    });
}

#[test]
#[ignore = "takes minutes"]
fn damaged_anywhere() {
    for (class, text) in [
        (&COMPLETED, PATCHED),
        (&COMPLETED, TURN_ENDED),
        (&ANSWERED, ENDED),
    ] {
        killed_after(class, text, async |_, frozen| damaged(frozen, 50).await);
    }
}
