//! What people do in the pane.

use std::sync::Arc;

use async_trait::async_trait;
use cx_operator::task::question::{Answer, Question};
use cx_operator::task::respond::{Context, RespondError, Responder};
use rustix::process::Signal;

use super::*;
use crate::rig::wait_for;

faults! {
    every_terminal_and_claude interrupted: Fault {
        how: "somebody presses Esc in a turn",
        status: Status::Aborted,
        code: Some("interrupted"),
        within: 5,
        says: &["a person stopped the agent", "without --write"],
        provoke: |rig| Box::pin(interrupted(rig)),
    };
    // codex 0.130.0 throws away what was typed before it was ready.
    both_terminals_and_claude typed_before_the_prompt: Fault {
        how: "somebody types while the agent starts: nothing is pasted behind it",
        status: Status::BlockedDialog,
        code: Some("composer_in_use"),
        within: 25,
        says: &["a text that is not ours"],
        provoke: |rig| Box::pin(typed_before_the_prompt(rig)),
    };
    scripted typed_into_the_prompt: Fault {
        how: "somebody types behind our prompt, whose Enter was lost, and presses Enter",
        status: Status::Failed,
        code: Some("prompt_altered"),
        within: 10,
        says: &["another prompt", "attach read-only"],
        provoke: |rig| Box::pin(typed_into_the_prompt(rig)),
    };
    every_terminal_and_claude typed_in_a_turn: Fault {
        how: "somebody submits a text of their own in a turn",
        status: Status::Completed,
        code: None,
        within: 10,
        says: &["Done."],
        provoke: |rig| Box::pin(said_in_a_turn(rig, async |_| "And be quick.".to_owned())),
    };
    every_terminal_and_claude prompt_twice: Fault {
        how: "somebody submits our prompt once more in a turn",
        status: Status::Completed,
        code: None,
        within: 10,
        says: &["Done."],
        provoke: |rig| Box::pin(said_in_a_turn(rig, our_prompt)),
    };
    both_and_claude attached: Fault {
        how: "somebody is attached when the run ends",
        status: Status::Completed,
        code: None,
        within: 5,
        says: &["Done."],
        provoke: |rig| Box::pin(attached(rig, None)),
    };
    both_and_claude attached_and_stopped: Fault {
        how: "… with a client that was stopped",
        status: Status::Completed,
        code: None,
        within: 8,
        says: &["Done."],
        provoke: |rig| Box::pin(attached(rig, Some(Signal::STOP))),
    };
    real new_session: Fault {
        how: "somebody enters `/new` while a question waits for its answer",
        status: Status::Completed,
        code: None,
        within: 15,
        says: &["Done."],
        provoke: |rig| Box::pin(replaced(rig, "/new")),
    };
    every_terminal_and_claude draft_at_a_question: Fault {
        how: "… and leaves a draft of their own in the composer",
        status: Status::BlockedDialog,
        code: Some("composer_in_use"),
        within: 8,
        says: &["a text that is not ours"],
        provoke: |rig| Box::pin(draft_at_a_question(rig)),
    };
    every_terminal_and_claude draft_that_is_deleted: Fault {
        how: "… and deletes it again when the reply is there",
        status: Status::Completed,
        code: None,
        within: 12,
        says: &["Done."],
        provoke: |rig| Box::pin(draft_that_is_deleted(rig)),
    };
    // codex 0.130.0 opens none in a turn.
    newest list_in_a_turn: Fault {
        how: "somebody opens `/model` in a turn and leaves it open",
        status: Status::Completed,
        code: None,
        within: 10,
        says: &["Done."],
        provoke: |rig| Box::pin(list_in_a_turn(rig)),
    };
    newest dialog_at_a_question: Fault {
        how: "… and leaves the dialog that it opens to us",
        status: Status::BlockedDialog,
        code: Some("blocked_dialog"),
        within: 10,
        says: &["a dialog (unknown) is in the way"],
        provoke: |rig| Box::pin(dialog_at_a_question(rig)),
    };
    real cleared_session: Fault {
        how: "somebody enters `/clear` there",
        status: Status::Completed,
        code: None,
        within: 15,
        says: &["Done."],
        provoke: |rig| Box::pin(replaced(rig, "/clear")),
    };
}

