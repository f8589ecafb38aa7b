//! Many detached runs at once, with replies, messages and aborts from many processes: none is lost, doubled, or another run's.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cx_operator::record::{Outcome, Status};
use testkit::random::Random;

use super::{detach, remember};
use crate::parents::call;
use crate::rig::{Agent, Rig, on_for};

tests_of! { a_few_runs:
    scripted on Scripted;
}

async fn a_few_runs(rig: &Rig) {
    play(rig, 4).await;
}

#[test]
#[ignore = "takes minutes"]
fn fifty_runs() {
    on_for(Duration::from_secs(1_200), Agent::Scripted, async |rig| {
        assert!(play(rig, 50).await >= 500);
    });
}

/// What was said to a run.
#[derive(Debug, Default)]
struct Said {
    /// In the order in which they were taken.
    replies: Vec<String>,
    /// Those that came second.
    refused: Vec<String>,
    messages: Vec<String>,
    is_aborted: bool,
    calls: usize,
}

/// Plays so many runs at once; returns how often they were spoken to.
async fn play(rig: &Rig, runs: usize) -> usize {
    let plays = (0..runs).map(|number| async move {
        let name = format!("r{number}");
        // Many start at once.
        let patient = ["--startup-timeout", "300s"];
        let document = detach(rig, &name, ("[[question]]", &patient)).await;
        let run = document["run_id"].as_str().expect("an id").to_owned();
        let said = talk(rig, &run, Random::of_run(11, number)).await;
        (run, said)
    });
    let said = futures_util::future::join_all(plays).await;
    for (run, said) in &said {
        assert_told(&remember(rig, run), said);
    }
    said.iter().map(|(_, said)| said.calls).sum()
}

/// Speaks to a run until it has ended.
async fn talk(rig: &Rig, run: &str, mut random: Random) -> Said {
    let mut said = Said::default();
    loop {
        let (waited, _) = call(rig, &["wait", run, "--or-waiting", "--json"]).await;
        let status = &waited["runs"][0];
        if status["status"] != "waiting" {
            return said;
        }
        let id = status["question"]["id"].as_str().expect("an id").to_owned();
        said.calls += 2;
        let stale = ["reply", run, "--to", "9-9", "--text", "stale", "--json"];
        assert_eq!(call(rig, &stale).await.1, 2);
        let count = said.replies.len();
        if count > 2 && random.next().is_multiple_of(8) {
            let abort = ["abort", run, "--reason", "at random", "--json"];
            assert_eq!(call(rig, &abort).await.1, 0);
            said.is_aborted = true;
            continue;
        }
        reply(rig, (run, &id), (&mut said, count == 4)).await;
        if random.next().is_multiple_of(3) {
            let text = format!("message {count} to {run} [[question]]");
            let send = ["send", run, "--text", &text, "--json"];
            let (sent, code) = call(rig, &send).await;
            said.calls += 1;
            match code {
                0 => {
                    assert_eq!(sent["taken"], true, "{sent}");
                    said.messages.push(text);
                }
                // It asks again, or has ended.
                _ => assert_eq!(code, 2, "{sent}"),
            }
        }
    }
}

/// Two processes answer the same question at once.
async fn reply(rig: &Rig, (run, id): (&str, &str), (said, is_last): (&mut Said, bool)) {
    let count = said.replies.len();
    let end = if is_last {
        "[[say STATUS: DONE]]"
    } else {
        "[[question]]"
    };
    let texts = ["one", "two"].map(|who| format!("{who}, reply {count} to {run} {end}"));
    let replies = texts.each_ref().map(|text| async move {
        let reply = ["reply", run, "--to", id, "--text", text, "--json"];
        call(rig, &reply).await.1
    });
    said.calls += 2;
    let codes = futures_util::future::join_all(replies).await;
    let taken: Vec<usize> = (0..2).filter(|at| codes[*at] == 0).collect();
    let [taken] = taken[..] else {
        panic!("one reply is taken: {codes:?}")
    };
    assert_eq!(codes[1 - taken], 2);
    said.replies.push(texts[taken].clone());
    said.refused.push(texts[1 - taken].clone());
}

/// The record and the prompts have all that was said to the run, once, and nothing else.
fn assert_told(outcome: &Outcome, said: &Said) {
    let run_dir = outcome.run_dir.as_deref().expect("a directory");
    let prompts = prompts(run_dir);
    let all = prompts.join("\n");
    let times = |text: &String| all.matches(text.as_str()).count();
    for text in &said.replies {
        assert_eq!(times(text), 1, "{text}: {prompts:?}");
    }
    for text in &said.refused {
        assert_eq!(times(text), 0, "{text}: {prompts:?}");
    }
    for text in &said.messages {
        let untold = outcome
            .notices
            .iter()
            .filter(|notice| notice.contains(text));
        assert_eq!(times(text) + untold.count(), 1, "{text}: {outcome:?}");
    }
    let to_us = format!("to {}", outcome.run_id);
    let of_all = all.matches(" to 20").count();
    assert_eq!(
        of_all,
        all.matches(&to_us).count(),
        "a word to another run: {all}"
    );
    let replies: Vec<&String> = outcome.replies.iter().map(|reply| &reply.reply).collect();
    let wanted = said.replies.iter().filter(|text| replies.contains(text));
    assert_eq!(wanted.count(), said.replies.len(), "{replies:?}");
    if said.is_aborted {
        assert_eq!(outcome.status, Status::Aborted, "{outcome:?}");
    }
}

fn prompts(run_dir: &Path) -> Vec<String> {
    let load = |turn: u32| fs::read_to_string(run_dir.join(format!("prompt-{turn}.md"))).ok();
    (1..=8).map_while(load).collect()
}
