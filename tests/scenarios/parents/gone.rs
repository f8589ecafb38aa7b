//! Callers that are killed: the run goes on, and is told nothing twice.

use std::path::Path;
use std::time::Duration;

use cx_operator::record::journal::{Progress, Step};
use testkit::random::Random;
use testkit::size::size;
use tokio::process::Child;

use super::{ANSWER, call, until_it_waits};
use crate::detached::{detach, remember, supervisor, until_gone};
use crate::rig::Rig;

on_both!(those_who_wait);
tests_of! { the_one_who_began_it: scripted on Scripted; }
tests_of! { those_who_reply: scripted on Scripted; }

const DONE: &str = "[[shell echo x > made; echo 'STATUS: DONE']]";

type Moment = fn(&Progress) -> bool;

/// The events after which the caller of `delegate --detach` is killed.
const MOMENTS: [Moment; 5] = [
    |progress| matches!(progress, Progress::Launched { .. }),
    |progress| matches!(progress, Progress::Started { .. }),
    |progress| matches!(progress, Progress::Done(Step::Worktree { .. })),
    |progress| matches!(progress, Progress::Pasted { .. }),
    |progress| matches!(progress, Progress::Submitted { .. }),
];

async fn killed(mut caller: Child) {
    // It may have ended.
    let _ended = caller.start_kill();
    caller.wait().await.expect("it ended");
}

async fn until_over(rig: &Rig, task: &str) {
    let run = rig.operator.store().find(task).expect("the run");
    until_gone(supervisor(run.path())).await;
}

/// Before it knows of the run.
async fn the_one_who_began_it(rig: &Rig) {
    for (at, moment) in MOMENTS.into_iter().take(size(1, 5)).enumerate() {
        let task = format!("t{at}");
        let mut command = rig.delegation_of(&task, DONE, &["--detach"]);
        let caller = command.spawn().expect("it starts");
        rig.wait_for_event("the moment", |progress| {
            moment(progress) && rig.operator.store().find(&task).is_ok()
        })
        .await;
        killed(caller).await;
        let (waited, code) = call(rig, &["wait", &task, "--json"]).await;
        assert_eq!(code, 0, "{waited}");
        until_over(rig, &task).await;
        assert_eq!(remember(rig, &task).files[0].path, "made");
    }
}

async fn those_who_wait(rig: &Rig) {
    detach(rig, "t", ("[[question]]", &[])).await;
    until_it_waits(rig).await;
    let waiting: [&[&str]; 3] = [
        &["wait", "t", "--json"],
        &["events", "t", "--follow", "--json"],
        &["events", "--follow", "--json"],
    ];
    let callers = waiting.map(|arguments| rig.binary(arguments).spawn().expect("it starts"));
    for caller in callers {
        killed(caller).await;
    }
    let (replied, code) = call(rig, &["reply", "t", "--text", ANSWER, "--json"]).await;
    assert_eq!((code, &replied["taken"]), (0, &true.into()), "{replied}");
    assert_eq!(call(rig, &["wait", "t", "--json"]).await.1, 0);
    until_over(rig, "t").await;
    assert_eq!(remember(rig, "t").turns, 2);
}

/// At any time: it was said whole, or not at all.
async fn those_who_reply(rig: &Rig) {
    for number in 0..size(2, 20) {
        let task = format!("t{number}");
        detach(rig, &task, ("[[question]]", &[])).await;
        let wait = ["wait", task.as_str(), "--or-waiting", "--json"];
        assert_eq!(call(rig, &wait).await.1, 3);
        let reply = ["reply", task.as_str(), "--text", ANSWER, "--json"];
        let caller = rig.binary(&reply).spawn().expect("it starts");
        let pause = Random::of_run(3, number).next() % 40;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        killed(caller).await;
        let (replied, code) = call(rig, &reply).await;
        assert!([0, 2].contains(&code), "{replied}");
        assert_eq!(call(rig, &["wait", &task, "--json"]).await.1, 0);
        until_over(rig, &task).await;
        let outcome = remember(rig, &task);
        assert_eq!((outcome.turns, outcome.replies.len()), (2, 1));
        let inbox = outcome.run_dir.expect("a directory").join("inbox");
        assert_no_half(&inbox);
    }
}

pub(super) fn assert_no_half(inbox: &Path) {
    let names = testkit::world::names(inbox);
    let half: Vec<_> = names.iter().filter(|name| name.contains(".tmp-")).collect();
    assert!(half.is_empty(), "{half:?}");
}