async fn interrupted(rig: &Rig) -> Ended {
    let run = submit(rig, rig.task("[[sleep 60]]")).await;
    rig.wait_for_screen("esc to interrupt").await;
    rig.tmux(&["send-keys", "-t", &rig.pane(), "Escape"]);
    end(rig, run).await
}

/// The terminal keeps what is typed until the program reads it.
async fn typed_before_the_prompt(rig: &Rig) -> Ended {
    let mut task = rig.task("x");
    task.limits.startup = Duration::from_secs(10);
    let run = launch(rig, task).await;
    rig.tmux(&["send-keys", "-t", &rig.pane(), "-l", "mine "]);
    end(rig, run).await
}

/// Ours and the three more of the operator's are lost, so that the Enter that counts is the person's.
async fn typed_into_the_prompt(rig: &Rig) -> Ended {
    let run = launch(rig, rig.scripted("strand-enter 4\ndefault")).await;
    wait_for("the lost Enter", || {
        (!rig.log("key").is_empty()).then_some(())
    })
    .await;
    rig.type_text(" and mine").await;
    // An Enter that follows another one closely is a newline of a paste.
    let mut pressed: Option<Instant> = None;
    wait_for("the prompt", || {
        if pressed.is_none_or(|at| at.elapsed() > Duration::from_millis(300)) {
            rig.tmux(&["send-keys", "-t", &rig.pane(), "Enter"]);
            pressed = Some(Instant::now());
        }
        (!rig.log("prompt").is_empty()).then_some(())
    })
    .await;
    end(rig, run).await
}

/// The person's program is theirs, and ends by itself once it may.
async fn attached(rig: &Rig, signal: Option<Signal>) -> Ended {
    let mut client = None;
    let ended = fault_in_a_turn(rig, "", async |_| {
        let child = rig.attach();
        wait_for("the client", || {
            let clients = rig.tmux(&[
                "list-clients",
                "-t",
                &format!("={}", rig.session()),
                "-F",
                "#{client_pid}",
            ]);
            let pid = child.id()?.to_string();
            clients.lines().any(|line| line == pid).then_some(())
        })
        .await;
        if let (Some(signal), Some(pid)) = (signal, child.id()) {
            rig.signal(pid, signal);
        }
        client = Some(child);
    })
    .await;
    let mut client = client.expect("it was attached");
    if let (Some(_), Some(pid)) = (signal, client.id()) {
        rig.signal(pid, Signal::CONT);
    }
    client.wait().await.expect("it ended");
    ended
}

/// The whole prompt, as the agent's own event has it.
async fn our_prompt(rig: &Rig) -> String {
    let run = rig.operator.store().find("t").expect("the run");
    wait_for("the prompt", || {
        let mut entries = fs::read_dir(run.path().join("signals")).ok()?.flatten();
        let entry =
            entries.find(|entry| entry.file_name().to_string_lossy().starts_with("prompt-"))?;
        let payload: serde_json::Value =
            serde_json::from_slice(&fs::read(entry.path()).ok()?).ok()?;
        payload["prompt"].as_str().map(str::to_owned)
    })
    .await
}

/// Somebody attached says something more, which the agent takes into the turn or queues behind it.
async fn said_in_a_turn(rig: &Rig, words: impl AsyncFn(&Rig) -> String) -> Ended {
    let ended = fault_in_a_turn(rig, "", async |_| {
        rig.wait_for_screen("esc to interrupt").await;
        let words = words(rig).await;
        rig.tmux(&["set-buffer", "-b", "person", &words]);
        rig.tmux(&[
            "paste-buffer",
            "-p",
            "-d",
            "-b",
            "person",
            "-t",
            &rig.pane(),
        ]);
        rig.tmux(&["send-keys", "-t", &rig.pane(), "Enter"]);
    })
    .await;
    assert_eq!(ended.outcome.turns, 1, "theirs is no turn of ours");
    ended
}

/// Answers when the word is there.
struct Held(PathBuf);

#[async_trait]
impl Responder for Held {
    fn name(&self) -> &str {
        "test"
    }

    async fn respond(&self, _: &Question, _: &Context) -> Result<Option<Answer>, RespondError> {
        wait_for("the word", || self.0.exists().then_some(())).await;
        Ok(Some(Answer::Text("Spaces.".to_owned())))
    }
}

