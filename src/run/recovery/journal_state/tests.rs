//! A journal that is cut short or damaged: nothing panics, and what is read is this run's or nothing.

use std::fs;
use std::time::Instant;

use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::TempDir;

use super::*;
use crate::record::journal::Journal;
use crate::record::{Lock, Status, Store};
use crate::turn::{Machine, Plan};

/// A run without an owner, and what its journal says of it.
struct Recorded {
    dir: RunDir,
    id: RunId,
    whole: Vec<u8>,
    _lock: Lock,
    _temp: TempDir,
}

impl Recorded {
    fn new() -> Self {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(temp.path()).expect("a state directory");
        let name = TaskName::parse("t").expect("a task's name");
        let id = RunId::new(&name, SystemTime::now());
        let (dir, lock) = store.create(&id).expect("a run");
        let journal = Journal::create(&dir.events(), None).expect("a journal");
        for progress in [started(&name, &id)].into_iter().chain(a_whole_run()) {
            journal.write(progress);
        }
        let whole = fs::read(dir.events()).expect("written");
        Self {
            dir,
            id,
            whole,
            _lock: lock,
            _temp: temp,
        }
    }

    /// What is read where the journal is this; all that recovery makes of it is made.
    fn read(&self, journal: &[u8]) -> Option<JournalState> {
        fs::write(self.dir.events(), journal).expect("written");
        let journal_state = JournalState::load(&self.dir).ok().flatten()?;
        assert_eq!(journal_state.run_id, self.id, "another run's");
        let outcome = journal_state.to_outcome(&self.dir);
        assert_eq!(outcome.run_id, self.id);
        let resume_point = journal_state.resume_point();
        assert_eq!(resume_point.turns, outcome.turns);
        let _any = (journal_state.turn(), journal_state.has_responder());
        let plan = Plan {
            prompt: String::new(),
            limits: journal_state.order.limits,
            permissions: journal_state.order.permissions,
            responder: false,
            probe: journal_state.order.probe,
            directory: PathBuf::new(),
            executor: journal_state.order.agent.executor,
            answer: None,
            drive: Drive::Keys,
        };
        let machine = Machine::resume(plan, resume_point, Instant::now());
        let _any = machine.deadline();
        Some(journal_state)
    }
}

fn started(task: &TaskName, id: &RunId) -> Progress {
    Progress::Started {
        run_id: id.clone(),
        task: task.clone(),
        repository: "/repo".into(),
        common_dir: None,
        base_commit: "0".repeat(40),
        boot_id: boot_id(),
        operator_pid: 7,
        agent_version: "0.169.0".to_owned(),
        names: None,
        terms: None,
        schema_version: SCHEMA_VERSION,
    }
}

/// What follows in a run that asks once, is answered, and comes to its end.
fn a_whole_run() -> Vec<Progress> {
    let worktree = Step::Worktree {
        path: "/tmp/cx-t".into(),
        branch: "cx-t".to_owned(),
        base_commit: "0".repeat(40),
    };
    let session = Step::Session {
        socket: "/state/tmux.sock".into(),
        session: "cx-t".to_owned(),
    };
    let message = || Some("é \u{2028} \"quoted\"\n".to_owned());
    let mut run = vec![
        Progress::Begun(worktree.clone()),
        Progress::Done(worktree),
        Progress::Begun(session.clone()),
        Progress::Done(session),
        Progress::Launched {
            session_id: Some("$1".to_owned()),
            pane: Some("%1".to_owned()),
            pid: 4711,
            pid_start: Some(12),
            directory: None,
            argv: vec!["codex".to_owned()],
            drive: None,
        },
    ];
    run.extend((1..=2).flat_map(|turn| a_turn(turn, message())));
    run.push(Progress::Ended {
        status: Status::Completed,
        error: None,
        pending: None,
        last_message: message(),
    });
    for step in [Step::EndAgent, Step::RemoveSession, Step::RemoveWorktree] {
        run.extend([Progress::Begun(step.clone()), Progress::Done(step)]);
    }
    let status = Status::Completed;
    run.push(Progress::Recorded { status });
    run
}

fn a_turn(turn: u32, message: Option<String>) -> [Progress; 4] {
    [
        Progress::Pasted {
            turn,
            bytes: 10,
            messages: Vec::new(),
        },
        Progress::Submitted {
            turn,
            session_id: "s".to_owned(),
            turn_id: Some(format!("turn-{turn}")),
        },
        Progress::TurnEnded {
            turn,
            verdict: "question".to_owned(),
            rule: "trailer".to_owned(),
            message,
        },
        Progress::Replied {
            turn,
            by: "command".to_owned(),
            question: "Tabs?".to_owned(),
            reply: "Spaces.".to_owned(),
        },
    ]
}

