//! The conformance suite: what every executor owes to the rooms above `agent`.
//!
//! [`facts`] are properties of its pure functions, over recorded screens, payloads and transcript lines of its own, over those
//! of the others, and over nonsense. The scenarios here are whole delegations with its program, and are the same for all.
//! A new executor adds a subject there, and its program to the macro `on_every_executor`.

mod facts;
mod subjects;

use std::fs;

use cx_operator::agent::conversation::Drive;
use cx_operator::agent::executor::TrustPolicy;
use cx_operator::operator::cleanup::cleanup;
use cx_operator::record::journal::Progress;
use cx_operator::record::{Outcome, Status};
use cx_operator::task::policy::{Keep, Permissions};
use cx_operator::worktree::Changes;
use rustix::process::Signal;

use crate::permissions;
use crate::rig::{Rig, scope, wait_for};

on_every_executor!(
    completed,
    left_alone,
    question,
    question_answered,
    allowed_by_policy,
    denied_by_policy,
    denied_by_an_answer,
    permission_asked,
    failed_turn,
    agent_died,
    signed_out,
    folder_asked,
    kept_session,
    operator_killed,
    long_prompt
);

/// What makes sense without a terminal.
mod headless {
    use super::*;

    on_headless!(
        completed,
        left_alone,
        question,
        failed_turn,
        agent_died,
        signed_out,
        operator_killed,
        long_prompt
    );
}

tests_of! { unknown_dialog: scripted on Plain; }

const WRITE: &str = "[[shell echo new > made; echo 'STATUS: DONE']]";

fn code(outcome: &Outcome) -> Option<&str> {
    outcome.error.as_ref().map(|error| error.code.as_str())
}

/// Work, record, transcript and tidiness of a run in one turn.
async fn completed(rig: &Rig) {
    let outcome = rig.delegate(rig.task(WRITE)).await;
    assert_eq!(
        (outcome.status, outcome.exit_code(), outcome.turns),
        (Status::Completed, 0, 1),
        "{outcome:?}"
    );
    assert_eq!(outcome.executor, rig.agent.executor().name());
    let paths: Vec<_> = outcome
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(paths, ["made"]);
    let clone = rig.apply(&outcome);
    assert_eq!(
        fs::read_to_string(clone.join("made")).expect("the file"),
        "new\n"
    );
    assert!(
        outcome.agent_version.is_some() && outcome.session_id.is_some(),
        "{outcome:?}"
    );
    let dir = outcome.run_dir.as_ref().expect("a record");
    let transcript = fs::read_to_string(dir.join("transcript.jsonl")).expect("the transcript");
    let executor = rig.agent.executor();
    let mut reader = executor.reader();
    assert!(transcript.lines().any(|line| !reader.read(line).is_empty()));
    let untold = |notice: &String| notice.contains("did not report the end of a turn");
    assert!(!outcome.notices.iter().any(untold), "{outcome:?}");
}

/// What the program itself leaves in the worktree is no change.
async fn left_alone(rig: &Rig) {
    let outcome = rig
        .delegate(rig.task("[[say Looked at it. STATUS: DONE]]"))
        .await;
    assert_eq!(outcome.changes, Changes::None, "{outcome:?}");
}

async fn question(rig: &Rig) {
    let outcome = rig.delegate(rig.task("[[question]]")).await;
    assert_eq!(
        (outcome.status, outcome.exit_code(), outcome.turns),
        (Status::NeedsInput, 3, 1),
        "{outcome:?}"
    );
    let pending = outcome.pending.expect("the question");
    assert_eq!(pending.kind, "question");
    assert!(
        pending.text.ends_with("tabs or spaces?"),
        "{}",
        pending.text
    );
}

async fn question_answered(rig: &Rig) {
    let mut task = rig.task("[[question]]");
    let reply = "[[shell echo tabs > made; echo 'STATUS: DONE']]";
    let answers = format!("[[answer]]\npattern = \"tabs\"\nreply = \"{reply}\"");
    task.responders = rig.answers(&answers);
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 2),
        "{outcome:?}"
    );
    assert_eq!(
        (outcome.replies.len(), outcome.replies[0].reply.as_str()),
        (1, reply)
    );
    assert_eq!(outcome.files_changed, 1);
}

