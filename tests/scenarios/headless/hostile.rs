//! Streams that no program should print, by a program that prints what it is told to.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use cx_operator::record::{Outcome, Status};
use testkit::built;

use super::code;
use crate::rig::Rig;

tests_of! { without_an_end: scripted on Exec(testkit::agents::PINNED); }
tests_of! { of_nonsense: scripted on Exec(testkit::agents::PINNED); }
tests_of! { killed: scripted on Exec(testkit::agents::PINNED); }
tests_of! { of_no_events: scripted on Exec(testkit::agents::PINNED); }
tests_of! { of_another_session: scripted on Exec(testkit::agents::PINNED); }

const BEGIN: &str = r#"printf '%s\n' '{"type":"thread.started","thread_id":"0199a213-81c0-7800-8aa1-bbab2a035a53"}'
printf '%s\n' '{"type":"turn.started"}'"#;
const END: &str = r#"printf '%s\n' '{"type":"item.completed","item":{"id":"item_9","type":"agent_message","text":"I fixed it.\nSTATUS: DONE"}}'
printf '%s\n' '{"type":"turn.completed","usage":{"input_tokens":7,"cached_input_tokens":0,"output_tokens":2}}'"#;

/// Runs a program that does this in the place of `codex exec`.
async fn play(rig: &Rig, script: &str) -> Outcome {
    let program = rig.path("player");
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = exec ] || exec {} \"$@\"\ncat > prompt-seen\n{script}\n",
        built::scripted_agent().display()
    );
    fs::write(&program, text).expect("the program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    let mut task = rig.task("Do it.");
    task.agent.program = Some(program);
    rig.delegate(task).await
}

fn assert_kept(outcome: &Outcome) {
    let paths: Vec<_> = outcome.files.iter().map(|file| &file.path).collect();
    assert_eq!(paths, ["prompt-seen"], "{outcome:?}");
}

/// It ends in the middle of a line.
async fn without_an_end(rig: &Rig) {
    let outcome = play(
        rig,
        &format!("{BEGIN}\nprintf '{{\"type\":\"turn.comp'\necho why >&2; exit 3"),
    )
    .await;
    assert_eq!(
        (outcome.status, code(&outcome)),
        (Status::AgentDied, "agent_died"),
        "{outcome:?}"
    );
    let error = outcome.error.as_ref().expect("an error");
    assert!(
        error.message.contains("exit status 3") && error.message.contains("why"),
        "{}",
        error.message
    );
    assert_kept(&outcome);
}

/// Lines that are no JSON, events that nobody knows, a megabyte in one line, bytes that are no text: the turn is read all the
/// same.
async fn of_nonsense(rig: &Rig) {
    let script = format!(
        "{BEGIN}
echo '{{'; echo; echo 'null'; echo '[1,2]'; printf '\\377\\376\\000\\n'
echo '{{\"type\":\"novelty\",\"item\":7}}'
echo '{{\"type\":\"item.completed\",\"item\":{{\"type\":\"novelty\",\"id\":9}}}}'
printf '{{\"type\":\"novelty\",\"x\":\"'; head -c 1200000 /dev/zero | tr '\\0' x; echo '\"}}'
head -c 6000000 /dev/zero | tr '\\0' y; echo
{END}"
    );
    let outcome = play(rig, &script).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 1),
        "{outcome:?}"
    );
    let usage = outcome.usage.expect("the tokens");
    assert_eq!((usage.input_tokens, usage.total_tokens), (7, 9));
    assert_kept(&outcome);
}

async fn killed(rig: &Rig) {
    let outcome = play(rig, &format!("{BEGIN}\nkill -9 $$")).await;
    assert_eq!(
        (outcome.status, code(&outcome)),
        (Status::AgentDied, "agent_died"),
        "{outcome:?}"
    );
    let error = outcome.error.as_ref().expect("an error");
    assert!(error.message.contains("signal 9"), "{}", error.message);
    assert_kept(&outcome);
}

async fn of_no_events(rig: &Rig) {
    let outcome = play(rig, "echo 'Error: no such thing'; exit 1").await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::AgentDied, 0),
        "{outcome:?}"
    );
    let error = outcome.error.as_ref().expect("an error");
    assert!(error.message.contains("no such thing"), "{}", error.message);
}

/// The first line counts that names a session; a turn that ends twice ends once.
async fn of_another_session(rig: &Rig) {
    let other = r#"echo '{"type":"thread.started","thread_id":"other"}'"#;
    let outcome = play(rig, &format!("{BEGIN}\n{other}\n{END}\n{END}")).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    let session = outcome.session_id.as_deref();
    assert_eq!(session, Some("0199a213-81c0-7800-8aa1-bbab2a035a53"));
}
