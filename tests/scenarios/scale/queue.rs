//! The queue of those who wait for other runs.

use std::num::NonZeroUsize;
use std::time::Duration;

use cx_operator::Operator;
use cx_operator::record::journal::{self, Progress};
use cx_operator::record::{Outcome, Status};

use super::{assert_idle, assert_small, finish, runtime};
use testkit::alone::{alone, in_own_process};
use testkit::crowd::{Crowd, Member};
use testkit::wait::wait_for;

use crate::rig::until;

/// An operator that lets one run at a time begin.
fn one_at_a_time(crowd: &Crowd) -> cx_operator::Builder {
    Operator::builder()
        .state_directory(crowd.world.state())
        .max_parallel(NonZeroUsize::MIN)
}

fn is_submitted(progress: &Progress) -> bool {
    matches!(progress, Progress::Submitted { .. })
}

fn queued(at: usize) -> impl Fn(&Progress) -> bool {
    move |progress| *progress == Progress::Queued { position: at }
}

fn code(outcome: &Outcome) -> Option<&str> {
    outcome.error.as_ref().map(|error| error.code.as_str())
}

/// From when to when a run was under way, as its journal tells; the times sort as text.
fn span(outcome: &Outcome) -> (String, String) {
    let dir = outcome.run_dir.as_ref().expect("it came to be");
    let journal = journal::load(&dir.join("events.jsonl")).expect("the journal");
    let (first, last) = (journal.first(), journal.last());
    (
        first.expect("an entry").at.clone(),
        last.expect("an entry").at.clone(),
    )
}

/// Ten processes of which two may run: never more do, and all come to their turn.
#[test]
fn a_limit_holds_over_processes() {
    let _alone = alone();
    let crowd = Crowd::new(10, 11);
    let spawn = |member: &Member| {
        let mut command = crowd.command(member);
        command.args(["--max-parallel", "2"]);
        command.spawn().expect("cx-operator starts")
    };
    let children: Vec<_> = crowd.members.iter().map(spawn).collect();
    for mut child in children {
        child.wait().expect("it ends");
    }
    let printed = |member: &Member| (member.clone(), crowd.printed(member));
    let outcomes: Vec<_> = crowd.members.iter().map(printed).collect();
    let spans: Vec<_> = outcomes.iter().map(|(_, outcome)| span(outcome)).collect();
    for (begun, _) in &spans {
        let now = spans
            .iter()
            .filter(|(from, to)| from <= begun && begun < to);
        assert!(now.count() <= 2, "{spans:#?}");
    }
    let waited = crowd.members.iter().filter(|member| {
        crowd
            .said(member)
            .contains("waiting for other runs: position ")
    });
    assert!(waited.count() >= 5);
    crowd.assert_own(&outcomes);
    crowd.assert_nothing_left(&outcomes);
}

/// Who waits is told their position, and can be ended with nothing made; the others move up.
#[test]
fn a_waiting_run_is_cancelled() {
    let _alone = alone();
    let crowd = Crowd::new(4, 12);
    crowd.hold();
    let outcomes = runtime().block_on(async {
        let operator = one_at_a_time(&crowd).build().expect("an operator");
        let start = |number: usize| operator.start(crowd.task(&crowd.members[number]));
        let mut first = start(0);
        until(&mut first, "the event", is_submitted).await;
        let mut second = start(1);
        until(&mut second, "the event", queued(1)).await;
        let mut third = start(2);
        until(&mut third, "the event", queued(2)).await;
        let impatient = one_at_a_time(&crowd).queue_timeout(Duration::from_millis(300));
        let impatient = impatient.build().expect("an operator");
        let late = impatient.delegate(crowd.task(&crowd.members[3])).await;
        assert_eq!((late.status, late.exit_code()), (Status::TimedOut, 6));
        assert_eq!((code(&late), &late.run_dir), (Some("queue_timeout"), &None));
        second.canceller().cancel("SIGTERM");
        let second = second.outcome().await;
        assert_eq!((second.status, second.exit_code()), (Status::Aborted, 143));
        assert_eq!((code(&second), &second.run_dir), (Some("cancelled"), &None));
        until(&mut third, "the event", queued(1)).await;
        crowd.release();
        let first = (crowd.members[0].clone(), first.outcome().await);
        [first, (crowd.members[2].clone(), third.outcome().await)]
    });
    assert!(span(&outcomes[0].1).1 <= span(&outcomes[1].1).0);
    crowd.assert_own(&outcomes);
    crowd.assert_nothing_left(&outcomes);
}

