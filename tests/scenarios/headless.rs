//! Headless one-shots: one prompt on stdin, and the program's own events on stdout.

mod hostile;

use std::fs;
use std::time::Duration;

use cx_operator::agent::answer::AnswerSchema;
use cx_operator::agent::conversation::Drive;
use cx_operator::agent::executor::Sandbox;
use cx_operator::agent::report::Item;
use cx_operator::record::journal::Progress;
use cx_operator::record::{Outcome, Status};
use cx_operator::task::policy::{Keep, Permissions};
use cx_operator::worktree::Changes;
use rustix::process::Signal;

use crate::rig::{Agent, Rig, wait_for};

on_headless!(
    recorded,
    refused_by_name,
    stopped_in_time,
    interrupted,
    left_behind
);

on_claude_print!(
    allowed,
    denied,
    denied_by_an_answer,
    asked,
    refused_by_itself
);

on_headless!(in_a_form);

tests_of! { no_credentials: exec_0_169 on Exec(testkit::agents::PINNED); }
tests_of! { refused_without_a_hook: print_2_1_197 on Print(testkit::agents::OLDER_CLAUDE); }

pub(crate) fn code(outcome: &Outcome) -> &str {
    outcome.error.as_ref().map_or("", |error| &error.code)
}

/// The steps are in the journal, the tokens in the record, and no server of tmux was started.
async fn recorded(rig: &Rig) {
    let brief = "[[shell echo new > made; echo 'STATUS: DONE']]";
    let outcome = rig.delegate(rig.task(brief)).await;
    assert_eq!(
        (outcome.status, outcome.drive, outcome.turns),
        (Status::Completed, Some(Drive::Headless), 1),
        "{outcome:?}"
    );
    let usage = outcome.usage.expect("the tokens");
    assert!(
        usage.input_tokens > 0 && usage.output_tokens > 0,
        "{usage:?}"
    );
    assert!(!rig.path("state/tmux.sock").exists());
    let journal = rig.journal(&outcome);
    let command = |entry: &Progress| matches!(entry, Progress::Item { item: Item::Command { command, .. }, .. } if command.contains("echo new"));
    let commands = journal.iter().filter(|entry| command(&entry.progress));
    assert_eq!(commands.count(), 1);
    let witnessed = |entry: &Progress| matches!(entry, Progress::Witnessed { .. });
    assert!(
        journal.iter().any(|entry| witnessed(&entry.progress)),
        "its hook told the same prompt"
    );
}

/// What can't be done is said before anything is made.
async fn refused_by_name(rig: &Rig) {
    let refuse = async |change: fn(&mut cx_operator::task::Task), word: &str| {
        let mut task = rig.task("x");
        change(&mut task);
        let outcome = rig.operator.delegate(task).await;
        let error = outcome.error.as_ref().expect("an error");
        assert_eq!((outcome.status, outcome.exit_code()), (Status::Failed, 2));
        assert!(error.message.contains(word), "{}", error.message);
        assert_eq!(outcome.run_dir, None);
    };
    refuse(|task| task.agent.drive = Drive::Keys, "--drive").await;
    refuse(|task| task.agent.drive = Drive::Requests, "--drive").await;
    refuse(|task| task.keep = Keep::Session, "no session").await;
    if matches!(rig.agent, Agent::Exec(_)) {
        refuse(|task| task.permissions = Permissions::Allow, "no approval").await;
    }
}

/// A deadline passes while a command works: the command ends, and the work is kept.
async fn stopped_in_time(rig: &Rig) {
    let mut task = rig.task("[[shell echo half > made; sleep 60]]");
    task.permissions = allowing(rig);
    task.limits.turn = Duration::from_secs(2);
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, code(&outcome)),
        (Status::TimedOut, "turn_timeout"),
        "{outcome:?}"
    );
    assert_eq!(outcome.files_changed, 1, "{outcome:?}");
}

/// A command of Claude Code's that changes files is asked for.
fn allowing(rig: &Rig) -> Permissions {
    match rig.agent {
        Agent::Print(testkit::agents::PINNED_CLAUDE) => Permissions::Allow,
        _ => Permissions::Ask,
    }
}

/// SIGTERM to the operator ends the program. There is nothing to attach to in the meantime.
async fn interrupted(rig: &Rig) {
    let operator = rig.spawn_delegation("[[sleep 60]]", &[]).await;
    let attached = rig.binary(&["attach", "t"]).output().await;
    let attached = attached.expect("cx-operator runs");
    let said = String::from_utf8_lossy(&attached.stderr).into_owned();
    assert_eq!(attached.status.code(), Some(2), "{said}");
    assert!(said.contains("is headless"), "{said}");
    let pid = operator.id().expect("it runs");
    rig.signal(pid, Signal::TERM);
    let output = operator.wait_with_output().await.expect("its end");
    let (outcome, exit) = rig.document(&output);
    assert_eq!(
        (outcome.status, exit),
        (Status::Aborted, 143),
        "{outcome:?}"
    );
    assert_eq!(outcome.changes, Changes::None);
}

