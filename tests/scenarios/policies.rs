//! Policies on real agents: what is denied reaches the model as a "no", what is allowed goes on, and what is asked for goes to
//! whoever is asked without a policy.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cx_operator::policy::NamedPolicy;
use cx_operator::record::journal::Progress;
use cx_operator::record::{Outcome, Status};
use cx_operator::task::Task;
use cx_operator::worktree::Changes;
use cx_operator::{Call, Context, Operator, Policy, PolicyAction, Ruling, Wish};

use crate::rig::{Rig, wait_for};

tests_of! { late_or_broken_code_denies:
    requests_0_169 on Requests(testkit::agents::PINNED);
}
tests_of! { code_is_asked_by_who_resumes:
    requests_0_169 on Requests(testkit::agents::PINNED);
}

/// Makes a test of each scenario on the newest codex, by keys and by requests, and on the newest Claude Code.
macro_rules! on_real {
    ($($name:ident),+ $(,)?) => { $(tests_of! { $name:
        codex_0_169 on Codex(testkit::agents::PINNED);
        requests_0_169 on Requests(testkit::agents::PINNED);
        claude_2_1_332 on Claude(testkit::agents::PINNED_CLAUDE);
    })+ };
}

on_real!(
    denied_when_asked,
    allowed_when_asked,
    allowed_by_code,
    asked_for,
    answered_where_the_policy_asks,
    kept_by_who_resumes
);

/// The same, and on the headless programs.
macro_rules! on_all {
    ($($name:ident),+ $(,)?) => { $(tests_of! { $name:
        codex_0_169 on Codex(testkit::agents::PINNED);
        requests_0_169 on Requests(testkit::agents::PINNED);
        claude_2_1_332 on Claude(testkit::agents::PINNED_CLAUDE);
        exec_0_169 on Exec(testkit::agents::PINNED);
        print_2_1_332 on Print(testkit::agents::PINNED_CLAUDE);
        print_2_1_197 on Print(testkit::agents::OLDER_CLAUDE);
    })+ };
}

on_all!(denied_without_being_asked, decided_by_code);

/// Denies what the scenarios call a release, allows to touch files of the worktree, and asks for all else.
const POLICY: &str = r#"
[[rule]]
name = "release"
action = "deny"
command = ["touch released", "git push"]
message = "Not that. Releases are made by hand."
match = ["touch released", "true && git push"]

[[rule]]
name = "files"
action = "allow"
effect = ["nothing", "write"]
paths = ["inside"]

[[rule]]
name = "words"
action = "allow"
effect = ["nothing"]
"#;

fn task(rig: &Rig, brief: &str) -> Task {
    let file = rig.path("policy.toml");
    fs::write(&file, POLICY).expect("a policy");
    let mut task = rig.task(brief);
    let name = file.to_str().expect("a path");
    task.policy = Some(Arc::new(NamedPolicy::load(name).expect("a policy")));
    task.probe = false;
    task
}

fn decisions(outcome: &Outcome) -> Vec<(PolicyAction, String, String)> {
    let policy = outcome
        .policy
        .as_ref()
        .expect("the policy is in the record");
    assert!(policy.name.ends_with("policy.toml"), "{policy:?}");
    let hash = policy.hash.as_deref().expect("the rules have one");
    assert!(hash.starts_with("sha256:"), "{policy:?}");
    let decisions = policy.decisions.iter();
    decisions
        .map(|decision| {
            (
                decision.action,
                decision.rule.clone(),
                decision.command.clone(),
            )
        })
        .collect()
}

fn journalled(rig: &Rig, outcome: &Outcome) -> Vec<(PolicyAction, String)> {
    let entries = rig.journal(outcome).into_iter();
    entries
        .filter_map(|entry| match entry.progress {
            Progress::Decided { action, rule, .. } => Some((action, rule)),
            _ => None,
        })
        .collect()
}

/// The model got the rule's word as the result of its call.
fn assert_told(outcome: &Outcome) {
    let dir = outcome.run_dir.as_ref().expect("the run came to be");
    let transcript = fs::read_to_string(dir.join("transcript.jsonl")).expect("a transcript");
    let is_told = transcript.contains("Not that. Releases are made by hand.");
    assert!(is_told, "the model was not told: {outcome:?}");
}

/// The agent's own sandbox or mode would have let it through.
async fn denied_without_being_asked(rig: &Rig) {
    let outcome = rig.delegate(task(rig, "[[shell touch released]]")).await;
    assert_eq!(
        outcome.changes,
        Changes::None,
        "nothing was run: {outcome:?}"
    );
    assert_told(&outcome);
    assert_ne!(outcome.status, Status::NeedsPermission, "{outcome:?}");
    let denied = (
        PolicyAction::Deny,
        "release".to_owned(),
        "touch released".to_owned(),
    );
    assert_eq!(decisions(&outcome), [denied]);
    assert_eq!(
        journalled(rig, &outcome),
        [(PolicyAction::Deny, "release".to_owned())]
    );
}