fn assert_denied(rig: &Rig, outcome: &Outcome, by: &str) {
    assert_eq!(
        (outcome.replies.len(), outcome.replies[0].by.as_str()),
        (1, by)
    );
    let said = outcome.last_message.as_deref().unwrap_or_default();
    // The reason is said to the turn by requests and by Claude Code, so that the model's last word is about it.
    let is_told = said.contains("ot permitted") || said.contains("Not that.");
    let tells = outcome.drive == Some(Drive::Requests) || rig.is_claude();
    let end = match tells {
        // Told by policy, it is told to say what it needs: that reads as no result.
        true if is_told && !(rig.is_claude() && by == "policy") => Status::Completed,
        _ => Status::NeedsInput,
    };
    assert_eq!((outcome.status, outcome.turns), (end, 1), "{outcome:?}");
    assert_eq!(outcome.changes, Changes::None);
}

async fn allowed_by_policy(rig: &Rig) {
    let mut task = rig.task(&permissions::brief());
    task.permissions = Permissions::Allow;
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 1),
        "{outcome:?}"
    );
    assert_eq!(
        (outcome.replies.len(), outcome.replies[0].reply.as_str()),
        (1, "allow")
    );
    assert_eq!(outcome.files[0].path, "asked");
}

async fn denied_by_policy(rig: &Rig) {
    let mut task = rig.task(&permissions::brief());
    task.permissions = Permissions::Deny;
    task.probe = false;
    assert_denied(rig, &rig.delegate(task).await, "policy");
}

/// By its hook, in whose words the model hears why.
async fn denied_by_an_answer(rig: &Rig) {
    let mut task = rig.task(&permissions::brief());
    let deny = "[[permission]]\npattern = \"touch\"\ndecision = \"deny\"\nmessage = \"Not that.\"";
    task.responders = rig.answers(deny);
    task.probe = false;
    let outcome = rig.delegate(task).await;
    assert_denied(rig, &outcome, "answers");
    let said = outcome.last_message.unwrap_or_default();
    assert!(said.contains("Not that."), "{said}");
}

/// Where no hook decides, the dialog comes up, and the run ends with its question.
async fn permission_asked(rig: &Rig) {
    let outcome = rig.delegate(rig.task(&permissions::brief())).await;
    assert_eq!(
        (outcome.status, outcome.exit_code()),
        (Status::NeedsPermission, 3),
        "{outcome:?}"
    );
    let pending = outcome.pending.as_ref().expect("the approval");
    assert_eq!(pending.kind, "permission");
    assert!(pending.text.contains("touch asked"), "{pending:?}");
    assert_eq!(outcome.changes, Changes::None, "nothing was run");
}

async fn failed_turn(rig: &Rig) {
    let outcome = rig.delegate(rig.task("[[http 429]]")).await;
    assert_eq!(
        (outcome.status, outcome.exit_code(), code(&outcome)),
        (Status::AgentFailed, 5, Some("http_429")),
        "{outcome:?}"
    );
}

async fn agent_died(rig: &Rig) {
    let run = rig.start(rig.task("[[sleep 60]]")).await;
    let dir = rig.operator.store().find("t").expect("the run");
    let run_id = serde_json::from_value(dir.name().into()).expect("an id");
    let pid = rig.agent_pid(&run_id).await;
    rig.signal(pid, Signal::KILL);
    let outcome = rig.outcome(run).await;
    assert_eq!(
        (outcome.status, outcome.exit_code(), code(&outcome)),
        (Status::AgentDied, 5, Some("agent_died")),
        "{outcome:?}"
    );
}