/// A task that can't be run is refused at once and not when its turn has come.
#[test]
fn a_task_that_cannot_run_does_not_wait() {
    let _alone = alone();
    let crowd = Crowd::new(2, 13);
    crowd.hold();
    let outcome = runtime().block_on(async {
        let operator = one_at_a_time(&crowd).build().expect("an operator");
        let mut first = operator.start(crowd.task(&crowd.members[0]));
        until(&mut first, "the event", is_submitted).await;
        let mut task = crowd.task(&crowd.members[1]);
        task.base = "nowhere".to_owned();
        let refused = operator.delegate(task).await;
        assert_eq!((refused.status, refused.exit_code()), (Status::Failed, 8));
        crowd.release();
        (crowd.members[0].clone(), first.outcome().await)
    });
    crowd.assert_own(std::slice::from_ref(&outcome));
    crowd.assert_nothing_left(&[outcome]);
}

/// Neither a killed process that ran nor one that waited holds up those behind it.
#[test]
fn killed_processes_hold_nobody_up() {
    let _alone = alone();
    let crowd = Crowd::new(3, 14);
    crowd.hold();
    let spawn = |number: usize, said: &str| {
        let mut command = crowd.command(&crowd.members[number]);
        command.args(["--max-parallel", "1"]);
        let child = command.spawn().expect("cx-operator starts");
        wait_for(said, || {
            let text = crowd.said(&crowd.members[number]);
            text.contains(said).then_some(())
        });
        child
    };
    let mut runs = spawn(0, "the agent has the prompt");
    let mut waits = spawn(1, "position 1");
    let mut last = spawn(2, "position 2");
    for child in [&mut waits, &mut runs] {
        child.kill().expect("it runs");
        child.wait().expect("it ends");
    }
    crowd.release();
    assert!(last.wait().expect("it ends").code().is_some());
    let outcome = crowd.printed(&crowd.members[2]);
    crowd.assert_own(&[(crowd.members[2].clone(), outcome)]);
    assert!(crowd.cleanup(), "what the killed run left goes");
}

/// Four of two hundred run; the others take next to nothing while they wait, and all get their turn.
#[test]
#[ignore = "takes minutes"]
fn two_hundred_in_the_queue() {
    in_own_process("scale::queue::two_hundred_in_the_queue", two_hundred);
}

fn two_hundred() {
    let crowd = Crowd::new(200, 15);
    crowd.hold();
    let outcomes = runtime().block_on(async {
        let operator = Operator::builder().state_directory(crowd.world.state());
        let limit = NonZeroUsize::new(4).expect("not zero");
        let operator = operator.max_parallel(limit).build().expect("an operator");
        let mut runs: Vec<_> = crowd
            .members
            .iter()
            .map(|member| (member.clone(), operator.start(crowd.task(member))))
            .collect();
        let began = |progress: &Progress| {
            is_submitted(progress) || matches!(progress, Progress::Queued { .. })
        };
        for (_, run) in &mut runs {
            until(run, "the event", began).await;
        }
        assert_idle(Duration::from_secs(20)).await;
        crowd.release();
        finish(runs).await
    });
    crowd.assert_own(&outcomes);
    crowd.assert_nothing_left(&outcomes);
    assert_small();
}
