//! What is only so where codex is driven by requests: the server and its socket, the terminal that joins, the way back to keys.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;

use cx_operator::agent::conversation::Drive;
use cx_operator::record::journal::Progress;
use cx_operator::record::{Outcome, RunDir, Status};
use cx_operator::{Item, Run};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::rig::{Rig, wait_for};

tests_of! { joined_by_a_person:
    requests_0_169 on Requests(testkit::agents::PINNED);
    thorough_requests_0_150 on_thoroughly Requests(testkit::agents::OLDER[0]);
}
tests_of! { approved_by_a_person:
    requests_0_169 on Requests(testkit::agents::PINNED);
    thorough_requests_0_150 on_thoroughly Requests(testkit::agents::OLDER[0]);
}
tests_of! { steps_are_in_the_journal:
    requests_0_169 on Requests(testkit::agents::PINNED);
    thorough_requests_0_150 on_thoroughly Requests(testkit::agents::OLDER[0]);
}
tests_of! { a_server_that_fails_gives_way_to_keys:
    requests_0_169 on Requests(testkit::agents::PINNED);
}
tests_of! { a_session_that_is_ended_at_the_start_ends_the_run:
    requests_0_169 on Requests(testkit::agents::PINNED);
}
tests_of! { a_server_of_tools_that_is_required_and_fails_ends_the_run:
    requests_0_169 on Requests(testkit::agents::PINNED);
    thorough_requests_0_150 on_thoroughly Requests(testkit::agents::OLDER[0]);
}
tests_of! { an_old_codex_is_driven_by_keys:
    codex_0_130 on Codex(testkit::agents::OLDER[1]);
}
tests_of! { the_server_is_killed:
    requests_0_169 on Requests(testkit::agents::PINNED);
    thorough_requests_0_150 on_thoroughly Requests(testkit::agents::OLDER[0]);
}
tests_of! { a_command_ends_before_the_snapshot:
    requests_0_169 on Requests(testkit::agents::PINNED);
    thorough_requests_0_150 on_thoroughly Requests(testkit::agents::OLDER[0]);
}
tests_of! { the_socket_is_private:
    requests_0_169 on Requests(testkit::agents::PINNED);
    thorough_requests_0_150 on_thoroughly Requests(testkit::agents::OLDER[0]);
}
tests_of! { what_is_asked_for_is_in_force:
    requests_0_169 on Requests(testkit::agents::PINNED);
    thorough_requests_0_150 on_thoroughly Requests(testkit::agents::OLDER[0]);
}

fn newest(rig: &Rig) -> RunDir {
    let runs = rig.operator.store().load_runs().expect("the runs");
    runs.into_iter().next_back().expect("a run")
}

/// Opens the terminal, and waits until it shows that.
async fn open_terminal(rig: &Rig, shows: &str) {
    let opened = rig.operator.open_terminal(&newest(rig).id()).await;
    opened.expect("the terminal");
    rig.wait_for_screen(shows).await;
}

fn items(rig: &Rig, outcome: &Outcome) -> Vec<Item> {
    let entries = rig.journal(outcome).into_iter();
    let items = entries.filter_map(|entry| match entry.progress {
        Progress::Item { item, .. } => Some(item),
        _ => None,
    });
    items.collect()
}

/// The files of the user's own codex directory that settings and history are in.
fn settings(rig: &Rig) -> Vec<Option<String>> {
    let files = ["config.toml", "history.jsonl", "hooks.json"];
    let read = |name| fs::read_to_string(rig.path("codex").join(name)).ok();
    files.map(read).into()
}

/// A person who joins sees the turn, and what they type reaches it. Nothing of the user's is written.
async fn joined_by_a_person(rig: &Rig) {
    let before = settings(rig);
    let gate = rig.path("gate");
    let brief = format!("[[await {}]] [[say Done. All is well.]]", gate.display());
    let run = rig.start(rig.task(&brief)).await;
    open_terminal(rig, "All is well").await;
    let peeked = rig.binary(&["peek", "t"]).output().await;
    let screen = peeked.expect("cx-operator runs").stdout;
    let screen = String::from_utf8_lossy(&screen);
    assert!(screen.contains("All is well"), "{screen}");
    // Once more it is only shown.
    open_terminal(rig, "All is well").await;
    rig.type_text("And nothing else.").await;
    fs::write(&gate, "").expect("the gate");
    let outcome = rig.outcome(run).await;
    assert_eq!(
        (outcome.status, outcome.drive),
        (Status::Completed, Some(Drive::Requests)),
        "{outcome:?}"
    );
    assert_eq!(settings(rig), before);
    let told = fs::read_to_string(newest(rig).path().join("transcript.jsonl"));
    assert!(told.expect("the transcript").contains("And nothing else."));
    assert!(!newest(rig).path().join("terminal").exists());
}

