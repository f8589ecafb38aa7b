//! `continue`: a new run that goes on from an ended one.

use std::process::Output;

use cx_operator::record::{Lock, Outcome, Status};
use testkit::git::git;

use crate::detached::{detach, remember};
use crate::parents::call;
use crate::rig::{Agent, Rig, wait_for};

tests_of! { with_its_session:
    codex_0_169 on Codex(testkit::agents::PINNED);
    requests_0_169 on Requests(testkit::agents::PINNED);
    claude_2_1_332 on Claude(testkit::agents::PINNED_CLAUDE);
    thorough_codex_0_150 on_thoroughly Codex(testkit::agents::OLDER[0]);
    thorough_requests_0_150 on_thoroughly Requests(testkit::agents::OLDER[0]);
    thorough_codex_0_130 on_thoroughly Codex(testkit::agents::OLDER[1]);
    thorough_claude_2_1_197 on_thoroughly Claude(testkit::agents::OLDER_CLAUDE);
}
tests_of! { with_a_summary:
    scripted on Scripted;
    requests_0_169 on Requests(testkit::agents::PINNED);
    exec_0_169 on Exec(testkit::agents::PINNED);
    print_2_1_332 on Print(testkit::agents::PINNED_CLAUDE);
}
tests_of! { with_a_budget_of_its_own:
    codex_0_169 on Codex(testkit::agents::PINNED);
    requests_0_169 on Requests(testkit::agents::PINNED);
    claude_2_1_332 on Claude(testkit::agents::PINNED_CLAUDE);
}
on_scripted!(refused, with_the_configuration, two_at_once);

const FIRST: &str = "Say zebra. [[shell echo one > one; echo 'STATUS: DONE']]";
const SECOND: &str = "And then. [[shell cat one > two; echo 'STATUS: DONE']]";

/// Goes on from the run `t`, or says why not.
async fn go_on(rig: &Rig, arguments: &[&str]) -> (Outcome, i32) {
    let output = run(rig, arguments).await;
    rig.document(&output)
}

async fn run(rig: &Rig, arguments: &[&str]) -> Output {
    let mut command = rig.binary(&["continue", "t", "--prompt", SECOND, "--json"]);
    command.args(arguments).output().await.expect("it runs")
}

/// The text of the last request to the model that has those words.
fn asked(rig: &Rig, words: &str) -> String {
    let requests = rig.model.requests();
    let bodies = requests.iter().rev().map(|request| {
        let body = &request.body;
        body["input"].to_string() + &body["messages"].to_string()
    });
    let mut bodies = bodies.filter(|body| body.contains(words));
    bodies.next().expect("a request with these words")
}

async fn first(rig: &Rig) -> Outcome {
    let output = rig.delegation(FIRST, &[]).output().await.expect("it runs");
    let (outcome, code) = rig.document(&output);
    assert_eq!(code, 0, "{outcome:?}");
    outcome
}

/// Both records tell of it, and the new run starts from the result of the old one.
fn assert_continued(rig: &Rig, (first, second): (&Outcome, &Outcome)) {
    assert_eq!(second.status, Status::Completed, "{second:?}");
    assert_eq!(second.base_commit, first.result_commit);
    let files: Vec<&str> = second.files.iter().map(|file| file.path.as_str()).collect();
    let continues = second.continues.as_ref().expect("it goes on from another");
    // The stand-in for a model does what the first words say, those of a summary.
    if continues.session_id.is_some() {
        assert_eq!(files, ["two"], "{second:?}");
    }
    assert_eq!(continues.run_id, first.run_id);
    let earlier = rig
        .operator
        .outcome(&first.run_id)
        .expect("readable")
        .expect("a record");
    assert_eq!(
        earlier.continued_by.as_slice(),
        std::slice::from_ref(&second.run_id)
    );
    let mut same = earlier.clone();
    same.continued_by.clear();
    // It is told to the very end.
    same.duration_ms = first.duration_ms;
    assert_eq!(same, *first);
    rig.expect_record(earlier);
}