async fn denied_when_asked(rig: &Rig) {
    let outcome = rig
        .delegate(task(rig, "[[shell bash -c 'touch released']] [[escalate]]"))
        .await;
    assert_eq!(
        outcome.changes,
        Changes::None,
        "nothing was run: {outcome:?}"
    );
    assert_eq!(outcome.turns, 1, "{outcome:?}");
    assert_told(&outcome);
    assert_ne!(
        outcome.status,
        Status::NeedsPermission,
        "nobody else was asked"
    );
    let decisions = decisions(&outcome);
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    assert_eq!(
        (decisions[0].0, decisions[0].1.as_str()),
        (PolicyAction::Deny, "release")
    );
}

async fn allowed_when_asked(rig: &Rig) {
    let brief = "[[shell touch asked && echo 'STATUS: DONE']] [[escalate]]";
    let outcome = rig.delegate(task(rig, brief)).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 1),
        "{outcome:?}"
    );
    assert_eq!(outcome.changes, Changes::Uncommitted);
    let allowed = decisions(&outcome);
    assert!(
        allowed
            .iter()
            .all(|(action, ..)| *action == PolicyAction::Allow),
        "{allowed:?}"
    );
    assert_eq!(allowed.len(), 1, "{allowed:?}");
}

async fn asked_for(rig: &Rig) {
    let brief = "[[shell curl https://example.com]] [[escalate]]";
    let outcome = rig.delegate(task(rig, brief)).await;
    assert_eq!(outcome.status, Status::NeedsPermission, "{outcome:?}");
    let pending = outcome.pending.as_ref().expect("the approval");
    assert_eq!(pending.text, "curl https://example.com");
    let asked = (
        PolicyAction::Ask,
        "default".to_owned(),
        pending.text.clone(),
    );
    assert_eq!(decisions(&outcome), [asked]);
}

/// Policy, then the answers file.
async fn answered_where_the_policy_asks(rig: &Rig) {
    let command = "touch \"$(echo asked)\" && echo 'STATUS: DONE'";
    let mut task = task(rig, &format!("[[shell {command}]] [[escalate]]"));
    task.responders = rig.answers("[[permission]]\npattern = \"touch .*\"\ndecision = \"allow\"");
    let outcome = rig.delegate(task).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    let [reply] = outcome.replies.as_slice() else {
        panic!("one reply: {outcome:?}");
    };
    assert_eq!(
        (reply.by.as_str(), reply.reply.as_str()),
        ("answers", "allow")
    );
    let decisions = decisions(&outcome);
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    assert_eq!(decisions[0].0, PolicyAction::Ask);
}

/// The operator is killed while the agent works; the policy still holds, and is in the record of whoever goes on.
async fn kept_by_who_resumes(rig: &Rig) {
    let file = rig.path("policy.toml");
    fs::write(&file, POLICY).expect("a policy");
    let brief = "[[sleep 3]] [[shell touch released]]";
    let mut child = rig
        .spawn_delegation(
            brief,
            &["--no-probe", "--policy", file.to_str().expect("a path")],
        )
        .await;
    let submitted = |progress: &Progress| matches!(progress, Progress::Submitted { .. });
    rig.wait_for_event("the prompt is submitted", submitted)
        .await;
    child.kill().await.expect("killed");
    // What it says now counts for nothing: the order has it.
    fs::write(&file, "").expect("a policy");
    let mut resume = rig.binary(&["resume", "t", "--json"]);
    let output = resume.output().await.expect("it runs");
    let (outcome, _) = rig.document(&output);
    assert_eq!(outcome.changes, Changes::None, "{outcome:?}");
    let denied = (
        PolicyAction::Deny,
        "release".to_owned(),
        "touch released".to_owned(),
    );
    assert_eq!(decisions(&outcome), [denied]);
}

/// A policy that is code of the operator's program.
#[derive(Default)]
struct Code {
    calls: Mutex<Vec<(Call, Context)>>,
}

#[async_trait]
impl Policy for Code {
    fn name(&self) -> &str {
        "code"
    }

    async fn judge(&self, call: &Call, context: &Context) -> Ruling {
        let noted = (call.clone(), context.clone());
        self.calls.lock().expect("not poisoned").push(noted);
        // The hook waits meanwhile.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        match &call.request.wish {
            Wish::Shell(script) if script.contains("touch released") => {
                Ruling::deny("release", "Not that. Releases are made by hand.")
            }
            _ => Ruling::allow("rest"),
        }
    }
}

