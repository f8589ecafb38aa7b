//! The connection to the agent's server is cut while the server runs, by a proxy between the two: the turn goes on, and no prompt
//! is sent twice.

mod proxy;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cx_operator::agent::conversation::Drive;
use cx_operator::record::{Outcome, Status};
use cx_operator::task::Task;
use cx_operator::task::policy::Permissions;
use rustix::process::Signal;
use serde_json::json;

use crate::rig::{Rig, wait_for};
use proxy::{Cut, Proxy};

tests_of! { cut_in_mid_turn:
    requests_0_169 on Requests(testkit::agents::PINNED);
    thorough_requests_0_150 on_thoroughly Requests(testkit::agents::OLDER[0]);
}
tests_of! { cut_too_often:
    requests_0_169 on Requests(testkit::agents::PINNED);
}
tests_of! { cut_around_a_prompt:
    requests_0_169 on Requests(testkit::agents::PINNED);
    thorough_requests_0_150 on_thoroughly Requests(testkit::agents::OLDER[0]);
}
tests_of! { cut_around_an_approval:
    requests_0_169 on Requests(testkit::agents::PINNED);
    thorough_requests_0_150 on_thoroughly Requests(testkit::agents::OLDER[0]);
}
tests_of! { cut_around_a_form:
    requests_0_169 on Requests(testkit::agents::PINNED);
    thorough_requests_0_150 on_thoroughly Requests(testkit::agents::OLDER[0]);
}
tests_of! { cut_at_the_end:
    requests_0_169 on Requests(testkit::agents::PINNED);
    thorough_requests_0_150 on_thoroughly Requests(testkit::agents::OLDER[0]);
}
tests_of! { cut_while_it_is_made_again:
    requests_0_169 on Requests(testkit::agents::PINNED);
}
tests_of! { a_server_that_dies_slowly:
    requests_0_169 on Requests(testkit::agents::PINNED);
}
tests_of! { a_server_that_never_stops_talking:
    requests_0_169 on Requests(testkit::agents::PINNED);
}
tests_of! { a_server_that_never_answers:
    requests_0_169 on Requests(testkit::agents::PINNED);
}

/// A task whose agent's server is behind the proxy.
fn behind(rig: &Rig, proxy: &Proxy, brief: &str) -> Task {
    let mut task = rig.task(brief);
    task.agent.program = Some(proxy.program().to_owned());
    task
}

fn assert_completed(outcome: &Outcome, what: &str) {
    assert_eq!(
        (outcome.status, outcome.drive, outcome.turns),
        (Status::Completed, Some(Drive::Requests), 1),
        "{what}: {outcome:#?}"
    );
}

/// How often the session has a prompt with these words.
fn prompts(outcome: &Outcome, words: &str) -> usize {
    let dir = outcome.run_dir.as_ref().expect("the run came to be");
    let told = fs::read_to_string(dir.join("transcript.jsonl")).expect("the transcript");
    let told = told.lines().filter(|line| {
        let line: serde_json::Value = serde_json::from_str(line).expect("a JSON line");
        line["payload"]["role"] == "user" && line.to_string().contains(words)
    });
    told.count()
}

fn reconnections(outcome: &Outcome) -> usize {
    let notices = outcome.notices.iter();
    let made_again = notices.filter(|notice| notice.contains("made again"));
    made_again.count()
}

async fn cut_in_mid_turn(rig: &Rig) {
    let proxy = Proxy::start(rig);
    let gate = rig.path("gate");
    let brief = format!(
        "[[await {}]] [[shell touch made]] [[say Done, in words.]]",
        gate.display()
    );
    let run = rig.start(behind(rig, &proxy, &brief)).await;
    for cuts in 1..=3 {
        proxy.cut();
        wait_for("the next connection", || {
            (proxy.connections() > cuts).then_some(())
        })
        .await;
        proxy.wait_for_answer("thread/resume").await;
    }
    fs::write(&gate, "").expect("the gate");
    let outcome = rig.outcome(run).await;
    assert_completed(&outcome, "three cuts");
    assert_eq!(outcome.files.len(), 1, "{outcome:?}");
    assert_eq!(
        (prompts(&outcome, "in words"), reconnections(&outcome)),
        (1, 3)
    );
}