/// A person decides before the responder: their word counts, and is on record as theirs.
async fn approved_by_a_person(rig: &Rig) {
    let mut task = rig.task("[[shell touch asked && echo 'STATUS: DONE']] [[escalate]]");
    let slow = cx_operator::task::respond::Command::new(
        "cat >/dev/null; sleep 60".to_owned(),
        std::time::Duration::from_secs(80),
    );
    task.limits.answer = std::time::Duration::from_secs(80);
    task.responders = vec![std::sync::Arc::new(slow)];
    let run = rig.start(task).await;
    rig.wait_for_question("touch asked").await;
    open_terminal(rig, "Would you like to run").await;
    let pane = format!("={}:", rig.session());
    let question = newest(rig).path().join("question.json");
    // A dialog that is just drawn may not take keys yet.
    while question.exists() {
        rig.tmux(&["send-keys", "-t", &pane, "y"]);
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    }
    let outcome = rig.outcome(run).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    let replies: Vec<_> = outcome
        .replies
        .iter()
        .map(|reply| (reply.by.as_str(), reply.reply.as_str()))
        .collect();
    assert_eq!(replies, [("person", "allow")], "{outcome:?}");
    assert_eq!(outcome.files[0].path, "asked");
}

async fn steps_are_in_the_journal(rig: &Rig) {
    let key = "sk-abcdefghijklmnopqrstuvwxyz0123456789";
    let brief = format!("[[shell echo {key} > new; exit 3]]");
    let outcome = rig.delegate(rig.task(&brief)).await;
    let items = items(rig, &outcome);
    let Some(Item::Command {
        command, exit_code, ..
    }) = items.first()
    else {
        panic!("a command: {items:?}");
    };
    assert_eq!(*exit_code, Some(3));
    assert!(
        command.contains("> new; exit 3") && !command.contains(key),
        "{command}"
    );
    assert!(
        matches!(items.last(), Some(Item::Message { .. })),
        "{items:?}"
    );
    let witnessed = |progress: &Progress| matches!(progress, Progress::Witnessed { turn: 1, .. });
    let journal = rig.journal(&outcome);
    assert!(journal.iter().any(|entry| witnessed(&entry.progress)));
    assert!(outcome.usage.is_some(), "{outcome:?}");
}

/// A codex whose server does that instead of its work.
fn broken(rig: &Rig, does: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let program = rig.agent.program().expect("the rig has it");
    let path = dir.path().join("codex");
    let script = format!(
        "#!/bin/sh\nfor a; do case $a in unix://*) {does};; esac; done\nexec '{}' \"$@\"\n",
        program.display()
    );
    fs::write(&path, script).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    (dir, path)
}

/// One that is killed before its first answer, too: it has no prompt yet that could be lost, or done twice.
/// As by keys: who ends the session before the server's first answer ends the run, which is not begun again.
async fn a_session_that_is_ended_at_the_start_ends_the_run(rig: &Rig) {
    for command in ["kill-session -t =cx-t", "kill-server"] {
        let socket = rig.socket();
        let does = format!("tmux -S '{}' {command}; sleep 60", socket.display());
        let (_dir, program) = broken(rig, &does);
        let mut task = rig.task("[[shell echo x > new; echo 'STATUS: DONE']]");
        task.agent.program = Some(program);
        task.agent.drive = Drive::Auto;
        let outcome = rig.delegate(task).await;
        assert_eq!(
            (outcome.status, outcome.drive, outcome.files.len()),
            (Status::AgentDied, Some(Drive::Requests), 0),
            "{outcome:?}"
        );
        let launches = rig.journal(&outcome).into_iter();
        let launches = launches.filter(|entry| matches!(entry.progress, Progress::Launched { .. }));
        assert_eq!(launches.count(), 1);
    }
}

/// Keys would not help, and would cost as long again.
async fn a_server_of_tools_that_is_required_and_fails_ends_the_run(rig: &Rig) {
    let server =
        "command = \"sleep\"\nargs = [\"300\"]\nrequired = true\nstartup_timeout_sec = 1\n";
    rig.configure(&format!("\n[mcp_servers.hang]\n{server}"));
    let mut task = rig.task("Say hello.");
    task.agent.drive = Drive::Auto;
    let outcome = rig.delegate(task).await;
    let error = outcome.error.as_ref().expect("it fails");
    assert_eq!(
        (outcome.drive, error.code.as_str()),
        (Some(Drive::Requests), "agent_configuration"),
        "{outcome:?}"
    );
    assert!(error.message.contains("hang: timed out"), "{error:?}");
}