async fn with_its_session(rig: &Rig) {
    let first = first(rig).await;
    let (second, code) = go_on(rig, &[]).await;
    assert_eq!(code, 0, "{second:?}");
    assert_continued(rig, (&first, &second));
    let continues = second.continues.as_ref().expect("it goes on");
    assert_eq!(continues.session_id, first.session_id, "{second:?}");
    assert_eq!(second.turns, 1, "{second:?}");
    let asked = asked(rig, "And then.");
    assert!(asked.contains("Say zebra."), "{asked}");
    assert!(!asked.contains("The task now:"), "{asked}");
    // Nothing of the earlier run is told as this one's.
    let of_ours = rig.journal(&second);
    let told = of_ours
        .iter()
        .map(|entry| serde_json::to_string(entry).expect("JSON"));
    let told: Vec<String> = told.filter(|line| line.contains("> one")).collect();
    assert!(told.is_empty(), "{told:?}");
    // Another one, by a process of its own, with another name.
    let mut again = rig.binary(&["continue", first.run_id.as_str(), "--json", "--detach"]);
    let again = again
        .args(["--prompt", SECOND, "--task", "u"])
        .output()
        .await;
    let again: serde_json::Value =
        serde_json::from_slice(&again.expect("it runs").stdout).expect("a document");
    assert_eq!(again["task"], "u", "{again}");
    let run = again["run_id"].as_str().expect("an id");
    let (waited, code) = call(rig, &["wait", run, "--json"]).await;
    assert_eq!(code, 0, "{waited}");
    let third = remember(rig, run);
    assert_eq!(third.base_commit, first.result_commit);
    let earlier = rig
        .operator
        .outcome(&first.run_id)
        .expect("readable")
        .expect("a record");
    assert_eq!(earlier.continued_by, [second.run_id, third.run_id]);
    rig.expect_record(earlier);
}

async fn with_a_summary(rig: &Rig) {
    let first = first(rig).await;
    let fresh: &[&str] = match rig.agent {
        Agent::Requests(_) | Agent::Scripted => &["--fresh"],
        _ => &[],
    };
    let (second, code) = go_on(rig, fresh).await;
    assert_eq!(code, 0, "{second:?}");
    assert_continued(rig, (&first, &second));
    let continues = second.continues.as_ref().expect("it goes on");
    assert_eq!(continues.session_id, None);
    assert_ne!(second.session_id, first.session_id);
    let prompt = second
        .run_dir
        .as_ref()
        .expect("a directory")
        .join("prompt-1.md");
    let prompt = std::fs::read_to_string(prompt).expect("the prompt");
    for words in ["> Say zebra.", "> one", "The task now:\n\nAnd then."] {
        assert!(prompt.contains(words), "{prompt}");
    }
}

/// What the earlier run used is not this one's.
async fn with_a_budget_of_its_own(rig: &Rig) {
    let step = r#"{"shell":"echo one > one"}"#;
    let brief =
        format!(r#"<<<steps [{step},{step},{step},{step},{{"say":"Done.\n\nSTATUS: DONE"}}]>>>"#);
    let output = rig.delegation(&brief, &[]).output().await.expect("it runs");
    let (first, code) = rig.document(&output);
    assert_eq!(code, 0, "{first:?}");
    let used = |outcome: &Outcome| outcome.usage.expect("the tokens").total_tokens;
    let limit = (used(&first) - 1).to_string();
    let (second, code) = go_on(rig, &["--max-tokens", &limit]).await;
    assert_eq!(code, 0, "{second:?}");
    assert_continued(rig, (&first, &second));
    assert!(
        second
            .continues
            .as_ref()
            .is_some_and(|run| run.session_id.is_some())
    );
    assert!(used(&second) < used(&first), "{second:?}");
}

/// The file has its say where the earlier run has none.
async fn with_the_configuration(rig: &Rig) {
    let first = first(rig).await;
    let dir = rig.path("xdg/cx-operator");
    std::fs::create_dir_all(&dir).expect("a directory");
    let file = "[defaults]\npolicy = \"read-only\"\nmax_tokens = 987654\n[profiles.slow]\nturn_timeout = \"7m\"\n";
    std::fs::write(dir.join("config.toml"), file).expect("a file");
    let with = async |profile: &str| {
        let mut command = rig.binary(&["continue", "t", "--prompt", SECOND, "--json"]);
        command.env("XDG_CONFIG_HOME", rig.path("xdg"));
        let output = command.args(["--fresh", "--profile", profile]).output();
        output.await.expect("it runs")
    };
    let (second, code) = rig.document(&with("slow").await);
    assert_eq!(code, 0, "{second:?}");
    assert_continued(rig, (&first, &second));
    assert_eq!(second.policy, None);
    let record = serde_json::to_value(&second).expect("JSON");
    assert_eq!(record["budget"]["max_tokens"], 987_654, "{record:#}");
    let journal = rig.journal(&second);
    let told = journal
        .iter()
        .map(|entry| serde_json::to_value(entry).expect("JSON"));
    let told: Vec<_> = told
        .filter(|entry| entry["event"] == "configured")
        .collect();
    let given = serde_json::json!({"max_tokens": "987654", "turn_timeout": "7m"});
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["values"], given, "{told:?}");
    let refused = with("nobody").await;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
}

