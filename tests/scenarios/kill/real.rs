//! The operator of a real agent is killed, by keys and by requests, and its run brought to its end.

use std::collections::BTreeMap;

use super::classes::{self, ANSWERED, COMPLETED, Class, FAILED};
use super::matrix::assert_all;
use super::{Heir, Kill, Reference};
use crate::rig::Agent;
use testkit::agents::{PINNED, PINNED_CLAUDE, native_codex, real_claude};

const BY_KEYS: Agent = Agent::Codex(PINNED);
const BY_REQUESTS: Agent = Agent::Requests(PINNED);
const CLAUDE: Agent = Agent::Claude(PINNED_CLAUDE);

/// Whether its program is there.
fn is_there(agent: Agent) -> bool {
    match agent {
        Agent::Claude(version) => real_claude(version).is_some(),
        _ => native_codex(PINNED).is_some(),
    }
}

/// Kills the operator after each of these lines of its journal, of which there are so many, and resumes.
fn killed_after(agent: Agent, class: &'static Class, lines: impl FnOnce(&[String]) -> Vec<usize>) {
    inherited_after(agent, class, &[Heir::Resume], lines);
}

/// The same, and what brings the runs to their end takes turns.
fn inherited_after(
    agent: Agent,
    class: &'static Class,
    heirs: &[Heir],
    lines: impl FnOnce(&[String]) -> Vec<usize>,
) {
    if !is_there(agent) {
        return;
    }
    let reference = Reference::of(class, agent);
    let kills: Vec<_> = lines(&reference.journal)
        .into_iter()
        .zip(heirs.iter().cycle())
        .map(|(line, &heir)| Kill {
            class,
            agent,
            when: "after",
            line,
            heir,
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
    killed_after(BY_KEYS, &ANSWERED, |lines| {
        ["launched", "pasted", "replied"]
            .map(|event| first(lines, &format!("\"event\":\"{event}\"")))
            .into()
    });
}

/// The same with Claude Code, whose transcript is in a directory of the run.
#[test]
fn killed_around_a_question_to_claude() {
    killed_after(CLAUDE, &ANSWERED, |lines| {
        ["launched", "pasted", "replied"]
            .map(|event| first(lines, &format!("\"event\":\"{event}\"")))
            .into()
    });
}

/// While it works, and while the ended run is cleared away: its directory goes too, however late the operator died.
#[test]
fn claude_is_left_by_its_operator() {
    let heirs = [Heir::Cleanup, Heir::End, Heir::Recover, Heir::Resume];
    inherited_after(CLAUDE, &COMPLETED, &heirs, |lines| {
        [
            r#""event":"launched""#,
            r#""event":"submitted""#,
            r#""event":"ended""#,
            r#""step":"remove_worktree""#,
        ]
        .map(|text| first(lines, text))
        .into()
    });
}

/// The same by requests, where the prompt and the reply are requests.
#[test]
fn killed_around_a_question_by_requests() {
    killed_after(BY_REQUESTS, &ANSWERED, |lines| {
        ["launched", "connected", "pasted", "item", "replied"]
            .map(|event| first(lines, &format!("\"event\":\"{event}\"")))
            .into()
    });
}

/// While its approval waits, and when it is decided.
#[test]
fn killed_around_an_approval_by_requests() {
    killed_after(BY_REQUESTS, class_named("decided permission"), |lines| {
        ["permission_asked", "replied"]
            .map(|event| first(lines, &format!("\"event\":\"{event}\"")))
            .into()
    });
}

#[test]
#[ignore = "takes minutes"]
fn killed_after_each_line_with_the_real_codex() {
    for class in [&COMPLETED, &ANSWERED, &FAILED] {
        killed_after(BY_KEYS, class, |lines| (1..=lines.len()).collect());
    }
}

/// Every command that recovers, in turn: those that follow the agent on, and those that end it.
#[test]
#[ignore = "takes minutes"]
fn killed_after_each_line_with_claude() {
    for class in [&COMPLETED, &ANSWERED, &FAILED] {
        killed_after(CLAUDE, class, |lines| (1..=lines.len()).collect());
        let others = [Heir::Cleanup, Heir::Recover, Heir::End, Heir::Start];
        inherited_after(CLAUDE, class, &others, |lines| (1..=lines.len()).collect());
    }
}

/// Each class that needs no script: before, within and after each line, and every command that recovers, in turn.
#[test]
#[ignore = "takes minutes"]
fn killed_at_each_line_by_requests() {
    if native_codex(PINNED).is_none() {
        return;
    }
    let whens = ["before", "within", "after"];
    let mut lines = 0;
    for class in classes::all() {
        // Its command line is longer than tmux accepts, but not a server's.
        if SCRIPTED.contains(&class.name) {
            continue;
        }
        let reference = Reference::of(class, BY_REQUESTS);
        let kills: Vec<_> = (1..=reference.lines)
            .flat_map(|line| whens.map(|when| (line, when)))
            .map(|(line, when)| {
                lines += 1;
                let heir = Heir::ALL[lines % Heir::ALL.len()];
                Kill {
                    class,
                    agent: BY_REQUESTS,
                    when,
                    line,
                    heir,
                }
            })
            .collect();
        assert_all(&kills, &BTreeMap::from([(class.name, reference)]));
    }
}

/// The classes that only a script can bring about, and the one whose arguments are the terminal's.
const SCRIPTED: [&str; 5] = [
    "asked how it stands",
    "blocked_dialog",
    "agent_died",
    "timed_out",
    "failed launch",
];

fn class_named(name: &str) -> &'static Class {
    let mut all = classes::all().into_iter();
    all.find(|class| class.name == name).expect("there is one")
}