async fn a_server_that_fails_gives_way_to_keys(rig: &Rig) {
    let error = "echo 'Error: no server today' >&2; exit 1";
    for (drive, does, says) in [
        (
            Drive::Auto,
            error,
            "its server ended: Error: no server today",
        ),
        (Drive::Requests, error, "no server today"),
        (
            Drive::Requests,
            "kill -KILL $$",
            "its server ended by signal 9: it said nothing",
        ),
        (
            Drive::Auto,
            "kill -SEGV $$",
            "its server ended by signal 11",
        ),
    ] {
        let (_dir, program) = broken(rig, does);
        let mut task = rig.task("[[shell echo x > new; echo 'STATUS: DONE']]");
        task.agent.program = Some(program);
        task.agent.drive = drive;
        let outcome = rig.delegate(task).await;
        assert_eq!(
            (outcome.status, outcome.drive, outcome.files.len()),
            (Status::Completed, Some(Drive::Keys), 1),
            "{outcome:?}"
        );
        let told = |notice: &String| notice.contains(says);
        assert!(outcome.notices.iter().any(told), "{:?}", outcome.notices);
    }
}

/// On request it is refused before anything is made.
async fn an_old_codex_is_driven_by_keys(rig: &Rig) {
    let mut task = rig.task("Say hello.");
    task.agent.drive = Drive::Auto;
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.drive),
        (Status::Completed, Some(Drive::Keys)),
        "{outcome:?}"
    );
    let mut task = rig.task("Say hello.");
    task.agent.drive = Drive::Requests;
    let outcome = rig.operator.delegate(task).await;
    let error = outcome.error.expect("it is refused");
    assert_eq!((error.code.as_str(), outcome.run_dir), ("usage", None));
    assert!(error.message.contains("0.145"), "{}", error.message);
}

async fn the_server_is_killed(rig: &Rig) {
    let run = rig
        .start(rig.task("[[shell echo x > new]] [[sleep 60]]"))
        .await;
    let pid = rig.agent_pid(&run_id(rig)).await;
    rig.signal(pid, Signal::KILL);
    let outcome = rig.outcome(run).await;
    assert_eq!(
        (outcome.status, outcome.exit_code(), outcome.turns),
        (Status::AgentDied, 5, 1),
        "{outcome:?}"
    );
}

fn run_id(rig: &Rig) -> cx_operator::RunId {
    let name = newest(rig).name().to_owned();
    serde_json::from_value(serde_json::Value::from(name)).expect("an id")
}

async fn wait_for_file(rig: &Rig, run: &Run, name: &str) {
    let _it_runs = run.canceller();
    let path = rig.worktree().join(name);
    wait_for(name, || path.exists().then_some(())).await;
}

/// A turn is cut off: what its command would have done later is neither in the snapshot nor done at all.
async fn a_command_ends_before_the_snapshot(rig: &Rig) {
    let late = rig.path("late");
    let brief = format!(
        "[[shell echo x > early; sleep 3; echo x > '{}'; echo x > later]]",
        late.display()
    );
    let run = rig.start(rig.task(&brief)).await;
    wait_for_file(rig, &run, "early").await;
    run.canceller().cancel("SIGTERM");
    let outcome = rig.outcome(run).await;
    assert_eq!(outcome.status, Status::Aborted, "{outcome:?}");
    let paths: Vec<_> = outcome
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(paths, ["early"]);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(!late.exists(), "the command went on");
}

/// Nobody else can reach the socket, and it goes with the run.
async fn the_socket_is_private(rig: &Rig) {
    let gate = rig.path("gate");
    let brief = format!("[[await {}]] Say hello.", gate.display());
    let run = rig.start(rig.task(&brief)).await;
    let socket = newest(rig).path().join("agent.sock");
    let meta = fs::metadata(&socket).expect("the socket");
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.permissions().mode() & 0o077, 0);
    let target = fs::canonicalize(&socket).expect("where it is");
    let dir = fs::metadata(target.parent().expect("a directory")).expect("it is there");
    assert_eq!(dir.permissions().mode() & 0o077, 0);
    // A killed server removes nothing by itself.
    let pid = rig.agent_pid(&run_id(rig)).await;
    rig.signal(pid, Signal::KILL);
    fs::write(&gate, "").expect("the gate");
    let outcome = rig.outcome(run).await;
    assert_eq!(outcome.status, Status::AgentDied, "{outcome:?}");
    assert!(fs::symlink_metadata(&socket).is_err() && !target.exists());
}

/// The user's configuration says otherwise; the task's word counts.
async fn what_is_asked_for_is_in_force(rig: &Rig) {
    rig.configure("\nsandbox_mode = \"danger-full-access\"\napproval_policy = \"never\"\n");
    let outside = rig.path("outside");
    let brief = format!("[[shell echo x > '{}']]", outside.display());
    let mut task = rig.task(&brief);
    task.agent.sandbox = cx_operator::Sandbox::ReadOnly;
    let outcome = rig.delegate(task).await;
    assert_eq!(outcome.turns, 1, "{outcome:?}");
    assert!(!outside.exists(), "the sandbox was the user's");
}