#[test]
fn a_journal_cut_at_any_byte_tells_what_its_whole_lines_say() {
    let run = Recorded::new();
    let begun = run.whole.iter().position(|&byte| byte == b'\n');
    let begun = begun.expect("it has lines");
    let mut known = 0;
    for cut in 0..=run.whole.len() {
        let journal_state = run.read(&run.whole[..cut]);
        assert_eq!(journal_state.is_some(), cut >= begun, "cut at {cut}");
        let Some(journal_state) = journal_state else {
            // Nothing was made yet: the first line is on the disk before anything is.
            assert!(
                matches!(JournalState::load(&run.dir), Ok(None)),
                "cut at {cut}"
            );
            continue;
        };
        let knows = [
            usize::from(journal_state.worktree.is_some()),
            usize::from(journal_state.session.is_some()),
            usize::from(journal_state.launched.is_some()),
            usize::try_from(journal_state.turn()).expect("a few"),
            journal_state.replies.len(),
            usize::from(journal_state.ended.is_some()),
            usize::from(journal_state.removing),
        ];
        let knows = knows.iter().sum();
        assert!(knows >= known, "cut at {cut}: a longer journal tells less");
        known = knows;
    }
    assert_eq!(known, 9, "all of it was there to be told");
}

/// The two lines of a message that the agent has are written one after the other.
#[test]
fn an_operator_that_ends_between_a_message_and_its_reply_loses_neither() {
    let run = Recorded::new();
    let line = |progress: serde_json::Value| format!("{progress}\n").into_bytes();
    let at = "2026-11-27T11:50:00.000Z";
    let message = |id: &str| {
        let told = serde_json::json!({"at": at, "event": "taken", "turn": 1, "id": id, "text": id, "now": true});
        let steered = serde_json::json!({"at": at, "event": "steered", "turn": 1, "id": id});
        let reply = serde_json::json!({"at": at, "event": "replied", "turn": 1, "by": "message", "question": "", "reply": id});
        [line(told), line(steered), line(reply)]
    };
    let heir = serde_json::json!({"at": at, "event": "taken_over", "boot_id": "b", "operator_pid": 2, "follows": true});
    let (one, two, heir) = (message("one").concat(), message("two"), line(heir));
    let half = two[..2].concat();
    let first = run.whole.iter().position(|&byte| byte == b'\n');
    let begun = &run.whole[..=first.expect("a line")];
    let said = |journal: &[&[u8]]| {
        let state = run.read(&journal.concat()).expect("a state");
        let replies = state.replies.into_iter().map(|reply| reply.reply);
        replies.collect::<Vec<_>>()
    };
    assert_eq!(said(&[begun, &one]), ["one"]);
    assert_eq!(said(&[begun, &half]), ["two"]);
    assert_eq!(said(&[begun, &half, &heir, &one]), ["two", "one"]);
    assert_eq!(said(&[begun, &one, &half, &heir]), ["one", "two"]);
}

#[test]
fn the_answer_how_the_task_stands_is_not_the_last_message() {
    let run = Recorded::new();
    let mut lines = vec![started(&TaskName::parse("t").expect("a name"), &run.id)];
    let ends = [
        ("no_claim", "Voilà."),
        ("probe_question", "STATUS: QUESTION Tabs?"),
    ];
    for (turn, (rule, message)) in (1..).zip(ends) {
        lines.extend(a_turn(turn, Some(message.to_owned())).map(|mut line| {
            if let Progress::TurnEnded { rule: by, .. } = &mut line {
                *by = rule.to_owned();
            }
            line
        }));
    }
    fs::remove_file(run.dir.events()).expect("the whole one");
    let journal = Journal::create(&run.dir.events(), None).expect("a journal");
    for line in lines {
        journal.write(line);
    }
    let journal_state = JournalState::load(&run.dir)
        .expect("readable")
        .expect("a run");
    let resume_point = journal_state.resume_point();
    assert_eq!(
        (resume_point.turns, resume_point.last_message.as_deref()),
        (2, Some("Voilà."))
    );
}

/// Damage to a journal.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Swap(Index, Index),
    Repeat(Index),
    Drop(Index),
    Cut(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
        (at(), at()).prop_map(|(one, other)| Damage::Swap(one, other)),
        at().prop_map(Damage::Repeat),
        at().prop_map(Damage::Drop),
        at().prop_map(Damage::Cut),
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
        Damage::Cut(at) => return journal[..at.index(journal.len())].to_vec(),
        Damage::Swap(one, other) => lines.swap(one.index(count), other.index(count)),
        Damage::Repeat(at) => lines.insert(at.index(count), lines[at.index(count)]),
        Damage::Drop(at) => drop(lines.remove(at.index(count))),
    }
    lines.concat()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn a_damaged_journal_is_this_runs_or_nothing(damages in prop::collection::vec(damage(), 1..6)) {
        let run = Recorded::new();
        let journal = damages.iter().fold(run.whole.clone(), |journal, damage| apply(damage, &journal));
        let journal_state = run.read(&journal);
        // Whatever became of other lines: as long as the first is whole, the run is known.
        let first = run.whole.split_inclusive(|&byte| byte == b'\n').next().expect("it has lines");
        if journal.starts_with(first) {
            prop_assert!(journal_state.is_some());
        }
    }
}