async fn cut_too_often(rig: &Rig) {
    let proxy = Proxy::start(rig);
    let gate = rig.path("gate");
    let brief = format!("[[await {}]] Say hello.", gate.display());
    let run = rig.start(behind(rig, &proxy, &brief)).await;
    fs::write(rig.worktree().join("new"), "x").expect("the worktree");
    for cuts in 1..=4 {
        proxy.cut();
        if cuts < 4 {
            wait_for("the next connection", || {
                (proxy.connections() > cuts).then_some(())
            })
            .await;
            proxy.wait_for_answer("thread/resume").await;
        }
    }
    let outcome = rig.outcome(run).await;
    let error = outcome.error.as_ref().expect("it says why");
    assert_eq!(
        (error.code.as_str(), outcome.turns, outcome.files.len()),
        ("connection_lost", 1, 1),
        "{outcome:?}"
    );
    assert!(error.message.contains("too often"), "{}", error.message);
}

/// The request gets lost, or its answer, or the first that is told of the turn.
async fn cut_around_a_prompt(rig: &Rig) {
    for cut in [
        Cut::Before("turn/start"),
        Cut::Behind("turn/start"),
        Cut::Answer("turn/start"),
        Cut::Untold("turn/started"),
        Cut::Untold("item/completed"),
    ] {
        let proxy = Proxy::start(rig);
        proxy.cut_at(cut);
        let task = behind(rig, &proxy, "[[shell touch made]] [[say Done, in words.]]");
        let outcome = rig.delegate(task).await;
        assert_completed(&outcome, &format!("{cut:?}"));
        assert_eq!(prompts(&outcome, "in words"), 1, "{cut:?}: {outcome:#?}");
        assert_eq!(reconnections(&outcome), 1, "{cut:?}: {outcome:#?}");
    }
}

/// The question gets lost, or its answer: it is asked again, and the command runs once.
async fn cut_around_an_approval(rig: &Rig) {
    const ASKED: &str = "item/commandExecution/requestApproval";
    for cut in [
        Cut::Untold(ASKED),
        Cut::After(ASKED),
        Cut::Reply,
        Cut::Untold("serverRequest/resolved"),
    ] {
        for by_policy in [true, false] {
            let proxy = Proxy::start(rig);
            proxy.cut_at(cut);
            let brief = "[[shell echo x >> asked && echo 'STATUS: DONE']] [[escalate]]";
            let mut task = behind(rig, &proxy, brief);
            if by_policy {
                task.permissions = Permissions::Allow;
            } else {
                let slow = "cat >/dev/null; sleep 0.5; echo '{\"decision\":\"allow\"}'".to_owned();
                let slow = cx_operator::task::respond::Command::new(slow, Duration::from_secs(20));
                task.responders = vec![Arc::new(slow)];
            }
            let outcome = rig.delegate(task).await;
            let what = format!("{cut:?}, by policy: {by_policy}");
            assert_completed(&outcome, &what);
            let snapshot = outcome.result_commit.as_deref().expect("a snapshot");
            let text = testkit::git::git(&rig.repo(), &["show", &format!("{snapshot}:asked")]);
            assert_eq!(text, "x", "{what}");
            let replies = outcome.replies.iter().map(|reply| reply.reply.as_str());
            assert_eq!(
                replies.collect::<Vec<_>>(),
                ["allow"],
                "{what}: {outcome:#?}"
            );
        }
    }
}

/// The same of a form.
async fn cut_around_a_form(rig: &Rig) {
    const ASKED: &str = "item/tool/requestUserInput";
    rig.configure("\n[features]\ndefault_mode_request_user_input = true\n");
    let options =
        json!([{"label": "Tabs", "description": "a"}, {"label": "Spaces", "description": "b"}]);
    let questions =
        json!([{"id": "i", "header": "Indent", "question": "Tabs or spaces?", "options": options}]);
    let steps = json!([
        {"call": "request_user_input", "args": {"questions": questions}},
        {"shell": "echo x >> new"},
        {"say": "Done. I wrote it as you said."}
    ]);
    for cut in [
        Cut::Untold(ASKED),
        Cut::After(ASKED),
        Cut::Reply,
        Cut::Untold("serverRequest/resolved"),
    ] {
        let proxy = Proxy::start(rig);
        proxy.cut_at(cut);
        let mut task = behind(rig, &proxy, &format!("<<<steps {steps}>>>"));
        let count = rig.path("count");
        let slow = format!(
            "cat >/dev/null; echo >> '{}'; sleep 0.5; echo '{{\"reply\":\"Spaces\"}}'",
            count.display()
        );
        let slow = cx_operator::task::respond::Command::new(slow, Duration::from_secs(20));
        task.responders = vec![Arc::new(slow)];
        let outcome = rig.delegate(task).await;
        assert_completed(&outcome, &format!("{cut:?}"));
        assert_eq!(
            (outcome.replies.len(), outcome.files.len()),
            (1, 1),
            "{cut:?}: {outcome:#?}"
        );
        let asked = fs::read_to_string(&count).expect("it was asked");
        assert_eq!(asked, "\n", "{cut:?}: it was asked once");
        fs::remove_file(count).expect("it is there");
    }
}