/// Found before anything is created.
async fn signed_out(rig: &Rig) {
    for file in ["codex/config.toml", "plain/account"] {
        fs::remove_file(rig.path(file)).expect("it is there");
    }
    rig.note_the_callers_state();
    let mut delegation = rig.delegation("x", &[]);
    let output = delegation.env_remove("ANTHROPIC_API_KEY").output().await;
    let (outcome, exit) = rig.document(&output.expect("cx-operator runs"));
    assert_eq!(
        (outcome.status, exit, code(&outcome)),
        (Status::Failed, 7, Some("not_signed_in")),
        "{outcome:?}"
    );
    assert_eq!(outcome.run_dir, None);
}

fn assert_blocked(outcome: &Outcome) {
    assert_eq!(
        (
            outcome.status,
            outcome.exit_code(),
            code(outcome),
            outcome.turns
        ),
        (Status::BlockedDialog, 3, Some("blocked_dialog"), 0),
        "{outcome:?}"
    );
    let pending = outcome.pending.as_ref().expect("the screen");
    assert_eq!(pending.kind, "dialog");
}

/// Whether the folder is trusted is left to the caller.
async fn folder_asked(rig: &Rig) {
    let mut task = rig.task("x");
    task.agent.trust = TrustPolicy::Ask;
    let outcome = rig.delegate(task).await;
    if rig.is_by_requests() {
        // No terminal, no question: the folder is left as it is, which is not to trust it.
        assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    } else {
        assert_blocked(&outcome);
    }
}

async fn unknown_dialog(rig: &Rig) {
    let mut task = rig.task("x");
    task.agent.arguments = vec!["--greet".to_owned()];
    assert_blocked(&rig.delegate(task).await);
}

async fn kept_session(rig: &Rig) {
    let mut task = rig.task(WRITE);
    task.keep = Keep::Session;
    let outcome = rig.delegate(task).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    let sessions = rig.tmux(&["list-sessions", "-F", "#{session_name}"]);
    assert_eq!(sessions.trim(), rig.session());
    let pid = rig.agent_pid(&outcome.run_id).await;
    let store = rig.operator.store();
    let run = || store.find(outcome.run_id.as_str()).expect("its record");
    let mut named = scope(rig, false);
    named.kept = Some(run());
    cleanup(store, &named).await.expect("a list");
    assert!(!rig.worktree().exists());
    wait_for("the agent's end", || {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.is_empty().then_some(())
    })
    .await;
    rig.expect_record(run().load_record().expect("readable").expect("written"));
}

/// Another operator follows the turn on, which ends as if nobody had been killed.
async fn operator_killed(rig: &Rig) {
    let go = rig.path("go");
    let brief = format!("[[await {}]] {WRITE}", go.display());
    let mut operator = rig.spawn_delegation(&brief, &[]).await;
    operator.kill().await.expect("it is killed");
    fs::write(&go, "").expect("written");
    let output = rig.binary(&["resume", "t", "--json"]).output().await;
    let (outcome, exit) = rig.document(&output.expect("cx-operator runs"));
    assert_eq!(
        (outcome.status, exit, outcome.turns),
        (Status::Completed, 0, 1),
        "{outcome:?}"
    );
    assert_eq!(outcome.executor, rig.agent.executor().name());
    assert_eq!(outcome.files[0].path, "made");
}

/// The prompt that the program tells of is the one that was given, whatever its composer makes of such a text.
async fn long_prompt(rig: &Rig) {
    for (at, first) in [":quit", "/exit", "!ls", "quit"].into_iter().enumerate() {
        let text = format!(
            "{first}\n{}\n\tü € 𝄞 `$HOME` \\n @README $x",
            "many words ".repeat(300)
        );
        let task = rig.task_named(&format!("t{at}"), &text);
        let outcome = rig.delegate(task).await;
        assert_eq!(
            (outcome.status, outcome.turns),
            (Status::Completed, 1),
            "{outcome:?}"
        );
        let submitted = |entry: &Progress| matches!(entry, Progress::Submitted { .. });
        assert!(
            rig.journal(&outcome)
                .iter()
                .any(|entry| submitted(&entry.progress))
        );
    }
}