fn judged_by_code(rig: &Rig, brief: &str) -> (Task, Arc<Code>) {
    let code = Arc::new(Code::default());
    let mut task = rig.task(brief);
    task.policy = Some(Arc::clone(&code) as Arc<dyn Policy>);
    task.probe = false;
    (task, code)
}

fn decided(outcome: &Outcome) -> Vec<(PolicyAction, &str)> {
    let policy = outcome
        .policy
        .as_ref()
        .expect("the policy is in the record");
    assert_eq!((policy.name.as_str(), &policy.hash), ("code", &None));
    let decisions = policy.decisions.iter();
    decisions
        .map(|decision| (decision.action, decision.rule.as_str()))
        .collect()
}

/// The agent waits for the operator's code, though it would have asked nobody.
async fn decided_by_code(rig: &Rig) {
    let (task, code) = judged_by_code(rig, "[[shell touch released]]");
    let outcome = rig.delegate(task).await;
    assert_eq!(outcome.changes, Changes::None, "{outcome:?}");
    assert_told(&outcome);
    assert_eq!(decided(&outcome), [(PolicyAction::Deny, "release")]);
    let journalled = journalled(rig, &outcome);
    assert_eq!(journalled, [(PolicyAction::Deny, "release".to_owned())]);
    let calls = code.calls.lock().expect("not poisoned");
    let (call, context) = &calls[0];
    assert_eq!(call.request.wish, Wish::Shell("touch released".to_owned()));
    assert_eq!(context.worktree, rig.worktree());
    assert!(!call.asked && context.home.is_some(), "{call:?}");
}

/// What the agent asks leave for, the operator's code gives.
async fn allowed_by_code(rig: &Rig) {
    let brief = "[[shell touch asked && echo 'STATUS: DONE']] [[escalate]]";
    let (task, code) = judged_by_code(rig, brief);
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 1),
        "{outcome:?}"
    );
    assert_eq!(outcome.changes, Changes::Uncommitted);
    assert_eq!(decided(&outcome), [(PolicyAction::Allow, "rest")]);
    let calls = code.calls.lock().expect("not poisoned");
    assert!(calls.iter().any(|(call, _)| call.asked), "{calls:?}");
}

/// A policy that never says anything, or breaks.
struct Broken {
    panics: bool,
}

#[async_trait]
impl Policy for Broken {
    fn name(&self) -> &str {
        "broken"
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn judge(&self, _call: &Call, _context: &Context) -> Ruling {
        assert!(!self.panics, "it is broken");
        std::future::pending().await
    }
}

async fn late_or_broken_code_denies(rig: &Rig) {
    for panics in [false, true] {
        let mut task = rig.task("[[shell touch released]]");
        task.policy = Some(Arc::new(Broken { panics }));
        task.probe = false;
        let outcome = rig.delegate(task).await;
        assert_eq!(outcome.changes, Changes::None, "{outcome:?}");
        let policy = outcome.policy.expect("the policy is in the record");
        let [decision] = policy.decisions.as_slice() else {
            panic!("one decision: {policy:?}");
        };
        assert_eq!(decision.action, PolicyAction::Deny);
        let wanted = if panics { "failed" } else { "no word in time" };
        let message = decision.message.as_deref().expect("a message");
        assert!(message.contains(wanted), "{message}");
    }
}

/// The operator is gone while a hook waits for its code. Whoever takes the run over with that code is asked; without it nothing may be done.
async fn code_is_asked_by_who_resumes(rig: &Rig) {
    for again in [true, false] {
        let (task, code) = judged_by_code(rig, "[[shell touch released]]");
        let other = Operator::builder().state_directory(rig.state());
        let other = other.build().expect("an operator");
        // Nothing that runs in it goes on once it is shut down, as in a process that is killed.
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let run = {
            let _in_it = runtime.enter();
            other.start(task)
        };
        let id = run.id().clone();
        wait_for("the code is asked", || {
            let calls = code.calls.lock().expect("not poisoned");
            (!calls.is_empty()).then_some(())
        })
        .await;
        runtime.shutdown_background();
        drop((run, other));
        wait_for("the operator is gone", || {
            let alive = rig.operator.is_alive(&id).expect("found");
            (!alive).then_some(())
        })
        .await;
        let rules = again.then(|| Arc::clone(&code) as Arc<dyn Policy>);
        let run = rig.operator.resume(&id, None, rules).expect("taken over");
        let outcome = rig.outcome(run).await;
        assert_eq!(outcome.changes, Changes::None, "{outcome:?}");
        let rule = if again { "release" } else { "default" };
        assert_eq!(decided(&outcome), [(PolicyAction::Deny, rule)]);
        let calls = code.calls.lock().expect("not poisoned").len();
        assert_eq!(calls, if again { 2 } else { 1 });
    }
}