/// A task whose question waits for its answer until there is the word.
async fn at_a_question(rig: &Rig) -> Run {
    let mut task = rig.task("[[question]]");
    task.responders = vec![Arc::new(Held(word(rig)))];
    at_the_question(rig, task).await
}

async fn at_the_question(rig: &Rig, task: Task) -> Run {
    let mut run = submit(rig, task).await;
    until(&mut run, "the question", |progress| {
        matches!(progress, Progress::TurnEnded { .. })
    })
    .await;
    rig.wait_for_screen("tabs or spaces").await;
    run
}

/// What codex 0.169.0 asks upon `/new`.
const WHERE: &str = "Where should the new conversation run?";

async fn replaced(rig: &Rig, command: &str) -> Ended {
    let run = at_a_question(rig).await;
    rig.type_text(command).await;
    if rig.agent == NEWEST && command == "/new" {
        rig.wait_for_screen(WHERE).await;
        rig.tmux(&["send-keys", "-t", &rig.pane(), "Enter"]);
    }
    wait_for("the new session", || {
        let screen = rig.screen();
        let gone = !screen.contains(command) && !screen.contains(WHERE);
        gone.then_some(())
    })
    .await;
    fs::write(word(rig), "").expect("the word");
    let ended = end(rig, run).await;
    assert_eq!(ended.outcome.turns, 2);
    ended
}

/// What somebody writes and doesn't send.
const DRAFT: &str = "mine alone";

async fn drafted_at_a_question(rig: &Rig) -> Run {
    let mut task = rig.task("[[question]]");
    task.responders = vec![Arc::new(Held(word(rig)))];
    task.limits.submit = Duration::from_secs(4);
    let run = at_the_question(rig, task).await;
    rig.tmux(&["send-keys", "-t", &rig.pane(), "-l", DRAFT]);
    rig.wait_for_screen(DRAFT).await;
    fs::write(word(rig), "").expect("the word");
    run
}

/// Neither pasted upon nor sent.
async fn draft_at_a_question(rig: &Rig) -> Ended {
    let run = drafted_at_a_question(rig).await;
    let ended = end(rig, run).await;
    assert_eq!(ended.outcome.turns, 1);
    let pending = ended.outcome.pending.as_ref().expect("the screen");
    let alone = pending
        .text
        .lines()
        .any(|row| row.trim_end().ends_with(DRAFT));
    assert!(pending.kind == "screen" && alone, "{pending:?}");
    ended
}

async fn draft_that_is_deleted(rig: &Rig) -> Ended {
    let mut run = drafted_at_a_question(rig).await;
    until(&mut run, "the reply", |progress| {
        matches!(progress, Progress::Replied { .. })
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..DRAFT.len() {
        rig.tmux(&["send-keys", "-t", &rig.pane(), "BSpace"]);
    }
    let ended = end(rig, run).await;
    assert_eq!(ended.outcome.turns, 2);
    assert_eq!(rig.submitted_prompt(&ended.outcome, 2), "Spaces.");
    ended
}

/// The agent works on behind it.
async fn list_in_a_turn(rig: &Rig) -> Ended {
    let ended = fault_in_a_turn(rig, "", async |_| {
        rig.wait_for_screen("esc to interrupt").await;
        rig.tmux(&["send-keys", "-t", &rig.pane(), "-l", "/model"]);
        rig.wait_for_screen("/model").await;
        // An Enter that follows closely is a newline of a paste.
        tokio::time::sleep(Duration::from_millis(300)).await;
        rig.tmux(&["send-keys", "-t", &rig.pane(), "Enter"]);
        rig.wait_for_screen("Select Model").await;
        // Longer than a dialog must stand to be believed.
        tokio::time::sleep(Duration::from_secs(1)).await;
    })
    .await;
    assert_eq!(ended.outcome.turns, 1);
    ended
}

/// The answer's Enter would choose from it.
async fn dialog_at_a_question(rig: &Rig) -> Ended {
    let run = at_a_question(rig).await;
    rig.type_text("/new").await;
    rig.wait_for_screen(WHERE).await;
    fs::write(word(rig), "").expect("the word");
    let ended = end(rig, run).await;
    assert_eq!(ended.outcome.turns, 1);
    let pending = ended.outcome.pending.as_ref().expect("the dialog");
    assert!(pending.text.contains(WHERE), "{pending:?}");
    ended
}