/// What the agent leaves in the background ends with the run.
async fn left_behind(rig: &Rig) {
    let pid = rig.path("pid");
    let command = format!(
        "setsid sleep 600 > /dev/null 2>&1 & echo $! > {}; echo 'STATUS: DONE'",
        pid.display()
    );
    let mut task = rig.task(&format!("[[shell {command}]]"));
    task.permissions = allowing(rig);
    task.agent.sandbox = match rig.agent {
        Agent::Exec(_) => Sandbox::DangerFullAccess,
        _ => Sandbox::WorkspaceWrite,
    };
    let outcome = rig.delegate(task).await;
    if fs::metadata(&pid).is_err() {
        assert_eq!(outcome.status, Status::NeedsPermission, "{outcome:?}");
        return;
    }
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    let pid = fs::read_to_string(pid).expect("a pid");
    wait_for("the end of what was left", || {
        let running = fs::read(format!("/proc/{}/cmdline", pid.trim())).unwrap_or_default();
        running.is_empty().then_some(())
    })
    .await;
}

/// A key for this form alone: no sign-in is needed.
async fn no_credentials(rig: &Rig) {
    fs::remove_file(rig.path("codex/config.toml")).expect("it is there");
    rig.note_the_callers_state();
    let mut task = rig.task("x");
    task.limits.run = Duration::from_secs(5);
    let outcome = rig.operator.delegate(task).await;
    assert_eq!(code(&outcome), "not_signed_in", "{outcome:?}");
}

/// A task whose change needs an approval.
fn asking(rig: &Rig) -> cx_operator::task::Task {
    let patch = "*** Begin Patch\n*** Add File: asked\n+new\n*** End Patch";
    let mut task = rig.task(&format!("[[patch {patch}]]"));
    task.agent.sandbox = Sandbox::ReadOnly;
    task
}

async fn allowed(rig: &Rig) {
    let mut task = asking(rig);
    task.permissions = Permissions::Allow;
    let outcome = rig.delegate(task).await;
    let replies: Vec<_> = outcome.replies.iter().map(|reply| &reply.reply).collect();
    assert_eq!(replies, ["allow"], "{outcome:?}");
    assert_eq!(outcome.turns, 1);
    assert_eq!(outcome.files[0].path, "asked");
}

async fn denied(rig: &Rig) {
    let mut task = asking(rig);
    task.permissions = Permissions::Deny;
    assert_denied(&rig.delegate(task).await, "policy", "ot permitted");
}

/// By its hook, in whose words the model hears why; no text is a reply.
async fn denied_by_an_answer(rig: &Rig) {
    let mut task = asking(rig);
    let deny = "[[permission]]\npattern = \"asked\"\ndecision = \"deny\"\nmessage = \"Not that.\"";
    task.responders = rig.answers(deny);
    assert_denied(&rig.delegate(task).await, "answers", "Not that.");
}

fn assert_denied(outcome: &Outcome, by: &str, words: &str) {
    let replies: Vec<_> = outcome
        .replies
        .iter()
        .map(|reply| reply.by.as_str())
        .collect();
    assert_eq!(replies, [by], "{outcome:?}");
    let said = outcome.last_message.as_deref().unwrap_or_default();
    assert!(said.contains(words), "{said}");
    assert_eq!((outcome.turns, outcome.changes), (1, Changes::None));
}

async fn asked(rig: &Rig) {
    let outcome = rig.delegate(asking(rig)).await;
    assert_pending(&outcome);
    assert_eq!(outcome.changes, Changes::None, "nothing was run");
}

/// A hook of the user's has the program ask, which it can't without a terminal: that is told, whatever the policy.
async fn refused_by_itself(rig: &Rig) {
    for permissions in [Permissions::Ask, Permissions::Allow] {
        let mut task = rig.task(&crate::permissions::brief());
        task.permissions = permissions;
        let outcome = rig.delegate(task).await;
        assert_pending(&outcome);
        assert_eq!(outcome.replies, []);
    }
}

fn assert_pending(outcome: &Outcome) {
    assert_eq!(
        (outcome.status, outcome.exit_code()),
        (Status::NeedsPermission, 3),
        "{outcome:?}"
    );
    let pending = outcome.pending.as_ref().expect("the approval");
    assert!(pending.text.contains("asked"), "{pending:?}");
}

/// A version that asks no hook: what it refused by itself ends the run with the question, and nothing can be allowed.
async fn refused_without_a_hook(rig: &Rig) {
    assert_pending(&rig.delegate(asking(rig)).await);
    let mut task = asking(rig);
    task.permissions = Permissions::Allow;
    let outcome = rig.operator.delegate(task).await;
    assert_eq!((outcome.status, outcome.exit_code()), (Status::Failed, 2));
}

/// The answer is checked against the schema, and is in the record beside the work; one that does not fit ends the run with it.
async fn in_a_form(rig: &Rig) {
    let schema = r#"{"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"],"additionalProperties":false}"#;
    let schema = AnswerSchema::parse(schema.as_bytes()).expect("a schema");
    let answering = |name: &str, answer: &str| {
        // Claude Code has its model give the answer to a tool.
        let prompt = if rig.is_claude() {
            format!(
                r#"<<<steps [{{"call":"StructuredOutput","args":{answer}}},{{"say":"Done."}}]>>>"#
            )
        } else {
            format!("[[say {answer}]]")
        };
        let mut task = rig.task_named(name, &prompt);
        task.agent.output_schema = Some(schema.clone());
        task
    };
    let outcome = rig.delegate(answering("t", r#"{"ok":true}"#)).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    let answer = outcome.answer.as_ref().expect("an answer");
    assert_eq!(*answer, serde_json::json!({"ok": true}));
    let outcome = rig.delegate(answering("u", r#"{"ok":7}"#)).await;
    assert_eq!(
        (outcome.status, code(&outcome), &outcome.answer),
        (Status::AgentFailed, "invalid_answer", &None),
        "{outcome:?}"
    );
}