/// What has not ended, and what is not kept any more.
async fn refused(rig: &Rig) {
    let code = |output: &Output| {
        let document: serde_json::Value =
            serde_json::from_slice(&output.stdout).expect("a document");
        let code = document["error"]["code"]
            .as_str()
            .expect("a code")
            .to_owned();
        (code, output.status.code())
    };
    let document = detach(rig, "t", ("[[question]]", &[])).await;
    let id = document["run_id"].as_str().expect("an id").to_owned();
    let output = run(rig, &[]).await;
    assert_eq!(code(&output), ("run_alive".to_owned(), Some(2)));
    let (_, waiting) = call(rig, &["wait", &id, "--or-waiting", "--json"]).await;
    assert_eq!(waiting, 3);
    let reply = ["reply", &id, "--text", FIRST, "--json"];
    assert_eq!(call(rig, &reply).await.1, 0);
    assert_eq!(call(rig, &["wait", &id, "--json"]).await.1, 0);
    let output = run(rig, &["--base", "HEAD"]).await;
    assert_eq!(code(&output), ("usage".to_owned(), Some(2)));
    let outcome = remember(rig, &id);
    let kept = outcome.result_ref.clone().expect("a ref");
    let result = outcome.result_commit.clone().expect("a commit");
    git(&rig.repo(), &["update-ref", "-d", &kept]);
    let output = run(rig, &[]).await;
    git(&rig.repo(), &["update-ref", &kept, &result]);
    assert_eq!(code(&output), ("result_gone".to_owned(), Some(8)));
}

/// Both are in the record of the run that they go on from, which another process has at that moment.
async fn two_at_once(rig: &Rig) {
    let first = first(rig).await;
    let run_dir = first.run_dir.as_ref().expect("a directory");
    let held = Lock::take(&run_dir.join("lock"))
        .expect("a lock")
        .expect("it is free");
    let runs = ["u", "v"].map(|task| {
        let mut command = rig.binary(&["continue", "t", "--prompt", SECOND, "--json"]);
        command
            .args(["--task", task, "--fresh"])
            .spawn()
            .expect("it starts")
    });
    for task in ["u", "v"] {
        wait_for("it has begun", || {
            let run = rig.operator.store().find(task).ok()?;
            run.path().join("task.md").exists().then_some(())
        })
        .await;
    }
    drop(held);
    let mut ids = Vec::new();
    for run in runs {
        let output = run.wait_with_output().await.expect("it ends");
        let (outcome, code) = rig.document(&output);
        assert_eq!(code, 0, "{outcome:?}");
        ids.push(outcome.run_id);
    }
    let earlier = rig.operator.outcome(&first.run_id);
    let earlier = earlier.expect("readable").expect("a record");
    assert_eq!(earlier.continued_by.len(), 2, "{earlier:?}");
    assert!(ids.iter().all(|id| earlier.continued_by.contains(id)));
    rig.expect_record(earlier);
}
