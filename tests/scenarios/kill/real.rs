//! The operator of a real agent is killed, by keys and by requests, and its run brought to its end.

use std::collections::BTreeMap;

use super::classes::{self, ANSWERED, COMPLETED, Class, FAILED};
use super::matrix::{assert_all, class_named, failures, is_wanted, tell};
use super::{Heir, Kill, Reference};
use crate::rig::Agent;
use testkit::agents::{OLDER_CLAUDE, PINNED, PINNED_CLAUDE, native_codex, real_claude};
use testkit::size::size;

const BY_KEYS: Agent = Agent::Codex(PINNED);
const BY_REQUESTS: Agent = Agent::Requests(PINNED);
const CLAUDE: Agent = Agent::Claude(PINNED_CLAUDE);
const OLD_CLAUDE: Agent = Agent::Claude(OLDER_CLAUDE);

const HEADLESS: Agent = Agent::Exec(PINNED);
const PRINT: Agent = Agent::Print(PINNED_CLAUDE);

/// Whether its program is there.
fn is_there(agent: Agent) -> bool {
    match agent {
        Agent::Claude(version) | Agent::Print(version) => real_claude(version).is_some(),
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

/// A headless program works on without its operator, which is killed after every line.
#[test]
fn killed_after_each_line_without_a_terminal() {
    let heirs = [Heir::Resume, Heir::Recover, Heir::Cleanup, Heir::End];
    inherited_after(HEADLESS, &COMPLETED, &heirs, |lines| {
        (1..=lines.len()).collect()
    });
}

/// The same with Claude Code, whose files are in a directory of the run.
#[test]
fn killed_without_a_terminal_with_claude() {
    inherited_after(PRINT, &COMPLETED, &[Heir::Resume, Heir::Cleanup], |lines| {
        [
            r#""step":"program""#,
            r#""event":"launched""#,
            r#""event":"submitted""#,
            r#""event":"ended""#,
        ]
        .map(|text| first(lines, text))
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
    killed_after_each_line(CLAUDE);
}

#[test]
#[ignore = "takes minutes"]
fn killed_after_each_line_with_an_old_claude() {
    killed_after_each_line(OLD_CLAUDE);
}

fn killed_after_each_line(agent: Agent) {
    for class in [&COMPLETED, &ANSWERED, &FAILED] {
        killed_after(agent, class, |lines| (1..=lines.len()).collect());
        let others = [Heir::Cleanup, Heir::Recover, Heir::End, Heir::Start];
        inherited_after(agent, class, &others, |lines| (1..=lines.len()).collect());
    }
}

/// What is killed at each line: before, within and after it, and every command that recovers, in turn.
fn at_each_line(class: &'static Class, whens: &[&'static str], reference: &Reference) -> Vec<Kill> {
    let lines = 1..=reference.lines;
    let ways = lines.flat_map(|line| whens.iter().map(move |&when| (line, when)));
    let kill = |((line, when), &heir): ((usize, &'static str), &Heir)| Kill {
        class,
        agent: BY_REQUESTS,
        when,
        line,
        heir,
    };
    ways.zip(Heir::ALL.iter().cycle()).map(kill).collect()
}

/// Each class that needs no script: before, within and after each line. `CX_KILL_CLASS` names the only classes to try.
#[test]
#[ignore = "takes half an hour"]
fn killed_at_each_line_by_requests() {
    if native_codex(PINNED).is_none() {
        return;
    }
    let only = std::env::var("CX_KILL_CLASS").ok();
    let mut told = Vec::new();
    for class in by_requests() {
        if !is_wanted(only.as_deref(), class) {
            continue;
        }
        let reference = Reference::of(class, BY_REQUESTS);
        let (name, lines) = (class.name, reference.lines);
        let kills = at_each_line(class, &["before", "within", "after"], &reference);
        let references = BTreeMap::from([(class.name, reference)]);
        let failures = failures(&kills, &references);
        let (kills, failed) = (kills.len(), failures.len());
        tell(&format!("{name} | {lines} | {kills} | {failed} failed"));
        told.extend(failures);
    }
    assert!(
        told.is_empty(),
        "{} failed:\n{}",
        told.len(),
        told.join("\n")
    );
}

/// The same after some lines of each class; of which, the class tells.
#[test]
fn killed_in_each_class_by_requests_thorough() {
    if native_codex(PINNED).is_none() {
        return;
    }
    let (mut all, mut references) = (Vec::new(), BTreeMap::new());
    let classes = by_requests();
    let every = size(5, 1);
    for (at, class) in classes.into_iter().enumerate() {
        if at % every != 0 {
            continue;
        }
        let reference = Reference::of(class, BY_REQUESTS);
        let kills = at_each_line(class, &["after"], &reference).into_iter();
        all.extend(kills.skip(at % STRIDE).step_by(STRIDE));
        references.insert(class.name, reference);
    }
    assert_all(&all, &references);
}

/// Of a class's lines one in so many is tried by default, another one in each class.
const STRIDE: usize = 6;

/// The classes that are brought about by requests, with two that a script brings about by keys.
fn by_requests() -> Vec<&'static Class> {
    let mut classes = classes::all();
    classes.retain(|class| !SCRIPTED.contains(&class.name));
    classes.extend(&classes::BY_REQUESTS);
    classes
}

/// The classes that only a script can bring about, and the one whose command line is longer than tmux accepts, but not a server's.
const SCRIPTED: [&str; 5] = [
    "asked how it stands",
    "blocked_dialog",
    "agent_died",
    "timed_out",
    "failed launch",
];