/// The last message gets lost, or the end itself.
async fn cut_at_the_end(rig: &Rig) {
    for cut in [Cut::Untold("turn/completed"), Cut::After("item/completed")] {
        let proxy = Proxy::start(rig);
        proxy.cut_at(cut);
        let outcome = rig
            .delegate(behind(rig, &proxy, "[[say Done, in words.]]"))
            .await;
        assert_completed(&outcome, &format!("{cut:?}"));
        let message = outcome.last_message.as_deref();
        assert_eq!(message, Some("Done, in words."), "{cut:?}");
        assert_eq!(prompts(&outcome, "in words"), 1, "{cut:?}");
    }
}

/// An attempt to make the connection again that fails is not the last one.
async fn cut_while_it_is_made_again(rig: &Rig) {
    let proxy = Proxy::start(rig);
    let gate = rig.path("gate");
    let brief = format!("[[await {}]] [[say Done, in words.]]", gate.display());
    let run = rig.start(behind(rig, &proxy, &brief)).await;
    proxy.cut_at(Cut::Before("thread/resume"));
    proxy.cut_at(Cut::Answer("thread/resume"));
    proxy.cut();
    wait_for("the third attempt", || {
        (proxy.connections() > 3).then_some(())
    })
    .await;
    fs::write(&gate, "").expect("the gate");
    let outcome = rig.outcome(run).await;
    assert_completed(&outcome, "two failed attempts");
    assert_eq!(prompts(&outcome, "in words"), 1);
}

/// It listens no more, but writes its core yet: its end is not waited out as a connection that is slow to be made.
async fn a_server_that_dies_slowly(rig: &Rig) {
    let proxy = Proxy::start(rig);
    let gate = rig.path("gate");
    let brief = format!("[[await {}]] Say hello.", gate.display());
    let run = rig.start(behind(rig, &proxy, &brief)).await;
    let runs = rig.operator.store().load_runs().expect("a list");
    let newest = runs.last().expect("a run");
    fs::remove_file(newest.path().join("agent.sock")).expect("the server's socket");
    proxy.cut();
    let pid = rig.agent_pid(&newest.id()).await;
    // Long enough for the connection to be tried again; where it is not, nothing is shown.
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.signal(pid, Signal::ABORT);
    let killed = Instant::now();
    let outcome = rig.outcome(run).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::AgentDied, 1),
        "{outcome:?}"
    );
    // A connection may take ten seconds.
    assert!(killed.elapsed() < Duration::from_secs(8), "{outcome:?}");
}

/// Its words keep no deadline from passing.
async fn a_server_that_never_stops_talking(rig: &Rig) {
    let proxy = Proxy::start(rig);
    let mut task = behind(rig, &proxy, "[[sleep 60]]");
    task.limits.turn = Duration::from_secs(3);
    let run = rig.start(task).await;
    proxy.babble();
    let outcome = rig.outcome(run).await;
    let error = outcome.error.as_ref().expect("it says why");
    assert_eq!(
        (outcome.status, error.code.as_str()),
        (Status::TimedOut, "turn_timeout"),
        "{outcome:?}"
    );
    assert!(outcome.duration_ms < 20_000, "{outcome:?}");
}

/// It takes the connection and says nothing: keys do.
async fn a_server_that_never_answers(rig: &Rig) {
    let proxy = Proxy::start(rig);
    proxy.say_nothing();
    let mut task = behind(rig, &proxy, "[[shell touch made]]");
    task.limits.startup = Duration::from_secs(5);
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.drive, outcome.files.len()),
        (Status::Completed, Some(Drive::Keys), 1),
        "{outcome:?}"
    );
    let told = |notice: &String| notice.contains("did not answer within 5s");
    assert!(outcome.notices.iter().any(told), "{:?}", outcome.notices);
}
