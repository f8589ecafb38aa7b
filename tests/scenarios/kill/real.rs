//! The operator of a real codex is killed, and its run resumed.

use std::collections::BTreeMap;

use super::classes::{ANSWERED, COMPLETED, Class, FAILED};
use super::matrix::assert_all;
use super::{Heir, Kill, Reference};
use crate::rig::Agent;
use testkit::agents::{PINNED, native_codex};

const CODEX: Agent = Agent::Codex(PINNED);

/// Kills the operator after each of these lines of its journal, of which there are so many.
fn killed_after(class: &'static Class, lines: impl FnOnce(&[String]) -> Vec<usize>) {
    if native_codex(PINNED).is_none() {
        return;
    }
    let reference = Reference::of(class, CODEX);
    let kills: Vec<_> = lines(&reference.journal)
        .into_iter()
        .map(|line| Kill {
            class,
            agent: CODEX,
            when: "after",
            line,
            heir: Heir::Resume,
        })
        .collect();
    assert_all(&kills, &BTreeMap::from([(class.name, reference)]));
}

/// The line, from 1, that is the first with this text.
fn first(lines: &[String], text: &str) -> usize {
    let at = lines.iter().position(|line| line.contains(text));
    at.expect("the run comes to that") + 1
}

/// Before the composer is there, while the prompt is on its way, and while the reply is.
#[test]
fn killed_around_a_question_to_the_real_codex() {
    killed_after(&ANSWERED, |lines| {
        ["launched", "pasted", "replied"]
            .map(|event| first(lines, &format!("\"event\":\"{event}\"")))
            .into()
    });
}

#[test]
#[ignore = "takes minutes"]
fn killed_after_each_line_with_the_real_codex() {
    for class in [&COMPLETED, &ANSWERED, &FAILED] {
        killed_after(class, |lines| (1..=lines.len()).collect());
    }
}
